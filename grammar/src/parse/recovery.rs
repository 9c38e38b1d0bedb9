//! Where items end, and where to go on after one that cannot be parsed.

use super::{Broken, Source};
use crate::lexer::{ITEM_KEYWORDS, Token, TokenKind};
use std::ops::Range;

/// The index of the first token that begins at or after a byte.
pub(super) fn token_at(source: &Source, byte: usize) -> usize {
    source
        .lexed
        .tokens
        .partition_point(|token| token.start < byte)
}

/// A byte before which the item that begins at the token `first` has ended if it is right: the end of the
/// first item keyword outside of brackets after it. Pest's time is linear in the text it is given, so giving
/// it the whole rest for each item would make it quadratic.
pub(super) fn extent(source: &Source, first: usize) -> usize {
    let tokens = &source.lexed.tokens;
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(first) {
        match token.text(source.text) {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            word if depth == 0 && index > first && ITEM_KEYWORDS.contains(&word) => {
                // After these, `fn` and `block` are types, and after a point every word is a name.
                let before = tokens[index - 1].text(source.text);
                if !matches!(before, "." | "->" | "," | ":") {
                    return token.end;
                }
            }
            _ => {}
        }
    }
    source.text.len()
}

/// The first token after the token `first` that begins an item, and begins no earlier than the byte `at`.
pub(super) fn next_item(source: &Source, first: usize, at: usize) -> usize {
    let tokens = &source.lexed.tokens;
    let resumes =
        |index: &usize| tokens[*index].start >= at && begins_item(source, &tokens[*index]);
    (first + 1..tokens.len())
        .find(resumes)
        .unwrap_or(tokens.len())
}

/// Adds the names of the items among those tokens, of which none has to be right.
pub(super) fn add_names(source: &Source, tokens: Range<usize>, broken: &mut Broken) {
    let first = tokens.start;
    let all = &source.lexed.tokens;
    for index in tokens.clone() {
        if index != first && !begins_item(source, &all[index]) {
            continue;
        }
        let keyword = all[index].text(source.text);
        // An import is named at its end.
        let before = match keyword {
            "import" => (index..tokens.end).find(|&at| all[at].text(source.text) == "as"),
            _ => Some(index),
        };
        let name = before.and_then(|before| all.get(before + 1));
        if let Some(name) = name.filter(|name| name.kind == TokenKind::Name) {
            let names = match keyword {
                "train" => &mut broken.trains,
                _ => &mut broken.names,
            };
            names.push(name.text(source.text).to_owned());
        }
    }
}

/// The place of the first token between the token `first` and the byte `end` that is none. It has a message
/// already; what the grammar would make of it is of no interest.
pub(super) fn invalid_token(source: &Source, first: usize, end: usize) -> Option<usize> {
    let tokens = source.lexed.tokens[first..].iter();
    let mut tokens = tokens.take_while(|token| token.start < end);
    let invalid = tokens.find(|token| token.kind == TokenKind::Invalid);
    invalid.map(|token| token.start)
}

/// Whether a token is an item's keyword in the first column, where items usually begin.
pub(super) fn begins_item(source: &Source, token: &Token) -> bool {
    let at_line_start = token.start == 0 || source.text.as_bytes()[token.start - 1] == b'\n';
    at_line_start && ITEM_KEYWORDS.contains(&token.text(source.text))
}
