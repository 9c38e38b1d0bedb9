//! Gathering samples into the layout that a program reads: `[elements][lanes]` for a block, or one after the other.

mod augment;
mod change;

use super::{Augmentation, DataError, Split, Values};
use crate::memory::{Element, cast_mut};
use crate::random::threefry2x32;
use augment::Augmented;
use change::Changed;

/// The place of augmentations in a run's random numbers: no tensor's, whose places are counted from 0.
const AUGMENT_PLACE: u32 = u32::MAX - 1;

/// The values that an integer part may have because the program uses them as indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexBound {
    /// Every value is at least 0 and less than this.
    pub below: i64,
    /// A value that is allowed beside those (a loss's `ignore`).
    pub except: Option<i64>,
}

impl IndexBound {
    /// Whether a value is allowed.
    pub fn admits(&self, value: i32) -> bool {
        let value = i64::from(value);
        (0..self.below).contains(&value) || self.except == Some(value)
    }
}

/// Gathers samples of a split in one pass over it.
#[derive(Clone, Copy, Debug)]
pub struct Gather<'a> {
    split: &'a Split,
    key: [u32; 2],
}

impl Split {
    /// Whether all values of a part that is used as an index are in range.
    ///
    /// # Errors
    /// The first that is not, with its file and number there.
    pub fn check_bound(&self, part: usize, bound: IndexBound) -> Result<(), DataError> {
        let Some(field) = self.fields.get(part) else {
            return Ok(());
        };
        let (origin, elements) = (&field.origin, field.elements());
        for row in self.possible_rows() {
            let row = row as usize;
            let sample = match &field.values {
                Values::Integers(values) => &values[row * elements..][..elements],
                Values::Windows {
                    sequence, offset, ..
                } => &sequence[row + offset..][..elements],
                _ => return Ok(()),
            };
            if let Some(value) = sample.iter().find(|value| !bound.admits(**value)) {
                let (origin, sample, value) = (origin.clone(), row as u64, *value);
                return Err(DataError::OutOfRange {
                    origin,
                    sample,
                    value,
                    bound: bound.below,
                });
            }
        }
        Ok(())
    }
}

impl<'a> Gather<'a> {
    /// The gathering of one pass over a split; seed and pass decide the augmentations.
    pub fn new(split: &'a Split, seed: u64, pass: u32) -> Gather<'a> {
        let key = threefry2x32([seed as u32, (seed >> 32) as u32], [AUGMENT_PLACE, pass]);
        Gather { split, key }
    }

    /// Whether samples of a part are computed as a whole: images with changes of more than places, and labels that are
    /// mixed.
    fn changes(&self, part: usize) -> bool {
        let mut augmentations = self.split.augmentations.iter();
        match part {
            0 => augmentations.any(|each| !each.moves_only()),
            _ => {
                augmentations.any(Augmentation::mixes)
                    && Some(part) == change::label_part(self.split)
            }
        }
    }

    /// Fills `destination` with a part of the samples stored at `rows`. With one lane they stand one after the other;
    /// with more they are a block `[elements][lanes]`, whose lanes past the rows become 0.
    ///
    /// # Panics
    /// When `destination` does not have `max(lanes, rows)` samples' size or is not aligned to 4 bytes, when there are more
    /// rows than lanes of a block, or a row or part that there is not.
    pub fn fill(&self, part: usize, rows: &[u32], lanes: usize, destination: &mut [u8]) {
        let field = &self.split.fields[part];
        let elements = field.elements();
        let samples = if lanes == 1 { rows.len() } else { lanes };
        assert!(
            rows.len() <= samples,
            "{} rows in {lanes} lanes",
            rows.len()
        );
        assert_eq!(
            destination.len(),
            samples * elements * 4,
            "the place of part {part}"
        );
        match &field.values {
            Values::Integers(integers) => scatter(
                cast_mut(destination),
                rows,
                elements,
                lanes,
                |row, element| integers[row * elements + element],
            ),
            Values::Windows {
                sequence, offset, ..
            } => scatter(
                cast_mut(destination),
                rows,
                elements,
                lanes,
                |row, element| sequence[row + offset + element],
            ),
            _ if self.changes(part) => {
                let changed = Changed {
                    split: self.split,
                    part,
                    key: self.key,
                };
                changed.fill(rows, lanes, cast_mut(destination));
            }
            _ if part == 0 && !self.split.augmentations.is_empty() => {
                let augmented = Augmented {
                    field,
                    augmentations: &self.split.augmentations,
                    key: self.key,
                };
                augmented.fill(rows, lanes, cast_mut(destination));
            }
            Values::Floats(floats) => {
                let place = cast_mut(destination);
                let block = |at: &mut [f32]| floats_block(floats, rows, elements, lanes, at);
                if !block(place) {
                    scatter(place, rows, elements, lanes, |row, element| {
                        floats[row * elements + element]
                    });
                }
            }
            Values::Bytes(bytes, affine) => {
                let inner = field.channel_elements().max(1);
                let place: &mut [f32] = cast_mut(destination);
                for channel in 0..elements / inner {
                    let (scale, bias) = affine.of(channel);
                    let source = Channel {
                        bytes,
                        elements,
                        first: channel * inner,
                        inner,
                        scale,
                        bias,
                    };
                    source.fill(rows, lanes, place);
                }
            }
        }
    }
}

/// Writes each row's elements, one by one; lanes past the rows become 0.
fn scatter<T: Element>(
    place: &mut [T],
    rows: &[u32],
    elements: usize,
    lanes: usize,
    value: impl Fn(usize, usize) -> T,
) {
    if lanes == 1 {
        for (row, sample) in rows.iter().zip(place.chunks_exact_mut(elements.max(1))) {
            sample
                .iter_mut()
                .enumerate()
                .for_each(|(element, at)| *at = value(*row as usize, element));
        }
        return;
    }
    for (element, block) in place.chunks_exact_mut(lanes).enumerate() {
        block[rows.len()..].fill(T::default());
        for (at, row) in block.iter_mut().zip(rows) {
            *at = value(*row as usize, element);
        }
    }
}

/// A full block of 4, 8 or 16 lanes of numbers; whether there was one.
fn floats_block(
    floats: &[f32],
    rows: &[u32],
    elements: usize,
    lanes: usize,
    place: &mut [f32],
) -> bool {
    fn block<const L: usize>(floats: &[f32], rows: &[u32; L], elements: usize, place: &mut [f32]) {
        let samples = rows.map(|row| &floats[row as usize * elements..][..elements]);
        for (element, block) in place.as_chunks_mut::<L>().0.iter_mut().enumerate() {
            *block = std::array::from_fn(|lane| samples[lane][element]);
        }
    }
    match (
        lanes,
        rows.as_array::<4>(),
        rows.as_array::<8>(),
        rows.as_array::<16>(),
    ) {
        (4, Some(rows), ..) => block(floats, rows, elements, place),
        (8, _, Some(rows), _) => block(floats, rows, elements, place),
        (16, .., Some(rows)) => block(floats, rows, elements, place),
        _ => return false,
    }
    true
}

/// One channel of images of bytes.
struct Channel<'a> {
    bytes: &'a [u8],
    /// The elements of a sample.
    elements: usize,
    /// The channel's first element in a sample.
    first: usize,
    /// The elements of the channel.
    inner: usize,
    scale: f32,
    bias: f32,
}

