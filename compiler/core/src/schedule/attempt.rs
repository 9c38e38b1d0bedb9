//! What a plan is tried with, and what next where it is refused.

use super::lanes::Lanes;
use super::lower::LowerError;
use crate::graph::{Graph, NodeId, Op};
use std::collections::BTreeSet;

/// One way to plan a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// No value has samples in lanes.
    pub plain: bool,
    /// Contractions that are stored by themselves.
    pub apart: BTreeSet<NodeId>,
    /// Loops over time are written out round by round.
    pub written_out: bool,
}

impl Attempt {
    /// Without lanes.
    pub fn plain() -> Attempt {
        Attempt {
            plain: true,
            ..Attempt::default()
        }
    }

    /// Where the lanes of each value are.
    pub fn lanes(&self, graph: &Graph) -> Lanes {
        match self.plain {
            true => Lanes::absent(graph),
            false => Lanes::analyse(graph),
        }
    }

    /// What to try after a refusal. A contraction whose reader asks for several of its elements at once is stored; loops
    /// whose bodies have no kernel are written out, whose rounds are kernels like any other; where samples read other
    /// samples, and how many there are is known, none are in lanes. `graph` is the one that was refused.
    pub fn next(&self, graph: &Graph, refusal: &LowerError) -> Option<Attempt> {
        let LowerError::Unsupported { node, .. } = refusal else {
            return None;
        };
        let mut next = self.clone();
        let contraction = graph.nodes.get(*node).map(|node| &node.op);
        if matches!(contraction, Some(Op::Contract(_))) && next.apart.insert(*node) {
            return Some(next);
        }
        if !self.written_out && !graph.scans().is_empty() {
            return Some(Attempt {
                written_out: true,
                plain: self.plain,
                ..Attempt::default()
            });
        }
        let known = Lanes::analyse(graph).extent?.known().is_some();
        (known && !self.plain).then(Attempt::plain)
    }
}
