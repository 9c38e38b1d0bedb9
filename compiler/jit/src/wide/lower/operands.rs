//! Values as operands: registers, constants beside the code, loads that wait.

use dlm_core::loops::Value;

use super::super::machine::{
    Base, Class, First, Inst, Item, Memory, Op, Operand, Reg, View, Width,
};
use super::super::ops::VectorOp;
use super::{Constant, Lower, Place};

/// A vector register as an operand.
pub(super) fn vector(reg: Reg, width: Width) -> Operand {
    Operand::Register(reg, View::Vector(width))
}

/// A k register as an operand.
pub(super) fn mask(reg: Reg) -> Operand {
    Operand::Register(reg, View::Mask)
}

/// A general register as an operand.
pub(super) fn general(reg: Reg) -> Operand {
    Operand::Register(reg, View::Full)
}

/// The low half of a general register.
pub(super) fn word(reg: Reg) -> Operand {
    Operand::Register(reg, View::Word)
}

impl Lower<'_> {
    /// A new vector register as an operand.
    pub(super) fn temporary(&mut self, width: Width) -> Operand {
        vector(self.program.vector(width), width)
    }

    /// Where one part of a value is, in a register.
    pub(super) fn register(&mut self, value: Value, part: usize) -> Reg {
        match self.places[value].clone() {
            Place::Constant(constant) => self.constant_register(value, constant),
            Place::Pending(_) => {
                self.load_now(value);
                self.storage_registers(value)[part]
            }
            Place::Registers | Place::Nowhere => self.storage_registers(value)[part],
        }
    }

    /// One part of a vector or mask, in a register.
    pub(super) fn source(&mut self, value: Value, part: usize) -> Operand {
        let reg = self.register(value, part);
        self.program.whole(reg)
    }

    /// One part of a vector as the operand of `op` that may be memory.
    pub(super) fn last_source(&mut self, op: VectorOp, value: Value, part: usize) -> Operand {
        let shape = op.shape();
        let memory = match &self.places[value] {
            Place::Constant(Constant::Word(word)) if shape.memory_slot.is_some() => {
                let (word, width) = (*word, self.width(value));
                Some(self.word_memory(word, width, shape.broadcasts))
            }
            Place::Pending(pending) if shape.memory_slot.is_some() => {
                pending.operand(part, self.width(value), shape.broadcasts)
            }
            _ => None,
        };
        match memory {
            Some(memory) => Operand::Memory(memory),
            None => self.source(value, part),
        }
    }

    /// Whether `last_source` needs no register for it.
    pub(super) fn prefers_memory(&self, value: Value) -> bool {
        matches!(
            self.places[value],
            Place::Constant(Constant::Word(_)) | Place::Pending(_)
        )
    }

    /// A word in every lane as a memory operand.
    pub(super) fn word_memory(&mut self, word: u32, width: Width, broadcasts: bool) -> Memory {
        let broadcast = broadcasts && self.features.avx512;
        let count = if broadcast { 1 } else { width.bytes() / 4 };
        let mut memory = Memory::at(Base::Pool(self.program.pool.words(word, count)));
        memory.broadcast = broadcast;
        memory
    }

    /// A word in every lane, as the last operand of `op`.
    pub(super) fn word(&mut self, op: VectorOp, word: u32, width: Width) -> Operand {
        Operand::Memory(self.word_memory(word, width, op.shape().broadcasts))
    }

    /// A register that holds a constant throughout, loaded before all else.
    fn constant_register(&mut self, value: Value, constant: Constant) -> Reg {
        let width = match constant {
            Constant::Index(_) => Width::X,
            Constant::Mask(_) if self.k_masks() => Width::X,
            _ => self.width(value),
        };
        if let Some(&reg) = self.constants.get(&(constant, width)) {
            return reg;
        }
        let reg = match constant {
            Constant::Index(index) => self.index_register(index),
            Constant::Mask(set) if self.k_masks() => self.k_register(set),
            Constant::Mask(set) => self.word_register(dlm_core::loops::lanes::mask(set), width),
            Constant::Word(word) => self.word_register(word, width),
        };
        self.constants.insert((constant, width), reg);
        reg
    }

    fn index_register(&mut self, index: i64) -> Reg {
        let reg = self.program.general();
        let entry = self.program.pool.add(index.to_le_bytes().to_vec());
        self.program.regs[reg].constant = Some(Memory::at(Base::Pool(entry)));
        self.entry.push(Item::Inst(super::integer::set(reg, index)));
        reg
    }

    fn k_register(&mut self, set: bool) -> Reg {
        let reg = self.program.mask();
        let op = if set { Op::Ones } else { Op::Zero };
        let inst = Inst::new(op, First::Writes, &[mask(reg)]);
        self.entry.push(Item::Inst(inst));
        reg
    }

    fn word_register(&mut self, word: u32, width: Width) -> Reg {
        let reg = self.program.vector(width);
        let whole = self.word_memory(word, width, false);
        self.program.regs[reg].constant = Some(whole);
        let to = vector(reg, width);
        let inst = match word {
            0 => Inst::new(Op::Zero, First::Writes, &[to]),
            _ => {
                let entry = self.program.pool.words(word, 1);
                let one = Operand::Memory(Memory::at(Base::Pool(entry)));
                let op = Op::Vector(VectorOp::BroadcastMemory, width);
                Inst::new(op, First::Writes, &[to, one])
            }
        };
        self.entry.push(Item::Inst(inst));
        reg
    }

    /// A copy of a register's whole content.
    pub(super) fn copy(&mut self, to: Reg, from: Operand) {
        let target = self.program.whole(to);
        let info = self.program.regs[to];
        let op = match info.class {
            Class::General => Op::General(iced_x86::Code::Mov_r64_rm64),
            Class::Vector => Op::Vector(VectorOp::Move, info.width),
            Class::Mask => Op::Vector(VectorOp::MaskMove, Width::X),
        };
        self.push(Inst::new(op, First::Writes, &[target, from]));
    }
}
