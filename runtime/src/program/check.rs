//! Validation of a program: every index and offset against what it indexes.
//!
//! Rules, each with a failing test below:
//! - `min_batch` is at least 1, `max_batch` at least that;
//! - a call's kernel exists;
//! - `lanes`, `max_tasks` and `chunk` are not 0;
//! - a loop's calls exist, in order, none twice, with a round or more; `Round` and rows stand only in loops;
//! - `Block`, `Follows` and `LanesValid` stand only in groups of blocks, `RangeBegin` and `RangeEnd` only in groups of ranges;
//! - every address that a pointer argument or row can take, for every task, block and round of the largest batch, lies in
//!   its buffer;
//! - what a prologue clears lies in its buffer;
//! - a slot is aligned, lies in its buffer, and stands in a buffer that its role allows;
//! - no two slots of the same role share a name;
//! - no two inputs overlap;
//! - a scalar has no axes and is `f32`, `i32` or `i64`;
//! - a constant lies in the arena.

use std::collections::BTreeSet;

use super::{
    ALIGNMENT, Arg, Call, Group, Layout, Loop, Program, ScalarArg, Slot, Space, Tasks, Zero,
};
use crate::tensor::DataType;

/// What is wrong with a program. A compiler's mistake, never a user's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// The smallest batch is 0, or the largest is smaller.
    #[error("the program's smallest batch is 0, or larger than its largest")]
    NoBatch,
    /// The first phase is serial: no phase stands before it.
    #[error("phase 0 is serial, but there is none before it")]
    SerialFirst,
    /// A call names a kernel that there is not.
    #[error("{place}: kernel {kernel} of {count}")]
    NoSuchKernel {
        /// The phase, group and call.
        place: String,
        /// The index.
        kernel: u32,
        /// How many kernels there are.
        count: usize,
    },
    /// A size that must not be 0 is.
    #[error("{place}: `{field}` is 0")]
    ZeroSize {
        /// The phase and group, or the slot.
        place: String,
        /// Which.
        field: &'static str,
    },
    /// An argument has no meaning in its kind of group.
    #[error("{place}: {argument:?} in a group of {tasks:?}")]
    NoMeaning {
        /// The phase, group and call.
        place: String,
        /// The argument.
        argument: ScalarArg,
        /// How the group is cut.
        tasks: Tasks,
    },
    /// A loop is not one of the group's calls.
    #[error("{place}: {rounds} rounds of {calls} calls from {first} on")]
    BadLoop {
        /// The phase and group.
        place: String,
        /// Its first call.
        first: u32,
        /// How many calls.
        calls: u32,
        /// How many rounds.
        rounds: u64,
    },
    /// An argument depends on the round, and there is no loop.
    #[error("{place}: depends on a round outside of loops")]
    NoLoop {
        /// The phase, group and call.
        place: String,
    },
    /// Bytes reach past the end of a buffer.
    #[error("{place}: {needed} bytes of {space:?}, which has {available}")]
    OutOfBuffer {
        /// Who reaches there.
        place: String,
        /// The buffer.
        space: Space,
        /// How large the buffer would have to be.
        needed: u64,
        /// How large it is.
        available: u64,
    },
    /// A slot is not aligned.
    #[error("{place}: offset {offset_bytes} is no multiple of {ALIGNMENT}")]
    NotAligned {
        /// The slot.
        place: String,
        /// Its offset.
        offset_bytes: u64,
    },
    /// A slot stands in a buffer that its role forbids.
    #[error("{place}: may not stand in {space:?}")]
    WrongSpace {
        /// The slot.
        place: String,
        /// The buffer.
        space: Space,
    },
    /// A slot's layout cuts an axis that there is not.
    #[error("{place}: lanes over axis {axis} of {rank}")]
    NoSuchAxis {
        /// The slot.
        place: String,
        /// The axis.
        axis: u32,
        /// How many axes there are.
        rank: usize,
    },
    /// Two slots of one role have the same name.
    #[error("{place}: the name is taken")]
    SameName {
        /// The slot.
        place: String,
    },
    /// Two inputs share bytes.
    #[error("{place}: overlaps input `{other}`")]
    Overlap {
        /// The input.
        place: String,
        /// The input before it.
        other: String,
    },
    /// A scalar has axes or a type that no number is passed in.
    #[error("{place}: a scalar is one f32, i32 or i64")]
    NotScalar {
        /// The slot.
        place: String,
    },
}

impl Program {
    /// Whether a step may be of so many samples.
    pub fn takes_batch(&self, batch: u64) -> bool {
        (self.min_batch..=self.max_batch).contains(&batch)
    }

    /// The size of a buffer.
    pub fn space_bytes(&self, space: Space) -> u64 {
        match space {
            Space::Persistent => self.persistent_bytes,
            Space::Arena => self.arena_bytes,
            Space::Scratch => self.scratch_bytes,
        }
    }

