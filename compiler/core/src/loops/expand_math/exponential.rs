//! `exp`, `log`, `tanh`, `erf`, `pow`.

use super::super::{Comparison, Value, VectorBinary as B, VectorUnary as U};
use super::lane_math::LaneMath;

/// 1.5 * 2^23: a float added to it is rounded to an integer, which then stands in the low bits.
pub(super) const ROUNDER: f32 = 12_582_912.0;

/// ln 2 with few enough bits that a product with an exponent is exact, and the rest.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// Below the first, `exp` is flushed to 0; above the second it is infinite.
const EXP_LEAST: f32 = -87.336_54;
const EXP_GREATEST: f32 = 88.722_83;

/// e^r on -ln 2 / 2 ..= ln 2 / 2, without its first two terms (Moshier's Cephes, `expf`).
const EXP_POLYNOMIAL: [f32; 6] = [
    1.987_569_1e-4,
    1.398_199_9e-3,
    8.333_452e-3,
    4.166_579_6e-2,
    1.666_666_5e-1,
    5e-1,
];

/// (log(1 + f) - f + f^2 / 2) / f^3 on sqrt(1/2) - 1 ..= sqrt(2) - 1 (Moshier's Cephes, `logf`).
const LOG_POLYNOMIAL: [f32; 9] = [
    7.037_683_6e-2,
    -1.151_461e-1,
    1.167_699_9e-1,
    -1.242_014_1e-1,
    1.424_932_3e-1,
    -1.666_805_8e-1,
    2.000_071_5e-1,
    -2.499_999_4e-1,
    3.333_333e-1,
];

/// (tanh(x) - x) / x^3 in x^2 on -0.625 ..= 0.625 (Moshier's Cephes, `tanhf`).
const TANH_POLYNOMIAL: [f32; 5] = [
    -5.704_988_7e-3,
    2.063_909e-2,
    -5.373_971_6e-2,
    1.333_144_2e-1,
    -3.333_328e-1,
];

/// erf(x) / x - 1 in x^2, for |x| up to 475/512 (minimax).
const ERF_SMALL: [f32; 6] = [
    -5.967_617e-4,
    4.991_194_2e-3,
    -2.676_813_5e-2,
    1.128_199_25e-1,
    -3.761_253_4e-1,
    1.283_791_7e-1,
];

/// `2^n * power`, where n stands in the low bits of `exponent` and power is near 1.
struct Scaled {
    exponent: Value,
    power: Value,
}

/// `e^(x + low)` before its exponent is applied, for |low| far below 1.
fn exp_parts(m: &mut LaneMath, x: Value, low: Option<Value>) -> Scaled {
    let (log2e, rounder) = (m.float(std::f32::consts::LOG2_E), m.float(ROUNDER));
    let shifted = m.fma(x, log2e, rounder);
    let n = m.sub(shifted, rounder);
    let (ln2_high, ln2_low) = (m.float(-LN2_HIGH), m.float(-LN2_LOW));
    let r = m.fma(n, ln2_high, x);
    let mut r = m.fma(n, ln2_low, r);
    if let Some(low) = low {
        r = m.add(r, low);
    }
    let (one, square) = (m.float(1.0), m.mul(r, r));
    let tail = m.polynomial(r, &EXP_POLYNOMIAL);
    let sum = m.fma(tail, square, r);
    let exponent = m.bits(shifted);
    Scaled {
        exponent: m.shift_left(exponent, 23),
        power: m.add(sum, one),
    }
}

/// Zero for x below the range, infinity above it, NaN for NaN.
fn exp_limits(m: &mut LaneMath, x: Value, result: Value, greatest: f32) -> Value {
    let (infinity, zero) = (m.float(f32::INFINITY), m.float(0.0));
    let beyond = m.mul(x, infinity);
    let in_range = m.compare_to(Comparison::Lt, x, greatest);
    let upper = m.select(in_range, result, beyond);
    let flushed = m.compare_to(Comparison::Lt, x, EXP_LEAST);
    m.select(flushed, zero, upper)
}

/// `exp(x)`.
pub(super) fn exp(m: &mut LaneMath, x: Value) -> Value {
    let Scaled { exponent, power } = exp_parts(m, x, None);
    let bits = m.bits(power);
    let scaled = m.binary(B::IntAdd, bits, exponent);
    let scaled = m.float_of_bits(scaled);
    exp_limits(m, x, scaled, EXP_GREATEST)
}

