//! What is loaded later is asked for ahead.
//!
//! A processor looks a few hundred instructions ahead, and its own prefetchers follow streams that move on by a line or
//! two and stop at the end of each page. Three kinds of loads are not among what it finds by itself in time:
//!
//! - those of a long round: behind a hundred instructions, as the derivative of gelu is, it sees three or four rounds, less
//!   than memory takes;
//! - what stands behind a tile's sums, as the weights and momenta that an update reads, or the rows of a matrix that it is
//!   stored to: it is asked for before the sums;
//! - what a loop's next round reads with one element for all lanes, as the channels of the next pixel are in a weight
//!   gradient: it lies a row of channels further.

use dlm_core::loops::{
    Access, Address, Instruction, LoadKind, LoopKind, LoopStatement, Statement, Value,
};
use iced_x86::Code;

use super::super::machine::{First, Inst, Op, Operand};
use super::{Constant, Lower, Lowered, Place};

/// Instructions of a round that is long.
const LONG: usize = 40;
/// Rounds ahead.
const AHEAD: i64 = 16;
/// Bytes of a cache line.
const LINE: i64 = 64;
/// What a round loads of one buffer lies at most so far from the last round's, in bytes: further ones are rows that
/// other loops come to.
const NEAR: i64 = 256;
/// Bytes from row to row from which on each is in a page of its own, or nearly.
const APART: i64 = 2048;
/// Lines of the next round at most.
const MOST: usize = 24;

