//! Rewrites code so that some registers live in the frame.

use cranelift_entity::{EntitySet, SecondaryMap};
use iced_x86::Code;

use super::super::machine::{
    Base, Class, First, Inst, Item, Memory, Op, Operand, Program, Reg, Width,
};
use super::super::ops::VectorOp;
use super::intervals::for_each_read;

/// Keeps what is common to the rounds of rewriting.
#[derive(Default)]
pub(super) struct Spiller {
    /// Registers that live within one item only.
    pub(super) brief: EntitySet<Reg>,
    /// Bytes of the frame.
    pub(super) frame: u32,
    /// Loads and stores by depth.
    pub(super) counts: Vec<u32>,
    homes: SecondaryMap<Reg, Option<Memory>>,
    depth: usize,
}

impl Spiller {
    /// Gives each of `spilled` a home in memory and rewrites its uses.
    pub(super) fn rewrite(&mut self, program: &mut Program, spilled: &[Reg]) {
        for &reg in spilled {
            let info = program.regs[reg];
            let home = info
                .constant
                .unwrap_or_else(|| self.slot(info.class, info.width));
            self.homes[reg] = Some(home);
        }
        let items = std::mem::take(&mut program.items);
        for item in items {
            match item {
                Item::Inst(inst) => self.inst(program, inst),
                other => {
                    match other {
                        Item::LoopBegin => self.depth += 1,
                        Item::LoopEnd => self.depth -= 1,
                        _ => {}
                    }
                    program.items.push(other);
                }
            }
        }
    }

    fn slot(&mut self, class: Class, width: Width) -> Memory {
        let bytes = match class {
            Class::Vector => width.bytes(),
            Class::General | Class::Mask => 8,
        };
        let at = self.frame.next_multiple_of(bytes);
        self.frame = at + bytes;
        Memory::at(Base::Frame(at))
    }

    fn count(&mut self) {
        if self.counts.len() <= self.depth {
            self.counts.resize(self.depth + 1, 0);
        }
        self.counts[self.depth] += 1;
    }

    fn inst(&mut self, program: &mut Program, mut inst: Inst) {
        let writes = inst.written().filter(|&reg| self.homes[reg].is_some());
        if writes.is_some_and(|reg| program.regs[reg].constant.is_some()) {
            // The only write of a constant that is read from its home.
            return;
        }
        if self.store_instead(program, &inst) {
            return;
        }
        self.fold(&mut inst);
        let mut reads: Vec<Reg> = Vec::new();
        for_each_read(&inst, &mut |reg| {
            if self.homes[reg].is_some() && !reads.contains(&reg) {
                reads.push(reg);
            }
        });
        for &reg in &reads {
            let stand_in = self.stand_in(program, reg);
            self.transfer(program, stand_in, reg, true);
            replace(&mut inst, reg, stand_in);
        }
        let result = match (writes, inst.written()) {
            (Some(reg), Some(now)) if now == reg => {
                let stand_in = self.stand_in(program, reg);
                replace(&mut inst, reg, stand_in);
                Some((stand_in, reg))
            }
            (Some(reg), Some(stand_in)) => Some((stand_in, reg)),
            _ => None,
        };
        program.items.push(Item::Inst(inst));
        if let Some((stand_in, reg)) = result {
            self.transfer(program, stand_in, reg, false);
        }
    }

    fn stand_in(&mut self, program: &mut Program, reg: Reg) -> Reg {
        let info = program.regs[reg];
        let stand_in = program.fresh(info.class, info.width);
        self.brief.insert(stand_in);
        stand_in
    }

    /// A copy to a spilled register is a store.
    fn store_instead(&mut self, program: &mut Program, inst: &Inst) -> bool {
        let Some((to, from)) = inst.copies() else {
            return false;
        };
        if self.homes[to].is_none() || self.homes[from].is_some() {
            return false;
        }
        self.transfer(program, from, to, false);
        true
    }

    /// Reads a spilled register as a memory operand where the instruction can.
    fn fold(&mut self, inst: &mut Inst) {
        let Some(slot) = inst.memory_slot() else {
            return;
        };
        let has_memory = inst
            .operands
            .iter()
            .any(|o| matches!(o, Operand::Memory(_)));
        let Some(Operand::Register(reg, _)) = inst.operands.get(slot).copied() else {
            return;
        };
        let same = |operand: &&Operand| matches!(operand, Operand::Register(r, _) if *r == reg);
        let alone = inst.operands.iter().filter(same).count() == 1;
        let writes = slot == 0 && inst.first != First::Reads;
        if let (Some(home), false, true, false) = (self.homes[reg], has_memory, alone, writes) {
            inst.operands[slot] = Operand::Memory(home);
            self.count();
        }
    }

    /// Moves between a register and the home of `reg`.
    fn transfer(&mut self, program: &mut Program, with: Reg, reg: Reg, load: bool) {
        self.count();
        let info = program.regs[reg];
        let home = Operand::Memory(self.homes[reg].unwrap_or(Memory::at(Base::Frame(0))));
        let register = match program.whole(reg) {
            Operand::Register(_, view) => Operand::Register(with, view),
            other => other,
        };
        let op = match (info.class, load) {
            (Class::General, true) => Op::General(Code::Mov_r64_rm64),
            (Class::General, false) => Op::General(Code::Mov_rm64_r64),
            (Class::Vector, true) => Op::Vector(VectorOp::Move, info.width),
            (Class::Vector, false) => Op::Vector(VectorOp::Store, info.width),
            (Class::Mask, true) => Op::Vector(VectorOp::MaskMove, Width::X),
            (Class::Mask, false) => Op::Vector(VectorOp::MaskStore, Width::X),
        };
        let inst = match load {
            true => Inst::new(op, First::Writes, &[register, home]),
            false => Inst::new(op, First::Reads, &[home, register]),
        };
        program.items.push(Item::Inst(inst));
    }
}

fn replace(inst: &mut Inst, from: Reg, to: Reg) {
    for operand in &mut inst.operands {
        match operand {
            Operand::Register(reg, _) if *reg == from => *reg = to,
            Operand::Memory(memory) => {
                if memory.base == Base::Register(from) {
                    memory.base = Base::Register(to);
                }
                if let Some((index, _)) = &mut memory.index
                    && *index == from
                {
                    *index = to;
                }
            }
            Operand::Register(..) | Operand::Immediate(_) => {}
        }
    }
    if let Some((mask, _)) = &mut inst.mask
        && *mask == from
    {
        *mask = to;
    }
}
