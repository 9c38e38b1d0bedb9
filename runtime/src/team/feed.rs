//! Cutting the inputs of a step into parts that workers fill at once.

use crate::program::{Dimension, Layout, Program, Slot};

/// The samples of one part of an input in plain layout.
const PLAIN_SAMPLES: u64 = 16;

/// A part of an input to be filled: the samples `begin..end`, or everything where the input has no batch axis in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The input's number in [`Program::inputs`].
    pub input: usize,
    /// The first sample.
    pub begin: u64,
    /// The sample after the last.
    pub end: u64,
    /// The lanes of the block that is filled, whose lanes past `end - begin` are to be zero; 1 for plain layout.
    pub lanes: u32,
    /// Whether the input has no batch axis in front, so that this is all of it.
    pub whole: bool,
    /// Where in the arena.
    pub(super) offset_bytes: u64,
    /// How many bytes.
    pub(super) bytes: u64,
}

/// How many parts the inputs have for a batch of so many samples.
pub(super) fn part_count(program: &Program, batch: u64) -> u64 {
    program
        .inputs
        .iter()
        .map(|slot| parts_of(slot, batch))
        .sum()
}

/// The `number`-th part. Parts are disjoint, as inputs are (a rule of the program's check) and each input's parts are.
pub(super) fn part(program: &Program, batch: u64, mut number: u64) -> Option<Part> {
    for (input, slot) in program.inputs.iter().enumerate() {
        let parts = parts_of(slot, batch);
        if number < parts {
            return Some(part_of(slot, input, batch, number));
        }
        number -= parts;
    }
    None
}

/// How many samples a part of this input has; none where it is filled as a whole.
fn samples_of(slot: &Slot) -> Option<u64> {
    let batch_first = slot.shape.first() == Some(&Dimension::Batch);
    let once = slot
        .shape
        .iter()
        .filter(|dimension| **dimension == Dimension::Batch)
        .count()
        == 1;
    match slot.layout {
        Layout::Lanes { lanes, axis: 0 } if batch_first && once => Some(u64::from(lanes)),
        Layout::Plain if batch_first && once => Some(PLAIN_SAMPLES),
        _ => None,
    }
}

fn parts_of(slot: &Slot, batch: u64) -> u64 {
    samples_of(slot).map_or(1, |samples| batch.div_ceil(samples))
}

fn part_of(slot: &Slot, input: usize, batch: u64, number: u64) -> Part {
    let Some(samples) = samples_of(slot) else {
        let (offset_bytes, bytes) = (slot.offset_bytes, slot.stored_bytes(batch));
        return Part {
            input,
            begin: 0,
            end: batch,
            lanes: 1,
            whole: true,
            offset_bytes,
            bytes,
        };
    };
    let (begin, end) = (number * samples, batch.min((number + 1) * samples));
    let sample_bytes = slot.stored_bytes(samples) / samples;
    let (lanes, stored) = match slot.layout {
        Layout::Lanes { lanes, .. } => (lanes, samples),
        Layout::Plain => (1, end - begin),
    };
    let offset_bytes = slot.offset_bytes + begin * sample_bytes;
    Part {
        input,
        begin,
        end,
        lanes,
        whole: false,
        offset_bytes,
        bytes: stored * sample_bytes,
    }
}
