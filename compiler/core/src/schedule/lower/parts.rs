//! Values that are joined from equal parts along their last axis, such as the gates of a cell.
//!
//! Each part has an expression of its own, and the expressions have much in common. A loop that computes the same
//! place of every part in one round has the common work once, and no conditions.

use super::Context;
use crate::graph::{Graph, NodeId, Op, View};
use crate::schedule::fuse::Group;
use crate::schedule::lanes::Lanes;
use std::collections::BTreeSet;

/// The most parts that go side by side.
const MOST: i64 = 8;

/// In how many equal parts along its last axis the output of a group without a reduction is put together: 1 where it
/// is not.
pub fn parts(cx: &Context<'_>, group: &Group) -> i64 {
    match group.anchor {
        Some(_) => 1,
        None => {
            // The same as when values were put beside this one: they are as large as its parts.
            let stored = |id: NodeId| cx.stored.contains(&id);
            equal_parts_of(cx.graph, cx.lanes, &stored, group.outputs[0])
        }
    }
}

/// In how many equal parts along its last axis a value without a reduction is put together, of what is not `stored`.
pub fn equal_parts_of(
    graph: &Graph,
    lanes: &Lanes,
    stored: &dyn Fn(NodeId) -> bool,
    output: NodeId,
) -> i64 {
    let shape = &graph.nodes[output].ty.shape;
    let Some(axis) = shape.len().checked_sub(1) else {
        return 1;
    };
    let Some(extent) = shape[axis].known() else {
        return 1;
    };
    if lanes.axis(output) == Some(axis) {
        return 1;
    }
    let begins = begins(graph, stored, output, axis);
    let unit = begins.iter().fold(extent, |unit, &begin| gcd(unit, begin));
    let parts = extent / unit.max(1);
    if (2..=MOST).contains(&parts) && extent % parts == 0 {
        parts
    } else {
        1
    }
}

/// Where parts begin and end, by the views that reach beyond what they read.
fn begins(
    graph: &Graph,
    stored: &dyn Fn(NodeId) -> bool,
    output: NodeId,
    axis: usize,
) -> BTreeSet<i64> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut pending = vec![output];
    while let Some(id) = pending.pop() {
        if (stored(id) && id != output) || !seen.insert(id) {
            continue;
        }
        let node = &graph.nodes[id];
        match &node.op {
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) => {
                pending.extend(node.inputs.iter().copied());
            }
            Op::View(view) => found.extend(ends(graph, view, node.inputs[0], axis)),
            Op::Contract(unary) if unary.reduced.is_empty() && node.inputs.len() == 1 => {
                let view = View {
                    shape: unary.shape.clone(),
                    index: unary.operands[0].clone(),
                    fill: crate::graph::Scalar::F32(0.0),
                };
                found.extend(ends(graph, &view, node.inputs[0], axis));
            }
            _ => {}
        }
    }
    found
}

fn ends(graph: &Graph, view: &View, input: NodeId, axis: usize) -> Vec<i64> {
    let shape = &graph.nodes[input].ty.shape;
    let mut moved = view.index.iter().zip(shape).filter_map(|(index, dim)| {
        let alone = index.terms.as_slice() == [(axis, 1)] && index.divisor == 1;
        let extent = dim.known()?;
        let begin = -index.offset;
        let inside = begin >= 0 && begin + extent <= view.shape[axis].known()?;
        (alone && inside).then_some([begin, begin + extent])
    });
    moved.next().map_or(Vec::new(), |ends| ends.to_vec())
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
