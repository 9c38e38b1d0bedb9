//! Machine code as bytes.
//!
//! The frame, from the stack pointer up: spilled values, the stack pointer to go back to, and above them the saved
//! registers. Constants follow the code.

mod frame;
mod instruction;
pub(super) mod registers;

use cranelift_entity::EntityRef;
use iced_x86::{Code, Encoder, Instruction, OpKind};

use super::WideError;
use super::allocate::Allocation;
use super::machine::{Inst, Item, Label, Op, Operand, Program};
use super::pool::PoolEntry;

/// Where innermost loops begin: at a multiple of this. The decoded instructions that a processor keeps lie by lines of 64 bytes:
/// a short loop is faster from few of them.
const LOOP_ALIGNMENT: usize = 64;

/// The bytes of a program.
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    /// How many of them are instructions; constants follow.
    pub(super) code: usize,
}

/// Encodes `program`.
///
/// # Errors
/// Where an instruction has no encoding: a fault of lowering.
pub(super) fn encode(program: &Program, allocation: &Allocation) -> Result<Encoded, WideError> {
    let mut writer = Writer {
        program,
        allocation,
        encoder: Encoder::new(64),
        length: 0,
        labels: vec![0; program.labels as usize],
        jumps: Vec::new(),
        constants: Vec::new(),
    };
    writer.write_all()?;
    Ok(writer.finish())
}

struct Writer<'a> {
    program: &'a Program,
    allocation: &'a Allocation,
    encoder: Encoder,
    length: usize,
    labels: Vec<usize>,
    /// The ends of jumps, whose last four bytes say how far.
    jumps: Vec<(usize, Label)>,
    /// Where the four bytes are that say how far a constant is from the instruction's end, and the end.
    constants: Vec<(usize, usize, PoolEntry)>,
}

impl Writer<'_> {
    fn write_all(&mut self) -> Result<(), WideError> {
        let frame = frame::Frame::of(self.program, self.allocation);
        for instruction in frame.prologue() {
            self.raw(&instruction)?;
        }
        let items = &self.program.items;
        for (at, item) in items.iter().enumerate() {
            match item {
                Item::Inst(inst) => self.inst(inst)?,
                Item::Label(label) => self.labels[label.index()] = self.length,
                Item::Jump(code, label) => self.jump(*code, *label)?,
                Item::LoopBegin if is_innermost(&items[at + 1..]) => self.align(LOOP_ALIGNMENT),
                Item::LoopBegin | Item::LoopEnd => {}
            }
        }
        for instruction in frame.epilogue() {
            self.raw(&instruction)?;
        }
        Ok(())
    }

    fn raw(&mut self, instruction: &Instruction) -> Result<usize, WideError> {
        let encoded = self.encoder.encode(instruction, self.length as u64);
        let bytes = encoded.map_err(|error| WideError::Encoding(error.to_string()))?;
        self.length += bytes;
        Ok(bytes)
    }

    fn jump(&mut self, code: Code, label: Label) -> Result<(), WideError> {
        let mut instruction = Instruction::new();
        instruction.set_code(code);
        instruction.set_op0_kind(OpKind::NearBranch64);
        instruction.set_near_branch64(self.length as u64);
        self.raw(&instruction)?;
        self.jumps.push((self.length, label));
        Ok(())
    }

    fn align(&mut self, to: usize) {
        const NOPS: [&[u8]; 9] = [
            &[0x90],
            &[0x66, 0x90],
            &[0x0f, 0x1f, 0x00],
            &[0x0f, 0x1f, 0x40, 0x00],
            &[0x0f, 0x1f, 0x44, 0x00, 0x00],
            &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
            &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
            &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
            &[0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
        ];
        let mut missing = self.length.next_multiple_of(to) - self.length;
        self.length += missing;
        while missing > 0 {
            let nop = NOPS[missing.min(NOPS.len()) - 1];
            nop.iter().for_each(|&byte| self.encoder.write_u8(byte));
            missing -= nop.len();
        }
    }

    fn inst(&mut self, inst: &Inst) -> Result<(), WideError> {
        if let Op::Divide { multiplier, shift } = inst.op {
            return self.division(inst, multiplier, shift);
        }
        if let Some((to, from)) = inst.copies()
            && self.allocation.registers[to] == self.allocation.registers[from]
        {
            return Ok(());
        }
        let instruction = instruction::machine_instruction(inst, self.allocation)?;
        self.with_constant(&instruction, pool_entry(inst))
    }

    fn with_constant(
        &mut self,
        instruction: &Instruction,
        entry: Option<PoolEntry>,
    ) -> Result<(), WideError> {
        let start = self.length;
        self.raw(instruction)?;
        if let Some(entry) = entry {
            let within = self.encoder.get_constant_offsets().displacement_offset();
            self.constants.push((start + within, self.length, entry));
        }
        Ok(())
    }

    fn division(&mut self, inst: &Inst, multiplier: PoolEntry, shift: u8) -> Result<(), WideError> {
        let [Operand::Register(to, _), Operand::Register(from, _)] = inst.operands[..] else {
            return Err(WideError::Encoding("division of no register".into()));
        };
        let (to, from) = (
            self.allocation.registers[to],
            self.allocation.registers[from],
        );
        for (instruction, constant) in instruction::division(to, from, shift) {
            self.with_constant(&instruction, constant.then_some(multiplier))?;
        }
        Ok(())
    }

    fn finish(mut self) -> Encoded {
        let mut bytes = self.encoder.take_buffer();
        let code = bytes.len();
        let (pool, offsets) = self.program.pool.layout();
        let constants = code.next_multiple_of(64);
        if !pool.is_empty() {
            bytes.resize(constants, 0xcc);
            bytes.extend_from_slice(&pool);
        }
        for (end, label) in self.jumps {
            let distance = self.labels[label.index()] as i64 - end as i64;
            patch(&mut bytes, end - 4, distance);
        }
        for (place, end, entry) in self.constants {
            let distance = (constants + offsets[entry.index()]) as i64 - end as i64;
            patch(&mut bytes, place, distance);
        }
        Encoded { bytes, code }
    }
}

/// Code of two gigabytes is refused long before by its size in memory, so that distances have 32 bits.
fn patch(bytes: &mut [u8], place: usize, distance: i64) {
    bytes[place..place + 4].copy_from_slice(&(distance as i32).to_le_bytes());
}

fn is_innermost(rest: &[Item]) -> bool {
    let next = rest
        .iter()
        .find(|item| matches!(item, Item::LoopBegin | Item::LoopEnd));
    matches!(next, Some(Item::LoopEnd))
}

fn pool_entry(inst: &Inst) -> Option<PoolEntry> {
    inst.operands.iter().find_map(|operand| match operand {
        Operand::Memory(memory) => match memory.base {
            super::machine::Base::Pool(entry) => Some(entry),
            _ => None,
        },
        _ => None,
    })
}
