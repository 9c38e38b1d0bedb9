//! Work so small that one worker does it while the others wait, in less time than a phase of its own takes.
//!
//! ```text
//! phase 0         every block: product, sum of squares (a part for each task)
//! phase 1 serial  the sum of the parts, its root
//! phase 2         every block: the product divided by the root
//! ```
//!
//! Phases are counted in twos while units are made: even ones are shared by all workers, odd ones are serial.

use super::fuse::{Fusion, Group, Strategy};
use super::reads::leaves;
use crate::graph::{Graph, NodeId, Op};
use std::collections::BTreeSet;

/// Multiply-adds that take about as long as a barrier, and what it costs that workers do not arrive together.
const LITTLE: i64 = 1 << 15;

/// The earliest phase of a unit behind one in `phase`, which has to have ended where they are `apart`.
pub fn behind(phase: usize, apart: bool, serial: bool) -> usize {
    match (phase % 2 == 1, serial) {
        (false, true) => phase + 1,
        (true, true) => phase,
        (true, false) => phase + 1,
        (false, false) => phase + 2 * usize::from(apart),
    }
}

/// The latest phase of a unit before one in `phase`: the converse of [`behind`].
pub fn before(phase: usize, apart: bool, serial: bool) -> usize {
    match (phase % 2 == 1, serial) {
        (true, true) => phase,
        (true, false) | (false, true) => phase - 1,
        (false, false) => phase - 2 * usize::from(apart),
    }
}

/// What is little work.
pub struct Serial<'a> {
    graph: &'a Graph,
    batch: i64,
    /// The most tasks that blocks are dealt to, and so partials of a sum.
    tasks: i64,
    /// What groups read of each other.
    read: BTreeSet<NodeId>,
}

impl<'a> Serial<'a> {
    /// For a step of so many samples.
    pub fn new(graph: &'a Graph, fusion: &Fusion, batch: usize, tasks: usize) -> Serial<'a> {
        let groups = fusion.groups.iter();
        Serial {
            graph,
            batch: batch as i64,
            tasks: tasks as i64,
            read: groups
                .flat_map(|group| leaves(graph, &fusion.stored, group))
                .collect(),
        }
    }

    /// Whether others wait for a group outside of blocks, and it is little work. What nothing waits for can run beside
    /// other work.
    pub fn is_little(&self, group: &Group) -> bool {
        let awaited = group
            .outputs
            .iter()
            .any(|output| self.read.contains(output));
        let each = match (group.anchor, group.strategy) {
            (Some(_), Strategy::Partial) => self.tasks,
            (Some(anchor), _) => self.each(anchor),
            (None, _) => 1,
        };
        let elements: i64 = group
            .outputs
            .iter()
            .map(|&output| self.elements(output))
            .sum();
        awaited && elements.saturating_mul(each) <= LITTLE
    }

    /// Whether all blocks' parts of a sum are little work.
    pub fn is_little_part(&self, anchor: NodeId) -> bool {
        self.elements(anchor).saturating_mul(self.each(anchor)) <= LITTLE
    }

    fn elements(&self, value: NodeId) -> i64 {
        self.graph.nodes[value].ty.elements(self.batch)
    }

    /// How many values each element of a reduction is the sum of.
    fn each(&self, anchor: NodeId) -> i64 {
        let node = &self.graph.nodes[anchor];
        match &node.op {
            Op::Contract(contraction) => {
                let reduced = contraction.reduced.iter();
                reduced.map(|dim| dim.at(self.batch)).product()
            }
            _ => self.elements(node.inputs[0]) / self.elements(anchor).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_is_the_converse_of_behind() {
        let units = [(2, false), (3, true)];
        for (phase, own) in units {
            for (apart, serial) in [(false, false), (true, false), (true, true)] {
                let next = behind(phase, apart, serial);
                assert_eq!(next % 2 == 1, serial);
                assert_eq!(before(next, apart, own), phase, "{phase} {apart} {serial}");
            }
        }
    }
}
