//! Named places in a buffer: inputs, outputs, scalars, reports, parameters.

use super::Space;
use crate::tensor::DataType;

/// The size of one axis of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Known when the program was compiled.
    Fixed(u64),
    /// The number of samples in the batch.
    Batch,
}

impl Dimension {
    /// The size for a batch of so many samples.
    pub fn size(self, batch: u64) -> u64 {
        match self {
            Dimension::Fixed(size) => size,
            Dimension::Batch => batch,
        }
    }
}

/// How the elements of a slot lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Row-major.
    Plain,
    /// The axis `axis` is cut into blocks of `lanes`: a value of shape `[.., n, ..]` is stored as
    /// `[ceil(n / lanes)][the other axes in order][lanes]`. Lanes past the end are padding.
    Lanes {
        /// The size of a block.
        lanes: u32,
        /// The axis that is cut.
        axis: u32,
    },
}

/// A named value in a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The name by which it is fed or read: a path for parameters, `in.NAME`-like keys are the caller's business.
    pub name: String,
    /// The type of its elements.
    pub dtype: DataType,
    /// Its logical shape.
    pub shape: Vec<Dimension>,
    /// How it lies in memory.
    pub layout: Layout,
    /// The buffer.
    pub space: Space,
    /// Where in the buffer; a multiple of [`super::ALIGNMENT`].
    pub offset_bytes: u64,
}

impl Slot {
    /// The logical shape for a batch of so many samples.
    pub fn sizes(&self, batch: u64) -> Vec<u64> {
        self.shape
            .iter()
            .map(|dimension| dimension.size(batch))
            .collect()
    }

    /// The number of elements it takes in memory, padding lanes included. Saturates.
    pub fn stored_elements(&self, batch: u64) -> u64 {
        let rounded = |(axis, dimension): (usize, &Dimension)| {
            let size = dimension.size(batch);
            match self.layout {
                Layout::Lanes { lanes, axis: cut } if cut as usize == axis && lanes > 0 => size
                    .div_ceil(u64::from(lanes))
                    .saturating_mul(u64::from(lanes)),
                _ => size,
            }
        };
        self.shape
            .iter()
            .enumerate()
            .map(rounded)
            .fold(1, u64::saturating_mul)
    }

    /// The number of bytes it takes in memory, padding lanes included. Saturates.
    pub fn stored_bytes(&self, batch: u64) -> u64 {
        self.stored_elements(batch)
            .saturating_mul(self.dtype.bytes())
    }

    /// Whether some axis has the batch's size.
    pub fn has_batch(&self) -> bool {
        self.shape.contains(&Dimension::Batch)
    }
}

/// What happens to a reported value over the batches of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// The mean over batches, weighted by their samples; of integers, which are counts, the sum.
    Mean,
    /// The sum over batches: counts.
    Sum,
    /// All batches joined on the axis that has the batch's size, for a program that computes a whole-set metric.
    Join,
    /// No metric: two integers, the first sample of the batch whose index is out of range, or [`NO_SAMPLE`], and that
    /// index. A run that meets one ends.
    Check,
}

/// What a report of kind [`ReportKind::Check`] gives as the sample where all is well.
pub const NO_SAMPLE: i32 = i32::MAX;

/// A value that is read after each step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Where it is. Its name is the metric's; a shape other than `[]` gives rows `name[0,1]`.
    pub slot: Slot,
    /// What becomes of it in an evaluation. In training each step's value stands for itself.
    pub kind: ReportKind,
}
