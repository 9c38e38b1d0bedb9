//! Primitive operations: what the library, which is written in the language, is made of. One table for each group.

mod convolution;
mod divided;
mod elementwise;
mod indices;
mod labels;
mod making;
mod plateau;
mod reductions;
mod requirements;
mod shapes;
mod words;

use super::codes;
use super::context::Elaborator;
use super::diagnose::{Checked, error};
use super::expr::Given;
use super::foreign::near_static;
use super::value::{GivenStatic, Primitive, Value};
use crate::graph::{Dim, NodeId};
use dlm_grammar::Span;

/// A primitive operation.
#[derive(Debug)]
pub(super) struct Intrinsic {
    /// Its name; one that begins with `_` is for the library alone.
    pub name: &'static str,
    /// The names of its statics; empty with `open_statics` where it takes any.
    pub statics: &'static [&'static str],
    /// Whether it takes any number of statics by position.
    pub open_statics: bool,
    /// The names of its tensors; a name that ends in `?` is optional, one that ends in `*` takes any number.
    pub tensors: &'static [&'static str],
    /// Whether brackets alone make a value: `zeros[3]`.
    pub makes: bool,
    /// What it does.
    pub run: fn(&mut Elaborator<'_>, &Arguments) -> Checked<Value>,
}

/// What an operation is called with.
pub(super) struct Arguments {
    /// The operation.
    pub intrinsic: &'static Intrinsic,
    /// The statics as given.
    pub statics: Vec<GivenStatic>,
    /// The tensors, by position in the signature; any further ones follow.
    pub tensors: Vec<Option<Given>>,
    /// The place of the call.
    pub span: Span,
}

impl Intrinsic {
    const fn new(
        name: &'static str,
        statics: &'static [&'static str],
        tensors: &'static [&'static str],
        run: fn(&mut Elaborator<'_>, &Arguments) -> Checked<Value>,
    ) -> Intrinsic {
        Intrinsic {
            name,
            statics,
            open_statics: false,
            tensors,
            makes: false,
            run,
        }
    }

    const fn open(mut self) -> Intrinsic {
        self.open_statics = true;
        self
    }

    const fn making(mut self) -> Intrinsic {
        self.makes = true;
        self
    }

    /// Whether the name alone is an init.
    pub fn is_init(&self, bracketed: bool) -> bool {
        !bracketed && matches!(self.name, "zeros" | "ones")
    }

    /// Whether it takes any number of tensors.
    pub fn takes_any(&self) -> bool {
        self.tensors.iter().any(|name| name.ends_with('*'))
    }
}

fn tables() -> [&'static [Intrinsic]; 11] {
    [
        elementwise::TABLE,
        reductions::TABLE,
        shapes::TABLE,
        making::TABLE,
        words::TABLE,
        convolution::TABLE,
        indices::TABLE,
        labels::TABLE,
        plateau::TABLE,
        divided::TABLE,
        requirements::TABLE,
    ]
}

/// The operation of that name; those of the library alone only where asked from there.
pub(super) fn find(name: &str, from_library: bool) -> Option<&'static Intrinsic> {
    if name.starts_with('_') && !from_library {
        return None;
    }
    tables()
        .into_iter()
        .flatten()
        .find(|intrinsic| intrinsic.name == name)
}

/// The names that programs may use.
pub(super) fn public_names() -> impl Iterator<Item = &'static str> {
    let names = tables()
        .into_iter()
        .flatten()
        .map(|intrinsic| intrinsic.name);
    names.filter(|name| !name.starts_with('_'))
}

