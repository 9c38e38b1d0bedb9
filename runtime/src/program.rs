//! The executable program: compiled kernels, and which of them run when, on what memory.
//!
//! A [`Program`] is plain data with public fields. A compiler fills it in, [`Program::check`] validates it, and
//! [`Executable`] is the promise that its machine code keeps to it, which is what the team runs.
//!
//! One *step* runs all phases in order. All tasks of all groups of a phase may run at once, on any worker;
//! between two phases every worker waits for all others. Who runs a task must not matter: a task reads only what
//! earlier phases wrote or it wrote itself, and writes only what no other task of its phase reads or writes.

mod check;
mod pace;
mod slot;

use std::any::Any;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

pub use check::ProgramError;
pub(crate) use pace::Pace;
pub use pace::Way;
pub use slot::{Dimension, Layout, NO_SAMPLE, Report, ReportKind, Slot};

/// Every buffer begins at a multiple of this many bytes, and so does every [`Slot`].
pub const ALIGNMENT: u64 = 64;

/// A compiled kernel. Its argument is an array of 8-byte slots, one per [`Arg`] of the call, in the call's order:
/// by convention pointers first, then `i64` scalars. The array is valid during the call only.
pub type Entry = unsafe extern "C" fn(*const u64);

/// Which buffer an offset counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// Parameters and states: one buffer for all programs of a run.
    Persistent,
    /// Inputs, values that cross phases, partial results, scalars and reports: one buffer per program.
    Arena,
    /// One buffer per worker, reused from block to block; its contents do not outlive a block's calls.
    /// The same offset is a different address on each worker.
    Scratch,
}

/// A kernel's place in [`Program::kernels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelIndex(pub u32);

/// One 8-byte argument of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// The address `base(space) + offset_bytes + task * task_stride_bytes + block * block_stride_bytes`, where
    /// `task` is the task's number in its group and `block` the sample block's number in the batch (0 in groups
    /// that have no blocks).
    Pointer {
        /// The buffer.
        space: Space,
        /// Where in the buffer, for task 0 and block 0.
        offset_bytes: u64,
        /// How far apart two neighbouring tasks' addresses are.
        task_stride_bytes: u64,
        /// How far apart two neighbouring blocks' addresses are.
        block_stride_bytes: u64,
    },
    /// The address `base(space) + offset_bytes + block * block_stride_bytes + round * round_stride_bytes`, where `round`
    /// is the number of the loop's round. Only in a loop.
    Row {
        /// The buffer.
        space: Space,
        /// Where in the buffer, for block 0 and round 0.
        offset_bytes: u64,
        /// How far apart two neighbouring blocks' addresses are.
        block_stride_bytes: u64,
        /// How far apart two neighbouring rounds' addresses are.
        round_stride_bytes: u64,
    },
    /// An integer.
    Scalar(ScalarArg),
}

/// What an integer argument says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarArg {
    /// This number.
    Const(i64),
    /// The number of samples in the batch, `B`.
    Batch,
    /// The number of sample blocks of so many lanes: `ceil(B / lanes)`.
    Blocks {
        /// Samples in a block.
        lanes: u32,
    },
    /// The number of tasks that a [`Tasks::Blocks`] group with these fields has in this step: how many partial
    /// results it leaves.
    BlockTasks {
        /// Samples in a block.
        lanes: u32,
        /// As in [`Tasks::Blocks`].
        max_tasks: u32,
    },
    /// This task's number in its group, from 0.
    Task,
    /// This block's number in the batch, from 0. Only in [`Tasks::Blocks`].
    Block,
    /// 0 in the first block of a task, 1 in those that follow. Only in [`Tasks::Blocks`].
    Follows,
    /// How many of this block's lanes hold samples: `min(L, B - block * L)`. Only in [`Tasks::Blocks`].
    LanesValid,
    /// Where this task's range begins. Only in [`Tasks::Ranges`] and [`Tasks::BatchRanges`].
    RangeBegin,
    /// Where this task's range ends (exclusive). Only in [`Tasks::Ranges`] and [`Tasks::BatchRanges`].
    RangeEnd,
    /// The number of the loop's round. Only in a loop.
    Round,
}

/// One call of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What is called.
    pub kernel: KernelIndex,
    /// Its argument slots.
    pub args: Vec<Arg>,
}

