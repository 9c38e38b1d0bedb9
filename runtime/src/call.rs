//! Running a program once on plain tensors, by name.

use crate::checkpoint::Tensors;
use crate::indices::{self, BadIndex};
use crate::memory::{Buffer, Memory, MemoryError, Scratch, arena_of};
use crate::program::{Dimension, Executable, ReportKind, Slot, Space};
use crate::team::{RunError, Team};
use crate::tensor::{DataType, Tensor, pack, unpack};

/// Why a call could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// A value that the program needs was not given.
    #[error("no tensor `{name}` is given; the program needs {expected}")]
    Missing {
        /// Its name.
        name: String,
        /// Its type and shape.
        expected: String,
    },
    /// A value has another type or shape than the program was compiled for.
    #[error("`{name}` is {found}, but should be {expected}")]
    Mismatch {
        /// Its name.
        name: String,
        /// What was compiled for.
        expected: String,
        /// What is given.
        found: String,
    },
    /// The program computed an index that is out of range.
    #[error(transparent)]
    Index(#[from] BadIndex),
    /// The program did not run.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl From<MemoryError> for CallError {
    fn from(error: MemoryError) -> CallError {
        CallError::Run(error.into())
    }
}

/// Runs one step of a program and returns its outputs and reports by name. Inputs and persistent slots are taken from `given` by
/// their names; scalars too where given, as tensors of shape `[]`, and are 0 elsewhere. Other tensors are ignored. The
/// batch is the size of the inputs' batch axes, or 1 where there are none.
///
/// # Errors
/// When a tensor is missing or does not fit, or the program cannot run.
pub fn call(team: &Team, program: &Executable, given: &Tensors) -> Result<Tensors, CallError> {
    let batch = batch_of(program, given)?;
    let (mut persistent, mut arena) = (
        Buffer::zeroed(program.persistent_bytes)?,
        arena_of(program)?,
    );
    for slot in program.persistent.iter().chain(&program.inputs) {
        let tensor = given.get(&slot.name).ok_or_else(|| missing(slot, batch))?;
        store(
            slot,
            batch,
            tensor,
            buffer_of(slot, &mut persistent, &mut arena),
        )?;
    }
    for slot in &program.scalars {
        if let Some(tensor) = given.get(&slot.name) {
            store(slot, batch, tensor, &mut arena)?;
        }
    }
    let memory = Memory {
        persistent: &mut persistent,
        arena: &mut arena,
        scratch: &mut Scratch::default(),
    };
    team.execute(program, memory, batch, |_| ())?;
    indices::check(program, &arena)?;
    let read = |slot: &Slot| {
        (
            slot.name.clone(),
            load(slot, batch, buffer_of(slot, &mut persistent, &mut arena)),
        )
    };
    let reports = program.reports.iter();
    let reports = reports.filter(|report| report.kind != ReportKind::Check);
    let reports = reports.map(|report| &report.slot);
    Ok(program.outputs.iter().chain(reports).map(read).collect())
}

/// Puts a tensor into its slot's place.
///
/// # Errors
/// When its type or shape is not the slot's. Integers of other widths are converted where they fit.
pub fn store(
    slot: &Slot,
    batch: u64,
    tensor: &Tensor,
    buffer: &mut Buffer,
) -> Result<(), CallError> {
    let mismatch = || CallError::Mismatch {
        name: slot.name.clone(),
        expected: describe(slot.dtype, &slot.sizes(batch)),
        found: describe(tensor.dtype(), tensor.shape()),
    };
    if tensor.shape() != slot.sizes(batch) {
        return Err(mismatch());
    }
    let converted = match (slot.dtype, tensor.dtype()) {
        (wanted, given) if wanted == given => None,
        (DataType::I32, DataType::I64 | DataType::U8) => {
            let values = tensor.to_i32().ok_or_else(mismatch)?;
            Some(Tensor::from_i32(tensor.shape().to_vec(), &values).map_err(|_| mismatch())?)
        }
        (DataType::Bool, DataType::U8) if tensor.bytes().iter().all(|byte| *byte < 2) => None,
        _ => return Err(mismatch()),
    };
    let bytes = slot.stored_bytes(batch) as usize;
    let place = buffer.view_mut::<u8>(slot.offset_bytes, bytes);
    pack(
        slot,
        batch,
        converted.as_ref().unwrap_or(tensor).bytes(),
        place,
    );
    Ok(())
}

