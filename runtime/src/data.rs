//! Data sets in memory: where they come from, what is done to them, and how batches of them are gathered.
//!
//! Images stay bytes with a scale and a bias per channel until they are gathered, so that `normalize`, `scale` and the
//! conversion to 0..1 cost nothing. Stages that choose samples (`take`, `split`) change a list of rows, not the values.

mod arguments;
mod error;
mod file;
mod gather;
mod source;
mod stage;

pub use arguments::{Argument, Arguments, Invocation, SampleFunction, Value};
pub use error::DataError;
pub use gather::{Gather, IndexBound};
pub use source::{
    PartDescription, SourceDescription, SplitDescription, append_image, count, describe, load,
    source_names, vocabulary,
};
pub use stage::{Groups, apply_stages, check_stage, stage_names};

use std::sync::Arc;

use indexmap::IndexMap;

use crate::random::shuffle;
use crate::tensor::DataType;

/// A data set: its splits by name.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// `train`, `test` or what the source names.
    pub splits: IndexMap<String, Split>,
}

/// Samples of one kind: for training, for testing.
#[derive(Clone, Debug)]
pub struct Split {
    /// The parts of a sample, in order: usually the value, then the label. All have as many samples.
    pub fields: Vec<Field>,
    /// Which stored samples belong to the split, in order.
    pub rows: Rows,
    /// Whether each epoch has an order of its own.
    pub shuffled: bool,
    /// How many samples of the (shuffled) order make an epoch; none for all.
    pub limit: Option<u32>,
    /// The samples of each class, where each epoch chooses equally many of each.
    pub balance: Option<Arc<Groups>>,
    /// Random changes of the first part, drawn for each sample anew in each epoch, in order.
    pub augmentations: Vec<Augmentation>,
}

/// A choice among stored samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// The first so many.
    First(u32),
    /// These.
    Listed(Arc<Vec<u32>>),
}

/// One part of the samples of a split.
#[derive(Clone, Debug)]
pub struct Field {
    /// The shape of one sample's part.
    pub shape: Vec<u64>,
    /// The values of all samples, one after the other.
    pub values: Values,
    /// For labels: one more than the largest.
    pub classes: Option<u64>,
    /// The file or source they come from, for messages.
    pub origin: String,
}

/// Stored values.
#[derive(Clone, Debug)]
pub enum Values {
    /// Bytes that stand for `byte * scale + bias`.
    Bytes(Arc<Vec<u8>>, Affine),
    /// Numbers.
    Floats(Arc<Vec<f32>>),
    /// Integers: labels, tokens.
    Integers(Arc<Vec<i32>>),
    /// Windows of one sequence: the elements of stored sample `i` begin at `i + offset`.
    Windows {
        /// The sequence.
        sequence: Arc<Vec<i32>>,
        /// How many elements after the sample's number its window begins.
        offset: usize,
        /// How many windows there are.
        count: usize,
    },
}

/// `value * scale + bias`, per index of the first axis of a sample, or the same for all.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// One factor, or one per index of the first axis.
    pub scale: Vec<f32>,
    /// One summand, or one per index of the first axis.
    pub bias: Vec<f32>,
}

/// A random change of an image `[C, H, W]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Augmentation {
    /// Mirrored left to right, one time in two.
    FlipHorizontal,
    /// Shifted by up to `pad` pixels in both directions; what comes in from outside has the values `fill`, one or
    /// one per channel, as they are after the stages that follow.
    RandomCrop {
        /// The largest shift.
        pad: u32,
        /// What stands outside.
        fill: Vec<f32>,
    },
    /// Turned, scaled and shifted about its middle, each by an amount drawn from a range around none; bilinear, zeros
    /// outside.
    Warp(Warp),
    /// Multiplied by a factor in `1 - amount ..= 1 + amount`.
    Brightness(f32),
    /// Its distances from its mean multiplied by a factor in `1 - amount ..= 1 + amount`.
    Contrast(f32),
    /// A square of that part of the image's height and width, at a random place, is 0.
    Erase(f32),
    /// A normal number of this deviation is added to each element.
    Noise(f32),
    /// A stage that changes values and stands after augmentations that do.
    Scale(Affine),
    /// Mixed with another sample of the split, label too, in proportions from Beta(alpha, alpha) (Zhang et al. 2017).
    Mixup(f32),
    /// A rectangle comes from another sample of the split, whose label counts by its area (Yun et al. 2019).
    Cutmix(f32),
}

/// The ranges of a random affine change.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Warp {
    /// The largest turn either way, in degrees.
    pub degrees: f32,
    /// The largest shift either way, as a part of the size.
    pub translate: f32,
    /// The largest change of the size, as a part of it.
    pub scale: f32,
    /// The largest shear either way, in degrees.
    pub shear: f32,
}

impl Augmentation {
    /// Whether it only moves pixels to other places.
    pub fn moves_only(&self) -> bool {
        matches!(
            self,
            Augmentation::FlipHorizontal | Augmentation::RandomCrop { .. }
        )
    }

    /// Whether it takes from another sample, and so changes labels too.
    pub fn mixes(&self) -> bool {
        matches!(self, Augmentation::Mixup(_) | Augmentation::Cutmix(_))
    }
}

impl Field {
    /// The number of elements of one sample.
    pub fn elements(&self) -> usize {
        self.shape.iter().product::<u64>() as usize
    }

    /// The number of stored samples.
    pub fn stored(&self) -> usize {
        let values = match &self.values {
            Values::Bytes(bytes, _) => bytes.len(),
            Values::Floats(floats) => floats.len(),
            Values::Integers(integers) => integers.len(),
            Values::Windows { count, .. } => return *count,
        };
        values / self.elements().max(1)
    }