    /// Validates every index and offset; the module `program::check` lists the rules.
    ///
    /// # Errors
    /// The first rule that is broken, and where.
    pub fn check(&self) -> Result<(), ProgramError> {
        if self.min_batch == 0 || self.max_batch < self.min_batch {
            return Err(ProgramError::NoBatch);
        }
        if self.phases.first().is_some_and(|phase| phase.serial) {
            return Err(ProgramError::SerialFirst);
        }
        for (number, phase) in self.phases.iter().enumerate() {
            for group in &phase.groups {
                self.check_group(&format!("phase {number}, group `{}`", group.name), group)?;
            }
        }
        self.check_slots()?;
        for (number, constant) in self.constants.iter().enumerate() {
            let end = constant
                .offset_bytes
                .saturating_add(constant.bytes.len() as u64);
            self.check_end(&format!("constant {number}"), Space::Arena, end)?;
        }
        Ok(())
    }

    fn check_group(&self, place: &str, group: &Group) -> Result<(), ProgramError> {
        let zero = |field| {
            Err(ProgramError::ZeroSize {
                place: place.to_string(),
                field,
            })
        };
        match group.tasks {
            Tasks::Blocks { lanes: 0, .. } => return zero("lanes"),
            Tasks::Blocks { max_tasks: 0, .. } => return zero("max_tasks"),
            Tasks::Ranges { chunk: 0, .. } | Tasks::BatchRanges { chunk: 0 } => {
                return zero("chunk");
            }
            _ => {}
        }
        let tasks = group.tasks.count(self.max_batch);
        if tasks == 0 {
            return Ok(());
        }
        for Zero {
            space,
            offset_bytes,
            task_stride_bytes,
            bytes,
        } in &group.prologue
        {
            let end = reach(
                *offset_bytes,
                &[(*task_stride_bytes, tasks - 1), (1, *bytes)],
            );
            self.check_end(&format!("{place}, prologue"), *space, end)?;
        }
        check_loops(place, group)?;
        for (number, call) in group.calls.iter().enumerate() {
            let holds = |repeat: &&Loop| (repeat.range().0..repeat.range().1).contains(&number);
            let repeat = group.loops.iter().find(holds).copied();
            let place = format!("{place}, call {number}");
            self.check_call(&place, group.tasks, tasks, call, repeat)?;
        }
        Ok(())
    }

    fn check_call(
        &self,
        place: &str,
        tasks: Tasks,
        count: u64,
        call: &Call,
        repeat: Option<Loop>,
    ) -> Result<(), ProgramError> {
        let no_loop = || ProgramError::NoLoop {
            place: place.to_string(),
        };
        if call.kernel.0 as usize >= self.kernels.len() {
            let (kernel, count) = (call.kernel.0, self.kernels.len());
            return Err(ProgramError::NoSuchKernel {
                place: place.to_string(),
                kernel,
                count,
            });
        }
        let last_block = match tasks {
            Tasks::Blocks { lanes, .. } => self.max_batch.div_ceil(u64::from(lanes)) - 1,
            _ => 0,
        };
        for argument in &call.args {
            match *argument {
                Arg::Scalar(ScalarArg::Round) => repeat.map(|_| ()).ok_or_else(no_loop)?,
                Arg::Scalar(scalar) => check_scalar_argument(place, tasks, scalar)?,
                Arg::Row {
                    space,
                    offset_bytes,
                    block_stride_bytes,
                    round_stride_bytes,
                } => {
                    let last_round = repeat.ok_or_else(no_loop)?.rounds - 1;
                    let strides = [
                        (block_stride_bytes, last_block),
                        (round_stride_bytes, last_round),
                    ];
                    self.check_end(place, space, reach(offset_bytes, &strides))?;
                }
                Arg::Pointer {
                    space,
                    offset_bytes,
                    task_stride_bytes,
                    block_stride_bytes,
                } => {
                    let strides = [
                        (task_stride_bytes, count - 1),
                        (block_stride_bytes, last_block),
                    ];
                    self.check_end(place, space, reach(offset_bytes, &strides))?;
                }
            }
        }
        Ok(())
    }

    fn check_slots(&self) -> Result<(), ProgramError> {
        use Space::{Arena, Persistent};
        let reports: Vec<Slot> = self
            .reports
            .iter()
            .map(|report| report.slot.clone())
            .collect();
        let roles: [(&str, &[Slot], &[Space]); 5] = [
            ("persistent", &self.persistent, &[Persistent]),
            ("input", &self.inputs, &[Arena]),
            ("output", &self.outputs, &[Arena, Persistent]),
            ("scalar", &self.scalars, &[Arena]),
            ("report", &reports, &[Arena]),
        ];
        for (role, slots, spaces) in roles {
            let mut names = BTreeSet::new();
            for slot in slots {
                let place = format!("{role} `{}`", slot.name);
                self.check_slot(&place, slot, spaces)?;
                if !names.insert(&slot.name) {
                    return Err(ProgramError::SameName { place });
                }
            }
        }
        self.check_inputs_apart()?;
        self.scalars.iter().try_for_each(check_scalar_slot)
    }

