//! Elements of two bytes: a word for each in registers, zero-extended.

use dlm_core::loops::Value;
use iced_x86::Code;

use super::super::machine::{Base, First, Inst, Memory, Op, Operand, Width};
use super::super::ops::VectorOp;
use super::Lower;
use super::load::Pending;
use super::operands::{vector, word};
use super::reduce::narrowed;

/// Bits of an element; a float's upper half is the same number in bf16.
pub(super) const HALF: u8 = 16;

/// `vpshufb`: the low half of each of four words, then zeros.
const LOW_HALVES: [u8; 16] = [
    0, 1, 4, 5, 8, 9, 12, 13, 128, 128, 128, 128, 128, 128, 128, 128,
];

impl Lower<'_> {
    pub(super) fn load_halves(&mut self, value: Value, pending: &Pending) {
        let (lanes, width) = (self.lanes(value), self.width(value));
        let targets = match pending.splat {
            true => self.splat_target(value),
            false => self.target(value),
        };
        let low = (pending.splat || lanes < 4).then(|| {
            let code = match pending.splat {
                true => Code::Movzx_r32_rm16,
                false => Code::Mov_r32_rm32,
            };
            self.bytes_to_vector(code, pending.memory)
        });
        for (part, to) in targets.into_iter().enumerate() {
            let mut memory = pending.memory;
            memory.displacement += part as i32 * width.bytes() as i32 / 2;
            let whole = match low {
                Some(low) if lanes == 1 => low,
                Some(low) if pending.splat => self.fresh_with(VectorOp::Broadcast, width, &[low]),
                Some(low) => self.fresh_with(VectorOp::WidenHalves, width, &[low]),
                None => {
                    let memory = Operand::Memory(memory);
                    self.fresh_with(VectorOp::WidenHalves, width, &[memory])
                }
            };
            self.copy(to, whole);
        }
    }

    /// One element of two bytes as a float's bits in every lane: in both halves of each, of which the shift leaves one.
    pub(super) fn widen_half(&mut self, value: Value, memory: Memory) {
        let width = self.width(value);
        let both = self.fresh_with(VectorOp::BroadcastHalf, width, &[Operand::Memory(memory)]);
        for to in self.splat_target(value) {
            let by = Operand::Immediate(i64::from(HALF));
            self.vector(VectorOp::ShiftLeft, width, vector(to, width), &[both, by]);
        }
    }

    /// Up to four elements from lane `first` on, `step` bytes apart, as words.
    pub(super) fn strided_halves(
        &mut self,
        memory: Memory,
        step: i32,
        first: usize,
        count: usize,
    ) -> Operand {
        let at = |lane: usize| {
            let mut memory = memory;
            memory.displacement += (first + lane) as i32 * step;
            memory
        };
        let mut quarter = self.bytes_to_vector(Code::Movzx_r32_rm16, at(0));
        for lane in 1..count {
            let half = self.program.general();
            let sources = [word(half), Operand::Memory(at(lane))];
            let op = Op::General(Code::Movzx_r32_rm16);
            self.push(Inst::new(op, First::Writes, &sources));
            let sources = [quarter, word(half), Operand::Immediate(lane as i64)];
            quarter = self.fresh_with(VectorOp::InsertWord, Width::X, &sources);
        }
        quarter
    }

    pub(super) fn store_halves(
        &mut self,
        memory: Memory,
        source: Operand,
        width: Width,
        lanes: u8,
    ) {
        if lanes == 1 {
            let sources = [source, Operand::Immediate(0)];
            return self.write(VectorOp::ExtractTwoBytes, Width::X, memory, &sources);
        }
        if self.features.avx512 && lanes >= 4 {
            return self.write(VectorOp::NarrowHalves, width, memory, &[source]);
        }
        let packed = self.pack_halves(source, width);
        let op = match lanes {
            2 => VectorOp::StoreOne,
            4 => VectorOp::StoreTwo,
            _ => VectorOp::Store,
        };
        self.write(op, Width::X, memory, &[packed]);
    }

    /// The low halves of up to 8 words, one after the other.
    fn pack_halves(&mut self, source: Operand, width: Width) -> Operand {
        let entry = self.program.pool.add(LOW_HALVES.to_vec());
        let order = Operand::Memory(Memory::at(Base::Pool(entry)));
        let low = narrowed(source, Width::X);
        let low = self.fresh_with(VectorOp::ShuffleBytes, Width::X, &[low, order]);
        if width == Width::X {
            return low;
        }
        let high = self.quarter(source, width, 1);
        let high = self.fresh_with(VectorOp::ShuffleBytes, Width::X, &[high, order]);
        self.fresh_with(VectorOp::UnpackLowPairs, Width::X, &[low, high])
    }
}
