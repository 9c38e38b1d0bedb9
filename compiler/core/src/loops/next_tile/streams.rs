//! Where a few tiles read streams from end to end and those behind them the next, each asks for the next: here for panels of
//! a copy.
//!
//! The processor's own prefetchers find such a stream when it has begun, and stay within a page. Where many tiles read the
//! panel, it is theirs to wait for once, and not worth a prefetch in each.

use std::collections::BTreeSet;

use super::{Asking, LINE, Tiles, ask, factor};
use crate::loops::{Address, LoadKind, LoopKind, LoopStatement, Statement};

/// Tiles of a panel, at most.
const TILES: i64 = 2;
/// Vector multiply-adds of a round for each line that it asks for, at least: a panel's lines are one after the other.
const WORK: i64 = 4;

impl Asking<'_> {
    /// Has the rounds of a sum, or of the innermost one within it, ask for the next panels; whether there are any.
    pub(super) fn streams(&self, sum: &mut LoopStatement, outer: &[Tiles]) -> bool {
        if sum.kind != LoopKind::Reduction {
            return false;
        }
        let mut found = false;
        for statement in &mut sum.body.statements {
            if let Statement::Loop(inner) = statement {
                found |= self.streams(inner, outer);
            }
        }
        let asked = self.of_next_panels(sum, outer);
        ask(sum, asked, WORK) || found
    }

    /// The lines of the next panels that lie where a round reads these.
    fn of_next_panels(&self, sum: &LoopStatement, outer: &[Tiles]) -> Vec<Address> {
        let panel = |statement| {
            let (address, kind) = self.far(statement, 0)?;
            let panel = self.given.buffers.contains(&address.buffer);
            (kind == LoadKind::Contiguous && panel).then_some(address)
        };
        let loads: Vec<&Address> = sum.body.statements.iter().filter_map(panel).collect();
        let Some(&first) = loads.first() else {
            return Vec::new();
        };
        let one = |own: &&Address| (own.buffer, &own.terms) == (first.buffer, &first.terms);
        // Each load is a line.
        let lines = lines(&loads, LINE / self.bytes(first)).len();
        if !loads.iter().all(one) || lines != loads.len() {
            return Vec::new();
        }
        self.of_next_streams(&loads, sum, outer, 0)
    }

    /// The lines of the streams that the next tile reads, where a round goes on by the lines that it touches, streams lie
    /// evenly apart, by so many bytes at least, and the next tile's behind them. All loads are of one buffer and move alike.
    pub(super) fn of_next_streams(
        &self,
        loads: &[&Address],
        sum: &LoopStatement,
        outer: &[Tiles],
        apart: i64,
    ) -> Vec<Address> {
        let Some(&place) = loads.first() else {
            return Vec::new();
        };
        let moves = |tiles: &Tiles| factor(place, tiles.variable) * tiles.step;
        let Some(at) = outer.iter().rposition(|tiles| moves(tiles) != 0) else {
            return Vec::new();
        };
        let (moved, bytes) = (moves(&outer[at]), self.bytes(place));
        let lines = lines(loads, LINE / bytes);
        let behind = |one: &i64, next: &i64| next - one == LINE / bytes;
        let streams: Vec<&[i64]> = lines.chunk_by(behind).collect();
        let by_round = factor(place, sum.variable) * sum.step * bytes;
        let whole = |stream: &&[i64]| by_round == stream.len() as i64 * LINE;
        let many = streams.len() as i64;
        let beside = |pair: &[&[i64]]| (pair[1][0] - pair[0][0]) * many == moved;
        let all = streams.iter().all(whole)
            && streams.windows(2).all(beside)
            && moved * bytes >= apart * many;
        let tiles: Option<i64> = outer[at + 1..].iter().map(|own| own.most).product();
        if !all || tiles.is_none_or(|tiles| tiles > TILES) {
            return Vec::new();
        }
        let next = |offset: &i64| Address {
            offset: offset + moved,
            ..place.clone()
        };
        lines.iter().map(next).collect()
    }
}