/// `e^(x + low)`, where x alone may be a little above the range.
fn exp_of_sum(m: &mut LaneMath, x: Value, low: Value) -> Value {
    let Scaled { exponent, power } = exp_parts(m, x, Some(low));
    // A large result is made half as large and doubled at last, so that it overflows as products do.
    let (half, none, two, one) = (m.int(1 << 23), m.int(0), m.float(2.0), m.float(1.0));
    let large = m.compare_to(Comparison::Gt, x, 0.0);
    let (less, factor) = (m.select(large, half, none), m.select(large, two, one));
    let bits = m.bits(power);
    let scaled = m.binary(B::IntAdd, bits, exponent);
    let scaled = m.binary(B::IntSub, scaled, less);
    let scaled = m.float_of_bits(scaled);
    let scaled = m.mul(scaled, factor);
    exp_limits(m, x, scaled, EXP_GREATEST + 0.25)
}

/// A positive number as `2^exponent * (1 + fraction)` with `1 + fraction` in sqrt(1/2) ..= sqrt(2).
struct Split {
    exponent: Value,
    fraction: Value,
}

fn split(m: &mut LaneMath, x: Value) -> Split {
    const ROOT_HALF: i32 = 0x3f35_04f3;
    let (scale, zero) = (m.float(8_388_608.0), m.float(0.0));
    let subnormal = m.compare_to(Comparison::Lt, x, f32::MIN_POSITIVE);
    let larger = m.mul(x, scale);
    let x = m.select(subnormal, larger, x);
    let shift = m.float(23.0);
    let shift = m.select(subnormal, shift, zero);
    let (offset, low, root) = (
        m.int(0x3f80_0000 - ROOT_HALF),
        m.int(0x007f_ffff),
        m.int(ROOT_HALF),
    );
    let bits = m.bits(x);
    let moved = m.binary(B::IntAdd, bits, offset);
    let exponent = m.shift_right(moved, 23);
    let bias = m.int(127);
    let exponent = m.binary(B::IntSub, exponent, bias);
    let exponent = m.unary(U::ToFloat, exponent);
    let exponent = m.sub(exponent, shift);
    let mantissa = m.binary(B::IntAnd, moved, low);
    let mantissa = m.binary(B::IntAdd, mantissa, root);
    let (mantissa, one) = (m.float_of_bits(mantissa), m.float(1.0));
    Split {
        exponent,
        fraction: m.sub(mantissa, one),
    }
}

/// `log(x)`: -infinity of 0, NaN of negative numbers.
pub(super) fn log(m: &mut LaneMath, x: Value) -> Value {
    let Split { exponent, fraction } = split(m, x);
    let square = m.mul(fraction, fraction);
    let cube = m.mul(square, fraction);
    let series = m.polynomial(fraction, &LOG_POLYNOMIAL);
    let tail = m.mul(series, cube);
    let (low, high, half) = (m.float(LN2_LOW), m.float(LN2_HIGH), m.float(-0.5));
    let tail = m.fma(exponent, low, tail);
    let tail = m.fma(half, square, tail);
    let sum = m.add(fraction, tail);
    let result = m.fma(exponent, high, sum);
    log_special(m, x, result)
}

/// Gives infinity, NaN and zero their logarithms.
fn log_special(m: &mut LaneMath, x: Value, result: Value) -> Value {
    let (least, nan) = (m.float(f32::NEG_INFINITY), m.float(f32::NAN));
    let finite = m.compare_to(Comparison::Lt, x, f32::INFINITY);
    let result = m.select(finite, result, x);
    let is_zero = m.compare_to(Comparison::Eq, x, 0.0);
    let result = m.select(is_zero, least, result);
    let negative = m.compare_to(Comparison::Lt, x, 0.0);
    m.select(negative, nan, result)
}

/// `tanh(x)`.
pub(super) fn tanh(m: &mut LaneMath, x: Value) -> Value {
    let magnitude = m.abs(x);
    let square = m.mul(x, x);
    let series = m.polynomial(square, &TANH_POLYNOMIAL);
    let series = m.mul(series, square);
    let small = m.fma(series, magnitude, magnitude);
    let doubled = m.add(magnitude, magnitude);
    let power = exp(m, doubled);
    let (one, two) = (m.float(1.0), m.float(2.0));
    let below = m.add(power, one);
    let rest = m.div(two, below);
    let large = m.sub(one, rest);
    let is_small = m.compare_to(Comparison::Lt, magnitude, 0.625);
    let result = m.select(is_small, small, large);
    m.with_sign_of(result, x)
}

/// `erf(x)`: a series near 0, else `1 - exp` of a polynomial (after N. Juffa).
pub(super) fn erf(m: &mut LaneMath, x: Value) -> Value {
    let (t, s) = (m.abs(x), m.mul(x, x));
    let series = m.polynomial(s, &ERF_SMALL);
    let small = m.fma(series, x, x);
    let upper = m.polynomial(t, &[-1.728_534_7e-5, 3.831_971_3e-4]);
    let lower = m.polynomial(t, &[-3.883_964_4e-3, 2.425_462_2e-2]);
    let mut r = m.fma(upper, s, lower);
    for coefficient in [-1.067_778_8e-1, -6.348_467e-1, -1.287_175_1e-1] {
        let coefficient = m.float(coefficient);
        r = m.fma(r, t, coefficient);
    }
    let minus_t = m.unary(U::Neg, t);
    let r = m.fma(r, t, minus_t);
    let rest = exp(m, r);
    let one = m.float(1.0);
    let large = m.sub(one, rest);
    let large = m.with_sign_of(large, x);
    let is_large = m.compare_to(Comparison::Gt, t, 0.927_734_4);
    m.select(is_large, large, small)
}

