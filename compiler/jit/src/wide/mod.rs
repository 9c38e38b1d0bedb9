//! The wide emitter: loop IR to x86-64 machine code with vectors of 256 and 512 bits.
//!
//! [`assemble`] makes a function `unsafe extern "C" fn(*const u64)` of the System V convention from a kernel whose
//! functions are expanded. Its argument is the address of a block with a pointer for each buffer, then the scalars.
//! The steps: [`storage`] finds values that share a register, [`lower`] chooses instructions, [`allocate`] assigns
//! registers, [`unroll`] repeats rounds of short sums, [`encode`] writes bytes. Code is independent of where it is placed, but
//! for its alignment.

mod allocate;
mod encode;
mod features;
mod lower;
mod machine;
mod ops;
mod pool;
mod storage;
mod unroll;

use dlm_core::loops::{Kernel, MathOp};
use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};

pub use self::features::Features;

/// What bytes of [`MachineCode`] are to be aligned to.
pub const ALIGNMENT: u64 = 64;

/// A kernel as machine code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineCode {
    /// Instructions, then the constants they read. The entry is the first byte; to be placed at a multiple of
    /// [`ALIGNMENT`].
    pub bytes: Vec<u8>,
    /// How many bytes are instructions.
    pub code_bytes: usize,
    /// Instructions that load or store what found no register, by the depth of loops around them.
    pub spills: Vec<u32>,
}

/// Why a kernel has no wide code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WideError {
    /// The kernel holds what this emitter does not make.
    #[error("kernel `{kernel}`: {what}")]
    Unsupported {
        /// The kernel's name.
        kernel: String,
        /// What it holds.
        what: Unsupported,
    },
    /// Registers could not be assigned: a fault of the emitter.
    #[error("no assignment of registers was found")]
    Registers,
    /// An instruction could not be encoded: a fault of the emitter.
    #[error("no encoding: {0}")]
    Encoding(String),
}

/// What this emitter does not make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// A function that `expand_math` should have rewritten.
    #[error("`{}` is not expanded", .0.name())]
    Math(MathOp),
    /// Products of pairs where the processor has no instruction for them: `expand_pairs` should have rewritten them.
    #[error("products of pairs are not written out")]
    Pairs,
    /// A division by what is no positive constant.
    #[error("the divisor is no positive constant")]
    Divisor,
    /// A place more than two gigabytes away from its neighbours in one load or store.
    #[error("lanes lie too far apart")]
    FarOffset,
}

impl Unsupported {
    fn of(self, kernel: &Kernel) -> WideError {
        WideError::Unsupported {
            kernel: kernel.name.clone(),
            what: self,
        }
    }
}

/// Makes the machine code of `kernel`, in which no function is left to expand.
///
/// # Errors
/// Where the kernel holds what has no machine code here; a fault of this emitter is an error too, so that a caller can
/// take another.
pub fn assemble(kernel: &Kernel, features: Features) -> Result<MachineCode, WideError> {
    let mut program = lower::lower(kernel, features)?;
    let allocation = allocate::allocate(&mut program, features)?;
    unroll::unroll(&mut program);
    let encoded = encode::encode(&program, &allocation)?;
    Ok(MachineCode {
        bytes: encoded.bytes,
        code_bytes: encoded.code,
        spills: allocation.spills,
    })
}

/// The instructions as text, one on each line, in Intel's notation, with their offsets.
pub fn disassemble(code: &MachineCode) -> String {
    let bytes = &code.bytes[..code.code_bytes];
    let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    let mut formatter = IntelFormatter::new();
    let mut text = String::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        text += &format!("{:6x}  ", instruction.ip());
        formatter.format(&instruction, &mut text);
        text.push('\n');
    }
    text
}
