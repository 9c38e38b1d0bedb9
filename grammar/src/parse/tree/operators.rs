//! Operators and their precedence: operands and operators in a row to a tree, without recursion.

use super::super::Rule;
use super::Builder;
use super::expr::Tall;
use super::parts::Parts;
use crate::ast::{BinaryOp, ExprKind, Operator, UnaryOp};
use crate::codes::{CHAINED_COMPARISON, NOT_OPERAND};
use crate::{Diagnostic, Span};
use pest::iterators::Pair;

/// An operator that waits for its right operand.
#[derive(Clone, Copy)]
enum Pending {
    Prefix(UnaryOp, Span),
    Binary(BinaryOp, Span),
    Range(Span),
}

impl Pending {
    /// How tight the operator binds.
    fn level(self) -> u8 {
        match self {
            Pending::Binary(BinaryOp::Or, _) => 1,
            Pending::Binary(BinaryOp::And, _) => 2,
            Pending::Prefix(UnaryOp::Not, _) => 3,
            Pending::Binary(op, _) if op.is_comparison() => 4,
            Pending::Range(_) => 5,
            Pending::Binary(BinaryOp::Add | BinaryOp::Subtract, _) => 6,
            Pending::Prefix(UnaryOp::Negate, _) => 8,
            Pending::Binary(BinaryOp::Power, _) => 9,
            Pending::Binary(..) => 7,
        }
    }

    /// Whether the operator takes its right operand before `next`, which follows that operand.
    fn binds_before(self, next: Pending) -> bool {
        let right_associative = matches!(next, Pending::Binary(BinaryOp::Power, _));
        self.level() > next.level() || (self.level() == next.level() && !right_associative)
    }
}

/// The operands and operators of one row that are not yet combined.
#[derive(Default)]
struct Row {
    values: Vec<Tall>,
    pending: Vec<Pending>,
}

impl Builder<'_> {
    /// An expression of [`Rule::binary`].
    pub(super) fn binary(&mut self, pair: Pair<Rule>) -> Tall {
        let mut row = Row::default();
        for part in Parts::of(pair) {
            if part.as_rule() == Rule::operand {
                self.operand(part, &mut row);
                continue;
            }
            let next = self.operator(&part);
            while row
                .pending
                .last()
                .is_some_and(|last| last.binds_before(next))
            {
                self.combine(&mut row);
            }
            row.pending.push(next);
        }
        while !row.pending.is_empty() {
            self.combine(&mut row);
        }
        row.values.pop().expect("a row has an operand")
    }

    fn operand(&mut self, pair: Pair<Rule>, row: &mut Row) {
        for part in Parts::of(pair) {
            let span = self.span(&part);
            match part.as_rule() {
                Rule::minus => row.pending.push(Pending::Prefix(UnaryOp::Negate, span)),
                Rule::kw_not => {
                    self.check_not(row.pending.last().copied(), span);
                    row.pending.push(Pending::Prefix(UnaryOp::Not, span));
                }
                Rule::if_value => row.values.push(self.if_value(part)),
                _ => row.values.push(self.postfix(part)),
            }
        }
    }

    /// `not` binds looser than what stands before it, so its operand would end in an unexpected place.
    fn check_not(&mut self, before: Option<Pending>, span: Span) {
        let not = Pending::Prefix(UnaryOp::Not, span);
        let Some(before) = before.filter(|before| before.level() > not.level()) else {
            return;
        };
        let symbol = match before {
            Pending::Prefix(op, _) => op.symbol(),
            Pending::Binary(op, _) => op.symbol(),
            Pending::Range(_) => "..",
        };
        let message = format!("`not` binds looser than the `{symbol}` before it");
        let diagnostic = Diagnostic::error(NOT_OPERAND, span, message)
            .help("put `not` and its operand in parentheses");
        self.report(diagnostic);
    }

    fn operator(&self, pair: &Pair<Rule>) -> Pending {
        let span = self.span(pair);
        let symbol = pair.as_str();
        let op = BinaryOp::ALL.into_iter().find(|op| op.symbol() == symbol);
        match op {
            Some(op) => Pending::Binary(op, span),
            None => Pending::Range(span),
        }
    }

    /// Applies the last pending operator to the last operands.
    fn combine(&mut self, row: &mut Row) {
        let (Some(pending), Some(right)) = (row.pending.pop(), row.values.pop()) else {
            return;
        };
        let combined = match pending {
            Pending::Prefix(op, op_span) => {
                let span = op_span.to(right.expr.span);
                let operand = Box::new(right.expr);
                let kind = ExprKind::Unary {
                    op,
                    op_span,
                    operand,
                };
                self.node(kind, span, right.height)
            }
            Pending::Binary(..) | Pending::Range(_) => {
                let left = row
                    .values
                    .pop()
                    .expect("an operand stands before each operator");
                self.combine_two(pending, left, right)
            }
        };
        row.values.push(combined);
    }

    fn combine_two(&mut self, pending: Pending, left: Tall, right: Tall) -> Tall {
        self.check_chain(pending, &left, &right);
        let span = left.expr.span.to(right.expr.span);
        let below = left.height.max(right.height);
        let (left, right) = (Box::new(left.expr), Box::new(right.expr));
        let kind = match pending {
            Pending::Binary(kind, span) => ExprKind::Binary {
                op: Operator { kind, span },
                left,
                right,
            },
            _ => ExprKind::Range {
                start: left,
                end: right,
            },
        };
        self.node(kind, span, below)
    }

    /// Comparisons and ranges do not follow one another without parentheses.
    fn check_chain(&mut self, pending: Pending, left: &Tall, right: &Tall) {
        if self.is_full() {
            return;
        }
        let text = |span: Span| self.quote(span);
        let diagnostic = match (pending, &left.expr.kind) {
            (
                Pending::Binary(second, span),
                ExprKind::Binary {
                    op, right: middle, ..
                },
            ) if second.is_comparison() && op.kind.is_comparison() => {
                let first = text(left.expr.span);
                let (middle, last) = (text(middle.span), text(right.expr.span));
                let both = format!("{first} and {middle} {} {last}", second.symbol());
                Diagnostic::error(CHAINED_COMPARISON, span, "comparisons are not chained")
                    .label(op.span, "the first comparison")
                    .help(format!("write `{both}`"))
            }
            (Pending::Range(span), ExprKind::Range { .. }) => {
                let message = "a range has two ends";
                Diagnostic::error(CHAINED_COMPARISON, span, message)
                    .label(left.expr.span, "this is a range")
            }
            _ => return,
        };
        self.report(diagnostic);
    }
}
