//! What happens after an item that cannot be parsed.

use super::message::Trouble;
use super::{Failure, Source};
use crate::Diagnostic;
use crate::lexer::{ITEM_KEYWORDS, Token, TokenKind};

/// The index of the first token that begins at or after a byte.
pub(super) fn token_at(source: &Source, byte: usize) -> usize {
    source
        .lexed
        .tokens
        .partition_point(|token| token.start < byte)
}

/// The message for an item that begins at the token `first`, and the token from which to go on. There is no
/// message where a token that is no token has already got one.
pub(super) fn recover(
    source: &Source,
    first: usize,
    failure: &Failure,
) -> (Option<Diagnostic>, usize) {
    let tokens = &source.lexed.tokens;
    let resume = (first + 1..tokens.len())
        .find(|&index| tokens[index].start >= failure.at && begins_item(source, &tokens[index]))
        .unwrap_or(tokens.len());
    let is_invalid = |token: &Token| token.kind == TokenKind::Invalid;
    if tokens[first..resume].iter().any(is_invalid) {
        return (None, resume);
    }
    (
        Some(Trouble::new(source, first, failure).diagnose()),
        resume,
    )
}

/// Whether a token is an item's keyword in the first column, where items usually begin.
pub(super) fn begins_item(source: &Source, token: &Token) -> bool {
    let at_line_start = token.start == 0 || source.text.as_bytes()[token.start - 1] == b'\n';
    at_line_start && ITEM_KEYWORDS.contains(&token.text(source.text))
}
