//! The maximum of a function that never falls is the function of the maximum: one relu for a window instead of one
//! for each element, and its operand need not be kept for the gradient.

use super::{Replacement, Simplifier};
use crate::graph::{BinaryOp, NodeId, Op, ReduceOp, Scalar, View};
use dlm_grammar::Span;

/// `max over windows of max(x, k)` is `max(max over windows of x, k)`, where nothing else reads the inner maximum.
pub fn monotone(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::Reduce {
        op: ReduceOp::Max,
        axes,
    } = op
    else {
        return Ok(None);
    };
    let Some((x, bound, view)) = bounded(s, inputs[0]) else {
        return Ok(None);
    };
    let x = match view {
        None => x,
        Some(view) => {
            let view = View {
                fill: Scalar::F32(f32::NEG_INFINITY),
                ..view
            };
            s.add(Op::View(view), &[x], span)?
        }
    };
    let greatest = s.add(
        Op::Reduce {
            op: ReduceOp::Max,
            axes: axes.clone(),
        },
        &[x],
        span,
    )?;
    let shape = s.graph.shape(greatest).to_vec();
    let bound = s.graph.constant(bound, span)?;
    let bound = s.graph.broadcast_to(bound, &shape, span)?;
    s.add(Op::Binary(BinaryOp::Max), &[greatest, bound], span)
        .map(Some)
}

/// `max(x, k)`, perhaps through a view, each read once.
fn bounded(s: &Simplifier<'_>, node: NodeId) -> Option<(NodeId, Scalar, Option<View>)> {
    if !s.used_once[node] {
        return None;
    }
    let data = &s.graph.nodes[node];
    match &data.op {
        Op::View(view) => {
            let (x, bound, inner) = bounded(s, data.inputs[0])?;
            inner.is_none().then(|| (x, bound, Some(view.clone())))
        }
        Op::Binary(BinaryOp::Max) => {
            let (a, b) = (data.inputs[0], data.inputs[1]);
            match (s.constant_of(a), s.constant_of(b)) {
                (None, Some(bound)) => Some((a, bound, None)),
                (Some(bound), None) => Some((b, bound, None)),
                _ => None,
            }
        }
        _ => None,
    }
}
