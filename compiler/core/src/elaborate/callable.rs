//! One function or block, to be called alone.

use super::codes;
use super::context::{Elaborator, Frame, FrameKind};
use super::diagnose::{Checked, Poison, error};
use super::expr::Given;
use super::feeds::bound_of;
use super::files::{DefinitionHandle, ItemRef};
use super::program::{ArgumentInfo, Callable};
use super::training::output_versions;
use super::value::{Applied, GivenStatic, InstanceRef, Value};
use crate::graph::{BinaryOp, InputKind, NodeId, OutputKind, ReduceOp, TensorType};
use dlm_grammar::ast::{DefinitionKind, Ident};
use dlm_grammar::suggest;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Inputs by name, and results.
type Called = (Vec<(String, NodeId)>, Vec<NodeId>);

/// How a function or block is to be called.
#[derive(Clone, Debug, Default)]
pub struct CallRequest {
    /// The types of the arguments that are there, by name. Others that the signature has not are left alone.
    pub arguments: BTreeMap<String, TensorType>,
    /// Whether `training` is true.
    pub training: bool,
    /// Whether gradients are wanted.
    pub gradients: bool,
}

impl Elaborator<'_> {
    /// The graph of a function or block of the main file.
    pub fn callable(&mut self, name: &str, request: &CallRequest) -> Checked<Callable> {
        let definition = self.entry(name)?;
        self.callable_of(&definition, &[], request)
    }

    /// The graph of a definition with these statics.
    pub fn callable_of(
        &mut self,
        definition: &DefinitionHandle,
        statics: &[GivenStatic],
        request: &CallRequest,
    ) -> Checked<Callable> {
        let name = definition.name();
        self.unit = self.new_unit(name);
        let mut frame = Frame::new(FrameKind::File, 0, definition.get().name.span);
        frame.training = request.training;
        let (result, _) = self.within(frame, |this| this.called(definition, statics, request));
        let (arguments, results) = result?;
        if self.reporter.has_errors() {
            return Err(Poison);
        }
        let parameters: Vec<(String, NodeId)> = self
            .parameters
            .keys()
            .filter_map(|path| Some((path.clone(), *self.unit.versions.get(path)?)))
            .collect();
        output_versions(&mut self.unit);
        if request.gradients {
            self.gradients(&arguments, &parameters, &results);
        }
        self.guard_indices();
        let bound = |node: NodeId| bound_of(&self.unit, node);
        let arguments = arguments.into_iter().map(|(name, node)| ArgumentInfo {
            name,
            ty: self.type_of(node).clone(),
            bound: bound(node),
        });
        Ok(Callable {
            name: name.to_owned(),
            arguments: arguments.collect(),
            parameters: self.parameter_infos(),
            states: self.state_infos(),
            results: results
                .iter()
                .map(|&node| self.type_of(node).clone())
                .collect(),
            checks: std::mem::take(&mut self.checks),
            init: std::mem::take(&mut self.init).emitter.graph,
            graph: std::mem::take(&mut self.unit).emitter.graph,
        })
    }

    fn entry(&mut self, name: &str) -> Checked<DefinitionHandle> {
        if let Some(ItemRef::Definition(definition)) = self.item(0, name)
            && definition.kind() != DefinitionKind::Optimizer
        {
            return Ok(definition);
        }
        if let Some(ItemRef::Broken) = self.item(0, name) {
            return Err(Poison);
        }
        let names = self.files[0].items.keys().map(String::as_str);
        let near = suggest(name, names).map(str::to_owned);
        let message = format!("the file has no function or block `{name}`");
        let span = self.main_span();
        Err(self.reporter_only(error(codes::NO_ENTRY, span, message).did_you_mean(near.as_deref())))
    }

    /// Calls the entry with inputs; gives these and the results.
    fn called(
        &mut self,
        definition: &DefinitionHandle,
        statics: &[GivenStatic],
        request: &CallRequest,
    ) -> Checked<Called> {
        let span = definition.get().name.span;
        let mut given = Vec::new();
        let mut arguments = Vec::new();
        for param in &definition.get().params {
            let name = &param.name.name;
            let Some(ty) = request.arguments.get(name) else {
                continue;
            };
            let node = self.emit().input(InputKind::Data, name, ty.clone());
            arguments.push((name.clone(), node));
            let name = Some(Ident {
                name: name.clone(),
                span: param.span,
            });
            given.push(Given {
                name,
                value: self.tensor(node),
                span: param.span,
            });
        }
        let applied = Rc::new(Applied {
            definition: definition.clone(),
            statics: statics.to_vec(),
        });
        let value = match definition.kind() {
            DefinitionKind::Block => {
                let id = self.add_instance(Some(applied), String::new(), span);
                self.call_instance(InstanceRef { id, training: None }, given, span)?
            }
            _ => self.call_function(&applied, given, span)?,
        };
        let values = match value {
            Value::Results(values) => values.to_vec(),
            value => vec![value],
        };
        let mut results = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let node = self.tensor_of(value, span)?;
            let name = if values.len() == 1 {
                "out".to_owned()
            } else {
                format!("out.{index}")
            };
            self.emit().graph.output(OutputKind::Result, name, node);
            results.push(node);
        }
        Ok((arguments, results))
    }

    /// Gradients of `sum(cotangent * first result)`, for each float argument and each parameter.
    fn gradients(
        &mut self,
        arguments: &[(String, NodeId)],
        parameters: &[(String, NodeId)],
        results: &[NodeId],
    ) {
        let Some(&result) = results.first() else {
            return;
        };
        let ty = self.type_of(result).clone();
        let given = arguments.iter().chain(parameters);
        let sought: Vec<_> = given
            .filter(|(_, node)| self.type_of(*node).dtype.is_float())
            .collect();
        if !ty.dtype.is_float() || sought.is_empty() {
            return;
        }
        let cotangent = self.emit().input(InputKind::Data, "cotangent", ty.clone());
        let product = self.emit().binary(BinaryOp::Mul, result, cotangent);
        let axes: Vec<usize> = (0..ty.rank()).collect();
        let loss = self.emit().reduce(ReduceOp::Sum, product, &axes);
        for (name, node) in sought {
            let gradient = self.emit().gradient(loss, *node);
            let name = format!("grad.{name}");
            self.emit().graph.output(OutputKind::Result, name, gradient);
        }
    }
}
