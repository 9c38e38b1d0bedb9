//! The scanner: one pass over the bytes.

use super::{KEYWORDS, Lexed, Token, TokenKind, is_word_byte};
use crate::codes::{INVALID_CHARACTER, INVALID_NUMBER, INVALID_STRING};
use crate::{Diagnostic, FileId, MOST_DIAGNOSTICS, Span};

/// The marks of two characters; they win over those of one.
const LONG_MARKS: &[&str] = &["|>", "->", "<-", "..", "==", "!=", "<=", ">="];
const SHORT_MARKS: &[u8] = b"()[]{},:.=<>+-*/%@^";

pub(super) struct Scanner<'a> {
    source: &'a str,
    file: FileId,
    at: usize,
    first_on_line: bool,
    lexed: Lexed,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(source: &'a str, file: FileId) -> Scanner<'a> {
        Scanner {
            source,
            file,
            at: byte_order_mark(source),
            first_on_line: true,
            lexed: Lexed {
                tokens: Vec::new(),
                comments: Vec::new(),
                diagnostics: Vec::new(),
            },
        }
    }

    pub(super) fn run(mut self) -> Lexed {
        while let Some(byte) = self.peek(0) {
            match byte {
                b'\n' => {
                    self.first_on_line = true;
                    self.at += 1;
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                _ => self.token(byte),
            }
        }
        self.lexed
    }

    fn peek(&self, distance: usize) -> Option<u8> {
        self.source.as_bytes().get(self.at + distance).copied()
    }

    fn token(&mut self, first: u8) {
        let start = self.at;
        let kind = match first {
            b'#' => self.comment(),
            b'"' => self.string(),
            b'0'..=b'9' => self.number(),
            _ if is_word_byte(first) => self.word(),
            _ => self.mark(first),
        };
        let token = Token {
            kind,
            start,
            end: self.at,
            first_on_line: self.first_on_line,
        };
        self.first_on_line = false;
        match kind {
            TokenKind::Comment => self.lexed.comments.push(token),
            _ => self.lexed.tokens.push(token),
        }
    }

    fn comment(&mut self) -> TokenKind {
        let rest = &self.source[self.at..];
        let length = rest.find('\n').unwrap_or(rest.len());
        self.at += rest[..length].trim_end_matches('\r').len();
        TokenKind::Comment
    }

    fn word(&mut self) -> TokenKind {
        let start = self.at;
        while self.peek(0).is_some_and(is_word_byte) {
            self.at += 1;
        }
        match KEYWORDS.contains(&&self.source[start..self.at]) {
            true => TokenKind::Keyword,
            false => TokenKind::Name,
        }
    }

    fn digits(&mut self) {
        while self
            .peek(0)
            .is_some_and(|byte| byte.is_ascii_digit() || byte == b'_')
        {
            self.at += 1;
        }
    }

    fn number(&mut self) -> TokenKind {
        let start = self.at;
        self.digits();
        let digit_at =
            |scanner: &Self, at| scanner.peek(at).is_some_and(|byte| byte.is_ascii_digit());
        if self.peek(0) == Some(b'.') && self.peek(1) != Some(b'.') {
            if !digit_at(self, 1) {
                self.at += 1;
                let whole = &self.source[start..self.at];
                return self.invalid(
                    INVALID_NUMBER,
                    start,
                    "a digit is missing after the point",
                    |d| d.help(format!("write `{whole}0`")),
                );
            }
            self.at += 1;
            self.digits();
        }
        if matches!(self.peek(0), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
            if digit_at(self, 1 + sign) {
                self.at += 1 + sign;
                self.digits();
            }
        }
        if !self.peek(0).is_some_and(is_word_byte) {
            return TokenKind::Number;
        }
        while self.peek(0).is_some_and(is_word_byte) {
            self.at += 1;
        }
        let text = clip(&self.source[start..self.at]).to_owned();
        let message = format!("`{text}` is neither a number nor a name");
        self.invalid(INVALID_NUMBER, start, &message, |d| {
            d.note("numbers look like `42`, `0.5`, `1e-3`; names begin with a letter")
        })
    }

    fn string(&mut self) -> TokenKind {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek(0) {
                None | Some(b'\n') => break,
                Some(b'"') => {
                    self.at += 1;
                    return TokenKind::String;
                }
                Some(b'\\') if !matches!(self.peek(1), None | Some(b'\n')) => {
                    self.at += 1;
                    self.character();
                }
                Some(_) => self.character(),
            }
        }
        self.invalid(INVALID_STRING, start, "this string is not closed", |d| {
            d.here("a `\"` is missing")
                .note("a string ends on the line where it begins; `\\n` in it is a line end")
        })
    }

    fn character(&mut self) {
        let character = self.source[self.at..].chars().next();
        self.at += character.map_or(0, char::len_utf8);
    }

    fn mark(&mut self, first: u8) -> TokenKind {
        let rest = &self.source[self.at..];
        if LONG_MARKS.iter().any(|mark| rest.starts_with(mark)) {
            self.at += 2;
            return TokenKind::Mark;
        }
        if SHORT_MARKS.contains(&first) {
            self.at += 1;
            return TokenKind::Mark;
        }
        let start = self.at;
        self.foreign_mark();
        let text = clip(&self.source[start..self.at]).to_owned();
        let message = match text.chars().next() {
            Some(character) if character.is_control() => {
                format!(
                    "the control character U+{:04X} cannot stand here",
                    character as u32
                )
            }
            _ => format!("`{text}` has no meaning here"),
        };
        self.invalid(INVALID_CHARACTER, start, &message, |d| {
            match foreign_help(&text) {
                Some(help) => d.help(help),
                None => d,
            }
        })
    }

    /// Takes what belongs together of a mark that the language does not have.
    fn foreign_mark(&mut self) {
        let rest = &self.source[self.at..];
        if let Some(mark) = ["&&", "||"].iter().find(|mark| rest.starts_with(**mark)) {
            self.at += mark.len();
        } else if let Some(length) = single_quoted(rest) {
            self.at += length;
        } else {
            self.character();
            while self.peek(0).is_some_and(|byte| !byte.is_ascii()) {
                self.character();
            }
        }
    }

    fn invalid(
        &mut self,
        code: crate::Code,
        start: usize,
        message: &str,
        add: impl FnOnce(Diagnostic) -> Diagnostic,
    ) -> TokenKind {
        let span = Span::new(self.file, start, self.at);
        if self.lexed.diagnostics.len() < MOST_DIAGNOSTICS {
            let diagnostic = add(Diagnostic::error(code, span, message));
            self.lexed.diagnostics.push(diagnostic);
        }
        TokenKind::Invalid
    }
}

/// The length of a byte order mark at the text's beginning.
pub(crate) fn byte_order_mark(source: &str) -> usize {
    match source.starts_with('\u{feff}') {
        true => '\u{feff}'.len_utf8(),
        false => 0,
    }
}

/// The length of a text in single quotes at the beginning of `rest`, if it ends on its line.
fn single_quoted(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let line = inside.split('\n').next()?;
    line.find('\'').map(|end| end + 2)
}

/// The text, or its beginning if it is long.
fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(40)]
}

fn foreign_help(mark: &str) -> Option<&'static str> {
    Some(match mark {
        ";" => "remove it: statements need no separator",
        "&&" | "&" => "write `and`",
        "||" | "|" => "write `or`; a pipe is `|>`",
        "!" => "write `not`",
        _ if mark.starts_with('\'') => "strings stand in double quotes: `\"text\"`",
        _ if mark.is_ascii() => return None,
        _ => "names are made of the letters a to z, digits and `_`",
    })
}
