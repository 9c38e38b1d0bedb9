//! Arithmetic of lanes: one instruction for each part, mostly.

use dlm_core::loops::{Value, VectorBinary as B, VectorUnary as U};

use super::super::machine::{First, Operand, Reg, Width};
use super::super::ops::VectorOp;
use super::operands::vector;
use super::{Lower, Parts, Place};

/// Not to raise exceptions, towards nearest even.
const NEAREST: i64 = 8;
const DOWN: i64 = 9;
const UP: i64 = 10;

const SIGN: u32 = 0x8000_0000;

impl Lower<'_> {
    pub(super) fn unary(&mut self, value: Value, op: U, a: Value) {
        match op {
            U::Neg => self.with_word(VectorOp::Xor, value, a, SIGN),
            U::Abs => self.with_word(VectorOp::And, value, a, !SIGN),
            U::Sqrt => self.one_source(VectorOp::Sqrt, value, a, &[]),
            U::Floor => self.one_source(VectorOp::Round, value, a, &[Operand::Immediate(DOWN)]),
            U::Ceil => self.one_source(VectorOp::Round, value, a, &[Operand::Immediate(UP)]),
            U::Round => self.one_source(VectorOp::Round, value, a, &[Operand::Immediate(NEAREST)]),
            U::Not => self.mask_not(value, a),
            U::ToInt => self.truncate(value, a),
            U::ToFloat => self.one_source(VectorOp::ToFloat, value, a, &[]),
            U::BitsToFloat | U::FloatToBits => self.same_bits(value, a),
            U::MaskToInt => self.mask_to_int(value, a),
            U::IntToMask => self.int_to_mask(value, a),
        }
    }

    pub(super) fn binary(&mut self, value: Value, op: B, a: Value, b: Value) {
        let op = match op {
            B::Add => VectorOp::Add,
            B::Sub => VectorOp::Sub,
            B::Mul => VectorOp::Mul,
            B::Div => VectorOp::Div,
            B::MinSelect => VectorOp::Min,
            B::MaxSelect => VectorOp::Max,
            B::MinNan => return self.nan_first(VectorOp::Min, value, a, b),
            B::MaxNan => return self.nan_first(VectorOp::Max, value, a, b),
            B::IntAdd => VectorOp::IntAdd,
            B::IntSub => VectorOp::IntSub,
            B::IntMul => VectorOp::IntMul,
            B::IntAnd => VectorOp::And,
            B::IntOr => VectorOp::Or,
            B::IntXor => VectorOp::Xor,
            B::IntMin => VectorOp::IntMin,
            B::IntMax => VectorOp::IntMax,
            B::MaskAnd | B::MaskOr | B::MaskXor => return self.mask_binary(value, op, a, b),
        };
        self.two_sources(op, value, a, b);
    }

    /// `op` on one source, for each part.
    pub(super) fn one_source(&mut self, op: VectorOp, value: Value, a: Value, more: &[Operand]) {
        let width = self.width(value);
        for part in 0..self.distinct_parts(value, a) {
            let source = self.last_source(op, a, part);
            let to = vector(self.target_like(value, a)[part], width);
            let mut sources = vec![source];
            sources.extend_from_slice(more);
            self.vector(op, width, to, &sources);
        }
    }

    /// How many parts of `value` are to be computed from those of `a`: one where all lanes are equal.
    fn distinct_parts(&self, value: Value, a: Value) -> usize {
        match self.is_one_register(a) && !self.storage.is_shared(value) {
            true => 1,
            false => self.part_count(value),
        }
    }

    /// The registers to write `value` to, one for all parts where `a` has one.
    fn target_like(&mut self, value: Value, a: Value) -> Parts {
        match self.is_one_register(a) {
            true => self.splat_target(value),
            false => self.target(value),
        }
    }

    /// Whether a value of more than one part is one register for all.
    fn is_one_register(&self, value: Value) -> bool {
        let parts = &self.registers[self.storage.leader(value)];
        let placed = matches!(self.places[value], Place::Registers);
        placed && parts.len() > 1 && parts.iter().all(|part| *part == parts[0])
    }

    /// `op` on two sources, for each part.
    pub(super) fn two_sources(&mut self, op: VectorOp, value: Value, a: Value, b: Value) {
        let swap = commutes(op) && self.prefers_memory(a) && !self.prefers_memory(b);
        let (a, b) = if swap { (b, a) } else { (a, b) };
        let width = self.width(value);
        for part in 0..self.part_count(value) {
            let first = self.source(a, part);
            let second = match a == b {
                true => first,
                false => self.last_source(op, b, part),
            };
            let to = vector(self.target(value)[part], width);
            self.vector(op, width, to, &[first, second]);
        }
    }

    fn with_word(&mut self, op: VectorOp, value: Value, a: Value, word: u32) {
        let width = self.width(value);
        for part in 0..self.part_count(value) {
            let first = self.source(a, part);
            let second = self.word(op, word, width);
            let to = vector(self.target(value)[part], width);
            self.vector(op, width, to, &[first, second]);
        }
    }

    pub(super) fn shift(&mut self, op: VectorOp, value: Value, a: Value, by: u8) {
        if let Place::Pending(pending) = &self.places[a]
            && pending.half
        {
            let memory = pending.memory;
            return self.widen_half(value, memory);
        }
        self.one_source(op, value, a, &[Operand::Immediate(i64::from(by))]);
    }

    /// Another type's name for the same register content.
    fn same_bits(&mut self, value: Value, a: Value) {
        for part in 0..self.distinct_parts(value, a) {
            let source = self.last_source(VectorOp::Move, a, part);
            let to = self.target_like(value, a)[part];
            self.copy(to, source);
        }
    }

    /// The minimum or maximum, but `a` where it is NaN: the machine's takes `b` there.
    fn nan_first(&mut self, op: VectorOp, value: Value, a: Value, b: Value) {
        let width = self.width(value);
        for part in 0..self.part_count(value) {
            let first = self.source(a, part);
            let second = match a == b {
                true => first,
                false => self.last_source(op, b, part),
            };
            let least = self.temporary(width);
            self.vector(op, width, least, &[first, second]);
            let nan = self.unordered(first, width);
            let to = self.target(value)[part];
            self.blend(to, width, nan, first, least);
        }
    }

    pub(super) fn fma(&mut self, value: Value, a: Value, b: Value, c: Value) {
        let here = self.storage.leader(value);
        for operand in [a, b, c] {
            let waits = matches!(self.places[operand], Place::Pending(_));
            if waits && self.storage.leader(operand) == here {
                self.load_now(operand);
            }
        }
        let shares = |other: Value| self.storage.leader(other) == here;
        let (into, multiplier, rest) = if shares(c) {
            (c, a, b)
        } else if shares(a) {
            (a, b, c)
        } else if shares(b) {
            (b, a, c)
        } else {
            (c, a, b)
        };
        match into == c {
            true => self.add_product(VectorOp::Fma231, value, (multiplier, rest), c),
            false => self.fma_into_factor(value, into, multiplier, rest),
        }
    }

    /// Products of pairs, added to `c`; only it can share the result's storage, as the pairs are of another type.
    pub(super) fn dot_pairs(&mut self, value: Value, a: Value, b: Value, c: Value) {
        let waits = matches!(self.places[c], Place::Pending(_));
        if waits && self.storage.leader(c) == self.storage.leader(value) {
            self.load_now(c);
        }
        self.add_product(VectorOp::DotPairs, value, (a, b), c);
    }

    /// `c += a * b` in the storage of `value`, the product being that of `op`.
    fn add_product(&mut self, op: VectorOp, value: Value, (a, b): (Value, Value), c: Value) {
        let swap = self.prefers_memory(a) && !self.prefers_memory(b);
        let (a, b) = if swap { (b, a) } else { (a, b) };
        for part in 0..self.part_count(value) {
            let (first, second) = self.factors(op, part, a, b);
            let to = self.storage_registers(value)[part];
            self.bring(to, c, part);
            self.modify(op, to, &[first, second]);
        }
        self.target(value);
    }

    /// `a = a * b + c` in the storage of `value`.
    fn fma_into_factor(&mut self, value: Value, a: Value, b: Value, c: Value) {
        let op = VectorOp::Fma213;
        for part in 0..self.part_count(value) {
            let (first, second) = self.factors(op, part, b, c);
            let to = self.storage_registers(value)[part];
            self.bring(to, a, part);
            self.modify(op, to, &[first, second]);
        }
        self.target(value);
    }

    fn factors(&mut self, op: VectorOp, part: usize, a: Value, b: Value) -> (Operand, Operand) {
        let first = self.source(a, part);
        let second = match a == b {
            true => first,
            false => self.last_source(op, b, part),
        };
        (first, second)
    }

    /// One part of `value` to `to`, unless it is there.
    fn bring(&mut self, to: Reg, value: Value, part: usize) {
        let source = self.last_source(VectorOp::Move, value, part);
        if source != self.program.whole(to) {
            self.copy(to, source);
        }
    }

    fn modify(&mut self, op: VectorOp, to: Reg, sources: &[Operand]) {
        let width = self.program.regs[to].width;
        self.vector_as(op, width, First::Modifies, vector(to, width), sources);
    }

    /// A new register with `op` of two operands.
    pub(super) fn fresh_with(
        &mut self,
        op: VectorOp,
        width: Width,
        sources: &[Operand],
    ) -> Operand {
        let to = self.temporary(width);
        self.vector(op, width, to, sources);
        to
    }
}

fn commutes(op: VectorOp) -> bool {
    matches!(
        op,
        VectorOp::Add
            | VectorOp::Mul
            | VectorOp::And
            | VectorOp::Or
            | VectorOp::Xor
            | VectorOp::IntAdd
            | VectorOp::IntMul
            | VectorOp::IntMin
            | VectorOp::IntMax
    )
}
