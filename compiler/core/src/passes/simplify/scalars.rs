//! Operations on scalars: constants are computed here, and what is the same everywhere is computed once.

use super::{Replacement, Simplifier};
use crate::graph::{BinaryOp, NodeId, Op, Scalar, UnaryOp};
use dlm_grammar::Span;

/// `2 * 3` is `6`.
pub fn fold(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    if inputs.is_empty() || inputs.iter().any(|&input| s.graph.ty(input).rank() != 0) {
        return Ok(None);
    }
    let values: Option<Vec<Scalar>> = inputs.iter().map(|&input| s.constant_of(input)).collect();
    let Some(values) = values else {
        return Ok(None);
    };
    let folded = match (op, values.as_slice()) {
        (Op::Unary(op), [Scalar::F32(a)]) => unary(*op, *a).map(Scalar::F32),
        (Op::Binary(op), [Scalar::F32(a), Scalar::F32(b)]) => binary(*op, *a, *b),
        _ => None,
    };
    folded
        .map(|scalar| s.graph.constant(scalar, span))
        .transpose()
}

/// Only functions that IEEE 754 rounds exactly: the others are the machine code's own.
fn unary(op: UnaryOp, a: f32) -> Option<f32> {
    match op {
        UnaryOp::Neg => Some(-a),
        UnaryOp::Abs => Some(a.abs()),
        UnaryOp::Sqrt => Some(a.sqrt()),
        UnaryOp::Floor => Some(a.floor()),
        UnaryOp::Ceil => Some(a.ceil()),
        _ => None,
    }
}

fn binary(op: BinaryOp, a: f32, b: f32) -> Option<Scalar> {
    Some(match op {
        BinaryOp::Add => Scalar::F32(a + b),
        BinaryOp::Sub => Scalar::F32(a - b),
        BinaryOp::Mul => Scalar::F32(a * b),
        BinaryOp::Div => Scalar::F32(a / b),
        BinaryOp::Eq => Scalar::Bool(a == b),
        BinaryOp::Lt => Scalar::Bool(a < b),
        BinaryOp::Gt => Scalar::Bool(a > b),
        _ => return None,
    })
}

/// An elementwise operation on repeated scalars is a repeated scalar.
pub fn lift(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    if !matches!(op, Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_)) {
        return Ok(None);
    }
    if inputs.iter().any(|&input| s.graph.ty(input).rank() == 0) {
        return Ok(None);
    }
    let scalars: Option<Vec<NodeId>> = inputs.iter().map(|&input| s.scalar_of(input)).collect();
    let Some(scalars) = scalars else {
        return Ok(None);
    };
    let shape = s.graph.shape(inputs[0]).to_vec();
    let scalar = s.add(op.clone(), &scalars, span)?;
    s.graph.broadcast_to(scalar, &shape, span).map(Some)
}
