//! One instruction as the assembler's.

use iced_x86::{Code, Instruction, OpKind, Register};

use super::super::WideError;
use super::super::allocate::Allocation;
use super::super::machine::{Base, Inst, Memory, Op, Operand, Reg, View, Width};
use super::super::ops::VectorOp;
use super::registers::{RAX, RDX, named};

/// The first register that only EVEX reaches.
const FIRST_HIGH: u8 = 16;

/// The instruction with its registers; constants are at a displacement to be patched.
pub(super) fn machine_instruction(
    inst: &Inst,
    allocation: &Allocation,
) -> Result<Instruction, WideError> {
    if matches!(inst.op, Op::Zero | Op::Ones) {
        return Ok(uniform(inst, allocation));
    }
    let mut instruction = Instruction::new();
    instruction.set_code(code_of(inst, allocation)?);
    for (at, operand) in inst.operands.iter().enumerate() {
        set_operand(&mut instruction, at as u32, operand, allocation);
    }
    if let Some((mask, zeroing)) = inst.mask {
        instruction.set_op_mask(named(allocation.registers[mask], View::Mask));
        instruction.set_zeroing_masking(zeroing);
    }
    Ok(instruction)
}

fn code_of(inst: &Inst, allocation: &Allocation) -> Result<Code, WideError> {
    let (op, width) = match inst.op {
        Op::General(code) => return Ok(short_form(code, inst)),
        Op::Vector(op, width) => (op, width),
        Op::Zero | Op::Ones | Op::Divide { .. } => {
            return Err(WideError::Encoding("no single instruction".into()));
        }
    };
    let shape = op.shape();
    let code = match needs_evex(inst, allocation) {
        true => shape.evex(width),
        false => shape.vex(width).or_else(|| shape.evex(width)),
    };
    code.ok_or_else(|| WideError::Encoding(format!("{op:?} of {width:?}")))
}

fn needs_evex(inst: &Inst, allocation: &Allocation) -> bool {
    inst.mask.is_some()
        || inst.operands.iter().any(|operand| match operand {
            Operand::Register(reg, View::Vector(width)) => {
                *width == Width::Z || allocation.registers[*reg] >= FIRST_HIGH
            }
            Operand::Memory(memory) => memory.broadcast,
            _ => false,
        })
}

/// The same operation with an immediate of one byte, where it fits.
fn short_form(code: Code, inst: &Inst) -> Code {
    let small =
        matches!(inst.operands.last(), Some(Operand::Immediate(i)) if i8::try_from(*i).is_ok());
    match code {
        Code::Add_rm64_imm32 if small => Code::Add_rm64_imm8,
        Code::Cmp_rm64_imm32 if small => Code::Cmp_rm64_imm8,
        Code::Imul_r64_rm64_imm32 if small => Code::Imul_r64_rm64_imm8,
        other => other,
    }
}

fn set_operand(instruction: &mut Instruction, at: u32, operand: &Operand, allocation: &Allocation) {
    match operand {
        Operand::Register(reg, view) => {
            instruction.set_op_register(at, named(allocation.registers[*reg], *view));
        }
        Operand::Memory(memory) => {
            instruction.set_op_kind(at, OpKind::Memory);
            set_memory(instruction, memory, allocation);
        }
        Operand::Immediate(immediate) => set_immediate(instruction, at, *immediate),
    }
}

fn set_immediate(instruction: &mut Instruction, at: u32, immediate: i64) {
    match instruction.code() {
        Code::Mov_r64_imm64 => {
            instruction.set_op_kind(at, OpKind::Immediate64);
            instruction.set_immediate64(immediate as u64);
        }
        Code::Mov_r32_imm32 => {
            instruction.set_op_kind(at, OpKind::Immediate32);
            instruction.set_immediate32(immediate as u32);
        }
        Code::Add_rm64_imm8 | Code::Cmp_rm64_imm8 | Code::Imul_r64_rm64_imm8 => {
            instruction.set_op_kind(at, OpKind::Immediate8to64);
            instruction.set_immediate8to64(immediate);
        }
        Code::Mov_rm64_imm32
        | Code::Add_rm64_imm32
        | Code::Cmp_rm64_imm32
        | Code::Imul_r64_rm64_imm32 => {
            instruction.set_op_kind(at, OpKind::Immediate32to64);
            instruction.set_immediate32to64(immediate);
        }
        _ => {
            instruction.set_op_kind(at, OpKind::Immediate8);
            instruction.set_immediate8(immediate as u8);
        }
    }
}

