//! What a loss depends on in a way that gradients flow along.

use crate::graph::{BinaryOp, Graph, NodeId, Op, UnaryOp};
use std::collections::BTreeSet;

/// The nodes that a gradient of `loss` can reach: backwards through everything differentiable.
pub(super) fn reached(graph: &Graph, loss: NodeId) -> BTreeSet<NodeId> {
    let mut reach = BTreeSet::from([loss]);
    let mut open = vec![loss];
    while let Some(node) = open.pop() {
        let node = &graph.nodes[node];
        for (position, &input) in node.inputs.iter().enumerate() {
            let flows = carries(&node.op, position) && graph.nodes[input].ty.dtype.is_float();
            if flows && reach.insert(input) {
                open.push(input);
            }
        }
    }
    reach
}

/// Whether a gradient flows through an operation to its operand at that position.
fn carries(op: &Op, position: usize) -> bool {
    match op {
        Op::StopGradient => false,
        Op::Unary(op) => !matches!(
            op,
            UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Sign | UnaryOp::Not
        ),
        Op::Binary(op) => !matches!(
            op,
            BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge
        ),
        Op::Select => position > 0,
        _ => true,
    }
}
