//! Phases, tasks, blocks, calls.

use std::cell::RefCell;
use std::ops::Range;

use super::memory::Memory;
use super::{Order, PlanError};
use crate::loops::{Access, InterpretError, Kernel, Touch, interpret_observed};
use crate::plan::{BufferId, Call, Layout, Plan, ScalarArgument, Space, TaskGroup, Tasks};

pub(super) fn step(
    plan: &Plan,
    kernels: &[Kernel],
    memory: &mut Memory,
    batch: usize,
    order: Order,
) -> Result<(), PlanError> {
    memory.forget(plan);
    for (number, phase) in plan.phases.iter().enumerate() {
        memory.barrier();
        let order = if phase.serial { Order::Forward } else { order };
        for unit in units(&phase.groups, batch, order) {
            if phase.serial {
                memory.barrier();
            }
            let mut runner = Runner {
                plan,
                kernels,
                memory: &mut *memory,
                batch,
                unit: &unit,
            };
            runner.task().map_err(|stop| stop.at(number, &unit))?;
        }
    }
    for commit in &plan.commits {
        let (from, to) = (&plan.buffers[commit.from], &plan.buffers[commit.to]);
        let bytes = from.bytes.min(to.bytes);
        let content = memory.stretch(from.space, (from.offset, bytes)).to_vec();
        memory
            .stretch(to.space, (to.offset, bytes))
            .copy_from_slice(&content);
    }
    Ok(())
}

/// A task to be run.
struct Unit<'a> {
    group: &'a TaskGroup,
    task: usize,
    /// Its blocks, or its range.
    range: Range<usize>,
    /// The number of its first block, or of itself, among all of the phase, from 1.
    first: u32,
}

fn units(groups: &[TaskGroup], batch: usize, order: Order) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    let mut first = 1;
    for group in groups {
        for task in 0..group.tasks.count(batch) {
            let range = group.tasks.range(batch, task);
            let count = if let Tasks::Blocks { .. } = group.tasks {
                range.len() as u32
            } else {
                1
            };
            units.push(Unit {
                group,
                task,
                range,
                first,
            });
            first += count;
        }
    }
    if order == Order::Backward {
        units.reverse();
    }
    units
}

/// Why a task stopped.
enum Stop {
    Kernel(InterpretError),
    Race {
        kernel: String,
        buffer: String,
        byte: usize,
        writes: bool,
    },
}

impl Stop {
    fn at(self, phase: usize, unit: &Unit<'_>) -> PlanError {
        let (group, task) = (unit.group.name.clone(), unit.task);
        match self {
            Stop::Kernel(error) => PlanError::Kernel {
                phase,
                group,
                task,
                error,
            },
            Stop::Race {
                kernel,
                buffer,
                byte,
                writes,
            } => PlanError::Race {
                phase,
                group,
                task,
                kernel,
                buffer,
                byte,
                writes,
            },
        }
    }
}

struct Runner<'a> {
    plan: &'a Plan,
    kernels: &'a [Kernel],
    memory: &'a mut Memory,
    batch: usize,
    unit: &'a Unit<'a>,
}

