//! Where a sum goes over some rows of an image at a time, each round asks for what it reads of a small operand that several
//! tiles of those rows read again, in the next rows.
//!
//! Such an operand stays in the second cache for these tiles, and comes from behind it once: in as many short streams as it
//! has channels, which the processor's own prefetchers find when they are nearly over.

use std::collections::BTreeMap;

use super::{Asking, LINE, Tiles, ask, factor};
use crate::loops::{Address, Buffer, LoadKind, LoopKind, LoopStatement, Statement, Value};

/// Vector multiply-adds of a round for each line that it asks for, at least.
const WORK: i64 = 16;
/// Bytes of an operand that has supposedly left the second cache since the step before.
const LEAST: i64 = 128 << 10;

/// The last line that a round reads, by the buffer and how the address moves.
type Last<'s> = BTreeMap<(Buffer, &'s [(Value, i64)]), &'s Address>;

/// Where a sum over rows is.
struct SomeRows<'a> {
    /// The loop over rows, by which the sum begins further.
    around: Tiles,
    /// The loops over tiles of the same rows.
    tiles: &'a [Tiles],
}

impl Asking<'_> {
    /// Has the rounds within a sum over rows ask for the next rows; whether there are any.
    pub(super) fn next_rows(&self, sum: &mut LoopStatement, outer: &[Tiles]) -> bool {
        if sum.kind != LoopKind::Reduction {
            return false;
        }
        let begins = |own: &Tiles| self.moves(sum.begin, own.variable) != 0;
        let Some(at) = outer.iter().position(begins) else {
            return false;
        };
        let rows = SomeRows {
            around: outer[at],
            tiles: &outer[at + 1..],
        };
        let mut found = false;
        for statement in &mut sum.body.statements {
            if let Statement::Loop(inner) = statement {
                let asked = self.lines_of_next_rows(inner, &rows);
                found |= ask(inner, asked, WORK);
            }
        }
        found
    }

    /// The last line that a round reads of each such operand, where the next round goes on by a line, in the next rows.
    fn lines_of_next_rows(&self, inner: &LoopStatement, rows: &SomeRows<'_>) -> Vec<Address> {
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
        let moved = |own: &Address| self.moved(own, rows.around.variable) * rows.around.step;
        let asked = |own: &&&Address| {
            let by_round = factor(own, inner.variable) * inner.step * self.bytes(own);
            let mut again = rows.tiles.iter().filter(|own| own.count != Some(1));
            by_round == LINE
                && moved(own) * self.bytes(own) >= LINE
                && self.reach(own) < self.memory.far
                && again.any(|tiles| factor(own, tiles.variable) == 0)
        };
        let next = |own: &&Address| Address {
            offset: own.offset + moved(own),
            ..(*own).clone()
        };
        last.values().filter(asked).map(next).collect()
    }
}
