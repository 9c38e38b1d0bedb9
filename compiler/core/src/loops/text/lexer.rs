//! Text to tokens.

use super::parse::ParseError;

/// A token with the line it is on, from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) kind: TokenKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A name, keyword or value.
    Word(String),
    /// A number with its sign, as written.
    Number(String),
    /// What stood between quotation marks, escapes resolved.
    Text(String),
    /// `..` or one of `{ } [ ] : , = + *`.
    Mark(&'static str),
}

const MARKS: [&str; 10] = ["..", "{", "}", "[", "]", ":", ",", "=", "+", "*"];

/// The tokens of `text`; `#` begins a comment.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with('#') {
            let (kind, length) = token(rest).ok_or_else(|| ParseError {
                line: number + 1,
                message: format!("`{rest}` begins with no token"),
            })?;
            found.push(Token {
                line: number + 1,
                kind,
            });
            rest = rest[length..].trim_start();
        }
    }
    Ok(found)
}

/// The first token and its bytes.
fn token(text: &str) -> Option<(TokenKind, usize)> {
    let first = text.chars().next()?;
    if first == '"' {
        return quoted(text);
    }
    if let Some(mark) = MARKS.into_iter().find(|mark| text.starts_with(mark)) {
        return Some((TokenKind::Mark(mark), mark.len()));
    }
    if first.is_ascii_digit() || first == '-' {
        let length = number_length(text);
        return (length > 0).then(|| (TokenKind::Number(text[..length].into()), length));
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let length = text.find(|c| !is_word(c)).unwrap_or(text.len());
    (length > 0).then(|| (TokenKind::Word(text[..length].into()), length))
}

/// A sign, then digits, letters (`0x`, exponents) and single points; `..` ends it.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut length = 0;
    while length < bytes.len() {
        let exponent = length > 0 && matches!(bytes[length - 1], b'e' | b'E');
        let belongs = match bytes[length] {
            b'-' | b'+' => length == 0 || exponent,
            b'.' => bytes.get(length + 1) != Some(&b'.'),
            byte => byte.is_ascii_alphanumeric(),
        };
        if !belongs {
            break;
        }
        length += 1;
    }
    length
}

fn quoted(text: &str) -> Option<(TokenKind, usize)> {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((TokenKind::Text(content), at + 1)),
            '\\' => match characters.next()?.1 {
                'n' => content.push('\n'),
                't' => content.push('\t'),
                'r' => content.push('\r'),
                'u' => {
                    let digits: String = characters
                        .by_ref()
                        .map(|(_, c)| c)
                        .skip_while(|&c| c == '{')
                        .take_while(|&c| c != '}')
                        .collect();
                    content.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                }
                other => content.push(other),
            },
            other => content.push(other),
        }
    }
    None
}
