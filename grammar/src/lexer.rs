//! Source text as tokens, comments among them.
//!
//! The grammar (`dlm.pest`) reads the text itself; tokens serve what needs to look around in a program
//! that may be wrong: the limits on nesting, the recovery after an error, messages, and the formatter's
//! comments. Both agree on what a token is, which a test holds.

mod scan;

use crate::{Diagnostic, FileId, Span};

/// The words that are not names.
pub const KEYWORDS: &[&str] = &[
    "let",
    "fn",
    "block",
    "optimizer",
    "data",
    "train",
    "import",
    "as",
    "param",
    "state",
    "return",
    "for",
    "in",
    "if",
    "else",
    "step",
    "eval",
    "minimize",
    "with",
    "report",
    "and",
    "or",
    "not",
    "true",
    "false",
    "none",
];

/// The keywords that begin an item.
pub(crate) const ITEM_KEYWORDS: &[&str] =
    &["let", "fn", "block", "optimizer", "data", "train", "import"];

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A name.
    Name,
    /// One of [`KEYWORDS`].
    Keyword,
    /// An int or a float.
    Number,
    /// A string with its quotes.
    String,
    /// An operator, bracket or other mark.
    Mark,
    /// From `#` to the end of the line.
    Comment,
    /// What no program may contain; a diagnostic was made for it.
    Invalid,
}

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its first byte.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// Whether no other token stands before it on its line.
    pub first_on_line: bool,
}

impl Token {
    /// The token's text.
    pub fn text<'a>(&self, source: &'a str) -> &'a str {
        &source[self.start..self.end]
    }

    /// The token's place.
    pub fn span(&self, file: FileId) -> Span {
        Span::new(file, self.start, self.end)
    }
}

/// A file's tokens, and what no token could be made of.
pub(crate) struct Lexed {
    /// Every token but comments, in textual order.
    pub tokens: Vec<Token>,
    /// The comments, in textual order.
    pub comments: Vec<Token>,
    /// One for each [`TokenKind::Invalid`].
    pub diagnostics: Vec<Diagnostic>,
}

/// Splits a file's text into tokens.
pub(crate) fn lex(source: &str, file: FileId) -> Lexed {
    scan::Scanner::new(source, file).run()
}

/// Whether a byte may stand in a name after its first.
pub(crate) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