impl Lower<'_> {
    /// Prefetches for the loop whose body is next.
    ///
    /// # Errors
    /// For an address that is too far.
    pub(super) fn prefetch(&mut self, statement: &LoopStatement) -> Lowered<()> {
        let body = &statement.body.statements;
        let nested =
            |statement: &Statement| matches!(statement, Statement::Loop(_) | Statement::If(_));
        let lines = match (statement.kind, body.iter().rposition(nested)) {
            (LoopKind::Reduction, _) => self.of_next_round(statement),
            (LoopKind::Domain, None) if body.len() >= LONG => {
                self.lines(body.iter().filter_map(|own| self.later(own, statement)))
            }
            (LoopKind::Domain, Some(last)) if is_sum(&body[last]) => {
                let behind = body[last + 1..].iter();
                let loads = behind.clone();
                let mut lines =
                    self.lines(loads.filter_map(|own| self.vector_address(own).cloned()));
                lines.extend(self.rows_stored(behind));
                lines
            }
            _ => Vec::new(),
        };
        // What an address takes is computed again for the loads themselves.
        self.addresses.open();
        for address in lines {
            let memory = Operand::Memory(self.memory(&address, 0)?);
            let code = match self.kernel.buffers[address.buffer].access {
                Access::Write | Access::ReadWrite => Code::Prefetchw_m8,
                Access::Read | Access::WriteRead => Code::Prefetcht0_m8,
            };
            self.push(Inst::new(Op::General(code), First::Reads, &[memory]));
        }
        self.addresses.close();
        Ok(())
    }

    /// The instruction that has a line brought into the second cache: what asks does so long before.
    ///
    /// # Errors
    /// For an address that is too far.
    pub(super) fn ask_for(&mut self, address: &Address) -> Lowered<()> {
        let memory = Operand::Memory(self.memory(address, 0)?);
        let code = Op::General(Code::Prefetcht1_m8);
        self.push(Inst::new(code, First::Reads, &[memory]));
        Ok(())
    }

    /// One address of each cache line.
    fn lines(&self, addresses: impl Iterator<Item = Address>) -> Vec<Address> {
        let mut lines: Vec<Address> = Vec::new();
        for address in addresses {
            let line = LINE / self.bytes(&address);
            let known = lines.iter().any(|other| {
                let same = other.buffer == address.buffer && other.terms == address.terms;
                same && (other.offset - address.offset).abs() < line
            });
            if !known {
                lines.push(address);
            }
        }
        lines
    }

    /// Where a load of a loop's round is some rounds later, if it moves on by about a line, and all else that its address
    /// is made of is there when a round begins.
    fn later(&self, own: &Statement, statement: &LoopStatement) -> Option<Address> {
        let address = self.vector_address(own)?;
        let mut terms = address.terms.iter();
        let &(_, factor) = terms.find(|term| term.0 == statement.variable)?;
        let step = factor.checked_mul(statement.step)?;
        let bytes = step.checked_mul(self.bytes(address))?;
        if !(LINE / 2..=NEAR).contains(&bytes.abs()) {
            return None;
        }
        let offset = address.offset.checked_add(step.checked_mul(AHEAD)?)?;
        Some(Address {
            offset,
            ..address.clone()
        })
    }

    /// The address of a vector that is loaded, where all that it is made of is there when the round begins.
    fn vector_address<'s>(&self, own: &'s Statement) -> Option<&'s Address> {
        let Statement::Define(_, Instruction::Load { address, kind }) = own else {
            return None;
        };
        let splat = matches!(kind, LoadKind::Splat | LoadKind::SplatPair);
        (!splat && address.terms.iter().all(|term| self.is_there(term.0))).then_some(address)
    }

    /// The lines of rows, each in a page of its own or nearly, that a tile is stored to. What is read there too is asked for
    /// as what is read.
    fn rows_stored<'s>(&self, behind: impl Iterator<Item = &'s Statement>) -> Vec<Address> {
        let stores = behind.filter_map(|own| match own {
            Statement::Store {
                address, stride: 1, ..
            } => Some(address),
            _ => None,
        });
        let known = stores.filter(|own| {
            let write = self.kernel.buffers[own.buffer].access == Access::Write;
            write && own.terms.iter().all(|term| self.is_there(term.0))
        });
        let mut lines = self.lines(known.cloned());
        lines.sort_by(|a, b| (a.buffer, &a.terms, a.offset).cmp(&(b.buffer, &b.terms, b.offset)));
        let row = |a: &Address, b: &Address| (a.buffer, &a.terms) == (b.buffer, &b.terms);
        let rows = lines.chunk_by(row).filter(|own| {
            let far = |pair: &[Address]| {
                (pair[1].offset - pair[0].offset) * self.bytes(&pair[0]) >= APART
            };
            own.len() > 1 && own.windows(2).all(far)
        });
        rows.flatten().cloned().collect()
    }

    /// What the loops within a sum's loop read first in its next round, of elements for all lanes that lie in one line for
    /// the whole inner loop.
    fn of_next_round(&self, statement: &LoopStatement) -> Vec<Address> {
        let loops = statement
            .body
            .statements
            .iter()
            .filter_map(|own| match own {
                Statement::Loop(inner) if self.sums_from_zero(inner) => Some(inner),
                _ => None,
            });
        let loads = loops.flat_map(|inner| {
            let own = inner.body.statements.iter();
            own.filter_map(move |own| self.next(own, inner, statement))
        });
        let lines = self.lines(loads);
        match lines.len() <= MOST {
            true => lines,
            false => Vec::new(),
        }
    }

    fn sums_from_zero(&self, inner: &LoopStatement) -> bool {
        let zero = matches!(
            self.places[inner.begin],
            Place::Constant(Constant::Index(0))
        );
        inner.kind == LoopKind::Reduction && zero
    }

    fn next(
        &self,
        own: &Statement,
        inner: &LoopStatement,
        outer: &LoopStatement,
    ) -> Option<Address> {
        let Statement::Define(_, Instruction::Load { address, kind }) = own else {
            return None;
        };
        let step = |of: &LoopStatement| {
            let mut terms = address.terms.iter();
            let factor = terms.find(|term| term.0 == of.variable)?.1;
            factor.checked_mul(of.step)
        };
        let (within, on) = (step(inner)?, step(outer)?);
        let mut others = address.terms.iter().filter(|term| term.0 != inner.variable);
        let element = *kind == LoadKind::Splat && within == 1;
        if !element || !others.all(|term| self.is_there(term.0)) {
            return None;
        }
        let far = on.checked_mul(self.bytes(address))?.abs() >= LINE;
        let mut address = address.clone();
        address.terms.retain(|term| term.0 != inner.variable);
        address.offset = address.offset.checked_add(on)?;
        far.then_some(address)
    }

    fn is_there(&self, value: Value) -> bool {
        !matches!(self.places[value], Place::Nowhere)
    }

    fn bytes(&self, address: &Address) -> i64 {
        self.kernel.buffers[address.buffer].element.bytes() as i64
    }
}

/// Whether a statement is a loop that sums.
fn is_sum(statement: &Statement) -> bool {
    matches!(statement, Statement::Loop(own) if own.kind == LoopKind::Reduction)
}
