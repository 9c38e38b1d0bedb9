//! Moves of vectors, and of single elements between vectors, memory and general registers.

use iced_x86::Mnemonic;

use super::error::Fault;
use super::operands::{Operand, Operands};
use super::registers::{LANES, Processor, Vector};
use super::{Done, Execute};

/// How a move of that name is executed.
pub(super) fn find(mnemonic: Mnemonic, operands: &Operands) -> Option<Execute> {
    Some(match mnemonic {
        Mnemonic::Vmovups | Mnemonic::Vmovdqu32 => unaligned,
        Mnemonic::Vmovdqa32 | Mnemonic::Vmovaps => aligned,
        _ if !operands.is_plain() => return None,
        Mnemonic::Vmovss => float,
        Mnemonic::Vmovd => word,
        Mnemonic::Vmovq => pair,
        Mnemonic::Vpextrb => extract_byte,
        Mnemonic::Vpextrw => extract_half,
        Mnemonic::Vpextrd => extract_word,
        Mnemonic::Vpinsrb => insert_byte,
        Mnemonic::Vpinsrd => insert_word,
        Mnemonic::Vzeroupper => zero_upper,
        _ => return None,
    })
}

/// Lanes that the mask leaves out are neither read nor written.
fn unaligned(processor: &mut Processor, operands: &Operands) -> Done {
    let Operand::Memory(address) = operands.at(0) else {
        let source = processor.vector(operands, 1)?;
        return processor.write(operands, source);
    };
    let source = processor.vectors[operands.vector(1)?];
    let place = processor.place(&address);
    if operands.mask.is_none() {
        return processor.store_vector(place, operands.lanes * 4, &source);
    }
    let asked = processor.asked(operands);
    for lane in (0..LANES).filter(|lane| asked >> lane & 1 == 1) {
        let at = place.wrapping_add(lane as u64 * 4);
        processor.store(at, source.0[lane].to_le_bytes());
    }
    Ok(())
}

/// The address must be a multiple of the vector's size whatever the mask says.
fn aligned(processor: &mut Processor, operands: &Operands) -> Done {
    for at in 0..2 {
        if let Operand::Memory(address) = operands.at(at)
            && !processor
                .place(&address)
                .is_multiple_of(operands.lanes as u64 * 4)
        {
            return Err(Fault::Alignment);
        }
    }
    unaligned(processor, operands)
}

/// One element to or from memory; a load clears the other lanes. Between registers `vmovss` merges, which is not
/// interpreted.
fn float(processor: &mut Processor, operands: &Operands) -> Done {
    match (operands.at(0), operands.at(1)) {
        (Operand::Vector(_), Operand::Memory(_)) | (Operand::Memory(_), Operand::Vector(_)) => {
            element(processor, operands, 4)
        }
        _ => Err(Fault::Operands),
    }
}

fn word(processor: &mut Processor, operands: &Operands) -> Done {
    element(processor, operands, 4)
}

fn pair(processor: &mut Processor, operands: &Operands) -> Done {
    element(processor, operands, 8)
}

/// The low element of so many bytes; in a vector register all above becomes 0.
fn element(processor: &mut Processor, operands: &Operands, bytes: usize) -> Done {
    let value = match operands.at(1) {
        Operand::Vector(number) => {
            let [low, high, ..] = processor.vectors[number].0;
            u64::from(low) | u64::from(high) << 32
        }
        Operand::General { number, bytes: own } if own == bytes => processor.general[number],
        Operand::Memory(address) => processor.load_integer(processor.place(&address), bytes)?,
        _ => return Err(Fault::Operands),
    };
    let value = if bytes == 4 {
        value & 0xffff_ffff
    } else {
        value
    };
    match operands.at(0) {
        Operand::Vector(to) => {
            processor.vectors[to] = Vector::of_bytes(&value.to_le_bytes());
            Ok(())
        }
        Operand::General { number, bytes: own } if own == bytes => {
            processor.general[number] = value;
            Ok(())
        }
        Operand::Memory(address) => {
            processor.store_integer(processor.place(&address), bytes, value)
        }
        _ => Err(Fault::Operands),
    }
}

/// Element `immediate` of an xmm register, of so many bytes, to memory or zero-extended to a register.
fn extract(processor: &mut Processor, operands: &Operands, bytes: usize) -> Done {
    let source = processor.vectors[operands.vector(1)?].bytes();
    let at = operands.immediate(2)? as usize % (16 / bytes) * bytes;
    let element = source[at..at + bytes].iter().rev();
    let value = element.fold(0, |value, &byte| value << 8 | u64::from(byte));
    match operands.at(0) {
        Operand::General { number, .. } => {
            processor.general[number] = value;
            Ok(())
        }
        Operand::Memory(address) => {
            processor.store_integer(processor.place(&address), bytes, value)
        }
        _ => Err(Fault::Operands),
    }
}

fn extract_byte(processor: &mut Processor, operands: &Operands) -> Done {
    extract(processor, operands, 1)
}

fn extract_half(processor: &mut Processor, operands: &Operands) -> Done {
    extract(processor, operands, 2)
}

fn extract_word(processor: &mut Processor, operands: &Operands) -> Done {
    extract(processor, operands, 4)
}

/// An xmm register with element `immediate` replaced.
fn insert(processor: &mut Processor, operands: &Operands, bytes: usize) -> Done {
    let mut result = processor.vectors[operands.vector(1)?].bytes();
    let value = match operands.at(2) {
        Operand::General { number, .. } => processor.general[number],
        Operand::Memory(address) => processor.load_integer(processor.place(&address), bytes)?,
        _ => return Err(Fault::Operands),
    };
    let at = operands.immediate(3)? as usize % (16 / bytes) * bytes;
    result[at..at + bytes].copy_from_slice(&value.to_le_bytes()[..bytes]);
    processor.write(operands, Vector::of_bytes(&result))
}

fn insert_byte(processor: &mut Processor, operands: &Operands) -> Done {
    insert(processor, operands, 1)
}

fn insert_word(processor: &mut Processor, operands: &Operands) -> Done {
    insert(processor, operands, 4)
}

/// Clears all above 128 bits of the first 16 registers.
fn zero_upper(processor: &mut Processor, _: &Operands) -> Done {
    for vector in &mut processor.vectors[..16] {
        vector.0[4..].fill(0);
    }
    Ok(())
}