/// `pow(x, y)` as in C. Small whole exponents that are constant become products.
pub(super) fn pow(m: &mut LaneMath, x: Value, y: Value) -> Value {
    match m.builder.float_constant(y) {
        Some(0.0) => return m.float(1.0),
        Some(1.0) => return x,
        Some(2.0) => return m.mul(x, x),
        Some(3.0) => {
            let square = m.mul(x, x);
            return m.mul(square, x);
        }
        Some(-1.0) => {
            let one = m.float(1.0);
            return m.div(one, x);
        }
        _ => {}
    }
    let magnitude = m.abs(x);
    let power = positive_pow(m, magnitude, y);
    pow_sign(m, x, y, power)
}

/// `x^y` for x not negative: the logarithm as a sum of two floats, times y, to the exponential.
fn positive_pow(m: &mut LaneMath, x: Value, y: Value) -> Value {
    let (high, low) = log_in_two(m, x);
    let product = m.mul(y, high);
    let minus = m.unary(U::Neg, product);
    let error = m.fma(y, high, minus);
    let error = m.fma(y, low, error);
    let zero = m.float(0.0);
    let magnitude = m.abs(product);
    let finite = m.compare_to(Comparison::Lt, magnitude, 1000.0);
    let error = m.select(finite, error, zero);
    let power = exp_of_sum(m, product, error);
    let one = m.float(1.0);
    let is_one = m.compare_to(Comparison::Eq, x, 1.0);
    let no_power = m.compare_to(Comparison::Eq, y, 0.0);
    let is_one = m.binary(B::MaskOr, is_one, no_power);
    m.select(is_one, one, power)
}

/// `log(x)` as a float and its error.
fn log_in_two(m: &mut LaneMath, x: Value) -> (Value, Value) {
    let Split { exponent, fraction } = split(m, x);
    let half = m.float(-0.5);
    let square = m.mul(fraction, fraction);
    let minus = m.unary(U::Neg, square);
    let square_error = m.fma(fraction, fraction, minus);
    let cube = m.mul(square, fraction);
    let series = m.polynomial(fraction, &LOG_POLYNOMIAL);
    let tail = m.mul(series, cube);
    let tail = m.fma(half, square_error, tail);
    let (ln2_low, ln2_high) = (m.float(LN2_LOW), m.float(LN2_HIGH));
    let tail = m.fma(exponent, ln2_low, tail);
    let whole = m.mul(exponent, ln2_high);
    let half_square = m.mul(half, square);
    let (sum, error_a) = two_sum(m, whole, fraction);
    let (sum, error_b) = two_sum(m, sum, half_square);
    let errors = m.add(error_a, error_b);
    let tail = m.add(tail, errors);
    let (high, low) = two_sum(m, sum, tail);
    let high = log_special(m, x, high);
    (high, low)
}

/// `a + b` and what rounding lost (Knuth).
fn two_sum(m: &mut LaneMath, a: Value, b: Value) -> (Value, Value) {
    let sum = m.add(a, b);
    let b_part = m.sub(sum, a);
    let a_part = m.sub(sum, b_part);
    let (b_error, a_error) = (m.sub(b, b_part), m.sub(a, a_part));
    (sum, m.add(a_error, b_error))
}

/// Negative bases: the sign of an odd power, NaN of a broken one.
fn pow_sign(m: &mut LaneMath, x: Value, y: Value, power: Value) -> Value {
    let rounded = m.unary(U::Floor, y);
    let whole = m.compare(Comparison::Eq, rounded, y);
    let half = m.float(0.5);
    let half = m.mul(y, half);
    let half_rounded = m.unary(U::Floor, half);
    let broken_half = m.compare(Comparison::Ne, half_rounded, half);
    let odd = m.binary(B::MaskAnd, whole, broken_half);
    let signed = m.with_sign_of(power, x);
    let result = m.select(odd, signed, power);
    let negative = m.compare_to(Comparison::Lt, x, 0.0);
    let finite = m.compare_to(Comparison::Gt, x, f32::NEG_INFINITY);
    let broken = m.unary(U::Not, whole);
    let wrong = m.binary(B::MaskAnd, negative, broken);
    let wrong = m.binary(B::MaskAnd, wrong, finite);
    let nan = m.float(f32::NAN);
    m.select(wrong, nan, result)
}
