//! Instances of blocks, and their parameters and states.

use super::codes;
use super::context::{Elaborator, Frame, FrameKind};
use super::diagnose::{Checked, error};
use super::expr::Given;
use super::program::StateOwner;
use super::recurrence::ANY_ROUND;
use super::scope::BindingKind;
use super::sites::{SiteTable, snake_case};
use super::value::{Applied, InstanceRef, Value};
use crate::graph::{DType, InputKind, NodeId, TensorType};
use dlm_grammar::ast::{Expr, Ident, Stmt, Type};
use dlm_grammar::{Span, suggest};
use indexmap::IndexMap;
use std::rc::Rc;

/// A place in a body together with the rounds of the loops around it.
type Site = (Span, Vec<i64>);

/// A block with its own parameters and states.
#[derive(Debug)]
pub(super) struct Instance {
    /// The block and its statics; none for a run, which is not called.
    pub recipe: Option<Rc<Applied>>,
    /// The path that its parameters begin with; empty for a block that is called alone.
    pub path: String,
    /// Where it was made.
    pub span: Span,
    /// Its first call, which fixes its dimensions.
    pub first_call: Option<Span>,
    /// The blocks it is made of.
    pub children: IndexMap<Site, usize>,
    /// Its own parameters and states, by name; in loops the last round's.
    pub values: IndexMap<String, String>,
    /// The instances that its body names with `let`.
    pub named: IndexMap<String, usize>,
    /// The numbers of its unnamed blocks, once one is needed.
    pub sites: Option<Rc<SiteTable>>,
    /// The block that it is a part of under no name of its own, and what ends the names of its parameters there.
    pub part_of: Option<(usize, Rc<str>)>,
}

/// A parameter.
#[derive(Clone, Debug)]
pub(super) struct ParameterRecord {
    pub ty: TensorType,
    pub span: Span,
    /// The call that made it.
    pub made_by: Span,
    pub optimizer: Option<usize>,
    /// Whether a loss reaches it, or it is frozen.
    pub settled: bool,
}

/// A state.
#[derive(Clone, Debug)]
pub(super) struct StateRecord {
    pub ty: TensorType,
    pub span: Span,
    pub made_by: Span,
    pub owner: StateOwner,
}

