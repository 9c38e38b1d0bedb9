//! How many cache lines a kernel's call misses, cache by cache: a walk over the loop nest from the innermost loop outwards.
//!
//! A cache keeps between two rounds of a loop what one round touches, if that fits. Then the loop misses each of the
//! lines that its rounds touch together once; else each round misses what it misses by itself.
//!
//! ```text
//! for i in 0..64 {            x: 64 rows of 4 KB; w: one row of 4 KB
//!   for j in 0..1024 {
//!     load x[i * 1024 + j]    a round of i touches 64 + 64 lines, which the first cache keeps:
//!     load w[j]               4096 lines of x and 64 of w are missed, not 64 * 64
//!   }
//! }
//! ```

use super::caches::{Caches, LEVELS};
use super::nest::{self, Access, Node, Rounds};
use super::spans::{LINE, Spans};
use crate::loops::Kernel;

/// Rounds that are at most so many bytes apart continue a stream, which is fetched ahead.
const AHEAD: i64 = 4 * LINE;

/// What a cache misses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Missed {
    /// Lines.
    pub lines: f64,
    /// Of these, lines where no stream leads to.
    pub jumps: f64,
}

impl Missed {
    fn and(self, other: Missed) -> Missed {
        Missed {
            lines: self.lines + other.lines,
            jumps: self.jumps + other.jumps,
        }
    }

    pub(super) fn times(self, times: f64) -> Missed {
        Missed {
            lines: self.lines * times,
            jumps: self.jumps * times,
        }
    }

    /// So much of this, and the rest of the other.
    fn mixed(self, share: f64, other: Missed) -> Missed {
        self.times(share).and(other.times(1.0 - share))
    }
}

/// What a call does with a buffer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Traffic {
    /// The number of the buffer among the kernel's.
    pub buffer: usize,
    /// Bytes by which rounds of the loops around move it.
    steps: Vec<(usize, i64)>,
    /// What is touched, from the buffer's begin.
    pub touched: Spans,
    /// Whether any of it is stored.
    pub stored: bool,
    /// What caches miss that hold nothing.
    pub cold: Missed,
    /// What each cache misses, if it holds nothing at the begin.
    pub missed: [Missed; LEVELS],
    /// The share of it that each cache keeps.
    kept: [f64; LEVELS],
}

#[cfg(test)]
impl Traffic {
    /// That of a buffer which is only loaded.
    pub(super) fn whole(cold: Missed, missed: [Missed; LEVELS]) -> Traffic {
        Traffic {
            buffer: 0,
            steps: Vec::new(),
            touched: Spans::one(0..LINE * cold.lines as i64),
            stored: false,
            cold,
            missed,
            kept: [1.0; LEVELS],
        }
    }
}

/// What a call with these scalar arguments does with each buffer, which begin at these addresses.
pub(super) fn of_call(
    kernel: &Kernel,
    arguments: &[i64],
    bases: &[i64],
    caches: Caches,
) -> Vec<Traffic> {
    let (nodes, rounds) = nest::of_kernel(kernel, arguments);
    let walk = Walk {
        bases,
        rounds,
        caches,
    };
    walk.block(&nodes)
}

struct Walk<'k> {
    bases: &'k [i64],
    rounds: Vec<i64>,
    caches: Caches,
}

