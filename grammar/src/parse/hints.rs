//! What people often mean where the grammar cannot go on.

use super::Rule;
use super::message::Trouble;
use crate::codes::{
    BRACKET_ON_NEW_LINE, KEYWORD_AS_NAME, PIPE_OPERAND, UNCLOSED_BRACKET, UNEXPECTED_TOKEN,
};
use crate::lexer::TokenKind;
use crate::{Diagnostic, KEYWORDS, suggest};

/// Mistakes with a message of their own; the first that recognizes itself wins.
const SPECIAL: &[fn(&Trouble) -> Option<Diagnostic>] = &[
    unclosed,
    closes_nothing,
    pipe_operand,
    keyword_as_name,
    bracket_on_new_line,
    missing_else,
    lone_expression,
];

/// Help for the message that only says what was expected.
const HELPS: &[fn(&Trouble) -> Option<String>] = &[
    foreign_word,
    equals,
    doubled_mark,
    number_without_zero,
    body_in_braces,
    branch_is_expression,
    declaration_part,
    item_level,
];

pub(super) fn special(trouble: &Trouble) -> Option<Diagnostic> {
    SPECIAL.iter().find_map(|recognize| recognize(trouble))
}

pub(super) fn helps(trouble: &Trouble) -> Vec<String> {
    HELPS
        .iter()
        .filter_map(|help| help(trouble))
        .take(2)
        .collect()
}

/// The file or the item ends, or another bracket closes, while a bracket is open.
fn unclosed(trouble: &Trouble) -> Option<Diagnostic> {
    let open = trouble.open_bracket()?;
    let closing = match trouble.text(open) {
        "(" => ")",
        "[" => "]",
        _ => "}",
    };
    let at = trouble.span(open);
    let here = trouble.span(trouble.index);
    let text = trouble.text(open);
    match trouble.found() {
        // `let x = }` lacks a value, not a bracket.
        ")" | "]" | "}" if trouble.found() != closing && !trouble.wants_operand() => {
            let message = format!("this `{}` closes a `{text}`", trouble.found());
            let diagnostic = Diagnostic::error(UNCLOSED_BRACKET, here, message);
            Some(
                diagnostic
                    .here(format!("expected `{closing}`"))
                    .label(at, "opened here"),
            )
        }
        _ if trouble.at_item_or_end() => {
            let message = format!("this `{text}` is not closed");
            let diagnostic = Diagnostic::error(UNCLOSED_BRACKET, at, message);
            Some(diagnostic.label(here, format!("expected `{closing}` before this")))
        }
        _ => None,
    }
}

fn closes_nothing(trouble: &Trouble) -> Option<Diagnostic> {
    let found = trouble.found();
    let closes = matches!(found, ")" | "]" | "}");
    if !closes || trouble.open_bracket().is_some() || trouble.wants_operand() {
        return None;
    }
    let message = format!("this `{found}` closes nothing");
    Some(Diagnostic::error(
        UNCLOSED_BRACKET,
        trouble.span(trouble.index),
        message,
    ))
}

/// `x |> -f`, `x |> if …`.
fn pipe_operand(trouble: &Trouble) -> Option<Diagnostic> {
    let misses = trouble.previous() == "|>" && trouble.token(trouble.index).is_some();
    if !misses || trouble.kind(trouble.index) == Some(TokenKind::Name) {
        return None;
    }
    let found = trouble.name_of(trouble.index);
    let message = format!("expected what the value is passed to, found {found}");
    let diagnostic = Diagnostic::error(PIPE_OPERAND, trouble.span(trouble.index), message)
        .label(trouble.span(trouble.index - 1), "passes the value on")
        .note("the right side of `|>` is a function or block, perhaps with brackets: `x |> f`, `x |> f[2]`");
    let choice =
        "to choose what is called, put the `if` in parentheses: `x |> (if c { f } else { g })`";
    Some(match trouble.found() {
        "if" => diagnostic.help(choice),
        _ => diagnostic,
    })
}

/// A keyword stands where a name is expected, or is given a value as if it were one.
fn keyword_as_name(trouble: &Trouble) -> Option<Diagnostic> {
    let is_keyword = |index| trouble.kind(index) == Some(TokenKind::Keyword);
    let gets_value = |index| matches!(trouble.text(index), "=" | "<-");
    let index = trouble.index;
    let here = is_keyword(index) && {
        let wants_name = trouble.tried_any(&[
            Rule::ident,
            Rule::signature_entry,
            Rule::names,
            Rule::pattern,
            Rule::pattern_list,
            Rule::split,
        ]);
        let in_value = trouble.wants_operand() && !trouble.begins_line(index);
        let in_expression = in_value && trouble.previous() != "{";
        (wants_name && !trouble.begins_line(index)) || in_expression || gets_value(index + 1)
    };
    let before = || {
        let words = ["step", "eval", "report", "minimize", "return", "for", "if"];
        gets_value(index) && words.contains(&trouble.previous())
    };
    let at = match here {
        true => index,
        false if before() => index - 1,
        false => return None,
    };
    let word = trouble.text(at);
    let message = format!("`{word}` is a keyword and cannot be a name");
    let diagnostic = Diagnostic::error(KEYWORD_AS_NAME, trouble.span(at), message);
    Some(diagnostic.help(format!("choose another name, such as `{word}_`")))
}

