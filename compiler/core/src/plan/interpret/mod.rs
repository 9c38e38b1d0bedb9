//! The slow evaluator of whole plans: obvious, one task after the other, the oracle of the worker team.
//!
//! Each call is given exactly the stretch of memory that the plan gives it (its block, its task's copy, or the whole
//! buffer), so that a kernel which leaves its stretch is an error here, and so are two tasks of a phase that meet in a
//! byte which one of them writes. (Blocks count as tasks of their own.) Memory that a step may not rely on holds
//! bytes of ones before the step, and scratch before each block: not-a-numbers, and truth values that are none.

mod memory;
mod run;
mod touched;
mod values;

use indexmap::IndexMap;
use std::collections::BTreeMap;

use super::size::extent;
use super::{Fault, Plan, Port, verify};
use crate::graph::eval::Tensor;
use crate::graph::{InputKind, OutputKind};
use crate::loops::{InterpretError, Kernel, expand_math};
use memory::Memory;

/// A plan could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It breaks rules.
    #[error("{}", .0.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"))]
    Faults(Vec<Fault>),
    /// A kernel went wrong.
    #[error("phase {phase}, group `{group}`, task {task}: {error}")]
    Kernel {
        /// The phase.
        phase: usize,
        /// The group's name.
        group: String,
        /// The task.
        task: usize,
        /// What it did.
        error: InterpretError,
    },
    /// Two tasks that no barrier parts meet.
    #[error(
        "phase {phase}, group `{group}`, task {task}: `{kernel}` {} byte {byte} of {buffer}, which another task {}",
        if *.writes { "writes" } else { "reads" },
        if *.writes { "reads or writes" } else { "writes" }
    )]
    Race {
        /// The phase.
        phase: usize,
        /// The group's name.
        group: String,
        /// The task.
        task: usize,
        /// The kernel's name.
        kernel: String,
        /// The buffer and its name.
        buffer: String,
        /// Which byte of it, from the buffer's start.
        byte: usize,
        /// Whether this task writes there.
        writes: bool,
    },
    /// The batch is 0 or larger than the plan's, or another than its only one.
    #[error("a batch of {0} samples in a plan for at most {1}")]
    Batch(usize, usize),
    /// An input or output is not there.
    #[error("the plan has no {0} `{1}`")]
    NoPort(String, String),
    /// A value was not given.
    #[error("no value for {0:?} input `{1}`")]
    Missing(InputKind, String),
    /// A value has another shape.
    #[error("`{name}` has shape {found:?}, the plan wants {expected}")]
    Shape {
        /// The port.
        name: String,
        /// What is given.
        found: Vec<i64>,
        /// The plan's.
        expected: String,
    },
    /// The machine does not have as many bytes as the plan's spaces take.
    #[error("no memory of {0} bytes")]
    Memory(usize),
}

/// In which order the tasks of a phase run. No result may depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As listed.
    #[default]
    Forward,
    /// The last group's last task first.
    Backward,
}

/// Runs one step for `batch` samples on plain tensors: the outputs by kind and name, in the plan's order.
///
/// # Errors
/// Where the plan is at fault, a kernel leaves its memory, or an input is missing or misshapen.
pub fn interpret(
    plan: &Plan,
    batch: usize,
    inputs: &BTreeMap<(InputKind, String), Tensor>,
) -> Result<IndexMap<(OutputKind, String), Tensor>, PlanError> {
    let mut interpreter = Interpreter::new(plan)?;
    for port in &plan.inputs {
        let value = inputs.get(&(port.kind, port.name.clone()));
        let value = value.ok_or_else(|| PlanError::Missing(port.kind, port.name.clone()))?;
        interpreter.feed(port.kind, &port.name, batch, value)?;
    }
    interpreter.step(batch, Order::Forward)?;
    let outputs = plan.outputs.iter();
    outputs
        .map(|port| {
            Ok((
                (port.kind, port.name.clone()),
                interpreter.read(port.kind, &port.name, batch)?,
            ))
        })
        .collect()
}