impl Walk<'_> {
    /// What a block touches while the counters around it stand still.
    fn block(&self, nodes: &[Node]) -> Vec<Traffic> {
        let mut all: Vec<Traffic> = Vec::new();
        let accesses = nodes.iter().filter_map(|node| match node {
            Node::Access(access) => Some(access),
            Node::Loop(_) => None,
        });
        accesses.for_each(|access| join(&mut all, of_access(access)));
        for traffic in &mut all {
            traffic.cold.jumps = traffic.touched.count() as f64;
        }
        for node in nodes {
            if let Node::Loop(rounds) = node {
                self.all_rounds(rounds)
                    .into_iter()
                    .for_each(|traffic| join(&mut all, traffic));
            }
        }
        self.settle(&mut all);
        all
    }

    /// What stays in each cache to the block's end is missed there once.
    fn settle(&self, all: &mut [Traffic]) {
        for traffic in all.iter_mut() {
            traffic.cold.lines = traffic.touched.lines();
            traffic.cold.jumps = traffic.cold.jumps.min(traffic.cold.lines);
        }
        let placed: Vec<Spans> = all.iter().map(|traffic| self.placed(traffic)).collect();
        let distinct = distinct(all, &placed);
        for (level, cache) in self.caches.iter().enumerate() {
            let mut counts = cache.empty();
            distinct
                .iter()
                .for_each(|spans| cache.count(spans, &mut counts));
            for (traffic, placed) in all.iter_mut().zip(&placed) {
                let kept = cache.kept(placed, &counts);
                traffic.kept[level] = kept;
                traffic.missed[level] = traffic.cold.mixed(kept, traffic.missed[level]);
            }
        }
    }

    /// Where it lies in the middle of the loops around it.
    fn placed(&self, traffic: &Traffic) -> Spans {
        let steps = traffic.steps.iter();
        let moved = steps.map(|&(number, step)| step * (self.rounds[number] / 2));
        let moved: i64 = moved.sum();
        let base = self.bases.get(traffic.buffer).copied().unwrap_or(0);
        traffic.touched.shifted(base + moved)
    }

    fn all_rounds(&self, rounds: &Rounds) -> Vec<Traffic> {
        let body = self.block(&rounds.body);
        body.into_iter()
            .map(|traffic| swept(traffic, rounds))
            .collect()
    }
}

/// One round's traffic, for all rounds of the loop.
fn swept(mut traffic: Traffic, rounds: &Rounds) -> Traffic {
    let own = |step: &(usize, i64)| step.0 == rounds.number;
    let step = traffic.steps.iter().find(|step| own(step));
    let step = step.map_or(0, |step| step.1);
    traffic.steps.retain(|step| !own(step));
    traffic.touched = traffic.touched.swept(step, rounds.rounds);
    let count = rounds.rounds as f64;
    let jumps = match step.abs() {
        ..=AHEAD => traffic.cold.jumps,
        _ => count * traffic.cold.jumps,
    };
    let lines = traffic.touched.lines();
    traffic.cold = Missed {
        lines,
        jumps: jumps.min(lines),
    };
    for (missed, kept) in traffic.missed.iter_mut().zip(traffic.kept) {
        *missed = traffic.cold.mixed(kept, missed.times(count));
    }
    traffic
}

fn of_access(access: &Access) -> Traffic {
    let one = Spans::one(access.offset..access.offset + access.bytes);
    let touched = one.swept(access.pieces.1, access.pieces.0);
    let cold = Missed {
        lines: touched.lines(),
        jumps: touched.count() as f64,
    };
    Traffic {
        buffer: access.buffer,
        steps: access.steps.clone(),
        touched,
        stored: access.stores,
        cold,
        missed: [cold; LEVELS],
        kept: [1.0; LEVELS],
    }
}

/// Adds to what moves alike.
fn join(all: &mut Vec<Traffic>, traffic: Traffic) {
    let alike = |own: &&mut Traffic| own.buffer == traffic.buffer && own.steps == traffic.steps;
    let Some(own) = all.iter_mut().find(alike) else {
        return all.push(traffic);
    };
    own.touched = own.touched.union(&traffic.touched);
    own.stored |= traffic.stored;
    own.cold = own.cold.and(traffic.cold);
    for (own, more) in own.missed.iter_mut().zip(traffic.missed) {
        *own = own.and(more);
    }
}

/// Buffers' lines, none twice.
fn distinct(all: &[Traffic], placed: &[Spans]) -> Vec<Spans> {
    let mut distinct: Vec<(usize, Spans)> = Vec::new();
    for (traffic, placed) in all.iter().zip(placed) {
        match distinct.iter_mut().find(|own| own.0 == traffic.buffer) {
            Some(own) => own.1 = own.1.union(placed),
            None => distinct.push((traffic.buffer, placed.clone())),
        }
    }
    distinct.into_iter().map(|own| own.1).collect()
}