/// A `(` or `[` where a statement or item may begin.
fn bracket_on_new_line(trouble: &Trouble) -> Option<Diagnostic> {
    let found = trouble.found();
    let can_begin =
        trouble.wants_statement() || trouble.wants_item() || trouble.tried_any(&[Rule::rbrace]);
    if !matches!(found, "(" | "[") || !(can_begin || trouble.wants_operator()) {
        return None;
    }
    let after_value = trouble.index > 0 && trouble.begins_line(trouble.index) && {
        let kind = trouble.kind(trouble.index - 1);
        let ends = matches!(
            kind,
            Some(TokenKind::Name | TokenKind::String | TokenKind::Number)
        );
        ends || matches!(trouble.previous(), ")" | "]")
    };
    if !can_begin && !after_value {
        return None;
    }
    let message = format!("a statement cannot begin with `{found}`");
    let mut diagnostic =
        Diagnostic::error(BRACKET_ON_NEW_LINE, trouble.span(trouble.index), message);
    if after_value {
        let what = match found {
            "(" => "to call this, its `(` must stand on the same line",
            _ => "to index this, its `[` must stand on the same line",
        };
        diagnostic = diagnostic.label(trouble.span(trouble.index - 1), what);
    }
    Some(match trouble.open_bracket() {
        Some(_) => diagnostic.help("is `return` missing before it?"),
        None => diagnostic,
    })
}

/// `let a = if c { x }`.
fn missing_else(trouble: &Trouble) -> Option<Diagnostic> {
    let wants_else = trouble.tried_any(&[Rule::kw_else]) && trouble.previous() == "}";
    if !wants_else || trouble.wants_statement() || trouble.tried_any(&[Rule::rbrace]) {
        return None;
    }
    let message = "an `if` that is a value needs an `else`";
    let diagnostic = Diagnostic::error(UNEXPECTED_TOKEN, trouble.span(trouble.index - 1), message);
    Some(diagnostic.here("expected `else { … }` after this"))
}

/// `net(x)` as a statement; also `lt x = 3`, where a keyword is misspelt.
fn lone_expression(trouble: &Trouble) -> Option<Diagnostic> {
    let wants_assignment = trouble.tried_any(&[Rule::assign]) && trouble.tried_any(&[Rule::update]);
    if !wants_assignment || trouble.index == 0 {
        return None;
    }
    let word = trouble.previous();
    let next_is_word = matches!(
        trouble.kind(trouble.index),
        Some(TokenKind::Name | TokenKind::Keyword | TokenKind::Number | TokenKind::String)
    );
    if next_is_word && !trouble.begins_line(trouble.index) {
        let statements = KEYWORDS.iter().copied();
        let message = format!("there is no statement `{word}`");
        let diagnostic =
            Diagnostic::error(UNEXPECTED_TOKEN, trouble.span(trouble.index - 1), message);
        return Some(match foreign_word(trouble) {
            Some(help) => diagnostic.help(help),
            None => diagnostic.did_you_mean(suggest(word, statements)),
        });
    }
    let continues = ["(", "[", ".", "|>", "+", "-", "*", "/", "@", "^", "%", "}"];
    let doubled = trouble.text(trouble.index + 1) == "=" && trouble.touches_next(trouble.index);
    if !continues.contains(&trouble.found()) && !next_is_word || doubled {
        return None;
    }
    let message = "an expression alone is no statement";
    let diagnostic = Diagnostic::error(UNEXPECTED_TOKEN, trouble.span(trouble.index - 1), message);
    Some(diagnostic.help("is `return`, `let NAME =` or `report` missing before it?"))
}

/// Words of other languages, where a statement or item begins.
fn foreign_word(trouble: &Trouble) -> Option<String> {
    let words = [trouble.found(), trouble.previous()];
    words.into_iter().find_map(|word| {
        Some(match word {
            "def" | "function" | "func" | "fun" => {
                format!("a function is written `fn`, not `{word}`")
            }
            "class" | "module" | "model" | "struct" => {
                format!("a model with parameters is written `block`, not `{word}`")
            }
            "var" | "const" | "val" | "mut" => {
                "a name is bound with `let`, and bound again with `name = …`".to_owned()
            }
            "while" | "loop" => "loops are written `for i in 0..n { … }`".to_owned(),
            "elif" | "elseif" => format!("write `else if`, not `{word}`"),
            "from" | "use" | "include" | "require" => {
                "files are taken in with `import \"file.dlm\" as name`".to_owned()
            }
            "print" | "log" => "values are shown with `report` in a `step` or `eval`".to_owned(),
            "lambda" => "functions are items: `fn name(x: f32[..]) { return … }`".to_owned(),
            _ => return None,
        })
    })
}

