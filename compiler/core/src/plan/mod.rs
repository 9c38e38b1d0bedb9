//! Plan IR: the phases of a step, their tasks with kernel calls and argument ranges, and where every buffer lies.
//!
//! A plan is all a run needs beside the machine code of its kernels.

pub mod cost;
mod interpret;
mod memory;
mod names;
mod one_size;
mod size;
mod text;
mod verify;

pub use interpret::{Interpreter, Order, PlanError, interpret};
pub use memory::StepMemory;
pub use size::ALIGNMENT;
pub use text::{ParseError, parse_plan, print_with_kernels};
pub use verify::{Fault, Rule, verify};

use crate::graph::{Dim, InputKind, OutputKind};
use crate::loops::{Element, Kernel};
use cranelift_entity::{PrimaryMap, entity_impl};

/// A kernel of a plan. Printed as `k3`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KernelId(u32);
entity_impl!(KernelId, "k");

/// A buffer of a plan. Printed as `m5`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(u32);
entity_impl!(BufferId, "m");

/// Which memory a buffer lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// Parameters and states: kept between steps, shared by the programs of a run.
    Persistent,
    /// Kept between the phases of a step.
    Arena,
    /// One copy a worker, reused by each sample block.
    Scratch,
}

/// The order of a value's elements in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Row-major.
    Plain,
    /// `[blocks][the other axes][lanes]`: the axis is cut into blocks of `lanes`, which lie innermost.
    Lanes {
        /// The axis that is cut.
        axis: usize,
        /// How many samples a block holds.
        lanes: usize,
    },
    /// `[panels][samples][width]`: what follows the first axis, the samples, is one axis of columns, cut into panels. Each
    /// panel has room for the samples of whole blocks.
    Panels {
        /// Columns of a panel. The last one may have fewer.
        width: usize,
    },
    /// One plain copy a task, to be summed.
    Partials,
}

/// A stretch of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanBuffer {
    /// What it holds, for dumps: a parameter's path or the value's origin.
    pub name: String,
    /// Of the elements.
    pub element: Element,
    /// The value's logical shape.
    pub shape: Vec<Dim>,
    /// The elements' order.
    pub layout: Layout,
    /// Where.
    pub space: Space,
    /// From the start of its space, in bytes; a multiple of 64.
    pub offset: usize,
    /// The whole size in bytes for the largest batch.
    pub bytes: usize,
    /// Bytes from one sample block to the next (0 where it is not cut into blocks).
    pub block_stride: usize,
    /// Bytes from one task's copy to the next (0 but for partials).
    pub task_stride: usize,
    /// For a row: the stacked buffer that it lies in. It stands at the same place, and in round `t` of a loop it is
    /// `t` times its own `bytes` further on, within each block.
    pub row_of: Option<BufferId>,
    /// It is zero where no kernel writes: cleared before the first step, it lies where nothing else does.
    pub cleared: bool,
}

/// How the work of a group is cut into tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tasks {
    /// The batch's sample blocks, in at most `most` tasks of neighbouring blocks; every call runs for each block.
    Blocks {
        /// Samples a block.
        lanes: usize,
        /// The largest number of tasks, which is also the number of partials.
        most: usize,
    },
    /// The range `0..extent` of the outermost loop in pieces of `chunk`.
    Ranges {
        /// The whole range.
        extent: usize,
        /// One task's part. A kernel may have no code for less than a tile: its tiles then divide `chunk` and `extent`.
        chunk: usize,
    },
    /// The range `0..B` in pieces of `chunk`.
    BatchRanges {
        /// One task's part.
        chunk: usize,
    },
    /// One task.
    Once,
}

/// A scalar argument of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScalarArgument {
    /// The batch size.
    Batch,
    /// The number of tasks that the batch's sample blocks are cut into (for sums of partials).
    BlockTasks {
        /// As in [`Tasks::Blocks`].
        lanes: usize,
        /// As in [`Tasks::Blocks`].
        most: usize,
    },
    /// The sample block's number.
    Block,
    /// 0 in the first block of a task, 1 in those that follow.
    Follows,
    /// How many samples of the block are real: `min(lanes, B - block * lanes)`.
    ValidLanes,
    /// The task's range.
    RangeBegin,
    /// One past its end.
    RangeEnd,
    /// The number of the loop's round.
    Round,
}

/// A kernel applied to buffers. Where tasks are blocks, a buffer with a block stride is passed from its block on; a
/// partial from its task's copy on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The kernel.
    pub kernel: KernelId,
    /// Its buffers, in the kernel's order.
    pub buffers: Vec<BufferId>,
    /// Its scalars, in the kernel's order.
    pub scalars: Vec<ScalarArgument>,
}

