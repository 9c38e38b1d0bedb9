//! What the next tile reads of a large matrix is asked for while the sums of this one are computed.
//!
//! The processor's own prefetchers follow a few streams, each within a page, and a tile begins in other pages than the one
//! before ended in. Five kinds of reading are among what they do not see in time: several rows shorter than a page, side by
//! side (`stretches`), some columns of many rows, each row in a page of its own (`columns`; behind the last tile, those of
//! the next rows: `wrap`), the begin of the next panels of a copy (`streams`), pieces of some rows
//! from end to end (`pieces`), and short rows of many channels (`rows`).

mod columns;
mod pieces;
mod rows;
mod streams;
mod stretches;
mod wrap;

use std::collections::{BTreeMap, BTreeSet};

use cranelift_entity::PrimaryMap;

use super::ranges::Ranges;
use super::tidy::tidy;
use super::{
    Access, Address, Block, Buffer, Instruction, IntOp, Kernel, LoadKind, LoopKind, LoopStatement,
    Range, Statement, Type, Value,
};

/// Bytes of a cache line.
const LINE: i64 = 64;
/// Vector multiply-adds of a round for each line that it asks for, at least.
const WORK: i64 = 8;

/// What asking ahead depends on of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes of a buffer that does not stay in a core's second cache beside what else a sum of several loops reads.
    pub far: i64,
    /// The same where several tiles read it, or its neighbours, before the next.
    pub far_shared: i64,
    /// Vector multiply-adds for each line that a round of such a sum asks for, at least, where the next tile is the one
    /// that follows.
    pub work_a_line: i64,
    /// Bytes of a buffer that does not stay there beside what else a sum of one loop reads.
    pub far_of_one_loop: i64,
}

/// What a kernel reads in streams from behind the first cache: copies in panels.
#[derive(Clone, Debug, Default)]
pub struct Streams {
    /// The copies.
    pub buffers: Vec<Buffer>,
    /// What is known of the kernel's scalars, in order.
    pub scalars: Vec<Range>,
}

/// The kernel whose tiles ask for what the next of them reads, where that is far: matrices by their size, streams as
/// they are given.
pub fn ask_for_next_tile(kernel: &Kernel, memory: Memory, given: &Streams) -> Option<Kernel> {
    let ranges = Ranges::of(kernel, &[]);
    let mut own = kernel.clone();
    let mut body = std::mem::take(&mut own.body);
    let mut asking = Asking {
        kernel,
        memory,
        given,
        of_call: Ranges::of(kernel, &given.scalars),
        ranges,
        computed: BTreeSet::new(),
        values: std::mem::take(&mut own.values),
        integers: BTreeMap::new(),
        begins: BTreeMap::new(),
        defined: Vec::new(),
        last: Vec::new(),
    };
    asking.note_indices();
    let asked = asking.within(&mut body, &mut Vec::new());
    own.values = asking.values;
    own.body = body;
    let computes = own.values.len() > kernel.values.len();
    // What was to be asked for and is not may have left values behind.
    asked.then(|| if computes { tidy(&own) } else { own })
}

struct Asking<'a> {
    kernel: &'a Kernel,
    memory: Memory,
    given: &'a Streams,
    ranges: Ranges,
    /// The same with what is known of a call.
    of_call: Ranges,
    /// What the sum at hand computes in its rounds: an address that is made of it is not known when a round begins.
    computed: BTreeSet<Value>,
    /// The type of each value, with those that asking needs.
    values: PrimaryMap<Value, Type>,
    /// What indices are computed from.
    integers: BTreeMap<Value, (IntOp, Value, Value)>,
    /// Where each sum begins, by its variable.
    begins: BTreeMap<Value, Value>,
    /// What is to be computed before the sum at hand.
    defined: Vec<Statement>,
    /// For loops over tiles, by their variable: whether this tile is the last, as computed before the sum at hand.
    last: Vec<(Value, Value)>,
}

/// A loop over tiles.
#[derive(Clone, Copy)]
struct Tiles {
    variable: Value,
    step: i64,
    /// How many, where it begins at 0 and that is known.
    count: Option<i64>,
    /// How many at most, where that is known.
    most: Option<i64>,
}

