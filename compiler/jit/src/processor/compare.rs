//! Comparisons, to vectors and to masks, and choices by them.

use iced_x86::Mnemonic;

use super::error::Fault;
use super::floats::compares;
use super::operands::{Operand, Operands};
use super::registers::{LANES, Processor, Vector};
use super::{Done, Execute};

/// How a comparison of that name is executed.
pub(super) fn find(mnemonic: Mnemonic, operands: &Operands) -> Option<Execute> {
    let to_mask = matches!(operands.at(0), Operand::Mask(_));
    Some(match (mnemonic, to_mask) {
        (Mnemonic::Vcmpps, false) => floats_to_vector,
        (Mnemonic::Vcmpps, true) => floats_to_mask,
        (Mnemonic::Vpcmpeqd, false) => equal_to_vector,
        (Mnemonic::Vpcmpgtd, false) => greater_to_vector,
        (Mnemonic::Vpcmpd, true) => integers_to_mask,
        (Mnemonic::Vptestmd, true) => test_to_mask,
        (Mnemonic::Vblendvps, false) => blend_by_signs,
        (Mnemonic::Vblendmps, false) => blend_by_mask,
        _ => return None,
    })
}

#[inline(always)]
fn to_vector(
    processor: &mut Processor,
    operands: &Operands,
    test: impl Fn(u32, u32) -> bool,
) -> Done {
    let a = processor.vector(operands, 1)?;
    let b = processor.vector(operands, 2)?;
    let result = Vector::from_fn(|lane| match test(a.0[lane], b.0[lane]) {
        true => u32::MAX,
        false => 0,
    });
    processor.write(operands, result)
}

/// Bits of lanes that the instruction's mask leaves out, or that its vectors do not have, become 0.
#[inline(always)]
fn to_mask(
    processor: &mut Processor,
    operands: &Operands,
    test: impl Fn(u32, u32) -> bool,
) -> Done {
    let a = processor.vector(operands, 1)?;
    let b = processor.vector(operands, 2)?;
    let bit = |lane: usize| u32::from(test(a.0[lane], b.0[lane])) << lane;
    let found: u32 = (0..LANES).map(bit).sum();
    let to = operands.mask(0)?;
    processor.masks[to] = u64::from(found & processor.asked(operands));
    Ok(())
}

fn holds(a: u32, b: u32, predicate: u64) -> bool {
    compares(f32::from_bits(a), f32::from_bits(b), predicate)
}

fn floats_to_vector(processor: &mut Processor, operands: &Operands) -> Done {
    let predicate = operands.immediate(3)?;
    to_vector(processor, operands, |a, b| holds(a, b, predicate))
}

fn floats_to_mask(processor: &mut Processor, operands: &Operands) -> Done {
    let predicate = operands.immediate(3)?;
    to_mask(processor, operands, |a, b| holds(a, b, predicate))
}

fn equal_to_vector(processor: &mut Processor, operands: &Operands) -> Done {
    to_vector(processor, operands, |a, b| a == b)
}

fn greater_to_vector(processor: &mut Processor, operands: &Operands) -> Done {
    to_vector(processor, operands, |a, b| (a as i32) > b as i32)
}

fn integers_to_mask(processor: &mut Processor, operands: &Operands) -> Done {
    let predicate = operands.immediate(3)? & 7;
    to_mask(processor, operands, |a, b| {
        let (a, b) = (a as i32, b as i32);
        match predicate {
            0 => a == b,
            1 => a < b,
            2 => a <= b,
            3 => false,
            4 => a != b,
            5 => a >= b,
            6 => a > b,
            _ => true,
        }
    })
}

fn test_to_mask(processor: &mut Processor, operands: &Operands) -> Done {
    to_mask(processor, operands, |a, b| a & b != 0)
}

/// The second source where the third is negative, else the first.
fn blend_by_signs(processor: &mut Processor, operands: &Operands) -> Done {
    let a = processor.vector(operands, 1)?;
    let b = processor.vector(operands, 2)?;
    let signs = processor.vectors[operands.vector(3)?];
    let result = Vector::from_fn(|lane| match signs.0[lane] >> 31 {
        0 => a.0[lane],
        _ => b.0[lane],
    });
    processor.write(operands, result)
}

/// The second source where the mask is set, else the first; or 0 with `zeroing`.
fn blend_by_mask(processor: &mut Processor, operands: &Operands) -> Done {
    if operands.mask.is_none() {
        return Err(Fault::Operands);
    }
    let a = processor.vectors[operands.vector(1)?];
    let b = processor.vector(operands, 2)?;
    let asked = processor.asked(operands);
    let to = operands.vector(0)?;
    processor.vectors[to] = Vector::from_fn(|lane| match lane {
        lane if asked >> lane & 1 == 1 => b.0[lane],
        lane if lane < operands.lanes && !operands.zeroing => a.0[lane],
        _ => 0,
    });
    Ok(())
}
