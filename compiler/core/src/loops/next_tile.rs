//! What the next tile reads of a large matrix is asked for while the sums of this one are computed.
//!
//! The elements that all lanes share, of a matrix that fits no cache, come in rows shorter than a page, several side by side:
//! the processor's own prefetchers lose sight of several streams in one page, and each tile begins in other pages than the
//! one before ended in. Rows that lie behind each other are one stretch of memory, of which each round of the sum asks for
//! its share. And where rounds go from row to row, each in another page, as those of a sum over the positions of attention, each round asks
//! for the columns of its rows that the next tile reads.

use std::collections::{BTreeMap, BTreeSet};

use super::ranges::Ranges;
use super::{
    Access, Address, Block, Buffer, Instruction, Kernel, LoadKind, LoopKind, LoopStatement,
    Statement, Value,
};

/// Bytes of a cache line.
const LINE: i64 = 64;
/// Bytes of a buffer that fits no cache that is near.
pub const FAR: i64 = 1 << 20;
/// Bytes of a row that the processor's own prefetchers follow.
const LONG: i64 = 4096;
/// Bytes from row to row from which on each is in a page of its own, or nearly.
const APART: i64 = 2048;
/// Bytes of a row that a tile reads at most.
const FEW: i64 = 512;
/// Vector multiply-adds of a round for each line that it asks for, at least.
const WORK: usize = 8;

/// The kernel whose tiles ask for what the next of them reads, where that is far.
pub fn ask_for_next_tile(kernel: &Kernel) -> Option<Kernel> {
    let ranges = Ranges::of(kernel, &[]);
    let mut own = kernel.clone();
    let mut body = std::mem::take(&mut own.body);
    let asked = Asking { kernel, ranges }.within(&mut body);
    own.body = body;
    asked.then_some(own)
}

