//! Where a sum reads short pieces of several long rows from end to end, as attention's scores read a head of some positions,
//! each tile asks for the pieces of the rows that the next one reads.
//!
//! Each piece lies in a page of its own, and is over when the processor's own prefetchers have found it.

use std::collections::BTreeMap;

use super::{Asking, Tiles, ask, factor};
use crate::loops::{Address, Buffer, LoadKind, LoopKind, LoopStatement, Statement, Value};

/// Vector multiply-adds of a round for each line that it asks for, at least.
const WORK: i64 = 4;
/// Bytes from row to row, at least, and of a piece, at most.
const PAGE: i64 = 4096;

/// Loads of a buffer that move alike.
type Alike<'s> = BTreeMap<(Buffer, &'s [(Value, i64)]), Vec<&'s Address>>;

impl Asking<'_> {
    /// Has each round of a sum ask for the pieces of the next rows; whether there are any.
    pub(super) fn pieces(&self, sum: &mut LoopStatement, outer: &[Tiles]) -> bool {
        if sum.kind != LoopKind::Reduction {
            return false;
        }
        let mut alike = Alike::new();
        let statements = sum.body.statements.iter();
        for address in statements.filter_map(|own| self.of_piece(own, sum)) {
            let place = (address.buffer, address.terms.as_slice());
            alike.entry(place).or_default().push(address);
        }
        let next = |loads: &Vec<&Address>| self.of_next_streams(loads, sum, outer, PAGE);
        let asked = alike.values().flat_map(next);
        let asked = asked.collect();
        ask(sum, asked, WORK)
    }

    /// What is loaded of a piece of a far matrix's row.
    fn of_piece<'s>(&self, statement: &'s Statement, sum: &LoopStatement) -> Option<&'s Address> {
        let (address, kind) = self.far(statement, self.memory.far_of_one_loop)?;
        let by_round = factor(address, sum.variable) * sum.step * self.bytes(address);
        let rounds = self.most_rounds(sum)?;
        let piece = (1..PAGE).contains(&(rounds * by_round));
        let panel = self.given.buffers.contains(&address.buffer);
        (kind == LoadKind::Contiguous && piece && !panel).then_some(address)
    }
}

#[cfg(test)]
mod tests {
    use crate::loops::next_tile::tests::{kernel, prefetches};
    use crate::loops::{Memory, Streams};

    /// Scores of 2048 positions: the sums over a head's 32 features of four rows of some keys at a time, rows of so many
    /// elements apart. A round reads a line of each key, four lanes of samples of four features, and goes on by `by_round`.
    fn scores(keys: i64, apart: i64, by_round: i64) -> String {
        let load = |key: i64, at: i64| {
            let value = 100 + 16 * (4 * key + at);
            let place = format!(
                "v0 * 128 + v5 * {apart} + v7 * {by_round} + {}",
                key * apart + 4 * at
            );
            let sums = (0..4).map(|own| {
                let before = match at {
                    0 => format!("v{}", 10 + 4 * key + own),
                    _ => format!("v{}", value - 16 + 1 + own),
                };
                format!(
                    "        v{}: f32x4 = fma v9, v{value}, {before}\n",
                    value + 1 + own
                )
            });
            let sums: String = sums.collect();
            format!(
                "        v{value}: f32x4 = load b0[{}]\n{sums}",
                place.replace(" + 0", "")
            )
        };
        let loads: String = (0..keys)
            .flat_map(|key| (0..4).map(move |at| load(key, at)))
            .collect();
        let list = |text: &dyn Fn(i64) -> String| {
            let all: Vec<String> = (0..4 * keys).map(text).collect();
            all.join(", ")
        };
        format!(
            r#"kernel "scores" {{
  buffer b0 "keys": f32 read
  buffer b1 "y": f32 write
  scalar v0 "round"
  v1: index = const 0
  v2: index = const 2048
  v3: index = const 8
  v4: f32x4 = const 0.0
  v9: f32x4 = const 1.0
  for v5 "i2" in v1..v2 step {keys} domain {{
    for v7 "r0" in v1..v3 step 1 reduction carry {carried} {{
{loads}      next {next}
    }} give {give}
    store b1[v5 * 4], v60
  }}
}}
"#,
            carried = list(&|own| format!("v{}: f32x4 = v4", 10 + own)),
            next = list(&|own| format!("v{}", 100 + 16 * (4 * (own / 4) + 3) + 1 + own % 4)),
            give = list(&|own| format!("v{}", 60 + own)),
        )
    }

    /// What is asked for of matrices of half a megabyte and more.
    fn asked(text: &str) -> Vec<String> {
        let memory = Memory {
            far: 1 << 30,
            far_shared: 1 << 30,
            work_a_line: 8,
            far_of_one_loop: 1 << 19,
        };
        prefetches(&kernel(text), memory, &Streams::default())
    }

    #[test]
    fn the_pieces_of_the_next_rows_are_asked_for() {
        for apart in [1024, 4624] {
            let next = |row: i64| {
                let terms = format!("v0 * 128 + v5 * {apart} + v7 * 16");
                format!("prefetch b0[{terms} + {}]", row * apart)
            };
            assert_eq!(asked(&scores(4, apart, 16)), [4, 5, 6, 7].map(next));
            assert_eq!(asked(&scores(1, apart, 16)), [next(1)]);
        }
    }

    #[test]
    fn rows_in_one_page_and_parts_of_rows_are_not_asked_for() {
        // Rows of 4000 bytes.
        assert!(asked(&scores(4, 1000, 16)).is_empty());
        // Behind a piece comes the next.
        assert!(asked(&scores(1, 128, 16)).is_empty());
        // A round leaves out every other line.
        assert!(asked(&scores(4, 4096, 32)).is_empty());
        // Pieces of four kilobytes are streams that processors follow.
        let long = scores(4, 4096, 16).replace("v3: index = const 8", "v3: index = const 64");
        assert!(asked(&long).is_empty());
        // 127 rows of four kilobytes.
        let near = scores(4, 1024, 16).replace("const 2048", "const 127");
        assert!(asked(&near).is_empty());
    }
}