/// Reads a slot's value as a plain tensor.
///
/// # Panics
/// When the slot does not lie in the buffer, which the program's check excludes.
pub fn load(slot: &Slot, batch: u64, buffer: &Buffer) -> Tensor {
    let stored = buffer.view::<u8>(slot.offset_bytes, slot.stored_bytes(batch) as usize);
    let plain = unpack(slot, batch, stored);
    Tensor::new(slot.dtype, slot.sizes(batch), plain)
        .expect("unpacking gives the elements of the slot's shape")
}

fn buffer_of<'a>(slot: &Slot, persistent: &'a mut Buffer, arena: &'a mut Buffer) -> &'a mut Buffer {
    if slot.space == Space::Persistent {
        persistent
    } else {
        arena
    }
}

/// The batch size that the given inputs agree on.
fn batch_of(program: &Executable, given: &Tensors) -> Result<u64, CallError> {
    let mut batch = None;
    for slot in &program.inputs {
        let Some(axis) = slot
            .shape
            .iter()
            .position(|dimension| *dimension == Dimension::Batch)
        else {
            continue;
        };
        let tensor = given
            .get(&slot.name)
            .ok_or_else(|| missing(slot, program.max_batch))?;
        let size = tensor
            .shape()
            .get(axis)
            .copied()
            .filter(|_| tensor.shape().len() == slot.shape.len());
        let fits = size.filter(|size| batch.is_none_or(|batch| batch == *size));
        batch = Some(fits.ok_or_else(|| CallError::Mismatch {
            name: slot.name.clone(),
            expected: describe(slot.dtype, &slot.sizes(batch.unwrap_or(program.max_batch))),
            found: describe(tensor.dtype(), tensor.shape()),
        })?);
    }
    let batch = batch.unwrap_or(program.min_batch);
    if !program.takes_batch(batch) {
        return Err(RunError::Batch {
            batch,
            min_batch: program.min_batch,
            max_batch: program.max_batch,
        }
        .into());
    }
    Ok(batch)
}

fn missing(slot: &Slot, batch: u64) -> CallError {
    CallError::Missing {
        name: slot.name.clone(),
        expected: describe(slot.dtype, &slot.sizes(batch)),
    }
}

