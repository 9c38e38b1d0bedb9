//! Code decoded for the processor, and the loop that runs it.

use std::collections::BTreeMap;

use iced_x86::{
    Code, Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, Mnemonic, Register,
};

use super::error::{Fault, Stopped, Unknown};
use super::operands::Operands;
use super::registers::{CALLEE_SAVED, Condition, Processor, RDI, RSP};
use super::{Execute, arithmetic, compare, convert, integer, masks, moves, shuffle};
use crate::wide::MachineCode;

/// What stands where code returns to, and around its frame.
const SENTINEL: u64 = 0x7f8b_ad00_c0de_c0de;
/// Words of [`SENTINEL`] on either side of what code may use of the stack.
const BORDER: usize = 16;

/// What an instruction does.
enum Step {
    Execute(Execute, Operands),
    /// Goes to a step by number; always without a condition.
    Jump(Option<Condition>, usize),
    Return,
}

/// 64 bytes as aligned as the code asks for.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Machine code of the wide emitter, ready to be interpreted.
pub struct Interpreted {
    steps: Vec<Step>,
    /// Where each step is in the code.
    offsets: Vec<usize>,
    /// The code and its constants, where steps read them.
    lines: Box<[Line]>,
    code_bytes: usize,
    /// Words that the code may use of the stack.
    stack_words: usize,
}

impl Interpreted {
    /// Decodes code.
    ///
    /// # Errors
    /// For the first instruction that is not interpreted.
    pub fn new(code: &MachineCode) -> Result<Interpreted, Unknown> {
        let mut interpreted = Interpreted {
            steps: Vec::new(),
            offsets: Vec::new(),
            lines: lines(&code.bytes),
            code_bytes: code.code_bytes,
            stack_words: 0,
        };
        let instructions = interpreted.instructions();
        interpreted.find_steps(&instructions)?;
        interpreted.stack_words = instructions.iter().map(stack_bytes).sum::<usize>() / 8;
        match interpreted.steps.last() {
            Some(Step::Return | Step::Jump(None, _)) => Ok(interpreted),
            _ => Err(Unknown {
                instruction: "end of the code".into(),
                offset: code.code_bytes,
            }),
        }
    }

    fn find_steps(&mut self, instructions: &[Instruction]) -> Result<(), Unknown> {
        let start = self.start();
        let offset = |place: u64| place.wrapping_sub(start) as usize;
        self.offsets = instructions.iter().map(|i| offset(i.ip())).collect();
        let numbers: BTreeMap<usize, usize> = self.offsets.iter().copied().zip(0..).collect();
        for instruction in instructions {
            let target = numbers.get(&offset(instruction.near_branch_target()));
            let step = step(instruction, target.copied()).ok_or_else(|| Unknown {
                instruction: text(instruction),
                offset: offset(instruction.ip()),
            });
            self.steps.push(step?);
        }
        Ok(())
    }

    /// Runs the code as a function of the address of its argument block.
    ///
    /// # Errors
    /// Where it does what no processor would do, or breaks the calling convention.
    ///
    /// # Safety
    /// As of a call of the code itself: all memory that it accesses through `arguments` may be accessed so.
    pub unsafe fn run(&self, arguments: *const u64) -> Result<(), Stopped> {
        // SAFETY: the code accesses memory through its argument, which the caller vouches for, its constants, which
        // `lines` holds, and its stack, which is made here.
        let mut processor = unsafe { Processor::new() };
        let mut stack = vec![SENTINEL; self.stack_words + 2 * BORDER];
        let top = BORDER + self.stack_words;
        let return_place = stack.as_mut_ptr().wrapping_add(top) as u64;
        processor.general[RDI] = arguments as u64;
        processor.general[RSP] = return_place;
        let last = self.execute(&mut processor)?;
        let mut border = stack[..BORDER].iter().chain(&stack[top..]);
        let is_intact = border.all(|&word| word == SENTINEL);
        let kept = match is_intact && processor.general[RSP] == return_place {
            true => kept(&processor),
            false => Err(Fault::Stack),
        };
        kept.map_err(|fault| self.stopped(last, fault))
    }