/// Where loads begin, the first of each line.
fn lines(loads: &[&Address], line: i64) -> Vec<i64> {
    let offsets: BTreeSet<i64> = loads.iter().map(|own| own.offset).collect();
    let mut found: Vec<i64> = Vec::new();
    for offset in offsets {
        if found.last().is_none_or(|last| offset - last >= line) {
            found.push(offset);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::loops::next_tile::tests::prefetches;
    use crate::loops::text::parse_kernels;
    use crate::loops::{Memory, Range, Streams};

    /// Where a round reads four samples of one panel, and two of each of two.
    const ONE_PANEL: [i64; 4] = [0, 16, 32, 48];
    const TWO_PANELS: [i64; 4] = [0, 16, 4096, 4112];

    /// Sums over 256 samples of panels of 16 columns, each for tiles of so many of the outputs that a task has; a round
    /// reads at four places and goes on by so many elements.
    fn kernel(outputs: i64, by_round: i64, places: [i64; 4]) -> String {
        let columns = if places == TWO_PANELS { 32 } else { 16 };
        let load = |at: i64| {
            let (value, sum) = (20 + 6 * at, |own: i64| 20 + 6 * at + 1 + own);
            let before = |own: i64| match at {
                0 => format!("v{}", 10 + own),
                _ => format!("v{}", sum(own) - 6),
            };
            let sums = (0..outputs).map(|own| {
                format!(
                    "        v{}: f32x16 = fma v{value}, v{value}, {}\n",
                    sum(own),
                    before(own)
                )
            });
            let sums: String = sums.collect();
            let place = format!("v5 * 256 + v7 * {by_round} + {}", places[at as usize]);
            let place = place.replace(" + 0", "");
            format!("        v{value}: f32x16 = load b0[{place}]\n{sums}")
        };
        let body: String = (0..4).map(load).collect();
        let list = |first: i64, text: &dyn Fn(i64) -> String| {
            let all: Vec<String> = (0..outputs).map(|own| text(first + own)).collect();
            all.join(", ")
        };
        format!(
            r#"kernel "sums" {{
  buffer b0 "rows": f32 read
  buffer b1 "w": f32 write
  scalar v0 "begin"
  scalar v1 "end"
  v2: index = const 0
  v3: index = const 80
  v4: f32x16 = const 0.0
  v8: index = const 64
  for v5 "vector" in v2..v3 step {columns} domain {{
    for v6 "i0" in v0..v1 step {outputs} domain {{
      for v7 "samples" in v2..v8 step 1 reduction carry {carried} {{
{body}        next {next}
      }} give {give}
      store b1[v5 + v6 * 80], v60
    }}
  }}
}}
"#,
            carried = list(10, &|own| format!("v{own}: f32x16 = v4")),
            next = list(39, &|own| format!("v{own}")),
            give = list(60, &|own| format!("v{own}")),
        )
    }

    /// The prefetches of a kernel of ten rows.
    fn asked(text: &str) -> Vec<String> {
        let mut kernels = parse_kernels(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let own = kernels.remove(0);
        let memory = Memory {
            far: 1 << 30,
            far_shared: 1 << 30,
            far_of_one_loop: 1 << 30,
            work_a_line: 8,
        };
        let panels = Streams {
            buffers: own.buffers.keys().take(1).collect(),
            scalars: vec![Range::new(0, 10); 2],
        };
        assert!(prefetches(&own, memory, &Streams::default()).is_empty());
        prefetches(&own, memory, &panels)
    }

    #[test]
    fn two_tiles_of_a_panel_ask_for_the_next_panel() {
        let wanted = [4096, 4112, 4128, 4144]
            .map(|line| format!("prefetch b0[v5 * 256 + v7 * 64 + {line}]"));
        assert_eq!(asked(&kernel(5, 64, ONE_PANEL)), wanted);
    }

    #[test]
    fn tiles_of_two_panels_ask_for_the_two_behind_them() {
        let wanted = [8192, 8208, 12288, 12304]
            .map(|line| format!("prefetch b0[v5 * 256 + v7 * 32 + {line}]"));
        assert_eq!(asked(&kernel(5, 32, TWO_PANELS)), wanted);
    }

    #[test]
    fn what_many_tiles_read_or_rounds_leave_out_is_not_asked_for() {
        // Three tiles of four.
        assert!(asked(&kernel(4, 64, ONE_PANEL)).is_empty());
        // Every other sample, or every other two.
        assert!(asked(&kernel(5, 128, ONE_PANEL)).is_empty());
        assert!(asked(&kernel(5, 64, TWO_PANELS)).is_empty());
        // A sample and the next but one of the same panel.
        assert!(asked(&kernel(5, 16, [0, 32, 64, 96])).is_empty());
    }
}
