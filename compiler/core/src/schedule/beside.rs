//! Values that one kernel computes beside a wider one, which is put together from equal parts: the gradient of a cell's
//! state beside those of its gates.
//!
//! A kernel of its own would compute the same long functions of the same operands again.

use super::fuse::{Group, Strategy, leaves};
use super::lanes::Lanes;
use super::long_maps::is_long;
use super::lower::equal_parts_of;
use crate::graph::{Dim, Graph, NodeId, Op};
use std::collections::BTreeSet;

/// The groups, those that compute a part's size of what a wider one computes joined to it.
pub fn beside(
    graph: &Graph,
    lanes: &Lanes,
    stored: &BTreeSet<NodeId>,
    mut groups: Vec<Group>,
) -> Vec<Group> {
    let mut wide = 0;
    while wide < groups.len() {
        let parts = parts_of(graph, lanes, stored, &groups[wide]);
        let narrow = (0..groups.len()).find(|&narrow| {
            let pair = (&groups[wide], &groups[narrow]);
            parts > 1 && wide != narrow && belongs(graph, lanes, stored, pair, parts)
        });
        let Some(narrow) = narrow else {
            wide += 1;
            continue;
        };
        let outputs = groups[narrow].outputs.clone();
        groups[wide].outputs.extend(outputs);
        groups.remove(narrow);
        wide = wide + 1 - usize::from(narrow < wide);
    }
    groups
}

/// Of how many equal parts a group puts its only output together.
fn parts_of(graph: &Graph, lanes: &Lanes, stored: &BTreeSet<NodeId>, group: &Group) -> i64 {
    match group.outputs[..] {
        [output] if is_map(group) => {
            equal_parts_of(graph, lanes, &|id| stored.contains(&id), output)
        }
        _ => 1,
    }
}

fn is_map(group: &Group) -> bool {
    group.anchor.is_none() && group.strategy == Strategy::Lanes
}

fn belongs(
    graph: &Graph,
    lanes: &Lanes,
    stored: &BTreeSet<NodeId>,
    (wide, narrow): (&Group, &Group),
    parts: i64,
) -> bool {
    let ([large], [small]) = (&wide.outputs[..], &narrow.outputs[..]) else {
        return false;
    };
    let shape = |id: NodeId| &graph.nodes[id].ty.shape[..];
    is_map(narrow)
        && lanes.axis(*large) == lanes.axis(*small)
        && parts_between(shape(*large), shape(*small)) == Some(parts)
        && leaves(graph, stored, narrow).is_subset(&leaves(graph, stored, wide))
        && shares_long(graph, stored, *large, *small)
        && !depends(graph, *large, *small)
}

/// How many times the last axis of one shape is that of the other, all else being equal.
fn parts_between(large: &[Dim], small: &[Dim]) -> Option<i64> {
    let ((large, outer), (small, other)) = (large.split_last()?, small.split_last()?);
    let (large, small) = (large.known()?, small.known()?);
    (outer == other && small > 0 && large > small && large % small == 0).then(|| large / small)
}

/// The nodes of a value's expression, up to what is stored.
fn expression(graph: &Graph, stored: &BTreeSet<NodeId>, output: NodeId) -> BTreeSet<NodeId> {
    let mut found = BTreeSet::new();
    let mut pending = vec![output];
    while let Some(id) = pending.pop() {
        let own = id == output || !stored.contains(&id);
        if own && found.insert(id) {
            pending.extend(&graph.nodes[id].inputs);
        }
    }
    found
}

/// Whether both expressions have a function of many operations.
fn shares_long(graph: &Graph, stored: &BTreeSet<NodeId>, large: NodeId, small: NodeId) -> bool {
    let both = [large, small].map(|id| expression(graph, stored, id));
    let mut shared = both[0].intersection(&both[1]);
    shared.any(|&id| matches!(&graph.nodes[id].op, Op::Unary(op) if is_long(*op)))
}

fn depends(graph: &Graph, id: NodeId, other: NodeId) -> bool {
    let mut seen = BTreeSet::new();
    let mut pending = vec![id];
    while let Some(id) = pending.pop() {
        if id == other {
            return true;
        }
        if id > other && seen.insert(id) {
            pending.extend(&graph.nodes[id].inputs);
        }
    }
    false
}