impl Elaborator<'_> {
    /// The instance that naming a block makes, the same for each evaluation of one place in one round.
    pub fn instance(
        &mut self,
        recipe: Rc<Applied>,
        name: Option<&str>,
        span: Span,
    ) -> Checked<Value> {
        let Some(parent) = self.frame().instance else {
            return Err(self.no_instance_here(&recipe, span));
        };
        let rounds = self.frame().rounds.clone();
        if rounds.contains(&ANY_ROUND) {
            self.not_a_scan();
            return Err(super::diagnose::Poison);
        }
        self.mentioned_blocks += 1;
        let site = (span, rounds.clone());
        if let Some(&id) = self.instances[parent].children.get(&site) {
            return Ok(Value::Instance(InstanceRef { id, training: None }));
        }
        if let Some(suffix) = self.suffix_of(&recipe) {
            let path = self.instances[parent].path.clone();
            let id = self.add_instance(Some(recipe), path, span);
            self.instances[id].part_of = Some((parent, suffix));
            self.instances[parent].children.insert(site, id);
            return Ok(Value::Instance(InstanceRef { id, training: None }));
        }
        let own = match name {
            Some(name) => name.to_owned(),
            None => self.unnamed(parent, &recipe, span),
        };
        let path = join(&self.instances[parent].path, &with_rounds(&own, &rounds));
        self.claim_path(&path, span)?;
        let id = self.add_instance(Some(recipe), path, span);
        self.instances[parent].children.insert(site, id);
        if name.is_some() {
            self.instances[parent].named.insert(own, id);
        }
        Ok(Value::Instance(InstanceRef { id, training: None }))
    }

    /// What ends the names of the parameters of a block of the library that is given `_suffix`. Such a block is no step
    /// of a path: PyTorch's recurrent layers have `weight_ih_l0` and `weight_ih_l1` side by side.
    fn suffix_of(&self, recipe: &Applied) -> Option<Rc<str>> {
        let place = recipe.definition.get().name.span;
        let mut given = recipe.statics.iter();
        let suffix = given.find(|given| given.name.as_deref() == Some("_suffix"))?;
        let text = suffix.value.as_text().map(Rc::from);
        text.filter(|_| self.reporter.is_library(place.file))
    }

    /// A new instance.
    pub fn add_instance(&mut self, recipe: Option<Rc<Applied>>, path: String, span: Span) -> usize {
        self.instances.push(Instance {
            recipe,
            path,
            span,
            first_call: None,
            children: IndexMap::new(),
            values: IndexMap::new(),
            named: IndexMap::new(),
            sites: None,
            part_of: None,
        });
        self.instances.len() - 1
    }

    fn no_instance_here(&mut self, recipe: &Applied, span: Span) -> super::diagnose::Poison {
        let name = recipe.definition.name().to_owned();
        let (place, help) = match self.frame().kind {
            FrameKind::Step => ("a `step`", "bind it before the `step`: "),
            FrameKind::Eval => ("an `eval`", "bind it before the `step`: "),
            FrameKind::File => ("a file's constant", "make it in a `train` or a `block`: "),
            _ => ("a `fn`", "pass it an instance, or make it a `block`: "),
        };
        let message = format!("{place} makes no instances, and `{name}` is a block");
        let help = format!("{help}`let {} = {name}[…]`", snake_case(&name));
        self.report(error(codes::NO_INSTANCE_HERE, span, message).help(help))
    }

    /// An error where another instance, parameter or state has the path.
    fn claim_path(&mut self, path: &str, span: Span) -> Checked<()> {
        let instance = self.instances.iter().find(|instance| instance.path == path);
        let earlier = instance
            .map(|instance| instance.span)
            .or_else(|| self.parameters.get(path).map(|record| record.span))
            .or_else(|| self.states.get(path).map(|record| record.span));
        match earlier {
            Some(earlier) => {
                let message = format!("two things have the path `{path}`");
                Err(self.report(
                    error(codes::SAME_PATH, span, message)
                        .label(earlier, "the first")
                        .help("give one of them another name with `let`"),
                ))
            }
            None => Ok(()),
        }
    }

    /// Calls an instance.
    pub fn call_instance(
        &mut self,
        instance: InstanceRef,
        given: Vec<Given>,
        span: Span,
    ) -> Checked<Value> {
        let id = instance.id;
        let Some(recipe) = self.instances[id].recipe.clone() else {
            return Err(super::diagnose::Poison);
        };
        self.guard_depth(&recipe, span)?;
        let mut frame = self.callee_frame(&recipe, FrameKind::Block, span);
        frame.instance = Some(id);
        frame.random_owner = self.instances[id].path.clone();
        if let Some(training) = instance.training {
            frame.training = training;
        }
        let first = *self.instances[id].first_call.get_or_insert(span);
        let failed_before = self.reporter.has_errors();
        let result = self.run_definition(&recipe, frame, given, span);
        if result.is_err() && !failed_before && first == span {
            self.instances[id].first_call = None;
        }
        result
    }

    /// A `param` statement.
    pub fn parameter(&mut self, stmt: &Stmt, name: &Ident, ty: &Type, init: &Expr) {
        let path = self.value_path(stmt, name, ty, init, InputKind::Parameter);
        let failed = path.is_err();
        let path = path.unwrap_or_default();
        let kind = BindingKind::Parameter { path };
        self.bind_stored(name, kind, failed);
    }

    /// A `state` statement of a block.
    pub fn state(&mut self, stmt: &Stmt, name: &Ident, ty: &Type, init: &Expr) {
        let path = self.value_path(stmt, name, ty, init, InputKind::State);
        let failed = path.is_err();
        let path = path.unwrap_or_default();
        self.bind_stored(name, BindingKind::State { path }, failed);
    }

    fn bind_stored(&mut self, name: &Ident, kind: BindingKind, failed: bool) {
        let value = if failed {
            Err(super::diagnose::Poison)
        } else {
            Ok(Value::None)
        };
        self.frame_mut()
            .scopes
            .bind(&name.name, value, kind, name.span);
    }

    /// The path of a parameter or state, which the first call makes.
    fn value_path(
        &mut self,
        stmt: &Stmt,
        name: &Ident,
        ty: &Type,
        init: &Expr,
        kind: InputKind,
    ) -> Checked<String> {
        let Some(instance) = self.frame().instance else {
            let message = "only a block has parameters and states";
            return Err(self.report(error(codes::NO_INSTANCE_HERE, stmt.span, message)));
        };
        let ty = self.fixed_type(ty)?;
        let part_of = self.instances[instance].part_of.clone();
        let suffix = part_of.as_ref().map_or("", |(_, suffix)| suffix);
        let own = with_rounds(&format!("{}{suffix}", name.name), &self.frame().rounds);
        let path = join(&self.instances[instance].path, &own);
        let known = self.instances[instance].values.get(&own) == Some(&path);
        if known && self.stored_at(&path) == Some(name.span) {
            self.same_type(&path, &ty)?;
            return Ok(path);
        }
        self.claim_path(&path, name.span)?;
        self.make_value(&path, &ty, name, init, kind)?;
        if let Some((whole, _)) = part_of {
            let values = &mut self.instances[whole].values;
            values.insert(own.clone(), path.clone());
        }
        self.instances[instance].values.insert(own, path.clone());
        Ok(path)
    }

    /// Where the parameter or state of a path stands in the program.
    fn stored_at(&self, path: &str) -> Option<Span> {
        let parameter = self.parameters.get(path).map(|record| record.span);
        parameter.or_else(|| self.states.get(path).map(|record| record.span))
    }

    /// An error where a later call wants another type than the first.
    fn same_type(&mut self, path: &str, ty: &TensorType) -> Checked<()> {
        let parameter = self
            .parameters
            .get(path)
            .map(|record| (record.ty.clone(), record.made_by));
        let state = self
            .states
            .get(path)
            .map(|record| (record.ty.clone(), record.made_by));
        match parameter.or(state) {
            Some((known, made_by)) if known != *ty => {
                let message =
                    format!("`{path}` is {known} since the first call, and {ty} is needed here");
                let call = self.frame().call;
                Err(self.report(
                    error(codes::PARAMETER_TYPE, call, message)
                        .label(made_by, format!("{known} by this call"))
                        .note("an instance's dimensions are fixed by its first call"),
                ))
            }
            _ => Ok(()),
        }
    }

    fn make_value(
        &mut self,
        path: &str,
        ty: &TensorType,
        name: &Ident,
        init: &Expr,
        kind: InputKind,
    ) -> Checked<()> {
        let initial = self.initial_value(path, ty, init)?;
        let made_by = self.user_call();
        self.store_initial(path, kind, initial);
        match kind {
            InputKind::State => {
                let owner = match self.frame().kind {
                    FrameKind::Optimizer => StateOwner::Optimizer,
                    _ => StateOwner::Block,
                };
                let record = StateRecord {
                    ty: ty.clone(),
                    span: name.span,
                    made_by,
                    owner,
                };
                self.states.insert(path.to_owned(), record);
            }
            _ => {
                let record = ParameterRecord {
                    ty: ty.clone(),
                    span: name.span,
                    made_by,
                    optimizer: None,
                    settled: false,
                };
                self.parameters.insert(path.to_owned(), record);
            }
        }
        Ok(())
    }

    /// The innermost call outside the library.
    fn user_call(&self) -> Span {
        let calls = self.frames.iter().rev().map(|frame| frame.call);
        let outside = calls
            .into_iter()
            .find(|call| !self.reporter.is_library(call.file));
        outside.unwrap_or(self.frame().call)
    }

    /// The newest version of a parameter or state in the graph under construction.
    pub fn read_version(&mut self, path: &str) -> Checked<Value> {
        let node = self.version(path);
        Ok(self.tensor(node))
    }

    /// The node of the newest version.
    pub fn version(&mut self, path: &str) -> NodeId {
        if let Some(&node) = self.unit.versions.get(path) {
            return node;
        }
        let node = self.stored_input(path);
        self.unit.versions.insert(path.to_owned(), node);
        node
    }

    /// The input that a parameter's or state's stored value is.
    pub fn stored_input(&mut self, path: &str) -> NodeId {
        match (self.parameters.get(path), self.states.get(path)) {
            (Some(record), _) => {
                let ty = record.ty.clone();
                let average = format!("ema.{path}");
                if self.reads_averages && self.states.contains_key(&average) {
                    let wide = TensorType::new(DType::F32, ty.shape);
                    let average = self.emit().input(InputKind::State, &average, wide);
                    self.emit().cast(average, ty.dtype)
                } else {
                    self.emit().input(InputKind::Parameter, path, ty)
                }
            }
            (None, Some(record)) => {
                let ty = record.ty.clone();
                self.emit().input(InputKind::State, path, ty)
            }
            // Paths are registered before they are read.
            (None, None) => self.emit().float(f64::NAN),
        }
    }

    /// Sets the newest version of a parameter or state.
    pub fn set_version(&mut self, path: &str, kind: InputKind, node: NodeId) {
        self.version(path);
        self.unit.versions.insert(path.to_owned(), node);
        let known = self.unit.changed.iter().any(|(changed, _)| changed == path);
        if !known {
            self.unit.changed.push((path.to_owned(), kind));
        }
    }

    /// `net.enc`, `tok.weight`
    pub fn instance_member(&mut self, instance: InstanceRef, name: &Ident) -> Checked<Value> {
        let own = &self.instances[instance.id];
        if let Some(path) = own.values.get(&name.name).cloned() {
            return self.read_version(&path);
        }
        if let Some(&id) = own.named.get(&name.name) {
            return Ok(Value::Instance(InstanceRef {
                id,
                training: instance.training,
            }));
        }
        let children = own.children.values().copied();
        let wanted = join(&own.path, &name.name);
        if let Some(id) = children
            .into_iter()
            .find(|&child| self.instances[child].path == wanted)
        {
            return Ok(Value::Instance(InstanceRef {
                id,
                training: instance.training,
            }));
        }
        let block = own
            .recipe
            .as_ref()
            .map_or("train", |recipe| recipe.definition.name())
            .to_owned();
        if own.first_call.is_none() {
            let message = format!("this `{block}` has no parts before its first call");
            return Err(self.report(error(codes::NOT_CALLED_YET, name.span, message)));
        }
        let names = own
            .values
            .keys()
            .chain(own.named.keys())
            .map(String::as_str);
        let near = suggest(&name.name, names).map(str::to_owned);
        let message = format!("`{block}` has no `{}`", name.name);
        Err(self
            .report(error(codes::UNKNOWN_MEMBER, name.span, message).did_you_mean(near.as_deref())))
    }

    /// A frame for things made by an instance from outside its body, such as a run's `let`s.
    pub fn frame_of(&self, instance: usize, kind: FrameKind, file: usize, span: Span) -> Frame {
        let mut frame = Frame::new(kind, file, span);
        frame.instance = Some(instance);
        frame.random_owner = self.instances[instance].path.clone();
        frame
    }
}

/// Two parts of a path; either may be empty.
pub(super) fn join(prefix: &str, name: &str) -> String {
    match (prefix, name) {
        ("", name) => name.to_owned(),
        (prefix, "") => prefix.to_owned(),
        _ => format!("{prefix}.{name}"),
    }
}

fn with_rounds(name: &str, rounds: &[i64]) -> String {
    let mut path = name.to_owned();
    for round in rounds {
        path.push_str(&format!(".{round}"));
    }
    path
}
