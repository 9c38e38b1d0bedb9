//! What units take, and which can run again.

use crate::graph::{InputKind, NodeId, Op, OutputKind};
use crate::schedule::fuse::{Group, Strategy, root};
use crate::schedule::order::{Program, made_by};
use crate::schedule::units::{Unit, Work};
use cranelift_entity::SecondaryMap;
use std::collections::{BTreeMap, BTreeSet};

/// Multiply-adds that take as long as reading or writing one element.
const ELEMENT_COST: i64 = 32;

/// What is known of units before any runs again.
pub struct Facts<'a> {
    pub(super) program: Program<'a>,
    pub(super) units: &'a [Unit],
    /// Sample blocks.
    blocks: i64,
    pub(super) maker: BTreeMap<NodeId, usize>,
    /// The units that read a value, in order.
    pub(super) uses: SecondaryMap<NodeId, Vec<usize>>,
    /// Values that can be computed again, with the phase in which that is over: a parameter is then another.
    pub(super) again: BTreeMap<NodeId, usize>,
    pub(super) cost: Vec<i64>,
}

impl<'a> Facts<'a> {
    /// Of units in order.
    pub fn new(program: Program<'a>, units: &'a [Unit], blocks: usize) -> Facts<'a> {
        let mut facts = Facts {
            program,
            units,
            blocks: blocks.max(1) as i64,
            maker: BTreeMap::new(),
            uses: SecondaryMap::new(),
            again: BTreeMap::new(),
            cost: Vec::with_capacity(units.len()),
        };
        for (number, unit) in units.iter().enumerate() {
            for &output in made_by(program.fusion, unit) {
                facts.maker.insert(output, number);
            }
            for &read in &unit.reads {
                facts.uses[read].push(number);
            }
            let elements = |values: &mut dyn Iterator<Item = &NodeId>| -> i64 {
                values.map(|&value| facts.elements(value)).sum()
            };
            let moved = elements(&mut made_by(program.fusion, unit).iter())
                + elements(&mut unit.reads.iter());
            let cost = facts.multiply_adds(unit) + ELEMENT_COST * moved;
            facts.cost.push(cost);
        }
        facts.find_again();
        facts
    }

    /// What all units take once.
    pub fn whole_cost(&self) -> i64 {
        self.cost.iter().sum()
    }

    /// The multiply-adds of all products.
    pub fn whole_multiply_adds(&self) -> i64 {
        let units = self.units.iter();
        units.map(|unit| self.multiply_adds(unit)).sum()
    }

    /// The units before any runs again.
    pub fn units(&self) -> &'a [Unit] {
        self.units
    }

    /// Whether a group ends a sum of which blocks make the parts.
    fn is_sum(&self, unit: &Unit) -> bool {
        let Work::Group(number) = unit.work else {
            return false;
        };
        self.program.fusion.groups[number].strategy == Strategy::Partial
    }

    fn elements(&self, value: NodeId) -> i64 {
        let ty = &self.program.graph.nodes[value].ty;
        ty.elements(self.program.batch as i64)
    }

    /// Of a unit's product.
    pub(super) fn multiply_adds(&self, unit: &Unit) -> i64 {
        let (Work::Group(number) | Work::Partial(number)) = unit.work else {
            return 0;
        };
        if self.is_sum(unit) {
            return 0;
        }
        let anchor = self.program.fusion.groups[number].anchor;
        let of_product = |anchor: NodeId| match &self.program.graph.nodes[anchor].op {
            Op::Contract(contraction) => {
                let reduced = contraction.reduced.iter();
                let rounds: i64 = reduced
                    .map(|dim| dim.at(self.program.batch as i64))
                    .product();
                rounds * self.elements(anchor)
            }
            _ => 0,
        };
        anchor.map_or(0, of_product)
    }

    fn find_again(&mut self) {
        let graph = self.program.graph;
        let leaving: BTreeSet<NodeId> = graph
            .outputs
            .iter()
            .map(|output| root(graph, output.node))
            .collect();
        let over = self.updates();
        for unit in self.units {
            let Some(group) = self.lane_group(unit) else {
                continue;
            };
            let inputs = unit.reads.iter().map(|read| match over.get(read) {
                Some(&phase) => phase,
                None => self.again.get(read).copied().unwrap_or(usize::MAX),
            });
            let over = inputs.min().unwrap_or(usize::MAX);
            let alone = group
                .outputs
                .iter()
                .all(|output| !leaving.contains(output) && self.stays_in_blocks(*output));
            if alone {
                let outputs = group.outputs.iter();
                self.again.extend(outputs.map(|&output| (output, over)));
            }
        }
    }

    fn lane_group(&self, unit: &Unit) -> Option<&'a Group> {
        let Work::Group(number) = unit.work else {
            return None;
        };
        let group = &self.program.fusion.groups[number];
        (unit.in_blocks && group.strategy == Strategy::Lanes).then_some(group)
    }

    fn stays_in_blocks(&self, value: NodeId) -> bool {
        let of_blocks = |&reader: &usize| {
            let unit = &self.units[reader];
            unit.in_blocks && !unit.serial && !matches!(unit.work, Work::Loop(_))
        };
        self.program.lanes.axis(value).is_some() && self.uses[value].iter().all(of_blocks)
    }

    /// The phases in which parameters and states get their new values.
    fn updates(&self) -> BTreeMap<NodeId, usize> {
        let graph = self.program.graph;
        let made = graph.outputs.iter().filter_map(|output| {
            let of_run = matches!(output.kind, OutputKind::Parameter | OutputKind::State);
            let maker = self.maker.get(&root(graph, output.node))?;
            of_run.then(|| (output.name.as_str(), self.units[*maker].phase))
        });
        let made: BTreeMap<&str, usize> = made.collect();
        let old = graph.nodes.iter().filter_map(|(id, node)| {
            let name = persistent_name(&node.op)?;
            Some((id, *made.get(name)?))
        });
        old.collect()
    }

    pub(super) fn next_use(&self, value: NodeId, from: usize) -> Option<usize> {
        let uses = &self.uses[value];
        uses.get(uses.partition_point(|&number| number < from))
            .copied()
    }

    pub(super) fn last_use(&self, value: NodeId) -> usize {
        self.uses[value].last().copied().unwrap_or(0)
    }

    /// Whether a value can be computed again at each of its uses.
    pub(super) fn is_in_time(&self, value: NodeId) -> bool {
        let last = self.units[self.last_use(value)].phase;
        self.again.get(&value).is_some_and(|&over| last < over)
    }

    pub(super) fn is_map(&self, value: NodeId) -> bool {
        let maker = &self.units[self.maker[&value]];
        self.lane_group(maker)
            .is_some_and(|group| group.anchor.is_none())
    }

    /// Bytes of a value, which is in the scratch of each worker where it is `local` to a phase.
    pub(super) fn bytes(&self, value: NodeId, local: bool, workers: i64) -> i64 {
        let bytes = self.program.bytes(value);
        match local {
            true => bytes / self.blocks * workers,
            false => bytes,
        }
    }
}

fn persistent_name(op: &Op) -> Option<&str> {
    match op {
        Op::Input {
            kind: InputKind::Parameter | InputKind::State,
            name,
            ..
        } => Some(name),
        _ => None,
    }
}
