//! Statements.

use super::super::Rule;
use super::Builder;
use super::parts::Parts;
use super::types::Place;
use crate::ast::{Body, BranchBody, Ident, Pattern, PatternKind, ReportEntry, Stmt, StmtKind};
use crate::codes::PATTERN_PARENTHESES;
use crate::{Diagnostic, Span};
use pest::iterators::Pair;

impl Builder<'_> {
    pub(super) fn body(&mut self, pair: Pair<Rule>) -> Body {
        let span = self.span(&pair);
        let statements = Parts::of(pair)
            .map(|statement| self.statement(statement))
            .collect();
        Body { statements, span }
    }

    fn statement(&mut self, pair: Pair<Rule>) -> Stmt {
        let span = self.span(&pair);
        let inner = Parts::of(pair).required();
        let rule = inner.as_rule();
        let mut parts = Parts::of(inner);
        let kind = match rule {
            Rule::let_statement => StmtKind::Let {
                names: self.idents(parts.required()),
                value: self.expr(parts.required()),
            },
            Rule::param => StmtKind::Param {
                name: self.ident(&parts.required()),
                ty: self.annotation(parts.required(), Place::Tensor),
                init: self.expr(parts.required()),
            },
            Rule::state => {
                let name = self.ident(&parts.required());
                let ty = parts.optional(Rule::annotation);
                StmtKind::State {
                    name,
                    ty: ty.map(|ty| self.annotation(ty, Place::Tensor)),
                    init: self.expr(parts.required()),
                }
            }
            Rule::return_ => StmtKind::Return {
                values: parts.map(|value| self.expr(value)).collect(),
            },
            Rule::minimize => StmtKind::Minimize {
                loss: self.expr(parts.required()),
                optimizer: self.expr(parts.required()),
            },
            Rule::report => StmtKind::Report {
                entries: parts.map(|entry| self.report_entry(entry)).collect(),
            },
            Rule::assignment => self.assignment(parts),
            Rule::if_ => self.if_statement(parts),
            _ => self.loop_statement(rule, parts),
        };
        Stmt { kind, span }
    }

    fn report_entry(&mut self, pair: Pair<Rule>) -> ReportEntry {
        let span = self.span(&pair);
        let mut parts = Parts::of(pair);
        ReportEntry {
            name: parts.optional(Rule::ident).map(|name| self.ident(&name)),
            value: self.expr(parts.required()),
            span,
        }
    }

    fn assignment(&mut self, mut parts: Parts) -> StmtKind {
        let mut names = self.idents(parts.required());
        let update = parts.optional(Rule::update);
        let value = self.expr(parts.required());
        let Some(update) = update else {
            return StmtKind::Rebind { names, value };
        };
        if let [_, second, ..] = names.as_slice() {
            let diagnostic = Diagnostic::error(
                crate::codes::UNEXPECTED_TOKEN,
                second.span,
                "`<-` gives one state its next value",
            );
            let help =
                "take the results apart with `let a, b = …`, then write one `<-` for each state";
            self.report(diagnostic.label(self.span(&update), "").help(help));
        }
        StmtKind::Update {
            name: names.swap_remove(0),
            value,
        }
    }

    fn if_statement(&mut self, mut parts: Parts) -> StmtKind {
        let mut branches = Vec::new();
        while let Some(condition) = parts.optional(Rule::expr) {
            branches.push(BranchBody {
                condition: self.expr(condition),
                body: self.body(parts.required()),
            });
        }
        StmtKind::If {
            branches,
            otherwise: parts.next().map(|body| self.body(body)),
        }
    }

    /// `for`, `step` and `eval`.
    fn loop_statement(&mut self, rule: Rule, mut parts: Parts) -> StmtKind {
        let split = parts.optional(Rule::split);
        let split = split.map(|split| self.ident(&Parts::of(split).required()));
        let patterns = parts.required();
        let pattern_span = self.span(&patterns);
        let patterns: Vec<Pattern> = Parts::of(patterns).map(|each| self.pattern(each)).collect();
        let source = self.expr(parts.required());
        let body = self.body(parts.required());
        match rule {
            Rule::for_ => StmtKind::For {
                names: self.loop_names(patterns, pattern_span),
                iterable: source,
                body,
            },
            Rule::step => StmtKind::Step {
                pattern: self.batch_pattern(patterns, pattern_span),
                source,
                body,
            },
            _ => StmtKind::Eval {
                split,
                pattern: self.batch_pattern(patterns, pattern_span),
                source,
                body,
            },
        }
    }

    fn pattern(&mut self, pair: Pair<Rule>) -> Pattern {
        let span = self.span(&pair);
        let inner = Parts::of(pair).required();
        let kind = match inner.as_rule() {
            Rule::ident => PatternKind::Name(self.ident(&inner)),
            _ => PatternKind::Tuple(Parts::of(inner).map(|part| self.pattern(part)).collect()),
        };
        Pattern { kind, span }
    }

    /// The names of a `for`, which stand without parentheses.
    fn loop_names(&mut self, patterns: Vec<Pattern>, span: Span) -> Vec<Ident> {
        let mut names = Vec::new();
        let mut nested = false;
        for pattern in patterns {
            match pattern.kind {
                PatternKind::Name(name) => names.push(name),
                PatternKind::Tuple(_) => nested = true,
            }
        }
        if nested {
            let message = "the names of a `for` stand without parentheses";
            let diagnostic =
                Diagnostic::error(PATTERN_PARENTHESES, span, message).help("write `for a, b in …`");
            self.report(diagnostic);
        }
        names
    }

    /// What a `step` or `eval` binds, which is one name or names in parentheses.
    fn batch_pattern(&mut self, mut patterns: Vec<Pattern>, span: Span) -> Pattern {
        if patterns.len() > 1 {
            let text = self.quote(span);
            let message = "the parts of a batch stand in parentheses";
            let diagnostic = Diagnostic::error(PATTERN_PARENTHESES, span, message)
                .help(format!("write `({text})`"));
            self.report(diagnostic);
        }
        patterns.swap_remove(0)
    }
}
