//! A processor in software, so that code for vectors that this machine does not have can be run and tested on it.
//!
//! [`Interpreted`] takes the machine code of [`wide::assemble`](crate::wide::assemble), decodes it once and executes it
//! instruction by instruction: AVX2, FMA and AVX-512 F, VL, DQ and BW as far as the wide emitter uses them, with the
//! results that a processor gives, to the bit, and with accesses of memory that really happen. What it has no meaning for
//! is an error when code is decoded, and what no processor would run, such as an aligned move to another address, stops
//! it. One file for each kind of instruction holds a table of names and a function for each.

mod arithmetic;
mod code;
mod compare;
mod convert;
mod entry;
mod error;
mod floats;
mod integer;
mod masks;
mod memory;
mod moves;
mod operands;
mod registers;
mod shuffle;
#[cfg(test)]
mod tests;

pub use self::code::Interpreted;
pub use self::error::{Fault, Stopped, Unknown};

pub(crate) use self::entry::trampoline;

use self::operands::Operands;
use self::registers::Processor;

/// What execution of an instruction gives.
type Done = Result<(), Fault>;

/// Executes an instruction.
type Execute = fn(&mut Processor, &Operands) -> Done;
