//! Everything that can be said of a file without running it.

use super::callable::CallRequest;
use super::context::{Elaborator, Frame, FrameKind, Unit};
use super::diagnose::Checked;
use super::files::{DefinitionHandle, ItemRef, train_at};
use super::program::{Callable, TrainProgram};
use super::sizing::{SizedDefinition, takes_tensors};
use crate::graph::{Dim, TensorType};
use dlm_grammar::ast::{Definition, DefinitionKind, DimKind, ExprKind, ItemKind, Param, TypeKind};
use std::collections::BTreeMap;

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub struct FileReport {
    /// Its runs.
    pub trains: Vec<TrainProgram>,
    /// Its functions and blocks, each as if called alone; `B` stays open.
    pub definitions: Vec<SizedDefinition>,
    /// The names of those that could not be elaborated alone, and why.
    pub unsized_definitions: Vec<(String, String)>,
}

impl Elaborator<'_> {
    /// Elaborates every run, and every function and block that can be elaborated by itself: with its own types, those it
    /// is called with, or sizes that fit it. The names of all others are checked.
    pub fn check_file(&mut self) -> Checked<FileReport> {
        let mut report = FileReport::default();
        for (tree, item) in self.trains() {
            let Some(train) = train_at(&tree, item) else {
                continue;
            };
            self.forget_run();
            report
                .trains
                .extend(self.train_program(Some(&train.name.name)));
        }
        self.check_constants();
        self.check_definitions(&mut report);
        self.resolve_unreached();
        Ok(report)
    }

    /// Elaborates functions and blocks by themselves: first those whose signatures fix all types, then those that nothing
    /// calls, from the last on since callers stand after what they call, then all others as they are called.
    fn check_definitions(&mut self, report: &mut FileReport) {
        let handles = self.own_definitions();
        let mut found: BTreeMap<usize, SizedDefinition> = BTreeMap::new();
        for (index, handle) in handles.iter().enumerate() {
            if let Some(arguments) = self.fixed_arguments(handle.get()) {
                let callable = self.as_declared_alone(handle, arguments);
                let sizes = String::new();
                found.extend(callable.map(|callable| (index, SizedDefinition { callable, sizes })));
            }
        }
        for (index, handle) in handles.iter().enumerate().rev() {
            if !self.reached.contains(&handle.get().name.span) {
                match self.as_guessed(handle) {
                    Ok(sized) => {
                        found.insert(index, sized);
                    }
                    Err(Some(reason)) => report
                        .unsized_definitions
                        .insert(0, (handle.name().to_owned(), reason)),
                    Err(None) => {}
                }
            }
        }
        for (index, handle) in handles.iter().enumerate() {
            if !found.contains_key(&index) {
                found.extend(self.as_called(handle).map(|sized| (index, sized)));
            }
        }
        report.definitions.extend(found.into_values());
    }

    /// The main file's functions and blocks that can be called alone.
    fn own_definitions(&self) -> Vec<DefinitionHandle> {
        let names = self.files[0].items.keys();
        let handles = names.filter_map(|name| match self.item(0, name) {
            Some(ItemRef::Definition(handle)) => Some(handle),
            _ => None,
        });
        handles
            .filter(|handle| takes_tensors(handle.get()))
            .collect()
    }

    fn as_declared_alone(
        &mut self,
        handle: &DefinitionHandle,
        arguments: BTreeMap<String, TensorType>,
    ) -> Option<Callable> {
        self.forget_run();
        let request = CallRequest {
            arguments,
            training: true,
            gradients: false,
        };
        self.callable_of(handle, &[], &request).ok()
    }

    /// The mistakes of constants and data that nothing uses.
    fn check_constants(&mut self) {
        self.forget_run();
        let tree = self.files[0].tree.clone();
        for item in &tree.items {
            let (ItemKind::Let { name, .. } | ItemKind::Data { name, .. }) = &item.kind else {
                continue;
            };
            let Some(found) = self.item(0, &name.name) else {
                continue;
            };
            let frame = Frame::new(FrameKind::File, 0, name.span);
            self.within(frame, |this| {
                // What it is does not matter here; its mistakes have been reported.
                let _ = this.item_meaning(found, 0, &name.name, name.span);
            });
        }
    }

    /// Forgets what belongs to one run, and keeps files and diagnostics.
    pub fn forget_run(&mut self) {
        self.unit = Unit::default();
        self.init = self.new_unit("init");
        self.init_number = self.init.number;
        self.instances.clear();
        self.parameters.clear();
        self.states.clear();
        self.optimizers.clear();
        self.places.clear();
        self.described.clear();
        self.datasets.clear();
        self.reported.clear();
        self.traces.clear();
        self.checks.clear();
        self.train_under_way = None;
        self.statements = 0;
    }

    /// The types of a definition's arguments, where its signature fixes them all and its statics have defaults.
    fn fixed_arguments(&self, definition: &Definition) -> Option<BTreeMap<String, TensorType>> {
        let open = definition
            .statics
            .iter()
            .any(|param| param.default.is_none());
        if open || definition.kind == DefinitionKind::Optimizer || definition.params.is_empty() {
            return None;
        }
        let required = definition
            .params
            .iter()
            .filter(|param| param.default.is_none());
        required
            .map(|param| Some((param.name.name.clone(), fixed_type(param)?)))
            .collect()
    }
}

/// A parameter's type, if its dimensions are numbers and `B`.
fn fixed_type(param: &Param) -> Option<TensorType> {
    let TypeKind::Tensor { dtype, dims } = &param.ty.as_ref()?.kind else {
        return None;
    };
    let mut shape = Vec::new();
    for dim in dims.iter().flatten() {
        let DimKind::Size(size) = &dim.kind else {
            return None;
        };
        shape.push(match &size.kind {
            ExprKind::Int(extent) => Dim::fixed(*extent),
            ExprKind::Name(name) if name == "B" => Dim::BATCH,
            _ => return None,
        });
    }
    Some(TensorType::new(
        super::signature::element_type(*dtype),
        shape,
    ))
}
