//! Statements and bodies.

use super::super::document::{Blank, Doc, Word};
use super::Printer;
use crate::ast::{
    Body, BranchBody, Expr, Ident, Pattern, PatternKind, ReportEntry, Stmt, StmtKind,
};

impl Printer<'_> {
    /// Whether a body may stand on one line: it did, has one statement at most, and no comment.
    pub(super) fn may_be_flat(&self, body: &Body) -> bool {
        let (start, end) = (body.span.start as usize, body.span.end as usize);
        let on_one_line = !self.text.has_line_end(start, end) && !self.text.has_comment(start, end);
        on_one_line
            && body.statements.len() <= 1
            && body
                .statements
                .iter()
                .all(|each| self.has_flat_bodies(each))
    }

    fn has_flat_bodies(&self, statement: &Stmt) -> bool {
        match &statement.kind {
            StmtKind::For { body, .. }
            | StmtKind::Step { body, .. }
            | StmtKind::Eval { body, .. } => self.may_be_flat(body),
            StmtKind::If {
                branches,
                otherwise,
            } => {
                let bodies = branches.iter().map(|branch| &branch.body).chain(otherwise);
                bodies.into_iter().all(|body| self.may_be_flat(body))
            }
            _ => true,
        }
    }

    /// A header and the body that belongs to it.
    pub(super) fn with_body(&self, header: Doc, body: &Body) -> Doc {
        let line = match self.may_be_flat(body) {
            true => Doc::Line,
            false => Doc::HardLine,
        };
        Doc::Concat(vec![
            header,
            Doc::mark(" "),
            Doc::group(self.body(body, &line)),
        ])
    }

    /// A body with its braces; `line` parts it from them.
    fn body(&self, body: &Body, line: &Doc) -> Doc {
        let open = Doc::word("{", body.span.start as usize);
        let close_at = body.span.end as usize - 1;
        let close = Doc::word("}", close_at);
        let mut inside = Vec::new();
        for statement in &body.statements {
            inside.push(line.clone());
            inside.push(self.statement(statement));
        }
        inside.push(Doc::Comments(close_at));
        let has_comment = self.text.has_comment(body.span.start as usize, close_at);
        if body.statements.is_empty() && !has_comment {
            return Doc::Concat(vec![open, close]);
        }
        Doc::Concat(vec![
            open,
            Doc::nest(Doc::Concat(inside)),
            line.clone(),
            close,
        ])
    }

    fn statement(&self, statement: &Stmt) -> Doc {
        let keyword = |word: &str| {
            Doc::Word(Word {
                text: word.to_owned(),
                at: Some(statement.span.start as usize),
                blank: Blank::Keep,
            })
        };
        // Statements that begin with a name carry their empty line on a word without text.
        let begin = || keyword("");
        let mark = Doc::mark;
        let docs = match &statement.kind {
            StmtKind::Let { names, value } => {
                vec![
                    keyword("let "),
                    self.names(names),
                    mark(" = "),
                    self.expr(value),
                ]
            }
            StmtKind::Rebind { names, value } => {
                vec![begin(), self.names(names), mark(" = "), self.expr(value)]
            }
            StmtKind::Update { name, value } => {
                vec![begin(), self.ident(name), mark(" <- "), self.expr(value)]
            }
            StmtKind::Param { name, ty, init } => vec![
                keyword("param "),
                self.ident(name),
                mark(": "),
                self.ty(ty),
                mark(" = "),
                self.expr(init),
            ],
            StmtKind::State { name, ty, init } => {
                let mut docs = vec![keyword("state "), self.ident(name)];
                docs.extend(ty.iter().flat_map(|ty| [mark(": "), self.ty(ty)]));
                docs.extend([mark(" = "), self.expr(init)]);
                docs
            }
            StmtKind::Return { values } => {
                let values = values.iter().map(|value| self.expr(value)).collect();
                vec![keyword("return "), self.listed(values)]
            }
            StmtKind::Minimize { loss, optimizer } => {
                vec![
                    keyword("minimize "),
                    self.expr(loss),
                    mark(" with "),
                    self.expr(optimizer),
                ]
            }
            StmtKind::Report { entries } => {
                let entries = entries
                    .iter()
                    .map(|entry| self.report_entry(entry))
                    .collect();
                vec![keyword("report "), self.listed(entries)]
            }
            StmtKind::If {
                branches,
                otherwise,
            } => vec![keyword("if "), self.if_statement(branches, otherwise)],
            StmtKind::For {
                names,
                iterable,
                body,
            } => {
                vec![self.looped(vec![keyword("for "), self.names(names)], iterable, body)]
            }
            StmtKind::Step {
                pattern,
                source,
                body,
            } => {
                vec![self.looped(vec![keyword("step "), self.pattern(pattern)], source, body)]
            }
            StmtKind::Eval {
                split,
                pattern,
                source,
                body,
            } => {
                let mut header = vec![keyword("eval ")];
                header.extend(
                    split
                        .iter()
                        .flat_map(|split| [self.ident(split), mark(" ")]),
                );
                header.push(self.pattern(pattern));
                vec![self.looped(header, source, body)]
            }
        };
        Doc::Concat(docs)
    }

    /// `… in source { body }`.
    fn looped(&self, mut header: Vec<Doc>, source: &Expr, body: &Body) -> Doc {
        header.extend([Doc::mark(" in "), self.expr(source)]);
        self.with_body(Doc::Concat(header), body)
    }

    /// What follows the first `if`, on one line if each body may be; else every body on lines of its own.
    fn if_statement(&self, branches: &[BranchBody], otherwise: &Option<Body>) -> Doc {
        let mut bodies = branches.iter().map(|branch| &branch.body).chain(otherwise);
        let first = branches
            .first()
            .map_or(0, |branch| branch.condition.span.start as usize);
        let last = otherwise
            .as_ref()
            .or(branches.last().map(|branch| &branch.body));
        let end = last.map_or(first, |body| body.span.end as usize);
        let flat = bodies.all(|body| self.may_be_flat(body)) && !self.text.has_line_end(first, end);
        let line = if flat { Doc::Line } else { Doc::HardLine };
        let mut docs = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            if index > 0 {
                docs.push(Doc::mark(" else if "));
            }
            docs.push(self.expr(&branch.condition));
            docs.push(Doc::mark(" "));
            docs.push(self.body(&branch.body, &line));
        }
        if let Some(body) = otherwise {
            docs.push(Doc::mark(" else "));
            docs.push(self.body(body, &line));
        }
        Doc::group(Doc::Concat(docs))
    }

    fn report_entry(&self, entry: &ReportEntry) -> Doc {
        let value = self.expr(&entry.value);
        match &entry.name {
            Some(name) => Doc::Concat(vec![self.ident(name), Doc::mark(" = "), value]),
            None => value,
        }
    }

    fn names(&self, names: &[Ident]) -> Doc {
        self.listed(names.iter().map(|name| self.ident(name)).collect())
    }

    fn pattern(&self, pattern: &Pattern) -> Doc {
        match &pattern.kind {
            PatternKind::Name(name) => self.ident(name),
            PatternKind::Tuple(parts) => {
                let parts = parts.iter().map(|part| self.pattern(part)).collect();
                self.bracketed("(", parts, ")", pattern.span.end as usize - 1)
            }
        }
    }
}
