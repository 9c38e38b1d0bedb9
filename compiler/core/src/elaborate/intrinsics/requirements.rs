//! What a function of the library requires of its statics: `let _ = _require["p", p >= 0 and p < 1, "is at least 0 and below 1"]`.

use super::super::codes;
use super::super::context::Elaborator;
use super::super::diagnose::{Checked, error};
use super::super::value::Value;
use super::{Arguments, Intrinsic, wrong_static};
use dlm_grammar::Span;

pub(super) const TABLE: &[Intrinsic] =
    &[Intrinsic::new("_require", &["name", "holds", "wanted"], &[], require).making()];

/// `_require[name, holds, wanted]`: the value of the name, or an error where it was given, which says what is wanted. A
/// condition on tensors, as of a schedule, is not known here and refuses nothing.
fn require(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let name = text(e, a, "name")?;
    let wanted = text(e, a, "wanted")?;
    let value = e.lookup(&name, a.span)?;
    if !matches!(condition(a), Value::Bool(false)) {
        return Ok(value);
    }
    let place = place(e, &name, a.span);
    let message = format!("`{name}` {wanted}{}", found(&value));
    Err(e.report(error(codes::STATIC_RANGE, place, message)))
}

/// What was given instead, where it can be said in a word.
fn found(value: &Value) -> String {
    match (value.as_float(), value.as_text()) {
        (Some(_), _) => format!(", and this is {}", value.described()),
        (None, Some(text)) => format!(", and this is \"{text}\""),
        (None, None) => String::new(),
    }
}

fn condition(a: &Arguments) -> &Value {
    a.given_static("holds")
        .map_or(&Value::None, |given| &given.value)
}

/// Where the program has given the static, which bodies of the library may have handed on under the same name; else the
/// call's own place, which the reporter takes out of the library.
fn place(e: &Elaborator<'_>, name: &str, call: Span) -> Span {
    for frame in e.frames.iter().rev() {
        let given = frame.given.iter().find(|(own, _)| own == name);
        match given {
            Some((_, span)) if e.reporter.is_library(span.file) => {}
            Some((_, span)) => return *span,
            None => break,
        }
    }
    call
}

fn text(e: &mut Elaborator<'_>, a: &Arguments, name: &str) -> Checked<String> {
    let Some(given) = a.given_static(name) else {
        return Ok(String::new());
    };
    match given.value.as_text() {
        Some(text) => Ok(text.to_owned()),
        None => Err(wrong_static(e, given, name, "text")),
    }
}
