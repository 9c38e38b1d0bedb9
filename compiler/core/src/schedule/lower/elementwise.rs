//! Elementwise operations in vector instructions.

use super::Lowering;
use crate::graph::{BinaryOp, DType, UnaryOp};
use crate::loops::{Comparison, Instruction, MathOp, Value, VectorBinary, VectorUnary};

impl Lowering<'_> {
    pub(super) fn unary(&mut self, op: UnaryOp, dtype: DType, a: Value) -> Value {
        if !dtype.is_float() {
            return self.integer_unary(op, a);
        }
        match op {
            UnaryOp::Neg => self.b.unary(VectorUnary::Neg, a),
            UnaryOp::Abs => self.b.unary(VectorUnary::Abs, a),
            UnaryOp::Sqrt => self.b.unary(VectorUnary::Sqrt, a),
            UnaryOp::Floor => self.b.unary(VectorUnary::Floor, a),
            UnaryOp::Ceil => self.b.unary(VectorUnary::Ceil, a),
            UnaryOp::Round => self.b.unary(VectorUnary::Round, a),
            UnaryOp::Not => self.b.unary(VectorUnary::Not, a),
            UnaryOp::Exp => self.b.math(MathOp::Exp, &[a]),
            UnaryOp::Log => self.b.math(MathOp::Log, &[a]),
            UnaryOp::Sin => self.b.math(MathOp::Sin, &[a]),
            UnaryOp::Cos => self.b.math(MathOp::Cos, &[a]),
            UnaryOp::Tanh => self.b.math(MathOp::Tanh, &[a]),
            UnaryOp::Erf => self.b.math(MathOp::Erf, &[a]),
            UnaryOp::Rsqrt => {
                let one = self.b.float(1.0, self.width);
                let root = self.b.unary(VectorUnary::Sqrt, a);
                self.b.binary(VectorBinary::Div, one, root)
            }
            UnaryOp::Sign => self.sign(a),
        }
    }

    /// 1, -1, or the operand itself where it is zero or NaN.
    fn sign(&mut self, a: Value) -> Value {
        let [zero, one, minus] = [0.0, 1.0, -1.0].map(|value| self.b.float(value, self.width));
        let above = self.b.compare(Comparison::Gt, a, zero);
        let below = self.b.compare(Comparison::Lt, a, zero);
        let rest = self.b.select(below, minus, a);
        self.b.select(above, one, rest)
    }

    fn integer_unary(&mut self, op: UnaryOp, a: Value) -> Value {
        let zero = self.b.integer(0, self.width);
        match op {
            UnaryOp::Neg => self.b.binary(VectorBinary::IntSub, zero, a),
            UnaryOp::Abs => {
                let negative = self.b.binary(VectorBinary::IntSub, zero, a);
                self.b.binary(VectorBinary::IntMax, a, negative)
            }
            UnaryOp::Sign => {
                let [one, minus] = [1, -1].map(|value| self.b.integer(value, self.width));
                let low = self.b.binary(VectorBinary::IntMax, a, minus);
                self.b.binary(VectorBinary::IntMin, low, one)
            }
            UnaryOp::Not => self.b.unary(VectorUnary::Not, a),
            _ => a,
        }
    }

    /// Operands come with whether they are constants other than NaN.
    pub(super) fn binary(
        &mut self,
        op: BinaryOp,
        dtype: DType,
        (a, a_constant): (Value, bool),
        (b, b_constant): (Value, bool),
    ) -> Value {
        if dtype == DType::Bool {
            return self.truth_binary(op, a, b);
        }
        if let Some(comparison) = comparison(op) {
            return self.b.compare(comparison, a, b);
        }
        if !dtype.is_float() {
            return self.integer_binary(op, a, b);
        }
        match op {
            BinaryOp::Add => self.b.binary(VectorBinary::Add, a, b),
            BinaryOp::Sub => self.b.binary(VectorBinary::Sub, a, b),
            BinaryOp::Mul => self.b.binary(VectorBinary::Mul, a, b),
            BinaryOp::Div => self.b.binary(VectorBinary::Div, a, b),
            BinaryOp::Pow => self.b.math(MathOp::Pow, &[a, b]),
            BinaryOp::Rem => self.b.math(MathOp::Rem, &[a, b]),
            // The second operand comes through where it is NaN; the first is none.
            BinaryOp::Max if a_constant => self.b.binary(VectorBinary::MaxSelect, a, b),
            BinaryOp::Max if b_constant => self.b.binary(VectorBinary::MaxSelect, b, a),
            BinaryOp::Min if a_constant => self.b.binary(VectorBinary::MinSelect, a, b),
            BinaryOp::Min if b_constant => self.b.binary(VectorBinary::MinSelect, b, a),
            BinaryOp::Max => self.b.binary(VectorBinary::MaxNan, a, b),
            _ => self.b.binary(VectorBinary::MinNan, a, b),
        }
    }

    fn integer_binary(&mut self, op: BinaryOp, a: Value, b: Value) -> Value {
        match op {
            BinaryOp::Add => self.b.binary(VectorBinary::IntAdd, a, b),
            BinaryOp::Sub => self.b.binary(VectorBinary::IntSub, a, b),
            BinaryOp::Mul => self.b.binary(VectorBinary::IntMul, a, b),
            BinaryOp::Max => self.b.binary(VectorBinary::IntMax, a, b),
            BinaryOp::Min => self.b.binary(VectorBinary::IntMin, a, b),
            BinaryOp::Rem => self.b.math(MathOp::IntRem, &[a, b]),
            _ => self.b.math(MathOp::IntDiv, &[a, b]),
        }
    }

    fn truth_binary(&mut self, op: BinaryOp, a: Value, b: Value) -> Value {
        match op {
            BinaryOp::And | BinaryOp::Mul | BinaryOp::Min => {
                self.b.binary(VectorBinary::MaskAnd, a, b)
            }
            BinaryOp::Or | BinaryOp::Add | BinaryOp::Max => {
                self.b.binary(VectorBinary::MaskOr, a, b)
            }
            BinaryOp::Ne => self.b.binary(VectorBinary::MaskXor, a, b),
            BinaryOp::Eq => {
                let differ = self.b.binary(VectorBinary::MaskXor, a, b);
                self.b.unary(VectorUnary::Not, differ)
            }
            _ => {
                let [a, b] = [a, b].map(|value| {
                    self.b
                        .define(Instruction::Unary(VectorUnary::MaskToInt, value), 1)
                });
                self.b
                    .compare(comparison(op).unwrap_or(Comparison::Eq), a, b)
            }
        }
    }
}

fn comparison(op: BinaryOp) -> Option<Comparison> {
    Some(match op {
        BinaryOp::Eq => Comparison::Eq,
        BinaryOp::Ne => Comparison::Ne,
        BinaryOp::Lt => Comparison::Lt,
        BinaryOp::Le => Comparison::Le,
        BinaryOp::Gt => Comparison::Gt,
        BinaryOp::Ge => Comparison::Ge,
        _ => return None,
    })
}
