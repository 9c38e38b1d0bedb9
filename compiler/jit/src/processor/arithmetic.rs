//! Arithmetic lane by lane.

use dlm_core::loops::lanes::dot_pairs;
use iced_x86::Mnemonic;

use super::error::Fault;
use super::floats::{greater, lesser, rounded, settled};
use super::operands::Operands;
use super::registers::{LANES, Processor, Vector};
use super::{Done, Execute};

/// How arithmetic of that name is executed.
pub(super) fn find(mnemonic: Mnemonic, operands: &Operands) -> Option<Execute> {
    Some(match mnemonic {
        Mnemonic::Vaddps => add,
        Mnemonic::Vsubps => subtract,
        Mnemonic::Vmulps => multiply,
        Mnemonic::Vdivps => divide,
        Mnemonic::Vsqrtps => square_root,
        Mnemonic::Vminps => minimum,
        Mnemonic::Vmaxps => maximum,
        Mnemonic::Vfmadd231ps => fused_into_addend,
        Mnemonic::Vfmadd213ps => fused_into_factor,
        Mnemonic::Vdpbf16ps => pairs,
        Mnemonic::Vroundps | Mnemonic::Vrndscaleps => round,
        Mnemonic::Vpand | Mnemonic::Vpandd => and,
        Mnemonic::Vpor | Mnemonic::Vpord => or,
        Mnemonic::Vpxor | Mnemonic::Vpxord => exclusive_or,
        Mnemonic::Vpaddd => add_integers,
        Mnemonic::Vpsubd => subtract_integers,
        Mnemonic::Vpmulld => multiply_integers,
        Mnemonic::Vpminsd => minimum_of_integers,
        Mnemonic::Vpmaxsd => maximum_of_integers,
        Mnemonic::Vpslld if operands.is_immediate(2) => shift_left,
        Mnemonic::Vpsrld if operands.is_immediate(2) => shift_right,
        Mnemonic::Vpsrad if operands.is_immediate(2) => shift_right_signed,
        _ => return None,
    })
}

/// Two sources, float by float.
#[inline(always)]
fn of_two(processor: &mut Processor, operands: &Operands, op: impl Fn(f32, f32) -> f32) -> Done {
    let a = processor.vector(operands, 1)?;
    let b = processor.vector(operands, 2)?;
    let mut result = Vector::from_fn(|lane| op(float(&a, lane), float(&b, lane)).to_bits());
    if has_nan(&result) {
        result = Vector::from_fn(|lane| {
            let [a, b] = [float(&a, lane), float(&b, lane)];
            settled(op(a, b), [a, b])
        });
    }
    processor.write(operands, result)
}

#[inline(always)]
fn float(vector: &Vector, lane: usize) -> f32 {
    f32::from_bits(vector.0[lane])
}

#[inline(always)]
fn has_nan(vector: &Vector) -> bool {
    let nan = |word: &u32| u32::from(f32::from_bits(*word).is_nan());
    vector.0.iter().map(nan).sum::<u32>() > 0
}

fn add(processor: &mut Processor, operands: &Operands) -> Done {
    of_two(processor, operands, |a, b| a + b)
}

fn subtract(processor: &mut Processor, operands: &Operands) -> Done {
    of_two(processor, operands, |a, b| a - b)
}

fn multiply(processor: &mut Processor, operands: &Operands) -> Done {
    of_two(processor, operands, |a, b| a * b)
}

fn divide(processor: &mut Processor, operands: &Operands) -> Done {
    of_two(processor, operands, |a, b| a / b)
}

/// Two sources, word by word.
#[inline(always)]
fn of_words(processor: &mut Processor, operands: &Operands, op: impl Fn(u32, u32) -> u32) -> Done {
    let a = processor.vector(operands, 1)?;
    let b = processor.vector(operands, 2)?;
    processor.write(operands, Vector::from_fn(|lane| op(a.0[lane], b.0[lane])))
}

fn minimum(processor: &mut Processor, operands: &Operands) -> Done {
    of_words(processor, operands, lesser)
}

fn maximum(processor: &mut Processor, operands: &Operands) -> Done {
    of_words(processor, operands, greater)
}

fn and(processor: &mut Processor, operands: &Operands) -> Done {
    of_words(processor, operands, |a, b| a & b)
}

fn or(processor: &mut Processor, operands: &Operands) -> Done {
    of_words(processor, operands, |a, b| a | b)
}

fn exclusive_or(processor: &mut Processor, operands: &Operands) -> Done {
    of_words(processor, operands, |a, b| a ^ b)
}

fn add_integers(processor: &mut Processor, operands: &Operands) -> Done {
    of_words(processor, operands, u32::wrapping_add)
}

fn subtract_integers(processor: &mut Processor, operands: &Operands) -> Done {
    of_words(processor, operands, u32::wrapping_sub)
}

fn multiply_integers(processor: &mut Processor, operands: &Operands) -> Done {
    of_words(processor, operands, u32::wrapping_mul)
}