fn set_memory(instruction: &mut Instruction, memory: &Memory, allocation: &Allocation) {
    let general = |reg: Reg| named(allocation.registers[reg], View::Full);
    let mut displacement = i64::from(memory.displacement);
    match memory.base {
        Base::Register(reg) => instruction.set_memory_base(general(reg)),
        Base::Frame(offset) => {
            instruction.set_memory_base(Register::RSP);
            displacement += i64::from(offset);
        }
        Base::Pool(_) => {
            instruction.set_memory_base(Register::RIP);
            instruction.set_memory_displ_size(8);
            instruction.set_memory_displacement64(0);
            instruction.set_is_broadcast(memory.broadcast);
            return;
        }
    }
    if let Some((index, scale)) = memory.index {
        instruction.set_memory_index(general(index));
        instruction.set_memory_index_scale(u32::from(scale));
    }
    instruction.set_memory_displ_size(u32::from(displacement != 0));
    instruction.set_memory_displacement64(displacement as u64);
    instruction.set_is_broadcast(memory.broadcast);
}

/// All bits clear or set, by an instruction on the register itself.
fn uniform(inst: &Inst, allocation: &Allocation) -> Instruction {
    let mut instruction = Instruction::new();
    let Some(&Operand::Register(reg, view)) = inst.operands.first() else {
        return instruction;
    };
    let number = allocation.registers[reg];
    let (code, name) = match (view, inst.op) {
        (View::Mask, Op::Ones) => (Code::VEX_Kxnorw_kr_kr_kr, named(number, View::Mask)),
        (View::Mask, _) => (Code::VEX_Kxorw_kr_kr_kr, named(number, View::Mask)),
        _ => {
            let shape = VectorOp::Xor.shape();
            let code = match number >= FIRST_HIGH {
                true => shape.evex(Width::X),
                false => shape.vex(Width::X),
            };
            let code = code.unwrap_or(Code::INVALID);
            (code, named(number, View::Vector(Width::X)))
        }
    };
    instruction.set_code(code);
    (0..3).for_each(|at| instruction.set_op_register(at, name));
    instruction
}

/// The steps of a floor division, and whether each reads the multiplier; see `lower::integer`.
pub(super) fn division(to: u8, from: u8, shift: u8) -> Vec<(Instruction, bool)> {
    let step = |code: Code, a: u8, b: Option<u8>| {
        let mut instruction = Instruction::new();
        instruction.set_code(code);
        instruction.set_op0_register(named(a, View::Full));
        if let Some(b) = b {
            instruction.set_op1_register(named(b, View::Full));
        }
        (instruction, false)
    };
    let shifted = |code: Code, a: u8, by: u8| {
        let (mut instruction, _) = step(code, a, None);
        instruction.set_op1_kind(OpKind::Immediate8);
        instruction.set_immediate8(by);
        (instruction, false)
    };
    let mut multiply = Instruction::new();
    multiply.set_code(Code::Mul_rm64);
    multiply.set_op0_kind(OpKind::Memory);
    multiply.set_memory_base(Register::RIP);
    multiply.set_memory_displ_size(8);
    vec![
        step(Code::Mov_r64_rm64, RAX, Some(from)),
        step(Code::Mov_r64_rm64, RDX, Some(from)),
        shifted(Code::Sar_rm64_imm8, RDX, 63),
        step(Code::Xor_r64_rm64, RAX, Some(RDX)),
        (multiply, true),
        shifted(Code::Shr_rm64_imm8, RDX, shift),
        step(Code::Mov_r64_rm64, RAX, Some(from)),
        shifted(Code::Sar_rm64_imm8, RAX, 63),
        step(Code::Xor_r64_rm64, RDX, Some(RAX)),
        step(Code::Mov_r64_rm64, to, Some(RDX)),
    ]
}