impl Elaborator<'_> {
    /// Calls a primitive operation.
    pub fn call_intrinsic(
        &mut self,
        primitive: &Primitive,
        given: Vec<Given>,
        span: Span,
    ) -> Checked<Value> {
        let intrinsic = primitive.intrinsic;
        self.at(span);
        self.check_statics(primitive, span)?;
        let tensors = if intrinsic.takes_any() {
            given.into_iter().map(Some).collect()
        } else {
            let names: Vec<&str> = intrinsic
                .tensors
                .iter()
                .map(|name| name.trim_end_matches('?'))
                .collect();
            let slots = self.place_by_name(intrinsic.name, &names, given, span)?;
            for (slot, name) in slots.iter().zip(intrinsic.tensors) {
                if slot.is_none() && !name.ends_with('?') {
                    let message = format!("the argument `{name}` is missing");
                    return Err(self.report(error(codes::MISSING_ARGUMENT, span, message)));
                }
            }
            slots
        };
        let arguments = Arguments {
            intrinsic,
            statics: primitive.statics.clone(),
            tensors,
            span,
        };
        (intrinsic.run)(self, &arguments)
    }

    fn check_statics(&mut self, primitive: &Primitive, span: Span) -> Checked<()> {
        let intrinsic = primitive.intrinsic;
        let positional = primitive
            .statics
            .iter()
            .filter(|given| given.name.is_none())
            .count();
        if !intrinsic.open_statics && positional > intrinsic.statics.len() {
            let message = format!(
                "`{}` takes {} in square brackets, not {positional}",
                intrinsic.name,
                super::call::counted(intrinsic.statics.len(), "value")
            );
            return Err(self.report(error(codes::TOO_MANY_STATICS, span, message)));
        }
        for given in &primitive.statics {
            let Some(name) = &given.name else { continue };
            if !intrinsic.statics.contains(&name.as_str()) && !intrinsic.statics.contains(&"*") {
                let near = near_static(name, intrinsic.statics.iter().copied());
                let message = format!("`{}` has no `{name}` in square brackets", intrinsic.name);
                return Err(self.report(
                    error(codes::UNKNOWN_STATIC, given.span, message).did_you_mean(near.as_deref()),
                ));
            }
        }
        Ok(())
    }
}

impl Arguments {
    /// A static by name or by its position among those without names.
    pub fn given_static(&self, name: &str) -> Option<&GivenStatic> {
        let by_name = self
            .statics
            .iter()
            .find(|given| given.name.as_deref() == Some(name));
        let position = self.intrinsic.statics.iter().position(|own| *own == name);
        by_name
            .or_else(|| self.positional().nth(position?))
            .filter(|given| !given.value.is_none())
    }

    /// The statics without names.
    pub fn positional(&self) -> impl Iterator<Item = &GivenStatic> {
        self.statics.iter().filter(|given| given.name.is_none())
    }

    /// The argument at a position, if there.
    pub fn argument(&self, position: usize) -> Option<&Given> {
        self.tensors.get(position).and_then(Option::as_ref)
    }

    /// The value at a position; the signature has been checked.
    pub fn value(&self, position: usize) -> &Value {
        self.argument(position)
            .map_or(&Value::None, |given| &given.value)
    }

    /// Where the argument at a position stands.
    pub fn place(&self, position: usize) -> Span {
        self.argument(position)
            .map_or(self.span, |given| given.span)
    }

    /// The argument at a position as a node.
    pub fn tensor(&self, elaborator: &mut Elaborator<'_>, position: usize) -> Checked<NodeId> {
        elaborator.tensor_of(self.value(position), self.place(position))
    }

    /// A truth value among the statics.
    pub fn flag(
        &self,
        elaborator: &mut Elaborator<'_>,
        name: &str,
        default: bool,
    ) -> Checked<bool> {
        let Some(given) = self.given_static(name) else {
            return Ok(default);
        };
        given
            .value
            .as_bool()
            .ok_or_else(|| wrong_static(elaborator, given, name, "a bool"))
    }

    /// A whole number among the statics that must be given; it may depend on the batch size.
    pub fn extent(&self, elaborator: &mut Elaborator<'_>, name: &str) -> Checked<Dim> {
        match self.given_static(name).map(|given| &given.value) {
            Some(Value::Extent(dim)) => Ok(*dim),
            _ => self.int(elaborator, name, None).map(Dim::fixed),
        }
    }

    /// A whole number among the statics.
    pub fn int(
        &self,
        elaborator: &mut Elaborator<'_>,
        name: &str,
        default: Option<i64>,
    ) -> Checked<i64> {
        match (self.given_static(name), default) {
            (Some(given), _) => given
                .value
                .as_int()
                .ok_or_else(|| wrong_static(elaborator, given, name, "an int")),
            (None, Some(default)) => Ok(default),
            (None, None) => {
                let message = format!(
                    "`{}` needs `{name}` in square brackets",
                    self.intrinsic.name
                );
                Err(elaborator.report(error(codes::MISSING_STATIC, self.span, message)))
            }
        }
    }
}

/// The report of a static of the wrong type.
pub(super) fn wrong_static(
    elaborator: &mut Elaborator<'_>,
    given: &GivenStatic,
    name: &str,
    wanted: &str,
) -> super::diagnose::Poison {
    let message = format!("`{name}` is {wanted}, and this is {}", given.value.kind());
    elaborator.report(error(codes::STATIC_TYPE, given.span, message))
}
