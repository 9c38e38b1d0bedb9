//! Which order of a step's units, and which places of its buffers, take least memory.

use super::buffers::{Buffers, PersistentLayout, Sources, buffers};
use super::fuse::Fusion;
use super::lanes::Lanes;
use super::loops::Loops;
use super::order::{Program, Waiting, in_order};
use super::target::Target;
use super::unit_index::UnitIndex;
use super::units::Unit;
use crate::graph::Graph;

/// Workers that a plan is made for: it does not depend on the machine that runs it.
const WORKERS: usize = 2;

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
    /// Who makes and reads what.
    pub index: UnitIndex,
    /// All memory.
    pub buffers: Buffers,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Bytes of each worker's scratch.
    pub scratch_bytes: usize,
}

impl Placed {
    /// Bytes beside parameters and states, with so many workers.
    fn bytes(&self, workers: usize) -> usize {
        self.arena_bytes + self.scratch_bytes * workers
    }
}

impl<'a> Step<'a> {
    /// The order that takes least memory.
    pub fn least(self, units: &[Unit]) -> Placed {
        let orders = Waiting::ALL.map(|waiting| in_order(self.program(), units, waiting));
        let placed = orders.into_iter().map(|units| self.placed(units));
        let least = placed.min_by_key(|placed| placed.bytes(WORKERS));
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

    /// Places everything that units in this order need.
    fn placed(self, units: Vec<Unit>) -> Placed {
        let index = UnitIndex::new(self.graph, self.fusion, &units);
        let (buffers, arena_bytes, scratch_bytes) = buffers(&self.sources(&units, &index));
        Placed {
            units,
            index,
            buffers,
            arena_bytes,
            scratch_bytes,
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
            target: self.target,
            batch: self.batch,
            block: self.block,
            persistent: self.persistent,
            index,
        }
    }
}
