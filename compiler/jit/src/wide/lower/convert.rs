//! Conversions between kinds of lanes, and between lanes and indices.

use dlm_core::loops::{Type, Value};
use iced_x86::Code;

use super::super::machine::{First, Inst, Op, Operand, Reg, Width};
use super::super::ops::VectorOp;
use super::Lower;
use super::operands::{general, mask, vector, word};

/// 2^31, the least float that is too large for i32.
const TOO_LARGE: u32 = 0x4f00_0000;

impl Lower<'_> {
    /// The machine's conversion gives the least integer for what does not fit.
    pub(super) fn truncate(&mut self, value: Value, a: Value) {
        let width = self.width(value);
        for part in 0..self.part_count(value) {
            let source = self.source(a, part);
            let converted = self.fresh_with(VectorOp::ToInt, width, &[source]);
            let bound_op = match self.k_masks() {
                true => VectorOp::CompareMask,
                false => VectorOp::CompareVector,
            };
            let bound = self.word(bound_op, TOO_LARGE, width);
            let large = self.at_least(source, bound, width);
            let number = self.ordered(source, width);
            let to = self.storage_registers(value)[part];
            self.saturate(to, width, converted, large, number);
        }
        self.target(value);
    }

    /// All of `converted` flipped where `large`, 0 where not `number`.
    fn saturate(
        &mut self,
        to: Reg,
        width: Width,
        converted: Operand,
        large: Operand,
        number: Operand,
    ) {
        match (large, number, self.k_masks()) {
            (Operand::Register(large, _), Operand::Register(number, _), true) => {
                let limit = i32::MAX as u32;
                let limited = self.program.vector(width);
                let limit = Operand::Memory(self.word_memory(limit, width, true));
                self.blend(limited, width, mask(large), limit, converted);
                self.move_where(to, width, number, vector(limited, width));
            }
            _ => {
                let flipped = self.fresh_with(VectorOp::Xor, width, &[converted, large]);
                self.vector(VectorOp::And, width, vector(to, width), &[flipped, number]);
            }
        }
    }

    pub(super) fn mask_to_int(&mut self, value: Value, a: Value) {
        let width = self.width(value);
        for part in 0..self.part_count(value) {
            let whole = self.mask_vector(a, part, width);
            let to = vector(self.storage_registers(value)[part], width);
            let by = Operand::Immediate(31);
            self.vector(VectorOp::ShiftRight, width, to, &[whole, by]);
        }
        self.target(value);
    }

    /// One part of a mask as a vector of all ones or zeros.
    pub(super) fn mask_vector(&mut self, a: Value, part: usize, width: Width) -> Operand {
        let source = self.source(a, part);
        match self.k_masks() {
            true => self.fresh_with(VectorOp::MaskToVector, width, &[source]),
            false => source,
        }
    }

    pub(super) fn int_to_mask(&mut self, value: Value, a: Value) {
        let width = self.width(a);
        for part in 0..self.part_count(a) {
            let source = self.source(a, part);
            let to = self.storage_registers(value)[part];
            if self.k_masks() {
                self.vector(VectorOp::TestMask, width, mask(to), &[source, source]);
                continue;
            }
            let zero = self.word(VectorOp::EqualVector, 0, width);
            let clear = self.fresh_with(VectorOp::EqualVector, width, &[source, zero]);
            let ones = self.word(VectorOp::Xor, u32::MAX, width);
            self.vector(VectorOp::Xor, width, vector(to, width), &[clear, ones]);
        }
        self.target(value);
    }

    pub(super) fn splat(&mut self, value: Value, a: Value) {
        if matches!(self.ty(a), Type::Mask(_)) && self.k_masks() {
            return self.splat_mask(value, a);
        }
        let width = self.width(value);
        let source = self.register(a, 0);
        for to in self.splat_target(value) {
            let source = vector(source, Width::X);
            self.vector(VectorOp::Broadcast, width, vector(to, width), &[source]);
        }
    }

    fn splat_mask(&mut self, value: Value, a: Value) {
        let width = self.width(value);
        let source = self.mask_vector(a, 0, Width::X);
        let all = self.fresh_with(VectorOp::Broadcast, width, &[source]);
        let to = mask(self.storage_registers(value)[0]);
        self.vector(VectorOp::VectorToMask, width, to, &[all]);
        self.target(value);
    }

    pub(super) fn index_to_int(&mut self, value: Value, a: Value) {
        let width = self.width(value);
        let index = self.register(a, 0);
        let one = self.temporary(Width::X);
        self.vector(VectorOp::FromGeneral, Width::X, one, &[word(index)]);
        for to in self.splat_target(value) {
            self.vector(VectorOp::Broadcast, width, vector(to, width), &[one]);
        }
    }

    pub(super) fn int_to_index(&mut self, value: Value, a: Value) {
        let source = self.register(a, 0);
        let low = self.program.general();
        let sources = [vector(source, Width::X)];
        self.vector(VectorOp::ToGeneral, Width::X, word(low), &sources);
        let to = self.storage_registers(value)[0];
        let op = Op::General(Code::Movsxd_r64_rm32);
        self.push(Inst::new(op, First::Writes, &[general(to), word(low)]));
        self.target(value);
    }

    pub(super) fn iota(&mut self, value: Value) {
        let width = self.width(value);
        let lanes = width.bytes() / 4;
        for part in 0..self.part_count(value) {
            let first = part as u32 * lanes;
            let numbers = (first..first + lanes).flat_map(u32::to_le_bytes).collect();
            let entry = self.program.pool.add(numbers);
            let memory =
                super::super::machine::Memory::at(super::super::machine::Base::Pool(entry));
            let to = self.storage_registers(value)[part];
            self.copy(to, Operand::Memory(memory));
        }
        self.target(value);
    }
}
