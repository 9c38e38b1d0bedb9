//! Neutral operands, small powers, inverse functions.

use super::{Replacement, Simplifier};
use crate::graph::{BinaryOp, NodeId, Op, Scalar, UnaryOp};
use dlm_grammar::Span;

/// `x + 0`, `x - 0`, `x * 1`, `x / 1`, and division by a power of two as a product.
pub fn neutral(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::Binary(op) = op else { return Ok(None) };
    let is = |s: &Simplifier<'_>, node: NodeId, value: f32| match s.constant_of(node) {
        Some(Scalar::F32(float)) => float == value,
        Some(Scalar::I32(integer)) => integer as f32 == value,
        _ => false,
    };
    let (a, b) = (inputs[0], inputs[1]);
    let kept = match op {
        BinaryOp::Add if is(s, b, 0.0) => Some(a),
        BinaryOp::Add if is(s, a, 0.0) => Some(b),
        BinaryOp::Sub if is(s, b, 0.0) => Some(a),
        BinaryOp::Mul if is(s, b, 1.0) => Some(a),
        BinaryOp::Mul if is(s, a, 1.0) => Some(b),
        BinaryOp::Div if is(s, b, 1.0) => Some(a),
        BinaryOp::Pow if is(s, b, 1.0) => Some(a),
        _ => None,
    };
    if kept.is_some() || *op != BinaryOp::Div {
        return Ok(kept);
    }
    let Some(divisor) = s.float_of(b).filter(|value| is_power_of_two(*value)) else {
        return Ok(None);
    };
    let shape = s.graph.shape(b).to_vec();
    let factor = s
        .graph
        .full(f64::from(1.0 / divisor), s.graph.ty(b).dtype, &shape, span)?;
    s.add(Op::Binary(BinaryOp::Mul), &[a, factor], span)
        .map(Some)
}

/// Whether both the value and its inverse are powers of two, so that dividing and multiplying round alike.
fn is_power_of_two(value: f32) -> bool {
    let mantissa = value.to_bits() & 0x007f_ffff;
    value.is_normal() && mantissa == 0 && (1.0 / value).is_normal()
}

/// `x ^ 2` is `x * x`, `x ^ 3` is `x * x * x`, `x ^ 0.5` a root, `x ^ -1` a division.
pub fn powers(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    if *op != Op::Binary(BinaryOp::Pow) {
        return Ok(None);
    }
    let (x, Some(exponent)) = (inputs[0], s.float_of(inputs[1])) else {
        return Ok(None);
    };
    let mul = Op::Binary(BinaryOp::Mul);
    if exponent == 2.0 {
        return s.add(mul, &[x, x], span).map(Some);
    }
    if exponent == 3.0 {
        let square = s.add(mul.clone(), &[x, x], span)?;
        return s.add(mul, &[square, x], span).map(Some);
    }
    if exponent == 4.0 {
        let square = s.add(mul.clone(), &[x, x], span)?;
        return s.add(mul, &[square, square], span).map(Some);
    }
    if exponent == 0.5 {
        return s.add(Op::Unary(UnaryOp::Sqrt), &[x], span).map(Some);
    }
    let shape = s.graph.shape(x).to_vec();
    let dtype = s.graph.ty(x).dtype;
    if exponent == 0.0 {
        return s.graph.full(1.0, dtype, &shape, span).map(Some);
    }
    if exponent == -1.0 {
        let one = s.graph.full(1.0, dtype, &shape, span)?;
        return s.add(Op::Binary(BinaryOp::Div), &[one, x], span).map(Some);
    }
    Ok(None)
}

/// `-(-x)` and a conversion to the type that is there.
pub fn doubled(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], _span: Span) -> Replacement {
    let same = |outer: &Op, inner: &Op| {
        matches!(
            (outer, inner),
            (Op::Unary(UnaryOp::Neg), Op::Unary(UnaryOp::Neg))
                | (Op::Unary(UnaryOp::Not), Op::Unary(UnaryOp::Not))
        )
    };
    let Some(&input) = inputs.first() else {
        return Ok(None);
    };
    let inner = &s.graph.nodes[input];
    if same(op, &inner.op) {
        return Ok(Some(inner.inputs[0]));
    }
    Ok(match op {
        Op::Cast(to) if s.graph.ty(input).dtype == *to => Some(input),
        Op::StopGradient if inner.op == Op::StopGradient => Some(input),
        _ => None,
    })
}

/// A choice that is known, or between two of the same.
pub fn choices(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], _span: Span) -> Replacement {
    if *op != Op::Select {
        return Ok(None);
    }
    Ok(match s.constant_of(inputs[0]) {
        _ if inputs[1] == inputs[2] => Some(inputs[1]),
        Some(Scalar::Bool(true)) => Some(inputs[1]),
        Some(Scalar::Bool(false)) => Some(inputs[2]),
        _ => None,
    })
}

/// `true and x` is `x`, `false and x` is `false`; `or` the other way round.
pub fn logic(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], _span: Span) -> Replacement {
    let neutral = match op {
        Op::Binary(BinaryOp::And) => true,
        Op::Binary(BinaryOp::Or) => false,
        _ => return Ok(None),
    };
    let (a, b) = (inputs[0], inputs[1]);
    Ok(match (s.constant_of(a), s.constant_of(b)) {
        (Some(Scalar::Bool(value)), _) => Some(if value == neutral { b } else { a }),
        (_, Some(Scalar::Bool(value))) => Some(if value == neutral { a } else { b }),
        _ => None,
    })
}
