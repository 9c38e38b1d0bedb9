//! The kernels of a step in order, and the phase that each runs in.
//!
//! A unit runs in the earliest phase in which everything it reads is there. What one sample block reads of its own
//! samples was made earlier in the same task; all else needs the barrier between two phases. Phases of odd numbers are
//! serial: what little work others wait for, as the end of a sum over blocks, is done by one worker within the barrier.

use super::fuse::{Fusion, Group, Strategy, is_given, rows_over_batch};
use super::lanes::Lanes;
use super::loops::Loops;
use super::outer::{outer, sources};
use super::reads::{epilogue_reads, leaves};
use super::serial::{Serial, behind};
use super::target::Target;
use crate::graph::{Dim, Graph, NodeId, Op};
use std::collections::{BTreeMap, BTreeSet};

/// Multiply-adds of a sample that take several times as long as a barrier.
const DIVIDED_WORK: i64 = 50_000;

/// What a unit computes.
#[derive(Clone, Debug)]
pub enum Work {
    /// The outputs of the group of that number.
    Group(usize),
    /// One block's part of the group's anchor, added to the task's partial.
    Partial(usize),
    /// A plain copy of a value in lanes.
    Relayout(NodeId),
    /// A block of the operand of that anchor, turned for its part of the anchor's sum.
    Turn(NodeId),
    /// The loop whose results are the outputs of the group of that number.
    Loop(usize),
}

/// One kernel call of the plan.
#[derive(Clone, Debug)]
pub struct Unit {
    /// What it computes.
    pub work: Work,
    /// Runs once for each sample block; else, where its lanes are samples, its elements are divided among tasks.
    pub in_blocks: bool,
    /// One worker does all of it, in a serial phase.
    pub serial: bool,
    /// The phase.
    pub phase: usize,
    /// The stored values and inputs it reads.
    pub reads: BTreeSet<NodeId>,
    /// The values whose plain copies it reads instead.
    pub copies: BTreeSet<NodeId>,
    /// How many times it has run before in the same step.
    pub again: usize,
    /// Of what it reads, what comes from a later run than its maker's first, and from which.
    pub from: BTreeMap<NodeId, usize>,
    /// With its neighbours it does one element of an axis a round.
    pub slice: Option<Slice>,
}

/// How a unit runs slice by slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The same number for all units of the same rounds.
    pub series: usize,
    /// The axis of the unit's outputs.
    pub axis: usize,
    /// Its extent.
    pub rounds: i64,
}

impl Unit {
    fn new(work: Work, in_blocks: bool, phase: usize, reads: BTreeSet<NodeId>) -> Unit {
        Unit {
            work,
            in_blocks,
            serial: phase % 2 == 1,
            phase,
            reads,
            copies: BTreeSet::new(),
            again: 0,
            from: BTreeMap::new(),
            slice: None,
        }
    }

    /// Whether it reads what a maker has left in the same task.
    pub fn shares_task(&self, maker: &Unit) -> bool {
        self.has_block_tasks() && maker.has_block_tasks()
    }

    /// Whether both do their parts in the same rounds.
    pub fn runs_with(&self, other: &Unit) -> bool {
        let series = |unit: &Unit| unit.slice.map(|slice| slice.series);
        series(self).is_some() && series(self) == series(other)
    }

    /// Whether each task runs it for blocks of its own.
    pub fn has_block_tasks(&self) -> bool {
        self.in_blocks && !self.serial
    }

    /// The run whose result it reads.
    pub fn run_of(&self, value: NodeId) -> usize {
        self.from.get(&value).copied().unwrap_or(0)
    }
}

/// The units of all groups, each after what it reads.
pub fn units(
    graph: &Graph,
    lanes: &Lanes,
    fusion: &Fusion,
    loops: &Loops,
    (target, block): (&Target, usize),
    batch: usize,
) -> Vec<Unit> {
    let mut builder = Builder {
        graph,
        lanes,
        fusion,
        loops,
        target,
        block,
        batch,
        serial: Serial::new(graph, fusion, batch, target.block_tasks),
        units: Vec::new(),
        made: BTreeMap::new(),
    };
    for number in 0..fusion.groups.len() {
        builder.group(number);
    }
    builder.units
}

struct Builder<'a> {
    graph: &'a Graph,
    lanes: &'a Lanes,
    fusion: &'a Fusion,
    loops: &'a Loops,
    target: &'a Target,
    block: usize,
    batch: usize,
    serial: Serial<'a>,
    units: Vec<Unit>,
    /// The unit that makes each stored value.
    made: BTreeMap<NodeId, usize>,
}

