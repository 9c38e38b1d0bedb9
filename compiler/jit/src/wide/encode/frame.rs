//! What a function does first and last.

use iced_x86::{Code, Instruction, OpKind, Register};

use super::super::allocate::Allocation;
use super::super::machine::{Class, Program, View};
use super::registers::{CALLEE_SAVED, named};

const ALIGNMENT: u32 = 64;

/// The stack frame of a function.
pub(super) struct Frame {
    saved: Vec<Register>,
    /// Bytes below the saved registers, or none.
    bytes: u32,
}

impl Frame {
    pub(super) fn of(program: &Program, allocation: &Allocation) -> Frame {
        let mut saved = CALLEE_SAVED.to_vec();
        saved.retain(|&number| {
            program.regs.iter().any(|(reg, info)| {
                info.class == Class::General && allocation.registers[reg] == number
            })
        });
        let bytes = match allocation.frame {
            0 => 0,
            // One more word for the stack pointer to go back to.
            used => (used + 8).next_multiple_of(ALIGNMENT),
        };
        Frame {
            saved: saved
                .into_iter()
                .map(|number| named(number, View::Full))
                .collect(),
            bytes,
        }
    }

    /// Saves registers and makes an aligned frame. Uses rax, which holds nothing yet.
    pub(super) fn prologue(&self) -> Vec<Instruction> {
        let mut list: Vec<_> = self
            .saved
            .iter()
            .map(|&reg| one(Code::Push_r64, reg))
            .collect();
        if self.bytes > 0 {
            list.push(two(Code::Mov_r64_rm64, Register::RAX, Register::RSP));
            list.push(by_constant(Code::And_rm64_imm8, -i64::from(ALIGNMENT)));
            list.push(by_constant(Code::Sub_rm64_imm32, i64::from(self.bytes)));
            list.push(self.old_stack_pointer(Code::Mov_rm64_r64, Register::RAX));
        }
        list
    }

    pub(super) fn epilogue(&self) -> Vec<Instruction> {
        let mut list = Vec::new();
        let mut plain = Instruction::new();
        plain.set_code(Code::VEX_Vzeroupper);
        list.push(plain);
        if self.bytes > 0 {
            list.push(self.old_stack_pointer(Code::Mov_r64_rm64, Register::RSP));
        }
        list.extend(self.saved.iter().rev().map(|&reg| one(Code::Pop_r64, reg)));
        plain.set_code(Code::Retnq);
        list.push(plain);
        list
    }

    fn old_stack_pointer(&self, code: Code, reg: Register) -> Instruction {
        let mut instruction = Instruction::new();
        instruction.set_code(code);
        let (memory, register) = match code {
            Code::Mov_rm64_r64 => (0, 1),
            _ => (1, 0),
        };
        instruction.set_op_register(register, reg);
        instruction.set_op_kind(memory, OpKind::Memory);
        instruction.set_memory_base(Register::RSP);
        instruction.set_memory_displ_size(1);
        instruction.set_memory_displacement64(u64::from(self.bytes - 8));
        instruction
    }
}

fn one(code: Code, reg: Register) -> Instruction {
    let mut instruction = Instruction::new();
    instruction.set_code(code);
    instruction.set_op0_register(reg);
    instruction
}

fn two(code: Code, to: Register, from: Register) -> Instruction {
    let mut instruction = one(code, to);
    instruction.set_op1_register(from);
    instruction
}

fn by_constant(code: Code, constant: i64) -> Instruction {
    let mut instruction = one(code, Register::RSP);
    match code {
        Code::And_rm64_imm8 => {
            instruction.set_op1_kind(OpKind::Immediate8to64);
            instruction.set_immediate8to64(constant);
        }
        _ => {
            instruction.set_op1_kind(OpKind::Immediate32to64);
            instruction.set_immediate32to64(constant);
        }
    }
    instruction
}
