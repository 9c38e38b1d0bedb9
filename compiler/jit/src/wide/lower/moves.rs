//! Values to the storage of others, all at once, as where a loop's round ends.

use dlm_core::loops::Value;

use super::super::machine::{Base, First, Inst, Memory, Op, Operand, Reg};
use super::super::ops::VectorOp;
use super::operands::vector;
use super::{Constant, Lower, Place};

/// A register to write and what to write.
enum Source {
    Register(Reg),
    Constant(Constant),
}

impl Lower<'_> {
    /// Writes each `from` to the storage of its `to`, as if all were read before any is written.
    pub(super) fn move_all(&mut self, moves: &[(Value, Value)]) {
        let mut steps: Vec<(Reg, Source)> = Vec::new();
        for &(to, from) in moves {
            self.plan_move(to, from, &mut steps);
        }
        self.set_aside(&mut steps);
        for (to, source) in steps {
            match source {
                Source::Register(from) => {
                    let from = self.program.whole(from);
                    self.copy(to, from);
                }
                Source::Constant(constant) => self.set_constant(to, constant),
            }
        }
    }

    fn plan_move(&mut self, to: Value, from: Value, steps: &mut Vec<(Reg, Source)>) {
        if let Place::Pending(_) = self.places[from] {
            self.load_now(from);
        }
        let targets = self.storage_registers(to);
        match self.places[from] {
            Place::Constant(constant) => {
                let sources = targets.iter().map(|&to| (to, Source::Constant(constant)));
                steps.extend(sources);
            }
            _ => {
                let sources = self.storage_registers(from);
                let pairs = targets.into_iter().zip(sources);
                let moved = pairs.filter(|(to, from)| to != from);
                steps.extend(moved.map(|(to, from)| (to, Source::Register(from))));
            }
        }
    }

    /// Copies to new registers what a step would overwrite before another reads it.
    fn set_aside(&mut self, steps: &mut [(Reg, Source)]) {
        for at in 0..steps.len() {
            let Source::Register(from) = steps[at].1 else {
                continue;
            };
            if steps[..at].iter().any(|step| step.0 == from) {
                let info = self.program.regs[from];
                let aside = self.program.fresh(info.class, info.width);
                let from = self.program.whole(from);
                self.copy(aside, from);
                steps[at].1 = Source::Register(aside);
            }
        }
    }

    /// Writes a constant without touching the flags.
    fn set_constant(&mut self, to: Reg, constant: Constant) {
        let width = self.program.regs[to].width;
        let word = match constant {
            Constant::Index(index) => return self.push(super::integer::set(to, index)),
            Constant::Mask(set) if self.k_masks() => {
                let op = if set { Op::Ones } else { Op::Zero };
                let target = self.program.whole(to);
                return self.push(Inst::new(op, First::Writes, &[target]));
            }
            Constant::Mask(set) => dlm_core::loops::lanes::mask(set),
            Constant::Word(word) => word,
        };
        let target = vector(to, width);
        if word == 0 {
            return self.push(Inst::new(Op::Zero, First::Writes, &[target]));
        }
        let entry = self.program.pool.words(word, 1);
        let one = Operand::Memory(Memory::at(Base::Pool(entry)));
        self.vector(VectorOp::BroadcastMemory, width, target, &[one]);
    }
}
