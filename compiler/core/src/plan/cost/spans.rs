//! Stretches of memory: what a part of a kernel touches, as sorted stretches of bytes.

use std::ops::Range;

/// Bytes of a cache line.
pub(super) const LINE: i64 = 64;

/// More stretches than this are joined in pairs, and the share of their bytes that counts is kept beside them.
const MOST: usize = 2048;

/// Stretches of bytes, sorted, with a line or more between two of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spans {
    ranges: Vec<Range<i64>>,
    /// The share of the stretches' lines that is touched.
    density: f64,
}

impl Spans {
    /// One stretch.
    pub fn one(range: Range<i64>) -> Spans {
        Spans {
            ranges: vec![range],
            density: 1.0,
        }
    }

    /// Cache lines, of memory that begins with one.
    pub fn lines(&self) -> f64 {
        let lines: i64 = self
            .line_ranges()
            .map(|range| range.end - range.start)
            .sum();
        lines as f64 * self.density
    }

    /// Stretches without a gap.
    pub fn count(&self) -> usize {
        self.ranges.len()
    }

    /// The share of the stretches' lines that is touched.
    pub fn density(&self) -> f64 {
        self.density
    }

    /// The numbers of their lines; a gap of less than a line leaves out none.
    pub fn line_ranges(&self) -> impl Iterator<Item = Range<i64>> + '_ {
        let mut next = i64::MIN;
        self.ranges.iter().filter_map(move |range| {
            let begin = range.start.div_euclid(LINE).max(next);
            let end = (range.end + LINE - 1).div_euclid(LINE);
            next = end.max(next);
            (begin < end).then_some(begin..end)
        })
    }

    /// As far on.
    pub fn shifted(&self, bytes: i64) -> Spans {
        let shift = |range: &Range<i64>| range.start + bytes..range.end + bytes;
        Spans {
            ranges: self.ranges.iter().map(shift).collect(),
            density: self.density,
        }
    }

    /// What either touches.
    pub fn union(&self, other: &Spans) -> Spans {
        let (mut own, mut others) = (
            self.ranges.iter().peekable(),
            other.ranges.iter().peekable(),
        );
        let mut ranges: Vec<Range<i64>> = Vec::with_capacity(self.count().max(other.count()));
        loop {
            let next = match (own.peek(), others.peek()) {
                (Some(a), Some(b)) if a.start <= b.start => own.next(),
                (Some(_), None) => own.next(),
                (_, Some(_)) => others.next(),
                (None, None) => break,
            };
            let Some(next) = next else { break };
            match ranges.last_mut() {
                Some(last) if next.start - last.end < LINE => last.end = last.end.max(next.end),
                _ => ranges.push(next.clone()),
            }
        }
        let density = joined_density(self, other);
        Spans { ranges, density }.coarse()
    }

    /// What rounds touch that are `step` bytes apart.
    pub fn swept(&self, step: i64, rounds: i64) -> Spans {
        let mut swept = self.clone();
        if step == 0 {
            return swept;
        }
        let mut done = 1;
        while done < rounds {
            let more = done.min(rounds - done);
            swept = swept.union(&swept.shifted(step * more));
            done += more;
        }
        swept
    }

    fn coarse(mut self) -> Spans {
        while self.ranges.len() > MOST {
            let before = self.lines();
            let joined = |pair: &[Range<i64>]| pair[0].start..pair[pair.len() - 1].end;
            self.ranges = self.ranges.chunks(2).map(joined).collect();
            self.density *= before / self.lines();
        }
        self
    }
}

/// That of the one with more lines: stretches that were joined lie among those that they came from.
fn joined_density(a: &Spans, b: &Spans) -> f64 {
    match (a.density < 1.0 || b.density < 1.0, a.lines() >= b.lines()) {
        (false, _) => 1.0,
        (true, true) => a.density,
        (true, false) => b.density,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spans: &Spans, lines: f64, count: usize) {
        assert_eq!((spans.lines(), spans.count()), (lines, count), "{spans:?}");
    }

    #[test]
    fn a_row_is_one_stretch_and_a_column_is_many() {
        let vector = Spans::one(0..32);
        check(&vector, 1.0, 1);
        check(&vector.swept(32, 10), 5.0, 1);
        check(&vector.swept(4096, 10), 10.0, 10);
        check(&vector.swept(4096, 10).swept(32, 128), 640.0, 1);
        check(&Spans::one(60..68), 2.0, 1);
    }

    #[test]
    fn windows_overlap() {
        let row = Spans::one(0..64).swept(64, 3);
        check(&row.swept(64, 30), 32.0, 1);
        check(&row.swept(1024, 3).swept(1024, 30), 96.0, 32);
        check(&row.swept(-64, 30), 32.0, 1);
    }

    #[test]
    fn many_stretches_keep_their_lines() {
        let column = Spans::one(0..4).swept(256, 10_000);
        assert!(column.count() <= MOST);
        assert!(
            (column.lines() - 10_000.0).abs() < 100.0,
            "{}",
            column.lines()
        );
    }
}
