//! Pest's pairs to the syntax tree.
//!
//! What the grammar accepts and the language does not becomes a diagnostic here, and the tree goes on with
//! something in its place.

mod expr;
mod item;
mod literal;
mod operators;
mod parts;
mod statement;
mod types;

use super::{Rule, Source};
use crate::ast::{Expr, Ident, Item};
use crate::{Diagnostic, Span};
use parts::Parts;
use pest::iterators::Pair;

/// The item of a pair of [`Rule::item`], whose text begins at the byte `start` of the file.
pub(super) fn build(source: &Source, start: usize, pair: Pair<Rule>) -> (Item, Vec<Diagnostic>) {
    let mut builder = Builder {
        source,
        start,
        diagnostics: Vec::new(),
    };
    let item = builder.item(pair);
    (item, builder.diagnostics)
}

/// The expression of a pair of [`Rule::lone_expression`], whose text is the whole file.
pub(super) fn build_expression(source: &Source, pair: Pair<Rule>) -> (Expr, Vec<Diagnostic>) {
    let mut builder = Builder {
        source,
        start: 0,
        diagnostics: Vec::new(),
    };
    let expr = builder.expr(Parts::of(pair).required());
    (expr, builder.diagnostics)
}

/// Makes the tree of one item.
struct Builder<'s> {
    source: &'s Source<'s>,
    /// The byte of the file at which pest's offsets begin.
    start: usize,
    diagnostics: Vec<Diagnostic>,
}

impl Builder<'_> {
    fn span(&self, pair: &Pair<Rule>) -> Span {
        let span = pair.as_span();
        Span::new(
            self.source.file,
            self.start + span.start(),
            self.start + span.end(),
        )
    }

    fn ident(&self, pair: &Pair<Rule>) -> Ident {
        Ident {
            name: pair.as_str().to_owned(),
            span: self.span(pair),
        }
    }

    fn idents(&self, pair: Pair<Rule>) -> Vec<Ident> {
        Parts::of(pair).map(|part| self.ident(&part)).collect()
    }
}