    /// Runs to the first return; its number.
    fn execute(&self, processor: &mut Processor) -> Result<usize, Stopped> {
        let mut at = 0;
        loop {
            match &self.steps[at] {
                Step::Execute(execute, operands) => {
                    execute(processor, operands).map_err(|fault| self.stopped(at, fault))?;
                    at += 1;
                }
                Step::Jump(condition, target) => {
                    let taken = match condition {
                        None => Ok(true),
                        Some(condition) => processor.holds(*condition),
                    };
                    let taken = taken.map_err(|fault| self.stopped(at, fault))?;
                    at = if taken { *target } else { at + 1 };
                }
                Step::Return => return Ok(at),
            }
        }
    }

    fn start(&self) -> u64 {
        self.lines.as_ptr() as u64
    }

    /// The instructions where they stand, so that addresses relative to them are known.
    fn instructions(&self) -> Vec<Instruction> {
        let bytes = self.lines.iter().flat_map(|line| line.0);
        let bytes: Vec<u8> = bytes.take(self.code_bytes).collect();
        let options = DecoderOptions::NONE;
        Decoder::with_ip(64, &bytes, self.start(), options)
            .iter()
            .collect()
    }

    #[cold]
    fn stopped(&self, step: usize, fault: Fault) -> Stopped {
        Stopped {
            instruction: self.instructions().get(step).map_or_else(String::new, text),
            offset: self.offsets[step],
            fault,
        }
    }
}

fn lines(bytes: &[u8]) -> Box<[Line]> {
    let chunks = bytes.chunks(64).map(|chunk| {
        let mut line = Line([0xcc; 64]);
        line.0[..chunk.len()].copy_from_slice(chunk);
        line
    });
    chunks.collect()
}

fn text(instruction: &Instruction) -> String {
    let mut text = String::new();
    IntelFormatter::new().format(instruction, &mut text);
    text
}

/// What an instruction does; `target` is the number of the step that it goes to.
fn step(instruction: &Instruction, target: Option<usize>) -> Option<Step> {
    let conditional = matches!(
        instruction.mnemonic(),
        Mnemonic::Je | Mnemonic::Jl | Mnemonic::Jge
    );
    match instruction.code() {
        Code::INVALID => return None,
        Code::Retnq => return Some(Step::Return),
        Code::Jmp_rel32_64 | Code::Jmp_rel8_64 => return Some(Step::Jump(None, target?)),
        _ if conditional => {
            let condition = Condition::of(instruction.mnemonic())?;
            return Some(Step::Jump(Some(condition), target?));
        }
        _ => {}
    }
    let operands = Operands::of(instruction)?;
    let tables = [
        arithmetic::find,
        moves::find,
        compare::find,
        convert::find,
        shuffle::find,
        masks::find,
        integer::find,
    ];
    let mut found = tables.iter();
    let execute = found.find_map(|find| find(instruction.mnemonic(), &operands))?;
    Some(Step::Execute(execute, operands))
}

/// How many bytes of the stack an instruction takes at most.
fn stack_bytes(instruction: &Instruction) -> usize {
    let of_stack = instruction.op0_register() == Register::RSP;
    match instruction.code() {
        Code::Push_r64 => 8,
        Code::And_rm64_imm8 if of_stack => 64,
        Code::Sub_rm64_imm32 if of_stack => instruction.immediate(1) as usize,
        _ => 0,
    }
}

/// Whether the registers that belong to the caller hold what they held.
fn kept(processor: &Processor) -> Result<(), Fault> {
    let changed = CALLEE_SAVED
        .iter()
        .find(|&&(number, _)| processor.general[number] != Processor::unwritten(number));
    changed.map_or(Ok(()), |&(_, name)| Err(Fault::CalleeSaved(name)))
}
