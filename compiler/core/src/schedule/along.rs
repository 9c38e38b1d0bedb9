//! How what a kernel reads depends on one axis of what it makes.

use super::fuse::{Group, is_given};
use crate::graph::{AxisIndex, Dim, Graph, NodeId, Op};
use std::collections::{BTreeMap, BTreeSet};

/// How the elements that are read of a value follow an axis of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Along {
    /// They are those at the same place of this axis of the value.
    Axis(usize),
    /// They are the same everywhere.
    Nothing,
    /// In another way.
    Mixed,
}

/// Each stored value that a group reads, with the ways in which it is read along an axis of the group's outputs. None
/// where a product is not batched along the axis: what it reads at one place of it, it reads at others.
pub fn read_along(
    graph: &Graph,
    stored: &BTreeSet<NodeId>,
    group: &Group,
    axis: usize,
) -> Option<BTreeMap<NodeId, BTreeSet<Along>>> {
    let mut found: BTreeMap<NodeId, BTreeSet<Along>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let outputs = group.outputs.iter();
    let mut pending: Vec<(NodeId, Along)> = outputs.map(|&id| (id, Along::Axis(axis))).collect();
    while let Some((id, along)) = pending.pop() {
        let own = group.outputs.contains(&id) || group.anchor == Some(id);
        if !seen.insert((id, along)) {
            continue;
        }
        if is_given(&graph.nodes[id].op) || (stored.contains(&id) && !own) {
            found.entry(id).or_default().insert(along);
            continue;
        }
        for (number, &input) in graph.nodes[id].inputs.iter().enumerate() {
            pending.push((input, inward(graph, id, number, along)?));
        }
    }
    Some(found)
}

/// How one of a node's inputs is read along what `along` is of the node.
fn inward(graph: &Graph, id: NodeId, number: usize, along: Along) -> Option<Along> {
    let Along::Axis(axis) = along else {
        return Some(along);
    };
    let node = &graph.nodes[id];
    let input = &graph.nodes[node.inputs[number]].ty;
    Some(match &node.op {
        _ if input.rank() == 0 => Along::Nothing,
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) | Op::StopGradient => along,
        Op::View(view) => through(&view.index, axis),
        Op::Reshape { .. } => reshaped(&node.ty.shape, &input.shape, axis),
        Op::Reduce { axes, .. } => {
            let mut kept = (0..input.rank()).filter(|axis| !axes.contains(axis));
            kept.nth(axis).map_or(Along::Mixed, Along::Axis)
        }
        Op::Contract(contraction) => match through(&contraction.operands[number], axis) {
            Along::Axis(own) => Along::Axis(own),
            Along::Nothing | Along::Mixed => return None,
        },
        _ => Along::Mixed,
    })
}

/// The axis whose index is a variable as it is.
fn through(index: &[AxisIndex], variable: usize) -> Along {
    let mut with = (0..index.len()).filter(|&axis| index[axis].coefficient(variable) != 0);
    match (with.next(), with.next()) {
        (None, _) => Along::Nothing,
        (Some(axis), None) if index[axis].as_variable() == Some(variable) => Along::Axis(axis),
        _ => Along::Mixed,
    }
}

/// The axis of the same extent behind as many elements.
fn reshaped(to: &[Dim], from: &[Dim], axis: usize) -> Along {
    let before = |shape: &[Dim]| -> i64 { shape.iter().map(|dim| dim.at(1)).product() };
    let same =
        |&other: &usize| from[other] == to[axis] && before(&from[..other]) == before(&to[..axis]);
    (0..from.len()).find(same).map_or(Along::Mixed, Along::Axis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::text::parse;
    use crate::schedule::fuse::Strategy;

    /// How a value is read along an axis of node 5.
    fn read(node: &str, axis: usize) -> Option<Vec<Along>> {
        let text = format!(
            "graph g {{
  %0 = input : f32[B, 4, 8] {{kind=data, name=\"x\"}}
  %1 = input : f32[B, 4, 8] {{kind=data, name=\"y\"}}
  %2 = input : f32[8, 8] {{kind=parameter, name=\"w\"}}
  %3 = view %0 : f32[B, 8, 4] {{fill=0.0, index=\"v0, v2, v1\"}}
  %4 = view %0 : f32[B, 4, 8] {{fill=0.0, index=\"v0, v1+1, v2\"}}
  %5 = {node}
  output result \"r\" = %5
}}
"
        );
        let graph = parse(&text).expect("a graph");
        let node = graph.outputs[0].node;
        let group = Group::single(node, Strategy::Lanes);
        let stored = BTreeSet::from([node]);
        let found = read_along(&graph, &stored, &group, axis)?;
        let x = graph.nodes.keys().next().expect("a node");
        Some(found.get(&x).into_iter().flatten().copied().collect())
    }

    #[test]
    fn ways_of_reading() {
        let axis = Along::Axis;
        let check = |node: &str, along: usize, wanted: Option<&[Along]>| {
            assert_eq!(read(node, along).as_deref(), wanted, "{node}, {along}");
        };
        let sum = "add %0, %1 : f32[B, 4, 8]";
        check(sum, 1, Some(&[axis(1)]));
        check("neg %3 : f32[B, 8, 4]", 1, Some(&[axis(2)]));
        check(
            "add %0, %4 : f32[B, 4, 8]",
            1,
            Some(&[axis(1), Along::Mixed]),
        );
        check("add %0, %4 : f32[B, 4, 8]", 2, Some(&[axis(2)]));
        check("reduce_sum %0 : f32[B, 8] {axes=[1]}", 1, Some(&[axis(2)]));
        check("reshape %0 : f32[B, 4, 2, 4]", 1, Some(&[axis(1)]));
        check("reshape %0 : f32[B, 4, 2, 4]", 2, Some(&[Along::Mixed]));
        let batched =
            "contract %0, %1 : f32[B, 4] {index=[\"v0, v1, v2\", \"v0, v1, v2\"], reduced=[8]}";
        check(batched, 1, Some(&[axis(1)]));
        let dense =
            "contract %0, %2 : f32[B, 4, 8] {index=[\"v0, v1, v3\", \"v2, v3\"], reduced=[8]}";
        check(dense, 1, None);
        check(dense, 2, None);
    }
}
