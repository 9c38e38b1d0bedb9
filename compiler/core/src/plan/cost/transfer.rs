//! How long lines take to come from where they are.

use super::caches::LEVELS;
use super::footprint::{Missed, Traffic};
use std::ops::AddAssign;

/// What has to come from behind each cache.
///
/// ```text
/// cycles = loaded lines * (0.5 past the first cache + 8.5 past the second + a quarter of memory's past the third),
///          1.4 times as many where lines are stored, and 5, 2 and 10 for each jump past the first, second and third
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Transfer {
    /// Lines that each cache misses of what is only loaded.
    pub loaded: [f64; LEVELS],
    /// Lines that each cache misses of what is stored, too: they go back one day.
    pub stored: [f64; LEVELS],
    /// Of all these, lines where no stream leads to.
    pub jumps: [f64; LEVELS],
}

impl AddAssign for Transfer {
    fn add_assign(&mut self, other: Transfer) {
        let add = |own: &mut [f64; LEVELS], more: [f64; LEVELS]| {
            own.iter_mut()
                .zip(more)
                .for_each(|(own, more)| *own += more);
        };
        add(&mut self.loaded, other.loaded);
        add(&mut self.stored, other.stored);
        add(&mut self.jumps, other.jumps);
    }
}

impl Transfer {
    /// What a call misses in a buffer of which the caches hold these shares when it begins.
    pub(super) fn of(traffic: &Traffic, held: [f64; LEVELS]) -> Transfer {
        let mut transfer = Transfer::default();
        let mut least = Missed {
            lines: f64::INFINITY,
            jumps: f64::INFINITY,
        };
        for (level, (missed, held)) in traffic.missed.iter().zip(held).enumerate() {
            least.lines = least
                .lines
                .min((missed.lines - held * traffic.cold.lines).max(0.0));
            least.jumps = least
                .jumps
                .min((missed.jumps - held * traffic.cold.jumps).max(0.0));
            match traffic.stored {
                true => transfer.stored[level] = least.lines,
                false => transfer.loaded[level] = least.lines,
            }
            transfer.jumps[level] = least.jumps;
        }
        transfer
    }

    pub(super) fn times(mut self, times: f64) -> Transfer {
        let all = [&mut self.loaded, &mut self.stored, &mut self.jumps];
        all.into_iter().flatten().for_each(|lines| *lines *= times);
        self
    }

    /// Cycles until all is there, if nothing else is done. Memory takes `memory` cycles for a line.
    pub fn cycles(&self, memory: f64) -> f64 {
        let streamed = [LINE_CYCLES[0], LINE_CYCLES[1], BEYOND * memory];
        let level = |level: usize| {
            let lines = self.loaded[level] + STORED * self.stored[level];
            lines * streamed[level] + self.jumps[level] * JUMP_CYCLES[level]
        };
        (0..LEVELS).map(level).sum()
    }
}

/// Cycles for a line of a stream that the first cache misses, and for one more cache that misses it.
const LINE_CYCLES: [f64; 2] = [0.5, 8.5];
/// What is seen of the time that memory takes for a line: the rest passes while the third cache looks for others.
const BEYOND: f64 = 0.25;
/// Cycles by which a line takes longer that no stream leads to, for each cache that misses it.
const JUMP_CYCLES: [f64; LEVELS] = [5.0, 2.0, 10.0];
/// A line that is stored as against one that is only loaded.
const STORED: f64 = 1.4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_from_farther_take_longer() {
        let cycles = |loaded: [f64; LEVELS], jumps: [f64; LEVELS]| {
            let transfer = Transfer {
                loaded,
                jumps,
                ..Transfer::default()
            };
            transfer.cycles(20.0)
        };
        assert_eq!(cycles([8.0, 0.0, 0.0], [0.0; LEVELS]), 4.0);
        assert_eq!(cycles([8.0, 8.0, 0.0], [0.0; LEVELS]), 72.0);
        assert_eq!(cycles([8.0, 8.0, 8.0], [0.0; LEVELS]), 112.0);
        assert_eq!(cycles([8.0, 8.0, 8.0], [8.0; LEVELS]), 248.0);
    }

    #[test]
    fn what_a_cache_holds_at_the_begin_is_missed_less() {
        let missed = |lines: f64| Missed { lines, jumps: 1.0 };
        let traffic = Traffic::whole(missed(100.0), [400.0, 100.0, 100.0].map(missed));
        let transfer = Transfer::of(&traffic, [0.0, 1.0, 1.0]);
        assert_eq!(transfer.loaded, [400.0, 0.0, 0.0]);
        assert_eq!(transfer.jumps, [1.0, 0.0, 0.0]);
    }
}
