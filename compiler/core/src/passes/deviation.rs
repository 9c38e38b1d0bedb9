//! Deviations from a mean, as they stand in a graph.

use crate::graph::{BinaryOp, Dim, Graph, NodeId, Op, ReduceOp, Scalar};

/// What deviates, and from what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The value.
    pub value: NodeId,
    /// Its sum along the axes.
    pub sum: NodeId,
    /// The sum divided by the number of summands.
    pub mean: NodeId,
}

impl Deviation {
    /// Reads a node as `x - mean of x` along the axes.
    pub fn of(graph: &Graph, axes: &[usize], id: NodeId) -> Option<Deviation> {
        let input = |id: NodeId, number: usize| graph.nodes[id].inputs.get(number).copied();
        let node = &graph.nodes[id];
        let (value, view) = match (&node.op, node.inputs.as_slice()) {
            (Op::Binary(BinaryOp::Sub), &[value, view]) => (value, view),
            _ => return None,
        };
        let mean = input(view, 0).filter(|_| is_spread(graph, axes, view))?;
        let (sum, count) = (input(mean, 0)?, input(mean, 1)?);
        let is_mean = graph.nodes[mean].op == Op::Binary(BinaryOp::Div)
            && is_sum_of(graph, axes, sum, value)
            && factors_of(graph, count)
                .is_some_and(|count| extent_of(graph, axes, value) == Some(count));
        is_mean.then_some(Deviation { value, sum, mean })
    }
}

fn is_sum_of(graph: &Graph, axes: &[usize], sum: NodeId, x: NodeId) -> bool {
    let node = &graph.nodes[sum];
    let is_sum = |op: &Op| matches!(op, Op::Reduce { op: ReduceOp::Sum, axes: own } if own == axes);
    is_sum(&node.op) && node.inputs[0] == x
}

/// Whether a view repeats along the axes, and has the rest as it is.
fn is_spread(graph: &Graph, axes: &[usize], id: NodeId) -> bool {
    let Op::View(view) = &graph.nodes[id].op else {
        return false;
    };
    let rest = (0..view.shape.len()).filter(|axis| !axes.contains(axis));
    let named = view.index.iter().map(|index| index.as_variable());
    named.eq(rest.map(Some))
}

/// A product of constants and of the batch's size: the constants' product, and how often the size is in it.
fn factors_of(graph: &Graph, id: NodeId) -> Option<(f64, u32)> {
    let node = &graph.nodes[id];
    match (&node.op, node.inputs.as_slice()) {
        (Op::Constant(Scalar::F32(value)), _) => Some((f64::from(*value), 0)),
        (Op::BatchSize, _) => Some((1.0, 1)),
        (Op::View(_), &[a]) if graph.ty(a).rank() == 0 => factors_of(graph, a),
        (Op::Binary(BinaryOp::Mul), &[a, b]) => {
            let (a, b) = (factors_of(graph, a)?, factors_of(graph, b)?);
            Some((a.0 * b.0, a.1 + b.1))
        }
        _ => None,
    }
}

/// The number of elements along the axes, as [`factors_of`] says it.
fn extent_of(graph: &Graph, axes: &[usize], id: NodeId) -> Option<(f64, u32)> {
    let shape = graph.shape(id);
    let mut extent = (1.0, 0);
    for &axis in axes {
        match shape[axis] {
            Dim::BATCH => extent.1 += 1,
            dim => extent.0 *= dim.known()? as f64,
        }
    }
    Some(extent)
}
