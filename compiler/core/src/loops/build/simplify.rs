//! Algebra on lanes: constants folded, operations without effect removed.
//!
//! Only rewrites that keep every bit are done (NaN payloads excepted): `x * 1`, `x + -0`, but not `x + 0`.

use super::super::lanes;
use super::super::{
    Comparison, Float, Instruction, Type, Value, VectorBinary as B, VectorUnary as U,
};
use super::KernelBuilder;

/// What a computation comes down to.
pub(super) enum Simplified {
    Value(Value),
    Instruction(Instruction),
}

const NEGATIVE_ZERO: u32 = 0x8000_0000;
const ONE: u32 = 0x3f80_0000;

impl KernelBuilder {
    /// The 32 bits of every lane, where `value` is a constant.
    pub(super) fn lane_constant(&self, value: Value) -> Option<u32> {
        match self.facts[value].instruction.as_ref()? {
            Instruction::FloatConst(value) => Some(value.0.to_bits()),
            Instruction::IntConst(value) => Some(*value as u32),
            Instruction::MaskConst(set) => Some(lanes::mask(*set)),
            _ => None,
        }
    }

    pub(super) fn simplify(&mut self, instruction: Instruction, ty: Type) -> Simplified {
        if let Some(bits) = self.folded(&instruction) {
            return constant(ty, bits);
        }
        match self.equal_value(&instruction, ty) {
            Some(value) => Simplified::Value(value),
            None => self.rewritten(instruction),
        }
    }

    /// The result's lanes, where the operands are constants.
    fn folded(&self, instruction: &Instruction) -> Option<u32> {
        let of = |value: &Value| self.lane_constant(*value);
        match instruction {
            Instruction::Unary(op, a) => Some(lanes::unary(*op, of(a)?)),
            Instruction::Binary(op, a, b) => Some(lanes::binary(*op, of(a)?, of(b)?)),
            Instruction::Fma(a, b, c) => Some(lanes::fma(of(a)?, of(b)?, of(c)?)),
            Instruction::DotPairs(a, b, c) => Some(lanes::dot_pairs(of(a)?, of(b)?, of(c)?)),
            Instruction::Compare(comparison, a, b) => {
                let (x, y) = (of(a)?, of(b)?);
                Some(match self.type_of(*a) {
                    Type::F32(_) => lanes::compare_floats(*comparison, x, y),
                    _ => lanes::compare_ints(*comparison, x, y),
                })
            }
            Instruction::ShiftLeft(a, count) => Some(of(a)? << count),
            Instruction::ShiftRight(a, count) => Some(of(a)? >> count),
            Instruction::Splat(a) | Instruction::Extract(a, _) | Instruction::Half(a, _) => of(a),
            Instruction::Join(a, b) => of(a).filter(|&bits| of(b) == Some(bits)),
            Instruction::IndexToInt(a) => self.index_constant(*a).map(|value| value as u32),
            _ => None,
        }
        .filter(|&bits| !self.is_new_nan(instruction, bits))
    }

    /// Arithmetic that makes a NaN is left to the machine, which decides its bits.
    fn is_new_nan(&self, instruction: &Instruction, bits: u32) -> bool {
        let arithmetic = matches!(
            instruction,
            Instruction::Binary(B::Add | B::Sub | B::Mul | B::Div, ..)
                | Instruction::Fma(..)
                | Instruction::DotPairs(..)
                | Instruction::Unary(U::Sqrt, _)
        );
        arithmetic && f32::from_bits(bits).is_nan()
    }

    /// The operand that the instruction only repeats.
    fn equal_value(&mut self, instruction: &Instruction, ty: Type) -> Option<Value> {
        match instruction {
            Instruction::IntToIndex(a) => self.round_trip(*a),
            Instruction::Unary(op, a) => self.undone(*op, *a),
            Instruction::Binary(op, a, b) => self.neutral(*op, *a, *b),
            Instruction::Select(mask, a, b) => match self.lane_constant(*mask) {
                Some(0) => Some(*b),
                Some(_) => Some(*a),
                None => (a == b).then_some(*a),
            },
            Instruction::ShiftLeft(a, 0) | Instruction::ShiftRight(a, 0) => Some(*a),
            Instruction::Splat(a) if self.type_of(*a) == ty => Some(*a),
            Instruction::ReduceAdd(a) if self.type_of(*a) == ty => Some(*a),
            Instruction::Extract(a, _) if self.type_of(*a) == ty => Some(*a),
            Instruction::Extract(a, _) => match self.facts[*a].instruction {
                Some(Instruction::Splat(scalar)) => Some(scalar),
                _ => None,
            },
            Instruction::Half(a, half) => match self.facts[*a].instruction {
                Some(Instruction::Join(lower, upper)) => Some([lower, upper][usize::from(*half)]),
                _ => None,
            },
            _ => None,
        }
    }

