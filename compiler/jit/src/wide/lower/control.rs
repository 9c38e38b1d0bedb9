//! Loops and conditions.

use dlm_core::loops::{Conditional, LoopStatement, Value};
use iced_x86::Code;

use super::super::machine::{First, Inst, Item, Op, Operand, Reg};
use super::operands::general;
use super::{Constant, Lower, Lowered, Place};

impl Lower<'_> {
    pub(super) fn loop_statement(&mut self, statement: &LoopStatement) -> Lowered<()> {
        let steppings = self.prepare_pointers(statement);
        let carried = &statement.carried;
        let initials: Vec<_> = carried.iter().map(|c| (c.argument, c.initial)).collect();
        self.move_all(&initials);
        let (head, exit) = (self.program.label(), self.program.label());
        let counter = self.target(statement.variable)[0];
        self.begin_counter(counter, statement, exit);
        self.program.items.push(Item::LoopBegin);
        self.program.items.push(Item::Label(head));
        carried.iter().for_each(|c| drop(self.target(c.argument)));
        self.prefetch(statement)?;
        self.block(&statement.body)?;
        let nexts: Vec<_> = carried.iter().map(|c| (c.argument, c.next)).collect();
        self.move_all(&nexts);
        for (pointer, bytes) in steppings {
            self.increment(pointer, bytes);
        }
        self.increment(counter, statement.step);
        self.compare_index(counter, statement.end);
        self.program.items.push(Item::Jump(Code::Jl_rel32_64, head));
        self.program.items.push(Item::LoopEnd);
        self.program.items.push(Item::Label(exit));
        self.addresses.close();
        carried.iter().for_each(|c| drop(self.target(c.result)));
        // Registers of their own: what has to wait in memory behind the loop does not have to within it.
        let used = carried.iter().filter(|c| self.storage.uses(c.result) > 0);
        let results: Vec<_> = used.map(|c| (c.result, c.argument)).collect();
        self.move_all(&results);
        Ok(())
    }

    fn index_constant(&self, value: Value) -> Option<i64> {
        match self.places[value] {
            Place::Constant(Constant::Index(index)) => Some(index),
            _ => None,
        }
    }

    /// Sets the counter, and leaves where there is no round.
    fn begin_counter(
        &mut self,
        counter: Reg,
        statement: &LoopStatement,
        exit: super::super::machine::Label,
    ) {
        let (begin, end) = (statement.begin, statement.end);
        match self.index_constant(begin) {
            Some(begin) => self.push(super::integer::set(counter, begin)),
            None => {
                let from = general(self.register(begin, 0));
                self.copy(counter, from);
            }
        }
        let bounds = self.index_constant(begin).zip(self.index_constant(end));
        if bounds.is_none_or(|(begin, end)| begin >= end) {
            self.compare_index(counter, end);
            self.program
                .items
                .push(Item::Jump(Code::Jge_rel32_64, exit));
        }
    }

    /// Sets the flags by `a` against `b`.
    pub(super) fn compare_index(&mut self, a: Reg, b: Value) {
        let inst = match self.index_constant(b).map(i32::try_from) {
            Some(Ok(bound)) => {
                let operands = [general(a), Operand::Immediate(i64::from(bound))];
                Inst::new(Op::General(Code::Cmp_rm64_imm32), First::Reads, &operands)
            }
            _ => {
                let b = general(self.register(b, 0));
                let op = Op::General(Code::Cmp_r64_rm64);
                Inst::new(op, First::Reads, &[general(a), b])
            }
        };
        self.push(inst);
    }

    pub(super) fn conditional(&mut self, conditional: &Conditional) -> Lowered<()> {
        let results = &conditional.results;
        let condition = general(self.register(conditional.condition, 0));
        let op = Op::General(Code::Test_rm64_r64);
        // The moves after it leave the flags as they are.
        let otherwise: Vec<_> = results.iter().map(|r| (r.0, r.2)).collect();
        self.push(Inst::new(op, First::Reads, &[condition, condition]));
        self.move_all(&otherwise);
        let exit = self.program.label();
        self.program.items.push(Item::Jump(Code::Je_rel32_64, exit));
        self.addresses.open();
        self.block(&conditional.body)?;
        self.addresses.close();
        let then: Vec<_> = results.iter().map(|r| (r.0, r.1)).collect();
        self.move_all(&then);
        self.program.items.push(Item::Label(exit));
        results.iter().for_each(|r| drop(self.target(r.0)));
        Ok(())
    }
}
