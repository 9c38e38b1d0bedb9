//! Index arithmetic in general registers.
//!
//! Floor division by a constant d that is no power of two: for n in 0..2^63, `n / d` is the upper half of `n * m`
//! shifted right by `l - 1`, with l the least where 2^l >= d and m = 2^(63 + l) / d + 1 (Granlund and Montgomery,
//! "Division by Invariant Integers using Multiplication", with 63 bits). A negative n has all bits flipped before and
//! after, which rounds down.

use dlm_core::loops::{IntOp, Value};
use iced_x86::Code;

use super::super::Unsupported;
use super::super::machine::{Base, First, Inst, Memory, Op, Operand, Reg, View};
use super::operands::{general, word};
use super::{Constant, Lower, Lowered, Place};

/// Sets a register, leaving the flags as they are.
pub(super) fn set(to: Reg, constant: i64) -> Inst {
    let immediate = Operand::Immediate(constant);
    let (code, to) = if u32::try_from(constant).is_ok() {
        (Code::Mov_r32_imm32, word(to))
    } else if i32::try_from(constant).is_ok() {
        (Code::Mov_rm64_imm32, general(to))
    } else {
        (Code::Mov_r64_imm64, general(to))
    };
    Inst::new(Op::General(code), First::Writes, &[to, immediate])
}

