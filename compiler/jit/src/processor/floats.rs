//! Arithmetic of single floats as the processor does it when no rounding mode and no exception is set: to nearest even,
//! subnormals kept, NaN by Intel's rules ("Software Developer's Manual", volume 1, 4.8.3.5 and 14.5.2).

/// What an operation without a NaN operand gives where it has no result.
const DEFAULT_NAN: u32 = 0xffc0_0000;
/// Set in all NaNs that an operation gives.
const QUIET: u32 = 0x0040_0000;
/// What a conversion gives that has no result.
const NO_INTEGER: i32 = i32::MIN;

/// The result of an operation, whose NaN is the first NaN among the operands.
pub(super) fn settled<const COUNT: usize>(result: f32, operands: [f32; COUNT]) -> u32 {
    if !result.is_nan() {
        return result.to_bits();
    }
    let given = operands.into_iter().find(|operand| operand.is_nan());
    given.map_or(DEFAULT_NAN, |nan| nan.to_bits() | QUIET)
}

/// The lesser, as it is; the second where either is NaN or both are zero.
pub(super) fn lesser(a: u32, b: u32) -> u32 {
    match f32::from_bits(a) < f32::from_bits(b) {
        true => a,
        false => b,
    }
}

/// The greater, as it is; the second where either is NaN or both are zero.
pub(super) fn greater(a: u32, b: u32) -> u32 {
    match f32::from_bits(a) > f32::from_bits(b) {
        true => a,
        false => b,
    }
}

/// Towards zero; the least integer where the result is none.
pub(super) fn truncated(a: f32) -> i32 {
    // 2^31 is the least float that is too large.
    match (-2_147_483_648.0..2_147_483_648.0).contains(&a) {
        true => a as i32,
        false => NO_INTEGER,
    }
}

/// A whole float, by the low bits of the immediate of `vroundps` or `vrndscaleps`: to nearest even, down, up, to zero, or
/// as the control register says, which is to nearest even.
pub(super) fn rounded(a: f32, mode: u64) -> f32 {
    match mode & 7 {
        1 => a.floor(),
        2 => a.ceil(),
        3 => a.trunc(),
        _ => a.round_ties_even(),
    }
}

/// Whether a comparison holds, by the immediate of `vcmpps`. Bit 4 says which NaNs raise exceptions, which are masked.
pub(super) fn compares(a: f32, b: f32, predicate: u64) -> bool {
    let unordered = a.is_nan() || b.is_nan();
    match predicate & 15 {
        0 => a == b,
        1 => a < b,
        2 => a <= b,
        3 => unordered,
        4 => a != b,
        5 => unordered || a >= b,
        6 => unordered || a > b,
        7 => !unordered,
        8 => unordered || a == b,
        9 => unordered || a < b,
        10 => unordered || a <= b,
        11 => false,
        12 => !unordered && a != b,
        13 => a >= b,
        14 => a > b,
        _ => true,
    }
}