fn minimum_of_integers(processor: &mut Processor, operands: &Operands) -> Done {
    of_words(processor, operands, |a, b| (a as i32).min(b as i32) as u32)
}

fn maximum_of_integers(processor: &mut Processor, operands: &Operands) -> Done {
    of_words(processor, operands, |a, b| (a as i32).max(b as i32) as u32)
}

/// The first and the second operand are multiplied and the third added; where several are NaN, the first of them
/// counts.
type Fused<'a> = [&'a Vector; 3];

/// Sources 2 and 3 are multiplied, the first is added.
fn fused_into_addend(processor: &mut Processor, operands: &Operands) -> Done {
    with_instruction(
        #[inline(always)]
        || {
            let second = processor.vector(operands, 1)?;
            let third = processor.vector(operands, 2)?;
            let first = &processor.vectors[operands.vector(0)?];
            let result = fused([&second, &third, first]);
            processor.write(operands, result)
        },
    )
}

/// Sources 1 and 2 are multiplied, the third is added.
fn fused_into_factor(processor: &mut Processor, operands: &Operands) -> Done {
    with_instruction(
        #[inline(always)]
        || {
            let second = processor.vector(operands, 1)?;
            let third = processor.vector(operands, 2)?;
            let first = &processor.vectors[operands.vector(0)?];
            let result = fused([&second, first, &third]);
            processor.write(operands, result)
        },
    )
}

/// Lets `f` fuse by the instruction itself where the processor has it, as a library function takes a hundred times as
/// long.
fn with_instruction<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has what the function needs.
        return unsafe { with_features(f) };
    }
    f()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_features<R>(f: impl FnOnce() -> R) -> R {
    f()
}

#[inline(always)]
fn fused(operands: Fused<'_>) -> Vector {
    let [a, b, c] = operands;
    let mut result = Vector::ZERO;
    for lane in 0..LANES {
        let sum = float(a, lane).mul_add(float(b, lane), float(c, lane));
        result.0[lane] = sum.to_bits();
    }
    match has_nan(&result) {
        false => result,
        true => settled_by_lane(&result, operands),
    }
}

/// Sources 2 and 3 hold pairs of bf16 numbers, whose products are added to the first: first the high ones. NaNs have
/// the order of two such multiply-adds, one after the other.
fn pairs(processor: &mut Processor, operands: &Operands) -> Done {
    let second = processor.vector(operands, 1)?;
    let third = processor.vector(operands, 2)?;
    let first = processor.vectors[operands.vector(0)?];
    let result = Vector::from_fn(|lane| {
        let [a, b, c] = [&second, &third, &first].map(|vector| vector.0[lane]);
        let sum = dot_pairs(a, b, c);
        match f32::from_bits(sum).is_nan() {
            false => sum,
            true => {
                let [high_a, high_b] = [a, b].map(|pair| pair & 0xffff_0000);
                let given = [a << 16, b << 16, high_a, high_b, c];
                settled(f32::NAN, given.map(f32::from_bits))
            }
        }
    });
    processor.write(operands, result)
}

#[cold]
fn settled_by_lane(result: &Vector, operands: Fused<'_>) -> Vector {
    Vector::from_fn(|lane| {
        let given = operands.map(|operand| float(operand, lane));
        settled(float(result, lane), given)
    })
}

/// One source, float by float.
#[inline(always)]
fn of_one(processor: &mut Processor, operands: &Operands, op: impl Fn(f32) -> f32) -> Done {
    let a = processor.vector(operands, 1)?;
    let result = Vector::from_fn(|lane| {
        let a = float(&a, lane);
        settled(op(a), [a])
    });
    processor.write(operands, result)
}

fn square_root(processor: &mut Processor, operands: &Operands) -> Done {
    of_one(processor, operands, f32::sqrt)
}

/// Bits 4 to 7 of the immediate would scale, which is not interpreted.
fn round(processor: &mut Processor, operands: &Operands) -> Done {
    let mode = operands.immediate(2)?;
    if mode & 0xf0 != 0 {
        return Err(Fault::Operands);
    }
    of_one(processor, operands, |a| rounded(a, mode))
}

/// One source, shifted by the same number of bits in each lane.
#[inline(always)]
fn shift(processor: &mut Processor, operands: &Operands, op: impl Fn(u32, u32) -> u32) -> Done {
    let a = processor.vector(operands, 1)?;
    let by = operands.immediate(2)? as u32 & 0xff;
    processor.write(operands, Vector::from_fn(|lane| op(a.0[lane], by)))
}

fn shift_left(processor: &mut Processor, operands: &Operands) -> Done {
    shift(processor, operands, |a, by| {
        a.checked_shl(by).unwrap_or_default()
    })
}

fn shift_right(processor: &mut Processor, operands: &Operands) -> Done {
    shift(processor, operands, |a, by| {
        a.checked_shr(by).unwrap_or_default()
    })
}

fn shift_right_signed(processor: &mut Processor, operands: &Operands) -> Done {
    shift(processor, operands, |a, by| {
        ((a as i32) >> by.min(31)) as u32
    })
}
