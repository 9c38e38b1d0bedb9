//! Instructions on k registers.

use iced_x86::Mnemonic;

use super::error::Fault;
use super::operands::{Operand, Operands};
use super::registers::{LANES, Processor, Vector};
use super::{Done, Execute};

/// How an instruction on masks of that name is executed.
pub(super) fn find(mnemonic: Mnemonic, operands: &Operands) -> Option<Execute> {
    if !operands.is_plain() {
        return None;
    }
    Some(match mnemonic {
        Mnemonic::Kandw => and,
        Mnemonic::Kandnw => and_not,
        Mnemonic::Korw => or,
        Mnemonic::Kxorw => exclusive_or,
        Mnemonic::Kxnorw => equal,
        Mnemonic::Knotw => not,
        Mnemonic::Kshiftrw => shift_right,
        Mnemonic::Kmovw => move_mask,
        Mnemonic::Vpmovm2d => to_vector,
        Mnemonic::Vpmovd2m => from_vector,
        _ => return None,
    })
}

/// 16 bits of two masks; those above become 0.
fn of_two(processor: &mut Processor, operands: &Operands, op: impl Fn(u16, u16) -> u16) -> Done {
    let a = processor.masks[operands.mask(1)?] as u16;
    let b = processor.masks[operands.mask(2)?] as u16;
    processor.masks[operands.mask(0)?] = u64::from(op(a, b));
    Ok(())
}

fn and(processor: &mut Processor, operands: &Operands) -> Done {
    of_two(processor, operands, |a, b| a & b)
}

fn and_not(processor: &mut Processor, operands: &Operands) -> Done {
    of_two(processor, operands, |a, b| !a & b)
}

fn or(processor: &mut Processor, operands: &Operands) -> Done {
    of_two(processor, operands, |a, b| a | b)
}

fn exclusive_or(processor: &mut Processor, operands: &Operands) -> Done {
    of_two(processor, operands, |a, b| a ^ b)
}

fn equal(processor: &mut Processor, operands: &Operands) -> Done {
    of_two(processor, operands, |a, b| !(a ^ b))
}

fn not(processor: &mut Processor, operands: &Operands) -> Done {
    let a = processor.masks[operands.mask(1)?] as u16;
    processor.masks[operands.mask(0)?] = u64::from(!a);
    Ok(())
}

fn shift_right(processor: &mut Processor, operands: &Operands) -> Done {
    let a = processor.masks[operands.mask(1)?] as u16;
    let by = operands.immediate(2)? as u32 & 0xff;
    processor.masks[operands.mask(0)?] = u64::from(a.checked_shr(by).unwrap_or_default());
    Ok(())
}

fn move_mask(processor: &mut Processor, operands: &Operands) -> Done {
    let value = match operands.at(1) {
        Operand::Mask(number) => processor.masks[number] & 0xffff,
        Operand::Memory(address) => processor.load_integer(processor.place(&address), 2)?,
        _ => return Err(Fault::Operands),
    };
    match operands.at(0) {
        Operand::Mask(to) => {
            processor.masks[to] = value;
            Ok(())
        }
        Operand::Memory(address) => processor.store_integer(processor.place(&address), 2, value),
        _ => Err(Fault::Operands),
    }
}

/// All bits of each lane whose bit is set.
fn to_vector(processor: &mut Processor, operands: &Operands) -> Done {
    let mask = processor.masks[operands.mask(1)?];
    let result = Vector::from_fn(|lane| match mask >> lane & 1 {
        0 => 0,
        _ => u32::MAX,
    });
    processor.write(operands, result)
}

/// The sign of each lane.
fn from_vector(processor: &mut Processor, operands: &Operands) -> Done {
    let vector = processor.vectors[operands.vector(1)?];
    let bits = (0..LANES).map(|lane| (vector.0[lane] >> 31) << lane);
    let found = bits.sum::<u32>() & processor.asked(operands);
    processor.masks[operands.mask(0)?] = u64::from(found);
    Ok(())
}
