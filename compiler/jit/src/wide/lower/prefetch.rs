//! What a long round loads is asked for some rounds ahead.
//!
//! A processor looks a few hundred instructions ahead. Behind a round of a hundred, as the derivative of gelu is, that is
//! three or four rounds, less than memory takes; and its own prefetchers stop at the end of each page.

use dlm_core::loops::{Address, Instruction, LoadKind, LoopKind, LoopStatement, Statement};
use iced_x86::Code;

use super::super::machine::{First, Inst, Op, Operand};
use super::{Lower, Lowered, Place};

/// Instructions of a round that is long.
const LONG: usize = 40;
/// Rounds ahead.
const AHEAD: i64 = 16;
/// Bytes of a cache line.
const LINE: i64 = 64;
/// What a round loads of one buffer lies at most so far from the last round's, in bytes: further ones are rows that
/// other loops come to.
const NEAR: i64 = 256;

impl Lower<'_> {
    /// Prefetches for the innermost loop over outputs whose body is next.
    ///
    /// # Errors
    /// For an address that is too far.
    pub(super) fn prefetch(&mut self, statement: &LoopStatement) -> Lowered<()> {
        if statement.kind != LoopKind::Domain || statement.body.statements.len() < LONG {
            return Ok(());
        }
        let nested =
            |statement: &Statement| matches!(statement, Statement::Loop(_) | Statement::If(_));
        if statement.body.statements.iter().any(nested) {
            return Ok(());
        }
        let mut lines: Vec<Address> = Vec::new();
        for own in &statement.body.statements {
            let Some(address) = self.later(own, statement) else {
                continue;
            };
            let line = LINE / self.kernel.buffers[address.buffer].element.bytes() as i64;
            let known = lines.iter().any(|other| {
                let same = other.buffer == address.buffer && other.terms == address.terms;
                same && (other.offset - address.offset).abs() < line
            });
            if !known {
                lines.push(address);
            }
        }
        // What an address takes is computed again for the loads themselves.
        self.addresses.open();
        for address in lines {
            let memory = Operand::Memory(self.memory(&address, 0)?);
            let op = Op::General(Code::Prefetcht0_m8);
            self.push(Inst::new(op, First::Reads, &[memory]));
        }
        self.addresses.close();
        Ok(())
    }

    /// Where a load of a loop's round is some rounds later, if it moves on by about a line, and all else that its address
    /// is made of is there when a round begins.
    fn later(&self, own: &Statement, statement: &LoopStatement) -> Option<Address> {
        let Statement::Define(_, Instruction::Load { address, kind }) = own else {
            return None;
        };
        let mut terms = address.terms.iter();
        let &(_, factor) = terms.find(|term| term.0 == statement.variable)?;
        let there = |value| !matches!(self.places[value], Place::Nowhere);
        let splat = matches!(kind, LoadKind::Splat | LoadKind::SplatPair);
        if splat || !address.terms.iter().all(|term| there(term.0)) {
            return None;
        }
        let step = factor.checked_mul(statement.step)?;
        let bytes = step.checked_mul(self.kernel.buffers[address.buffer].element.bytes() as i64)?;
        if !(LINE / 2..=NEAR).contains(&bytes.abs()) {
            return None;
        }
        let offset = address.offset.checked_add(step.checked_mul(AHEAD)?)?;
        Some(Address {
            offset,
            ..address.clone()
        })
    }
}
