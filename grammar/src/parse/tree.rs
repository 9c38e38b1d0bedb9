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
use crate::{Diagnostic, MOST_DIAGNOSTICS, Span};
use parts::Parts;
use pest::iterators::Pair;

/// The item of a pair of [`Rule::lone_item`], whose text begins at the byte `start` of the file.
pub(super) fn build(source: &Source, start: usize, pair: Pair<Rule>) -> (Item, Vec<Diagnostic>) {
    let mut builder = Builder {
        source,
        start,
        diagnostics: Vec::new(),
    };
    let item = builder.item(Parts::of(pair).required());
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
    fn report(&mut self, diagnostic: Diagnostic) {
        if !self.is_full() {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether further diagnostics are dropped.
    fn is_full(&self) -> bool {
        self.diagnostics.len() >= MOST_DIAGNOSTICS
    }

    /// What stands at a place, for a message: on one line, and cut if it is long.
    fn quote(&self, span: Span) -> String {
        const LONGEST: usize = 60;
        let words: Vec<&str> = span.text(self.source.text).split_whitespace().collect();
        let line = words.join(" ");
        match line.len() > LONGEST {
            true => format!("{}…", &line[..line.floor_char_boundary(LONGEST)]),
            false => line,
        }
    }

    /// The place of a pair from its first to its last token. Pest's own span also has the blanks and
    /// comments that stand before an optional part which is absent.
    fn span(&self, pair: &Pair<Rule>) -> Span {
        let span = pair.as_span();
        let start = self.start + span.start();
        let end = self.start + span.end();
        let tokens = &self.source.lexed.tokens;
        let after = tokens.partition_point(|token| token.start < end);
        let last = after.checked_sub(1).map_or(end, |last| tokens[last].end);
        Span::new(self.source.file, start, last.clamp(start, end))
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
