//! What the next row reads is asked for while the sums of this one are computed.
//!
//! A row of an image is some pages of memory. The processor's own prefetchers stop at the end of each page, and what another
//! worker has stored, or a phase long ago, takes longer to come than a page takes to read. Sums take long enough to have it
//! all brought meanwhile, a few lines with each tile.

use cranelift_entity::{EntityRef, SecondaryMap};

use super::Side;
use super::reach::Nest;
use crate::loops::{
    Access, Address, Block, Buffer, Instruction, Kernel, LoopKind, LoopStatement, Range, Statement,
    Value,
};

/// Bytes of a cache line.
const LINE: i64 = 64;
/// Bytes of a row that the processor's own prefetchers do not bring in time.
const LONG: i64 = 2048;
/// Vector multiply-adds of a tile for each line that it asks for, at least.
const WORK: i64 = 16;

/// The kernel with its next row asked for, where its rows are long sums and nothing is asked for yet. `known` are the
/// values of its scalars.
pub fn ask_for_rows(kernel: &Kernel, known: &[Range]) -> Option<Kernel> {
    let numbers: Vec<usize> = (0..kernel.buffers.len().max(kernel.scalars.len())).collect();
    let nest = Nest::of(Side {
        kernel,
        buffers: &numbers[..kernel.buffers.len()],
        scalars: &numbers[..kernel.scalars.len()],
        known,
    })?;
    let tile = Tile::of(&nest).filter(|_| !asks(kernel))?;
    let streams = streams(kernel, &nest);
    let mut asked = Vec::new();
    for stream in &streams {
        asked.extend(tile.ask(stream, nest.row.variable)?);
    }
    let worth = !asked.is_empty() && tile.work >= WORK * asked.len() as i64;
    worth.then(|| {
        let mut kernel = kernel.clone();
        tile.insert(&mut kernel, asked);
        kernel
    })
}

fn asks(kernel: &Kernel) -> bool {
    let mut found = false;
    kernel.body.for_each_statement(&mut |statement| {
        found |= matches!(statement, Statement::Prefetch(_));
    });
    found
}

/// What a kernel reads of a buffer in order, row by row.
#[derive(Clone)]
struct Stream {
    buffer: Buffer,
    /// Elements that a row goes further than the row before it.
    by_row: i64,
    step: i64,
    /// The first element that no row so far has read, less the row's number times `by_row`.
    next: i64,
    /// Elements of a cache line.
    line: i64,
}

/// The buffers that are only read, vector by vector, and further with each row.
fn streams(kernel: &Kernel, nest: &Nest<'_>) -> Vec<Stream> {
    let mut found: SecondaryMap<Buffer, Option<Stream>> = SecondaryMap::new();
    let mut others: Vec<Buffer> = Vec::new();
    for own in nest.in_rows() {
        let buffer = Buffer::new(own.buffer);
        let bytes = kernel.buffers[buffer].element.bytes() as i64;
        let Some(last) = own.rest.max.filter(|_| own.by_row > 0 && own.in_order) else {
            others.push(buffer);
            continue;
        };
        let stream = Stream {
            buffer,
            by_row: own.by_row,
            step: nest.row.step,
            next: last + 1,
            line: LINE / bytes,
        };
        match &mut found[buffer] {
            Some(known) if known.by_row == own.by_row => known.next = known.next.max(last + 1),
            Some(_) => others.push(buffer),
            none => *none = Some(stream),
        }
    }
    let streams = found.values().flatten();
    let apart = |stream: &&Stream| {
        let bytes = kernel.buffers[stream.buffer].element.bytes() as i64;
        let only_read = kernel.buffers[stream.buffer].access == Access::Read;
        only_read && stream.by_row * bytes >= LONG && !others.contains(&stream.buffer)
    };
    streams.filter(apart).cloned().collect()
}

/// The tiles of a row: the loops within its loop, to the innermost that has sums.
struct Tile {
    /// The place of each loop among the statements of the one before.
    path: Vec<usize>,
    loops: Vec<Counter>,
    /// Vector multiply-adds of one tile, at most.
    work: i64,
}

