//! Syntax trees to documents.

mod expr;
mod item;
mod pipe;
mod statement;

use super::comments::Text;
use super::document::Doc;
use crate::ast::Ident;

/// Makes documents of trees of one source.
pub(super) struct Printer<'a> {
    text: &'a Text<'a>,
}

impl<'a> Printer<'a> {
    pub(super) fn new(text: &'a Text<'a>) -> Printer<'a> {
        Printer { text }
    }

    fn ident(&self, ident: &Ident) -> Doc {
        Doc::word(ident.name.as_str(), ident.span.start as usize)
    }

    /// Entries between brackets, on one line or one to a line. `close_at` is the place of the closing bracket.
    fn bracketed(&self, open: &str, entries: Vec<Doc>, close: &str, close_at: usize) -> Doc {
        if entries.is_empty() {
            let inside = Doc::nest(Doc::Comments(close_at));
            let close = Doc::word(close, close_at);
            return Doc::group(Doc::Concat(vec![Doc::mark(open), inside, close]));
        }
        let mut inside = vec![Doc::SoftLine];
        for (index, entry) in entries.into_iter().enumerate() {
            if index > 0 {
                inside.extend([Doc::mark(","), Doc::Line]);
            }
            inside.push(entry);
        }
        inside.extend([Doc::IfBroken(","), Doc::Comments(close_at)]);
        Doc::group(Doc::Concat(vec![
            Doc::mark(open),
            Doc::nest(Doc::Concat(inside)),
            Doc::SoftLine,
            Doc::word(close, close_at),
        ]))
    }

    /// Entries with commas between them, broken only where they must be.
    fn listed(&self, entries: Vec<Doc>) -> Doc {
        let last = entries.len().saturating_sub(1);
        let with_comma = |(index, entry)| match index < last {
            true => Doc::Concat(vec![entry, Doc::mark(",")]),
            false => entry,
        };
        let entries = entries.into_iter().enumerate().map(with_comma);
        let filled = entries.enumerate().map(|(index, entry)| match index {
            0 => entry,
            _ => Doc::fill(1, Doc::group(entry)),
        });
        Doc::align(Doc::Concat(filled.collect()))
    }
}
