//! Products of pairs of bf16 numbers, for machines without an instruction for them.

use super::super::{Comparison, Value, VectorBinary as B};
use super::lane_math::LaneMath;

/// By which numbers near 2^-126 are exact multiples of normal ones.
const AWAY: f32 = (1 << 24) as f32;

/// [`Instruction::DotPairs`](super::Instruction::DotPairs), with the bits of [`lanes::dot_pairs`](super::super::lanes::dot_pairs).
pub(super) fn dot_pairs(m: &mut LaneMath, a: Value, b: Value, c: Value) -> Value {
    let start = flushed(m, c);
    let (x, y) = (high(m, a), high(m, b));
    let sum = flushed_fma(m, x, y, start);
    let (x, y) = (low(m, a), low(m, b));
    flushed_fma(m, x, y, sum)
}

/// The number in the high half of each lane.
fn high(m: &mut LaneMath, pair: Value) -> Value {
    let kept = m.int(!0xffff);
    let bits = m.binary(B::IntAnd, pair, kept);
    let number = m.float_of_bits(bits);
    flushed(m, number)
}

/// The number in the low half of each lane.
fn low(m: &mut LaneMath, pair: Value) -> Value {
    let bits = m.shift_left(pair, 16);
    let number = m.float_of_bits(bits);
    flushed(m, number)
}

/// Zero of the same sign where the number is subnormal.
fn flushed(m: &mut LaneMath, x: Value) -> Value {
    let magnitude = m.abs(x);
    let tiny = m.compare_to(Comparison::Lt, magnitude, f32::MIN_POSITIVE);
    zero_where(m, tiny, x)
}

/// Zero of the number's sign where the mask is set, else the number.
fn zero_where(m: &mut LaneMath, mask: Value, x: Value) -> Value {
    let zero = m.float(0.0);
    let zero = m.with_sign_of(zero, x);
    m.select(mask, zero, x)
}

/// `a * b + c`, rounded once; zero where the sum rounded to 24 bits, as if exponents had no end, is below 2^-126: that
/// is seen of the same sum 2^24 times as large.
fn flushed_fma(m: &mut LaneMath, a: Value, b: Value, c: Value) -> Value {
    let sum = m.fma(a, b, c);
    let magnitude = m.abs(sum);
    let near = m.compare_to(Comparison::Le, magnitude, f32::MIN_POSITIVE);
    let away = fma_away(m, a, b, c);
    let magnitude = m.abs(away);
    let below = m.compare_to(Comparison::Lt, magnitude, f32::MIN_POSITIVE * AWAY);
    let tiny = m.binary(B::MaskAnd, near, below);
    zero_where(m, tiny, sum)
}

/// `(a * b + c) * 2^24` where the sum is near 2^-126, of any value elsewhere: the smaller factor is the one that grows.
fn fma_away(m: &mut LaneMath, a: Value, b: Value, c: Value) -> Value {
    let magnitude = m.abs(a);
    let small = m.compare_to(Comparison::Lt, magnitude, 1.0);
    let factor = m.float(AWAY);
    let [a_away, b_away, c_away] = [a, b, c].map(|value| m.mul(value, factor));
    let x = m.select(small, a_away, a);
    let y = m.select(small, b, b_away);
    m.fma(x, y, c_away)
}
