//! Python's `%` on floats, exact.

use super::super::{Comparison, Value, VectorBinary as B, VectorUnary as U};
use super::lane_math::LaneMath;

/// Bits of quotient that one step settles.
const STEP: u32 = 24;

/// A multiple of [`STEP`] above the exponent of the greatest quotient, 2^277, less one step.
const GREATEST_SHIFT: u32 = 264;

/// `x - floor(x / y) * y` with the sign of y, without rounding; NaN where x is infinite or y is 0.
///
/// Long division of magnitudes by `|y| * 2^k`, k falling: each quotient has at most 24 bits and each rest is a float.
pub(super) fn rem(m: &mut LaneMath, x: Value, y: Value) -> Value {
    let divisor = m.abs(y);
    let mut rest = m.abs(x);
    let mut shift = GREATEST_SHIFT;
    loop {
        let multiple = shifted(m, divisor, shift);
        rest = step(m, rest, multiple);
        if shift == 0 {
            break;
        }
        shift -= STEP;
    }
    let result = python_sign(m, x, y, rest);
    let magnitude = m.abs(x);
    let finite = m.compare_to(Comparison::Lt, magnitude, f32::INFINITY);
    let divides = m.compare_to(Comparison::Gt, divisor, 0.0);
    let defined = m.binary(B::MaskAnd, finite, divides);
    let nan = m.float(f32::NAN);
    m.select(defined, result, nan)
}

/// `value * 2^shift`; infinite where that is too large.
fn shifted(m: &mut LaneMath, value: Value, shift: u32) -> Value {
    let (mut result, mut left) = (value, shift);
    while left > 0 {
        let part = left.min(120);
        let factor = m.float(2f32.powi(part as i32));
        result = m.mul(result, factor);
        left -= part;
    }
    result
}

/// `rest mod multiple`, where the quotient is below 2^24 and the multiple may be infinite.
fn step(m: &mut LaneMath, rest: Value, multiple: Value) -> Value {
    let quotient = m.div(rest, multiple);
    let quotient = m.unary(U::Floor, quotient);
    let minus = m.unary(U::Neg, quotient);
    let left = m.fma(minus, multiple, rest);
    // The quotient may have been rounded up to the next whole number.
    let corrected = m.add(left, multiple);
    let below = m.compare_to(Comparison::Lt, left, 0.0);
    let left = m.select(below, corrected, left);
    let divides = m.compare(Comparison::Ge, rest, multiple);
    m.select(divides, left, rest)
}

/// From the rest of magnitudes to the rest with the divisor's sign.
fn python_sign(m: &mut LaneMath, x: Value, y: Value, rest: Value) -> Value {
    let signed = m.with_sign_of(rest, x);
    let other_way = m.add(signed, y);
    let same = m.with_sign_of(rest, y);
    let (x_bits, y_bits, zero) = (m.bits(x), m.bits(y), m.int(0));
    let differs = m.binary(B::IntXor, x_bits, y_bits);
    let differs = m.compare(Comparison::Lt, differs, zero);
    let left_over = m.compare_to(Comparison::Ne, rest, 0.0);
    let flips = m.binary(B::MaskAnd, differs, left_over);
    m.select(flips, other_way, same)
}
