//! Lanes and parts of vectors to other places.

use iced_x86::Mnemonic;

use super::error::Fault;
use super::operands::{Operand, Operands};
use super::registers::{LANES, Processor, Vector};
use super::{Done, Execute};

/// Lanes in the parts of 128 bits that most shuffles keep to.
const QUARTER: usize = 4;

/// How a shuffle of that name is executed.
pub(super) fn find(mnemonic: Mnemonic, operands: &Operands) -> Option<Execute> {
    if !operands.is_plain() {
        return None;
    }
    Some(match mnemonic {
        Mnemonic::Vpunpckldq => interleave_low,
        Mnemonic::Vpunpckhdq => interleave_high,
        Mnemonic::Vpunpcklqdq => interleave_low_pairs,
        Mnemonic::Vpunpckhqdq => interleave_high_pairs,
        Mnemonic::Vshuff32x4 => shuffle_quarters,
        Mnemonic::Vperm2f128 => join_quarters,
        Mnemonic::Vpshufd => shuffle_words,
        Mnemonic::Vshufps => shuffle_two,
        Mnemonic::Vpshufb => shuffle_bytes,
        Mnemonic::Vbroadcastss => broadcast,
        Mnemonic::Vpbroadcastw => broadcast_half,
        Mnemonic::Vbroadcastf128 | Mnemonic::Vbroadcastf32x4 => repeat_quarter,
        Mnemonic::Vbroadcastf64x4 => repeat_half,
        Mnemonic::Vextractf128 | Mnemonic::Vextractf32x4 => extract_quarter,
        Mnemonic::Vextractf64x4 => extract_half,
        Mnemonic::Vinsertf128 | Mnemonic::Vinsertf32x4 => insert_quarter,
        Mnemonic::Vinsertf64x4 => insert_half,
        _ => return None,
    })
}

/// By lane: which of two sources, and which lane of the same quarter.
fn from_quarters(
    processor: &mut Processor,
    operands: &Operands,
    choice: [(usize, usize); QUARTER],
) -> Done {
    let sources = [
        processor.vector(operands, 1)?,
        processor.vector(operands, 2)?,
    ];
    let result = Vector::from_fn(|lane| {
        let (source, from) = choice[lane % QUARTER];
        sources[source].0[lane / QUARTER * QUARTER + from]
    });
    processor.write(operands, result)
}

fn interleave_low(processor: &mut Processor, operands: &Operands) -> Done {
    from_quarters(processor, operands, [(0, 0), (1, 0), (0, 1), (1, 1)])
}

fn interleave_low_pairs(processor: &mut Processor, operands: &Operands) -> Done {
    from_quarters(processor, operands, [(0, 0), (0, 1), (1, 0), (1, 1)])
}

fn interleave_high(processor: &mut Processor, operands: &Operands) -> Done {
    from_quarters(processor, operands, [(0, 2), (1, 2), (0, 3), (1, 3)])
}

fn interleave_high_pairs(processor: &mut Processor, operands: &Operands) -> Done {
    from_quarters(processor, operands, [(0, 2), (0, 3), (1, 2), (1, 3)])
}

fn shuffle_words(processor: &mut Processor, operands: &Operands) -> Done {
    let a = processor.vector(operands, 1)?;
    let order = operands.immediate(2)?;
    let result = Vector::from_fn(|lane| {
        let from = order >> (lane % QUARTER * 2) & 3;
        a.0[lane / QUARTER * QUARTER + from as usize]
    });
    processor.write(operands, result)
}

/// Two lanes of the first source's quarter, then two of the second's.
fn shuffle_two(processor: &mut Processor, operands: &Operands) -> Done {
    let order = operands.immediate(3)?;
    let from = |lane: usize| (lane / 2, (order >> (lane * 2) & 3) as usize);
    from_quarters(processor, operands, std::array::from_fn(from))
}

/// Quarters of the first source, then as many of the second: a bit of the immediate for each of two, two for each of four.
fn shuffle_quarters(processor: &mut Processor, operands: &Operands) -> Done {
    let sources = [
        processor.vector(operands, 1)?,
        processor.vector(operands, 2)?,
    ];
    let order = operands.immediate(3)? as usize;
    let quarters = operands.lanes / QUARTER;
    let result = Vector::from_fn(|lane| {
        let quarter = lane / QUARTER % quarters;
        let from = match quarters {
            2 => order >> quarter & 1,
            _ => order >> (2 * quarter) & 3,
        };
        sources[2 * quarter / quarters].0[from * QUARTER + lane % QUARTER]
    });
    processor.write(operands, result)
}

