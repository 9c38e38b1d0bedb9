//! Every kind of diagnostic that this crate makes.

crate::codes! {
    INVALID_CHARACTER = "invalid-character", "a character that no token of the language contains";
    INVALID_NUMBER = "invalid-number", "digits that make no number, or a number out of range";
    INVALID_STRING = "invalid-string", "a string that is not closed, or an escape in it that does not exist";
    TOO_DEEP = "too-deep", "brackets or operators nest deeper than the compiler admits";
    FILE_TOO_LARGE = "file-too-large", "a file of more text than the compiler admits";
    UNEXPECTED_TOKEN = "unexpected-token", "something stands where something else is expected";
    UNCLOSED_BRACKET = "unclosed-bracket", "a bracket that is not closed, or closed by one of another kind";
    KEYWORD_AS_NAME = "keyword-as-name", "a word of the language stands where a name is expected";
    BRACKET_ON_NEW_LINE = "bracket-on-new-line", "a `(` or `[` begins a line and so belongs to nothing";
    PIPE_OPERAND = "pipe-operand", "the right side of `|>` is more than one postfix expression";
    CHAINED_COMPARISON = "chained-comparison", "two comparisons or two ranges in a row";
    NOT_OPERAND = "not-operand", "`not` stands as the operand of a tighter operator without parentheses";
    UNKNOWN_TYPE = "unknown-type", "a word stands as a type that names none";
    TYPE_WITHOUT_SHAPE = "type-without-shape", "a type that has no shape is given one";
    SEVERAL_RESTS = "several-rests", "more than one `..` in a type or an index";
    POSITION_AFTER_NAME = "position-after-name", "an argument by position stands after one by name";
    PATTERN_PARENTHESES = "pattern-parentheses", "the names of a loop, `step` or `eval` need parentheses, or have too many";
    MISPLACED_STATEMENT = "misplaced-statement", "a statement stands where its kind has no meaning";
    MISSING_PART = "missing-part", "a train has no `step` and no `eval`, or more than one `step`";
}
