//! Quotients of many values by one: its reciprocal is found outside of the loop, and corrected within.
//!
//! With `b` scaled to 1/2 ..= 1 and `a` by as much, `q = a * (1 / b)` is off by at most two of its last places. What is left,
//! `q * b - a`, is exact in a fused multiply-add, and so taking it off gives the quotient as division rounds it (Markstein,
//! 1990, "Computation of elementary functions on the IBM RISC System/6000 processor"). A quotient below 2^-102 is off by
//! two of its last places at most, as what is left is then too small for a float: two kernels that make it may differ there.
//!
//! Six operations take half the time of a division of the widest vectors (docs/performance.md).

use super::super::{Comparison, Value, VectorBinary as B};
use super::lane_math::LaneMath;

/// A divisor that does not change within the loop.
struct Divisor {
    /// The power of two that scales both, with the opposite sign of the divisor's.
    scale: Value,
    /// The divisor's magnitude, scaled.
    magnitude: Value,
    /// Its reciprocal, negative.
    reciprocal: Value,
}

/// `a / b` of a `b` that does not change in the innermost loop; none where it does.
pub(super) fn by_invariant(m: &mut LaneMath, a: Value, b: Value) -> Option<Value> {
    let b = m.builder.invariant(b)?;
    if let Some(reciprocal) = m.builder.float_constant(b).and_then(exact_reciprocal) {
        let reciprocal = m.float(reciprocal);
        return Some(m.mul(a, reciprocal));
    }
    let divisor = divisor(m, b);
    let minus_a = m.mul(a, divisor.scale);
    let near = m.mul(minus_a, divisor.reciprocal);
    let left = m.fma(near, divisor.magnitude, minus_a);
    let exact = m.fma(left, divisor.reciprocal, near);
    // Infinities and zeros leave no number, and are right as they are.
    let is_number = m.compare(Comparison::Eq, exact, exact);
    Some(m.select(is_number, exact, near))
}

/// That of a power of two.
fn exact_reciprocal(b: f32) -> Option<f32> {
    let is_power = b.is_normal() && b.to_bits() << 9 == 0;
    Some(1.0 / b).filter(|reciprocal| is_power && reciprocal.is_normal())
}

fn divisor(m: &mut LaneMath, b: Value) -> Divisor {
    /// The exponents of 1/2 and 2, which add up to that of 1 and its double.
    const EXPONENTS: i32 = 253;
    let bits = m.bits(b);
    let (mask, top) = (m.int(0x7f80_0000), m.int(i32::MIN));
    let exponent = m.binary(B::IntAnd, bits, mask);
    let exponents = m.int(EXPONENTS << 23);
    let scale = m.binary(B::IntSub, exponents, exponent);
    let least = m.int(1 << 23);
    let scale = m.binary(B::IntMax, scale, least);
    let sign = m.binary(B::IntAnd, bits, top);
    let opposite = m.binary(B::IntXor, sign, top);
    let scale = m.binary(B::IntOr, scale, opposite);
    let scale = m.float_of_bits(scale);
    let negative = m.mul(b, scale);
    let one = m.float(1.0);
    Divisor {
        scale,
        magnitude: m.abs(negative),
        reciprocal: m.div(one, negative),
    }
}