/// By quarter of the result: one of the two sources' four, or zeros.
fn join_quarters(processor: &mut Processor, operands: &Operands) -> Done {
    let sources = [
        processor.vector(operands, 1)?,
        processor.vector(operands, 2)?,
    ];
    let order = operands.immediate(3)? as usize;
    let result = Vector::from_fn(|lane| {
        let choice = order >> (lane / QUARTER % 2 * 4);
        match choice & 8 {
            0 => sources[choice >> 1 & 1].0[(choice & 1) * QUARTER + lane % QUARTER],
            _ => 0,
        }
    });
    processor.write(operands, result)
}

/// Bytes of the same quarter, or 0 where the order's byte is negative.
fn shuffle_bytes(processor: &mut Processor, operands: &Operands) -> Done {
    let bytes = processor.vector(operands, 1)?.bytes();
    let order = processor.vector(operands, 2)?.bytes();
    let shuffled: [u8; LANES * 4] = std::array::from_fn(|at| match order[at] {
        0x80.. => 0,
        from => bytes[at / 16 * 16 + usize::from(from & 15)],
    });
    processor.write(operands, Vector::of_bytes(&shuffled))
}

fn broadcast(processor: &mut Processor, operands: &Operands) -> Done {
    let word = match operands.at(1) {
        Operand::Vector(number) => processor.vectors[number].0[0],
        Operand::Memory(address) => u32::from_le_bytes(processor.load(processor.place(&address))),
        _ => return Err(Fault::Operands),
    };
    processor.write(operands, Vector([word; LANES]))
}

fn broadcast_half(processor: &mut Processor, operands: &Operands) -> Done {
    let half = match operands.at(1) {
        Operand::Vector(number) => processor.vectors[number].0[0] & 0xffff,
        Operand::Memory(address) => u32::from(u16::from_le_bytes(
            processor.load(processor.place(&address)),
        )),
        _ => return Err(Fault::Operands),
    };
    processor.write(operands, Vector([half << 16 | half; LANES]))
}

fn repeat_quarter(processor: &mut Processor, operands: &Operands) -> Done {
    repeat(processor, operands, QUARTER)
}

fn repeat_half(processor: &mut Processor, operands: &Operands) -> Done {
    repeat(processor, operands, 2 * QUARTER)
}

/// So many lanes of memory, again and again.
fn repeat(processor: &mut Processor, operands: &Operands, count: usize) -> Done {
    let place = processor.place(&operands.memory(1)?);
    let lanes = processor.load_vector(place, count * 4)?;
    processor.write(operands, Vector::from_fn(|lane| lanes.0[lane % count]))
}

/// Which part of `count` lanes the immediate names: so many bits of it count as there are parts.
fn part(operands: &Operands, immediate: usize, count: usize) -> Result<usize, Fault> {
    let parts = operands.lanes / count;
    Ok(operands.immediate(immediate)? as usize % parts.max(1) * count)
}

fn extract(processor: &mut Processor, operands: &Operands, count: usize) -> Done {
    let source = processor.vectors[operands.vector(1)?];
    let first = part(operands, 2, count)?;
    let result = Vector::from_fn(|lane| match lane < count {
        true => source.0[first + lane],
        false => 0,
    });
    match operands.at(0) {
        Operand::Vector(to) => {
            processor.vectors[to] = result;
            Ok(())
        }
        Operand::Memory(address) => {
            let place = processor.place(&address);
            processor.store_vector(place, count * 4, &result)
        }
        _ => Err(Fault::Operands),
    }
}

fn extract_quarter(processor: &mut Processor, operands: &Operands) -> Done {
    extract(processor, operands, QUARTER)
}

fn extract_half(processor: &mut Processor, operands: &Operands) -> Done {
    extract(processor, operands, 2 * QUARTER)
}

fn insert(processor: &mut Processor, operands: &Operands, count: usize) -> Done {
    let mut result = processor.vectors[operands.vector(1)?];
    let part_of = match operands.at(2) {
        Operand::Vector(number) => processor.vectors[number],
        Operand::Memory(address) => processor.load_vector(processor.place(&address), count * 4)?,
        _ => return Err(Fault::Operands),
    };
    let first = part(operands, 3, count)?;
    result.0[first..first + count].copy_from_slice(&part_of.0[..count]);
    processor.write(operands, result)
}

fn insert_quarter(processor: &mut Processor, operands: &Operands) -> Done {
    insert(processor, operands, QUARTER)
}

fn insert_half(processor: &mut Processor, operands: &Operands) -> Done {
    insert(processor, operands, 2 * QUARTER)
}
