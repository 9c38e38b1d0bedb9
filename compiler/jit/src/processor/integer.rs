//! Instructions on general registers.

use iced_x86::Mnemonic;

use super::error::Fault;
use super::operands::{Operand, Operands};
use super::registers::{Flags, Processor, RAX, RDX, RSP};
use super::{Done, Execute};

/// How an instruction of that name is executed.
pub(super) fn find(mnemonic: Mnemonic, operands: &Operands) -> Option<Execute> {
    Some(match mnemonic {
        Mnemonic::Nop | Mnemonic::Prefetcht0 | Mnemonic::Prefetcht1 | Mnemonic::Prefetchw => {
            nothing
        }
        Mnemonic::Mov | Mnemonic::Movzx => copy,
        Mnemonic::Movsxd => copy_signed,
        Mnemonic::Lea => address,
        Mnemonic::Push => push,
        Mnemonic::Pop => pop,
        Mnemonic::Setl | Mnemonic::Setle | Mnemonic::Sete | Mnemonic::Setne => set_if,
        _ if !is_of_64_bits(operands) => return None,
        Mnemonic::Add => add,
        Mnemonic::Sub => subtract,
        Mnemonic::Cmp => compare,
        Mnemonic::And => and,
        Mnemonic::Test => test,
        Mnemonic::Xor => exclusive_or,
        Mnemonic::Imul => multiply,
        Mnemonic::Mul => multiply_wide,
        Mnemonic::Sar => shift_right_signed,
        Mnemonic::Shr => shift_right,
        Mnemonic::Cmovl | Mnemonic::Cmovg => copy_if,
        _ => return None,
    })
}

/// Whether no operand is narrower.
fn is_of_64_bits(operands: &Operands) -> bool {
    (0..4).all(|at| match operands.at(at) {
        Operand::General { bytes, .. } => bytes == 8,
        Operand::Memory(_) => operands.memory_bytes == 8,
        Operand::Immediate(_) | Operand::None => true,
        Operand::Vector(_) | Operand::Mask(_) => false,
    })
}

fn nothing(_: &mut Processor, _: &Operands) -> Done {
    Ok(())
}

impl Processor {
    /// An operand, zero-extended; immediates are sign-extended.
    fn integer(&self, operands: &Operands, at: usize) -> Result<u64, Fault> {
        match operands.at(at) {
            Operand::General { number, bytes } => {
                let unused = 64 - bytes as u32 * 8;
                Ok(self.general[number] << unused >> unused)
            }
            Operand::Memory(address) => {
                self.load_integer(self.place(&address), operands.memory_bytes)
            }
            Operand::Immediate(immediate) => Ok(immediate),
            _ => Err(Fault::Operands),
        }
    }

    /// Writes the first operand: 32 bits clear those above, a byte leaves them.
    fn set_integer(&mut self, operands: &Operands, value: u64) -> Done {
        match operands.at(0) {
            Operand::General { number, bytes: 8 } => self.general[number] = value,
            Operand::General { number, bytes: 4 } => {
                self.general[number] = value & 0xffff_ffff;
            }
            Operand::General { number, bytes: 1 } => {
                self.general[number] = (self.general[number] & !0xff) | (value & 0xff);
            }
            Operand::Memory(address) => {
                return self.store_integer(self.place(&address), operands.memory_bytes, value);
            }
            _ => return Err(Fault::Operands),
        }
        Ok(())
    }
}

fn copy(processor: &mut Processor, operands: &Operands) -> Done {
    let value = processor.integer(operands, 1)?;
    processor.set_integer(operands, value)
}

fn copy_signed(processor: &mut Processor, operands: &Operands) -> Done {
    let value = processor.integer(operands, 1)? as i32;
    processor.set_integer(operands, i64::from(value) as u64)
}

fn address(processor: &mut Processor, operands: &Operands) -> Done {
    let place = processor.place(&operands.memory(1)?);
    processor.set_integer(operands, place)
}

fn push(processor: &mut Processor, operands: &Operands) -> Done {
    let value = processor.integer(operands, 0)?;
    processor.general[RSP] = processor.general[RSP].wrapping_sub(8);
    processor.store_integer(processor.general[RSP], 8, value)
}

fn pop(processor: &mut Processor, operands: &Operands) -> Done {
    let value = processor.load_integer(processor.general[RSP], 8)?;
    processor.general[RSP] = processor.general[RSP].wrapping_add(8);
    processor.set_integer(operands, value)
}