impl Asking<'_> {
    /// Adds to all tiles of a block, which is within those loops; whether there was one.
    fn within(&mut self, block: &mut Block, outer: &mut Vec<Tiles>) -> bool {
        let mut found = false;
        let mut statements = Vec::with_capacity(block.statements.len());
        for mut statement in std::mem::take(&mut block.statements) {
            found |= match &mut statement {
                Statement::Loop(own) if own.kind == LoopKind::Domain => {
                    outer.push(self.tiles(own));
                    let inner = self.within(&mut own.body, outer);
                    outer.pop();
                    inner
                }
                Statement::Loop(sum) if !outer.is_empty() => {
                    self.computed = computed(&sum.body);
                    self.last.clear();
                    // Each has an allowance of its own.
                    let asked = self.stretches(sum, outer)
                        | self.columns(sum, outer)
                        | self.next_rows(sum, outer)
                        | self.streams(sum, outer)
                        | self.pieces(sum, outer);
                    if !asked {
                        self.defined.clear();
                    }
                    asked
                }
                Statement::If(own) => self.within(&mut own.body, outer),
                _ => false,
            };
            statements.append(&mut self.defined);
            statements.push(statement);
        }
        block.statements = statements;
        found
    }

    fn tiles(&self, own: &LoopStatement) -> Tiles {
        Tiles {
            variable: own.variable,
            step: own.step,
            count: self.rounds(own),
            most: self.most_rounds(own),
        }
    }

    /// The rounds of a loop at most, as far as what it begins and ends with is known.
    fn most_rounds(&self, own: &LoopStatement) -> Option<i64> {
        let least = self.of_call.value(own.begin).min?;
        let most = self.of_call.value(own.end).max?;
        Some((most - least + own.step - 1).div_euclid(own.step).max(0))
    }

    /// The rounds of a loop that begins at 0, where they are known.
    fn rounds(&self, own: &LoopStatement) -> Option<i64> {
        let begin = self.ranges.value(own.begin).exact()?;
        let end = self.ranges.value(own.end).exact()?;
        (begin == 0 && end > 0).then(|| (end + own.step - 1) / own.step)
    }

    /// What is loaded of a matrix of at least so many bytes, and how.
    fn far<'s>(&self, statement: &'s Statement, least: i64) -> Option<(&'s Address, LoadKind)> {
        let Statement::Define(_, Instruction::Load { address, kind }) = statement else {
            return None;
        };
        let decl = &self.kernel.buffers[address.buffer];
        let far = self.reach(address) >= least;
        let known = !address
            .terms
            .iter()
            .any(|term| self.computed.contains(&term.0));
        (decl.access == Access::Read && far && known).then_some((address, *kind))
    }

    /// Bytes from the first place that an address comes to, to the last.
    fn reach(&self, address: &Address) -> i64 {
        // What is only known when the kernel is called, as the head that it is at, may be 0.
        let terms = address.terms.iter();
        let last: i64 = terms
            .map(|&(variable, factor)| self.ranges.value(variable).max.unwrap_or(0) * factor)
            .sum();
        last * self.bytes(address)
    }

    fn bytes(&self, address: &Address) -> i64 {
        self.kernel.buffers[address.buffer].element.bytes() as i64
    }
}

/// All that a block's statements name, but for the counters of its loops.
fn computed(block: &Block) -> BTreeSet<Value> {
    let mut found = BTreeSet::new();
    block.for_each_statement(&mut |statement| match statement {
        Statement::Define(value, _) => {
            found.insert(*value);
        }
        Statement::Loop(own) => {
            let carried = own.carried.iter();
            found.extend(carried.flat_map(|carried| [carried.argument, carried.result]));
        }
        Statement::If(own) => found.extend(own.results.iter().map(|result| result.0)),
        Statement::Store { .. } | Statement::Prefetch(_) => {}
    });
    found
}

/// By how much an address moves with a variable, in elements.
fn factor(address: &Address, variable: Value) -> i64 {
    let term = address.terms.iter().find(|term| term.0 == variable);
    term.map_or(0, |term| term.1)
}

/// Has each round of a sum ask for those lines, where it has so many vector multiply-adds for each; whether it does.
fn ask(sum: &mut LoopStatement, lines: Vec<Address>, work_a_line: i64) -> bool {
    let work = sum.body.statements.iter();
    let work = work.filter(|own| is_multiply_add(own)).count() as i64;
    let few = !lines.is_empty() && lines.len() as i64 * work_a_line <= work;
    if few {
        let lines = lines.into_iter().map(Statement::Prefetch);
        sum.body.statements.splice(0..0, lines);
    }
    few
}

fn is_multiply_add(statement: &Statement) -> bool {
    matches!(statement, Statement::Define(_, Instruction::Fma(..)))
}

#[cfg(test)]
mod tests;
