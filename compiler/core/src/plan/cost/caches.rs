//! The caches of a core: which lines stay in them. Sizes are those of a class of machines, as all constants here.

use super::spans::Spans;

/// A cache with a number of sets; a line's number decides its set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cache {
    sets: usize,
    ways: usize,
}

/// How many caches there are between a core and memory.
pub(super) const LEVELS: usize = 3;

/// The caches between a core and memory, the nearest first.
pub(super) type Caches = [Cache; LEVELS];

/// 32 KB and 512 KB of a core's own, and 16 MB that it has of the third cache. Where pages of 4 KB lie is up to the system,
/// so that only the first cache's sets follow from addresses.
pub(super) const CACHES: Caches = [
    Cache { sets: 64, ways: 8 },
    Cache {
        sets: 1,
        ways: 8 << 10,
    },
    Cache {
        sets: 1,
        ways: 16 << 14,
    },
];

/// Lanes of a register of machines whose second caches have a megabyte at least: those with AVX-512.
const WIDE: usize = 16;

/// The caches of machines with registers of so many lanes.
pub(super) fn caches(register_lanes: usize) -> Caches {
    let mut caches = CACHES;
    if register_lanes >= WIDE {
        caches[1].ways *= 2;
    }
    caches
}

/// A cache that is asked for so much more than its lines keeps nothing: replacement is not quite least recently used, and
/// what is asked for not quite in rounds.
const SOFTNESS: f64 = 0.5;

impl Cache {
    /// Lines in all.
    pub fn lines(&self) -> f64 {
        (self.sets * self.ways) as f64
    }

    /// How many of these lines lie in each set, added up.
    pub fn count(&self, touched: &Spans, counts: &mut [f64]) {
        let sets = self.sets as i64;
        let (mut everywhere, mut changes) = (0.0, vec![0.0; self.sets + 1]);
        for lines in touched.line_ranges() {
            let (length, first) = (lines.end - lines.start, lines.start.rem_euclid(sets));
            everywhere += (length / sets) as f64;
            let end = first + length % sets;
            changes[first as usize] += 1.0;
            changes[end.min(sets) as usize] -= 1.0;
            if end > sets {
                changes[0] += 1.0;
                changes[(end - sets) as usize] -= 1.0;
            }
        }
        let mut more = everywhere;
        for (count, change) in counts.iter_mut().zip(&changes) {
            more += change;
            *count += more * touched.density();
        }
    }

    /// No line in any set.
    pub fn empty(&self) -> Vec<f64> {
        vec![0.0; self.sets]
    }

    /// The share of these lines that are still there when all that `counts` says has been touched. Of several sets, one
    /// with `w` ways that is asked for more lines `n`, round after round, gives `w / n` of them, as one does whose replacement
    /// does not know which it was asked for last: of 12, 16 and 24 lines 4 KB apart a Zen 4 takes 0.4, 1.6 and 3.4 cycles
    /// longer for each load than of as many in sets of their own.
    pub fn kept(&self, touched: &Spans, counts: &[f64]) -> f64 {
        let mut own = self.empty();
        self.count(touched, &mut own);
        let (mut kept, mut all) = (0.0, 0.0);
        for (&own, &count) in own.iter().zip(counts) {
            let asked = count / self.ways as f64;
            kept += own
                * match self.sets {
                    1 => (1.0 - (asked - 1.0) / SOFTNESS).clamp(0.0, 1.0),
                    _ => asked.max(1.0).recip(),
                };
            all += own;
        }
        if all > 0.0 { kept / all } else { 1.0 }
    }

    /// As [`Cache::kept`], of lines anywhere, after so many others.
    pub fn kept_after(&self, lines: f64) -> f64 {
        let crowded = lines / self.lines() - 1.0 + SOFTNESS / 2.0;
        (1.0 - crowded / SOFTNESS).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cache: Cache, touched: &Spans) -> f64 {
        let mut counts = cache.empty();
        cache.count(touched, &mut counts);
        cache.kept(touched, &counts)
    }

    #[test]
    fn rows_fit_and_columns_of_powers_of_two_do_not() {
        let [first, second, third] = CACHES;
        assert_eq!(kept(first, &Spans::one(0..32 << 10)), 1.0);
        assert_eq!(kept(first, &Spans::one(0..64 << 10)), 0.5);
        let column = |stride: i64, rows: i64| Spans::one(0..64).swept(stride, rows);
        assert_eq!(kept(first, &column(4096, 8)), 1.0);
        assert_eq!(kept(first, &column(4096, 16)), 0.5);
        assert_eq!(kept(first, &column(4096, 64)), 0.125);
        assert_eq!(kept(first, &column(4096 + 64, 12)), 1.0);
        assert_eq!(kept(second, &column(4096, 4096)), 1.0);
        assert_eq!(kept(second, &column(4096, 16384)), 0.0);
        assert_eq!(kept(third, &column(65536, 1000)), 1.0);
        let [_, second, _] = caches(16);
        assert_eq!(kept(second, &column(4096, 16384)), 1.0);
        assert_eq!(kept(second, &column(4096, 32768)), 0.0);
    }

    #[test]
    fn a_set_that_is_full_loses_its_own_lines_only() {
        let [first, ..] = CACHES;
        let (column, row) = (Spans::one(0..64).swept(4096, 16), Spans::one(64..4096));
        let mut counts = first.empty();
        first.count(&column, &mut counts);
        first.count(&row, &mut counts);
        assert_eq!((counts[0], counts[1], counts[63]), (16.0, 1.0, 1.0));
        assert_eq!(first.kept(&column, &counts), 0.5);
        assert_eq!(first.kept(&row, &counts), 1.0);
    }
}
