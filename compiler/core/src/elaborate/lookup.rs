//! What a name means: inner names hide outer ones, a file's items hide the library, the library hides primitives,
//! and a definition does not see itself.

use super::codes;
use super::context::{Elaborator, Frame, FrameKind};
use super::diagnose::{Checked, error};
use super::files::{ItemRef, item_value};
use super::foreign::name_here;
use super::intrinsics;
use super::scope::BindingKind;
use super::value::{Applied, Primitive, Value};
use crate::graph::DType;
use dlm_grammar::ast::{DefinitionKind, File};
use dlm_grammar::{Diagnostic, Span, suggest};
use std::rc::Rc;

impl Elaborator<'_> {
    /// The value of a name in the innermost body.
    pub fn lookup(&mut self, name: &str, span: Span) -> Checked<Value> {
        if let Some(binding) = self.frame().scopes.find(name) {
            let (value, kind) = (binding.value.clone(), binding.kind.clone());
            return match kind {
                BindingKind::Parameter { path } | BindingKind::State { path } => {
                    value?;
                    self.read_version(&path)
                }
                _ => value,
            };
        }
        if let Some(value) = self.built_in(name) {
            return value;
        }
        let (file, hidden) = (self.frame().file, self.is_hidden(name));
        if !hidden && let Some(item) = self.item(file, name) {
            return self.item_meaning(item, file, name, span);
        }
        let in_library = self.files[file].library;
        if !(hidden && in_library)
            && let Some(item) = self.library_item(name)
        {
            let file = self.library_file(name);
            return self.item_meaning(item, file, name, span);
        }
        match intrinsics::find(name, in_library) {
            Some(intrinsic) => Ok(Value::Intrinsic(Rc::new(Primitive {
                intrinsic,
                statics: Vec::new(),
                bracketed: false,
            }))),
            None => Err(self.unknown_name(name, span)),
        }
    }

    /// Whether the file, the library or a primitive operation has that name, which a binding may hide.
    pub fn is_outside(&self, name: &str) -> bool {
        self.item(self.frame().file, name).is_some()
            || self.library.defines(name)
            || intrinsics::find(name, false).is_some()
    }

    /// Whether the name is that of the definition under way.
    fn is_hidden(&self, name: &str) -> bool {
        let frame = self.frame();
        let own = frame
            .definition
            .as_ref()
            .map(|definition| definition.name());
        own == Some(name) || frame.hidden.as_deref() == Some(name)
    }

    fn library_file(&self, name: &str) -> usize {
        self.library.loaded.get(name).copied().unwrap_or(0)
    }

    /// Names that a kind of body gives: `training`, the run's counters, an init's shape.
    fn built_in(&mut self, name: &str) -> Option<Checked<Value>> {
        let kind = self.frame().kind;
        match name {
            "training" if kind != FrameKind::File && kind != FrameKind::Train => {
                Some(Ok(Value::Bool(self.frame().training)))
            }
            "iter" | "epoch" | "steps" | "epochs" if sees_counters(kind) => {
                let node = self.run_scalar(name, DType::F32);
                Some(Ok(self.tensor(node)))
            }
            "shape" | "fan_in" | "fan_out" if kind == FrameKind::Init => {
                Some(self.init_shape(name))
            }
            _ => None,
        }
    }

    fn init_shape(&mut self, name: &str) -> Checked<Value> {
        let (shape, call) = (
            self.frame().shape.clone().unwrap_or_default(),
            self.frame().call,
        );
        if name == "shape" {
            return Ok(Value::ints(&shape));
        }
        let fan = match (name, shape.as_slice()) {
            ("fan_in", [_, rest @ ..]) if !rest.is_empty() => rest.iter().product(),
            ("fan_out", [first, _, rest @ ..]) => first * rest.iter().product::<i64>(),
            _ => {
                let message = format!(
                    "a parameter with {} dimensions has no `{name}`",
                    shape.len()
                );
                return Err(self.report(
                    error(codes::INIT, call, message)
                        .help("give it: `fan_in_uniform[n]`, `n` being the number of inputs"),
                ));
            }
        };
        Ok(Value::Int(fan))
    }

    /// The value of an item.
    pub fn item_meaning(
        &mut self,
        item: ItemRef,
        file: usize,
        name: &str,
        span: Span,
    ) -> Checked<Value> {
        match item {
            ItemRef::Module(module) => module.map(Value::Module),
            ItemRef::Broken => Err(super::diagnose::Poison),
            ItemRef::Definition(definition) => {
                let kind = definition.kind();
                let applied = Rc::new(Applied {
                    definition,
                    statics: Vec::new(),
                });
                Ok(match kind {
                    DefinitionKind::Function => Value::Function(applied),
                    DefinitionKind::Block => Value::Recipe(applied),
                    DefinitionKind::Optimizer => Value::Rule(applied),
                })
            }
            ItemRef::Let(tree, index) => self.constant(&tree, index, file, name, span),
            ItemRef::Data(tree, index) => self.data_item(&tree, index, file, name, span),
        }
    }

    fn constant(
        &mut self,
        tree: &Rc<File>,
        index: usize,
        file: usize,
        name: &str,
        span: Span,
    ) -> Checked<Value> {
        self.guard_cycle(file, name, span)?;
        let replaced = if file == 0 {
            self.override_of(name)
        } else {
            None
        };
        let tree = tree.clone();
        let mut frame = Frame::new(FrameKind::File, file, span);
        frame.hidden = Some(name.to_owned());
        self.computing.push((file, name.to_owned()));
        let (value, _) = self.within(frame, |this| match (replaced, item_value(&tree, index)) {
            (Some(replaced), _) => {
                let expr = replaced?;
                this.static_value(&expr)
            }
            (None, Some((_, expr))) => this.static_value(expr),
            (None, None) => Ok(Value::None),
        });
        self.computing.pop();
        value
    }

    /// An error where a constant or data set is needed to compute itself.
    pub fn guard_cycle(&mut self, file: usize, name: &str, span: Span) -> Checked<()> {
        let cycle = self.computing.iter().any(|(f, n)| *f == file && n == name);
        if !cycle {
            return Ok(());
        }
        let message = format!("`{name}` is made of itself");
        Err(self.report(error(codes::RECURSION, span, message)))
    }

    /// The name in scope that is most likely meant.
    fn near_name(&self, name: &str) -> Option<String> {
        let frame = self.frame();
        let items = self.files[frame.file].items.keys();
        let mut known: Vec<&str> = frame
            .scopes
            .names()
            .chain(items.map(String::as_str))
            .collect();
        let common = self.library.names().chain(intrinsics::public_names());
        for name in common.filter(|name| !name.starts_with('_')) {
            known.push(name);
        }
        suggest(name, known).map(str::to_owned)
    }

    /// The report that a name means nothing.
    pub fn unknown_name(&mut self, name: &str, span: Span) -> super::diagnose::Poison {
        if self.is_hidden(name) && self.frame().definition.is_some() {
            return self.report(sees_itself(name, span));
        }
        let message = format!("nothing is named `{name}`");
        let mut diagnostic = error(codes::UNKNOWN_NAME, span, message);
        diagnostic = match name_here(name) {
            Some(here) => diagnostic.help(format!("here it is {here}")),
            None => diagnostic.did_you_mean(self.near_name(name).as_deref()),
        };
        if matches!(name, "iter" | "epoch" | "steps" | "epochs") {
            diagnostic = diagnostic.note(
                "the run's counters are known in a `train`, an optimizer and a `fn … -> schedule`",
            );
        }
        self.report(diagnostic)
    }
}

/// The report that a definition names itself.
fn sees_itself(name: &str, span: Span) -> Diagnostic {
    let message = format!("`{name}` is being defined here, and a definition does not see itself");
    error(codes::UNKNOWN_NAME, span, message)
        .help("there is no recursion; `for i in 0..n { … }` repeats what a body does")
}

fn sees_counters(kind: FrameKind) -> bool {
    !matches!(
        kind,
        FrameKind::Function | FrameKind::Block | FrameKind::Init
    )
}