struct Asking<'a> {
    kernel: &'a Kernel,
    ranges: Ranges,
}

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
    /// Adds to all tiles of a block; whether there was one.
    fn within(&self, block: &mut Block) -> bool {
        let mut found = false;
        for statement in &mut block.statements {
            found |= match statement {
                Statement::Loop(own) if own.kind == LoopKind::Domain => {
                    let inner = self.within(&mut own.body);
                    inner | self.tile(own)
                }
                Statement::If(own) => self.within(&mut own.body),
                _ => false,
            };
        }
        found
    }

    /// Adds to the sums of a tile that a round of this loop computes.
    fn tile(&self, tiles: &mut LoopStatement) -> bool {
        let (variable, step) = (tiles.variable, tiles.step);
        let mut found = false;
        for statement in &mut tiles.body.statements {
            let Statement::Loop(sum) = statement else {
                continue;
            };
            if sum.kind == LoopKind::Reduction {
                let asked = self.asked(sum, (variable, step));
                found |= !asked.is_empty();
                sum.body.statements.splice(0..0, asked);
            }
        }
        found
    }

    /// What each round of a sum asks for.
    fn asked(&self, sum: &LoopStatement, tiles: (Value, i64)) -> Vec<Statement> {
        let body = &sum.body.statements;
        let nested = |own: &Statement| matches!(own, Statement::Loop(_) | Statement::If(_));
        if body.iter().any(nested) {
            return Vec::new();
        }
        let work = body.iter().filter(|own| is_multiply_add(own)).count();
        let stretches = self
            .rounds(sum)
            .map(|rounds| self.stretches(sum, rounds, tiles));
        let stretches = stretches.unwrap_or_default();
        let mut lines: Vec<Statement> = stretches
            .iter()
            .flat_map(|own| self.lines(own, sum))
            .collect();
        lines.extend(self.columns(sum, tiles));
        match lines.len() * WORK <= work {
            true => lines,
            false => Vec::new(),
        }
    }

    fn rounds(&self, sum: &LoopStatement) -> Option<i64> {
        let begin = self.ranges.value(sum.begin).exact()?;
        let end = self.ranges.value(sum.end).exact()?;
        (begin == 0 && end > 0).then(|| (end + sum.step - 1) / sum.step)
    }

    fn stretches(&self, sum: &LoopStatement, rounds: i64, tiles: (Value, i64)) -> Vec<Stretch> {
        let mut loads: BTreeMap<Moved<'_>, BTreeSet<i64>> = BTreeMap::new();
        for statement in &sum.body.statements {
            if let Some((address, LoadKind::Splat)) = self.far(statement) {
                let place = (address.buffer, address.terms.as_slice());
                loads.entry(place).or_default().insert(address.offset);
            }
        }
        let mut found = Vec::new();
        for ((buffer, terms), offsets) in loads {
            let moved = |variable: Value| terms.iter().find(|term| term.0 == variable);
            let (Some(&(_, by_round)), Some(&(_, by_tile))) = (moved(sum.variable), moved(tiles.0))
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
                    first: first + by_tile * tiles.1,
                    share: many * by_round,
                });
            }
        }
        found
    }

    /// Prefetches of the columns behind those that a round reads of rows which lie apart.
    fn columns(&self, sum: &LoopStatement, tiles: (Value, i64)) -> Vec<Statement> {
        let mut asked: Vec<Address> = Vec::new();
        for statement in &sum.body.statements {
            let Some((address, LoadKind::Contiguous)) = self.far(statement) else {
                continue;
            };
            let bytes = self.kernel.buffers[address.buffer].element.bytes() as i64;
            let moves = |variable: Value, step: i64| {
                let term = address.terms.iter().find(|term| term.0 == variable);
                term.map_or(0, |term| term.1 * step * bytes)
            };
            let by_tile = moves(tiles.0, tiles.1);
            let near = |other: &Address| {
                let same = other.buffer == address.buffer && other.terms == address.terms;
                let apart = address.offset + by_tile / bytes - other.offset;
                same && (0..LINE / bytes).contains(&apart)
            };
            let far = moves(sum.variable, sum.step) >= APART && (LINE..=FEW).contains(&by_tile);
            if far && !asked.iter().any(near) {
                let offset = address.offset + by_tile / bytes;
                asked.push(Address {
                    offset,
                    ..address.clone()
                });
            }
        }
        asked.into_iter().map(Statement::Prefetch).collect()
    }

    /// What is loaded of a matrix that is far, and how.
    fn far<'s>(&self, statement: &'s Statement) -> Option<(&'s Address, LoadKind)> {
        let Statement::Define(_, Instruction::Load { address, kind }) = statement else {
            return None;
        };
        let decl = &self.kernel.buffers[address.buffer];
        // What is only known when the kernel is called, as the head that it is at, may be 0.
        let terms = address.terms.iter();
        let last: i64 = terms
            .map(|&(variable, factor)| self.ranges.value(variable).max.unwrap_or(0) * factor)
            .sum();
        let far = last * decl.element.bytes() as i64 >= FAR;
        (decl.access == Access::Read && far).then_some((address, *kind))
    }

    /// Prefetches of a round's share, where that is whole lines.
    fn lines(&self, stretch: &Stretch, sum: &LoopStatement) -> Vec<Statement> {
        let line = LINE / self.kernel.buffers[stretch.buffer].element.bytes() as i64;
        if stretch.share % line != 0 {
            return Vec::new();
        }
        let mut terms = stretch.terms.clone();
        terms.push((sum.variable, stretch.share / sum.step));
        terms.sort_by_key(|term| term.0);
        let lines = (0..stretch.share / line).map(|number| {
            Statement::Prefetch(Address {
                buffer: stretch.buffer,
                terms: terms.clone(),
                offset: stretch.first + number * line,
            })
        });
        lines.collect()
    }
}