fn equals(trouble: &Trouble) -> Option<String> {
    match trouble.found() {
        "=" if trouble.wants_operator() => Some("to compare, write `==`".to_owned()),
        "==" if trouble.tried_any(&[Rule::assign, Rule::default]) => {
            Some("to give a value, write `=`".to_owned())
        }
        "<-" if trouble.wants_operator() => {
            Some("`<-` is one token: to compare with a negative number, write `< -`".to_owned())
        }
        _ => None,
    }
}

/// `//`, `**`, `+=` and the like: a mark that is followed by another without a space.
fn doubled_mark(trouble: &Trouble) -> Option<String> {
    let pair = |first: usize| {
        (
            trouble.text(first),
            trouble.text(first + 1),
            trouble.touches_next(first),
        )
    };
    let pairs = [Some(trouble.index), trouble.index.checked_sub(1)];
    pairs.into_iter().flatten().find_map(|first| {
        Some(match pair(first) {
            ("/", "/", true) => {
                "comments begin with `#`; for whole division, `floor(a / b)`".to_owned()
            }
            ("*", "*", true) => "a power is written `^`".to_owned(),
            ("+", "+", true) | ("-", "-", true) => "write `x = x + 1`".to_owned(),
            ("=", ">", true) => "a body stands in braces: `{ … }`".to_owned(),
            (":", "=", true) => "write `let x = …`".to_owned(),
            (op @ ("+" | "-" | "*" | "/" | "@" | "^" | "%"), "=", true) => {
                format!("write `x = x {op} …`")
            }
            _ => return None,
        })
    })
}

fn number_without_zero(trouble: &Trouble) -> Option<String> {
    let next = trouble.index + 1;
    let is_fraction = trouble.found() == "." && trouble.kind(next) == Some(TokenKind::Number);
    if trouble.wants_operand() && is_fraction && trouble.touches_next(trouble.index) {
        return Some(format!("write `0.{}`", trouble.text(next)));
    }
    let plus = trouble.found() == "+" && trouble.wants_operand();
    plus.then(|| "there is no `+` in front of a value: leave it out".to_owned())
}

fn body_in_braces(trouble: &Trouble) -> Option<String> {
    let wants_body = trouble.tried_any(&[Rule::body, Rule::lbrace, Rule::value_body]);
    let asks = wants_body && matches!(trouble.found(), ":" | "=" | "->" | "return" | "then" | "do");
    asks.then(|| "a body stands in braces: `{ … }`".to_owned())
}

fn branch_is_expression(trouble: &Trouble) -> Option<String> {
    let statement = trouble.kind(trouble.index) == Some(TokenKind::Keyword);
    let asks = statement && trouble.previous() == "{" && trouble.wants_operand();
    asks.then(|| {
        "the branches of an `if` that is a value are single expressions; use the statement `if` and rebind".to_owned()
    })
}

fn declaration_part(trouble: &Trouble) -> Option<String> {
    let before = trouble
        .index
        .checked_sub(2)
        .map_or("", |index| trouble.text(index));
    Some(match (before, trouble.found()) {
        ("param", "=") => "a parameter has a type: `param name: f32[…] = init`".to_owned(),
        ("let", ":") => "a `let` takes the type of its value: leave the type out".to_owned(),
        (_, "=") if before != "let" && trouble.tried_any(&[Rule::colon, Rule::annotation]) => {
            "a type is missing".to_owned()
        }
        _ if trouble.previous() == "import" => "write `import \"file.dlm\" as name`".to_owned(),
        _ => return None,
    })
}

/// A statement that stands outside of every body, or a misspelt item.
fn item_level(trouble: &Trouble) -> Option<String> {
    if !trouble.wants_item() {
        return None;
    }
    let found = trouble.found();
    if trouble.kind(trouble.index) == Some(TokenKind::Keyword) {
        return Some(format!(
            "`{found}` stands in the body of a `fn`, `block`, `optimizer` or `train`"
        ));
    }
    if matches!(trouble.text(trouble.index + 1), "=" | "<-") {
        return Some("a constant of the file is written `let NAME = …`".to_owned());
    }
    let near = suggest(found, crate::lexer::ITEM_KEYWORDS.iter().copied())?;
    Some(format!("did you mean `{near}`?"))
}
