//! Operations on scalars: constants are computed here, and what is the same everywhere is computed once.

use super::{Replacement, Simplifier};
use crate::graph::{BinaryOp, DType, NodeId, Op, Scalar, UnaryOp};
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
        (Op::Unary(op), [a]) if is_exact(*op) => Some(unary(*op, *a)),
        (Op::Binary(op), [a, b]) => binary(*op, *a, *b),
        (Op::Cast(to), [a]) => cast(*to, *a),
        _ => None,
    };
    folded
        .map(|scalar| s.graph.constant(scalar, span))
        .transpose()
}

/// Functions that IEEE 754 rounds exactly: the others are the machine code's own.
fn is_exact(op: UnaryOp) -> bool {
    matches!(
        op,
        UnaryOp::Neg
            | UnaryOp::Abs
            | UnaryOp::Sign
            | UnaryOp::Sqrt
            | UnaryOp::Floor
            | UnaryOp::Ceil
            | UnaryOp::Round
            | UnaryOp::Not
    )
}

fn unary(op: UnaryOp, a: Scalar) -> Scalar {
    match a {
        Scalar::F32(a) => Scalar::F32((op.row().value)(f64::from(a)) as f32),
        Scalar::I32(a) => match op {
            UnaryOp::Neg => Scalar::I32(a.wrapping_neg()),
            UnaryOp::Abs => Scalar::I32(a.wrapping_abs()),
            _ => Scalar::I32(a.signum()),
        },
        Scalar::Bool(a) => Scalar::Bool(!a),
    }
}

/// In f64 and rounded once, which gives f32's own result for the four operations.
fn binary(op: BinaryOp, a: Scalar, b: Scalar) -> Option<Scalar> {
    let inexact = matches!(op, BinaryOp::Pow | BinaryOp::Rem);
    if inexact && matches!(a, Scalar::F32(_)) {
        return None;
    }
    let integer = |a: i64, b: i64| (op.row().integer)(a, b);
    let float = |a: f32, b: f32| (op.row().value)(f64::from(a), f64::from(b));
    Some(match (a, b) {
        (Scalar::F32(a), Scalar::F32(b)) if op.is_comparison() => Scalar::Bool(float(a, b) != 0.0),
        (Scalar::F32(a), Scalar::F32(b)) => Scalar::F32(float(a, b) as f32),
        (Scalar::I32(a), Scalar::I32(b)) => {
            let result = integer(i64::from(a), i64::from(b));
            if op.is_comparison() {
                Scalar::Bool(result != 0)
            } else {
                Scalar::I32(result as i32)
            }
        }
        (Scalar::Bool(a), Scalar::Bool(b)) => {
            Scalar::Bool(integer(i64::from(a), i64::from(b)) != 0)
        }
        _ => return None,
    })
}

fn cast(to: DType, a: Scalar) -> Option<Scalar> {
    Some(match (to, a) {
        (DType::F32, a) => Scalar::F32(a.as_f64() as f32),
        (DType::I32, Scalar::F32(a)) => Scalar::I32(a as i32),
        (DType::I32, a) => Scalar::I32(a.as_f64() as i32),
        (DType::Bool, a) => Scalar::Bool(a.as_f64() != 0.0),
        _ => return None,
    })
}

/// An elementwise operation on repeated scalars is a repeated scalar.
pub fn lift(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    if !matches!(
        op,
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) | Op::StopGradient
    ) {
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