#[cfg(test)]
mod tests {
    use super::super::caches::CACHES;
    use super::*;
    use crate::loops::text::parse_kernels;

    /// The lines that each cache misses of each buffer, in whole ones, the jumps among those that the first misses, and whether it is stored.
    fn check(text: &str, wanted: &[([f64; LEVELS], f64, bool)]) {
        let kernels = parse_kernels(text).expect("a kernel");
        let bases: Vec<i64> = (0..kernels[0].buffers.len() as i64)
            .map(|n| n << 24)
            .collect();
        let found = of_call(&kernels[0], &[], &bases, CACHES);
        let found: Vec<_> = found
            .iter()
            .map(|own| {
                (
                    own.missed.map(|missed| missed.lines.round()),
                    own.missed[0].jumps.round(),
                    own.stored,
                )
            })
            .collect();
        assert_eq!(found, wanted);
    }

    /// A loop over rows of 4 KB around a loop along each, with these accesses, and the lines that are missed of each buffer.
    fn rows(accesses: &str, wanted: &[([f64; LEVELS], f64, bool)]) {
        let text = format!(
            "kernel \"rows\" {{
  buffer b0 \"x\": f32 read
  buffer b1 \"w\": f32 read
  buffer b2 \"y\": f32 write
  v0: index = const 0
  v1: index = const 64
  v2: index = const 1024
  for v3 \"i\" in v0..v1 step 1 domain {{
    for v4 \"j\" in v0..v2 step 8 domain {{
{accesses}    }}
  }}
}}
"
        );
        check(&text, wanted);
    }

    #[test]
    fn a_row_stays_while_others_go_by() {
        let accesses = "      v5: f32x8 = load b0[v3 * 1024 + v4]
      v6: f32x8 = load b1[v4]
      v7: f32x8 = mul v5, v6
      store b2[v3 * 1024 + v4], v7
";
        // 64 rows of 64 lines.
        let rows = [4096.0; LEVELS];
        let row = [64.0; LEVELS];
        rows_and(accesses, rows, row);
    }

    fn rows_and(accesses: &str, all: [f64; LEVELS], row: [f64; LEVELS]) {
        // Each row of 4 KB begins a jump, as rows are farther apart than what is fetched ahead.
        let wanted = [(all, 64.0, false), (row, 1.0, false), (all, 64.0, true)];
        rows(accesses, &wanted);
    }

    /// The other way round, 128 vectors apart from 64 rows each: a column's lines fall into one set of the first cache,
    /// so that most vectors miss it; the second cache keeps a column's lines for the next, which are half of the same.
    #[test]
    fn columns_of_4_kb_miss_the_first_cache() {
        let accesses = "      v5: f32x8 = load b0[v4 * 1024 + v3 * 8]
      store b2[v3 * 1024 + v4], v5
";
        // Of 8192 vectors.
        let columns = [7778.0, 4096.0, 4096.0];
        let stored = [4096.0; LEVELS];
        rows(accesses, &[(columns, 7377.0, false), (stored, 64.0, true)]);
    }

    /// Four vectors of which each is a line's half, twice the same: a loop that does not move them misses them once.
    #[test]
    fn what_no_counter_moves_is_missed_once() {
        let accesses = "      v5: f32x8 = load b0[0]
      v6: f32x8 = load b0[8]
      v7: f32x8 = load b0[256]
      v8: f32x1 = load b1[v3]
      v9: f32x8 = add v5, v6
      store b2[v3], v8
";
        let two = [2.0; LEVELS];
        let row = [4.0; LEVELS];
        rows(
            accesses,
            &[(two, 2.0, false), (row, 1.0, false), (row, 1.0, true)],
        );
    }
}
