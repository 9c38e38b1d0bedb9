//! A size that must come out whole, with an error in the words of the block that needs it.

use super::super::codes;
use super::super::context::Elaborator;
use super::super::diagnose::{Checked, error};
use super::super::value::Value;
use super::{Arguments, Intrinsic, wrong_static};
use crate::graph::Dim;

pub(super) const TABLE: &[Intrinsic] =
    &[Intrinsic::new("_divided", &["whole", "parts", "of", "into"], &[], divided).making()];

/// The most numbers that a message proposes.
const MOST_PROPOSED: usize = 8;

/// `_divided[c, groups, "channels", "groups"]`: `c / groups`, which must be whole.
fn divided(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let whole = match a.given_static("whole") {
        Some(given) => match given.value.as_dim() {
            Some(whole) => whole,
            None => return Err(wrong_static(e, &given.clone(), "whole", "an int")),
        },
        None => Dim::fixed(0),
    };
    let parts = a.int(e, "parts", None)?;
    if parts > 0 && whole.fixed % parts == 0 && whole.batch % parts == 0 {
        return Ok(Value::dimension(Dim {
            batch: whole.batch / parts,
            fixed: whole.fixed / parts,
        }));
    }
    let word = |name: &str, default: &str| {
        let given = a.given_static(name).and_then(|given| given.value.as_text());
        given.unwrap_or(default).to_owned()
    };
    let (of, into) = (word("of", "elements"), word("into", "parts"));
    let message = format!("{whole} {of} do not divide into {parts} {into}");
    let mut diagnostic = error(codes::SHAPE, a.span, message);
    if let Some(help) = whole
        .known()
        .and_then(|whole| proposal(whole, parts, &into))
    {
        diagnostic = diagnostic.help(help);
    }
    Err(e.report(diagnostic))
}

/// What would divide: the divisors of the whole that are nearest to what was asked for.
fn proposal(whole: i64, parts: i64, into: &str) -> Option<String> {
    let divisors = (1..=whole.min(1 << 16)).filter(|part| whole % part == 0);
    let mut divisors: Vec<i64> = divisors.collect();
    divisors.sort_by_key(|part| (part - parts).abs());
    divisors.truncate(MOST_PROPOSED);
    divisors.sort_unstable();
    let (last, rest) = divisors.split_last()?;
    let rest: Vec<String> = rest.iter().map(i64::to_string).collect();
    Some(match rest.is_empty() {
        true => format!("{whole} divides into {last} {into} only"),
        false => format!("{whole} divides into {} or {last} {into}", rest.join(", ")),
    })
}
