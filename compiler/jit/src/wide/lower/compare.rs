//! Comparisons, selections and masks: in k registers with AVX-512, else in vectors.

use dlm_core::loops::{Comparison, Type, Value, VectorBinary as B};

use super::super::machine::{First, Inst, Op, Operand, Reg, Width};
use super::super::ops::VectorOp;
use super::operands::{mask, vector};
use super::{Constant, Lower, Place};

/// Predicates of `vcmpps` that raise nothing on quiet NaN.
const UNORDERED: i64 = 3;
const ORDERED: i64 = 7;

fn float_predicate(comparison: Comparison) -> i64 {
    match comparison {
        Comparison::Eq => 0,
        Comparison::Ne => 4,
        Comparison::Lt => 0x11,
        Comparison::Le => 0x12,
        Comparison::Gt => 0x1e,
        Comparison::Ge => 0x1d,
    }
}

/// Predicates of `vpcmpd`.
fn int_predicate(comparison: Comparison) -> i64 {
    match comparison {
        Comparison::Eq => 0,
        Comparison::Lt => 1,
        Comparison::Le => 2,
        Comparison::Ne => 4,
        Comparison::Ge => 5,
        Comparison::Gt => 6,
    }
}

impl Lower<'_> {
    pub(super) fn compare(&mut self, value: Value, comparison: Comparison, a: Value, b: Value) {
        let float = matches!(self.ty(a), Type::F32(_));
        let width = self.width(a);
        for part in 0..self.part_count(a) {
            let to = self.storage_registers(value)[part];
            match (self.k_masks(), float) {
                (true, true) => {
                    let predicate = float_predicate(comparison);
                    let [a, b] = self.pair(VectorOp::CompareMask, a, b, part);
                    let sources = [a, b, Operand::Immediate(predicate)];
                    self.vector(VectorOp::CompareMask, width, mask(to), &sources);
                }
                (true, false) => {
                    let predicate = int_predicate(comparison);
                    let [a, b] = self.pair(VectorOp::IntCompareMask, a, b, part);
                    let sources = [a, b, Operand::Immediate(predicate)];
                    self.vector(VectorOp::IntCompareMask, width, mask(to), &sources);
                }
                (false, true) => {
                    let predicate = float_predicate(comparison);
                    let [a, b] = self.pair(VectorOp::CompareVector, a, b, part);
                    let sources = [a, b, Operand::Immediate(predicate)];
                    let to = vector(to, width);
                    self.vector(VectorOp::CompareVector, width, to, &sources);
                }
                (false, false) => self.compare_ints(to, width, comparison, [a, b], part),
            }
        }
        self.target(value);
    }

    fn pair(&mut self, op: VectorOp, a: Value, b: Value, part: usize) -> [Operand; 2] {
        let first = self.source(a, part);
        let second = match a == b {
            true => first,
            false => self.last_source(op, b, part),
        };
        [first, second]
    }

    /// AVX2 compares integers for equal and greater only.
    fn compare_ints(
        &mut self,
        to: Reg,
        width: Width,
        comparison: Comparison,
        [a, b]: [Value; 2],
        part: usize,
    ) {
        let (op, a, b, negate) = match comparison {
            Comparison::Eq => (VectorOp::EqualVector, a, b, false),
            Comparison::Ne => (VectorOp::EqualVector, a, b, true),
            Comparison::Gt => (VectorOp::GreaterVector, a, b, false),
            Comparison::Le => (VectorOp::GreaterVector, a, b, true),
            Comparison::Lt => (VectorOp::GreaterVector, b, a, false),
            Comparison::Ge => (VectorOp::GreaterVector, b, a, true),
        };
        let sources = self.pair(op, a, b, part);
        let to = vector(to, width);
        match negate {
            false => self.vector(op, width, to, &sources),
            true => {
                let found = self.fresh_with(op, width, &sources);
                let ones = self.word(VectorOp::Xor, u32::MAX, width);
                self.vector(VectorOp::Xor, width, to, &[found, ones]);
            }
        }
    }

    /// Where a float is NaN.
    pub(super) fn unordered(&mut self, a: Operand, width: Width) -> Operand {
        self.float_test(a, a, UNORDERED, width)
    }

    /// Where a float is not NaN.
    pub(super) fn ordered(&mut self, a: Operand, width: Width) -> Operand {
        self.float_test(a, a, ORDERED, width)
    }

    /// Where `a >= b`.
    pub(super) fn at_least(&mut self, a: Operand, b: Operand, width: Width) -> Operand {
        self.float_test(a, b, float_predicate(Comparison::Ge), width)
    }

    fn float_test(&mut self, a: Operand, b: Operand, predicate: i64, width: Width) -> Operand {
        let sources = [a, b, Operand::Immediate(predicate)];
        match self.k_masks() {
            true => {
                let to = mask(self.program.mask());
                self.vector(VectorOp::CompareMask, width, to, &sources);
                to
            }
            false => self.fresh_with(VectorOp::CompareVector, width, &sources),
        }
    }

    /// `to = mask ? if_set : otherwise`; `if_set` may be memory.
    pub(super) fn blend(
        &mut self,
        to: Reg,
        width: Width,
        mask: Operand,
        if_set: Operand,
        otherwise: Operand,
    ) {
        let to = vector(to, width);
        match mask {
            Operand::Register(k, super::super::machine::View::Mask) => {
                let op = Op::Vector(VectorOp::BlendMask, width);
                let mut inst = Inst::new(op, First::Writes, &[to, otherwise, if_set]);
                inst.mask = Some((k, false));
                self.push(inst);
            }
            _ => self.vector(VectorOp::BlendVector, width, to, &[otherwise, if_set, mask]),
        }
    }

    pub(super) fn select(&mut self, value: Value, condition: Value, a: Value, b: Value) {
        if matches!(self.ty(value), Type::Mask(_)) {
            return self.select_masks(value, condition, a, b);
        }
        let zero = matches!(self.places[b], Place::Constant(Constant::Word(0)));
        let op = match self.k_masks() {
            true => VectorOp::BlendMask,
            false => VectorOp::BlendVector,
        };
        let width = self.width(value);
        for part in 0..self.part_count(value) {
            let condition = self.source(condition, part);
            if zero {
                self.keep_where(value, condition, a, part);
                continue;
            }
            let otherwise = self.source(b, part);
            let if_set = self.last_source(op, a, part);
            let to = self.storage_registers(value)[part];
            self.blend(to, width, condition, if_set, otherwise);
        }
        self.target(value);
    }

    /// `a` where the mask is set, else 0.
    fn keep_where(&mut self, value: Value, condition: Operand, a: Value, part: usize) {
        let width = self.width(value);
        let to = self.storage_registers(value)[part];
        match condition {
            Operand::Register(k, super::super::machine::View::Mask) => {
                let source = self.last_source(VectorOp::MoveMasked, a, part);
                self.move_where(to, width, k, source);
            }
            _ => {
                let source = self.last_source(VectorOp::And, a, part);
                let to = vector(to, width);
                self.vector(VectorOp::And, width, to, &[condition, source]);
            }
        }
    }

    /// `to = k ? source : 0`, with AVX-512.
    pub(super) fn move_where(&mut self, to: Reg, width: Width, k: Reg, source: Operand) {
        let op = Op::Vector(VectorOp::MoveMasked, width);
        let mut inst = Inst::new(op, First::Writes, &[vector(to, width), source]);
        inst.mask = Some((k, true));
        self.push(inst);
    }

    fn select_masks(&mut self, value: Value, condition: Value, a: Value, b: Value) {
        let width = self.width(value);
        for part in 0..self.mask_parts(value) {
            let condition = self.source(condition, part);
            let (a, b) = (self.source(a, part), self.source(b, part));
            let to = self.storage_registers(value)[part];
            if !self.k_masks() {
                self.blend(to, width, condition, a, b);
                continue;
            }
            let set = mask(self.program.mask());
            self.vector(VectorOp::MaskAnd, Width::X, set, &[condition, a]);
            let clear = mask(self.program.mask());
            self.vector(VectorOp::MaskAndNot, Width::X, clear, &[condition, b]);
            self.vector(VectorOp::MaskOr, Width::X, mask(to), &[set, clear]);
        }
        self.target(value);
    }

    /// How many registers a mask takes.
    pub(super) fn mask_parts(&self, value: Value) -> usize {
        match self.k_masks() {
            true => 1,
            false => self.part_count(value),
        }
    }

    pub(super) fn mask_not(&mut self, value: Value, a: Value) {
        let width = self.width(value);
        for part in 0..self.mask_parts(value) {
            let source = self.source(a, part);
            let to = self.storage_registers(value)[part];
            match self.k_masks() {
                true => self.vector(VectorOp::MaskNot, Width::X, mask(to), &[source]),
                false => {
                    let ones = self.word(VectorOp::Xor, u32::MAX, width);
                    self.vector(VectorOp::Xor, width, vector(to, width), &[source, ones]);
                }
            }
        }
        self.target(value);
    }

    pub(super) fn mask_binary(&mut self, value: Value, op: B, a: Value, b: Value) {
        let k = self.k_masks();
        let op = match (op, k) {
            (B::MaskAnd, true) => VectorOp::MaskAnd,
            (B::MaskOr, true) => VectorOp::MaskOr,
            (_, true) => VectorOp::MaskXor,
            (B::MaskAnd, false) => VectorOp::And,
            (B::MaskOr, false) => VectorOp::Or,
            (_, false) => VectorOp::Xor,
        };
        let width = if k { Width::X } else { self.width(value) };
        for part in 0..self.mask_parts(value) {
            let sources = [self.source(a, part), self.source(b, part)];
            let to = self.storage_registers(value)[part];
            let to = self.program.whole(to);
            self.vector(op, width, to, &sources);
        }
        self.target(value);
    }
}