    /// An index that went through i32 and is known to fit.
    fn round_trip(&self, value: Value) -> Option<Value> {
        let Some(Instruction::IndexToInt(index)) = self.facts[value].instruction else {
            return None;
        };
        let range = self.facts[index].range;
        let fits = range.min? >= i64::from(i32::MIN) && range.max? <= i64::from(i32::MAX);
        fits.then_some(index)
    }

    fn undone(&self, op: U, a: Value) -> Option<Value> {
        let Some(Instruction::Unary(inner, value)) = self.facts[a].instruction else {
            return None;
        };
        let inverse = matches!(
            (op, inner),
            (U::Neg, U::Neg)
                | (U::Not, U::Not)
                | (U::BitsToFloat, U::FloatToBits)
                | (U::FloatToBits, U::BitsToFloat)
                | (U::IntToMask, U::MaskToInt)
        );
        inverse.then_some(value)
    }

    fn neutral(&self, op: B, a: Value, b: Value) -> Option<Value> {
        let (left, right) = (self.lane_constant(a), self.lane_constant(b));
        let either = |bits: u32| match (left, right) {
            (Some(l), _) if l == bits => Some(b),
            (_, Some(r)) if r == bits => Some(a),
            _ => None,
        };
        let second = |bits: u32| (right == Some(bits)).then_some(a);
        let absorbing = |bits: u32| match (left, right) {
            (Some(l), _) if l == bits => Some(a),
            (_, Some(r)) if r == bits => Some(b),
            _ => None,
        };
        match op {
            B::Add => either(NEGATIVE_ZERO),
            B::Sub => second(0),
            B::Mul => either(ONE),
            B::Div => second(ONE),
            B::IntAdd | B::IntXor | B::MaskXor => either(0),
            B::IntSub => second(0),
            B::IntMul => either(1).or_else(|| absorbing(0)),
            B::IntAnd | B::MaskAnd => either(u32::MAX).or_else(|| absorbing(0)),
            B::IntOr | B::MaskOr => either(0).or_else(|| absorbing(u32::MAX)),
            _ => None,
        }
        .or_else(|| (a == b && is_idempotent(op)).then_some(a))
    }

    /// A cheaper computation with the same result.
    fn rewritten(&mut self, instruction: Instruction) -> Simplified {
        let is = |builder: &KernelBuilder, value: Value, bits: u32| {
            builder.lane_constant(value) == Some(bits)
        };
        Simplified::Instruction(match instruction {
            Instruction::Fma(a, b, c) if is(self, a, ONE) => Instruction::Binary(B::Add, b, c),
            Instruction::Fma(a, b, c) if is(self, b, ONE) => Instruction::Binary(B::Add, a, c),
            Instruction::Fma(a, b, c) if is(self, c, NEGATIVE_ZERO) => {
                Instruction::Binary(B::Mul, a, b)
            }
            Instruction::Unary(U::Not, a) => match self.inverted(a) {
                Some(compare) => compare,
                None => Instruction::Unary(U::Not, a),
            },
            other => other,
        })
    }

    /// The comparison with the opposite result, where there is one (floats are unordered with NaN).
    fn inverted(&self, mask: Value) -> Option<Instruction> {
        let Some(Instruction::Compare(comparison, a, b)) = self.facts[mask].instruction else {
            return None;
        };
        let float = matches!(self.type_of(a), Type::F32(_));
        let opposite = match comparison {
            Comparison::Eq => Comparison::Ne,
            Comparison::Ne => Comparison::Eq,
            _ if float => return None,
            Comparison::Lt => Comparison::Ge,
            Comparison::Le => Comparison::Gt,
            Comparison::Gt => Comparison::Le,
            Comparison::Ge => Comparison::Lt,
        };
        Some(Instruction::Compare(opposite, a, b))
    }
}

fn is_idempotent(op: B) -> bool {
    matches!(
        op,
        B::MinSelect
            | B::MaxSelect
            | B::MinNan
            | B::MaxNan
            | B::IntAnd
            | B::IntOr
            | B::IntMin
            | B::IntMax
            | B::MaskAnd
            | B::MaskOr
    )
}

fn constant(ty: Type, bits: u32) -> Simplified {
    Simplified::Instruction(match ty {
        Type::Index => Instruction::IndexConst(i64::from(bits as i32)),
        Type::F32(_) => Instruction::FloatConst(Float(f32::from_bits(bits))),
        Type::I32(_) => Instruction::IntConst(bits as i32),
        Type::Mask(_) => Instruction::MaskConst(bits != 0),
    })
}
