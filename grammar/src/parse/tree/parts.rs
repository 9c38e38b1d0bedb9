//! The children of a pair, without the tokens that only hold them together.

use super::super::Rule;
use pest::iterators::{Pair, Pairs};

/// An iterator over the meaningful children of a pair.
pub(super) struct Parts<'a> {
    pairs: Pairs<'a, Rule>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(pair: Pair<'a, Rule>) -> Parts<'a> {
        Parts {
            pairs: pair.into_inner(),
        }
    }

    /// The next part, if it is of this rule.
    pub(super) fn optional(&mut self, rule: Rule) -> Option<Pair<'a, Rule>> {
        loop {
            let pair = self.pairs.peek()?;
            if pair.as_rule() == rule {
                return self.pairs.next();
            }
            if !is_glue(pair.as_rule()) {
                return None;
            }
            self.pairs.next();
        }
    }

    /// The next part, which the grammar guarantees.
    pub(super) fn required(&mut self) -> Pair<'a, Rule> {
        self.next().expect("the grammar requires this part")
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Pair<'a, Rule>;

    fn next(&mut self) -> Option<Pair<'a, Rule>> {
        self.pairs.find(|pair| !is_glue(pair.as_rule()))
    }
}

/// Tokens whose presence the structure of the grammar already tells.
fn is_glue(rule: Rule) -> bool {
    use Rule::*;
    matches!(
        rule,
        lparen
            | rparen
            | lbracket
            | rbracket
            | lbrace
            | rbrace
            | comma
            | colon
            | dot
            | assign
            | arrow
            | pipe
    ) || is_statement_keyword(rule)
}

fn is_statement_keyword(rule: Rule) -> bool {
    use Rule::*;
    matches!(
        rule,
        kw_let
            | kw_fn
            | kw_block
            | kw_optimizer
            | kw_data
            | kw_train
            | kw_import
            | kw_as
            | kw_param
            | kw_state
            | kw_return
            | kw_for
            | kw_in
            | kw_if
            | kw_else
            | kw_step
            | kw_eval
            | kw_minimize
            | kw_with
            | kw_report
    )
}
