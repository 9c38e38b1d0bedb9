//! What the next tile reads of a large matrix is asked for while the sums of this one are computed.
//!
//! The processor's own prefetchers follow a few streams, each within a page, and a tile begins in other pages than the one
//! before ended in. Three kinds of reading are among what they do not see in time: several rows shorter than a page, side by
//! side (`stretches`), some columns of many rows, each row in a page of its own (`columns`), and the begin of the next panel
//! of a copy (`streams`).

mod columns;
mod streams;
mod stretches;

use std::collections::BTreeSet;

use super::ranges::Ranges;
use super::{
    Access, Address, Block, Buffer, Instruction, Kernel, LoadKind, LoopKind, LoopStatement, Range,
    Statement, Value,
};

/// Bytes of a cache line.
const LINE: i64 = 64;
/// Bytes of a buffer that fits no cache that is near.
pub const FAR: i64 = 1 << 20;
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
    };
    let asked = asking.within(&mut body, &mut Vec::new());
    own.body = body;
    asked.then_some(own)
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
        for statement in &mut block.statements {
            found |= match statement {
                Statement::Loop(own) if own.kind == LoopKind::Domain => {
                    outer.push(self.tiles(own));
                    let inner = self.within(&mut own.body, outer);
                    outer.pop();
                    inner
                }
                Statement::Loop(sum) if !outer.is_empty() => {
                    self.computed = computed(&sum.body);
                    // Each has an allowance of its own.
                    self.stretches(sum, outer) | self.columns(sum, outer) | self.streams(sum, outer)
                }
                Statement::If(own) => self.within(&mut own.body, outer),
                _ => false,
            };
        }
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

fn is_multiply_add(statement: &Statement) -> bool {
    matches!(statement, Statement::Define(_, Instruction::Fma(..)))
}

#[cfg(test)]
mod tests {
    use super::{Memory, Streams, ask_for_next_tile};
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

    /// A second cache of two megabytes.
    const LARGE: Memory = Memory {
        far: 3 << 19,
        far_shared: 3 << 19,
        work_a_line: 24,
    };

    fn asked(kernel: &Kernel) -> Vec<String> {
        asked_with(kernel, LARGE)
    }

    fn asked_with(kernel: &Kernel, memory: Memory) -> Vec<String> {
        prefetches(kernel, memory, &Streams::default())
    }

    /// What a kernel is made to ask for.
    pub(super) fn prefetches(kernel: &Kernel, memory: Memory, given: &Streams) -> Vec<String> {
        let Some(asking) = ask_for_next_tile(kernel, memory, given) else {
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

    /// Sums of eight channels of an image of 64 rows of so many pixels, 32 channels of 16 samples each, for each of nine taps;
    /// `moved` is how many pixels a round goes on by, and `read` how many it reads.
    fn taps(pixels: i64, (moved, read): (i64, i64)) -> String {
        let mut body = String::new();
        let mut value = 20;
        let mut before = 9;
        for pixel in 0..read {
            for channel in 0..8 {
                let at = pixel * 512 + channel * 16;
                body += &format!(
                    "            v{value}: f32x16 = load b0[v4 * 16 + v7 * {row} + v8 * {step} + {at}]\n",
                    row = pixels * 512,
                    step = moved * 512,
                );
                for _ in 0..3 {
                    value += 1;
                    let load = value - value % 4;
                    body += &format!(
                        "            v{value}: f32x16 = fma v{load}, v{load}, v{before}\n"
                    );
                    before = value;
                }
                value += 1;
            }
        }
        format!(
            r#"kernel "taps" {{
  buffer b0 "g": f32 read
  buffer b1 "w": f32 write
  v0: index = const 0
  v1: index = const 32
  v2: index = const 3
  v3: f32x16 = const 0.0
  v13: index = const 64
  v14: index = const {pixels}
  for v4 "i0" in v0..v1 step 8 domain {{
    for v5 "i1" in v0..v2 step 1 domain {{
      for v6 "i2" in v0..v2 step 1 domain {{
        for v7 "r1" in v0..v13 step 1 reduction carry v10: f32x16 = v3 {{
          for v8 "r2" in v0..v14 step 1 reduction carry v9: f32x16 = v10 {{
{body}            next v{before}
          }} give v11
          next v11
        }} give v12
        store b1[v4 * 16 + v5 * 1024 + v6 * 2048], v12
      }}
    }}
  }}
}}
"#
        )
        .replace(" + 0]", "]")
    }