/// How a group's work is cut into tasks. Depends on the batch, never on the number of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tasks {
    /// The batch's `ceil(B / lanes)` sample blocks are cut into `min(blocks, max_tasks)` tasks of contiguous blocks
    /// whose sizes differ by at most one, the larger ones first. A task runs its prologue once, and then for each
    /// of its blocks all calls.
    Blocks {
        /// Samples in a block.
        lanes: u32,
        /// The most tasks there may be, which is also how many partial results have room.
        max_tasks: u32,
    },
    /// Tasks of `[begin, end)` ranges of `0..extent`, `chunk` long; the last may be shorter.
    Ranges {
        /// What is cut.
        extent: u64,
        /// The length of a range.
        chunk: u64,
    },
    /// As [`Tasks::Ranges`] with `extent` = B.
    BatchRanges {
        /// The length of a range, in samples.
        chunk: u64,
    },
    /// One task.
    Once,
}

/// Bytes that a task sets to zero before its calls: `offset_bytes + task * task_stride_bytes`, `bytes` long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zero {
    /// The buffer.
    pub space: Space,
    /// Where in the buffer, for task 0.
    pub offset_bytes: u64,
    /// How far apart two neighbouring tasks' bytes are.
    pub task_stride_bytes: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Calls of a group that are made again and again, before those that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop {
    /// The first of them.
    pub first: u32,
    /// How many calls.
    pub calls: u32,
    /// How many times, at least once.
    pub rounds: u64,
    /// Whether the rounds are counted down: the first is `rounds - 1`.
    pub reverse: bool,
}

impl Loop {
    /// The calls, as (first, one past the last).
    pub fn range(&self) -> (usize, usize) {
        (
            self.first as usize,
            self.first as usize + self.calls as usize,
        )
    }

    /// The number of the round that is the `step`-th.
    pub fn round(&self, step: u64) -> u64 {
        if self.reverse {
            self.rounds - 1 - step
        } else {
            step
        }
    }
}

/// Work that is cut into tasks all alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// For people: shown in timing tables.
    pub name: String,
    /// How it is cut.
    pub tasks: Tasks,
    /// What each task clears first.
    pub prologue: Vec<Zero>,
    /// What each task calls: once, or for each of its blocks.
    pub calls: Vec<Call>,
    /// Which of the calls are repeated: in order, none twice.
    pub loops: Vec<Loop>,
}

/// Groups whose tasks may all run at once. Tasks are begun in the order of the groups, so long tasks stand first.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Phase {
    /// The worker that ends the phase before last runs the groups in order, all tasks of one before the next, while the
    /// others wait.
    pub serial: bool,
    /// The groups.
    pub groups: Vec<Group>,
}

/// Bytes that are in the arena from the start and never change: tables, offset lists, constant tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constant {
    /// Where in [`Space::Arena`].
    pub offset_bytes: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// An executable program: one training step, one evaluation step or one call.
#[derive(Clone)]
pub struct Program {
    /// The kernels, each with a name for people.
    pub kernels: Vec<(String, Entry)>,
    /// What owns the machine code that `kernels` points into; freed when the last clone goes.
    pub keep_alive: Arc<dyn Any + Send + Sync>,
    /// What a step runs, in order.
    pub phases: Vec<Phase>,
    /// The size of [`Space::Persistent`], equal in all programs of a run.
    pub persistent_bytes: u64,
    /// The size of [`Space::Arena`].
    pub arena_bytes: u64,
    /// The size of one worker's [`Space::Scratch`].
    pub scratch_bytes: u64,
    /// The smallest batch: 1, or `max_batch` where the program is for one size alone.
    pub min_batch: u64,
    /// The largest batch that offsets leave room for; at least 1.
    pub max_batch: u64,
    /// Parameters and states by path, in [`Space::Persistent`].
    pub persistent: Vec<Slot>,
    /// What is fed before each step, in [`Space::Arena`].
    pub inputs: Vec<Slot>,
    /// What is read after a call, in [`Space::Arena`] or [`Space::Persistent`].
    pub outputs: Vec<Slot>,
    /// Numbers passed to each step by name (`iter`, `epoch`, `seed` …): shape `[]`, `f32`, `i32` or `i64`,
    /// in [`Space::Arena`].
    pub scalars: Vec<Slot>,
    /// What is read after each step, in [`Space::Arena`].
    pub reports: Vec<Report>,
    /// What the arena holds from the start.
    pub constants: Vec<Constant>,
}

