//! Items and signatures.

use super::super::Rule;
use super::Builder;
use super::parts::Parts;
use super::types::Place;
use crate::Span;
use crate::ast::{
    Definition, DefinitionKind, Expr, Ident, Item, ItemKind, Param, StaticParam, StringLiteral,
    Train, Type,
};
use pest::iterators::Pair;

/// `name: type = default` before it is known where it stands.
struct Entry {
    name: Ident,
    ty: Option<Type>,
    default: Option<Expr>,
    span: Span,
}

impl Builder<'_> {
    pub(super) fn item(&mut self, pair: Pair<Rule>) -> Item {
        let span = self.span(&pair);
        let inner = Parts::of(pair).required();
        let kind = match inner.as_rule() {
            Rule::let_item => {
                let mut parts = Parts::of(inner);
                ItemKind::Let {
                    name: self.ident(&parts.required()),
                    value: self.expr(parts.required()),
                }
            }
            Rule::data_item => {
                let mut parts = Parts::of(inner);
                ItemKind::Data {
                    name: self.ident(&parts.required()),
                    value: self.expr(parts.required()),
                }
            }
            Rule::import_item => {
                let mut parts = Parts::of(inner);
                ItemKind::Import {
                    path: self.string_literal(&parts.required()),
                    name: self.ident(&parts.required()),
                }
            }
            Rule::train_item => ItemKind::Train(self.train(inner)),
            _ => ItemKind::Definition(self.definition(inner)),
        };
        Item { kind, span }
    }

    fn string_literal(&mut self, pair: &Pair<Rule>) -> StringLiteral {
        StringLiteral {
            value: self.string(pair),
            span: self.span(pair),
        }
    }

    fn train(&mut self, pair: Pair<Rule>) -> Train {
        let mut parts = Parts::of(pair);
        Train {
            name: self.ident(&parts.required()),
            statics: self.statics(parts.optional(Rule::statics)),
            body: self.body(parts.required()),
        }
    }

    fn definition(&mut self, pair: Pair<Rule>) -> Definition {
        let text = pair.as_str();
        let kinds = [
            DefinitionKind::Function,
            DefinitionKind::Block,
            DefinitionKind::Optimizer,
        ];
        let kind = kinds.into_iter().find(|kind| text.starts_with(kind.word()));
        let mut parts = Parts::of(pair);
        Definition {
            kind: kind.expect("a definition begins with one of three keywords"),
            name: self.ident(&parts.required()),
            statics: self.statics(parts.optional(Rule::statics)),
            params: self.params(parts.optional(Rule::params)),
            results: self.results(parts.optional(Rule::results)),
            body: self.body(parts.required()),
        }
    }

    fn statics(&mut self, pair: Option<Pair<Rule>>) -> Vec<StaticParam> {
        let entries = pair.into_iter().flat_map(Parts::of);
        let entries = entries.map(|entry| self.signature_entry(entry, Place::Static));
        let to_static = |entry: Entry| StaticParam {
            name: entry.name,
            ty: entry.ty,
            default: entry.default,
            span: entry.span,
        };
        entries.map(to_static).collect()
    }

    fn params(&mut self, pair: Option<Pair<Rule>>) -> Vec<Param> {
        let entries = pair.into_iter().flat_map(Parts::of);
        let entries = entries.map(|entry| self.signature_entry(entry, Place::Tensor));
        let to_param = |entry: Entry| Param {
            name: entry.name,
            ty: entry.ty,
            default: entry.default,
            span: entry.span,
        };
        entries.map(to_param).collect()
    }

    fn results(&mut self, pair: Option<Pair<Rule>>) -> Vec<Type> {
        let types = pair.into_iter().flat_map(Parts::of);
        types.map(|ty| self.ty(ty, Place::Tensor)).collect()
    }

    fn signature_entry(&mut self, pair: Pair<Rule>, place: Place) -> Entry {
        let span = self.span(&pair);
        let mut parts = Parts::of(pair);
        let name = self.ident(&parts.required());
        let ty = parts
            .optional(Rule::annotation)
            .map(|ty| self.annotation(ty, place));
        let default = parts.optional(Rule::default);
        let default = default.map(|default| self.expr(Parts::of(default).required()));
        Entry {
            name,
            ty,
            default,
            span,
        }
    }

    pub(super) fn annotation(&mut self, pair: Pair<Rule>, place: Place) -> Type {
        self.ty(Parts::of(pair).required(), place)
    }
}