impl Channel<'_> {
    fn fill(&self, rows: &[u32], lanes: usize, place: &mut [f32]) {
        if lanes == 1 {
            for (row, sample) in rows.iter().zip(place.chunks_exact_mut(self.elements)) {
                let place = &mut sample[self.first..self.first + self.inner];
                for (at, byte) in place.iter_mut().zip(self.sample(*row)) {
                    *at = f32::from(*byte) * self.scale + self.bias;
                }
            }
            return;
        }
        let place = &mut place[self.first * lanes..(self.first + self.inner) * lanes];
        match (
            lanes,
            rows.as_array::<4>(),
            rows.as_array::<8>(),
            rows.as_array::<16>(),
        ) {
            (4, Some(rows), ..) => self.block(rows, place),
            (8, _, Some(rows), _) => self.block(rows, place),
            (16, .., Some(rows)) => self.block(rows, place),
            _ => scatter(place, rows, self.inner, lanes, |row, element| {
                f32::from(self.bytes[row * self.elements + self.first + element]) * self.scale
                    + self.bias
            }),
        }
    }

    fn sample(&self, row: u32) -> &[u8] {
        &self.bytes[row as usize * self.elements + self.first..][..self.inner]
    }

    /// A full block: reads four bytes of each lane at once, then shifts them out with the lanes side by side, which
    /// compiles to vector shifts and conversions.
    fn block<const L: usize>(&self, rows: &[u32; L], place: &mut [f32]) {
        let samples = rows.map(|row| self.sample(row));
        let (fours, rest) = place.as_chunks_mut::<L>().0.as_chunks_mut::<4>();
        for (four, blocks) in fours.iter_mut().enumerate() {
            let words: [u32; L] = samples.map(|sample| {
                let bytes = &sample[four * 4..four * 4 + 4];
                u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
            });
            for (index, block) in blocks.iter_mut().enumerate() {
                for (at, word) in block.iter_mut().zip(&words) {
                    *at = ((word >> (8 * index)) & 0xff) as i32 as f32 * self.scale + self.bias;
                }
            }
        }
        let done = self.inner / 4 * 4;
        for (element, block) in rest.iter_mut().enumerate() {
            *block = std::array::from_fn(|lane| {
                f32::from(samples[lane][done + element]) * self.scale + self.bias
            });
        }
    }
}

#[cfg(test)]
mod tests;