/// A program whose machine code is promised to keep to it.
#[derive(Clone)]
pub struct Executable {
    program: Program,
    /// How fast its steps are.
    pace: Arc<Mutex<Pace>>,
}

impl Executable {
    /// Takes a program that has been checked and that may be run.
    ///
    /// # Errors
    /// What [`Program::check`] finds.
    ///
    /// # Safety
    /// For every batch from 1 to `max_batch`, every step, and every content of inputs and scalars (other than what
    /// [`Program`]'s maker has asked the caller to check, such as the range of indices):
    /// - each kernel is valid code for as long as `keep_alive` lives, returns normally, and touches only memory
    ///   within the buffers that its pointer arguments point into;
    /// - no task writes bytes that another task of the same phase reads or writes, [`Space::Scratch`] excepted,
    ///   which is each worker's own;
    /// - no kernel keeps an address for after its return.
    pub unsafe fn new(program: Program) -> Result<Executable, ProgramError> {
        program.check()?;
        Ok(Executable {
            program,
            pace: Arc::default(),
        })
    }

    /// What is known of its steps' pace.
    pub(crate) fn pace(&self) -> Pace {
        self.pace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Remembers it for the next run.
    pub(crate) fn keep_pace(&self, pace: Pace) {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = pace;
    }
}

impl Deref for Executable {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl Tasks {
    /// The number of tasks for a batch of so many samples.
    pub fn count(&self, batch: u64) -> u64 {
        match *self {
            Tasks::Blocks { lanes, max_tasks } => block_tasks(batch, lanes, max_tasks),
            Tasks::Ranges { extent, chunk } => extent.div_ceil(chunk),
            Tasks::BatchRanges { chunk } => batch.div_ceil(chunk),
            Tasks::Once => 1,
        }
    }

    /// The blocks of a task of a [`Tasks::Blocks`], or the range of a task of the other kinds (`0..1` for
    /// [`Tasks::Once`]), as (begin, end).
    pub fn range(&self, batch: u64, task: u64) -> (u64, u64) {
        match *self {
            Tasks::Blocks { lanes, max_tasks } => {
                let blocks = batch.div_ceil(u64::from(lanes));
                share(blocks, block_tasks(batch, lanes, max_tasks), task)
            }
            Tasks::Ranges { extent, chunk } => range(extent, chunk, task),
            Tasks::BatchRanges { chunk } => range(batch, chunk, task),
            Tasks::Once => (0, 1),
        }
    }
}

/// The number of tasks of a [`Tasks::Blocks`] group.
pub(crate) fn block_tasks(batch: u64, lanes: u32, max_tasks: u32) -> u64 {
    batch.div_ceil(u64::from(lanes)).min(u64::from(max_tasks))
}

/// The `index`-th of `parts` contiguous shares of `0..total`, sizes differing by at most one, the larger first.
pub(crate) fn share(total: u64, parts: u64, index: u64) -> (u64, u64) {
    let (size, longer) = (total / parts, total % parts);
    let begin = index * size + index.min(longer);
    (begin, begin + size + u64::from(index < longer))
}

fn range(extent: u64, chunk: u64, task: u64) -> (u64, u64) {
    let begin = task * chunk;
    (begin, extent.min(begin + chunk))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_are_shared_larger_first() {
        let tasks = Tasks::Blocks {
            lanes: 8,
            max_tasks: 4,
        };
        assert_eq!(tasks.count(1), 1);
        assert_eq!(tasks.count(81), 4);
        let shares: Vec<_> = (0..4).map(|task| tasks.range(81, task)).collect();
        assert_eq!(shares, [(0, 3), (3, 6), (6, 9), (9, 11)]);
    }

    proptest! {
        #[test]
        fn tasks_cover_everything_once(batch in 1u64..500, lanes in 1u32..17, max_tasks in 1u32..20, chunk in 1u64..50) {
            let blocks = Tasks::Blocks { lanes, max_tasks };
            let ranges = Tasks::BatchRanges { chunk };
            for (tasks, extent) in [(blocks, batch.div_ceil(u64::from(lanes))), (ranges, batch)] {
                let mut next = 0;
                for task in 0..tasks.count(batch) {
                    let (begin, end) = tasks.range(batch, task);
                    prop_assert_eq!(begin, next);
                    prop_assert!(end > begin);
                    next = end;
                }
                prop_assert_eq!(next, extent);
            }
        }
    }
}
