//! What a processor holds: general registers, vectors, masks and flags.

use iced_x86::Mnemonic;

use super::error::Fault;

/// Lanes of 32 bits in the widest vector.
pub(super) const LANES: usize = 16;

pub(super) const RAX: usize = 0;
pub(super) const RDX: usize = 2;
pub(super) const RSP: usize = 4;
pub(super) const RDI: usize = 7;

/// Those that a function of the System V convention gives back as it found them, with their names.
pub(super) const CALLEE_SAVED: [(usize, &str); 6] = [
    (3, "rbx"),
    (5, "rbp"),
    (12, "r12"),
    (13, "r13"),
    (14, "r14"),
    (15, "r15"),
];

/// 512 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Vector(pub(super) [u32; LANES]);

impl Vector {
    pub(super) const ZERO: Vector = Vector([0; LANES]);

    /// A vector by lane.
    pub(super) fn from_fn(lane: impl Fn(usize) -> u32) -> Vector {
        Vector(std::array::from_fn(lane))
    }

    /// As bytes, lane 0 first.
    pub(super) fn bytes(&self) -> [u8; LANES * 4] {
        std::array::from_fn(|at| self.0[at / 4].to_le_bytes()[at % 4])
    }

    /// From bytes, lane 0 first; those that are missing are 0.
    pub(super) fn of_bytes(bytes: &[u8]) -> Vector {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
        Vector::from_fn(|lane| {
            u32::from_le_bytes(std::array::from_fn(|within| byte(lane * 4 + within)))
        })
    }
}

/// The flags that signed conditions are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) zero: bool,
    pub(super) sign: bool,
    pub(super) overflow: bool,
}

impl Flags {
    /// Of a result, and whether it is none of 64 bits with a sign.
    pub(super) fn of(result: u64, overflow: bool) -> Flags {
        Flags {
            zero: result == 0,
            sign: (result as i64) < 0,
            overflow,
        }
    }
}

/// What the flags can say of two signed integers that were compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    GreaterEqual,
    Greater,
}

impl Condition {
    /// That of a jump, a move or a set.
    pub(super) fn of(mnemonic: Mnemonic) -> Option<Condition> {
        Some(match mnemonic {
            Mnemonic::Je | Mnemonic::Cmove | Mnemonic::Sete => Condition::Equal,
            Mnemonic::Jne | Mnemonic::Cmovne | Mnemonic::Setne => Condition::NotEqual,
            Mnemonic::Jl | Mnemonic::Cmovl | Mnemonic::Setl => Condition::Less,
            Mnemonic::Jle | Mnemonic::Cmovle | Mnemonic::Setle => Condition::LessEqual,
            Mnemonic::Jge | Mnemonic::Cmovge | Mnemonic::Setge => Condition::GreaterEqual,
            Mnemonic::Jg | Mnemonic::Cmovg | Mnemonic::Setg => Condition::Greater,
            _ => return None,
        })
    }

    fn holds(self, flags: Flags) -> bool {
        let less = flags.sign != flags.overflow;
        match self {
            Condition::Equal => flags.zero,
            Condition::NotEqual => !flags.zero,
            Condition::Less => less,
            Condition::LessEqual => less || flags.zero,
            Condition::GreaterEqual => !less,
            Condition::Greater => !less && !flags.zero,
        }
    }
}

/// What a register holds before it is written: no pointer, as a float a NaN that no arithmetic makes.
const UNWRITTEN: u32 = 0x7f8b_ad00;

/// The state of a processor that runs one function.
pub(super) struct Processor {
    pub(super) general: [u64; 16],
    pub(super) vectors: [Vector; 32],
    pub(super) masks: [u64; 8],
    /// `None` where the manual calls them undefined.
    pub(super) flags: Option<Flags>,
}

impl Processor {
    /// A processor whose registers hold nothing of use.
    ///
    /// # Safety
    /// It reads and writes the memory that the code it is given names: whoever makes one vouches that all of that
    /// memory may be read and written so.
    pub(super) unsafe fn new() -> Processor {
        Processor {
            general: std::array::from_fn(Processor::unwritten),
            vectors: [Vector([UNWRITTEN; LANES]); 32],
            masks: [0x5a5a; 8],
            flags: None,
        }
    }

    /// What a general register holds at first: an address that no process has.
    pub(super) fn unwritten(number: usize) -> u64 {
        (u64::from(UNWRITTEN) << 32) | number as u64
    }

    /// Whether a condition holds by the flags.
    pub(super) fn holds(&self, condition: Condition) -> Result<bool, Fault> {
        let flags = self.flags.ok_or(Fault::Flags)?;
        Ok(condition.holds(flags))
    }
}
