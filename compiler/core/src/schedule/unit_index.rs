//! Which unit makes and which units read a value, found once.

use super::fuse::{Fusion, root};
use super::units::{Unit, Work};
use crate::graph::{Graph, InputKind, NodeId, Op};
use cranelift_entity::{EntitySet, SecondaryMap};
use std::collections::BTreeMap;

/// The uses of values.
#[derive(Default)]
pub struct UnitIndex {
    /// The numbers of the units that read a value as it was made first, in order.
    pub readers: SecondaryMap<NodeId, Vec<usize>>,
    /// The numbers of the units that read a value as a later run has made it.
    pub again: BTreeMap<(NodeId, usize), Vec<usize>>,
    /// The number of the unit that stores a value.
    pub makers: SecondaryMap<NodeId, Option<usize>>,
    /// Values that leave the step.
    pub leaving: EntitySet<NodeId>,
    /// Parameters and states by name.
    pub persistent: BTreeMap<String, NodeId>,
}

impl UnitIndex {
    /// The uses that `units` make.
    pub fn new(graph: &Graph, fusion: &Fusion, units: &[Unit]) -> UnitIndex {
        let mut index = UnitIndex::default();
        for (number, unit) in units.iter().enumerate() {
            for &read in &unit.reads {
                match unit.run_of(read) {
                    0 => index.readers[read].push(number),
                    run => index.again.entry((read, run)).or_default().push(number),
                }
            }
            if unit.again > 0 {
                continue;
            }
            if let Work::Group(group) | Work::Loop(group) = unit.work {
                for &output in &fusion.groups[group].outputs {
                    index.makers[output].get_or_insert(number);
                }
            }
        }
        for output in &graph.outputs {
            index.leaving.insert(root(graph, output.node));
        }
        for (id, node) in graph.nodes.iter() {
            if let Op::Input { kind, name, .. } = &node.op
                && matches!(kind, InputKind::Parameter | InputKind::State)
            {
                index.persistent.entry(name.clone()).or_insert(id);
            }
        }
        index
    }
}