    /// Sums of four channels of an image of half a megabyte, each with eight multiply-adds, for so many tiles beside each
    /// other of the same channels.
    fn pixels(beside: i64) -> String {
        let channel = |own: i64| {
            let load = 20 + own * 9;
            let sums = (1..9).map(|at| match own * 8 + at {
                1 => format!("v{}: f32x16 = fma v{load}, v{load}, v9\n", load + at),
                _ if at == 1 => format!(
                    "v{}: f32x16 = fma v{load}, v{load}, v{}\n",
                    load + at,
                    load - 1
                ),
                _ => format!(
                    "v{}: f32x16 = fma v{load}, v{load}, v{}\n",
                    load + at,
                    load + at - 1
                ),
            });
            format!(
                "v{load}: f32x16 = load b0[v4 * 16 + v7 * 8192 + v8 * 512 + {}]\n",
                own * 16
            ) + &sums.collect::<String>()
        };
        let body: String = (0..4).map(channel).collect();
        format!(
            r#"kernel "pixels" {{
  buffer b0 "g": f32 read
  buffer b1 "w": f32 write
  v0: index = const 0
  v1: index = const 32
  v2: index = const {beside}
  v3: f32x16 = const 0.0
  v13: index = const 16
  v14: index = const 8
  for v4 "i0" in v0..v1 step 4 domain {{
    for v5 "i1" in v0..v2 step 1 domain {{
      for v7 "r1" in v0..v13 step 1 reduction carry v10: f32x16 = v3 {{
        for v8 "r2" in v0..v14 step 1 reduction carry v9: f32x16 = v10 {{
{body}          next v55
        }} give v11
        next v11
      }} give v12
      store b1[v4 * 16 + v5 * 1024], v12
    }}
  }}
}}
"#
        )
        .replace(" + 0]", "]")
    }

    #[test]
    fn a_small_cache_asks_for_more() {
        let small = Memory {
            far: 384 << 10,
            far_shared: 768 << 10,
            work_a_line: 8,
        };
        let alone = kernel(
            &pixels(1)
                .replace("    for v5 \"i1\" in v0..v2 step 1 domain {\n", "")
                .replace("v4 * 16 + v5 * 1024]", "v4 * 16]")
                .replacen("    }\n  }\n}\n", "  }\n}\n", 1),
        );
        let wanted: Vec<String> = (4..8)
            .map(|channel| {
                format!(
                    "prefetch b0[v4 * 16 + v7 * 8192 + v8 * 512 + {}]",
                    channel * 16
                )
            })
            .collect();
        assert_eq!(asked_with(&alone, small), wanted);
        assert!(asked_with(&alone, LARGE).is_empty());
        // Tiles between one and the next read the same again.
        assert!(asked_with(&kernel(&pixels(3)), small).is_empty());
    }

    #[test]
    fn a_place_that_a_round_computes_is_not_asked_for() {
        // As the quotient of a position by what it does not divide by.
        let plain = taps(32, (1, 1));
        let line = "            v20: f32x16 = load b0[v4 * 16 + v7 * 16384 + v8 * 512]\n";
        assert!(plain.contains(line), "{plain}");
        let quotient = "            v15: index = div_floor v8, v2\n".to_owned()
            + &line.replace("v8 * 512]", "v8 * 512 + v15 * 512]");
        let text = plain.replace(line, &quotient);
        let asked = asked(&kernel(&text));
        assert!(
            !asked.is_empty() && !asked.join("").contains("v15"),
            "{asked:?}"
        );
    }

    #[test]
    fn tiles_that_read_the_same_ask_for_their_shares_of_the_next() {
        // Eight lines of a pixel, nine taps: one each, the next tile's channels being 128 elements further.
        let wanted = ["prefetch b0[v4 * 16 + v5 * 48 + v6 * 16 + v7 * 16384 + v8 * 512 + 128]"];
        assert_eq!(asked(&kernel(&taps(32, (1, 1)))), wanted);
    }

    #[test]
    fn windows_and_images_that_stay_near_are_not_asked_for() {
        // Each round reads a pixel that the one before has read.
        assert!(asked(&kernel(&taps(32, (1, 2)))).is_empty());
        assert!(asked(&kernel(&taps(4, (1, 1)))).is_empty());
    }
}
