//! What each vector instruction does to one lane, as the 32 bits of the lane: the one definition that the interpreter,
//! the constant folder and the tests of the emitters share.
//!
//! A mask's lane is all ones or all zeros. The payload and sign of a NaN that arithmetic makes are unspecified.
//! Subnormal numbers are kept, by every evaluator; the runtime calls kernels with those that they make flushed to zero.

use super::{Comparison, VectorBinary as B, VectorUnary as U};

/// The bits of a mask's lane.
pub fn mask(set: bool) -> u32 {
    if set { u32::MAX } else { 0 }
}

/// One operand.
pub fn unary(op: U, bits: u32) -> u32 {
    let x = f32::from_bits(bits);
    match op {
        U::Neg => bits ^ 0x8000_0000,
        U::Abs => bits & 0x7fff_ffff,
        U::Sqrt => x.sqrt().to_bits(),
        U::Floor => x.floor().to_bits(),
        U::Ceil => x.ceil().to_bits(),
        U::Round => x.round_ties_even().to_bits(),
        U::Not => !bits,
        U::ToInt => x as i32 as u32,
        U::ToFloat => (bits as i32 as f32).to_bits(),
        U::BitsToFloat | U::FloatToBits => bits,
        U::MaskToInt => bits & 1,
        U::IntToMask => mask(bits != 0),
    }
}

/// Two operands.
pub fn binary(op: B, a_bits: u32, b_bits: u32) -> u32 {
    let (a, b) = (f32::from_bits(a_bits), f32::from_bits(b_bits));
    let (i, j) = (a_bits as i32, b_bits as i32);
    match op {
        B::Add => (a + b).to_bits(),
        B::Sub => (a - b).to_bits(),
        B::Mul => (a * b).to_bits(),
        B::Div => (a / b).to_bits(),
        B::MinSelect => choose(a < b, a_bits, b_bits),
        B::MaxSelect => choose(a > b, a_bits, b_bits),
        B::MinNan => choose(a < b || a.is_nan(), a_bits, b_bits),
        B::MaxNan => choose(a > b || a.is_nan(), a_bits, b_bits),
        B::IntAdd => i.wrapping_add(j) as u32,
        B::IntSub => i.wrapping_sub(j) as u32,
        B::IntMul => i.wrapping_mul(j) as u32,
        B::IntAnd | B::MaskAnd => a_bits & b_bits,
        B::IntOr | B::MaskOr => a_bits | b_bits,
        B::IntXor | B::MaskXor => a_bits ^ b_bits,
        B::IntMin => i.min(j) as u32,
        B::IntMax => i.max(j) as u32,
    }
}

fn choose(condition: bool, a: u32, b: u32) -> u32 {
    if condition { a } else { b }
}

/// `a * b + c`, rounded once.
pub fn fma(a: u32, b: u32, c: u32) -> u32 {
    f32::from_bits(a)
        .mul_add(f32::from_bits(b), f32::from_bits(c))
        .to_bits()
}

/// The products of two pairs of bf16 numbers added to a float; see [`Instruction::DotPairs`](super::Instruction::DotPairs).
pub fn dot_pairs(a: u32, b: u32, c: u32) -> u32 {
    let number = |bits: u32| flushed(f32::from_bits(bits));
    let high = |word: u32| number(word & 0xffff_0000);
    let low = |word: u32| number(word << 16);
    let sum = flushed_fma(high(a), high(b), number(c));
    flushed_fma(low(a), low(b), sum).to_bits()
}

/// Zero of the same sign where the number is subnormal.
fn flushed(x: f32) -> f32 {
    match x.is_subnormal() {
        true => 0.0_f32.copysign(x),
        false => x,
    }
}

/// `a * b + c`, rounded once; zero where the sum rounded to 24 bits, as if exponents had no end, is below 2^-126.
fn flushed_fma(a: f32, b: f32, c: f32) -> f32 {
    /// By which numbers near 2^-126 are exact multiples of normal ones.
    const AWAY: f32 = (1 << 24) as f32;
    let sum = a.mul_add(b, c);
    if sum.is_nan() || sum.abs() > f32::MIN_POSITIVE {
        return sum;
    }
    // The factor that is small stays finite: the product is no greater than `c`, which is at most 2^-102.
    let (x, y) = match a.abs() < 1.0 {
        true => (a * AWAY, b),
        false => (a, b * AWAY),
    };
    let away = x.mul_add(y, c * AWAY);
    match away.abs() < f32::MIN_POSITIVE * AWAY {
        true => 0.0_f32.copysign(sum),
        false => sum,
    }
}

/// A comparison of floats.
pub fn compare_floats(comparison: Comparison, a: u32, b: u32) -> u32 {
    mask(compare(comparison, f32::from_bits(a), f32::from_bits(b)))
}

/// A comparison of signed integers.
pub fn compare_ints(comparison: Comparison, a: u32, b: u32) -> u32 {
    mask(compare(comparison, a as i32, b as i32))
}

fn compare<T: PartialOrd>(comparison: Comparison, a: T, b: T) -> bool {
    match comparison {
        Comparison::Eq => a == b,
        Comparison::Ne => a != b,
        Comparison::Lt => a < b,
        Comparison::Le => a <= b,
        Comparison::Gt => a > b,
        Comparison::Ge => a >= b,
    }
}
