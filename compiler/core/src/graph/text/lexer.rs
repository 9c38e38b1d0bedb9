//! The tokens of graph text, with line and column.

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A word or number: letters, digits and `%_.+-*:/`.
    Word(String),
    /// A text in quotes.
    Text(String),
    /// One of `{}[](),=:`.
    Mark(char),
}

/// A token with its place, both counted from 1.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The token.
    pub token: Token,
    /// Its line.
    pub line: usize,
    /// Its column, in characters.
    pub column: usize,
}

/// Cuts text into tokens.
///
/// # Errors
/// The place and what is wrong there.
pub fn tokens(text: &str) -> Result<Vec<Placed>, (usize, usize, String)> {
    let mut result = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut rest: Vec<(usize, char)> = line.chars().enumerate().collect();
        rest.reverse();
        while let Some(&(column, first)) = rest.last() {
            let token = match first {
                '#' => break,
                c if c.is_whitespace() => {
                    rest.pop();
                    continue;
                }
                '"' => {
                    rest.pop();
                    Token::Text(quoted(&mut rest).ok_or((
                        number + 1,
                        column + 1,
                        "a text without end".to_string(),
                    ))?)
                }
                c if is_word(c) => Token::Word(take_word(&mut rest)),
                c if "{}[](),=:".contains(c) => {
                    rest.pop();
                    Token::Mark(c)
                }
                c => return Err((number + 1, column + 1, format!("`{c}` is not expected"))),
            };
            result.push(Placed {
                token,
                line: number + 1,
                column: column + 1,
            });
        }
    }
    Ok(result)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "%_.+-*".contains(c)
}

/// A colon belongs to a word only inside `nan:…`.
fn take_word(rest: &mut Vec<(usize, char)>) -> String {
    let mut word = String::new();
    while let Some(&(_, c)) = rest.last() {
        if !(is_word(c) || c == ':' && word == "nan") {
            break;
        }
        word.push(c);
        rest.pop();
    }
    word
}

fn quoted(rest: &mut Vec<(usize, char)>) -> Option<String> {
    let mut text = String::new();
    loop {
        match rest.pop()?.1 {
            '"' => return Some(text),
            '\\' => match rest.pop()?.1 {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                other => text.push(other),
            },
            c => text.push(c),
        }
    }
}
