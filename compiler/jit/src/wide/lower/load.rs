//! Loads.

use dlm_core::loops::{Address, Element, Instruction, LoadKind, Statement, Value};
use iced_x86::Code;

use super::super::machine::{First, Inst, Memory, Op, Operand, Width};
use super::super::ops::VectorOp;
use super::half::HALF;
use super::operands::{general, vector, word};
use super::{Lower, Lowered, Place};

/// How many statements a load may wait for its user.
const PATIENCE: usize = 128;
/// Bytes of a float or an integer.
const WORD: i32 = 4;
/// `vshufps`: of seven words, loaded as the first four and the last four, the first, third, fifth and seventh.
const EVERY_OTHER: i64 = 0b_11_01_10_00;
/// `vpshufd`: lanes 2 and 3 to 0 and 1.
const UPPER_PAIR: i64 = 0b_00_00_11_10;

/// A load that has not been done.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) memory: Memory,
    pub(super) splat: bool,
    /// Whether the element has two bytes, which the user shifts to the upper half of each lane.
    pub(super) half: bool,
}

impl Pending {
    /// One part as a memory operand, where the instruction can take it.
    pub(super) fn operand(&self, part: usize, width: Width, broadcasts: bool) -> Option<Memory> {
        let mut memory = self.memory;
        if self.half {
            return None;
        }
        if self.splat {
            memory.broadcast = true;
            return broadcasts.then_some(memory);
        }
        memory.displacement += part as i32 * width.bytes() as i32;
        Some(memory)
    }
}