impl Builder<'_> {
    fn group(&mut self, number: usize) {
        if let Some(own) = self.loops.get(&number) {
            let in_blocks = own.in_blocks;
            return self.whole_loop(number, in_blocks);
        }
        let group = &self.fusion.groups[number];
        let reads = leaves(self.graph, &self.fusion.stored, group);
        let in_blocks = group.strategy == Strategy::Lanes && !self.divides(group);
        let mut own_reads = reads.clone();
        let mut makers = Vec::new();
        if let (Strategy::Partial, Some(anchor)) = (group.strategy, group.anchor) {
            makers.push(self.partial(number, anchor));
            own_reads = epilogue_reads(self.graph, &self.fusion.stored, group, anchor);
        }
        let copies: BTreeSet<NodeId> = self.relayouts(group).into_iter().collect();
        own_reads.retain(|read| !copies.contains(read));
        makers.extend(copies.iter().map(|&source| self.relayout(source)));
        let waits = !makers.is_empty() || own_reads.iter().any(|read| self.made.contains_key(read));
        let serial = waits && !in_blocks && self.serial.is_little(group);
        let phases = makers.into_iter().map(|phase| behind(phase, true, serial));
        let phase = phases.max().unwrap_or(0);
        let phase = phase.max(self.phase(&own_reads, in_blocks, serial));
        for &output in &group.outputs {
            self.made.insert(output, self.units.len());
        }
        let unit = Unit::new(Work::Group(number), in_blocks, phase, own_reads);
        self.units.push(Unit { copies, ..unit });
    }

    /// The phase of what adds a block's part of the anchor to the task's partial.
    fn partial(&mut self, number: usize, anchor: NodeId) -> usize {
        let part = Group {
            outputs: vec![anchor],
            ..self.fusion.groups[number].clone()
        };
        let mut reads = leaves(self.graph, &self.fusion.stored, &part);
        let in_blocks = !self.divides(&part);
        let serial =
            in_blocks && self.waits_for_serial(&reads) && self.serial.is_little_part(anchor);
        let phase = self.phase(&reads, in_blocks, serial);
        if let Some(outer) = outer(self.graph, self.lanes, self.target, self.block, anchor) {
            let inputs = &self.graph.nodes[anchor].inputs;
            let operand = |number: usize| sources(self.graph, &self.fusion.stored, inputs[number]);
            let turned = operand(outer.operand);
            // A parameter that is read to make what is turned is updated behind the sum, so that both stay in one phase.
            let given = turned.iter().copied();
            let given = given.filter(|&id| is_given(&self.graph.nodes[id].op));
            reads = operand(1 - outer.operand);
            reads.extend(given);
            let unit = Unit::new(Work::Turn(anchor), true, phase, turned);
            self.units.push(unit);
        }
        let unit = Unit::new(Work::Partial(number), in_blocks, phase, reads);
        self.units.push(unit);
        phase
    }

    /// Whether the elements of a product are divided among tasks: a batch of one block would leave all but one worker
    /// without work, and this product is worth the barriers before and behind it.
    fn divides(&self, group: &Group) -> bool {
        let Some(anchor) = group.anchor.filter(|_| self.batch <= self.block) else {
            return false;
        };
        let Op::Contract(contraction) = &self.graph.nodes[anchor].op else {
            return false;
        };
        let whole = self.block <= self.target.register_lanes
            && contraction.operands.len() == 2
            && group.place.parts.is_none()
            && outer(self.graph, self.lanes, self.target, self.block, anchor).is_none();
        let size = |dims: &[Dim]| dims.iter().map(|dim| dim.at(1)).product::<i64>();
        whole && size(&contraction.shape) * size(&contraction.reduced) >= DIVIDED_WORK
    }

    fn whole_loop(&mut self, number: usize, in_blocks: bool) {
        let group = &self.fusion.groups[number];
        let reads = leaves(self.graph, &self.fusion.stored, group);
        let phase = self.phase(&reads, in_blocks, false);
        for &output in &group.outputs {
            self.made.insert(output, self.units.len());
        }
        let unit = Unit::new(Work::Loop(number), in_blocks, phase, reads);
        self.units.push(unit);
    }

    /// The operands that are copied out of lanes for a group, into rows or panels.
    fn relayouts(&self, group: &Group) -> Vec<NodeId> {
        let rows = |anchor| rows_over_batch(self.graph, self.lanes, Some(&group.strategy), anchor);
        group.anchor.map_or_else(Vec::new, rows)
    }

    /// The phase in which a value's plain copy is made.
    fn relayout(&mut self, source: NodeId) -> usize {
        let known = self
            .units
            .iter()
            .find(|unit| matches!(unit.work, Work::Relayout(node) if node == source));
        if let Some(unit) = known {
            return unit.phase;
        }
        let reads = BTreeSet::from([source]);
        let phase = self.phase(&reads, true, false);
        let unit = Unit::new(Work::Relayout(source), true, phase, reads);
        self.units.push(unit);
        phase
    }

    /// Whether a value comes from the last phase so far, and that is serial.
    fn waits_for_serial(&self, reads: &BTreeSet<NodeId>) -> bool {
        let makers = reads.iter().filter_map(|read| self.made.get(read));
        let last = makers
            .map(|&maker| &self.units[maker])
            .max_by_key(|maker| maker.phase);
        last.is_some_and(|maker| maker.serial)
    }

    fn phase(&self, reads: &BTreeSet<NodeId>, in_blocks: bool, serial: bool) -> usize {
        let of = |leaf: &NodeId| {
            let maker = &self.units[*self.made.get(leaf)?];
            let in_task = in_blocks && !serial && maker.has_block_tasks();
            let same_task = in_task && self.lanes.axis(*leaf).is_some();
            Some(behind(maker.phase, !same_task, serial))
        };
        reads.iter().filter_map(of).max().unwrap_or(0)
    }
}
