//! Reads and writes of memory, of as many bytes as the instruction names and no others.

use super::error::Fault;
use super::operands::{Address, Operand, Operands};
use super::registers::{LANES, Processor, Vector};

impl Processor {
    /// An address as a number.
    pub(super) fn place(&self, address: &Address) -> u64 {
        let general = |number: u8| self.general[usize::from(number)];
        let base = address.base.map_or(0, general);
        let index = address.index.map_or(0, |(number, scale)| {
            general(number).wrapping_mul(u64::from(scale))
        });
        base.wrapping_add(index).wrapping_add(address.displacement)
    }

    /// So many bytes at a place.
    pub(super) fn load<const BYTES: usize>(&self, place: u64) -> [u8; BYTES] {
        // SAFETY: whoever made the processor vouches for the memory that its code reads.
        unsafe { (place as *const [u8; BYTES]).read_unaligned() }
    }

    /// Writes bytes to a place.
    pub(super) fn store<const BYTES: usize>(&mut self, place: u64, bytes: [u8; BYTES]) {
        // SAFETY: whoever made the processor vouches for the memory that its code writes.
        unsafe { (place as *mut [u8; BYTES]).write_unaligned(bytes) }
    }

    /// 1, 2, 4 or 8 bytes, zero-extended.
    pub(super) fn load_integer(&self, place: u64, bytes: usize) -> Result<u64, Fault> {
        match bytes {
            1 => Ok(u64::from(self.load::<1>(place)[0])),
            2 => Ok(u64::from(u16::from_le_bytes(self.load(place)))),
            4 => Ok(u64::from(u32::from_le_bytes(self.load(place)))),
            8 => Ok(u64::from_le_bytes(self.load(place))),
            _ => Err(Fault::Operands),
        }
    }

    /// The low 1, 2, 4 or 8 bytes.
    pub(super) fn store_integer(
        &mut self,
        place: u64,
        bytes: usize,
        value: u64,
    ) -> Result<(), Fault> {
        match bytes {
            1 => self.store(place, [value as u8]),
            2 => self.store(place, (value as u16).to_le_bytes()),
            4 => self.store(place, (value as u32).to_le_bytes()),
            8 => self.store(place, value.to_le_bytes()),
            _ => return Err(Fault::Operands),
        }
        Ok(())
    }

    /// So many bytes as the low lanes of a vector, the others 0.
    #[inline(always)]
    pub(super) fn load_vector(&self, place: u64, bytes: usize) -> Result<Vector, Fault> {
        match bytes {
            4 => Ok(self.load_words::<1>(place)),
            8 => Ok(self.load_words::<2>(place)),
            16 => Ok(self.load_words::<4>(place)),
            32 => Ok(self.load_words::<8>(place)),
            64 => Ok(self.load_words::<16>(place)),
            _ => Err(Fault::Operands),
        }
    }

    #[inline(always)]
    fn load_words<const WORDS: usize>(&self, place: u64) -> Vector {
        // SAFETY: as for `load`.
        let words = unsafe { (place as *const [u32; WORDS]).read_unaligned() };
        let mut vector = Vector::ZERO;
        vector.0[..WORDS].copy_from_slice(&words.map(u32::from_le));
        vector
    }

    /// The low bytes of a vector.
    pub(super) fn store_vector(
        &mut self,
        place: u64,
        bytes: usize,
        vector: &Vector,
    ) -> Result<(), Fault> {
        match bytes {
            4 => self.store_words::<1>(place, vector),
            8 => self.store_words::<2>(place, vector),
            16 => self.store_words::<4>(place, vector),
            32 => self.store_words::<8>(place, vector),
            64 => self.store_words::<16>(place, vector),
            _ => return Err(Fault::Operands),
        }
        Ok(())
    }

    fn store_words<const WORDS: usize>(&mut self, place: u64, vector: &Vector) {
        let words: [u32; WORDS] = std::array::from_fn(|lane| vector.0[lane].to_le());
        // SAFETY: as for `store`.
        unsafe { (place as *mut [u32; WORDS]).write_unaligned(words) }
    }

    /// A vector operand: a register, memory as wide as the instruction's vectors, or one element for every lane.
    #[inline(always)]
    pub(super) fn vector(&self, operands: &Operands, at: usize) -> Result<Vector, Fault> {
        match operands.at(at) {
            Operand::Vector(number) => Ok(self.vectors[number]),
            Operand::Memory(address) if operands.is_plain() => {
                self.load_vector(self.place(&address), operands.lanes * 4)
            }
            Operand::Memory(address) => Ok(self.chosen_vector(operands, &address)),
            _ => Err(Fault::Operands),
        }
    }

    /// A vector in memory by mask, whose other lanes are not read, or of one element.
    fn chosen_vector(&self, operands: &Operands, address: &Address) -> Vector {
        let place = self.place(address);
        let asked = self.asked(operands);
        match operands.broadcast {
            true if asked == 0 => Vector::ZERO,
            true => Vector([u32::from_le_bytes(self.load(place)); LANES]),
            false => Vector::from_fn(|lane| match asked >> lane & 1 {
                0 => 0,
                _ => u32::from_le_bytes(self.load(place.wrapping_add(lane as u64 * 4))),
            }),
        }
    }

    /// A bit for each lane that the instruction writes.
    pub(super) fn asked(&self, operands: &Operands) -> u32 {
        let all = (1_u32 << operands.lanes) - 1;
        match operands.mask {
            None => all,
            Some(mask) => all & self.masks[mask] as u32,
        }
    }

    /// Writes a result to the register of the first operand: lanes that the mask leaves out stay or become 0, and those
    /// above the instruction's vectors become 0.
    #[inline(always)]
    pub(super) fn write(&mut self, operands: &Operands, result: Vector) -> Result<(), Fault> {
        let to = operands.vector(0)?;
        if operands.mask.is_none() && operands.lanes == LANES {
            self.vectors[to] = result;
            return Ok(());
        }
        self.write_some(operands, to, result);
        Ok(())
    }

    fn write_some(&mut self, operands: &Operands, to: usize, result: Vector) {
        let asked = self.asked(operands);
        let old = match operands.zeroing {
            true => Vector::ZERO,
            false => self.vectors[to],
        };
        self.vectors[to] = Vector::from_fn(|lane| match lane {
            lane if asked >> lane & 1 == 1 => result.0[lane],
            lane if lane < operands.lanes => old.0[lane],
            _ => 0,
        });
    }
}