fn condition(processor: &Processor, operands: &Operands) -> Result<bool, Fault> {
    processor.holds(operands.condition.ok_or(Fault::Operands)?)
}

/// Memory is read whether the condition holds or not.
fn copy_if(processor: &mut Processor, operands: &Operands) -> Done {
    let value = processor.integer(operands, 1)?;
    match condition(processor, operands)? {
        true => processor.set_integer(operands, value),
        false => Ok(()),
    }
}

fn set_if(processor: &mut Processor, operands: &Operands) -> Done {
    let holds = condition(processor, operands)?;
    processor.set_integer(operands, u64::from(holds))
}

fn add(processor: &mut Processor, operands: &Operands) -> Done {
    let (a, b) = (
        processor.integer(operands, 0)?,
        processor.integer(operands, 1)?,
    );
    let (sum, overflow) = (a as i64).overflowing_add(b as i64);
    processor.flags = Some(Flags::of(sum as u64, overflow));
    processor.set_integer(operands, sum as u64)
}

fn difference(processor: &mut Processor, operands: &Operands) -> Result<u64, Fault> {
    let (a, b) = (
        processor.integer(operands, 0)?,
        processor.integer(operands, 1)?,
    );
    let (difference, overflow) = (a as i64).overflowing_sub(b as i64);
    processor.flags = Some(Flags::of(difference as u64, overflow));
    Ok(difference as u64)
}

fn subtract(processor: &mut Processor, operands: &Operands) -> Done {
    let difference = difference(processor, operands)?;
    processor.set_integer(operands, difference)
}

fn compare(processor: &mut Processor, operands: &Operands) -> Done {
    difference(processor, operands).map(drop)
}

#[inline(always)]
fn bitwise(
    processor: &mut Processor,
    operands: &Operands,
    op: impl Fn(u64, u64) -> u64,
) -> Result<u64, Fault> {
    let (a, b) = (
        processor.integer(operands, 0)?,
        processor.integer(operands, 1)?,
    );
    let result = op(a, b);
    processor.flags = Some(Flags::of(result, false));
    Ok(result)
}

fn and(processor: &mut Processor, operands: &Operands) -> Done {
    let result = bitwise(processor, operands, |a, b| a & b)?;
    processor.set_integer(operands, result)
}

fn test(processor: &mut Processor, operands: &Operands) -> Done {
    bitwise(processor, operands, |a, b| a & b).map(drop)
}

fn exclusive_or(processor: &mut Processor, operands: &Operands) -> Done {
    let result = bitwise(processor, operands, |a, b| a ^ b)?;
    processor.set_integer(operands, result)
}

/// Of two operands, or of the last two of three. Zero and sign are undefined after it.
fn multiply(processor: &mut Processor, operands: &Operands) -> Done {
    let from = match operands.at(2) {
        Operand::None => [0, 1],
        _ => [1, 2],
    };
    let a = processor.integer(operands, from[0])?;
    let b = processor.integer(operands, from[1])?;
    processor.flags = None;
    processor.set_integer(operands, a.wrapping_mul(b))
}

/// rdx and rax become the product of rax and the operand.
fn multiply_wide(processor: &mut Processor, operands: &Operands) -> Done {
    let factor = processor.integer(operands, 0)?;
    let product = u128::from(processor.general[RAX]) * u128::from(factor);
    processor.general[RAX] = product as u64;
    processor.general[RDX] = (product >> 64) as u64;
    processor.flags = None;
    Ok(())
}

/// Overflow is undefined after most shifts, so that no condition may follow one.
#[inline(always)]
fn shift(processor: &mut Processor, operands: &Operands, op: impl Fn(u64, u32) -> u64) -> Done {
    let value = processor.integer(operands, 0)?;
    let by = operands.immediate(1)? as u32 & 63;
    if by > 0 {
        processor.flags = None;
    }
    processor.set_integer(operands, op(value, by))
}

fn shift_right(processor: &mut Processor, operands: &Operands) -> Done {
    shift(processor, operands, |value, by| value >> by)
}

fn shift_right_signed(processor: &mut Processor, operands: &Operands) -> Done {
    shift(processor, operands, |value, by| {
        ((value as i64) >> by) as u64
    })
}
