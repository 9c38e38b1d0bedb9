//! Conversions between kinds and sizes of lanes.

use iced_x86::Mnemonic;

use super::error::Fault;
use super::floats::truncated;
use super::operands::{Operand, Operands};
use super::registers::{Processor, Vector};
use super::{Done, Execute};

/// How a conversion of that name is executed.
pub(super) fn find(mnemonic: Mnemonic, operands: &Operands) -> Option<Execute> {
    Some(match mnemonic {
        Mnemonic::Vcvttps2dq => to_integers,
        Mnemonic::Vcvtdq2ps => to_floats,
        Mnemonic::Vpmovzxbd if operands.is_plain() => widen_bytes,
        Mnemonic::Vpmovzxwd if operands.is_plain() => widen_halves,
        Mnemonic::Vpmovdb if operands.is_plain() => narrow_to_bytes,
        Mnemonic::Vpmovdw if operands.is_plain() => narrow_to_halves,
        _ => return None,
    })
}

fn to_integers(processor: &mut Processor, operands: &Operands) -> Done {
    let a = processor.vector(operands, 1)?;
    let result = Vector::from_fn(|lane| truncated(f32::from_bits(a.0[lane])) as u32);
    processor.write(operands, result)
}

fn to_floats(processor: &mut Processor, operands: &Operands) -> Done {
    let a = processor.vector(operands, 1)?;
    let result = Vector::from_fn(|lane| (a.0[lane] as i32 as f32).to_bits());
    processor.write(operands, result)
}

/// So many elements of `size` bytes as there are lanes, zero-extended.
fn widen(processor: &mut Processor, operands: &Operands, size: usize) -> Done {
    let source = match operands.at(1) {
        Operand::Vector(number) => processor.vectors[number],
        Operand::Memory(address) => {
            let place = processor.place(&address);
            processor.load_vector(place, operands.lanes * size)?
        }
        _ => return Err(Fault::Operands),
    };
    let bytes = source.bytes();
    let result = Vector::from_fn(|lane| {
        let element = bytes.iter().skip(lane * size).take(size).rev();
        element.fold(0, |word, &byte| word << 8 | u32::from(byte))
    });
    processor.write(operands, result)
}

fn widen_bytes(processor: &mut Processor, operands: &Operands) -> Done {
    widen(processor, operands, 1)
}

fn widen_halves(processor: &mut Processor, operands: &Operands) -> Done {
    widen(processor, operands, 2)
}

/// The low `size` bytes of each lane, one after the other; in a register the bytes above become 0.
fn narrow(processor: &mut Processor, operands: &Operands, size: usize) -> Done {
    let source = processor.vectors[operands.vector(1)?].bytes();
    let count = operands.lanes * size;
    let bytes: [u8; 64] = std::array::from_fn(|at| match at < count {
        true => source[at / size * 4 + at % size],
        false => 0,
    });
    let result = Vector::of_bytes(&bytes);
    match operands.at(0) {
        Operand::Vector(to) => {
            processor.vectors[to] = result;
            Ok(())
        }
        Operand::Memory(address) => {
            let place = processor.place(&address);
            processor.store_vector(place, count, &result)
        }
        _ => Err(Fault::Operands),
    }
}

fn narrow_to_bytes(processor: &mut Processor, operands: &Operands) -> Done {
    narrow(processor, operands, 1)
}

fn narrow_to_halves(processor: &mut Processor, operands: &Operands) -> Done {
    narrow(processor, operands, 2)
}
