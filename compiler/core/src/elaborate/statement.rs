//! Statements of functions, blocks and optimizers.

use super::codes;
use super::context::{Elaborator, FrameKind};
use super::diagnose::{Checked, Poison, error};
use super::expr::Mention;
use super::recurrence::{Recurrence, rebound};
use super::scope::BindingKind;
use super::value::Value;
use crate::graph::InputKind;
use dlm_grammar::Span;
use dlm_grammar::ast::{Body, BranchBody, Expr, ExprKind, Ident, Stmt, StmtKind};
use indexmap::IndexSet;

/// The most rounds that a loop is written out for.
const MOST_ROUNDS: i64 = 4096;

/// The most statements that a program is written out to.
const MOST_STATEMENTS: u64 = 1_000_000;

/// How a body ends.
#[derive(Debug)]
pub(super) enum Flow {
    /// At its end.
    Next,
    /// With `return`: the results with their places.
    Return(Checked<Vec<(Value, Span)>>),
    /// It cannot be told, because of a mistake.
    Failed(Poison),
}

impl Elaborator<'_> {
    /// Runs a body in a scope of its own. A mistake in one statement does not keep the others from being checked.
    pub fn run_body(&mut self, body: &Body) -> Flow {
        let mark = self.frame().scopes.mark();
        let mut failed = None;
        for stmt in &body.statements {
            match self.run_statement(stmt) {
                Flow::Next => {}
                Flow::Failed(poison) => failed = Some(poison),
                returned => {
                    self.frame_mut().scopes.release(mark);
                    return failed.map_or(returned, Flow::Failed);
                }
            }
        }
        self.frame_mut().scopes.release(mark);
        failed.map_or(Flow::Next, Flow::Failed)
    }

    /// Runs one statement.
    pub fn run_statement(&mut self, stmt: &Stmt) -> Flow {
        self.at(stmt.span);
        if let Err(poison) = self.work(stmt.span) {
            return Flow::Failed(poison);
        }
        let flow = self.statement(stmt);
        if let Flow::Failed(poison) = flow {
            self.forget_rebound(stmt, poison);
        }
        let refusals = std::mem::take(&mut self.emit().refusals);
        for refusal in refusals {
            self.report(error(codes::SHAPE, stmt.span, refusal));
        }
        flow
    }

    /// What a statement that went wrong would have given a new value has none: what follows from that is no mistake more.
    fn forget_rebound(&mut self, stmt: &Stmt, poison: Poison) {
        let mut names = IndexSet::new();
        rebound(stmt, &mut names);
        for name in names {
            if let Some(binding) = self.frame_mut().scopes.find_mut(&name)
                && matches!(binding.kind, BindingKind::Let)
            {
                binding.value = Err(poison);
            }
        }
    }

    /// An error where a program is written out to more statements than any real one.
    fn work(&mut self, span: Span) -> Checked<()> {
        self.statements += 1;
        if self.statements < MOST_STATEMENTS {
            return Ok(());
        }
        let message = format!("loops and calls come to more than {MOST_STATEMENTS} statements");
        Err(self.report(error(codes::TOO_MANY_ROUNDS, span, message)))
    }

    fn statement(&mut self, stmt: &Stmt) -> Flow {
        match &stmt.kind {
            StmtKind::Let { names, value } => self.let_statement(names, value),
            StmtKind::Rebind { names, value } => self.rebind(names, value),
            StmtKind::Param { name, ty, init } => {
                self.parameter(stmt, name, ty, init);
                Flow::Next
            }
            StmtKind::State { name, ty, init } => match (ty, self.frame().kind) {
                (_, FrameKind::Optimizer) => flow(self.optimizer_state(name, ty.as_ref(), init)),
                (Some(ty), _) => {
                    self.state(stmt, name, ty, init);
                    Flow::Next
                }
                (None, _) => {
                    let message = format!("the state `{}` has no type", name.name);
                    Flow::Failed(self.report(error(codes::UNBOUND_DIMENSION, name.span, message)))
                }
            },
            StmtKind::Update { name, value } => flow(self.update(name, value)),
            StmtKind::Return { values } => Flow::Return(self.returned(values)),
            StmtKind::For {
                names,
                iterable,
                body,
            } => self.for_statement(names, iterable, body),
            StmtKind::If {
                branches,
                otherwise,
            } => self.if_statement(branches, otherwise.as_ref(), stmt.span),
            StmtKind::Minimize { loss, optimizer } => {
                flow(self.minimize(loss, optimizer, stmt.span))
            }
            StmtKind::Report { entries } => flow(self.report_statement(entries)),
            // Both are run by the `train` that they stand in.
            StmtKind::Step { .. } | StmtKind::Eval { .. } => Flow::Next,
        }
    }

    fn returned(&mut self, values: &[Expr]) -> Checked<Vec<(Value, Span)>> {
        let results: Vec<Checked<(Value, Span)>> = values
            .iter()
            .map(|expr| self.value(expr).map(|value| (value, expr.span)))
            .collect();
        let results: Vec<(Value, Span)> = results.into_iter().collect::<Checked<_>>()?;
        // `return f(x)` of a function with several results returns them all.
        if let [(Value::Results(inner), span)] = results.as_slice() {
            return Ok(inner.iter().map(|value| (value.clone(), *span)).collect());
        }
        Ok(results)
    }

    fn let_statement(&mut self, names: &[Ident], value: &Expr) -> Flow {
        let values = match names {
            [name] => {
                let value = self.value_as(value, Mention::Named(&name.name));
                vec![value]
            }
            _ => self.unpacked(names, value),
        };
        for (name, value) in names.iter().zip(values) {
            self.frame_mut()
                .scopes
                .bind(&name.name, value, BindingKind::Let, name.span);
        }
        Flow::Next
    }

    fn rebind(&mut self, names: &[Ident], value: &Expr) -> Flow {
        let values = match names {
            [_] => vec![self.value(value)],
            _ => self.unpacked(names, value),
        };
        for (name, value) in names.iter().zip(values) {
            if let Err(poison) = self.rebind_one(name, value) {
                return Flow::Failed(poison);
            }
        }
        Flow::Next
    }

    fn rebind_one(&mut self, name: &Ident, value: Checked<Value>) -> Checked<()> {
        let (message, origin) = match self.frame_mut().scopes.find_mut(&name.name) {
            Some(binding) if matches!(binding.kind, BindingKind::Let) => {
                binding.value = value;
                return Ok(());
            }
            Some(binding) => {
                let what = match binding.kind {
                    BindingKind::Argument => "an argument",
                    BindingKind::Static => "a static",
                    BindingKind::Dimension => "a dimension",
                    BindingKind::Counter => "a loop's counter",
                    BindingKind::Parameter { .. } => "a parameter",
                    BindingKind::State { .. } => "a state",
                    BindingKind::Updated => "the parameter to update",
                    BindingKind::Let => "a `let`",
                };
                (
                    format!(
                        "`{}` is {what}, and only a `let` is given a new value",
                        name.name
                    ),
                    Some(binding.span),
                )
            }
            None => (format!("no `let {}` stands before this", name.name), None),
        };
        let mut diagnostic = error(codes::NOT_A_LET, name.span, message)
            .help(format!("`let {0} = …` makes a new `{0}`", name.name));
        if let Some(origin) = origin {
            diagnostic = diagnostic.label(origin, "defined here");
        }
        Err(self.report(diagnostic))
    }

    /// A value taken apart: several results, the elements of a list or tuple, or the first axis of a tensor.
    fn unpacked(&mut self, names: &[Ident], expr: &Expr) -> Vec<Checked<Value>> {
        let parts = self
            .value(expr)
            .and_then(|value| self.parts(value, names.len(), expr.span));
        match parts {
            Ok(parts) => parts.into_iter().map(Ok).collect(),
            Err(poison) => vec![Err(poison); names.len()],
        }
    }

    /// The parts of a value, of which there must be so many.
    pub fn parts(&mut self, value: Value, count: usize, span: Span) -> Checked<Vec<Value>> {
        let (found, what) = match &value {
            Value::Results(values) | Value::Tuple(values) | Value::List(values) => {
                if values.len() == count {
                    return Ok(values.to_vec());
                }
                (Some(values.len() as i64), value.kind())
            }
            Value::Tensor(_) => {
                let node = self.tensor_of(&value, span)?;
                let first = self.type_of(node).shape.first().and_then(|dim| dim.known());
                if first == Some(count as i64) {
                    return Ok((0..count as i64)
                        .map(|index| self.row(node, index))
                        .collect());
                }
                (first, "a tensor")
            }
            _ => (None, value.kind()),
        };
        let message = match found {
            Some(found) => {
                format!("{what} with {found} parts does not come apart into {count} names")
            }
            None => format!("{what} does not come apart into {count} names"),
        };
        Err(self.report(error(codes::UNPACK, span, message)))
    }

    /// `name <- value`
    fn update(&mut self, name: &Ident, value: &Expr) -> Checked<()> {
        let new = self.value(value);
        let binding = self.frame().scopes.find(&name.name);
        let kind = binding.map(|binding| (binding.kind.clone(), binding.value.is_err()));
        match kind {
            Some((_, true)) => Err(Poison),
            Some((BindingKind::State { path }, _)) => {
                self.update_state(name, &path, new?, value.span)
            }
            Some((BindingKind::Updated, _)) => self.update_parameter(name, new?, value.span),
            _ => {
                let message = format!("`{}` is not a state", name.name);
                Err(self.report(
                    error(codes::NOT_A_STATE, name.span, message)
                        .help("`<-` gives a state its next value; `=` gives a `let` another one"),
                ))
            }
        }
    }

    fn update_state(&mut self, name: &Ident, path: &str, new: Value, span: Span) -> Checked<()> {
        self.not_a_scan();
        let Some(record) = self.states.get(path).cloned() else {
            return Err(Poison);
        };
        let node = self.as_stored(&new, &record.ty, span)?;
        if self.frame().training || self.frame().kind == FrameKind::Optimizer {
            self.set_version(path, InputKind::State, node);
            return Ok(());
        }
        // Nothing is stored, and reading the state gives the new value all the same.
        let value = Ok(self.tensor(node));
        self.frame_mut()
            .scopes
            .bind(&name.name, value, BindingKind::Let, name.span);
        Ok(())
    }

    fn for_statement(&mut self, names: &[Ident], iterable: &Expr, body: &Body) -> Flow {
        let mut decided = None;
        if let ExprKind::Range { start, end } = &iterable.unparenthesized().kind {
            match self.range_bounds(start, end) {
                Ok(bounds) => match self.recurrence(names, bounds, body, iterable.span) {
                    Recurrence::Scan => return Flow::Next,
                    Recurrence::WrittenOut(decision) => decided = decision,
                },
                Err(poison) => return Flow::Failed(poison),
            }
        }
        let items = match self.loop_items(iterable) {
            Ok(items) => items,
            Err(poison) => return Flow::Failed(poison),
        };
        let blocks = self.mentioned_blocks;
        for (round, item) in items.into_iter().enumerate() {
            let mark = self.frame().scopes.mark();
            if let Err(poison) = self.bind_counters(names, item, iterable.span) {
                return Flow::Failed(poison);
            }
            self.frame_mut().rounds.push(round as i64);
            let flow = self.run_body(body);
            self.frame_mut().rounds.pop();
            self.frame_mut().scopes.release(mark);
            // One round's mistakes are most likely the next one's too.
            if !matches!(flow, Flow::Next) {
                return flow;
            }
        }
        match decided {
            Some(decision) => flow(self.refuse_decision(decision, blocks)),
            None => Flow::Next,
        }
    }

    fn bind_counters(&mut self, names: &[Ident], item: Value, span: Span) -> Checked<()> {
        let values = match names {
            [_] => vec![item],
            _ => self.parts(item, names.len(), span)?,
        };
        for (name, value) in names.iter().zip(values) {
            self.frame_mut()
                .scopes
                .bind(&name.name, Ok(value), BindingKind::Counter, name.span);
        }
        Ok(())
    }

    fn loop_items(&mut self, iterable: &Expr) -> Checked<Vec<Value>> {
        if let ExprKind::Range { start, end } = &iterable.unparenthesized().kind {
            let (first, last) = self.range_bounds(start, end)?;
            if last.saturating_sub(first) > MOST_ROUNDS {
                let message = format!(
                    "a loop of {} rounds; at most {MOST_ROUNDS} are written out",
                    last.saturating_sub(first)
                );
                return Err(self.report(error(codes::TOO_MANY_ROUNDS, iterable.span, message)));
            }
            return Ok((first..last).map(Value::Int).collect());
        }
        let value = self.value(iterable)?;
        match value.as_elements() {
            Some(items) => Ok(items.to_vec()),
            None => {
                let message = format!(
                    "a `for` goes over a range or a list, not over {}",
                    value.kind()
                );
                Err(self.report(
                    error(codes::NOT_COMPILE_TIME, iterable.span, message)
                        .help("`for i in 0..n` goes over indices"),
                ))
            }
        }
    }

    fn if_statement(
        &mut self,
        branches: &[BranchBody],
        otherwise: Option<&Body>,
        span: Span,
    ) -> Flow {
        let Some((first, rest)) = branches.split_first() else {
            return otherwise.map_or(Flow::Next, |body| self.run_body(body));
        };
        let condition = match self.value(&first.condition) {
            Ok(condition) => condition,
            Err(poison) => return Flow::Failed(poison),
        };
        match condition {
            Value::Bool(true) => self.run_body(&first.body),
            Value::Bool(false) => self.if_statement(rest, otherwise, span),
            Value::Tensor(_) if self.frame().kind == FrameKind::Step => {
                self.run_time_if(condition, first, rest, otherwise, span)
            }
            other => {
                self.undecided(first.condition.span);
                let message = format!(
                    "an `if` decides when the program is compiled, and this is {}",
                    other.kind()
                );
                Flow::Failed(
                    self.report(
                        error(codes::CONDITION, first.condition.span, message)
                            .help("`where(condition, a, b)` chooses between tensors"),
                    ),
                )
            }
        }
    }

    /// `if` on `iter` or `epoch` in a step: both branches are computed, and each name and version that they change
    /// is chosen by the condition.
    fn run_time_if(
        &mut self,
        condition: Value,
        first: &BranchBody,
        rest: &[BranchBody],
        otherwise: Option<&Body>,
        span: Span,
    ) -> Flow {
        let condition = match self.scalar_condition(condition, first.condition.span) {
            Ok(condition) => condition,
            Err(poison) => return Flow::Failed(poison),
        };
        let scopes = self.frame().scopes.clone();
        let versions = self.unit.versions.clone();
        let before = self.reports_so_far();
        let minimized = self.unit.losses.len();
        let taken = self.run_body(&first.body);
        let losses_taken = self.unit.losses.split_off(minimized);
        let reports_taken = self.reports_since(before);
        let scopes_taken = std::mem::replace(&mut self.frame_mut().scopes, scopes);
        let versions_taken = std::mem::replace(&mut self.unit.versions, versions);
        let other = self.if_statement(rest, otherwise, span);
        let losses_other = self.unit.losses.split_off(minimized);
        let reports_other = self.reports_since(before);
        if let Flow::Failed(poison) = taken {
            return Flow::Failed(poison);
        }
        if !matches!(other, Flow::Next) {
            return other;
        }
        let merged = self.merge(condition, scopes_taken, versions_taken, span);
        self.watch_where(condition, true, losses_taken);
        self.watch_where(condition, false, losses_other);
        flow(merged.and(self.merge_reports(condition, reports_taken, reports_other, span)))
    }
}

/// What a statement's success or failure means for the body.
pub(super) fn flow(result: Checked<()>) -> Flow {
    match result {
        Ok(()) => Flow::Next,
        Err(poison) => Flow::Failed(poison),
    }
}
