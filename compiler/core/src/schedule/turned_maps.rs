//! Maps whose only reader is a kernel that turns them are made by it: what stands before the first convolution's weight
//! gradient, as the gradient of a normalisation, is read by nothing else.

use super::fuse::{Fusion, Group, Strategy, root};
use super::lanes::Lanes;
use super::outer::outer;
use super::target::Target;
use crate::graph::{Graph, NodeId, Op};
use std::collections::{BTreeMap, BTreeSet};

/// The groups without such maps, which are not stored.
pub fn without_turned_maps(
    graph: &Graph,
    lanes: &Lanes,
    (target, block): (&Target, usize),
    mut fusion: Fusion,
) -> Fusion {
    if target.apart {
        return fusion;
    }
    let once = graph.used_once();
    let turned: BTreeMap<NodeId, NodeId> = fusion
        .strategies
        .iter()
        .filter(|(_, strategy)| **strategy == Strategy::Partial)
        .filter_map(|(&anchor, _)| {
            let outer = outer(graph, lanes, target, block, anchor)?;
            let input = graph.nodes[anchor].inputs[outer.operand];
            Some((root(graph, input), input))
        })
        .collect();
    let is_made_there = |group: &Group| {
        let &[value] = group.outputs.as_slice() else {
            return None;
        };
        let input = *turned.get(&value)?;
        let alone = group.anchor.is_none() && group.coarse.is_empty();
        let read_once = once.contains(value) && once.contains(input);
        let whole = lanes.axis(value) == Some(0) && lanes.axis(input) == Some(0);
        let map = is_map(graph, &fusion.stored, value);
        (alone && read_once && whole && map).then_some(value)
    };
    let made: BTreeSet<NodeId> = fusion.groups.iter().filter_map(is_made_there).collect();
    fusion.groups.retain(|group| {
        let made = group
            .outputs
            .first()
            .is_some_and(|value| made.contains(value));
        !made
    });
    fusion.stored.retain(|value| !made.contains(value));
    fusion
}

/// Whether a product's operand is a map that nothing else reads. One that follows from a product which nothing else reads
/// either is that product's epilogue.
pub fn is_made_where_turned(graph: &Graph, operand: NodeId) -> bool {
    let once = graph.used_once();
    let value = root(graph, operand);
    if !once.contains(operand) || !once.contains(value) || !is_elementwise(graph, value) {
        return false;
    }
    let mut left = vec![value];
    while let Some(id) = left.pop() {
        let inputs = graph.nodes[id].inputs.iter();
        for input in inputs.map(|&input| root(graph, input)) {
            match &graph.nodes[input].op {
                _ if !once.contains(input) => {}
                Op::Contract(_) | Op::Reduce { .. } => return false,
                _ if is_elementwise(graph, input) => left.push(input),
                _ => {}
            }
        }
    }
    true
}

fn is_elementwise(graph: &Graph, id: NodeId) -> bool {
    let op = &graph.nodes[id].op;
    matches!(op, Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_))
}

/// Whether a value follows from stored ones element by element.
fn is_map(graph: &Graph, stored: &BTreeSet<NodeId>, value: NodeId) -> bool {
    let mut left = vec![value];
    let mut seen = BTreeSet::new();
    while let Some(id) = left.pop() {
        let node = &graph.nodes[id];
        match &node.op {
            Op::Unary(_)
            | Op::Binary(_)
            | Op::Select
            | Op::Cast(_)
            | Op::View(_)
            | Op::Reshape { .. }
            | Op::StopGradient => {
                let inputs = node.inputs.iter().map(|&input| root(graph, input));
                left.extend(inputs.filter(|input| !stored.contains(input) && seen.insert(*input)));
            }
            Op::Constant(_) | Op::Input { .. } | Op::Argument { .. } => {}
            _ => return false,
        }
    }
    true
}