    fn check_inputs_apart(&self) -> Result<(), ProgramError> {
        let mut inputs: Vec<&Slot> = self
            .inputs
            .iter()
            .filter(|slot| slot.stored_bytes(self.max_batch) > 0)
            .collect();
        inputs.sort_by_key(|slot| slot.offset_bytes);
        for pair in inputs.windows(2) {
            if pair[0].offset_bytes + pair[0].stored_bytes(self.max_batch) > pair[1].offset_bytes {
                let (place, other) = (format!("input `{}`", pair[1].name), pair[0].name.clone());
                return Err(ProgramError::Overlap { place, other });
            }
        }
        Ok(())
    }

    fn check_slot(&self, place: &str, slot: &Slot, spaces: &[Space]) -> Result<(), ProgramError> {
        let place = place.to_string();
        if !spaces.contains(&slot.space) {
            return Err(ProgramError::WrongSpace {
                place,
                space: slot.space,
            });
        }
        if !slot.offset_bytes.is_multiple_of(ALIGNMENT) {
            return Err(ProgramError::NotAligned {
                place,
                offset_bytes: slot.offset_bytes,
            });
        }
        if let Layout::Lanes { lanes, axis } = slot.layout {
            if lanes == 0 {
                return Err(ProgramError::ZeroSize {
                    place,
                    field: "lanes",
                });
            }
            if axis as usize >= slot.shape.len() {
                return Err(ProgramError::NoSuchAxis {
                    place,
                    axis,
                    rank: slot.shape.len(),
                });
            }
        }
        let end = slot
            .offset_bytes
            .saturating_add(slot.stored_bytes(self.max_batch));
        self.check_end(&place, slot.space, end)
    }

    fn check_end(&self, place: &str, space: Space, needed: u64) -> Result<(), ProgramError> {
        let available = self.space_bytes(space);
        if needed <= available {
            return Ok(());
        }
        Err(ProgramError::OutOfBuffer {
            place: place.to_string(),
            space,
            needed,
            available,
        })
    }
}

/// `offset` plus every stride times its count. Saturates.
fn reach(offset: u64, strides: &[(u64, u64)]) -> u64 {
    let add =
        |sum: u64, (stride, count): &(u64, u64)| sum.saturating_add(stride.saturating_mul(*count));
    strides.iter().fold(offset, add)
}

fn check_loops(place: &str, group: &Group) -> Result<(), ProgramError> {
    let mut next = 0;
    for repeat in &group.loops {
        let (first, end) = repeat.range();
        if first < next || repeat.calls == 0 || repeat.rounds == 0 || end > group.calls.len() {
            return Err(ProgramError::BadLoop {
                place: place.to_string(),
                first: repeat.first,
                calls: repeat.calls,
                rounds: repeat.rounds,
            });
        }
        next = end;
    }
    Ok(())
}

fn check_scalar_argument(
    place: &str,
    tasks: Tasks,
    argument: ScalarArg,
) -> Result<(), ProgramError> {
    let zero = |field| {
        Err(ProgramError::ZeroSize {
            place: place.to_string(),
            field,
        })
    };
    let has_meaning = match argument {
        ScalarArg::Blocks { lanes: 0 } | ScalarArg::BlockTasks { lanes: 0, .. } => {
            return zero("lanes");
        }
        ScalarArg::BlockTasks { max_tasks: 0, .. } => return zero("max_tasks"),
        ScalarArg::Block | ScalarArg::Follows | ScalarArg::LanesValid => {
            matches!(tasks, Tasks::Blocks { .. })
        }
        ScalarArg::RangeBegin | ScalarArg::RangeEnd => {
            matches!(tasks, Tasks::Ranges { .. } | Tasks::BatchRanges { .. })
        }
        _ => true,
    };
    if has_meaning {
        return Ok(());
    }
    Err(ProgramError::NoMeaning {
        place: place.to_string(),
        argument,
        tasks,
    })
}

fn check_scalar_slot(slot: &Slot) -> Result<(), ProgramError> {
    let is_number = matches!(slot.dtype, DataType::F32 | DataType::I32 | DataType::I64);
    if is_number && slot.shape.is_empty() {
        return Ok(());
    }
    Err(ProgramError::NotScalar {
        place: format!("scalar `{}`", slot.name),
    })
}

#[cfg(test)]
mod tests;