fn is_multiply_add(statement: &Statement) -> bool {
    matches!(statement, Statement::Define(_, Instruction::Fma(..)))
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

#[cfg(test)]
mod tests {
    use super::ask_for_next_tile;
    use crate::loops::text::parse_kernels;
    use crate::loops::{Kernel, verify};

    /// Tiles of two rows of a matrix of 4096, the second so many elements behind the first, of which a round reads eight.
    fn product(row: i64, apart: i64) -> String {
        let load = |own: i64, at: i64| {
            let offset = own * apart + at;
            let value = 20 + 2 * (8 * own + at);
            let sum = match at {
                0 => format!("v{}", 7 + own),
                _ => format!("v{}", value - 1),
            };
            format!(
                "      v{value}: f32x16 = load_splat b1[v4 * {row} + v6 * 8 + {offset}]\n      \
                 v{}: f32x16 = fma v10, v{value}, {sum}\n",
                value + 1
            )
        };
        let loads = (0..2).flat_map(|own| (0..8).map(move |at| load(own, at)));
        let loads: String = loads.collect();
        format!(
            r#"kernel "product" {{
  buffer b0 "g": f32 read
  buffer b1 "w": f32 read
  buffer b2 "y": f32 write
  v0: index = const 0
  v1: index = const 4096
  v2: index = const {rounds}
  v3: f32x16 = const 0.0
  for v4 "i" in v0..v1 step 2 domain {{
    for v6 "r" in v0..v2 step 1 reduction carry v7: f32x16 = v3, v8: f32x16 = v3 {{
      v10: f32x16 = load b0[v6 * 16]
{loads}      next v35, v51
    }} give v60, v61
    store b2[v4 * 16], v60
    store b2[v4 * 16 + 16], v61
  }}
}}
"#,
            rounds = row / 8
        )
        .replace(" + 0]", "]")
    }

    fn kernel(text: &str) -> Kernel {
        let mut kernels = parse_kernels(text).expect("parses");
        kernels.remove(0)
    }

    fn asked(kernel: &Kernel) -> Vec<String> {
        let Some(asking) = ask_for_next_tile(kernel) else {
            return Vec::new();
        };
        verify(&asking).expect("verifies");
        let text = asking.to_string();
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| line.starts_with("prefetch"));
        lines.map(String::from).collect()
    }

    #[test]
    fn rows_behind_each_other_are_one_stretch() {
        // Two rows of 512 bytes, in 16 rounds: 16 lines, one each round, from the next two rows on.
        let wanted = ["prefetch b1[v4 * 128 + v6 * 16 + 256]"];
        assert_eq!(asked(&kernel(&product(128, 128))), wanted);
    }

    #[test]
    fn rows_that_are_near_or_long_or_apart_are_not_asked_for() {
        // 4096 rows of 32 elements are half a megabyte.
        assert!(asked(&kernel(&product(32, 32))).is_empty());
        // Rows of four kilobytes are streams that processors follow.
        assert!(asked(&kernel(&product(1024, 1024))).is_empty());
        // Each of two rows by itself is half a line a round.
        assert!(asked(&kernel(&product(128, 8192))).is_empty());
    }

    /// A sum over 512 rows of `row` elements, 16 columns of each, with so many multiply-adds for each of two sums.
    fn columns(row: i64, work: i64) -> String {
        let sums = (0..2 * work).map(|at| {
            let before = if at < 2 { 6 + at } else { 10 + at };
            format!("      v{}: f32x16 = fma v8, v9, v{before}\n", 12 + at)
        });
        let sums: String = sums.collect();
        format!(
            r#"kernel "columns" {{
  buffer b0 "g": f32 read
  buffer b1 "w": f32 read
  buffer b2 "y": f32 write
  v0: index = const 0
  v1: index = const 256
  v2: index = const 512
  v3: f32x16 = const 0.0
  for v4 "i" in v0..v1 step 16 domain {{
    for v5 "r" in v0..v2 step 1 reduction carry v6: f32x16 = v3, v7: f32x16 = v3 {{
      v8: f32x16 = load b0[v5 * 16]
      v9: f32x16 = load b1[v4 + v5 * {row}]
      v10: f32x16 = load b1[v4 + v5 * {row} + 8]
{sums}      next v{}, v{}
    }} give v60, v61
    store b2[v4 * 16], v60
    store b2[v4 * 16 + 16], v61
  }}
}}
"#,
            10 + 2 * work,
            11 + 2 * work,
        )
    }

    #[test]
    fn the_next_columns_of_rows_that_lie_apart_are_asked_for() {
        // Two megabytes, a line of each row.
        let wanted = ["prefetch b1[v4 + v5 * 1024 + 16]"];
        assert_eq!(asked(&kernel(&columns(1024, 4))), wanted);
        // Rows of a kilobyte, half a megabyte in all.
        assert!(asked(&kernel(&columns(256, 4))).is_empty());
        // Six multiply-adds are less than a line takes.
        assert!(asked(&kernel(&columns(1024, 3))).is_empty());
    }
}
