//! Short names for lane arithmetic, so that the functions read like formulas.

use super::super::{Comparison, KernelBuilder, Value, VectorBinary as B, VectorUnary as U};

/// A builder with the number of lanes that constants take.
pub(super) struct LaneMath<'a> {
    pub(super) builder: &'a mut KernelBuilder,
    pub(super) lanes: u8,
}

impl LaneMath<'_> {
    pub(super) fn float(&mut self, constant: f32) -> Value {
        self.builder.float(constant, self.lanes)
    }

    pub(super) fn int(&mut self, constant: i32) -> Value {
        self.builder.integer(constant, self.lanes)
    }

    pub(super) fn unary(&mut self, op: U, a: Value) -> Value {
        self.builder.unary(op, a)
    }

    pub(super) fn binary(&mut self, op: B, a: Value, b: Value) -> Value {
        self.builder.binary(op, a, b)
    }

    pub(super) fn fma(&mut self, a: Value, b: Value, c: Value) -> Value {
        self.builder.fma(a, b, c)
    }

    pub(super) fn compare(&mut self, comparison: Comparison, a: Value, b: Value) -> Value {
        self.builder.compare(comparison, a, b)
    }

    pub(super) fn select(&mut self, mask: Value, a: Value, b: Value) -> Value {
        self.builder.select(mask, a, b)
    }

    pub(super) fn add(&mut self, a: Value, b: Value) -> Value {
        self.binary(B::Add, a, b)
    }

    pub(super) fn sub(&mut self, a: Value, b: Value) -> Value {
        self.binary(B::Sub, a, b)
    }

    pub(super) fn mul(&mut self, a: Value, b: Value) -> Value {
        self.binary(B::Mul, a, b)
    }

    pub(super) fn div(&mut self, a: Value, b: Value) -> Value {
        self.binary(B::Div, a, b)
    }

    pub(super) fn abs(&mut self, a: Value) -> Value {
        self.unary(U::Abs, a)
    }

    pub(super) fn bits(&mut self, a: Value) -> Value {
        self.unary(U::FloatToBits, a)
    }

    pub(super) fn float_of_bits(&mut self, a: Value) -> Value {
        self.unary(U::BitsToFloat, a)
    }

    pub(super) fn shift_left(&mut self, a: Value, count: u8) -> Value {
        let instruction = super::Instruction::ShiftLeft(a, count);
        self.builder.define(instruction, self.lanes)
    }

    pub(super) fn shift_right(&mut self, a: Value, count: u8) -> Value {
        let instruction = super::Instruction::ShiftRight(a, count);
        self.builder.define(instruction, self.lanes)
    }

    /// The polynomial with these coefficients, highest power first, by Horner's rule.
    pub(super) fn polynomial(&mut self, x: Value, coefficients: &[f32]) -> Value {
        let mut sum = self.float(coefficients[0]);
        for &coefficient in &coefficients[1..] {
            let coefficient = self.float(coefficient);
            sum = self.fma(sum, x, coefficient);
        }
        sum
    }

    /// The magnitude of `magnitude` (not negative) with the sign of `sign`.
    pub(super) fn with_sign_of(&mut self, magnitude: Value, sign: Value) -> Value {
        let top = self.int(i32::MIN);
        let (magnitude, sign) = (self.bits(magnitude), self.bits(sign));
        let sign = self.binary(B::IntAnd, sign, top);
        let joined = self.binary(B::IntOr, magnitude, sign);
        self.float_of_bits(joined)
    }

    /// `x` compared with a constant.
    pub(super) fn compare_to(&mut self, comparison: Comparison, x: Value, bound: f32) -> Value {
        let bound = self.float(bound);
        self.compare(comparison, x, bound)
    }
}
