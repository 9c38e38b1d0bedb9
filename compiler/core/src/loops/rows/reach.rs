//! How far the rows of one kernel reach into those of another.

use std::collections::BTreeMap;

use cranelift_entity::EntityRef;

use super::Side;
use crate::loops::ranges::{Most, Range, Ranges};
use crate::loops::{
    Address, Buffer, Instruction, Kernel, LoadKind, LoopStatement, Statement, Value,
};

/// Bytes of a row that a sum may as well read from the second cache, if it reads it once: fewer than the first cache holds.
const LARGE: i64 = 32 << 10;

/// A kernel as the loop over its rows and what stands around it.
pub(super) struct Nest<'a> {
    side: Side<'a>,
    ranges: Ranges,
    most: Most,
    pub(super) before: &'a [Statement],
    pub(super) row: &'a LoopStatement,
    pub(super) behind: &'a [Statement],
    /// The loop's end; it begins at 0.
    pub(super) rows: i64,
}

/// What a row of the second kernel needs of the first.
pub(super) enum Need {
    /// Rows up to its own, which goes as far.
    SameRow,
    /// Of row `i`, all below `per_row * i + ahead`.
    Rows { per_row: i64, ahead: i64 },
}

/// A stretch of a buffer that one statement accesses.
pub(super) struct Stretch {
    pub(super) buffer: usize,
    stores: bool,
    /// Elements by which it moves on with each row.
    pub(super) by_row: i64,
    /// Whether it is a vector of neighbouring elements.
    pub(super) in_order: bool,
    /// The elements without that, both ends included; of what moves on by other counters, the least of all rows.
    pub(super) rest: Range,
}