fn describe(dtype: DataType, shape: &[u64]) -> String {
    if shape.is_empty() {
        dtype.to_string()
    } else {
        format!("{dtype}{shape:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Arg, Call, Group, KernelIndex, Layout, Phase, Program, ScalarArg, Tasks};
    use std::sync::Arc;

    /// `y[row][lane] = x[row][lane] * w`, three rows of four lanes: (x, w, y, lanes valid).
    unsafe extern "C" fn scale(arguments: *const u64) {
        // SAFETY: called with four slots that point to 12, 1 and 12 floats.
        unsafe {
            let slots = std::slice::from_raw_parts(arguments, 4);
            for index in (0..12).filter(|index| index % 4 < slots[3]) {
                let x = *((slots[0] + index * 4) as *const f32);
                *((slots[2] + index * 4) as *mut f32) = x * *(slots[1] as *const f32);
            }
        }
    }

    fn program() -> Executable {
        let slot = |name: &str, space, offset_bytes, shape, layout| Slot {
            name: name.to_string(),
            dtype: DataType::F32,
            shape,
            layout,
            space,
            offset_bytes,
        };
        let pointer = |space, offset_bytes, block_stride_bytes| Arg::Pointer {
            space,
            offset_bytes,
            task_stride_bytes: 0,
            block_stride_bytes,
        };
        let rows = vec![Dimension::Batch, Dimension::Fixed(3)];
        let lanes = Layout::Lanes { lanes: 4, axis: 0 };
        let args = vec![
            pointer(Space::Arena, 0, 48),
            pointer(Space::Persistent, 64, 0),
            pointer(Space::Arena, 192, 48),
            Arg::Scalar(ScalarArg::LanesValid),
        ];
        let program = Program {
            kernels: vec![("scale".to_string(), scale)],
            keep_alive: Arc::new(()),
            phases: vec![Phase {
                serial: false,
                groups: vec![Group {
                    loops: Vec::new(),
                    name: "scale".to_string(),
                    tasks: Tasks::Blocks {
                        lanes: 4,
                        max_tasks: 8,
                    },
                    prologue: vec![],
                    calls: vec![Call {
                        kernel: KernelIndex(0),
                        args,
                    }],
                }],
            }],
            persistent_bytes: 128,
            arena_bytes: 384,
            scratch_bytes: 0,
            min_batch: 1,
            max_batch: 10,
            persistent: vec![slot("w", Space::Persistent, 64, vec![], Layout::Plain)],
            inputs: vec![slot("x", Space::Arena, 0, rows.clone(), lanes)],
            outputs: vec![
                slot("y", Space::Arena, 192, rows, lanes),
                slot("w.out", Space::Persistent, 64, vec![], Layout::Plain),
            ],
            scalars: vec![],
            reports: vec![],
            constants: vec![],
        };
        // SAFETY: each block's call touches its own block of y.
        unsafe { Executable::new(program) }.expect("a good program")
    }

    fn call_with(tensors: &[(&str, Tensor)]) -> Result<Tensors, CallError> {
        let given = tensors
            .iter()
            .map(|(name, tensor)| (name.to_string(), tensor.clone()))
            .collect();
        call(&Team::new(2).expect("two"), &program(), &given)
    }

    fn floats(shape: &[u64], first: f32) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product::<u64>())
            .map(|index| first + index as f32)
            .collect();
        Tensor::from_f32(shape.to_vec(), &values).expect("as many as the shape says")
    }

    #[test]
    fn a_call_packs_runs_and_unpacks() {
        for batch in 1..=10 {
            let outputs = call_with(&[
                ("x", floats(&[batch, 3], 1.0)),
                ("w", floats(&[], 2.0)),
                ("z", floats(&[], 0.0)),
            ]);
            let expected: Vec<f32> = (0..batch * 3)
                .map(|index| 2.0 * (1.0 + index as f32))
                .collect();
            let outputs = outputs.expect("runs");
            assert_eq!(
                outputs["y"],
                Tensor::from_f32(vec![batch, 3], &expected).expect("as many")
            );
            assert_eq!(outputs["w.out"], floats(&[], 2.0));
        }
    }

    #[test]
    fn wrong_tensors_are_errors() {
        let (x, w) = (floats(&[2, 3], 0.0), floats(&[], 2.0));
        let integer = Tensor::from_i32(vec![], &[1]).expect("one");
        let errors = [
            call_with(&[("w", w.clone())]),
            call_with(&[("x", x.clone())]),
            call_with(&[("x", floats(&[2, 4], 0.0)), ("w", w.clone())]),
            call_with(&[("x", floats(&[6], 0.0)), ("w", w.clone())]),
            call_with(&[("x", floats(&[11, 3], 0.0)), ("w", w.clone())]),
            call_with(&[("x", floats(&[0, 3], 0.0)), ("w", w)]),
            call_with(&[("x", x), ("w", integer)]),
        ];
        let text: Vec<_> = errors
            .into_iter()
            .map(|error| error.expect_err("does not fit").to_string())
            .collect();
        insta::assert_snapshot!(text.join("\n"), @"
        no tensor `x` is given; the program needs f32[10, 3]
        no tensor `w` is given; the program needs f32
        `x` is f32[2, 4], but should be f32[2, 3]
        `x` is f32[6], but should be f32[10, 3]
        a batch of 11 samples, where 1 to 10 are possible
        a batch of 0 samples, where 1 to 10 are possible
        `w` is i32, but should be f32
        ");
    }
}
