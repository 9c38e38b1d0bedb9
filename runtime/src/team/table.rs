//! One worker's argument blocks: built once per region, patched per batch, task and block.

use crate::program::{Arg, Entry, Group, Loop, Program, ScalarArg, Space, Tasks, block_tasks};

/// Where the buffers are for one worker.
#[derive(Clone, Copy)]
pub(super) struct Bases {
    pub persistent: u64,
    pub arena: u64,
    pub scratch: u64,
}

impl Bases {
    fn of(self, space: Space) -> u64 {
        match space {
            Space::Persistent => self.persistent,
            Space::Arena => self.arena,
            Space::Scratch => self.scratch,
        }
    }
}

/// What is being run now; what arguments may depend on.
#[derive(Clone, Copy, Default)]
pub(super) struct Now {
    pub batch: u64,
    pub task: u64,
    pub begin: u64,
    pub end: u64,
    pub block: u64,
    pub round: u64,
}

/// A call ready to be made.
pub(super) struct ReadyCall {
    pub entry: Entry,
    /// Where in [`GroupTable::values`] its arguments begin.
    pub first: usize,
    /// Its number among all calls of the program, in order.
    pub site: usize,
}

/// Bytes to clear.
pub(super) struct ReadyZero {
    pub base: u64,
    pub stride: u64,
    pub bytes: usize,
}

/// The calls of a group with their argument values.
pub(super) struct GroupTable {
    pub tasks: Tasks,
    pub calls: Vec<ReadyCall>,
    pub zeros: Vec<ReadyZero>,
    pub values: Vec<u64>,
    per_batch: Vec<Patch>,
    per_task: Vec<Patch>,
    per_block: Vec<Patch>,
    pub loops: Vec<ReadyLoop>,
}

/// A loop of a group with what changes from round to round.
pub(super) struct ReadyLoop {
    pub own: Loop,
    per_round: Vec<Patch>,
}

struct Patch {
    slot: usize,
    value: Value,
}

#[derive(Clone, Copy)]
enum Value {
    Address {
        base: u64,
        task_stride: u64,
        block_stride: u64,
    },
    Row {
        base: u64,
        block_stride: u64,
        round_stride: u64,
    },
    Scalar(ScalarArg),
}

impl ReadyLoop {
    fn new(own: Loop) -> ReadyLoop {
        ReadyLoop {
            own,
            per_round: Vec::new(),
        }
    }
}

impl GroupTable {
    /// The table of a group whose first call is the program's `first_site`-th.
    pub(super) fn new(
        program: &Program,
        group: &Group,
        bases: Bases,
        first_site: usize,
    ) -> GroupTable {
        let zero = |zero: &crate::program::Zero| ReadyZero {
            base: bases.of(zero.space) + zero.offset_bytes,
            stride: zero.task_stride_bytes,
            bytes: zero.bytes as usize,
        };
        let mut table = GroupTable {
            tasks: group.tasks,
            calls: Vec::with_capacity(group.calls.len()),
            zeros: group.prologue.iter().map(zero).collect(),
            values: Vec::new(),
            per_batch: Vec::new(),
            per_task: Vec::new(),
            per_block: Vec::new(),
            loops: group.loops.iter().copied().map(ReadyLoop::new).collect(),
        };
        for (number, call) in group.calls.iter().enumerate() {
            let entry = program.kernels[call.kernel.0 as usize].1;
            table.calls.push(ReadyCall {
                entry,
                first: table.values.len(),
                site: first_site + number,
            });
            let holds = |ready: &ReadyLoop| {
                let (first, end) = ready.own.range();
                (first..end).contains(&number)
            };
            let repeat = table.loops.iter().position(holds);
            call.args
                .iter()
                .for_each(|argument| table.push(*argument, bases, repeat));
        }
        table
    }