impl Runner<'_> {
    fn task(&mut self) -> Result<(), Stop> {
        let group = self.unit.group;
        for &id in &group.zeroed {
            let buffer = &self.plan.buffers[id];
            let window = buffer.window(group.tasks, self.unit.task, 0);
            self.memory.stretch(buffer.space, window).fill(0);
            if let Some(touched) = self.memory.touched(buffer.space) {
                touched.touch(self.unit.first, window.0..window.0 + window.1, true);
            }
        }
        let blocks = match group.tasks {
            Tasks::Blocks { .. } => self.unit.range.clone(),
            _ => 0..1,
        };
        for block in blocks {
            self.memory.scratch.fill(u8::MAX);
            for (call, round) in group.sequence() {
                self.call(&group.calls[call], block, round)?;
            }
        }
        Ok(())
    }

    fn scalar(&self, scalar: ScalarArgument, block: usize, round: usize) -> usize {
        match (scalar, self.unit.group.tasks) {
            (ScalarArgument::Batch, _) => self.batch,
            (ScalarArgument::BlockTasks { lanes, most }, _) => {
                Tasks::Blocks { lanes, most }.count(self.batch)
            }
            (ScalarArgument::Block, _) => block,
            (ScalarArgument::Follows, _) => usize::from(block != self.unit.range.start),
            (ScalarArgument::ValidLanes, Tasks::Blocks { lanes, .. }) => {
                lanes.min(self.batch - block * lanes)
            }
            (ScalarArgument::ValidLanes, _) => self.batch,
            (ScalarArgument::RangeBegin, _) => self.unit.range.start,
            (ScalarArgument::RangeEnd, _) => self.unit.range.end,
            (ScalarArgument::Round, _) => round,
        }
    }

    fn call(&mut self, call: &Call, block: usize, round: usize) -> Result<(), Stop> {
        let bindings: Vec<Binding> = call
            .buffers
            .iter()
            .map(|&id| self.binding(id, block, round))
            .collect();
        let mut contents: Vec<Vec<u8>> = bindings
            .iter()
            .map(|binding| self.memory.stretch(binding.space, binding.window).to_vec())
            .collect();
        let scalars: Vec<i64> = call
            .scalars
            .iter()
            .map(|&scalar| self.scalar(scalar, block, round) as i64)
            .collect();
        let kernel = &self.kernels[call.kernel.as_u32() as usize];
        let meeting = RefCell::new(None);
        let memory = RefCell::new(&mut *self.memory);
        let observe = |touch: Touch| {
            let binding = &bindings[touch.buffer.as_u32() as usize];
            if let Some(byte) = binding.touch(&mut memory.borrow_mut(), &touch) {
                meeting
                    .borrow_mut()
                    .get_or_insert((binding.id, byte, touch.writes));
            }
        };
        interpret_observed(kernel, &mut contents, &scalars, &observe).map_err(Stop::Kernel)?;
        if let Some((id, byte, writes)) = meeting.into_inner() {
            let buffer = &self.plan.buffers[id];
            let (name, byte) = (format!("{id} {:?}", buffer.name), byte - buffer.offset);
            return Err(Stop::Race {
                kernel: kernel.name.clone(),
                buffer: name,
                byte,
                writes,
            });
        }
        let accesses = kernel.buffers.values().map(|decl| decl.access);
        for ((binding, content), access) in bindings.iter().zip(&contents).zip(accesses) {
            if access != Access::Read {
                self.memory
                    .stretch(binding.space, binding.window)
                    .copy_from_slice(content);
            }
        }
        Ok(())
    }

    fn binding(&self, id: BufferId, block: usize, round: usize) -> Binding {
        let (buffer, unit) = (&self.plan.buffers[id], self.unit);
        let toucher = match (unit.group.tasks, buffer.layout) {
            (Tasks::Blocks { .. }, layout) if layout != Layout::Partials => {
                unit.first + (block - unit.range.start) as u32
            }
            _ => unit.first,
        };
        let window = buffer.window_in_round(unit.group.tasks, unit.task, block, round);
        Binding {
            id,
            space: buffer.space,
            window,
            toucher,
        }
    }
}

/// A buffer of a call.
struct Binding {
    id: BufferId,
    space: Space,
    /// What the call is given of it.
    window: (usize, usize),
    /// As whom the task touches it: its copy of partials as a task, all else as the block it is at.
    toucher: u32,
}

impl Binding {
    /// Notes an access; the byte of the space in which it meets another task's, if it does.
    fn touch(&self, memory: &mut Memory, touch: &Touch) -> Option<usize> {
        let bytes = self.window.0 + touch.bytes.start..self.window.0 + touch.bytes.end;
        memory
            .touched(self.space)?
            .touch(self.toucher, bytes, touch.writes)
    }
}
