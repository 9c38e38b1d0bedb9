//! The slow evaluator of whole plans: obvious, one task after the other, the oracle of the worker team.
//!
//! Each call is given exactly the stretch of memory that the plan gives it (its block, its task's copy, or the whole
//! buffer), so that a kernel which leaves its stretch is an error here. Memory that a step may not rely on holds
//! bytes of ones before the step, and scratch before each block: not-a-numbers, and truth values that are none.

mod values;

use indexmap::IndexMap;
use std::collections::BTreeMap;

use super::size::extent;
use super::{Call, Fault, Plan, PlanBuffer, Port, ScalarArgument, Space, TaskGroup, Tasks, verify};
use crate::graph::eval::Tensor;
use crate::graph::{InputKind, OutputKind};
use crate::loops::{self, Access, InterpretError, Kernel, expand_math};

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
    /// The batch is 0 or larger than the plan's.
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
    persistent: Vec<u8>,
    arena: Vec<u8>,
    scratch: Vec<u8>,
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
            persistent: memory(plan.persistent_bytes)?,
            arena: memory(plan.arena_bytes)?,
            scratch: memory(plan.scratch_bytes)?,
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
        let memory = self.space(buffer.space);
        values::pack(buffer, value, &mut memory[buffer.offset..buffer.end()]);
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
        let memory = self.space(buffer.space);
        Ok(values::unpack(
            buffer,
            &sizes,
            &memory[buffer.offset..buffer.end()],
        ))
    }

    /// Runs all phases and commits.
    ///
    /// # Errors
    /// Where the batch is too large or a kernel leaves its memory.
    pub fn step(&mut self, batch: usize, order: Order) -> Result<(), PlanError> {
        if batch == 0 || batch > self.plan.batch {
            return Err(PlanError::Batch(batch, self.plan.batch));
        }
        self.forget();
        for (number, phase) in self.plan.phases.iter().enumerate() {
            let of_group =
                |group: &'a TaskGroup| (0..group.tasks.count(batch)).map(move |task| (group, task));
            let mut tasks: Vec<(&TaskGroup, usize)> =
                phase.groups.iter().flat_map(of_group).collect();
            if order == Order::Backward {
                tasks.reverse();
            }
            for (group, task) in tasks {
                self.task(group, batch, task)
                    .map_err(|error| PlanError::Kernel {
                        phase: number,
                        group: group.name.clone(),
                        task,
                        error,
                    })?;
            }
        }
        for commit in &self.plan.commits {
            let (from, to) = (
                &self.plan.buffers[commit.from],
                &self.plan.buffers[commit.to],
            );
            let bytes = from.bytes.min(to.bytes);
            let content = self.space(from.space)[from.offset..from.offset + bytes].to_vec();
            self.space(to.space)[to.offset..to.offset + bytes].copy_from_slice(&content);
        }
        Ok(())
    }

    /// Makes undefined what is neither kept nor fed.
    fn forget(&mut self) {
        let mut arena = vec![u8::MAX; self.arena.len()];
        for port in &self.plan.inputs {
            let buffer = &self.plan.buffers[port.buffer];
            if buffer.space == Space::Arena {
                let place = buffer.offset..buffer.end();
                arena[place.clone()].copy_from_slice(&self.arena[place]);
            }
        }
        self.arena = arena;
    }

    fn task(&mut self, group: &TaskGroup, batch: usize, task: usize) -> Result<(), InterpretError> {
        for &id in &group.zeroed {
            let buffer = &self.plan.buffers[id];
            let (begin, bytes) = buffer.window(group.tasks, task, 0);
            self.space(buffer.space)[begin..begin + bytes].fill(0);
        }
        let range = group.tasks.range(batch, task);
        let blocks = match group.tasks {
            Tasks::Blocks { .. } => range.clone(),
            _ => 0..1,
        };
        for block in blocks {
            self.scratch.fill(u8::MAX);
            for call in &group.calls {
                let scalars = call
                    .scalars
                    .iter()
                    .map(|&scalar| self.scalar(scalar, group, batch, block, &range));
                let scalars: Vec<i64> = scalars.map(|value| value as i64).collect();
                self.call(group.tasks, call, task, block, &scalars)?;
            }
        }
        Ok(())
    }

    fn scalar(
        &self,
        scalar: ScalarArgument,
        group: &TaskGroup,
        batch: usize,
        block: usize,
        range: &std::ops::Range<usize>,
    ) -> usize {
        match (scalar, group.tasks) {
            (ScalarArgument::Batch, _) => batch,
            (ScalarArgument::BlockTasks { lanes, most }, _) => {
                Tasks::Blocks { lanes, most }.count(batch)
            }
            (ScalarArgument::Block, _) => block,
            (ScalarArgument::ValidLanes, Tasks::Blocks { lanes, .. }) => {
                lanes.min(batch - block * lanes)
            }
            (ScalarArgument::ValidLanes, _) => batch,
            (ScalarArgument::RangeBegin, _) => range.start,
            (ScalarArgument::RangeEnd, _) => range.end,
        }
    }

    fn call(
        &mut self,
        tasks: Tasks,
        call: &Call,
        task: usize,
        block: usize,
        scalars: &[i64],
    ) -> Result<(), InterpretError> {
        let windows = call.buffers.iter().map(|&id| {
            let buffer: &PlanBuffer = &self.plan.buffers[id];
            (buffer.space, buffer.window(tasks, task, block))
        });
        let windows: Vec<(Space, (usize, usize))> = windows.collect();
        let contents = windows
            .iter()
            .map(|&(space, (begin, bytes))| self.space(space)[begin..begin + bytes].to_vec());
        let mut contents: Vec<Vec<u8>> = contents.collect();
        loops::interpret(
            &self.kernels[call.kernel.as_u32() as usize],
            &mut contents,
            scalars,
        )?;
        let accesses = self.plan.kernels[call.kernel]
            .buffers
            .values()
            .map(|decl| decl.access);
        let written = windows
            .iter()
            .zip(&contents)
            .zip(accesses)
            .filter(|(_, access)| *access != Access::Read);
        for ((&(space, (begin, bytes)), content), _) in written {
            self.space(space)[begin..begin + bytes].copy_from_slice(content);
        }
        Ok(())
    }

    fn space(&mut self, space: Space) -> &mut Vec<u8> {
        match space {
            Space::Persistent => &mut self.persistent,
            Space::Arena => &mut self.arena,
            Space::Scratch => &mut self.scratch,
        }
    }

    fn sizes<K>(&self, port: &Port<K>, batch: usize) -> Result<Vec<i64>, PlanError> {
        let shape = self.plan.buffers[port.buffer].shape.iter();
        let sizes: Option<Vec<i64>> = shape.map(|&dim| Some(extent(dim, batch)? as i64)).collect();
        let within = batch > 0 && batch <= self.plan.batch;
        match sizes {
            Some(sizes) if within => Ok(sizes),
            Some(_) => Err(PlanError::Batch(batch, self.plan.batch)),
            None => Err(misshapen(self.plan, port, Vec::new())),
        }
    }
}

fn memory(bytes: usize) -> Result<Vec<u8>, PlanError> {
    let mut memory = Vec::new();
    memory
        .try_reserve_exact(bytes)
        .map_err(|_| PlanError::Memory(bytes))?;
    memory.resize(bytes, u8::MAX);
    Ok(memory)
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
