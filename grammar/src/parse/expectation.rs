//! What the grammar tried, in the language's words.

use super::Rule;

/// How what was expected is listed; the order is that of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Expected {
    /// A syntactic whole, such as “an expression”.
    Whole(&'static str),
    /// A token, shown as code.
    Token(&'static str),
    /// An operator or call that could continue an expression: named only where nothing else is expected.
    Continuation,
}

/// The expectations behind the rules that were tried at one place, each once.
pub(super) fn expectations(tried: &[Rule]) -> Vec<Expected> {
    let in_expression = tried
        .iter()
        .any(|&rule| expectation(rule) == Some(Expected::Continuation));
    let of_rule = |&rule: &Rule| match rule {
        // A call's or an index's bracket.
        Rule::lparen | Rule::lbracket if in_expression => Some(Expected::Continuation),
        _ => expectation(rule),
    };
    let mut found: Vec<Expected> = tried.iter().filter_map(of_rule).collect();
    found.sort();
    found.dedup();
    found
}

/// “an expression, `,` or `)`”; none where nothing helpful can be said.
pub(super) fn describe(expected: &[Expected]) -> Option<String> {
    let words = expected.iter().filter_map(|each| match each {
        Expected::Whole(text) => Some((*text).to_owned()),
        Expected::Token(text) => Some(format!("`{text}`")),
        Expected::Continuation => None,
    });
    let mut words: Vec<String> = words.collect();
    if words.is_empty() && expected.contains(&Expected::Continuation) {
        words.push("an operator".to_owned());
    }
    let last = words.pop()?;
    Some(match words.as_slice() {
        [] => last,
        _ => format!("{} or {last}", words.join(", ")),
    })
}

fn expectation(rule: Rule) -> Option<Expected> {
    use Expected::{Continuation, Token, Whole};
    Some(match rule {
        Rule::item
        | Rule::lone_item
        | Rule::next_item
        | Rule::let_item
        | Rule::data_item
        | Rule::import_item
        | Rule::train_item
        | Rule::definition => {
            Whole("an item (`let`, `fn`, `block`, `optimizer`, `data`, `train` or `import`)")
        }
        Rule::statement
        | Rule::let_statement
        | Rule::param
        | Rule::state
        | Rule::return_
        | Rule::for_
        | Rule::if_
        | Rule::step
        | Rule::eval
        | Rule::minimize
        | Rule::report
        | Rule::assignment
        | Rule::names => Whole("a statement"),
        Rule::expr
        | Rule::binary
        | Rule::operand
        | Rule::postfix
        | Rule::primary
        | Rule::number
        | Rule::group
        | Rule::list
        | Rule::true_
        | Rule::false_
        | Rule::none
        | Rule::if_value
        | Rule::kw_not
        | Rule::minus
        | Rule::dim
        | Rule::report_entry
        | Rule::argument
        | Rule::bracket_item => Whole("an expression"),
        Rule::type_ | Rule::tuple_type | Rule::list_type | Rule::named_type | Rule::type_word => {
            Whole("a type")
        }
        Rule::ident | Rule::word | Rule::signature_entry | Rule::split => Whole("a name"),
        Rule::pattern | Rule::pattern_list | Rule::tuple_pattern => {
            Whole("a name or names in parentheses")
        }
        Rule::string => Whole("a string"),
        Rule::body | Rule::value_body | Rule::lbrace => Token("{"),
        Rule::rbrace => Token("}"),
        Rule::lparen | Rule::params => Token("("),
        Rule::rparen => Token(")"),
        Rule::lbracket | Rule::statics | Rule::dims => Token("["),
        Rule::rbracket => Token("]"),
        Rule::comma | Rule::group_comma => Token(","),
        Rule::colon | Rule::annotation => Token(":"),
        Rule::assign | Rule::default => Token("="),
        Rule::update => Token("<-"),
        Rule::arrow | Rule::results => Token("->"),
        Rule::kw_in => Token("in"),
        Rule::kw_as => Token("as"),
        Rule::kw_with => Token("with"),
        Rule::kw_else => Token("else"),
        Rule::operator
        | Rule::stray
        | Rule::pipe
        | Rule::pipe_stage
        | Rule::call
        | Rule::bracket
        | Rule::access
        | Rule::comparison
        | Rule::dotdot
        | Rule::plus
        | Rule::times
        | Rule::kw_and
        | Rule::kw_or
        | Rule::dot
        | Rule::slice
        | Rule::slice_part
        | Rule::rest => Continuation,
        _ => return None,
    })
}
