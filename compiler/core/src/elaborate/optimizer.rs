//! Optimizers and `minimize`.

use super::around::Around;
use super::codes;
use super::context::{Elaborator, FrameKind};
use super::diagnose::{Checked, Poison, error};
use super::expr::Mention;
use super::glob::matches_any;
use super::instance::{StateRecord, join};
use super::program::StateOwner;
use super::reach::reached;
use super::report::outermost_name;
use super::scope::BindingKind;
use super::sites::snake_case;
use super::statement::Flow;
use super::value::{Applied, InstanceRef, Value};
use super::watched::Loss;
use crate::graph::{BinaryOp, DType, InputKind, NodeId, TensorType};
use dlm_grammar::Span;
use dlm_grammar::ast::{Argument, Expr, Ident, Type};

/// Whether a path is another or lies in it; everything lies in the empty one.
pub(super) fn inside(outer: &str, path: &str) -> bool {
    let rest = path.strip_prefix(outer);
    rest.is_some_and(|rest| outer.is_empty() || rest.is_empty() || rest.starts_with('.'))
}

/// A parameter's path and its gradient.
pub(super) type Update = (String, NodeId);

/// An optimizer of the run.
#[derive(Clone, Debug)]
pub(super) struct OptimizerRecord {
    /// Its `let` name.
    pub name: String,
    /// The rule with its statics, as evaluated in the graph under construction.
    pub rule: Applied,
    /// The instances and paths it updates, with their places.
    pub targets: Vec<(String, Span)>,
    /// Where it is made.
    pub span: Span,
}