/// A plan with its memory, for several steps.
pub struct Interpreter<'a> {
    plan: &'a Plan,
    /// Functions written out.
    kernels: Vec<Kernel>,
    memory: Memory,
}

impl<'a> Interpreter<'a> {
    /// With all memory undefined.
    ///
    /// # Errors
    /// Where the plan breaks rules, or the memory is not there.
    pub fn new(plan: &'a Plan) -> Result<Interpreter<'a>, PlanError> {
        verify(plan).map_err(PlanError::Faults)?;
        Ok(Interpreter {
            plan,
            kernels: plan.kernels.values().map(expand_math).collect(),
            memory: Memory::new(plan)?,
        })
    }

    /// Puts a value in an input's place; padding is zero.
    ///
    /// # Errors
    /// Where there is no such input or the value has another shape.
    pub fn feed(
        &mut self,
        kind: InputKind,
        name: &str,
        batch: usize,
        value: &Tensor,
    ) -> Result<(), PlanError> {
        let port = find(&self.plan.inputs, kind, name)?;
        let sizes = self.sizes(port, batch)?;
        if value.shape != sizes {
            return Err(misshapen(self.plan, port, value.shape.clone()));
        }
        let buffer = &self.plan.buffers[port.buffer];
        values::pack(
            buffer,
            value,
            self.memory
                .stretch(buffer.space, (buffer.offset, buffer.bytes)),
        );
        Ok(())
    }

    /// An output's value after a step.
    ///
    /// # Errors
    /// Where there is no such output.
    pub fn read(
        &mut self,
        kind: OutputKind,
        name: &str,
        batch: usize,
    ) -> Result<Tensor, PlanError> {
        let port = find(&self.plan.outputs, kind, name)?;
        let sizes = self.sizes(port, batch)?;
        let buffer = &self.plan.buffers[port.buffer];
        let stretch = self
            .memory
            .stretch(buffer.space, (buffer.offset, buffer.bytes));
        Ok(values::unpack(buffer, &sizes, stretch))
    }

    /// Runs all phases and commits.
    ///
    /// # Errors
    /// Where the batch is too large, a kernel leaves its memory, or two tasks of a phase meet.
    pub fn step(&mut self, batch: usize, order: Order) -> Result<(), PlanError> {
        if !self.plan.takes(batch) {
            return Err(PlanError::Batch(batch, self.plan.batch));
        }
        run::step(self.plan, &self.kernels, &mut self.memory, batch, order)
    }

    fn sizes<K>(&self, port: &Port<K>, batch: usize) -> Result<Vec<i64>, PlanError> {
        let shape = self.plan.buffers[port.buffer].shape.iter();
        let sizes: Option<Vec<i64>> = shape.map(|&dim| Some(extent(dim, batch)? as i64)).collect();
        let within = self.plan.takes(batch);
        match sizes {
            Some(sizes) if within => Ok(sizes),
            Some(_) => Err(PlanError::Batch(batch, self.plan.batch)),
            None => Err(misshapen(self.plan, port, Vec::new())),
        }
    }
}

fn find<'p, K: Copy + PartialEq + std::fmt::Debug>(
    ports: &'p [Port<K>],
    kind: K,
    name: &str,
) -> Result<&'p Port<K>, PlanError> {
    let port = ports
        .iter()
        .find(|port| port.kind == kind && port.name == name);
    port.ok_or_else(|| PlanError::NoPort(format!("{kind:?}"), name.into()))
}

fn misshapen<K>(plan: &Plan, port: &Port<K>, found: Vec<i64>) -> PlanError {
    PlanError::Shape {
        name: port.name.clone(),
        found,
        expected: plan.buffers[port.buffer].to_string(),
    }
}

#[cfg(test)]
mod tests;
