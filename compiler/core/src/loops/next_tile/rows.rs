//! Where a sum goes over some rows of an image at a time, each round asks for what it reads of a small operand that all
//! tiles of those rows read again, in the next rows.
//!
//! Such an operand stays in the second cache for these tiles, and comes from behind it once: in as many short streams as it
//! has channels, which the processor's own prefetchers find when they are nearly over.

use std::collections::BTreeMap;

use super::{Asking, LINE, Tiles, factor, is_multiply_add};
use crate::loops::{Address, Buffer, LoadKind, LoopKind, LoopStatement, Statement, Value};

/// Vector multiply-adds of a round for each line that it asks for, at least.
const WORK: i64 = 16;
/// Bytes of an operand that has supposedly left the second cache since the step before.
const LEAST: i64 = 128 << 10;

/// The last line that a round reads, by the buffer and how the address moves.
type Last<'s> = BTreeMap<(Buffer, &'s [(Value, i64)]), &'s Address>;

/// A sum over rows, within loops over tiles.
struct Rows<'a> {
    variable: Value,
    /// By how many rows the next sum begins further.
    moved: i64,
    /// The loops over tiles of the same rows.
    tiles: &'a [Tiles],
}

impl Asking<'_> {
    /// Has the rounds within a sum over rows ask for the next rows; whether there are any.
    pub(super) fn next_rows(&self, sum: &mut LoopStatement, outer: &[Tiles]) -> bool {
        if sum.kind != LoopKind::Reduction {
            return false;
        }
        let moved = |own: &Tiles| self.moves(sum.begin, own.variable) * own.step;
        let Some(at) = outer.iter().position(|own| moved(own) != 0) else {
            return false;
        };
        let rows = Rows {
            variable: sum.variable,
            moved: moved(&outer[at]),
            tiles: &outer[at + 1..],
        };
        let mut found = false;
        for statement in &mut sum.body.statements {
            if let Statement::Loop(inner) = statement {
                found |= self.ask_for_rows(inner, &rows);
            }
        }
        found
    }

    fn ask_for_rows(&self, inner: &mut LoopStatement, rows: &Rows<'_>) -> bool {
        let asked = self.lines_of_rows(inner, rows);
        let work = inner.body.statements.iter();
        let work = work.filter(|own| is_multiply_add(own)).count() as i64;
        let few = !asked.is_empty() && asked.len() as i64 * WORK <= work;
        if few {
            let asked = asked.into_iter().map(Statement::Prefetch);
            inner.body.statements.splice(0..0, asked);
        }
        few
    }

    /// The last line that a round reads of each such operand, where the next round goes on by a line, in the next rows.
    fn lines_of_rows(&self, inner: &LoopStatement, rows: &Rows<'_>) -> Vec<Address> {
        let mut last = Last::new();
        for statement in &inner.body.statements {
            if let Some((address, LoadKind::Contiguous)) = self.far(statement, LEAST) {
                let own = last.entry((address.buffer, &address.terms));
                let own = own.or_insert(address);
                if address.offset > own.offset {
                    *own = address;
                }
            }
        }
        let asked = |own: &&&Address| {
            let by_round = factor(own, inner.variable) * inner.step * self.bytes(own);
            let again = rows.tiles.iter().filter(|own| own.count != Some(1));
            let again = again.map(|tiles| factor(own, tiles.variable));
            by_round == LINE
                && self.reach(own) < self.memory.far
                && again.into_iter().any(|by| by == 0)
        };
        let next = |own: &&Address| Address {
            offset: own.offset + factor(own, rows.variable) * rows.moved,
            ..(*own).clone()
        };
        last.values().filter(asked).map(next).collect()
    }
}