struct Counter {
    variable: Value,
    begin: i64,
    step: i64,
    rounds: i64,
}

impl Tile {
    fn of(nest: &Nest<'_>) -> Option<Tile> {
        let mut tile = Tile {
            path: Vec::new(),
            loops: Vec::new(),
            work: 0,
        };
        let mut block = &nest.row.body;
        while let Some((at, inner)) = longest(nest, block) {
            let begin = nest.range(inner.begin).exact()?;
            let end = nest.range(inner.end).exact()?;
            tile.path.push(at);
            tile.loops.push(Counter {
                variable: inner.variable,
                begin,
                step: inner.step,
                rounds: (end - begin + inner.step - 1).div_euclid(inner.step).max(1),
            });
            block = &inner.body;
        }
        let has_sums = block.statements.iter().any(is_sum);
        tile.work = work(nest, block);
        (has_sums && !tile.loops.is_empty()).then_some(tile)
    }

    /// The lines of a stream that each tile asks for; `None` where no equal share is whole lines.
    fn ask(&self, stream: &Stream, row: Value) -> Option<Vec<Statement>> {
        let tiles: i64 = self.loops.iter().map(|counter| counter.rounds).product();
        let lines = (stream.by_row * stream.step + stream.line - 1).div_euclid(stream.line);
        let share = (lines + tiles - 1).div_euclid(tiles);
        let mut terms = vec![(row, stream.by_row)];
        let (mut first, mut inner) = (stream.next, 1);
        for counter in self.loops.iter().rev() {
            let each = share.checked_mul(stream.line)?.checked_mul(inner)?;
            if each % counter.step != 0 {
                return None;
            }
            terms.push((counter.variable, each / counter.step));
            first -= counter.begin * (each / counter.step);
            inner *= counter.rounds;
        }
        terms.sort_by_key(|term| term.0);
        let line = |number: i64| {
            Statement::Prefetch(Address {
                buffer: stream.buffer,
                terms: terms.clone(),
                offset: first + number * stream.line,
            })
        };
        Some((0..share).map(line).collect())
    }

    fn insert(&self, kernel: &mut Kernel, asked: Vec<Statement>) {
        let size = |statement: &Statement| match statement {
            Statement::Loop(own) => own.body.size() + 1,
            _ => 0,
        };
        let statements = &mut kernel.body.statements;
        let rows = statements
            .iter_mut()
            .max_by_key(|statement| size(statement));
        let mut block = match rows {
            Some(Statement::Loop(row)) => &mut row.body,
            _ => return,
        };
        for &at in &self.path {
            let Some(Statement::Loop(inner)) = block.statements.get_mut(at) else {
                return;
            };
            block = &mut inner.body;
        }
        block.statements.splice(0..0, asked);
    }
}

/// The loop over outputs with the most work.
fn longest<'a>(nest: &Nest<'_>, block: &'a Block) -> Option<(usize, &'a LoopStatement)> {
    let loops = block.statements.iter().enumerate();
    let loops = loops.filter_map(|(at, statement)| match statement {
        Statement::Loop(own) if own.kind == LoopKind::Domain => Some((at, own)),
        _ => None,
    });
    let with_sums = loops.filter(|(_, own)| work(nest, &own.body) > 0);
    with_sums.max_by_key(|(_, own)| nest.rounds(own) * work(nest, &own.body))
}

fn is_sum(statement: &Statement) -> bool {
    matches!(statement, Statement::Loop(own) if own.kind == LoopKind::Reduction)
}

/// The multiply-adds of a block, loops as long as they can be.
fn work(nest: &Nest<'_>, block: &Block) -> i64 {
    let of = |statement: &Statement| match statement {
        Statement::Define(_, Instruction::Fma(..)) => 1,
        Statement::Loop(own) => nest.rounds(own) * work(nest, &own.body),
        Statement::If(own) => work(nest, &own.body),
        _ => 0,
    };
    block.statements.iter().map(of).sum()
}
