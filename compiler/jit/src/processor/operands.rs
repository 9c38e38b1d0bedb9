//! The operands of an instruction, found once.

use iced_x86::{Instruction, OpKind, Register};

use super::error::Fault;
use super::registers::Condition;

/// Where memory is: registers by number, and a displacement, which is the whole address where it is relative to the
/// instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) base: Option<u8>,
    pub(super) index: Option<(u8, u8)>,
    pub(super) displacement: u64,
}

/// An operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    None,
    /// A general register, or the low bytes of it.
    General {
        number: usize,
        bytes: usize,
    },
    Vector(usize),
    Mask(usize),
    Memory(Address),
    /// Sign-extended.
    Immediate(u64),
}

/// All of an instruction but its operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operands {
    list: [Operand; 4],
    /// Lanes of 32 bits in its widest vector.
    pub(super) lanes: usize,
    /// The k register that says which lanes are written; the others stay, or become 0 with `zeroing`.
    pub(super) mask: Option<usize>,
    pub(super) zeroing: bool,
    /// Whether memory is one element for every lane.
    pub(super) broadcast: bool,
    /// Bytes of the memory operand.
    pub(super) memory_bytes: usize,
    pub(super) condition: Option<Condition>,
}

impl Operands {
    /// Those of `instruction`, if all are of a kind that is known.
    pub(super) fn of(instruction: &Instruction) -> Option<Operands> {
        let modified = instruction.has_lock_prefix()
            || instruction.segment_prefix() != Register::None
            || instruction.suppress_all_exceptions()
            || instruction.rounding_control() != iced_x86::RoundingControl::None;
        if modified || instruction.op_count() > 4 {
            return None;
        }
        let mut list = [Operand::None; 4];
        for at in 0..instruction.op_count() {
            list[at as usize] = operand(instruction, at)?;
        }
        Some(Operands {
            list,
            lanes: lanes(instruction),
            mask: number_from(instruction.op_mask(), Register::K0, 8),
            zeroing: instruction.zeroing_masking(),
            broadcast: instruction.is_broadcast(),
            memory_bytes: instruction.memory_size().size(),
            condition: Condition::of(instruction.mnemonic()),
        })
    }

    pub(super) fn at(&self, at: usize) -> Operand {
        self.list[at]
    }

    /// The number of a vector register.
    pub(super) fn vector(&self, at: usize) -> Result<usize, Fault> {
        match self.list[at] {
            Operand::Vector(number) => Ok(number),
            _ => Err(Fault::Operands),
        }
    }

    /// The number of a k register.
    pub(super) fn mask(&self, at: usize) -> Result<usize, Fault> {
        match self.list[at] {
            Operand::Mask(number) => Ok(number),
            _ => Err(Fault::Operands),
        }
    }

    pub(super) fn memory(&self, at: usize) -> Result<Address, Fault> {
        match self.list[at] {
            Operand::Memory(address) => Ok(address),
            _ => Err(Fault::Operands),
        }
    }

    pub(super) fn immediate(&self, at: usize) -> Result<u64, Fault> {
        match self.list[at] {
            Operand::Immediate(immediate) => Ok(immediate),
            _ => Err(Fault::Operands),
        }
    }

    /// Whether operand `at` is an immediate.
    pub(super) fn is_immediate(&self, at: usize) -> bool {
        matches!(self.list[at], Operand::Immediate(_))
    }

    /// Whether there is neither a mask nor a broadcast.
    pub(super) fn is_plain(&self) -> bool {
        self.mask.is_none() && !self.broadcast
    }
}

fn lanes(instruction: &Instruction) -> usize {
    let registers = (0..instruction.op_count())
        .filter(|&at| instruction.op_kind(at) == OpKind::Register)
        .map(|at| instruction.op_register(at));
    let lanes = registers.map(|register| match register {
        _ if register.is_xmm() => 4,
        _ if register.is_ymm() => 8,
        _ if register.is_zmm() => 16,
        _ => 0,
    });
    lanes.max().unwrap_or(0)
}

fn operand(instruction: &Instruction, at: u32) -> Option<Operand> {
    match instruction.op_kind(at) {
        OpKind::Register => register(instruction.op_register(at)),
        OpKind::Memory => address(instruction).map(Operand::Memory),
        OpKind::NearBranch64 => Some(Operand::None),
        _ => Some(Operand::Immediate(instruction.try_immediate(at).ok()?)),
    }
}

/// A register's number among `count` that begin with `first`.
fn number_from(register: Register, first: Register, count: usize) -> Option<usize> {
    let number = (register as usize).checked_sub(first as usize)?;
    (number < count).then_some(number)
}

/// The upper bytes of ax to bx are known to none.
fn register(register: Register) -> Option<Operand> {
    let vectors = [Register::XMM0, Register::YMM0, Register::ZMM0];
    let vector = vectors
        .into_iter()
        .find_map(|first| number_from(register, first, 32));
    let general = [
        (Register::RAX, 16, 0, 8),
        (Register::EAX, 16, 0, 4),
        (Register::AL, 4, 0, 1),
        (Register::SPL, 12, 4, 1),
    ];
    let general = general.into_iter().find_map(|(first, count, from, bytes)| {
        let number = from + number_from(register, first, count)?;
        Some(Operand::General { number, bytes })
    });
    let mask = number_from(register, Register::K0, 8).map(Operand::Mask);
    vector.map(Operand::Vector).or(general).or(mask)
}

/// The decoder adds the instruction's own place where an address is relative to it.
fn address(instruction: &Instruction) -> Option<Address> {
    let general = |register: Register| match register {
        Register::None | Register::RIP => Some(None),
        register => number_from(register, Register::RAX, 16).map(|number| Some(number as u8)),
    };
    let index = general(instruction.memory_index())?;
    Some(Address {
        base: general(instruction.memory_base())?,
        index: index.map(|number| (number, instruction.memory_index_scale() as u8)),
        displacement: instruction.memory_displacement64(),
    })
}
