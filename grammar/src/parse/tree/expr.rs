//! Expressions but for operators.

use super::super::{Rule, limits};
use super::Builder;
use super::parts::Parts;
use crate::ast::{Argument, BracketItem, BracketKind, Expr, ExprBranch, ExprKind, Ident};
use crate::codes::{PIPE_OPERAND, POSITION_AFTER_NAME};
use crate::{Diagnostic, MAX_NESTING, Span};
use pest::iterators::Pair;

/// An expression with its height as a tree, which is kept from growing without bound: chains of operators
/// or calls nest without any bracket.
pub(super) struct Tall {
    pub(super) expr: Expr,
    pub(super) height: usize,
}

impl Builder<'_> {
    pub(super) fn expr(&mut self, pair: Pair<Rule>) -> Expr {
        self.tall(pair).expr
    }

    /// A node over children whose greatest height is `below`. One that is too high becomes an error.
    pub(super) fn node(&mut self, kind: ExprKind, span: Span, below: usize) -> Tall {
        if below < MAX_NESTING {
            let height = below + 1;
            return Tall {
                expr: Expr { kind, span },
                height,
            };
        }
        let known = self
            .diagnostics
            .iter()
            .any(|each| each.code == crate::codes::TOO_DEEP);
        if !known {
            self.report(limits::too_deep(span));
        }
        let kind = ExprKind::None;
        Tall {
            expr: Expr { kind, span },
            height: 1,
        }
    }

    /// An expression of [`Rule::expr`].
    pub(super) fn tall(&mut self, pair: Pair<Rule>) -> Tall {
        let span = self.span(&pair);
        let mut parts = Parts::of(pair);
        let source = self.binary(parts.required());
        let mut below = source.height;
        let mut stages = Vec::new();
        for stage in parts {
            let stage = self.pipe_stage(stage);
            below = below.max(stage.height);
            stages.push(stage.expr);
        }
        if stages.is_empty() {
            return source;
        }
        let source = Box::new(source.expr);
        self.node(ExprKind::Pipe { source, stages }, span, below)
    }

    fn pipe_stage(&mut self, pair: Pair<Rule>) -> Tall {
        let mut parts = Parts::of(pair);
        let stage = self.postfix(parts.required());
        let strays: Vec<Span> = parts.map(|stray| self.span(&stray)).collect();
        if let (Some(first), Some(last)) = (strays.first(), strays.last()) {
            let called = self.quote(stage.expr.span);
            let rest = self.quote(first.to(*last));
            let message = "the right side of `|>` is one call, without operators";
            let diagnostic = Diagnostic::error(PIPE_OPERAND, first.to(*last), message)
                .label(stage.expr.span, "this is what the value is passed to")
                .help(format!(
                    "to compute with the result, write `(… |> {called}) {rest}`"
                ))
                .help("to compute what is called, give it a name with `let` first");
            self.report(diagnostic);
        }
        stage
    }

    pub(super) fn postfix(&mut self, pair: Pair<Rule>) -> Tall {
        let start = self.span(&pair);
        let mut parts = Parts::of(pair);
        let mut base = self.primary(parts.required());
        for suffix in parts {
            let span = Span {
                end: self.span(&suffix).end,
                ..start
            };
            let below = base.height;
            base = match suffix.as_rule() {
                Rule::access => {
                    let name = self.ident(&Parts::of(suffix).required());
                    let base = Box::new(base.expr);
                    self.node(ExprKind::Access { base, name }, span, below)
                }
                Rule::call => {
                    let (args, inside) = self.arguments(suffix);
                    let callee = Box::new(base.expr);
                    self.node(ExprKind::Call { callee, args }, span, below.max(inside))
                }
                _ => {
                    let (items, inside) = self.bracket_items(suffix);
                    let base = Box::new(base.expr);
                    self.node(ExprKind::Bracket { base, items }, span, below.max(inside))
                }
            };
        }
        base
    }

    fn primary(&mut self, pair: Pair<Rule>) -> Tall {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::number => self.number(&pair),
            Rule::string => ExprKind::String(self.string(&pair)),
            Rule::true_ => ExprKind::Bool(true),
            Rule::false_ => ExprKind::Bool(false),
            Rule::none => ExprKind::None,
            Rule::ident => ExprKind::Name(pair.as_str().to_owned()),
            Rule::group => return self.group(pair, span),
            _ => {
                let (elements, below) = self.expressions(Parts::of(pair));
                return self.node(ExprKind::List(elements), span, below);
            }
        };
        self.node(kind, span, 0)
    }

    fn group(&mut self, pair: Pair<Rule>, span: Span) -> Tall {
        let trailing_comma = pair
            .clone()
            .into_inner()
            .any(|part| part.as_rule() == Rule::group_comma);
        let inside = Parts::of(pair).filter(|part| part.as_rule() == Rule::expr);
        let (mut elements, below) = self.expressions(inside);
        let kind = match elements.len() {
            1 if !trailing_comma => ExprKind::Paren(Box::new(elements.swap_remove(0))),
            _ => ExprKind::Tuple(elements),
        };
        self.node(kind, span, below)
    }

    fn expressions<'a>(
        &mut self,
        pairs: impl Iterator<Item = Pair<'a, Rule>>,
    ) -> (Vec<Expr>, usize) {
        let mut below = 0;
        let expressions = pairs.map(|pair| {
            let element = self.tall(pair);
            below = below.max(element.height);
            element.expr
        });
        let expressions = expressions.collect();
        (expressions, below)
    }

    fn arguments(&mut self, pair: Pair<Rule>) -> (Vec<Argument>, usize) {
        let mut below = 0;
        let mut args = Vec::new();
        for argument in Parts::of(pair) {
            let span = self.span(&argument);
            let mut parts = Parts::of(argument);
            let name = parts.optional(Rule::ident).map(|name| self.ident(&name));
            let value = self.tall(parts.required());
            below = below.max(value.height);
            let value = value.expr;
            args.push(Argument { name, value, span });
        }
        let order = args.iter().map(|arg| (arg.name.as_ref(), arg.span));
        self.check_order(order.collect());
        (args, below)
    }

    fn bracket_items(&mut self, pair: Pair<Rule>) -> (Vec<BracketItem>, usize) {
        let mut below = 0;
        let mut items = Vec::new();
        for item in Parts::of(pair) {
            let span = self.span(&item);
            let (kind, inside) = self.bracket_item(item);
            below = below.max(inside);
            items.push(BracketItem { kind, span });
        }
        let is_rest = |item: &&BracketItem| item.kind == BracketKind::Rest;
        let rests: Vec<Span> = items.iter().filter(is_rest).map(|item| item.span).collect();
        self.check_rests(&rests, "an index");
        let order = items.iter().map(|item| match &item.kind {
            BracketKind::Named { name, .. } => (Some(name), item.span),
            _ => (None, item.span),
        });
        self.check_order(order.collect());
        (items, below)
    }

    fn bracket_item(&mut self, pair: Pair<Rule>) -> (BracketKind, usize) {
        let mut parts = Parts::of(pair);
        let first = parts.required();
        match first.as_rule() {
            Rule::rest => (BracketKind::Rest, 0),
            Rule::slice => self.slice(None, first),
            Rule::named_item => {
                let mut parts = Parts::of(first);
                let name = self.ident(&parts.required());
                let value = self.tall(parts.required());
                let kind = BracketKind::Named {
                    name,
                    value: value.expr,
                };
                (kind, value.height)
            }
            _ => {
                let value = self.tall(first);
                match parts.next() {
                    Some(slice) => self.slice(Some(value), slice),
                    None => (BracketKind::Value(value.expr), value.height),
                }
            }
        }
    }

    fn slice(&mut self, start: Option<Tall>, pair: Pair<Rule>) -> (BracketKind, usize) {
        let mut below = start.as_ref().map_or(0, |start| start.height);
        let mut parts = Parts::of(pair).map(|part| {
            let bound = Parts::of(part).next().map(|bound| self.tall(bound));
            below = below.max(bound.as_ref().map_or(0, |bound| bound.height));
            bound.map(|bound| bound.expr)
        });
        let kind = BracketKind::Slice {
            start: start.map(|start| start.expr),
            stop: parts.next().flatten(),
            step: parts.next().flatten(),
        };
        (kind, below)
    }

    /// Reports the first entry by position after one by name.
    fn check_order(&mut self, entries: Vec<(Option<&Ident>, Span)>) {
        let mut entries = entries.into_iter();
        let Some(name) = entries.find_map(|(name, _)| name) else {
            return;
        };
        if let Some((_, span)) = entries.find(|(name, _)| name.is_none()) {
            let message = "an argument by position cannot follow one by name";
            let diagnostic = Diagnostic::error(POSITION_AFTER_NAME, span, message)
                .label(name.span, "by name from here on")
                .help("move it before the first name, or write `name=` before it");
            self.report(diagnostic);
        }
    }

    /// `if` as a value.
    pub(super) fn if_value(&mut self, pair: Pair<Rule>) -> Tall {
        let span = self.span(&pair);
        let mut parts = Parts::of(pair);
        let mut branches = Vec::new();
        let mut below = 0;
        while let Some(condition) = parts.optional(Rule::expr) {
            let condition = self.tall(condition);
            let value = self.value_body(parts.required());
            below = below.max(condition.height).max(value.height);
            branches.push(ExprBranch {
                condition: condition.expr,
                value: value.expr,
            });
        }
        let otherwise = self.value_body(parts.required());
        below = below.max(otherwise.height);
        let otherwise = Box::new(otherwise.expr);
        let kind = ExprKind::If {
            branches,
            otherwise,
        };
        self.node(kind, span, below)
    }

    fn value_body(&mut self, pair: Pair<Rule>) -> Tall {
        self.tall(Parts::of(pair).required())
    }
}
