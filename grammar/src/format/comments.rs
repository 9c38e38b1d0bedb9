//! The source with its comments, and at which word of a document each comment goes.

use super::document::Doc;
use crate::FileId;
use crate::lexer::{Lexed, Token, lex};
use std::collections::BTreeMap;

/// A source text with its tokens.
pub(super) struct Text<'a> {
    pub(super) source: &'a str,
    lexed: Lexed,
}

/// The comments at one place of a document.
#[derive(Default)]
pub(super) struct Beside {
    /// Those on lines of their own before it.
    pub(super) before: Vec<Token>,
    /// Those behind it on its line.
    pub(super) behind: Vec<Token>,
}

impl<'a> Text<'a> {
    pub(super) fn new(source: &'a str, file: FileId) -> Text<'a> {
        Text {
            source,
            lexed: lex(source, file),
        }
    }

    /// Whether a comment begins between two bytes.
    pub(super) fn has_comment(&self, start: usize, end: usize) -> bool {
        let comments = &self.lexed.comments;
        let first = comments.partition_point(|comment| comment.start < start);
        comments
            .get(first)
            .is_some_and(|comment| comment.start < end)
    }

    /// Whether a line ends between two bytes.
    pub(super) fn has_line_end(&self, start: usize, end: usize) -> bool {
        self.source
            .get(start..end)
            .is_some_and(|text| text.contains('\n'))
    }

    /// The first token at or after a byte whose text is `mark`; the byte itself if there is none.
    pub(super) fn find(&self, mark: &str, from: usize) -> usize {
        let tokens = &self.lexed.tokens;
        let first = tokens.partition_point(|token| token.start < from);
        let found = tokens[first..]
            .iter()
            .find(|token| token.text(self.source) == mark);
        found.map_or(from, |token| token.start)
    }

    /// The end of the last token before a byte.
    pub(super) fn end_of_token_before(&self, at: usize) -> usize {
        let tokens = &self.lexed.tokens;
        let after = tokens.partition_point(|token| token.start < at);
        after.checked_sub(1).map_or(0, |last| tokens[last].end)
    }

    /// Whether an empty line stands before a token or comment, and something other than a bracket or the
    /// beginning of the file before that.
    pub(super) fn has_blank_before(&self, at: usize) -> bool {
        let before = &self.source[..at];
        let kept = before.trim_end_matches([' ', '\t', '\r', '\n']);
        let lines = before[kept.len()..].matches('\n').count();
        let opens = kept.ends_with(['{', '(', '[']) && !self.in_comment(kept.len());
        lines > 1 && !opens && !kept.trim_start_matches('\u{feff}').is_empty()
    }

    fn in_comment(&self, end: usize) -> bool {
        let comments = &self.lexed.comments;
        let after = comments.partition_point(|comment| comment.start < end);
        after
            .checked_sub(1)
            .is_some_and(|last| comments[last].end >= end)
    }

    /// The blanks between a comment and what stands before it on its line.
    pub(super) fn distance_before(&self, comment: &Token) -> usize {
        let before = &self.source[..comment.start];
        before.len() - before.trim_end_matches([' ', '\t']).len()
    }

    /// Gives each comment to the place behind which it stands on a line, or before which it stands.
    pub(super) fn place_comments(&self, document: &Doc) -> BTreeMap<usize, Beside> {
        let mut places = Vec::new();
        document.places(&mut |at| places.push(at));
        places.sort_unstable();
        places.dedup();
        let mut beside: BTreeMap<usize, Beside> = BTreeMap::new();
        for comment in &self.lexed.comments {
            let after = places.partition_point(|&place| place < comment.start);
            let previous = after.checked_sub(1).map(|previous| places[previous]);
            let next = places.get(after);
            // One comment fits behind a word. A further one goes before the next word, and so does what
            // follows that, since the order of comments stays.
            let has_before = |at: &usize| beside.get(at).is_some_and(|it| !it.before.is_empty());
            let has_behind = |at: &usize| beside.get(at).is_some_and(|it| !it.behind.is_empty());
            let follows = next.is_some_and(has_before) || previous.as_ref().is_some_and(has_behind);
            match (comment.first_on_line || follows, previous, next) {
                (false, Some(previous), _) | (true, Some(previous), None) => {
                    beside.entry(previous).or_default().behind.push(*comment);
                }
                (_, _, Some(next)) => beside.entry(*next).or_default().before.push(*comment),
                (_, None, None) => {}
            }
        }
        beside
    }
}
