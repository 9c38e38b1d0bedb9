//! Registers for virtual registers: linear scan over live intervals; what finds none lives in the frame.
//!
//! Where some are spilled, the code is rewritten to load and store them around each use, and the scan runs again:
//! no register is set apart for spills.

mod intervals;
mod scan;
mod spill;

use cranelift_entity::SecondaryMap;

use self::intervals::Intervals;
use super::WideError;
use super::features::Features;
use super::machine::{Program, Reg};

/// Scans before giving up; two or three are usual.
const ROUNDS: usize = 32;

/// The machine's registers of a program.
pub(super) struct Allocation {
    /// By virtual register: the number within its class.
    pub(super) registers: SecondaryMap<Reg, u8>,
    /// Bytes of spilled values.
    pub(super) frame: u32,
    /// Loads and stores of spilled values, by depth of loops.
    pub(super) spills: Vec<u32>,
}

/// Assigns a register to each virtual register of `program`, rewriting it where there are too few.
///
/// # Errors
/// Where spilling does not end, which no kernel is known to do.
pub(super) fn allocate(program: &mut Program, features: Features) -> Result<Allocation, WideError> {
    let mut spiller = spill::Spiller::default();
    for _ in 0..ROUNDS {
        let intervals = Intervals::of(program, &spiller.brief);
        let scanned = scan::scan(program, &intervals, features);
        if scanned.spilled.is_empty() {
            return Ok(Allocation {
                registers: scanned.registers,
                frame: spiller.frame,
                spills: spiller.counts,
            });
        }
        spiller.rewrite(program, &scanned.spilled);
    }
    Err(WideError::Registers)
}