impl Elaborator<'_> {
    /// `adam[lr=1e-3](net.enc, head)`
    pub fn optimizer(
        &mut self,
        rule: &Applied,
        args: &[Argument],
        span: Span,
        mention: Mention,
    ) -> Checked<Value> {
        let mut targets = Vec::new();
        for argument in args {
            targets.push((self.target(&argument.value)?, argument.value.span));
        }
        if targets.is_empty() {
            let message = "an optimizer needs what it updates: `adam[…](net)`";
            return Err(self.report(error(codes::OPTIMIZER_TARGET, span, message)));
        }
        self.around(rule)?;
        let name = match mention {
            Mention::Named(name) => name.to_owned(),
            _ => snake_case(rule.definition.name()),
        };
        let record = OptimizerRecord {
            name,
            rule: rule.clone(),
            targets,
            span,
        };
        let known = self.optimizers.iter().position(|other| other.span == span);
        let index = known.unwrap_or(self.optimizers.len());
        match known {
            Some(index) => self.optimizers[index] = record,
            None => self.optimizers.push(record),
        }
        Ok(Value::Optimizer(index))
    }

    /// The path of an instance or of a part of one, which need not have been called yet.
    fn target(&mut self, expr: &Expr) -> Checked<String> {
        if let Some(words) = expr.unparenthesized().as_path() {
            let (first, rest) = words
                .split_first()
                .map_or(("", &[][..]), |(first, rest)| (*first, rest));
            if let Value::Instance(InstanceRef { id, .. }) = self.lookup(first, expr.span)? {
                return Ok(join(&self.instances[id].path, &rest.join(".")));
            }
        }
        let message = "an optimizer updates instances of blocks, or parts of them";
        Err(self.report(
            error(codes::OPTIMIZER_TARGET, expr.span, message)
                .help("`let net = Net` makes an instance"),
        ))
    }

    /// `minimize loss with optimizer`
    pub fn minimize(&mut self, loss: &Expr, optimizer: &Expr, span: Span) -> Checked<()> {
        let value = self.value(loss);
        let with = self.value(optimizer)?;
        let Value::Optimizer(index) = with else {
            let message = format!("an optimizer is needed, this is {}", with.kind());
            return Err(self.report(
                error(codes::NOT_AN_OPTIMIZER, optimizer.span, message)
                    .help("`let opt = adam[lr=1e-3](net)` makes one"),
            ));
        };
        let node = self.tensor_of(&value?, loss.span)?;
        let ty = self.type_of(node).clone();
        if ty != TensorType::scalar(DType::F32) {
            let message = format!("a loss is a scalar f32, this is {ty}");
            return Err(self.report(
                error(codes::LOSS, loss.span, message).help("`mean(…)` or `sum(…)` makes a scalar"),
            ));
        }
        self.at(span);
        let name = outermost_name(loss).unwrap_or_else(|| "loss".to_owned());
        self.unit.losses.push(Loss { name, node });
        let record = self.optimizers[index].clone();
        let around = self.around(&record.rule)?;
        let owned = self.owned(index, &record)?;
        let reach = reached(&self.unit.emitter.graph, node);
        let mut updates: Vec<Update> = Vec::new();
        for path in owned {
            let version = self.version_reached(&path, &reach);
            let frozen = matches_any(&around.freeze, &path);
            if let Some(parameter) = self.parameters.get_mut(&path) {
                parameter.settled |= frozen || version.is_some();
            }
            if let Some(version) = version.filter(|_| !frozen) {
                let gradient = self.unit.emitter.gradient(node, version);
                let gradient = self.emit().cast(gradient, DType::F32);
                updates.push((path, gradient));
            }
        }
        match around.accumulate {
            Some(count) => self.accumulate(&record, &around, updates, count, span),
            None => self.update_all(&record, &around, updates, span),
        }
    }

    /// The newest version of a parameter that the loss depends on.
    fn version_reached(
        &mut self,
        path: &str,
        reach: &std::collections::BTreeSet<NodeId>,
    ) -> Option<NodeId> {
        let current = self.unit.versions.get(path).copied()?;
        let earlier = self
            .unit
            .history
            .get(path)
            .into_iter()
            .flatten()
            .rev()
            .copied();
        std::iter::once(current)
            .chain(earlier)
            .find(|version| reach.contains(version))
    }

    /// The path of a parameter whose newest values `x` are, where the loss depends on earlier ones only.
    pub fn replaced_since(&self, loss: NodeId, x: NodeId) -> Option<String> {
        let mut versions = self.unit.versions.iter();
        let path = versions.find(|own| *own.1 == x)?.0;
        let earlier = self.unit.history.get(path)?;
        let reach = reached(&self.unit.emitter.graph, loss);
        let stale = !reach.contains(&x) && earlier.iter().any(|old| reach.contains(old));
        stale.then(|| path.clone())
    }

    /// The parameters that an optimizer owns, which from here on are its own.
    fn owned(&mut self, index: usize, record: &OptimizerRecord) -> Checked<Vec<String>> {
        let mut owned = Vec::new();
        for (target, span) in &record.targets {
            let paths = self.parameters.keys();
            let paths = paths.filter(|path| inside(target, path)).cloned();
            for path in paths.collect::<Vec<String>>() {
                self.own(index, &path, *span)?;
                if !owned.contains(&path) {
                    owned.push(path);
                }
            }
        }
        Ok(owned)
    }

    fn own(&mut self, index: usize, path: &str, span: Span) -> Checked<()> {
        let Some(parameter) = self.parameters.get_mut(path) else {
            return Ok(());
        };
        let other = *parameter.optimizer.get_or_insert(index);
        if other == index {
            return Ok(());
        }
        let diagnostic = self.in_two(path, other, span);
        Err(self.report(diagnostic))
    }

    /// Updates each parameter with its gradient.
    pub fn update_all(
        &mut self,
        record: &OptimizerRecord,
        around: &Around,
        mut updates: Vec<Update>,
        span: Span,
    ) -> Checked<()> {
        if let Some(limit) = around.clip_value {
            for (_, gradient) in &mut updates {
                *gradient = self.clamped(*gradient, limit);
            }
        }
        if let Some(limit) = around.clip_norm {
            self.clip_by_norm(&mut updates, limit);
        }
        let count = self.count_update(&record.name);
        let mut failed = Ok(());
        for (path, gradient) in updates {
            let updated = self.run_rule(record, around, &path, gradient, count, span);
            match updated {
                Ok(node) => self.store_update(&path, node, around),
                Err(poison) => failed = Err(poison),
            }
        }
        failed
    }

    /// The number of this update, from 1.
    fn count_update(&mut self, optimizer: &str) -> NodeId {
        let path = format!("{optimizer}.t");
        let before = self.optimizer_zero(&path, TensorType::scalar(DType::F32));
        let one = self.emit().float(1.0);
        let count = self.emit().binary(BinaryOp::Add, before, one);
        self.set_version(&path, InputKind::State, count);
        count
    }

    /// Runs the optimizer's body for one parameter; the result is the parameter's next value.
    fn run_rule(
        &mut self,
        record: &OptimizerRecord,
        around: &Around,
        path: &str,
        gradient: NodeId,
        count: NodeId,
        span: Span,
    ) -> Checked<NodeId> {
        let handle = record.rule.definition.clone();
        let definition = handle.get();
        self.reached.insert(definition.name.span);
        let [p, g] = definition.params.as_slice() else {
            let message = "an optimizer has two parameters: the parameter and its gradient";
            return Err(self.report(error(
                codes::MISSING_ARGUMENT,
                definition.name.span,
                message,
            )));
        };
        let mut frame = self.callee_frame(&record.rule, FrameKind::Optimizer, span);
        frame.random_owner = join(&record.name, path);
        let statics = around.own_statics(&record.rule, path);
        // Rules compute in f32, and keep their states so, for parameters of bf16 too.
        let current = self.version(path);
        let current = self.emit().cast(current, DType::F32);
        let (result, frame) = self.within(frame, |this| {
            this.bind_statics(&definition.statics, &statics, definition)?;
            for (name, node, kind) in [
                ("t", count, BindingKind::Argument),
                (p.name.name.as_str(), current, BindingKind::Updated),
                (g.name.name.as_str(), gradient, BindingKind::Argument),
            ] {
                let value = Ok(this.tensor(node));
                this.frame_mut().scopes.bind(name, value, kind, span);
            }
            match this.run_body(&definition.body) {
                Flow::Failed(poison) => Err(poison),
                Flow::Return(values) => values.map(|_| ()),
                Flow::Next => Ok(()),
            }
        });
        result?;
        match frame
            .scopes
            .find(&p.name.name)
            .map(|binding| binding.value.clone())
        {
            Some(Ok(value)) => self.tensor_of(&value, span),
            _ => Err(Poison),
        }
    }

    /// `p <- value` in an optimizer.
    pub fn update_parameter(&mut self, name: &Ident, value: Value, span: Span) -> Checked<()> {
        let Some(Ok(current)) = self
            .frame()
            .scopes
            .find(&name.name)
            .map(|binding| binding.value.clone())
        else {
            return Err(Poison);
        };
        let current = self.tensor_of(&current, span)?;
        let ty = self.type_of(current).clone();
        let node = self.as_stored(&value, &ty, span)?;
        let value = Ok(self.tensor(node));
        if let Some(binding) = self.frame_mut().scopes.find_mut(&name.name) {
            binding.value = value;
        }
        Ok(())
    }

    /// `state m = zeros` in an optimizer.
    pub fn optimizer_state(&mut self, name: &Ident, ty: Option<&Type>, init: &Expr) -> Checked<()> {
        let path = join(&self.frame().random_owner, &name.name);
        if let Some(earlier) = self.states.get(&path).map(|record| record.span)
            && earlier != name.span
        {
            let message = format!("two things have the path `{path}`");
            let diagnostic = error(codes::SAME_PATH, name.span, message);
            return Err(self.report(diagnostic.label(earlier, "the first")));
        }
        if !self.states.contains_key(&path) {
            let ty = match ty {
                Some(ty) => self.fixed_type(ty)?,
                None => self.updated_type()?,
            };
            let node = self.initial_value(&path, &ty, init)?;
            self.store_initial(&path, InputKind::State, node);
            let record = StateRecord {
                ty,
                span: name.span,
                made_by: self.frame().call,
                owner: StateOwner::Optimizer,
            };
            self.states.insert(path.clone(), record);
        }
        let kind = BindingKind::State { path };
        self.frame_mut()
            .scopes
            .bind(&name.name, Ok(Value::None), kind, name.span);
        Ok(())
    }

    /// The type of the parameter that the optimizer's body updates.
    fn updated_type(&mut self) -> Checked<TensorType> {
        let bindings = self.frame().scopes.bindings();
        let updated = bindings
            .iter()
            .find(|binding| binding.kind == BindingKind::Updated);
        match updated.map(|binding| binding.value.clone()) {
            Some(Ok(Value::Tensor(tensor))) => Ok(self.type_of(tensor.node).clone()),
            _ => Err(Poison),
        }
    }

    /// Makes the updated value the parameter's newest version; later gradients do not flow through the update.
    fn store_update(&mut self, path: &str, node: NodeId, around: &Around) {
        let before = self.version(path);
        let own = self.emit().dtype(before);
        let rounded = self.emit().cast(node, own);
        self.unit
            .history
            .entry(path.to_owned())
            .or_default()
            .push(before);
        let rounded = self.emit().stop_gradient(rounded);
        self.set_version(path, InputKind::Parameter, rounded);
        if let Some(decay) = around.ema {
            let exact = self.emit().stop_gradient(node);
            self.average(path, exact, decay);
        }
    }

    /// `ema.PATH`: decay times the average so far, plus the rest of the new value.
    fn average(&mut self, path: &str, node: NodeId, decay: f64) {
        let own = format!("ema.{path}");
        let ty = self.type_of(node).clone();
        if !self.states.contains_key(&own) {
            self.copied_initial(&own, path);
            let span = self.unit.emitter.span;
            let owner = StateOwner::Average;
            let record = StateRecord {
                ty: ty.clone(),
                span,
                made_by: span,
                owner,
            };
            self.states.insert(own.clone(), record);
        }
        let before = self.version(&own);
        let mut scaled = |x: NodeId, factor: f64| {
            let factor = self.emit().float(factor);
            let factor = self.emit().broadcast(factor, &ty.shape);
            self.emit().binary(BinaryOp::Mul, x, factor)
        };
        let (old, new) = (scaled(before, decay), scaled(node, 1.0 - decay));
        let next = self.emit().binary(BinaryOp::Add, old, new);
        self.set_version(&own, InputKind::State, next);
    }
}
