//! From all lanes to one.

use dlm_core::loops::{Type, Value};

use super::super::machine::{Operand, Width};
use super::super::ops::VectorOp;
use super::Lower;
use super::operands::{mask, vector};

/// Sums whose halves are added together.
pub(super) const SUMS: usize = 4;
/// `vshuff32x4`: of either register the first and the third quarter, or the second and the fourth.
const EVEN_QUARTERS: i64 = 0b_10_00_10_00;
const ODD_QUARTERS: i64 = 0b_11_01_11_01;
/// The same of the upper halves, and of the upper quarters of registers of two.
const UPPER_HALVES: i64 = 0b_11_10_11_10;
const UPPER_QUARTERS: i64 = 0b_11;
/// `vperm2f128`: the upper quarter of either register.
const UPPER_QUARTERS_JOINED: i64 = 0x31;
/// `vpshufd`: lane 1 to 0, and lane 3 to 2.
const SECOND_OF_PAIRS: i64 = 0b_11_11_01_01;
/// `vpshufd`: lane 2 to 0.
const THIRD: i64 = 0b_00_00_00_10;
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

    /// Sums the lanes of four vectors of 8 or 16 lanes at once: each halving adds what is left of two of them, lane by lane as
    /// for one by itself.
    pub(super) fn reduce_add_four(&mut self, sums: &[(Value, Value)]) {
        let op = match self.ty(sums[0].1) {
            Type::F32(_) => VectorOp::Add,
            _ => VectorOp::IntAdd,
        };
        let width = self.width(sums[0].1);
        let whole: Vec<Operand> = sums.iter().map(|sum| self.one_part(op, sum.1)).collect();
        let found = match width {
            Width::Z => self.four_quarters(op, &whole),
            _ => self.four_pairs(op, &whole),
        };
        for (&(value, _), sum) in sums.iter().zip(found) {
            let to = self.target(value)[0];
            self.copy(to, sum);
        }
    }

    /// Both parts of a vector added, where it has two.
    fn one_part(&mut self, op: VectorOp, a: Value) -> Operand {
        let first = self.source(a, 0);
        if self.part_count(a) == 1 {
            return first;
        }
        let second = self.source(a, 1);
        let width = self.width(a);
        self.fresh_with(op, width, &[first, second])
    }

    /// Of four registers of 16 lanes.
    fn four_quarters(&mut self, op: VectorOp, of: &[Operand]) -> [Operand; SUMS] {
        let halves = |lower: &mut Self, a: Operand, b: Operand| {
            let second = [a, narrowed(b, Width::Y), Operand::Immediate(1)];
            let low = lower.fresh_with(VectorOp::InsertHalf, Width::Z, &second);
            let upper = [a, b, Operand::Immediate(UPPER_HALVES)];
            let high = lower.fresh_with(VectorOp::ShuffleQuarters, Width::Z, &upper);
            lower.fresh_with(op, Width::Z, &[low, high])
        };
        let (a, b) = (halves(self, of[0], of[1]), halves(self, of[2], of[3]));
        let [even, odd] = [EVEN_QUARTERS, ODD_QUARTERS].map(|order| {
            let sources = [a, b, Operand::Immediate(order)];
            self.fresh_with(VectorOp::ShuffleQuarters, Width::Z, &sources)
        });
        let mut sums = self.fresh_with(op, Width::Z, &[even, odd]);
        for order in [UPPER_PAIR, SECOND] {
            let upper = [sums, Operand::Immediate(order)];
            let upper = self.fresh_with(VectorOp::Shuffle, Width::Z, &upper);
            sums = self.fresh_with(op, Width::Z, &[sums, upper]);
        }
        std::array::from_fn(|quarter| self.quarter(sums, Width::Z, quarter as u8))
    }

    /// Of four registers of 8 lanes.
    fn four_pairs(&mut self, op: VectorOp, of: &[Operand]) -> [Operand; SUMS] {
        let quarters = |lower: &mut Self, a: Operand, b: Operand| {
            let second = [a, narrowed(b, Width::X), Operand::Immediate(1)];
            let low = lower.fresh_with(VectorOp::InsertQuarter, Width::Y, &second);
            let (shuffle, order) = match lower.features.avx512 {
                true => (VectorOp::ShuffleQuarters, UPPER_QUARTERS),
                false => (VectorOp::JoinQuarters, UPPER_QUARTERS_JOINED),
            };
            let upper = [a, b, Operand::Immediate(order)];
            let high = lower.fresh_with(shuffle, Width::Y, &upper);
            lower.fresh_with(op, Width::Y, &[low, high])
        };
        let (a, b) = (quarters(self, of[0], of[1]), quarters(self, of[2], of[3]));
        let low = self.fresh_with(VectorOp::UnpackLowPairs, Width::Y, &[a, b]);
        let high = self.fresh_with(VectorOp::UnpackHighPairs, Width::Y, &[a, b]);
        let pairs = self.fresh_with(op, Width::Y, &[low, high]);
        let second = [pairs, Operand::Immediate(SECOND_OF_PAIRS)];
        let second = self.fresh_with(VectorOp::Shuffle, Width::Y, &second);
        let sums = self.fresh_with(op, Width::Y, &[pairs, second]);
        let [first, other] = [0, 1].map(|quarter| self.quarter(sums, Width::Y, quarter));
        let mut third = |quarter: Operand| {
            let sources = [quarter, Operand::Immediate(THIRD)];
            self.fresh_with(VectorOp::Shuffle, Width::X, &sources)
        };
        [first, other, third(first), third(other)]
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
