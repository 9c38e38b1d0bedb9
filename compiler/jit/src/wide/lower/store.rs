//! Stores.

use dlm_core::loops::{Address, Element, Type, Value};

use super::super::machine::{First, Inst, Memory, Op, Operand, Width};
use super::super::ops::VectorOp;
use super::{Lower, Lowered};

/// `vpshufb`: the low byte of each of four words, then zeros.
const LOW_BYTES: [u8; 16] = [
    0, 4, 8, 12, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
];

impl Lower<'_> {
    pub(super) fn store(&mut self, address: &Address, value: Value, stride: i64) -> Lowered<()> {
        let lanes = self.lanes(value);
        let element = self.kernel.buffers[address.buffer].element;
        let words = matches!(element, Element::F32 | Element::I32);
        let step = stride.wrapping_mul(element.bytes() as i64);
        let memory = self.memory(address, step.saturating_mul(i64::from(lanes)))?;
        let width = self.width(value);
        let parts = self.whole_lanes(value);
        if stride != 1 && lanes > 1 {
            let size = element.bytes() as i32;
            self.store_strided(&parts, width, lanes, (memory, step as i32, size));
            return Ok(());
        }
        for (part, &source) in parts.iter().enumerate() {
            let mut memory = memory;
            let bytes = width.bytes() as i32 / 4 * element.bytes() as i32;
            memory.displacement += part as i32 * bytes;
            let lanes = lanes / parts.len() as u8;
            match words {
                true => self.store_words(memory, source, width, lanes),
                false if element == Element::Bf16 => {
                    self.store_halves(memory, source, width, lanes);
                }
                false => self.store_bytes(memory, source, width, lanes),
            }
        }
        Ok(())
    }

    /// The parts of a value as words: a mask as 1 and 0.
    fn whole_lanes(&mut self, value: Value) -> Vec<Operand> {
        let width = self.width(value);
        let mask = matches!(self.ty(value), Type::Mask(_));
        (0..self.part_count(value))
            .map(|part| match mask {
                false => self.source(value, part),
                true => {
                    let whole = self.mask_vector(value, part, width);
                    let sources = [whole, Operand::Immediate(31)];
                    self.fresh_with(VectorOp::ShiftRight, width, &sources)
                }
            })
            .collect()
    }

    pub(super) fn write(
        &mut self,
        op: VectorOp,
        width: Width,
        memory: Memory,
        sources: &[Operand],
    ) {
        let to = Operand::Memory(memory);
        let mut inst = Inst::new(Op::Vector(op, width), First::Reads, &[to]);
        inst.operands.extend_from_slice(sources);
        self.push(inst);
    }

    fn store_words(&mut self, memory: Memory, source: Operand, width: Width, lanes: u8) {
        let op = match lanes {
            1 => VectorOp::StoreOne,
            2 => VectorOp::StoreTwo,
            _ => VectorOp::Store,
        };
        self.write(op, width, memory, &[source]);
    }

    fn store_bytes(&mut self, memory: Memory, source: Operand, width: Width, lanes: u8) {
        let first = Operand::Immediate(0);
        if lanes == 1 {
            return self.write(VectorOp::ExtractByte, Width::X, memory, &[source, first]);
        }
        if self.features.avx512 && lanes >= 4 {
            return self.write(VectorOp::NarrowBytes, width, memory, &[source]);
        }
        let packed = self.pack_bytes(source, width);
        match lanes {
            2 => self.write(
                VectorOp::ExtractTwoBytes,
                Width::X,
                memory,
                &[packed, first],
            ),
            4 => self.write(VectorOp::StoreOne, Width::X, memory, &[packed]),
            _ => self.write(VectorOp::StoreTwo, Width::X, memory, &[packed]),
        }
    }

    /// The low bytes of up to 8 words, one after the other.
    fn pack_bytes(&mut self, source: Operand, width: Width) -> Operand {
        let entry = self.program.pool.add(LOW_BYTES.to_vec());
        let order = Operand::Memory(Memory::at(super::super::machine::Base::Pool(entry)));
        let low = super::reduce::narrowed(source, Width::X);
        let low = self.fresh_with(VectorOp::ShuffleBytes, Width::X, &[low, order]);
        if width == Width::X {
            return low;
        }
        let high = self.quarter(source, width, 1);
        let high = self.fresh_with(VectorOp::ShuffleBytes, Width::X, &[high, order]);
        self.fresh_with(VectorOp::UnpackLow, Width::X, &[low, high])
    }

    /// Lane by lane: `(first, bytes from one to the next, bytes of each)`.
    fn store_strided(
        &mut self,
        parts: &[Operand],
        width: Width,
        lanes: u8,
        (memory, step, size): (Memory, i32, i32),
    ) {
        let in_part = usize::from(lanes) / parts.len();
        for lane in (0..usize::from(lanes)).step_by(4) {
            let source = parts[lane / in_part];
            let quarter = self.quarter(source, width, (lane % in_part / 4) as u8);
            for within in 0..in_part.min(4) {
                let mut at = memory;
                at.displacement += (lane + within) as i32 * step;
                self.store_lane(at, quarter, within as i64, size);
            }
        }
    }

    fn store_lane(&mut self, memory: Memory, quarter: Operand, lane: i64, size: i32) {
        let number = |lane| Operand::Immediate(lane);
        match (size, lane) {
            (4, 0) => self.write(VectorOp::StoreOne, Width::X, memory, &[quarter]),
            (4, _) => self.write(
                VectorOp::ExtractWord,
                Width::X,
                memory,
                &[quarter, number(lane)],
            ),
            (2, _) => {
                let sources = [quarter, number(lane * 2)];
                self.write(VectorOp::ExtractTwoBytes, Width::X, memory, &sources);
            }
            _ => {
                let sources = [quarter, number(lane * 4)];
                self.write(VectorOp::ExtractByte, Width::X, memory, &sources);
            }
        }
    }
}
