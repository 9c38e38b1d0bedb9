//! `1 - c ^ x` without cancellation.

use super::{Replacement, Simplifier};
use crate::graph::{BinaryOp, NodeId, Op, Scalar, UnaryOp};
use dlm_grammar::Span;

/// `1 - c ^ x`, with c a constant in (0, 1), as `-tanh(h) * (exp(2 h) + 1)` with `h = x * ln(c) / 2`.
///
/// The bias corrections of Adam are of this form. At its first update `1 - 0.999 ^ t` is 0.001: computed as it stands, a
/// rounding of the power would be a thousand times larger beside it, and so would be that of 0.999 itself. So c is
/// taken as the shortest decimal that rounds to it, which is how the program wrote it.
pub fn of_power(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    if *op != Op::Binary(BinaryOp::Sub) || s.float_of(inputs[0]) != Some(1.0) {
        return Ok(None);
    }
    let power = &s.graph.nodes[inputs[1]];
    if power.op != Op::Binary(BinaryOp::Pow) {
        return Ok(None);
    }
    let (base, exponent) = (power.inputs[0], power.inputs[1]);
    let Some(base) = s.float_of(base).filter(|base| 0.0 < *base && *base < 1.0) else {
        return Ok(None);
    };
    let half = Scalar::F32((libm::log(shortest_decimal(base)) / 2.0) as f32);
    let shape = s.graph.shape(exponent).to_vec();
    let repeated = |s: &mut Simplifier<'_>, scalar: Scalar| {
        let node = s.graph.constant(scalar, span)?;
        s.graph.broadcast_to(node, &shape, span)
    };
    let (half, two) = (repeated(s, half)?, repeated(s, Scalar::F32(2.0))?);
    let one = inputs[0];
    let multiply = Op::Binary(BinaryOp::Mul);
    let h = s.add(multiply.clone(), &[exponent, half], span)?;
    let doubled = s.add(multiply.clone(), &[h, two], span)?;
    let power = s.add(Op::Unary(UnaryOp::Exp), &[doubled], span)?;
    let above = s.add(Op::Binary(BinaryOp::Add), &[power, one], span)?;
    let tangent = s.add(Op::Unary(UnaryOp::Tanh), &[h], span)?;
    let below = s.add(Op::Unary(UnaryOp::Neg), &[tangent], span)?;
    s.add(multiply, &[below, above], span).map(Some)
}

/// The number with the fewest digits that rounds to `value`.
fn shortest_decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_is_the_decimal_that_was_written() {
        assert_eq!(shortest_decimal(0.999), 0.999);
        assert_eq!(shortest_decimal(0.5), 0.5);
    }

    /// The rule's formula in f32, against f64.
    #[test]
    fn the_formula_keeps_all_digits() {
        for t in [1.0f32, 2.0, 10.0, 1000.0, 1e6] {
            let h = t * (libm::log(0.999) / 2.0) as f32;
            let ours = f64::from(-h.tanh() * ((2.0 * h).exp() + 1.0));
            let exact = 1.0 - libm::pow(0.999, f64::from(t));
            assert!((ours - exact).abs() < 4e-7 * exact, "{t}: {ours}, {exact}");
        }
    }
}
