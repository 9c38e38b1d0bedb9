//! How many tasks a unit is, and which groups of a phase begin first.

use super::{Assembler, Lowered, Unit, Work};
use crate::graph::{NodeId, Op};
use crate::plan::Tasks;
use crate::schedule::fuse::Strategy;
use std::collections::BTreeSet;

/// Multiply-adds that one task of a range should hold, so that handing it out costs little.
const TASK_WORK: i64 = 100_000;
/// Multiply-adds of a small product at most: some 10 us.
const SMALL: i64 = 1_000_000;
/// The most tasks that a range is cut into.
const RANGE_TASKS: i64 = 16;

/// The order in which the groups of a phase with blocks begin; those of one kind in the order of their units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precedence {
    /// What they read has mostly been written in the phase before, and blocks read and write much more.
    ShortProducts,
    /// They would throw out of the caches what blocks leave for small products of the next phase.
    LargeCopies,
    /// The longest tasks.
    Blocks,
    /// What fills the workers' time until the last block ends.
    Others,
}

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

    /// When a group of one unit begins, in the phase that is being assembled, beside the phase's blocks.
    pub(super) fn precedence(&self, unit: &Unit, tasks: Tasks) -> Precedence {
        let one = matches!(tasks, Tasks::Ranges { extent, chunk } if extent <= chunk);
        let followed = self.before_small_products.contains(&unit.phase);
        if one && self.is_small_product(unit) {
            Precedence::ShortProducts
        } else if followed && self.is_large_copy(unit) {
            Precedence::LargeCopies
        } else {
            Precedence::Others
        }
    }

    /// The phases whose next, serial ones left out, has a small product.
    pub(super) fn before_small_products(&self, units: &[Unit]) -> BTreeSet<usize> {
        let of = |wanted: &dyn Fn(&&Unit) -> bool| -> BTreeSet<usize> {
            units.iter().filter(wanted).map(|unit| unit.phase).collect()
        };
        let phases = of(&|unit| !unit.serial);
        let small = of(&|unit| self.is_small_product(unit));
        let pairs = phases.iter().zip(phases.iter().skip(1));
        let followed = pairs.filter(|(_, next)| small.contains(next));
        followed.map(|(&phase, _)| phase).collect()
    }

    /// Whether a unit is a small product that no block runs, as the weight gradient of a net's last layer is.
    fn is_small_product(&self, unit: &Unit) -> bool {
        let Work::Group(number) = unit.work else {
            return false;
        };
        let group = &self.fusion.groups[number];
        let op = group.anchor.map(|anchor| &self.graph.nodes[anchor].op);
        let product = matches!(op, Some(Op::Contract(own)) if own.operands.len() == 2);
        let whole = group.strategy != Strategy::Partial;
        product && whole && !unit.in_blocks && self.work(unit) <= SMALL
    }

    /// Whether a unit copies what enters the step, as weights, in another order, and no second cache holds the copy.
    fn is_large_copy(&self, unit: &Unit) -> bool {
        let Work::Group(number) = unit.work else {
            return false;
        };
        let group = &self.fusion.groups[number];
        let op = |id: &NodeId| &self.graph.nodes[*id].op;
        let given = |id: &NodeId| matches!(op(id), Op::Input { .. });
        let moved = |id: &NodeId| matches!(op(id), Op::View(_));
        let made = group.outputs.iter().map(|output| self.buffers.of[output]);
        let bytes: usize = made.map(|buffer| self.buffers.all[buffer].bytes).sum();
        group.anchor.is_none()
            && group.outputs.iter().all(moved)
            && unit.reads.iter().all(given)
            && bytes as i64 > self.target.second_cache
    }
}