impl Lower<'_> {
    pub(super) fn int(&mut self, value: Value, op: IntOp, a: Value, b: Value) -> Lowered<()> {
        match op {
            IntOp::Add => self.add(value, a, b),
            IntOp::Sub => self.subtract(value, a, b),
            IntOp::Mul => self.multiply_values(value, a, b),
            IntOp::Min => self.choose(value, a, b, Code::Cmovl_r64_rm64),
            IntOp::Max => self.choose(value, a, b, Code::Cmovg_r64_rm64),
            IntOp::DivFloor | IntOp::ModFloor => self.divide(value, op, a, b)?,
            IntOp::Less => self.condition(value, a, b, Code::Setl_rm8),
            IntOp::LessEqual => self.condition(value, a, b, Code::Setle_rm8),
            IntOp::Equal => self.condition(value, a, b, Code::Sete_rm8),
            IntOp::And => self.both(value, a, b),
        }
        Ok(())
    }

    fn small_constant(&self, value: Value) -> Option<i32> {
        match self.places[value] {
            Place::Constant(Constant::Index(index)) => i32::try_from(index).ok(),
            _ => None,
        }
    }

    /// An instruction on general registers that writes or modifies `to`.
    fn general(&mut self, code: Code, first: First, operands: &[Operand]) {
        self.push(Inst::new(Op::General(code), first, operands));
    }

    /// A copy to work on, so that the target may share an operand's register.
    fn work_copy(&mut self, value: Value) -> Reg {
        let from = general(self.register(value, 0));
        let work = self.program.general();
        self.copy(work, from);
        work
    }

    fn finish(&mut self, value: Value, work: Reg) {
        let to = self.target(value)[0];
        self.copy(to, general(work));
    }

    fn add(&mut self, value: Value, a: Value, b: Value) {
        let swap = self.small_constant(a).is_some();
        let (a, b) = if swap { (b, a) } else { (a, b) };
        let mut memory = Memory::at(Base::Register(self.register(a, 0)));
        match self.small_constant(b) {
            Some(constant) => memory.displacement = constant,
            None => memory.index = Some((self.register(b, 0), 1)),
        }
        let to = self.target(value)[0];
        self.effective_address(to, memory);
    }

    fn subtract(&mut self, value: Value, a: Value, b: Value) {
        if let Some(minus) = self.small_constant(b).and_then(i32::checked_neg) {
            let mut memory = Memory::at(Base::Register(self.register(a, 0)));
            memory.displacement = minus;
            let to = self.target(value)[0];
            return self.effective_address(to, memory);
        }
        let work = self.work_copy(a);
        let b = general(self.register(b, 0));
        self.general(Code::Sub_r64_rm64, First::Modifies, &[general(work), b]);
        self.finish(value, work);
    }

    fn multiply_values(&mut self, value: Value, a: Value, b: Value) {
        let swap = self.small_constant(a).is_some();
        let (a, b) = if swap { (b, a) } else { (a, b) };
        if let Some(constant) = self.small_constant(b) {
            let from = self.register(a, 0);
            let to = self.target(value)[0];
            return self.multiply(to, from, i64::from(constant));
        }
        let work = self.work_copy(a);
        let b = general(self.register(b, 0));
        self.general(Code::Imul_r64_rm64, First::Modifies, &[general(work), b]);
        self.finish(value, work);
    }

    /// `to = from * constant`; `to` may be `from` only if the constant has 32 bits.
    pub(super) fn multiply(&mut self, to: Reg, from: Reg, constant: i64) {
        if i32::try_from(constant).is_ok() {
            let operands = [general(to), general(from), Operand::Immediate(constant)];
            return self.general(Code::Imul_r64_rm64_imm32, First::Writes, &operands);
        }
        self.push(set(to, constant));
        let operands = [general(to), general(from)];
        self.general(Code::Imul_r64_rm64, First::Modifies, &operands);
    }

    pub(super) fn increment(&mut self, reg: Reg, by: i64) {
        if i32::try_from(by).is_ok() {
            let operands = [general(reg), Operand::Immediate(by)];
            return self.general(Code::Add_rm64_imm32, First::Modifies, &operands);
        }
        let step = self.program.general();
        self.push(set(step, by));
        let operands = [general(reg), general(step)];
        self.general(Code::Add_r64_rm64, First::Modifies, &operands);
    }

    /// b where the flags of `b - a` say so, else a.
    fn choose(&mut self, value: Value, a: Value, b: Value, code: Code) {
        let work = self.work_copy(a);
        let b = general(self.register(b, 0));
        self.general(Code::Cmp_r64_rm64, First::Reads, &[b, general(work)]);
        self.general(code, First::Modifies, &[general(work), b]);
        self.finish(value, work);
    }

    fn condition(&mut self, value: Value, a: Value, b: Value, code: Code) {
        let a = self.register(a, 0);
        self.compare_index(a, b);
        let bit = self.flag(code);
        self.finish(value, bit);
    }

    /// 0 or 1 by the flags.
    fn flag(&mut self, code: Code) -> Reg {
        let low = self.program.general();
        let byte = Operand::Register(low, View::Byte);
        self.general(code, First::Writes, &[byte]);
        let bit = self.program.general();
        self.general(Code::Movzx_r32_rm8, First::Writes, &[word(bit), byte]);
        bit
    }

    fn both(&mut self, value: Value, a: Value, b: Value) {
        let [a, b] = [a, b].map(|operand| {
            let operand = general(self.register(operand, 0));
            self.general(Code::Test_rm64_r64, First::Reads, &[operand, operand]);
            self.flag(Code::Setne_rm8)
        });
        self.general(
            Code::And_r64_rm64,
            First::Modifies,
            &[general(a), general(b)],
        );
        self.finish(value, a);
    }

    fn divide(&mut self, value: Value, op: IntOp, a: Value, b: Value) -> Lowered<()> {
        let divisor = match self.places[b] {
            Place::Constant(Constant::Index(divisor)) if divisor > 0 => divisor,
            _ => return Err(Unsupported::Divisor),
        };
        match (op, divisor.count_ones() == 1) {
            (IntOp::DivFloor, true) => {
                let work = self.work_copy(a);
                let by = Operand::Immediate(i64::from(divisor.trailing_zeros()));
                self.general(Code::Sar_rm64_imm8, First::Modifies, &[general(work), by]);
                self.finish(value, work);
            }
            (IntOp::DivFloor, false) => {
                let quotient = self.quotient(a, divisor);
                self.finish(value, quotient);
            }
            (_, true) => {
                let work = self.work_copy(a);
                let low = self.program.general();
                self.push(set(low, divisor - 1));
                let operands = [general(work), general(low)];
                self.general(Code::And_r64_rm64, First::Modifies, &operands);
                self.finish(value, work);
            }
            (_, false) => self.remainder(value, a, divisor),
        }
        Ok(())
    }

    fn remainder(&mut self, value: Value, a: Value, divisor: i64) {
        let quotient = self.quotient(a, divisor);
        let taken = self.program.general();
        self.multiply(taken, quotient, divisor);
        let work = self.work_copy(a);
        let operands = [general(work), general(taken)];
        self.general(Code::Sub_r64_rm64, First::Modifies, &operands);
        self.finish(value, work);
    }

    fn quotient(&mut self, a: Value, divisor: i64) -> Reg {
        let (multiplier, shift) = reciprocal(divisor);
        let multiplier = self.program.pool.add(multiplier.to_le_bytes().to_vec());
        let from = general(self.register(a, 0));
        let to = self.program.general();
        let op = Op::Divide { multiplier, shift };
        self.push(Inst::new(op, First::Writes, &[general(to), from]));
        to
    }
}

/// The multiplier and the shift for a divisor that is no power of two.
fn reciprocal(divisor: i64) -> (u64, u8) {
    let bits = 64 - (divisor - 1).leading_zeros();
    let multiplier = (1_u128 << (63 + bits)) / divisor as u128 + 1;
    (multiplier as u64, bits as u8 - 1)
}
