//! Instructions on indices and lanes.

use cranelift::prelude::{FloatCC, InstBuilder, IntCC, types};
use cranelift_codegen::ir;
use dlm_core::loops::{
    Comparison, Instruction, IntOp, LoadKind, Type, Value, VectorBinary as B, VectorUnary as U,
};
use smallvec::smallvec;

use super::vector::{is_wide, part_count, part_type};
use super::{Emitter, Parts, Slot};
use crate::error::JitError;

impl<'a> Emitter<'a, '_> {
    pub(super) fn instruction(
        &mut self,
        value: Value,
        instruction: &'a Instruction,
    ) -> Result<Parts, JitError> {
        let ty = self.type_of(value);
        match instruction {
            Instruction::IndexConst(_)
            | Instruction::FloatConst(_)
            | Instruction::IntConst(_)
            | Instruction::MaskConst(_) => self.parts(value),
            Instruction::Int(op, a, b) => Ok(smallvec![self.int(*op, *a, *b)?]),
            Instruction::Load { address, kind } => self.load(address, *kind, ty),
            Instruction::Unary(op, a) => {
                let of = self.type_of(*a);
                let parts = self.operand(*a)?;
                Ok(parts
                    .iter()
                    .map(|&part| self.unary(*op, of, ty, part))
                    .collect())
            }
            Instruction::Binary(op, a, b) => {
                let (a, b) = (self.operand(*a)?, self.operand(*b)?);
                Ok(pairs(&a, &b)
                    .map(|(a, b)| self.binary(*op, ty, a, b))
                    .collect())
            }
            Instruction::Fma(a, b, c) => self.fma(*a, *b, *c),
            Instruction::Compare(comparison, a, b) => {
                let of = self.type_of(*a);
                let (a, b) = (self.operand(*a)?, self.operand(*b)?);
                Ok(pairs(&a, &b)
                    .map(|(a, b)| self.compare(*comparison, of, a, b))
                    .collect())
            }
            Instruction::Select(mask, a, b) => {
                let mask = self.operand(*mask)?;
                let (a, b) = (self.operand(*a)?, self.operand(*b)?);
                let all = mask.iter().zip(pairs(&a, &b));
                Ok(all
                    .map(|(&mask, (a, b))| self.select(ty, mask, a, b))
                    .collect())
            }
            Instruction::ShiftLeft(a, count) => {
                let parts = self.operand(*a)?;
                let count = i64::from(*count);
                Ok(parts
                    .iter()
                    .map(|&p| self.builder.ins().ishl_imm_u(p, count))
                    .collect())
            }
            Instruction::ShiftRight(a, count) => {
                let parts = self.operand(*a)?;
                let count = i64::from(*count);
                Ok(parts
                    .iter()
                    .map(|&p| self.builder.ins().ushr_imm_u(p, count))
                    .collect())
            }
            Instruction::Splat(a) => {
                let scalar = self.operand(*a)?[0];
                Ok(self.splat(ty, scalar))
            }
            Instruction::IndexToInt(a) => {
                let index = self.operand(*a)?[0];
                let scalar = self.builder.ins().ireduce(types::I32, index);
                Ok(self.splat(ty, scalar))
            }
            Instruction::LaneIota => Ok(self.iota(ty)),
            Instruction::ReduceAdd(a) => self.reduce_add(*a),
            Instruction::Extract(a, lane) => {
                let of = self.type_of(*a);
                let parts = self.operand(*a)?;
                Ok(smallvec![self.lane(of, &parts, usize::from(*lane))])
            }
            Instruction::Join(a, b) => {
                let mut parts = self.operand(*a)?;
                parts.extend(self.operand(*b)?);
                Ok(parts)
            }
            Instruction::Half(a, half) => {
                let parts = self.operand(*a)?;
                let count = parts.len() / 2;
                Ok(parts[count * usize::from(*half)..][..count].into())
            }
            Instruction::IntToIndex(a) => {
                let scalar = self.operand(*a)?[0];
                Ok(smallvec![self.builder.ins().sextend(types::I64, scalar)])
            }
            Instruction::DotPairs(..) => Err(self.refuse("products of pairs are not written out")),
            Instruction::Math(op, _) => {
                Err(self.refuse(format!("`{}` is not written out", op.name())))
            }
        }
    }

    /// The parts of an operand, counted as one use.
    fn operand(&mut self, value: Value) -> Result<Parts, JitError> {
        let parts = self.parts(value)?;
        self.remaining[value] = self.remaining[value].saturating_sub(1);
        Ok(parts)
    }

    /// Whether a value just used as an operand is needed no more, so that its registers may be overwritten.
    fn is_spent(&self, value: Value) -> bool {
        self.remaining[value] == 0
            && self.facts.levels[value] >= self.level
            && matches!(self.slots[value], Slot::Ready(_))
    }

    /// The machine overwrites the first factor, so it should be one that is spent.
    fn fma(&mut self, a: Value, b: Value, c: Value) -> Result<Parts, JitError> {
        if let Some(results) = self.fma_with_splat(a, b, c)? {
            return Ok(results);
        }
        let (first, second) = (self.operand(a)?, self.operand(b)?);
        let sums = self.operand(c)?;
        let (a_spent, b_spent) = (self.is_spent(a), self.is_spent(b));
        let mut results = Parts::new();
        for part in 0..sums.len() {
            let last = |parts: &Parts| !parts[part + 1..].contains(&parts[part]);
            let swap = b_spent && last(&second) && !(a_spent && last(&first));
            let (x, y) = match swap {
                true => (second[part], first[part]),
                false => (first[part], second[part]),
            };
            results.push(self.builder.ins().fma(x, y, sums[part]));
        }
        Ok(results)
    }

    /// A factor loaded into all lanes for two parts of this product alone is loaded once for each: the machine does
    /// that in one instruction and may overwrite the result, where a shared one takes three and a register more.
    fn fma_with_splat(&mut self, a: Value, b: Value, c: Value) -> Result<Option<Parts>, JitError> {
        let (splat, other) = match (self.is_own_splat(a), self.is_own_splat(b)) {
            (true, _) => (a, b),
            (_, true) => (b, a),
            _ => return Ok(None),
        };
        let Slot::Pending(instruction) = self.slots[splat] else {
            return Ok(None);
        };
        let (other, sums) = (self.operand(other)?, self.operand(c)?);
        let mut results = Parts::new();
        for part in 0..sums.len() {
            let factor = self.instruction(splat, instruction)?[0];
            results.push(self.builder.ins().fma(factor, other[part], sums[part]));
        }
        self.remaining[splat] = 0;
        Ok(Some(results))
    }

    fn is_own_splat(&self, value: Value) -> bool {
        let splat = matches!(
            self.slots[value],
            Slot::Pending(Instruction::Load {
                kind: LoadKind::Splat,
                ..
            })
        );
        let ty = self.type_of(value);
        splat && self.remaining[value] == 1 && is_wide(ty) && part_count(ty) == 2
    }

    fn int(&mut self, op: IntOp, a: Value, b: Value) -> Result<ir::Value, JitError> {
        if let IntOp::DivFloor | IntOp::ModFloor = op {
            return self.divide(op, a, b);
        }
        let (a, b) = (self.operand(a)?[0], self.operand(b)?[0]);
        Ok(match op {
            IntOp::Add => self.builder.ins().iadd(a, b),
            IntOp::Sub => self.builder.ins().isub(a, b),
            IntOp::Mul => self.builder.ins().imul(a, b),
            IntOp::Min | IntOp::Max => {
                let less = self.builder.ins().icmp(IntCC::SignedLessThan, a, b);
                match op {
                    IntOp::Min => self.builder.ins().select(less, a, b),
                    _ => self.builder.ins().select(less, b, a),
                }
            }
            IntOp::Less => self.condition(IntCC::SignedLessThan, a, b),
            IntOp::LessEqual => self.condition(IntCC::SignedLessThanOrEqual, a, b),
            IntOp::Equal => self.condition(IntCC::Equal, a, b),
            IntOp::And | IntOp::DivFloor | IntOp::ModFloor => {
                let zero = self.index_constant(0);
                let a = self.condition(IntCC::NotEqual, a, zero);
                let b = self.condition(IntCC::NotEqual, b, zero);
                self.builder.ins().band(a, b)
            }
        })
    }

    /// Division by a positive constant, rounded down.
    fn divide(&mut self, op: IntOp, a: Value, b: Value) -> Result<ir::Value, JitError> {
        let divisor = match self.slots[b] {
            Slot::Constant(divisor) if divisor > 0 => divisor,
            _ => return Err(self.refuse(format!("{b} divides and is no positive constant"))),
        };
        let a = self.operand(a)?[0];
        if divisor.count_ones() == 1 {
            let shift = i64::from(divisor.trailing_zeros());
            return Ok(match op {
                IntOp::DivFloor => self.builder.ins().sshr_imm_u(a, shift),
                _ => self.builder.ins().band_imm_u(a, divisor - 1),
            });
        }
        let by = self.index_constant(divisor);
        let quotient = self.builder.ins().sdiv(a, by);
        let product = self.builder.ins().imul(quotient, by);
        let rest = self.builder.ins().isub(a, product);
        // All ones where the rest is negative, so that the quotient was rounded up.
        let sign = self.builder.ins().sshr_imm_u(rest, 63);
        Ok(match op {
            IntOp::DivFloor => self.builder.ins().iadd(quotient, sign),
            _ => {
                let correction = self.builder.ins().band(sign, by);
                self.builder.ins().iadd(rest, correction)
            }
        })
    }

    fn unary(&mut self, op: U, of: Type, ty: Type, a: ir::Value) -> ir::Value {
        let to = part_type(ty);
        match op {
            U::Neg => self.builder.ins().fneg(a),
            U::Abs => self.builder.ins().fabs(a),
            U::Sqrt => self.builder.ins().sqrt(a),
            U::Floor => self.builder.ins().floor(a),
            U::Ceil => self.builder.ins().ceil(a),
            U::Round => self.builder.ins().nearest(a),
            U::Not if is_wide(of) => self.builder.ins().bnot(a),
            U::Not => {
                let one = self.part_constant(types::I8, 1);
                self.builder.ins().bxor(a, one)
            }
            U::ToInt => self.builder.ins().fcvt_to_sint_sat(to, a),
            U::ToFloat => self.builder.ins().fcvt_from_sint(to, a),
            U::BitsToFloat | U::FloatToBits => self.cast(to, a),
            U::MaskToInt if is_wide(of) => self.builder.ins().ushr_imm_u(a, 31),
            U::MaskToInt => self.builder.ins().uextend(types::I32, a),
            U::IntToMask => {
                let zero = self.part_constant(part_type(of), 0);
                self.builder.ins().icmp(IntCC::NotEqual, a, zero)
            }
        }
    }

    fn binary(&mut self, op: B, ty: Type, a: ir::Value, b: ir::Value) -> ir::Value {
        match op {
            B::Add => self.builder.ins().fadd(a, b),
            B::Sub => self.builder.ins().fsub(a, b),
            B::Mul => self.builder.ins().fmul(a, b),
            B::Div => self.builder.ins().fdiv(a, b),
            B::MinSelect => self.extreme(ty, (a, b), (a, b)),
            B::MaxSelect => self.extreme(ty, (a, b), (b, a)),
            B::MinNan | B::MaxNan => {
                let order = if op == B::MinNan { (a, b) } else { (b, a) };
                let chosen = self.extreme(ty, (a, b), order);
                let nan = self.compare_float(FloatCC::NotEqual, a, a);
                self.select(ty, nan, a, chosen)
            }
            B::IntAdd => self.builder.ins().iadd(a, b),
            B::IntSub => self.builder.ins().isub(a, b),
            B::IntMul => self.builder.ins().imul(a, b),
            B::IntAnd | B::MaskAnd => self.builder.ins().band(a, b),
            B::IntOr | B::MaskOr => self.builder.ins().bor(a, b),
            B::IntXor | B::MaskXor => self.builder.ins().bxor(a, b),
            B::IntMin => self.builder.ins().smin(a, b),
            B::IntMax => self.builder.ins().smax(a, b),
        }
    }

    /// `low < high ? a : b` in the form that the generator knows as the machine's minimum and maximum.
    fn extreme(
        &mut self,
        ty: Type,
        (a, b): (ir::Value, ir::Value),
        (low, high): (ir::Value, ir::Value),
    ) -> ir::Value {
        let less = self.compare_float(FloatCC::LessThan, low, high);
        self.select(ty, less, a, b)
    }

    fn select(&mut self, ty: Type, mask: ir::Value, a: ir::Value, b: ir::Value) -> ir::Value {
        if !is_wide(ty) {
            return self.builder.ins().select(mask, a, b);
        }
        let mask = self.cast(part_type(ty), mask);
        self.builder.ins().bitselect(mask, a, b)
    }

    fn compare(
        &mut self,
        comparison: Comparison,
        of: Type,
        a: ir::Value,
        b: ir::Value,
    ) -> ir::Value {
        if let Type::F32(_) = of {
            let (code, a, b) = match comparison {
                Comparison::Eq => (FloatCC::Equal, a, b),
                Comparison::Ne => (FloatCC::NotEqual, a, b),
                Comparison::Lt => (FloatCC::LessThan, a, b),
                Comparison::Le => (FloatCC::LessThanOrEqual, a, b),
                Comparison::Gt => (FloatCC::LessThan, b, a),
                Comparison::Ge => (FloatCC::LessThanOrEqual, b, a),
            };
            return self.compare_float(code, a, b);
        }
        let code = match comparison {
            Comparison::Eq => IntCC::Equal,
            Comparison::Ne => IntCC::NotEqual,
            Comparison::Lt => IntCC::SignedLessThan,
            Comparison::Le => IntCC::SignedLessThanOrEqual,
            Comparison::Gt => IntCC::SignedGreaterThan,
            Comparison::Ge => IntCC::SignedGreaterThanOrEqual,
        };
        self.builder.ins().icmp(code, a, b)
    }

    fn iota(&mut self, ty: Type) -> Parts {
        let count = part_count(ty) as u32;
        let mut parts = Parts::new();
        for part in 0..count {
            parts.push(match is_wide(ty) {
                true => self.vector_constant(types::I32X4, [0, 1, 2, 3].map(|l| 4 * part + l)),
                false => self.part_constant(types::I32, i64::from(part)),
            });
        }
        parts
    }

    /// Halves added until one lane is left.
    fn reduce_add(&mut self, vector: Value) -> Result<Parts, JitError> {
        let ty = self.type_of(vector);
        let mut parts = self.operand(vector)?;
        while parts.len() > 1 {
            let upper = parts.split_off(parts.len() / 2);
            parts = pairs(&parts, &upper)
                .map(|(a, b)| self.sum(ty, a, b))
                .collect();
        }
        if !is_wide(ty) {
            return Ok(parts);
        }
        let lanes: Parts = (0..4u8)
            .map(|l| self.builder.ins().extractlane(parts[0], l))
            .collect();
        let (even, odd) = (
            self.sum(ty, lanes[0], lanes[2]),
            self.sum(ty, lanes[1], lanes[3]),
        );
        Ok(smallvec![self.sum(ty, even, odd)])
    }

    fn sum(&mut self, ty: Type, a: ir::Value, b: ir::Value) -> ir::Value {
        match ty {
            Type::F32(_) => self.builder.ins().fadd(a, b),
            _ => self.builder.ins().iadd(a, b),
        }
    }
}

fn pairs<'p>(a: &'p Parts, b: &'p Parts) -> impl Iterator<Item = (ir::Value, ir::Value)> + 'p {
    a.iter().copied().zip(b.iter().copied())
}

trait SplitOff {
    fn split_off(&mut self, at: usize) -> Parts;
}

impl SplitOff for Parts {
    fn split_off(&mut self, at: usize) -> Parts {
        let upper = self[at..].into();
        self.truncate(at);
        upper
    }
}
