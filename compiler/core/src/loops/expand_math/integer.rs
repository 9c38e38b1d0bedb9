//! Division of i32 lanes: vectors have none, so quotients are estimated with floats and corrected.

use super::super::{Comparison, Value, VectorBinary as B, VectorUnary as U};
use super::lane_math::LaneMath;

/// Quotient towards zero and its rest.
struct Division {
    quotient: Value,
    rest: Value,
}

/// `a / b` towards zero; 0 where b is 0; wrapping for the least number by -1.
pub(super) fn div(m: &mut LaneMath, a: Value, b: Value) -> Value {
    let quotient = divide(m, a, b).quotient;
    zero_by_zero(m, b, quotient)
}

/// Python's `%`: the sign is the divisor's; 0 where b is 0.
pub(super) fn rem(m: &mut LaneMath, a: Value, b: Value) -> Value {
    let rest = divide(m, a, b).rest;
    let zero = m.int(0);
    let left_over = m.compare(Comparison::Ne, rest, zero);
    let signs = m.binary(B::IntXor, rest, b);
    let differs = m.compare(Comparison::Lt, signs, zero);
    let flips = m.binary(B::MaskAnd, left_over, differs);
    let flipped = m.binary(B::IntAdd, rest, b);
    let result = m.select(flips, flipped, rest);
    zero_by_zero(m, b, result)
}

fn zero_by_zero(m: &mut LaneMath, b: Value, result: Value) -> Value {
    let zero = m.int(0);
    let is_zero = m.compare(Comparison::Eq, b, zero);
    m.select(is_zero, zero, result)
}

/// Two estimates leave a rest below twice the divisor, one correction each way the right one.
fn divide(m: &mut LaneMath, a: Value, b: Value) -> Division {
    let start = Division {
        quotient: m.int(0),
        rest: a,
    };
    let first = estimate(m, b, start);
    let second = estimate(m, b, first);
    let signed = towards(m, a, b, second);
    let done = within(m, a, b, signed);
    by_least(m, a, b, done)
}

/// Adds `rest / b`, as floats see it, to the quotient.
fn estimate(m: &mut LaneMath, b: Value, so_far: Division) -> Division {
    let (rest, by) = (m.unary(U::ToFloat, so_far.rest), m.unary(U::ToFloat, b));
    let part = m.div(rest, by);
    let part = m.unary(U::ToInt, part);
    let taken = m.binary(B::IntMul, part, b);
    Division {
        quotient: m.binary(B::IntAdd, so_far.quotient, part),
        rest: m.binary(B::IntSub, so_far.rest, taken),
    }
}

/// A rest of the wrong sign (not a's) goes back by one divisor.
fn towards(m: &mut LaneMath, a: Value, b: Value, found: Division) -> Division {
    let zero = m.int(0);
    let signs = m.binary(B::IntXor, found.rest, a);
    let differs = m.compare(Comparison::Lt, signs, zero);
    let left_over = m.compare(Comparison::Ne, found.rest, zero);
    let wrong = m.binary(B::MaskAnd, differs, left_over);
    // Where rest and divisor have different signs adding the divisor lessens the rest.
    let opposed = m.binary(B::IntXor, found.rest, b);
    let opposed = m.compare(Comparison::Lt, opposed, zero);
    step(m, b, found, wrong, opposed)
}

/// A rest not less than the divisor goes on by one divisor.
fn within(m: &mut LaneMath, a: Value, b: Value, found: Division) -> Division {
    let zero = m.int(0);
    let (rest, by) = (magnitude(m, found.rest), magnitude(m, b));
    let wrong = m.compare(Comparison::Ge, rest, by);
    let opposed = m.binary(B::IntXor, a, b);
    let opposed = m.compare(Comparison::Lt, opposed, zero);
    step(m, b, found, wrong, opposed)
}

/// Where `wrong`: adds the divisor to the rest if `opposed`, else takes it away.
fn step(m: &mut LaneMath, b: Value, found: Division, wrong: Value, opposed: Value) -> Division {
    let (zero, one, minus_one) = (m.int(0), m.int(1), m.int(-1));
    let part = m.select(opposed, minus_one, one);
    let part = m.select(wrong, part, zero);
    let taken = m.binary(B::IntMul, part, b);
    Division {
        quotient: m.binary(B::IntAdd, found.quotient, part),
        rest: m.binary(B::IntSub, found.rest, taken),
    }
}

fn magnitude(m: &mut LaneMath, a: Value) -> Value {
    let zero = m.int(0);
    let minus = m.binary(B::IntSub, zero, a);
    m.binary(B::IntMax, a, minus)
}

/// The least number has no magnitude: as a divisor it is decided apart.
fn by_least(m: &mut LaneMath, a: Value, b: Value, found: Division) -> Division {
    let (zero, one, least) = (m.int(0), m.int(1), m.int(i32::MIN));
    let by_least = m.compare(Comparison::Eq, b, least);
    let both = m.compare(Comparison::Eq, a, b);
    let (quotient, rest) = (m.select(both, one, zero), m.select(both, zero, a));
    Division {
        quotient: m.select(by_least, quotient, found.quotient),
        rest: m.select(by_least, rest, found.rest),
    }
}
