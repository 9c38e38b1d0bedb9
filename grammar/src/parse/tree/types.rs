//! Types.

use super::super::Rule;
use super::Builder;
use super::parts::Parts;
use crate::ast::{DType, Dim, DimKind, StaticType, Type, TypeKind};
use crate::codes::{SEVERAL_RESTS, TYPE_WITHOUT_SHAPE, UNKNOWN_TYPE};
use crate::{Diagnostic, Span, suggest};
use pest::iterators::Pair;

/// Where a type stands, which decides what `bool` without brackets means.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// In a signature's square brackets.
    Static,
    /// Anywhere else.
    Tensor,
}

impl Builder<'_> {
    pub(super) fn ty(&mut self, pair: Pair<Rule>, place: Place) -> Type {
        let span = self.span(&pair);
        let inner = Parts::of(pair).required();
        let kind = match inner.as_rule() {
            Rule::tuple_type => {
                let elements = Parts::of(inner).map(|element| self.ty(element, place));
                TypeKind::Tuple(elements.collect())
            }
            Rule::list_type => {
                let element = self.ty(Parts::of(inner).required(), place);
                TypeKind::List(Box::new(element))
            }
            _ => self.named_type(inner, place),
        };
        Type { kind, span }
    }

    fn named_type(&mut self, pair: Pair<Rule>, place: Place) -> TypeKind {
        let mut parts = Parts::of(pair);
        let word = parts.required();
        let span = self.span(&word);
        let dims = parts.next().map(|dims| (self.span(&dims), self.dims(dims)));
        if place == Place::Static && word.as_str() == "bool" && dims.is_none() {
            return TypeKind::Static(StaticType::Bool);
        }
        if let Some((dtype, _)) = DType::ALL.iter().find(|(_, name)| *name == word.as_str()) {
            return TypeKind::Tensor {
                dtype: *dtype,
                dims: dims.map(|(_, dims)| dims),
            };
        }
        let found = StaticType::ALL
            .iter()
            .find(|(_, name)| *name == word.as_str());
        let Some((ty, _)) = found else {
            self.unknown_type(word.as_str(), span);
            return TypeKind::Static(StaticType::Int);
        };
        if let Some((brackets, _)) = dims {
            let message = format!("`{}` has no shape", word.as_str());
            let diagnostic = Diagnostic::error(TYPE_WITHOUT_SHAPE, brackets, message)
                .help("the types of tensors are `f32`, `bf16`, `i32`, `u8`, `bool`");
            self.report(diagnostic);
        }
        TypeKind::Static(*ty)
    }

    fn unknown_type(&mut self, word: &str, span: Span) {
        let message = format!("there is no type `{word}`");
        let diagnostic = Diagnostic::error(UNKNOWN_TYPE, span, message);
        let tensors = DType::ALL.iter().map(|(_, name)| *name);
        let statics = StaticType::ALL.iter().map(|(_, name)| *name);
        let near = foreign_type(word).or_else(|| suggest(word, tensors.chain(statics)));
        let known = "tensors are `f32`, `bf16`, `i32`, `u8`, `bool`; compile-time values `int`, `float`, `bool`, \
                     `str`, `fn`, `block`, `init`, `schedule`, `metric`";
        self.report(diagnostic.note(known).did_you_mean(near));
    }

    fn dims(&mut self, pair: Pair<Rule>) -> Vec<Dim> {
        let dims: Vec<Dim> = Parts::of(pair).map(|dim| self.dim(dim)).collect();
        let is_rest = |dim: &&Dim| dim.kind == DimKind::Rest;
        let rests: Vec<Span> = dims.iter().filter(is_rest).map(|dim| dim.span).collect();
        self.check_rests(&rests, "a type");
        dims
    }

    fn dim(&mut self, pair: Pair<Rule>) -> Dim {
        let span = self.span(&pair);
        let inner = Parts::of(pair).required();
        let kind = match inner.as_rule() {
            Rule::rest => DimKind::Rest,
            _ => DimKind::Size(self.expr(inner)),
        };
        Dim { kind, span }
    }

    /// Reports a second `..` among the entries of one pair of brackets.
    pub(super) fn check_rests(&mut self, rests: &[Span], whose: &str) {
        if let [first, second, ..] = rests {
            let message = format!("{whose} has at most one `..`");
            let diagnostic = Diagnostic::error(SEVERAL_RESTS, *second, message)
                .label(*first, "the first one")
                .note("with two, how many dimensions each stands for would be open");
            self.report(diagnostic);
        }
    }
}

/// What a type of other languages is called here.
fn foreign_type(word: &str) -> Option<&'static str> {
    Some(match word {
        "f64" | "float32" | "float64" | "double" | "half" | "f16" | "Tensor" => "f32",
        "bfloat16" => "bf16",
        "i64" | "int32" | "int64" | "long" | "u32" | "usize" => "i32",
        "uint8" | "byte" => "u8",
        "string" | "String" => "str",
        "boolean" => "bool",
        "integer" => "int",
        "function" | "func" => "fn",
        _ => return None,
    })
}
