//! Text to tokens.

use super::ParseError;

/// A token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) kind: TokenKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A name, keyword, entity or number without sign.
    Word(String),
    /// What stood between quotation marks, escapes resolved.
    Text(String),
    /// One of the marks.
    Mark(&'static str),
    /// After the last one.
    End,
}

impl std::fmt::Display for TokenKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TokenKind::Word(word) => write!(f, "`{word}`"),
            TokenKind::Text(text) => write!(f, "\"{}\"", text.escape_default()),
            TokenKind::Mark(mark) => write!(f, "`{mark}`"),
            TokenKind::End => f.write_str("the end"),
        }
    }
}

const MARKS: [&str; 14] = [
    "..", "->", "{", "}", "[", "]", "(", ")", ":", ",", ";", "+", "-", "*",
];

/// The tokens of the text before its first kernel, an [`TokenKind::End`] after them; `#` begins a comment. The
/// second result is the line, from 0, of the first kernel: a line that begins with `kernel`, unindented.
pub(super) fn tokens(text: &str) -> Result<(Vec<Token>, usize), ParseError> {
    let mut found = Vec::new();
    let mut count = 0;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("kernel ") {
            break;
        }
        line_tokens(line, number + 1, &mut found)?;
        count = number + 1;
    }
    found.push(Token {
        line: count.max(1),
        column: text
            .lines()
            .nth(count.saturating_sub(1))
            .unwrap_or("")
            .chars()
            .count()
            + 1,
        kind: TokenKind::End,
    });
    Ok((found, count))
}

fn line_tokens(line: &str, number: usize, found: &mut Vec<Token>) -> Result<(), ParseError> {
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let column = line[..line.len() - rest.len()].chars().count() + 1;
        let (kind, length) = token(rest).ok_or_else(|| ParseError {
            line: number,
            column,
            message: match rest.starts_with('"') {
                true => "the text in quotation marks does not end, or has an unknown escape".into(),
                false => format!("`{}` begins nothing", rest.chars().next().unwrap_or(' ')),
            },
        })?;
        found.push(Token {
            line: number,
            column,
            kind,
        });
        rest = rest[length..].trim_start();
    }
    Ok(())
}

/// The first token and its bytes.
fn token(text: &str) -> Option<(TokenKind, usize)> {
    if text.starts_with('"') {
        return quoted(text);
    }
    if let Some(mark) = MARKS.into_iter().find(|mark| text.starts_with(mark)) {
        return Some((TokenKind::Mark(mark), mark.len()));
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let length = text.find(|c| !is_word(c)).unwrap_or(text.len());
    (length > 0).then(|| (TokenKind::Word(text[..length].into()), length))
}

/// What [`str::escape_default`] writes.
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
                    let digits = characters.by_ref().map(|(_, c)| c);
                    let digits: String = digits
                        .skip_while(|&c| c == '{')
                        .take_while(|&c| c != '}')
                        .collect();
                    content.push(char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?);
                }
                c @ ('"' | '\'' | '\\') => content.push(c),
                _ => return None,
            },
            other => content.push(other),
        }
    }
    None
}
