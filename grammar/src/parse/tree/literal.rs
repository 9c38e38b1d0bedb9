//! Numbers and strings.

use super::super::Rule;
use super::Builder;
use crate::ast::ExprKind;
use crate::codes::{INVALID_NUMBER, INVALID_STRING};
use crate::{Diagnostic, Span};
use pest::iterators::Pair;

impl Builder<'_> {
    pub(super) fn number(&mut self, pair: &Pair<Rule>) -> ExprKind {
        let digits = pair.as_str().replace('_', "");
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match digits.parse() {
                Ok(value) => ExprKind::Int(value),
                Err(_) => self.out_of_range(pair, "whole numbers end at 9223372036854775807"),
            };
        }
        match digits.parse::<f64>() {
            Ok(value) if value.is_finite() => ExprKind::Float(value),
            _ => self.out_of_range(pair, "numbers end at about 1.8e308"),
        }
    }

    fn out_of_range(&mut self, pair: &Pair<Rule>, note: &str) -> ExprKind {
        let span = self.span(pair);
        let diagnostic =
            Diagnostic::error(INVALID_NUMBER, span, "this number is too large").note(note);
        self.report(diagnostic);
        ExprKind::Int(0)
    }

    /// The text of a string, its escapes resolved.
    pub(super) fn string(&mut self, pair: &Pair<Rule>) -> String {
        let quoted = pair.as_str();
        let inside = &quoted[1..quoted.len() - 1];
        let mut value = String::new();
        let mut characters = inside.char_indices();
        while let Some((index, character)) = characters.next() {
            if character != '\\' {
                value.push(character);
                continue;
            }
            let escaped = characters.next().map_or('\\', |(_, escaped)| escaped);
            match unescape(escaped) {
                Some(meant) => value.push(meant),
                None => {
                    let start = self.span(pair).start as usize + 1 + index;
                    self.unknown_escape(escaped, start);
                }
            }
        }
        value
    }

    fn unknown_escape(&mut self, escaped: char, start: usize) {
        let span = Span::new(self.source.file, start, start + 1 + escaped.len_utf8());
        let message = format!("there is no escape `\\{escaped}`");
        let diagnostic = Diagnostic::error(INVALID_STRING, span, message)
            .note("the escapes are `\\n`, `\\t`, `\\r`, `\\\"` and `\\\\`");
        self.report(diagnostic);
    }
}

fn unescape(character: char) -> Option<char> {
    Some(match character {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '"' => '"',
        '\\' => '\\',
        _ => return None,
    })
}
