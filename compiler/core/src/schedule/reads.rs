//! What a group's kernel reads.

use super::fuse::{Group, is_given, root};
use crate::graph::{Graph, NodeId};
use std::collections::BTreeSet;

/// The stored values that a group reads, its own outputs aside.
pub fn leaves(graph: &Graph, stored: &BTreeSet<NodeId>, group: &Group) -> BTreeSet<NodeId> {
    leaves_of(graph, |id| stored.contains(&id), group)
}

/// [`leaves`] where `stored` says which values are.
pub fn leaves_of(
    graph: &Graph,
    stored: impl Fn(NodeId) -> bool,
    group: &Group,
) -> BTreeSet<NodeId> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut pending: Vec<NodeId> = group.outputs.clone();
    pending.extend(group.anchor);
    while let Some(id) = pending.pop() {
        if !seen.insert(id) {
            continue;
        }
        for &input in &graph.nodes[id].inputs {
            let input = root(graph, input);
            let own = group.outputs.contains(&input) || group.anchor == Some(input);
            match &graph.nodes[input].op {
                op if is_given(op) => {
                    found.insert(input);
                }
                _ if stored(input) && !own => {
                    found.insert(input);
                }
                _ => pending.push(input),
            }
        }
    }
    found
}

/// What stands above a group's anchor reads: not what the anchor itself is made from.
pub fn epilogue_reads(
    graph: &Graph,
    stored: &BTreeSet<NodeId>,
    group: &Group,
    anchor: NodeId,
) -> BTreeSet<NodeId> {
    let outputs = group.outputs.iter().copied();
    let above = Group {
        anchor: None,
        outputs: outputs.filter(|&output| output != anchor).collect(),
        ..group.clone()
    };
    let mut reads = leaves_of(graph, |id| id == anchor || stored.contains(&id), &above);
    reads.remove(&anchor);
    reads
}