impl<'a> Nest<'a> {
    /// None where there is no loop from 0 to a constant.
    pub(super) fn of(side: Side<'a>) -> Option<Nest<'a>> {
        let statements = &side.kernel.body.statements;
        let size = |statement: &Statement| match statement {
            Statement::Loop(own) => own.body.size() + 1,
            _ => 0,
        };
        let longest = (0..statements.len()).max_by_key(|&at| size(&statements[at]))?;
        let Statement::Loop(row) = &statements[longest] else {
            return None;
        };
        let ranges = Ranges::of(side.kernel, side.known);
        let begin = ranges.value(row.begin).exact();
        let rows = ranges.value(row.end).exact()?;
        (begin == Some(0) && rows > 0).then_some(Nest {
            side,
            before: &statements[..longest],
            row,
            behind: &statements[longest + 1..],
            rows,
            most: ranges.most(side.kernel, row.variable),
            ranges,
        })
    }

    /// Whether nothing goes round its rows or comes of them but what they store, one by one.
    pub(super) fn is_plain(&self) -> bool {
        self.row.carried.is_empty() && self.row.step == 1 && self.behind.is_empty()
    }

    pub(super) fn in_rows(&self) -> Vec<Stretch> {
        let mut found = Vec::new();
        let body = &self.row.body;
        body.for_each_statement(&mut |statement| found.extend(self.stretch(statement)));
        found
    }

    /// Bytes of an element of a joint buffer, where it is one of this kernel's.
    fn bytes(&self, buffer: usize) -> i64 {
        let own = self.side.buffers.iter().position(|&joint| joint == buffer);
        let decl = own.and_then(|own| self.side.kernel.buffers.get(Buffer::new(own)));
        decl.map_or(0, |decl| decl.element.bytes() as i64)
    }

    /// Of an index, in all rows.
    pub(super) fn range(&self, value: Value) -> Range {
        self.ranges.value(value)
    }

    /// How often a loop goes round, at most.
    pub(super) fn rounds(&self, own: &LoopStatement) -> i64 {
        let bounds = (self.range(own.begin).min, self.range(own.end).max);
        let (Some(begin), Some(end)) = bounds else {
            return 1;
        };
        let length = end.saturating_sub(begin).max(0);
        length.saturating_add(own.step - 1).div_euclid(own.step)
    }

    /// The buffers that are accessed outside of the rows, and whether they are stored to.
    fn outside(&self) -> Vec<(usize, bool)> {
        let mut found = Vec::new();
        for statement in self.before.iter().chain(self.behind) {
            let mut visit = |statement: &Statement| {
                let stretch = self.stretch(statement);
                found.extend(stretch.map(|stretch| (stretch.buffer, stretch.stores)));
            };
            match statement {
                Statement::Loop(own) => own.body.for_each_statement(&mut visit),
                Statement::If(own) => own.body.for_each_statement(&mut visit),
                _ => visit(statement),
            }
        }
        found
    }

    fn stretch(&self, statement: &Statement) -> Option<Stretch> {
        let kernel: &Kernel = self.side.kernel;
        let lanes = |value: Value| i64::from(kernel.values[value].lanes().unwrap_or(1));
        let (address, stores, stride, lanes): (&Address, bool, i64, i64) = match statement {
            Statement::Define(value, Instruction::Load { address, kind }) => match kind {
                LoadKind::Contiguous => (address, false, 1, lanes(*value)),
                LoadKind::Splat => (address, false, 0, 1),
                LoadKind::SplatPair => (address, false, 1, 2),
                LoadKind::Strided(stride) => (address, false, *stride, lanes(*value)),
            },
            Statement::Store {
                address,
                value,
                stride,
            } => (address, true, *stride, lanes(*value)),
            _ => return None,
        };
        let own = |term: &&(Value, i64)| term.0 == self.row.variable;
        let direct = address.terms.iter().find(own).map_or(0, |term| term.1);
        let mut terms = address.terms.clone();
        terms.retain(|term| term.0 != self.row.variable);
        let first = self.ranges.sum(&terms, address.offset);
        // What is stored must be all of a row: its bounds are those of the other counters in any row. What is read may be
        // less than that, and lie where counters that follow the row are.
        let (by_row, most) = match stores {
            true => (direct, first.max),
            false => {
                let most = self.most.sum(&address.terms, address.offset, &self.ranges);
                (most.map_or(0, |most| most.0), most.map(|most| most.1))
            }
        };
        let last = stride.checked_mul(lanes - 1)?;
        Some(Stretch {
            buffer: self.side.buffers[address.buffer.index()],
            stores,
            by_row,
            in_order: lanes > 1 && stride == 1,
            rest: Range {
                min: first.min.and_then(|min| min.checked_add(last.min(0))),
                max: most.and_then(|most| most.checked_add(last.max(0))),
            },
        })
    }
}

/// What the rows of the second need of the first's; `None` where they are no rows of the same.
pub(super) fn need(first: &Nest<'_>, second: &Nest<'_>) -> Option<Need> {
    let (made, read) = (first.in_rows(), second.in_rows());
    let stored: Vec<usize> = (first.outside().iter())
        .filter_map(|&(buffer, stores)| stores.then_some(buffer))
        .collect();
    let outside = second.outside();
    let rows = rows_made(&made, first.row.step)?;
    let early = |buffer: usize| rows.contains_key(&buffer) || stored.contains(&buffer);
    let reads_outside = outside.iter().any(|&(buffer, _)| early(buffer));
    if reads_outside || read.iter().any(|own| stored.contains(&own.buffer)) {
        return None;
    }
    let same = (first.rows, first.row.step) == (second.rows, second.row.step);
    let reads: Vec<(&Stretch, i64)> = (read.iter())
        .filter_map(|own| Some((own, *rows.get(&own.buffer)?)))
        .collect();
    if reads.is_empty() {
        return (same && share(&made, &read)).then_some(Need::SameRow);
    }
    let needs: Option<Vec<(i64, i64)>> =
        (reads.iter()).map(|(own, row)| reach(own, *row)).collect();
    let needs = needs?;
    let per_row = needs[0].0;
    let ahead = needs.iter().map(|need| need.1).max()?;
    if needs.iter().any(|need| need.0 != per_row) {
        return None;
    }
    let bytes = |(own, row): &(&Stretch, i64)| row.saturating_mul(first.bytes(own.buffer));
    let once = per_row > 0 && ahead <= per_row * second.row.step;
    let small = reads.iter().all(|own| bytes(own) < LARGE);
    if once && small && second.side.kernel.has_sums() {
        return None;
    }
    match same && per_row == 1 && ahead <= second.row.step {
        true => Some(Need::SameRow),
        false => Some(Need::Rows { per_row, ahead }),
    }
}

/// The elements of a row of each buffer that the first kernel stores to, where each round stores within its own rows.
fn rows_made(made: &[Stretch], step: i64) -> Option<BTreeMap<usize, i64>> {
    let mut rows = BTreeMap::new();
    for own in made.iter().filter(|own| own.stores) {
        let row = *rows.entry(own.buffer).or_insert(own.by_row);
        let within = own.rest.min >= Some(0) && own.rest.max? < row.checked_mul(step)?;
        if row != own.by_row || row <= 0 || !within {
            return None;
        }
    }
    Some(rows)
}

/// Rows by which a reader moves on with each of its own, and how many it needs for its first.
fn reach(read: &Stretch, row: i64) -> Option<(i64, i64)> {
    let whole = read.by_row >= 0 && read.by_row % row == 0;
    let ahead = read.rest.max?.div_euclid(row).checked_add(1)?;
    whole.then_some((read.by_row / row, ahead))
}

/// Whether both walk along the rows of a buffer that they read.
fn share(first: &[Stretch], second: &[Stretch]) -> bool {
    first.iter().filter(|own| !own.stores).any(|own| {
        let same = |other: &&Stretch| {
            !other.stores && (other.buffer, other.by_row) == (own.buffer, own.by_row)
        };
        own.by_row > 0 && second.iter().any(|other| same(&other))
    })
}