    /// The element type that a program sees: `f32`, or `i32` for integers.
    pub fn dtype(&self) -> DataType {
        if matches!(self.values, Values::Integers(_) | Values::Windows { .. }) {
            DataType::I32
        } else {
            DataType::F32
        }
    }

    /// The elements that share an index of the first axis: those of a channel.
    pub fn channel_elements(&self) -> usize {
        self.shape.iter().skip(1).product::<u64>() as usize
    }

    /// One sample's values as numbers.
    pub fn sample(&self, row: usize) -> Vec<f32> {
        let (elements, inner) = (self.elements(), self.channel_elements().max(1));
        let range = row * elements..(row + 1) * elements;
        match &self.values {
            Values::Bytes(bytes, affine) => {
                let value =
                    |(index, byte): (usize, &u8)| affine.apply(index / inner, f32::from(*byte));
                bytes[range].iter().enumerate().map(value).collect()
            }
            Values::Floats(floats) => floats[range].to_vec(),
            Values::Integers(integers) => integers[range]
                .iter()
                .map(|integer| *integer as f32)
                .collect(),
            Values::Windows {
                sequence, offset, ..
            } => sequence[row + offset..][..elements]
                .iter()
                .map(|integer| *integer as f32)
                .collect(),
        }
    }
}

impl Affine {
    /// The same factor and summand for all.
    pub fn uniform(scale: f32, bias: f32) -> Affine {
        Affine {
            scale: vec![scale],
            bias: vec![bias],
        }
    }

    /// The factor and summand of an index of the first axis.
    pub fn of(&self, channel: usize) -> (f32, f32) {
        let pick = |values: &[f32]| values.get(channel).or(values.first()).copied();
        (
            pick(&self.scale).unwrap_or(1.0),
            pick(&self.bias).unwrap_or(0.0),
        )
    }

    /// The value that stands for `value`.
    pub fn apply(&self, channel: usize, value: f32) -> f32 {
        let (scale, bias) = self.of(channel);
        value * scale + bias
    }

    /// First this, then `next`.
    pub fn then(&self, next: &Affine) -> Affine {
        let channels = [&self.scale, &self.bias, &next.scale, &next.bias]
            .map(Vec::len)
            .into_iter()
            .max()
            .unwrap_or(1);
        let folded = (0..channels).map(|channel| {
            let ((scale, bias), (next_scale, next_bias)) = (self.of(channel), next.of(channel));
            (scale * next_scale, bias * next_scale + next_bias)
        });
        let (scale, bias) = folded.unzip();
        Affine { scale, bias }
    }
}

impl Rows {
    /// How many.
    pub fn len(&self) -> u32 {
        match self {
            Rows::First(count) => *count,
            Rows::Listed(rows) => rows.len() as u32,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The stored sample that is the `index`-th.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn get(&self, index: u32) -> u32 {
        match self {
            Rows::First(count) => {
                assert!(index < *count, "row {index} of {count}");
                index
            }
            Rows::Listed(rows) => rows[index as usize],
        }
    }
}

impl Split {
    /// All samples of these fields in their order.
    pub fn new(fields: Vec<Field>) -> Split {
        let stored = fields.iter().map(Field::stored).min().unwrap_or(0) as u32;
        Split {
            fields,
            rows: Rows::First(stored),
            shuffled: false,
            limit: None,
            balance: None,
            augmentations: Vec::new(),
        }
    }

    /// How many samples an epoch has.
    pub fn count(&self) -> u32 {
        self.limit
            .map_or(self.rows.len(), |limit| limit.min(self.rows.len()))
    }

    /// The stored samples that epochs may have.
    pub(crate) fn possible_rows(&self) -> Vec<u32> {
        match &self.balance {
            Some(groups) => groups.all(),
            None => (0..self.rows.len())
                .map(|index| self.rows.get(index))
                .collect(),
        }
    }

    /// The stored samples of an epoch in its order. A balanced split chooses anew in each epoch, by seed and epoch alone.
    pub fn order(&self, seed: u64, epoch: u32) -> Vec<u32> {
        let mut order = if self.shuffled {
            shuffle(seed, epoch, self.rows.len())
        } else {
            (0..self.rows.len()).collect()
        };
        order.truncate(self.count() as usize);
        let chosen = self.balance.as_ref();
        let chosen = chosen.map(|groups| groups.choose(self.rows.len(), seed, epoch));
        let row = |index: u32| match &chosen {
            Some(rows) => rows[index as usize],
            None => self.rows.get(index),
        };
        order.iter_mut().for_each(|index| *index = row(*index));
        order
    }
}

impl Split {
    /// Whether it is one sequence of integers, as text is, whose order means something.
    fn is_sequence(&self) -> bool {
        match &self.fields[..] {
            [field] => matches!(field.values, Values::Integers(_)) && field.shape.is_empty(),
            _ => false,
        }
    }

    /// The first `count` elements of a sequence, and the others.
    fn cut(&self, count: u32) -> (Split, Split) {
        let part = |rows: std::ops::Range<u32>| {
            let mut fields = self.fields.clone();
            for field in &mut fields {
                if let Values::Integers(values) = &field.values {
                    let kept = rows.clone().map(|row| values[self.rows.get(row) as usize]);
                    field.values = Values::Integers(Arc::new(kept.collect()));
                }
            }
            Split::new(fields)
        };
        (part(0..count), part(count..self.rows.len()))
    }

    /// All stored samples of the split in a random order that `seed` alone decides.
    pub(crate) fn rows_shuffled(&self, seed: u64) -> Vec<u32> {
        shuffle(seed, 0, self.rows.len())
            .into_iter()
            .map(|index| self.rows.get(index))
            .collect()
    }
}
