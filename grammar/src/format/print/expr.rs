//! Expressions but for pipes.

use super::super::document::Doc;
use super::Printer;
use crate::ast::{Argument, BinaryOp, BracketItem, BracketKind, Expr, ExprBranch, ExprKind};

impl Printer<'_> {
    pub(super) fn expr(&self, expr: &Expr) -> Doc {
        let start = expr.span.start as usize;
        let close = (expr.span.end as usize).saturating_sub(1);
        match &expr.kind {
            // As written: `5e-4` and `0.0005` are the same number, and the author's choice.
            ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::String(_) => self.verbatim(expr.span),
            ExprKind::Bool(true) => Doc::word("true", start),
            ExprKind::Bool(false) => Doc::word("false", start),
            ExprKind::None => Doc::word("none", start),
            ExprKind::Name(name) => Doc::word(name.as_str(), start),
            ExprKind::Access { base, name } => {
                Doc::Concat(vec![self.expr(base), Doc::mark("."), self.ident(name)])
            }
            ExprKind::Call { callee, args } => {
                let entries = args
                    .iter()
                    .map(|argument| self.argument(argument))
                    .collect();
                let atom = matches!(args.as_slice(), [Argument { name: None, value, .. }] if is_atom(value));
                Doc::Concat(vec![
                    self.expr(callee),
                    self.enclosed("(", entries, ")", close, atom),
                ])
            }
            ExprKind::Bracket { base, items } => {
                let entries = items.iter().map(|item| self.bracket_item(item)).collect();
                let single = matches!(items.as_slice(), [item] if is_atom_item(item));
                Doc::Concat(vec![
                    self.expr(base),
                    self.enclosed("[", entries, "]", close, single),
                ])
            }
            ExprKind::Paren(inner) => {
                self.enclosed("(", vec![Doc::align(self.expr(inner))], ")", close, true)
            }
            ExprKind::Tuple(elements) => self.tuple(elements, close),
            ExprKind::List(elements) => self.list(elements, close),
            ExprKind::If {
                branches,
                otherwise,
            } => self.if_value(start, branches, otherwise),
            ExprKind::Unary {
                op,
                op_span,
                operand,
            } => {
                let space = if op.symbol() == "not" { " " } else { "" };
                let operator = Doc::word(format!("{}{space}", op.symbol()), op_span.start as usize);
                Doc::Concat(vec![operator, self.expr(operand)])
            }
            ExprKind::Binary { .. } => self.binary(expr),
            ExprKind::Range { start, end } => {
                Doc::Concat(vec![self.expr(start), Doc::mark(".."), self.expr(end)])
            }
            ExprKind::Pipe { source, stages } => self.pipe(source, stages),
        }
    }

    /// Brackets that break where they must, or never if what they hold would gain nothing.
    fn enclosed(
        &self,
        open: &str,
        entries: Vec<Doc>,
        close: &str,
        close_at: usize,
        tight: bool,
    ) -> Doc {
        if !tight {
            return self.bracketed(open, entries, close, close_at);
        }
        let mut docs = vec![Doc::mark(open)];
        docs.extend(entries);
        docs.push(Doc::word(close, close_at));
        Doc::Concat(docs)
    }

    fn tuple(&self, elements: &[Expr], close: usize) -> Doc {
        let entries: Vec<Doc> = elements.iter().map(|element| self.expr(element)).collect();
        match <[Doc; 1]>::try_from(entries) {
            Ok([only]) => Doc::Concat(vec![
                Doc::mark("("),
                only,
                Doc::mark(","),
                Doc::word(")", close),
            ]),
            Err(entries) => self.bracketed("(", entries, ")", close),
        }
    }

    /// A list of words that does not fit is filled line by line, others have one element to a line.
    fn list(&self, elements: &[Expr], close: usize) -> Doc {
        let entries: Vec<Doc> = elements.iter().map(|element| self.expr(element)).collect();
        if entries.len() < 2 || !elements.iter().all(is_short) {
            return self.bracketed("[", entries, "]", close);
        }
        let inside = vec![
            Doc::SoftLine,
            self.listed(entries),
            Doc::IfBroken(","),
            Doc::Comments(close),
        ];
        Doc::group(Doc::Concat(vec![
            Doc::mark("["),
            Doc::nest(Doc::Concat(inside)),
            Doc::SoftLine,
            Doc::word("]", close),
        ]))
    }

    fn argument(&self, argument: &Argument) -> Doc {
        let value = self.expr(&argument.value);
        match &argument.name {
            Some(name) => Doc::Concat(vec![self.ident(name), Doc::mark("="), value]),
            None => value,
        }
    }

    fn bracket_item(&self, item: &BracketItem) -> Doc {
        match &item.kind {
            BracketKind::Value(value) => self.expr(value),
            BracketKind::Named { name, value } => {
                Doc::Concat(vec![self.ident(name), Doc::mark("="), self.expr(value)])
            }
            BracketKind::Rest => Doc::word("..", item.span.start as usize),
            BracketKind::Slice { start, stop, step } => {
                let part = |part: &Option<Expr>| {
                    part.as_ref()
                        .map_or_else(Doc::empty, |part| self.expr(part))
                };
                let at = start
                    .as_ref()
                    .map_or(item.span.start, |start| start.span.end);
                let colon = Doc::word(":", self.text.find(":", at as usize));
                let mut docs = vec![part(start), colon, part(stop)];
                if step.is_some() {
                    docs.extend([Doc::mark(":"), part(step)]);
                }
                Doc::Concat(docs)
            }
        }
    }

    /// A row of operators of one precedence, broken before those that do not fit.
    fn binary(&self, expr: &Expr) -> Doc {
        let ExprKind::Binary { op, .. } = &expr.kind else {
            return self.expr(expr);
        };
        let level = level(op.kind);
        let mut rows = Vec::new();
        let mut left = expr;
        while let ExprKind::Binary {
            op,
            left: before,
            right,
        } = &left.kind
            && self::level(op.kind) == level
            && (left.span == expr.span || op.kind != BinaryOp::Power)
        {
            let operator = Doc::word(format!("{} ", op.kind.symbol()), op.span.start as usize);
            rows.push(Doc::fill(
                1,
                Doc::Concat(vec![operator, self.grouped(right)]),
            ));
            left = before;
        }
        rows.push(self.grouped(left));
        rows.reverse();
        Doc::align(Doc::Concat(rows))
    }

    fn grouped(&self, expr: &Expr) -> Doc {
        let doc = self.expr(expr);
        match expr.kind {
            ExprKind::Binary { .. } => Doc::group(doc),
            _ => doc,
        }
    }

    /// The branches that do not fit stand on lines of their own, closed behind the value.
    fn if_value(&self, start: usize, branches: &[ExprBranch], otherwise: &Expr) -> Doc {
        let value = |value: &Expr| {
            let inside = Doc::Concat(vec![Doc::Line, self.expr(value)]);
            let close = self.text.find("}", value.span.end as usize);
            let nested = Doc::group(Doc::nest(inside));
            Doc::Concat(vec![
                Doc::mark("{"),
                nested,
                Doc::mark(" "),
                Doc::word("}", close),
            ])
        };
        let mut docs = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            docs.push(match index {
                0 => Doc::word("if ", start),
                _ => Doc::mark(" else if "),
            });
            docs.extend([
                self.expr(&branch.condition),
                Doc::mark(" "),
                value(&branch.value),
            ]);
        }
        docs.extend([Doc::mark(" else "), value(otherwise)]);
        Doc::align(Doc::Concat(docs))
    }
}

/// Whether an expression is one word.
fn is_atom(expr: &Expr) -> bool {
    matches!(
        expr.kind,
        ExprKind::Int(_)
            | ExprKind::Float(_)
            | ExprKind::Bool(_)
            | ExprKind::String(_)
            | ExprKind::None
            | ExprKind::Name(_)
    )
}

fn is_atom_item(item: &BracketItem) -> bool {
    match &item.kind {
        BracketKind::Value(value) => is_atom(value),
        BracketKind::Rest => true,
        BracketKind::Named { .. } | BracketKind::Slice { .. } => false,
    }
}

/// Whether an expression is one word, perhaps with a sign.
fn is_short(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Unary { operand, .. } => is_atom(operand),
        _ => is_atom(expr),
    }
}

/// Operators of one level stand in one row.
fn level(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 0,
        BinaryOp::And => 1,
        op if op.is_comparison() => 2,
        BinaryOp::Add | BinaryOp::Subtract => 3,
        BinaryOp::Power => 5,
        _ => 4,
    }
}
