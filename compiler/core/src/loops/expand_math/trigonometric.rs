//! `sin` and `cos`: a multiple of pi/2 is taken off in three parts (Cody and Waite), then polynomials.

use super::super::{Comparison, Value, VectorBinary as B};
use super::exponential::ROUNDER;
use super::lane_math::LaneMath;

/// pi / 2 in three floats.
const HALF_PI: [f32; 3] = [1.570_796_4, -4.371_139e-8, -1.715_124_9e-15];

/// (sin(r) - r) / r^3 in r^2 on -pi/4 ..= pi/4 (Moshier's Cephes, `sinf`).
const SIN_POLYNOMIAL: [f32; 3] = [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1];

/// (cos(r) - 1 + r^2 / 2) / r^4 in r^2 (the same).
const COS_POLYNOMIAL: [f32; 3] = [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2];

/// `sin(x)`.
pub(super) fn sin(m: &mut LaneMath, x: Value) -> Value {
    let magnitude = m.abs(x);
    let wave = quadrant(m, magnitude, 0);
    let (top, wave, bits) = (m.int(i32::MIN), m.bits(wave), m.bits(x));
    let sign = m.binary(B::IntAnd, bits, top);
    let wave = m.binary(B::IntXor, wave, sign);
    m.float_of_bits(wave)
}

/// `cos(x)`, which is `sin` a quadrant further.
pub(super) fn cos(m: &mut LaneMath, x: Value) -> Value {
    quadrant(m, x, 1)
}

fn quadrant(m: &mut LaneMath, x: Value, ahead: i32) -> Value {
    let (rounder, per_radian) = (m.float(ROUNDER), m.float(std::f32::consts::FRAC_2_PI));
    let shifted = m.fma(x, per_radian, rounder);
    let n = m.sub(shifted, rounder);
    let mut r = x;
    for part in HALF_PI {
        let part = m.float(-part);
        r = m.fma(n, part, r);
    }
    // Only arguments above 6e6 leave more; a NaN stays.
    let (least, greatest) = (m.float(-1.0), m.float(1.0));
    let r = m.binary(B::MaxNan, r, least);
    let r = m.binary(B::MinNan, r, greatest);
    let (sine, cosine) = (sine(m, r), cosine(m, r));
    let (ahead, one, two, zero) = (m.int(ahead), m.int(1), m.int(2), m.int(0));
    let number = m.bits(shifted);
    let number = m.binary(B::IntAdd, number, ahead);
    let odd = m.binary(B::IntAnd, number, one);
    let odd = m.compare(Comparison::Ne, odd, zero);
    let wave = m.select(odd, cosine, sine);
    let sign = m.binary(B::IntAnd, number, two);
    let sign = m.shift_left(sign, 30);
    let wave = m.bits(wave);
    let wave = m.binary(B::IntXor, wave, sign);
    m.float_of_bits(wave)
}

fn sine(m: &mut LaneMath, r: Value) -> Value {
    let square = m.mul(r, r);
    let series = m.polynomial(square, &SIN_POLYNOMIAL);
    let series = m.mul(series, square);
    m.fma(series, r, r)
}

fn cosine(m: &mut LaneMath, r: Value) -> Value {
    let square = m.mul(r, r);
    let series = m.polynomial(square, &COS_POLYNOMIAL);
    let (half, one) = (m.float(-0.5), m.float(1.0));
    let start = m.fma(square, half, one);
    let fourth = m.mul(square, square);
    m.fma(series, fourth, start)
}
