//! Limits that hold before the grammar, which recurses, sees a text.

use super::{MAX_FILE_SIZE, Source};
use crate::codes::{FILE_TOO_LARGE, TOO_DEEP};
use crate::{Diagnostic, FileId, MAX_NESTING, Span};

/// An error for a text that is too long to be parsed.
pub(super) fn check_size(text: &str, file: FileId) -> Option<Diagnostic> {
    (text.len() > MAX_FILE_SIZE).then(|| {
        let megabytes = MAX_FILE_SIZE >> 20;
        let message = format!("this file is larger than {megabytes} MB");
        Diagnostic::error(FILE_TOO_LARGE, Span::new(file, 0, 0), message)
            .help("data belongs in files that a `data` item reads")
    })
}

/// An error where brackets, and `if`s that wait for their `{`, nest too deep: every recursion of the
/// grammar goes through one of them.
pub(super) fn check_nesting(source: &Source) -> Option<Diagnostic> {
    // For each open bracket, and first for none, the `if`s inside it whose `{` has not come.
    let mut waiting = vec![0usize];
    let mut depth = 0;
    for token in &source.lexed.tokens {
        let innermost = waiting.last_mut()?;
        match token.text(source.text) {
            "if" => {
                *innermost += 1;
                depth += 1;
            }
            open @ ("(" | "[" | "{") => {
                if open == "{" && *innermost > 0 {
                    *innermost -= 1;
                    depth -= 1;
                }
                waiting.push(0);
                depth += 1;
            }
            ")" | "]" | "}" if waiting.len() > 1 => depth -= 1 + waiting.pop()?,
            _ => {}
        }
        if depth > MAX_NESTING {
            return Some(too_deep(token.span(source.file)));
        }
    }
    None
}

/// The error for whatever nests too deep at `span`.
pub(super) fn too_deep(span: Span) -> Diagnostic {
    let message = format!("this nests more than {MAX_NESTING} deep");
    Diagnostic::error(TOO_DEEP, span, message).help("give parts of it names with `let`")
}
