//! How large things are: values, blocks, tasks.

use super::{Layout, PlanBuffer, Space, Tasks};
use crate::graph::Dim;

/// All offsets are multiples of this: a cache line, and the widest vector.
pub const ALIGNMENT: usize = 64;

/// The extent for a batch of so many samples; `None` where it is negative or too large to count.
pub(crate) fn extent(dim: Dim, batch: usize) -> Option<usize> {
    let scaled = dim.batch.checked_mul(i64::try_from(batch).ok()?)?;
    usize::try_from(scaled.checked_add(dim.fixed)?).ok()
}

fn product(shape: impl Iterator<Item = Dim>, batch: usize) -> Option<usize> {
    shape
        .map(|dim| extent(dim, batch))
        .try_fold(1usize, |product, extent| product.checked_mul(extent?))
}

impl PlanBuffer {
    /// Elements of the value for a batch of so many samples; `None` where they can't be counted.
    pub fn elements(&self, batch: usize) -> Option<usize> {
        product(self.shape.iter().copied(), batch)
    }

    /// Bytes of one plain copy of the value.
    pub(crate) fn value_bytes(&self, batch: usize) -> Option<usize> {
        self.elements(batch)?.checked_mul(self.element.bytes())
    }

    /// Bytes of one block of a value in lanes, and the number of blocks.
    pub(crate) fn lane_blocks(
        &self,
        axis: usize,
        lanes: usize,
        batch: usize,
    ) -> Option<(usize, usize)> {
        let cut = extent(*self.shape.get(axis)?, batch)?;
        let others = self
            .shape
            .iter()
            .enumerate()
            .filter(|&(other, _)| other != axis);
        let inner = product(others.map(|(_, dim)| *dim), batch)?;
        let bytes = inner
            .checked_mul(lanes)?
            .checked_mul(self.element.bytes())?;
        (lanes > 0).then(|| (bytes, cut.div_ceil(lanes)))
    }

    /// Bytes of one sample block of a value in panels, and the number of panels.
    pub(crate) fn panels(
        &self,
        width: usize,
        batch: usize,
        lanes: usize,
    ) -> Option<(usize, usize)> {
        let columns = product(self.shape.get(1..)?.iter().copied(), batch)?;
        let block = width
            .checked_mul(lanes)?
            .checked_mul(self.element.bytes())?;
        (width > 0).then(|| (block, columns.div_ceil(width)))
    }

    /// One past the last byte in its space.
    pub(crate) fn end(&self) -> usize {
        self.offset.saturating_add(self.bytes)
    }

    /// The stretch that a call of task `task` for block `block` is given: offset in the space, and bytes.
    pub(crate) fn window(&self, tasks: Tasks, task: usize, block: usize) -> (usize, usize) {
        self.window_in_round(tasks, task, block, 0)
    }

    /// As [`PlanBuffer::window`], in a round of a loop.
    pub(crate) fn window_in_round(
        &self,
        tasks: Tasks,
        task: usize,
        block: usize,
        round: usize,
    ) -> (usize, usize) {
        if self.row_of.is_some() {
            let blocks = matches!(tasks, Tasks::Blocks { .. }) && self.space != Space::Scratch;
            let block = if blocks { block * self.block_stride } else { 0 };
            return (self.offset + block + round * self.bytes, self.bytes);
        }
        match (tasks, self.space, self.layout) {
            (Tasks::Blocks { .. }, Space::Arena | Space::Persistent, Layout::Partials) => {
                (self.offset + task * self.task_stride, self.task_stride)
            }
            (Tasks::Blocks { .. }, Space::Arena | Space::Persistent, Layout::Panels { .. }) => {
                // Of each panel a block has some rows, from here on; others' rows lie in between.
                let first = block * self.block_stride;
                (self.offset + first, self.bytes.saturating_sub(first))
            }
            (Tasks::Blocks { .. }, Space::Arena | Space::Persistent, _)
                if self.block_stride > 0 =>
            {
                (self.offset + block * self.block_stride, self.block_stride)
            }
            _ => (self.offset, self.bytes),
        }
    }
}

impl Tasks {
    /// How many tasks there are for a batch of so many samples.
    pub fn count(self, batch: usize) -> usize {
        match self {
            Tasks::Blocks { lanes, most } => batch.div_ceil(lanes).min(most),
            Tasks::Ranges { extent, chunk } => extent.div_ceil(chunk),
            Tasks::BatchRanges { chunk } => batch.div_ceil(chunk),
            Tasks::Once => 1,
        }
    }

    /// The blocks of a task of [`Tasks::Blocks`], or a task's range (`0..1` for [`Tasks::Once`]). The blocks of a
    /// batch are shared so that the tasks' numbers of blocks differ by at most one, the larger ones first.
    pub fn range(self, batch: usize, task: usize) -> std::ops::Range<usize> {
        let chunked = |extent: usize, chunk: usize| task * chunk..extent.min(task * chunk + chunk);
        match self {
            Tasks::Blocks { lanes, .. } => {
                let (blocks, tasks) = (batch.div_ceil(lanes), self.count(batch));
                let (size, longer) = (blocks / tasks, blocks % tasks);
                let begin = task * size + task.min(longer);
                begin..begin + size + usize::from(task < longer)
            }
            Tasks::Ranges { extent, chunk } => chunked(extent, chunk),
            Tasks::BatchRanges { chunk } => chunked(batch, chunk),
            Tasks::Once => 0..1,
        }
    }
}
