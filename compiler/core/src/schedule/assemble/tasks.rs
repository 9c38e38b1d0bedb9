//! How many tasks a unit is, and which products are short.

use super::{Assembler, Lowered, Unit, Work};
use crate::graph::Op;
use crate::plan::Tasks;

/// Multiply-adds that one task of a range should hold, so that handing it out costs little.
const TASK_WORK: i64 = 100_000;
/// Multiply-adds of a short product at most: some 10 us.
const SHORT: i64 = 1_000_000;
/// The most tasks that a range is cut into.
const RANGE_TASKS: i64 = 16;

impl Assembler<'_> {
    pub(super) fn tasks(&self, unit: &Unit, lowered: &Lowered) -> Tasks {
        if unit.in_blocks {
            return Tasks::Blocks {
                lanes: self.block,
                most: self.target.block_tasks,
            };
        }
        let Some((extent, multiple)) = lowered.range else {
            return Tasks::Once;
        };
        let Some(extent) = extent.known() else {
            return Tasks::BatchRanges {
                chunk: multiple.max(self.block),
            };
        };
        let count = (self.work(unit) / TASK_WORK).clamp(1, RANGE_TASKS);
        let chunk = (extent.max(1) as u64)
            .div_ceil(count as u64)
            .next_multiple_of(multiple as u64);
        Tasks::Ranges {
            extent: extent as usize,
            chunk: chunk as usize,
        }
    }

    /// About how many multiply-adds a unit is.
    fn work(&self, unit: &Unit) -> i64 {
        let (number, partial) = match unit.work {
            Work::Group(number) => (number, false),
            Work::Partial(number) => (number, true),
            _ => return 0,
        };
        let group = &self.fusion.groups[number];
        let batch = self.plan.batch as i64;
        let outputs = match group.anchor {
            Some(anchor) if partial => vec![anchor],
            _ => group.outputs.clone(),
        };
        let outputs: i64 = outputs
            .iter()
            .map(|&id| self.graph.nodes[id].ty.elements(batch))
            .sum();
        let reduced = match group
            .anchor
            .map(|anchor| (anchor, &self.graph.nodes[anchor].op))
        {
            Some((_, Op::Contract(contraction))) => contraction
                .reduced
                .iter()
                .map(|dim| dim.at(batch))
                .product(),
            Some((anchor, Op::Reduce { .. })) => {
                let input = self.graph.nodes[anchor].inputs[0];
                let own = self.graph.nodes[anchor].ty.elements(batch).max(1);
                self.graph.nodes[input].ty.elements(batch) / own
            }
            _ => 1,
        };
        outputs * reduced.max(4)
    }

    /// Whether a unit is a short product of one task, as the weight gradient of a net's last layer is. What it reads has
    /// mostly been written in the phase before: it goes before the phase's blocks, which read and write much more.
    pub(super) fn is_short_product(&self, unit: &Unit, tasks: Tasks) -> bool {
        let one = matches!(tasks, Tasks::Ranges { extent, chunk } if extent <= chunk);
        let Work::Group(number) = unit.work else {
            return false;
        };
        let anchor = self.fusion.groups[number].anchor;
        let op = anchor.map(|anchor| &self.graph.nodes[anchor].op);
        let product = matches!(op, Some(Op::Contract(own)) if own.operands.len() == 2);
        one && product && self.work(unit) <= SHORT
    }
}
