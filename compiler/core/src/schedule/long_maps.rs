//! Products that are stored before a long function of another value multiplies them, as the derivative of gelu does with
//! what comes back to it.
//!
//! In the product's kernel that value would be read tile by tile, a few elements of each row; rows of a large value are pages
//! apart, which no prefetcher follows, and behind a long chain of arithmetic the processor does not look ahead to the next
//! tile's. A kernel of its own reads both in order.

use super::lanes::{ContractionLanes, Lanes};
use crate::graph::{Graph, NodeId, Op, UnaryOp};
use cranelift_entity::SecondaryMap;
use std::collections::BTreeSet;

/// Elements of a sample from which on a block's value does not stay in the second cache.
const LARGE: i64 = 1 << 14;
/// Functions of many operations that make a map long.
const LONG: usize = 2;

/// The products that are to be stored.
pub fn under_long_maps(graph: &Graph, lanes: &Lanes) -> BTreeSet<NodeId> {
    let live = graph.live_nodes();
    let products = graph.nodes.iter().filter(|(id, node)| {
        let large = node.ty.elements(1) >= LARGE;
        large && live.contains(*id) && is_product(graph, lanes, *id)
    });
    let users = users(graph);
    let long = |id: &NodeId| functions_beside(graph, &users, *id).len() >= LONG;
    products.map(|(id, _)| id).filter(long).collect()
}

/// The nodes that read each node.
pub(super) fn users(graph: &Graph) -> SecondaryMap<NodeId, Vec<NodeId>> {
    let mut users: SecondaryMap<NodeId, Vec<NodeId>> = SecondaryMap::new();
    for (id, node) in graph.nodes.iter() {
        node.inputs.iter().for_each(|&input| users[input].push(id));
    }
    users
}

/// The functions of many operations in elementwise expressions that meet a product, but do not read it, on the way to
/// the first value that several read.
fn functions_beside(
    graph: &Graph,
    users: &SecondaryMap<NodeId, Vec<NodeId>>,
    product: NodeId,
) -> BTreeSet<NodeId> {
    let elementwise = |id: &NodeId| is_elementwise(&graph.nodes[*id].op);
    let reading = reached(product, |id| match users[id].as_slice() {
        own if id == product || own.len() == 1 => own.iter().copied().filter(elementwise).collect(),
        _ => Vec::new(),
    });
    let inputs = |id: NodeId| graph.nodes[id].inputs.iter().copied();
    let beside = |id: &NodeId| !reading.contains(id) && elementwise(id);
    let meeting = reading.iter().filter(|&&id| id != product);
    let mut seen = BTreeSet::new();
    for input in meeting.flat_map(|&id| inputs(id)).filter(beside) {
        if !seen.contains(&input) {
            seen.extend(reached(input, |id| inputs(id).filter(beside).collect()));
        }
    }
    seen.retain(|&id| matches!(&graph.nodes[id].op, Op::Unary(op) if is_long(*op)));
    seen
}

/// A node and all that is reached from it.
pub(super) fn reached(from: NodeId, next: impl Fn(NodeId) -> Vec<NodeId>) -> BTreeSet<NodeId> {
    let mut found = BTreeSet::from([from]);
    let mut pending = vec![from];
    while let Some(id) = pending.pop() {
        pending.extend(next(id).into_iter().filter(|&id| found.insert(id)));
    }
    found
}

pub(super) fn is_elementwise(op: &Op) -> bool {
    matches!(op, Op::Unary(_) | Op::Binary(_) | Op::Select | Op::View(_))
}

/// Whether a node is a product of samples with weights.
fn is_product(graph: &Graph, lanes: &Lanes, id: NodeId) -> bool {
    let node = &graph.nodes[id];
    let Op::Contract(contraction) = &node.op else {
        return false;
    };
    let along = lanes.contraction(contraction, &node.inputs);
    contraction.operands.len() > 1 && matches!(along, ContractionLanes::Along(_))
}

/// Whether a function is made of many operations.
pub(super) fn is_long(op: UnaryOp) -> bool {
    matches!(
        op,
        UnaryOp::Exp | UnaryOp::Log | UnaryOp::Sin | UnaryOp::Cos | UnaryOp::Tanh | UnaryOp::Erf
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::text::parse;

    fn stored(features: usize, factor: &str) -> usize {
        let text = format!(
            "graph g {{
  %0 = input : f32[B, 8] {{kind=data, name=\"x\"}}
  %1 = input : f32[B, {features}] {{kind=data, name=\"h\"}}
  %2 = input : f32[{features}, 8] {{kind=parameter, name=\"w\"}}
  %3 = contract %0, %2 : f32[B, {features}] {{index=[\"v0, v2\", \"v1, v2\"], reduced=[8]}}
  %4 = erf %1 : f32[B, {features}]
  %5 = exp %1 : f32[B, {features}]
  %6 = erf %3 : f32[B, {features}]
  %7 = mul {factor} : f32[B, {features}]
  %8 = mul %3, %7 : f32[B, {features}]
  %9 = add %3, %1 : f32[B, {features}]
  output result \"y\" = %8
}}
"
        );
        let graph = parse(&text).expect("a graph");
        under_long_maps(&graph, &Lanes::analyse(&graph)).len()
    }

    #[test]
    fn products_that_a_long_function_multiplies() {
        assert_eq!(stored(20_000, "%4, %5"), 1);
        assert_eq!(stored(20_000, "%4, %4"), 0, "one function");
        assert_eq!(stored(1_000, "%4, %5"), 0, "it stays in the cache");
        assert_eq!(stored(20_000, "%5, %6"), 0, "of the product itself");
    }
}