impl Lower<'_> {
    pub(super) fn load(
        &mut self,
        value: Value,
        address: &Address,
        kind: LoadKind,
        rest: &[Statement],
    ) -> Lowered<()> {
        let lanes = self.lanes(value);
        let element = self.kernel.buffers[address.buffer].element;
        let size = element.bytes() as i64;
        let pair = kind == LoadKind::SplatPair;
        let words = pair || matches!(element, Element::F32 | Element::I32);
        match kind {
            LoadKind::Strided(stride) if lanes > 1 => {
                let step = stride.wrapping_mul(size);
                let memory = self.memory(address, step.saturating_mul(i64::from(lanes) - 1))?;
                match words || element == Element::Bf16 {
                    true => self.load_strided_words(value, element, memory, step as i32),
                    false => self.load_strided_bytes(value, element, memory, step as i32),
                }
            }
            _ => {
                let splat = pair || kind == LoadKind::Splat || lanes == 1;
                let memory = self.memory(address, size * i64::from(lanes))?;
                let half = element == Element::Bf16 && !pair && splat && lanes > 1;
                let pending = Pending {
                    memory,
                    splat,
                    half: half && self.is_only_widened(value, address, rest),
                };
                match words {
                    true if self.may_wait(value, address, splat, rest) => {
                        self.places[value] = Place::Pending(pending);
                    }
                    true => self.load_words(value, &pending),
                    false if pending.half => self.places[value] = Place::Pending(pending),
                    false if element == Element::Bf16 => self.load_halves(value, &pending),
                    false => self.load_bytes(value, element, &pending),
                }
            }
        }
        Ok(())
    }

    /// Whether the load can become the operand of its only user.
    fn may_wait(&self, value: Value, address: &Address, splat: bool, rest: &[Statement]) -> bool {
        let fits = match splat {
            true => self.features.avx512,
            false => self.lanes(value) >= 4,
        };
        fits && self.only_user(value, address, rest).is_some()
    }

    /// Whether all that is done with an element of two bytes is to widen it to a float.
    fn is_only_widened(&self, value: Value, address: &Address, rest: &[Statement]) -> bool {
        let user = self.only_user(value, address, rest);
        matches!(user, Some(Instruction::ShiftLeft(_, HALF)))
    }

    /// The only user of a load, if it is in this block, with no store to the load's buffer between and its indices
    /// unchanged.
    fn only_user<'r>(
        &self,
        value: Value,
        address: &Address,
        rest: &'r [Statement],
    ) -> Option<&'r Instruction> {
        let lasting = address.terms.iter().all(|t| !self.storage.is_shared(t.0));
        let uses = self.storage.uses(value);
        if !lasting || uses == 0 || uses > 2 {
            return None;
        }
        for statement in rest.iter().take(PATIENCE) {
            match statement {
                Statement::Define(_, instruction) => {
                    let mut found = 0;
                    instruction.for_each_operand(|operand| found += usize::from(operand == value));
                    let repeats = matches!(instruction, Instruction::Join(..));
                    match found {
                        0 => {}
                        1 if uses == 1 => return Some(instruction),
                        2 if repeats => return Some(instruction),
                        _ => return None,
                    }
                }
                Statement::Store { address: to, .. } if to.buffer != address.buffer => {}
                _ => return None,
            }
        }
        None
    }

    /// Does a load that waited.
    pub(super) fn load_now(&mut self, value: Value) {
        if let Place::Pending(pending) = self.places[value].clone() {
            match pending.half {
                true => self.load_halves(value, &pending),
                false => self.load_words(value, &pending),
            }
        }
    }

    fn load_words(&mut self, value: Value, pending: &Pending) {
        let lanes = self.lanes(value);
        let width = self.width(value);
        let targets = match pending.splat {
            true => self.splat_target(value),
            false => self.target(value),
        };
        for (part, &to) in targets.iter().enumerate() {
            let (op, memory) = match (pending.splat, lanes) {
                (_, 1) => (VectorOp::LoadOne, pending.memory),
                (true, _) => (VectorOp::BroadcastMemory, pending.memory),
                (false, 2) => (VectorOp::LoadTwo, pending.memory),
                _ => {
                    let mut memory = pending.memory;
                    memory.displacement += part as i32 * width.bytes() as i32;
                    (VectorOp::Move, memory)
                }
            };
            self.vector(op, width, vector(to, width), &[Operand::Memory(memory)]);
        }
    }

    fn load_bytes(&mut self, value: Value, element: Element, pending: &Pending) {
        let lanes = self.lanes(value);
        let width = self.width(value);
        let narrow = pending.splat || lanes < 4;
        let low = narrow.then(|| {
            let code = match pending.splat {
                true => Code::Movzx_r32_rm8,
                false => Code::Movzx_r32_rm16,
            };
            self.bytes_to_vector(code, pending.memory)
        });
        let mut parts = Vec::new();
        for part in 0..self.part_count(value) {
            let mut memory = pending.memory;
            memory.displacement += part as i32 * width.bytes() as i32 / 4;
            parts.push(match low {
                Some(low) if lanes == 1 => low,
                Some(low) if pending.splat => self.fresh_with(VectorOp::Broadcast, width, &[low]),
                Some(low) => self.fresh_with(VectorOp::WidenBytes, width, &[low]),
                None => {
                    let memory = Operand::Memory(memory);
                    self.fresh_with(VectorOp::WidenBytes, width, &[memory])
                }
            });
        }
        self.finish_bytes(value, element, &parts);
    }

    /// One, two or four bytes from memory, zero-extended, in an xmm register.
    pub(super) fn bytes_to_vector(&mut self, code: Code, memory: Memory) -> Operand {
        let byte = self.program.general();
        let sources = [word(byte), Operand::Memory(memory)];
        self.push(Inst::new(Op::General(code), First::Writes, &sources));
        self.fresh_with(VectorOp::FromGeneral, Width::X, &[word(byte)])
    }

    /// Zero-extended bytes to what their element loads as.
    fn finish_bytes(&mut self, value: Value, element: Element, parts: &[Operand]) {
        let width = self.width(value);
        let targets = self.target(value);
        if element != Element::Bool {
            for (&to, &part) in targets.iter().zip(parts) {
                self.copy(to, part);
            }
            return;
        }
        if self.k_masks() {
            let to = self.program.whole(targets[0]);
            return self.vector(VectorOp::TestMask, width, to, &[parts[0], parts[0]]);
        }
        let by = Operand::Immediate(31);
        for (&to, &part) in targets.iter().zip(parts) {
            let top = self.fresh_with(VectorOp::ShiftLeft, width, &[part, by]);
            let to = vector(to, width);
            self.vector(VectorOp::ShiftRightSigned, width, to, &[top, by]);
        }
    }

    fn load_strided_words(&mut self, value: Value, element: Element, memory: Memory, step: i32) {
        let (count, width) = (self.part_count(value), self.width(value));
        let lanes = usize::from(self.lanes(value)) / count;
        for part in 0..count {
            let quarters: Vec<Operand> = (0..lanes.div_ceil(4))
                .map(|quarter| {
                    let first = part * lanes + quarter * 4;
                    match element {
                        Element::Bf16 => self.strided_halves(memory, step, first, lanes.min(4)),
                        _ => self.strided_quarter(memory, step, first, lanes.min(4)),
                    }
                })
                .collect();
            let whole = self.join_quarters(width, &quarters);
            let to = self.storage_registers(value)[part];
            self.copy(to, whole);
        }
        self.target(value);
    }

    fn strided_quarter(
        &mut self,
        memory: Memory,
        step: i32,
        first: usize,
        count: usize,
    ) -> Operand {
        let element = |lane: usize| {
            let mut memory = memory;
            memory.displacement += (first + lane) as i32 * step;
            Operand::Memory(memory)
        };
        if (step, count) == (2 * WORD, 4) {
            let mut upper = memory;
            upper.displacement += first as i32 * step + 3 * WORD;
            let lower = self.fresh_with(VectorOp::Move, Width::X, &[element(0)]);
            let sources = [
                lower,
                Operand::Memory(upper),
                Operand::Immediate(EVERY_OTHER),
            ];
            return self.fresh_with(VectorOp::ShuffleTwo, Width::X, &sources);
        }
        let mut quarter = self.fresh_with(VectorOp::LoadOne, Width::X, &[element(0)]);
        for lane in 1..count {
            let sources = [quarter, element(lane), Operand::Immediate(lane as i64)];
            quarter = self.fresh_with(VectorOp::InsertWord, Width::X, &sources);
        }
        quarter
    }

    fn join_quarters(&mut self, width: Width, quarters: &[Operand]) -> Operand {
        let wide = |operand: Operand, width: Width| super::reduce::narrowed(operand, width);
        let upper = Operand::Immediate(1);
        match (width, quarters) {
            (Width::X, _) => quarters[0],
            (Width::Y, _) => {
                let sources = [wide(quarters[0], Width::Y), quarters[1], upper];
                self.fresh_with(VectorOp::InsertQuarter, Width::Y, &sources)
            }
            (Width::Z, _) => {
                let low = self.join_quarters(Width::Y, &quarters[..2]);
                let high = self.join_quarters(Width::Y, &quarters[2..]);
                let sources = [wide(low, Width::Z), high, upper];
                self.fresh_with(VectorOp::InsertHalf, Width::Z, &sources)
            }
        }
    }

    fn load_strided_bytes(&mut self, value: Value, element: Element, memory: Memory, step: i32) {
        let mut bytes = self.bytes_to_vector(Code::Movzx_r32_rm8, memory);
        for lane in 1..i32::from(self.lanes(value)) {
            let mut at = memory;
            at.displacement += lane * step;
            let sources = [
                bytes,
                Operand::Memory(at),
                Operand::Immediate(i64::from(lane)),
            ];
            bytes = self.fresh_with(VectorOp::InsertByte, Width::X, &sources);
        }
        let width = self.width(value);
        let mut parts = vec![self.fresh_with(VectorOp::WidenBytes, width, &[bytes])];
        if self.part_count(value) == 2 {
            let upper = [bytes, Operand::Immediate(UPPER_PAIR)];
            let upper = self.fresh_with(VectorOp::Shuffle, Width::X, &upper);
            parts.push(self.fresh_with(VectorOp::WidenBytes, width, &[upper]));
        }
        self.finish_bytes(value, element, &parts);
    }

    /// Loads the argument block: pointers, then scalars.
    pub(super) fn arguments(&mut self) {
        let block = self.addresses.block_register(&mut self.program);
        let count = self.kernel.buffers.len();
        for (buffer, _) in &self.kernel.buffers {
            let reg = self.program.general();
            self.addresses.set_buffer(buffer, reg);
            self.argument(block, buffer.as_u32() as usize, reg);
        }
        let kernel = self.kernel;
        for (at, (value, _)) in kernel.scalars.iter().enumerate() {
            let reg = self.target(*value)[0];
            self.argument(block, count + at, reg);
        }
    }

    fn argument(&mut self, block: super::Reg, at: usize, to: super::Reg) {
        let mut memory = Memory::at(super::super::machine::Base::Register(block));
        memory.displacement = at as i32 * 8;
        let op = Op::General(Code::Mov_r64_rm64);
        let sources = [general(to), Operand::Memory(memory)];
        self.push(Inst::new(op, First::Writes, &sources));
    }
}
