//! The message for a place where the grammar could not go on.

use super::expectation::{describe, expectations};
use super::{Failure, Rule, Source, hints, recovery};
use crate::codes::{TOO_DEEP, UNEXPECTED_TOKEN};
use crate::lexer::{Token, TokenKind};
use crate::{Diagnostic, Span};

/// A failure with what stands around it.
pub(super) struct Trouble<'a> {
    pub(super) source: &'a Source<'a>,
    tried: &'a [Rule],
    /// The token with which the failed item begins.
    first: usize,
    /// The token that could not be taken; the number of tokens at the end of the file.
    pub(super) index: usize,
}

impl<'a> Trouble<'a> {
    pub(super) fn new(source: &'a Source<'a>, first: usize, failure: &'a Failure) -> Trouble<'a> {
        let index = source
            .lexed
            .tokens
            .partition_point(|token| token.end <= failure.at);
        Trouble {
            source,
            tried: &failure.tried,
            first,
            index: index.max(first),
        }
    }

    pub(super) fn diagnose(&self) -> Diagnostic {
        if self.tried.is_empty() {
            let message = "this item takes too long to parse";
            return Diagnostic::error(TOO_DEEP, self.span(self.first), message).help("divide it");
        }
        hints::special(self).unwrap_or_else(|| self.generic())
    }

    /// “expected …, found …”, with what might help.
    fn generic(&self) -> Diagnostic {
        let found = self.name_of(self.index);
        let expected = describe(&expectations(self.tried));
        let message = match expected {
            Some(expected) => format!("expected {expected}, found {found}"),
            None => format!("{found} cannot stand here"),
        };
        let diagnostic = Diagnostic::error(UNEXPECTED_TOKEN, self.span(self.index), message);
        hints::helps(self)
            .into_iter()
            .fold(diagnostic, Diagnostic::help)
    }

    /// Whether the grammar tried one of these rules here.
    pub(super) fn tried_any(&self, rules: &[Rule]) -> bool {
        self.tried.iter().any(|rule| rules.contains(rule))
    }

    /// Whether a value may begin here.
    pub(super) fn wants_operand(&self) -> bool {
        use Rule::*;
        self.tried_any(&[
            expr,
            binary,
            operand,
            postfix,
            primary,
            number,
            if_value,
            report_entry,
            argument,
            bracket_item,
            dim,
        ])
    }

    /// Whether a value that stands before could go on here.
    pub(super) fn wants_operator(&self) -> bool {
        use Rule::*;
        self.tried_any(&[operator, pipe, pipe_stage, call, bracket, access, stray])
    }

    /// Whether a statement may begin here.
    pub(super) fn wants_statement(&self) -> bool {
        use Rule::*;
        self.tried_any(&[
            statement,
            let_statement,
            param,
            state,
            return_,
            for_,
            if_,
            step,
            eval,
            minimize,
            report,
            assignment,
        ])
    }

    /// Whether an item may begin here.
    pub(super) fn wants_item(&self) -> bool {
        self.tried_any(&[Rule::item, Rule::next_item, Rule::EOI])
    }

    pub(super) fn token(&self, index: usize) -> Option<&'a Token> {
        self.source.lexed.tokens.get(index)
    }

    /// A token's text; empty beyond the end.
    pub(super) fn text(&self, index: usize) -> &'a str {
        self.token(index)
            .map_or("", |token| token.text(self.source.text))
    }

    /// The token that could not be taken.
    pub(super) fn found(&self) -> &'a str {
        self.text(self.index)
    }

    /// The text of the token before, in this item or an earlier one.
    pub(super) fn previous(&self) -> &'a str {
        self.index
            .checked_sub(1)
            .map_or("", |index| self.text(index))
    }

    pub(super) fn kind(&self, index: usize) -> Option<TokenKind> {
        self.token(index).map(|token| token.kind)
    }

    /// The place of a token; beyond the end, that of the file's last one.
    pub(super) fn span(&self, index: usize) -> Span {
        match self.token(index) {
            Some(token) => token.span(self.source.file),
            None => {
                let end = self.source.lexed.tokens.last().map_or(0, |token| token.end);
                Span::new(self.source.file, end, end)
            }
        }
    }

    /// Whether nothing stands between a token and the next one.
    pub(super) fn touches_next(&self, index: usize) -> bool {
        match (self.token(index), self.token(index + 1)) {
            (Some(token), Some(next)) => token.end == next.start,
            _ => false,
        }
    }

    /// Whether a token is the first of its line.
    pub(super) fn begins_line(&self, index: usize) -> bool {
        self.token(index).is_some_and(|token| token.first_on_line)
    }

    /// Whether the token that could not be taken looks like the next item.
    pub(super) fn at_item_or_end(&self) -> bool {
        self.token(self.index).is_none_or(|token| {
            self.index > self.first && recovery::begins_item(self.source, token)
        })
    }

    /// The innermost bracket of the item that is open here.
    pub(super) fn open_bracket(&self) -> Option<usize> {
        let mut open = Vec::new();
        for index in self.first..self.index {
            match self.text(index) {
                "(" | "[" | "{" => open.push(index),
                ")" | "]" | "}" => drop(open.pop()),
                _ => {}
            }
        }
        open.pop()
    }

    /// How messages call a token.
    pub(super) fn name_of(&self, index: usize) -> String {
        let text = self.text(index);
        let clipped = match text.len() > 40 {
            true => format!("{}…", &text[..text.floor_char_boundary(40)]),
            false => text.to_owned(),
        };
        match self.kind(index) {
            None => "the end of the file".to_owned(),
            Some(TokenKind::Keyword) => format!("the keyword `{text}`"),
            Some(TokenKind::String) => format!("the string {clipped}"),
            Some(_) => format!("`{clipped}`"),
        }
    }
}
