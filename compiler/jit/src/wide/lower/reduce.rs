//! From all lanes to one.

use dlm_core::loops::{Type, Value};

use super::super::machine::{Operand, Width};
use super::super::ops::VectorOp;
use super::Lower;
use super::operands::{mask, vector};

/// `vpshufd`: lanes 2 and 3 to 0 and 1.
const UPPER_PAIR: i64 = 0b_00_00_11_10;
/// `vpshufd`: lane 1 to 0.
const SECOND: i64 = 0b_00_00_00_01;

impl Lower<'_> {
    /// Adds the upper half to the lower until one lane is left.
    pub(super) fn reduce_add(&mut self, value: Value, a: Value) {
        let op = match self.ty(a) {
            Type::F32(_) => VectorOp::Add,
            _ => VectorOp::IntAdd,
        };
        let lanes = self.lanes(a);
        let mut sum = self.fold_to_quarter(op, a);
        for (from_lanes, order) in [(4, UPPER_PAIR), (2, SECOND)] {
            if lanes >= from_lanes {
                let upper = [sum, Operand::Immediate(order)];
                let upper = self.fresh_with(VectorOp::Shuffle, Width::X, &upper);
                sum = self.fresh_with(op, Width::X, &[sum, upper]);
            }
        }
        let to = self.target(value)[0];
        self.copy(to, sum);
    }

    /// The sums in an xmm register, of at most 4 lanes.
    fn fold_to_quarter(&mut self, op: VectorOp, a: Value) -> Operand {
        let mut sum = self.source(a, 0);
        let mut width = self.width(a);
        if self.part_count(a) == 2 {
            let upper = self.source(a, 1);
            sum = self.fresh_with(op, width, &[sum, upper]);
        }
        while width != Width::X {
            let (narrow, extract) = match width {
                Width::Z => (Width::Y, VectorOp::ExtractHalf),
                _ => (Width::X, VectorOp::ExtractQuarter),
            };
            let upper = self.temporary(narrow);
            let sources = [sum, Operand::Immediate(1)];
            self.vector(extract, width, upper, &sources);
            let lower = narrowed(sum, narrow);
            sum = self.fresh_with(op, narrow, &[lower, upper]);
            width = narrow;
        }
        sum
    }

    pub(super) fn extract(&mut self, value: Value, a: Value, lane: u8) {
        if matches!(self.ty(a), Type::Mask(_)) && self.k_masks() {
            let source = self.source(a, 0);
            let to = mask(self.target(value)[0]);
            let sources = [source, Operand::Immediate(i64::from(lane))];
            return self.vector(VectorOp::MaskShiftRight, Width::X, to, &sources);
        }
        let quarter = self.quarter_of(a, lane);
        let to = self.target(value)[0];
        match lane % 4 {
            0 => self.copy(to, quarter),
            within => {
                let sources = [quarter, Operand::Immediate(i64::from(within))];
                self.vector(VectorOp::Shuffle, Width::X, vector(to, Width::X), &sources);
            }
        }
    }

    /// The four lanes around `lane`, as an xmm register.
    pub(super) fn quarter_of(&mut self, a: Value, lane: u8) -> Operand {
        let width = self.width(a);
        let lanes = (width.bytes() / 4) as u8;
        let source = self.source(a, usize::from(lane / lanes));
        self.quarter(source, width, lane % lanes / 4)
    }

    /// Four lanes of a register, counted in fours.
    pub(super) fn quarter(&mut self, source: Operand, width: Width, quarter: u8) -> Operand {
        if quarter == 0 {
            return narrowed(source, Width::X);
        }
        let to = self.temporary(Width::X);
        let sources = [source, Operand::Immediate(i64::from(quarter))];
        self.vector(VectorOp::ExtractQuarter, width, to, &sources);
        to
    }
}

/// The low lanes of a vector register.
pub(super) fn narrowed(source: Operand, width: Width) -> Operand {
    match source {
        Operand::Register(reg, _) => vector(reg, width),
        other => other,
    }
}
