//! Which order of a step's units, and which places of its buffers, take least memory; and what is computed again so that
//! they take less still.

use super::assemble::group_name;
use super::budget::within;
use super::buffers::{Buffers, Sources, buffers};
use super::fuse::Fusion;
use super::insets::Inset;
use super::lanes::Lanes;
use super::layout::{Layouts, layouts};
use super::loops::Loops;
use super::order::{Program, Waiting, in_order};
use super::persistent::PersistentLayout;
use super::recompute::{Facts, Keeping, Limit, Recomputed, recompute};
use super::slices::slice;
use super::target::Target;
use super::unit_index::UnitIndex;
use super::units::{Unit, Work};
use crate::graph::{Graph, NodeId};
use std::collections::BTreeMap;

/// Workers that a plan without a budget is made for: it does not depend on the machine that runs it.
const WORKERS: usize = 2;
/// Bytes beside parameters from which on elementwise values are computed again without being asked for it: less than that
/// stays in the caches.
const LARGE: usize = 64 << 20;
/// The part of a step's work that may be done again without being asked for it: one of so many.
const SPARE: i64 = 20;
/// Parts of what a step takes by which less is kept, one after the other.
pub const STEPS: i64 = 16;
/// Kernels that a decision names.
const NAMED: usize = 8;

/// What the units of a step are placed from.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Lane axes.
    pub lanes: &'a Lanes,
    /// Stored values.
    pub fusion: &'a Fusion,
    /// Loops by the number of their group.
    pub loops: &'a Loops,
    /// Images that are stored with their border.
    pub insets: &'a BTreeMap<NodeId, Inset>,
    /// Constants.
    pub target: &'a Target,
    /// The largest batch.
    pub batch: usize,
    /// Samples a block.
    pub block: usize,
    /// Where parameters and states lie.
    pub persistent: &'a PersistentLayout,
}

/// Units in order, and where everything lies.
pub struct Placed {
    /// In the order in which they run.
    pub units: Vec<Unit>,
    /// All memory.
    pub buffers: Buffers,
    /// How values lie in it.
    pub layouts: Layouts,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Bytes of each worker's scratch.
    pub scratch_bytes: usize,
    /// What is computed again, and what it is good for.
    pub decision: Option<String>,
    /// The work that is done again.
    pub cost: i64,
}

impl Placed {
    /// Bytes beside parameters and states, with so many workers.
    pub fn bytes(&self, workers: usize) -> usize {
        self.arena_bytes + self.scratch_bytes * workers
    }
}

impl<'a> Step<'a> {
    /// The order that takes least memory. With a budget, what keeps to it with least work, or comes nearest to it.
    pub fn least(self, units: &[Unit]) -> Placed {
        let whole = self.ordered(units, WORKERS);
        let budget = self.target.budget;
        let missed = budget.filter(|budget| self.total(&whole, budget.workers) > budget.bytes);
        if missed.is_none() && whole.bytes(WORKERS) < LARGE {
            return whole;
        }
        let workers = missed.map_or(WORKERS, |budget| budget.workers);
        let whole = match workers {
            WORKERS => whole,
            _ => self.ordered(units, workers),
        };
        let units = whole.units.clone();
        let facts = Facts::new(self.program(), &units, self.batch.div_ceil(self.block));
        let usual = self.usual(&facts, whole, workers);
        match budget.filter(|budget| self.total(&usual, budget.workers) > budget.bytes) {
            Some(budget) => within(self, budget, &facts, usual),
            None => usual,
        }
    }

    /// The order that takes least memory with so many workers.
    fn ordered(self, units: &[Unit], workers: usize) -> Placed {
        let orders = Waiting::ALL.map(|waiting| in_order(self.program(), units, waiting));
        let placed = orders.into_iter().map(|units| self.placed(units));
        let least = placed.min_by_key(|placed| placed.bytes(workers));
        least.unwrap_or_else(|| self.placed(units.to_vec()))
    }

    fn program(self) -> Program<'a> {
        Program {
            graph: self.graph,
            lanes: self.lanes,
            fusion: self.fusion,
            batch: self.batch,
        }
    }

    /// All bytes, with so many workers.
    pub fn total(self, placed: &Placed, workers: usize) -> usize {
        self.persistent.bytes() + placed.bytes(workers)
    }

    /// Elementwise values that take much room for little work are computed again.
    fn usual(self, facts: &Facts<'_>, whole: Placed, workers: usize) -> Placed {
        if whole.bytes(workers) < LARGE {
            return whole;
        }
        let limit = |bytes| {
            Keeping::Limit(Limit {
                bytes,
                workers: workers as i64,
                only_maps: true,
            })
        };
        let Some(all) = recompute(facts, limit(i64::MAX)) else {
            return whole;
        };
        let cheap = |made: &Recomputed| made.cost * SPARE <= facts.whole_cost();
        let parts = (1..STEPS).rev().map(|part| all.peak / STEPS * part);
        let made = parts.map_while(|bytes| {
            let made = recompute(facts, limit(bytes))?;
            (made.peak <= bytes && cheap(&made)).then_some(made)
        });
        let Some(made) = made.last() else {
            return whole;
        };
        let placed = self.again(made, (facts, &whole), workers);
        match placed.bytes(workers) < whole.bytes(workers) {
            true => placed,
            false => whole,
        }
    }

    /// Places units with those that run again.
    pub fn again(
        self,
        made: Recomputed,
        (facts, whole): (&Facts<'_>, &Placed),
        workers: usize,
    ) -> Placed {
        let what = self.named(&made.units);
        let more = 100.0 * made.multiply_adds as f64 / facts.whole_multiply_adds().max(1) as f64;
        let cost = made.cost;
        let placed = self.placed(made.units);
        let decision = format!(
            "memory: {what} run again rather than keep what they make; {more:.1} % more multiply-adds; \
             {} bytes with {workers} workers instead of {}",
            self.total(&placed, workers),
            self.total(whole, workers),
        );
        Placed {
            decision: Some(decision),
            cost,
            ..placed
        }
    }

    /// How many units run again, and the first of them.
    fn named(self, units: &[Unit]) -> String {
        let again: Vec<usize> = units
            .iter()
            .filter(|unit| unit.again > 0)
            .filter_map(|unit| match unit.work {
                Work::Group(number) => Some(number),
                _ => None,
            })
            .collect();
        let names = again.iter().take(NAMED);
        let names: Vec<String> = names
            .map(|&number| group_name(self.graph, &self.fusion.groups[number]))
            .collect();
        let more = if again.len() > NAMED { " and more" } else { "" };
        format!("{} kernels ({}{more})", again.len(), names.join(", "))
    }

    /// Places everything that units in this order need.
    pub fn placed(self, mut units: Vec<Unit>) -> Placed {
        slice(self, &mut units);
        let index = UnitIndex::new(self.graph, self.fusion, &units);
        let sources = self.sources(&units, &index);
        let layouts = layouts(&sources);
        let (buffers, arena_bytes, scratch_bytes) = buffers(&sources, &layouts);
        Placed {
            units,
            buffers,
            layouts,
            arena_bytes,
            scratch_bytes,
            decision: None,
            cost: 0,
        }
    }

    /// What buffers are made from, for units in this order.
    pub fn sources<'s>(self, units: &'s [Unit], index: &'s UnitIndex) -> Sources<'s>
    where
        'a: 's,
    {
        Sources {
            graph: self.graph,
            lanes: self.lanes,
            fusion: self.fusion,
            units,
            loops: self.loops,
            insets: self.insets,
            target: self.target,
            batch: self.batch,
            block: self.block,
            persistent: self.persistent,
            index,
        }
    }
}