/// Calls of a group that are run again and again, before those that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Repeat {
    /// The first of them.
    pub first: usize,
    /// How many calls.
    pub count: usize,
    /// How many times.
    pub rounds: usize,
    /// From the last round to the first.
    pub reverse: bool,
}

impl Repeat {
    /// One past the last call.
    pub fn end(&self) -> usize {
        self.first.saturating_add(self.count)
    }

    /// The numbers of the rounds in their order.
    pub fn round_numbers(&self) -> impl Iterator<Item = usize> + use<> {
        let (rounds, reverse) = (self.rounds, self.reverse);
        (0..rounds).map(move |step| if reverse { rounds - 1 - step } else { step })
    }
}

/// Calls that every task of the group runs in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskGroup {
    /// For dumps.
    pub name: String,
    /// How the work is cut.
    pub tasks: Tasks,
    /// Partials whose copy each task fills with zeros first.
    pub zeroed: Vec<BufferId>,
    /// The work.
    pub calls: Vec<Call>,
    /// Which calls are repeated, in order, none twice.
    pub repeats: Vec<Repeat>,
}

impl TaskGroup {
    /// The calls in the order in which a task makes them, each with its round (0 outside of loops).
    pub fn sequence(&self) -> Vec<(usize, usize)> {
        let mut all = Vec::new();
        let mut next = 0;
        for repeat in &self.repeats {
            all.extend((next..repeat.first).map(|call| (call, 0)));
            for round in repeat.round_numbers() {
                all.extend((repeat.first..repeat.end()).map(|call| (call, round)));
            }
            next = repeat.end();
        }
        all.extend((next..self.calls.len()).map(|call| (call, 0)));
        all
    }
}

/// Groups that run at the same time; the next phase begins when all have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Phase {
    /// The worker that ends the phase before last runs the groups in order, all tasks of one before the next, while the
    /// others wait: no barrier stands between the two phases.
    pub serial: bool,
    /// Its groups.
    pub groups: Vec<TaskGroup>,
}

/// A named value that enters or leaves the step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port<K> {
    /// What it is to the run.
    pub kind: K,
    /// Its name or path.
    pub name: String,
    /// Where it lies.
    pub buffer: BufferId,
}

/// After the last phase: the new value of a state whose old one was still read while the new one was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The new value.
    pub from: BufferId,
    /// The state.
    pub to: BufferId,
}

/// The whole of a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The graph's name.
    pub name: String,
    /// The largest batch that the buffers hold.
    pub batch: usize,
    /// Whether a step must be of exactly so many samples: they read one another.
    pub exact: bool,
    /// The kernels.
    pub kernels: PrimaryMap<KernelId, Kernel>,
    /// All memory.
    pub buffers: PrimaryMap<BufferId, PlanBuffer>,
    /// The work, in order.
    pub phases: Vec<Phase>,
    /// Copies at the end of the step, done by one worker.
    pub commits: Vec<Commit>,
    /// What enters.
    pub inputs: Vec<Port<InputKind>>,
    /// What leaves.
    pub outputs: Vec<Port<OutputKind>>,
    /// Bytes of the persistent space.
    pub persistent_bytes: usize,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Bytes of each worker's scratch.
    pub scratch_bytes: usize,
    /// The decisions and their reasons, a line each.
    pub decisions: Vec<String>,
}

/// What stands in a decision between what was taken and what could have been.
pub const ELSE: &str = "; else ";

/// The part of a decision that says what was taken, and why.
pub fn taken(decision: &str) -> &str {
    decision.split(ELSE).next().unwrap_or(decision)
}

impl Plan {
    /// Whether a step may be of so many samples.
    pub fn takes(&self, batch: usize) -> bool {
        batch > 0 && (batch == self.batch || (!self.exact && batch < self.batch))
    }

    /// The buffer whose memory a buffer is: itself, or the stacked buffer that it is a row of.
    pub fn base(&self, id: BufferId) -> BufferId {
        self.buffers[id].row_of.unwrap_or(id)
    }

    /// Whether two buffers share bytes.
    pub(crate) fn overlap(&self, a: BufferId, b: BufferId) -> bool {
        let (a, b) = (&self.buffers[self.base(a)], &self.buffers[self.base(b)]);
        a.space == b.space && a.bytes > 0 && b.bytes > 0 && a.offset < b.end() && b.offset < a.end()
    }
}