    fn push(&mut self, argument: Arg, bases: Bases, repeat: Option<usize>) {
        let slot = self.values.len();
        let (value, list) = match argument {
            Arg::Pointer {
                space,
                offset_bytes,
                task_stride_bytes: task_stride,
                block_stride_bytes: block_stride,
            } => {
                let value = Value::Address {
                    base: bases.of(space) + offset_bytes,
                    task_stride,
                    block_stride,
                };
                let list = match (task_stride, block_stride) {
                    (0, 0) => None,
                    (_, 0) => Some(&mut self.per_task),
                    _ => Some(&mut self.per_block),
                };
                (value, list)
            }
            Arg::Row {
                space,
                offset_bytes,
                block_stride_bytes: block_stride,
                round_stride_bytes: round_stride,
            } => {
                let value = Value::Row {
                    base: bases.of(space) + offset_bytes,
                    block_stride,
                    round_stride,
                };
                (value, self.per_round(repeat))
            }
            Arg::Scalar(ScalarArg::Round) => {
                (Value::Scalar(ScalarArg::Round), self.per_round(repeat))
            }
            Arg::Scalar(scalar) => (Value::Scalar(scalar), self.list_of(scalar)),
        };
        if let Some(list) = list {
            list.push(Patch { slot, value });
        }
        self.values
            .push(value_of(value, self.tasks, Now::default()));
    }

    fn per_round(&mut self, repeat: Option<usize>) -> Option<&mut Vec<Patch>> {
        self.loops
            .get_mut(repeat?)
            .map(|ready| &mut ready.per_round)
    }

    fn list_of(&mut self, scalar: ScalarArg) -> Option<&mut Vec<Patch>> {
        match scalar {
            ScalarArg::Const(_) | ScalarArg::Round => None,
            ScalarArg::Batch | ScalarArg::Blocks { .. } | ScalarArg::BlockTasks { .. } => {
                Some(&mut self.per_batch)
            }
            ScalarArg::Task | ScalarArg::RangeBegin | ScalarArg::RangeEnd => {
                Some(&mut self.per_task)
            }
            ScalarArg::Block | ScalarArg::Follows | ScalarArg::LanesValid => {
                Some(&mut self.per_block)
            }
        }
    }

    pub(super) fn patch_batch(&mut self, now: Now) {
        apply(&mut self.values, &self.per_batch, self.tasks, now);
    }

    pub(super) fn patch_task(&mut self, now: Now) {
        apply(&mut self.values, &self.per_task, self.tasks, now);
    }

    /// For a round of the loop of that number.
    pub(super) fn patch_round(&mut self, repeat: usize, now: Now) {
        apply(
            &mut self.values,
            &self.loops[repeat].per_round,
            self.tasks,
            now,
        );
    }

    pub(super) fn patch_block(&mut self, now: Now) {
        apply(&mut self.values, &self.per_block, self.tasks, now);
    }
}

fn apply(values: &mut [u64], patches: &[Patch], tasks: Tasks, now: Now) {
    for patch in patches {
        values[patch.slot] = value_of(patch.value, tasks, now);
    }
}

fn value_of(value: Value, tasks: Tasks, now: Now) -> u64 {
    match value {
        Value::Address {
            base,
            task_stride,
            block_stride,
        } => base + now.task * task_stride + now.block * block_stride,
        Value::Row {
            base,
            block_stride,
            round_stride,
        } => base + now.block * block_stride + now.round * round_stride,
        Value::Scalar(scalar) => scalar_of(scalar, tasks, now),
    }
}

fn scalar_of(scalar: ScalarArg, tasks: Tasks, now: Now) -> u64 {
    match scalar {
        ScalarArg::Const(number) => number.cast_unsigned(),
        ScalarArg::Batch => now.batch,
        ScalarArg::Blocks { lanes } => now.batch.div_ceil(u64::from(lanes)),
        ScalarArg::BlockTasks { lanes, max_tasks } => block_tasks(now.batch, lanes, max_tasks),
        ScalarArg::Task => now.task,
        ScalarArg::Block => now.block,
        ScalarArg::RangeBegin => now.begin,
        ScalarArg::RangeEnd => now.end,
        ScalarArg::Round => now.round,
        ScalarArg::Follows => u64::from(now.block != now.begin),
        ScalarArg::LanesValid => match tasks {
            Tasks::Blocks { lanes, .. } => {
                u64::from(lanes).min(now.batch.saturating_sub(now.block * u64::from(lanes)))
            }
            _ => 0,
        },
    }
}
