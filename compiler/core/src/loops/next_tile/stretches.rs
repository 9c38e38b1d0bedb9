//! Rows that lie behind each other are one stretch of memory, of which each round of the sum asks for its share.
//!
//! What all lanes share, of a matrix of rows shorter than a page, comes from several rows side by side: the processor's
//! prefetchers lose sight of several streams in one page.

use std::collections::{BTreeMap, BTreeSet};

use super::{Asking, LINE, Tiles, WORK, ask};
use crate::loops::{Address, Buffer, LoadKind, LoopStatement, Statement, Value};

/// Bytes of a row that the processor's own prefetchers follow.
const LONG: i64 = 4096;

/// A buffer, and how an address moves.
type Moved<'s> = (Buffer, &'s [(Value, i64)]);

/// Elements that lie behind each other, of which each round of a sum reads some.
struct Stretch {
    buffer: Buffer,
    /// The address but for the sum's variable.
    terms: Vec<(Value, i64)>,
    /// The first that the next tile reads.
    first: i64,
    /// Elements for each round.
    share: i64,
}

impl Asking<'_> {
    /// Has each round of a sum ask for its share of the next tile's stretches; whether there are any.
    pub(super) fn stretches(&self, sum: &mut LoopStatement, outer: &[Tiles]) -> bool {
        let (Some(&tiles), Some(rounds)) = (outer.last(), self.rounds(sum)) else {
            return false;
        };
        let body = &sum.body.statements;
        let nested = |own: &Statement| matches!(own, Statement::Loop(_) | Statement::If(_));
        if body.iter().any(nested) {
            return false;
        }
        let found = self.found(sum, rounds, tiles);
        let lines = found.iter().flat_map(|own| self.lines(own, sum)).collect();
        ask(sum, lines, WORK)
    }

    fn found(&self, sum: &LoopStatement, rounds: i64, tiles: Tiles) -> Vec<Stretch> {
        let mut loads: BTreeMap<Moved<'_>, BTreeSet<i64>> = BTreeMap::new();
        for statement in &sum.body.statements {
            if let Some((address, LoadKind::Splat)) =
                self.far(statement, self.memory.far_of_one_loop)
            {
                let place = (address.buffer, address.terms.as_slice());
                loads.entry(place).or_default().insert(address.offset);
            }
        }
        let mut found = Vec::new();
        for ((buffer, terms), offsets) in loads {
            let moved = |variable: Value| terms.iter().find(|term| term.0 == variable);
            let (Some(&(_, by_round)), Some(&(_, by_tile))) =
                (moved(sum.variable), moved(tiles.variable))
            else {
                continue;
            };
            let by_round = by_round * sum.step;
            let bytes = rounds * by_round * self.kernel.buffers[buffer].element.bytes() as i64;
            let Some(rows) = rows(&offsets, by_round).filter(|_| bytes < LONG) else {
                continue;
            };
            for (first, many) in together(&rows, rounds * by_round) {
                let terms = terms.iter().filter(|term| term.0 != sum.variable);
                found.push(Stretch {
                    buffer,
                    terms: terms.copied().collect(),
                    first: first + by_tile * tiles.step,
                    share: many * by_round,
                });
            }
        }
        found
    }

    /// A round's share, where that is whole lines.
    fn lines(&self, stretch: &Stretch, sum: &LoopStatement) -> Vec<Address> {
        let line = LINE / self.kernel.buffers[stretch.buffer].element.bytes() as i64;
        if stretch.share % line != 0 {
            return Vec::new();
        }
        let mut terms = stretch.terms.clone();
        terms.push((sum.variable, stretch.share / sum.step));
        terms.sort_by_key(|term| term.0);
        let lines = (0..stretch.share / line).map(|number| Address {
            buffer: stretch.buffer,
            terms: terms.clone(),
            offset: stretch.first + number * line,
        });
        lines.collect()
    }
}

/// Where rows begin of which a round reads all elements that it moves on by.
fn rows(offsets: &BTreeSet<i64>, by_round: i64) -> Option<Vec<i64>> {
    let begins = offsets.iter().filter(|&&own| !offsets.contains(&(own - 1)));
    let begins: Vec<i64> = begins.copied().collect();
    let whole = |&begin: &i64| (begin..begin + by_round).all(|own| offsets.contains(&own));
    let many = begins.len() as i64 * by_round == offsets.len() as i64;
    (by_round > 0 && many && begins.iter().all(whole)).then_some(begins)
}

/// The first of the rows of that length that lie behind each other, and how many.
fn together(rows: &[i64], length: i64) -> Vec<(i64, i64)> {
    let behind = |one: &i64, next: &i64| next - one == length;
    let runs = rows.chunk_by(behind);
    runs.map(|run| (run[0], run.len() as i64)).collect()
}
