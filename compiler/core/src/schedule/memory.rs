//! Where buffers lie: first fit by lifetime.

/// A stretch of memory that is needed from one point of the order to another, both included.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// Bytes.
    pub bytes: usize,
    /// The first use.
    pub from: usize,
    /// The last use.
    pub to: usize,
}

/// All offsets are multiples of this: a cache line, and the widest vector.
pub const ALIGNMENT: usize = 64;

/// Rounds up to the alignment.
pub fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

/// An offset for each stretch so that no two that are needed at the same time overlap, and the size of it all. Where it costs
/// no room, a stretch lies where another has ended last: its lines are still in a near cache.
pub fn place(lifetimes: &[Lifetime]) -> (Vec<usize>, usize) {
    let first = Placing::of(lifetimes, false);
    let warm = Placing::of(lifetimes, true);
    match warm.1 <= first.1 {
        true => warm,
        false => first,
    }
}

/// Stretches of memory while they are placed, the largest first.
struct Placing<'a> {
    lifetimes: &'a [Lifetime],
    offsets: Vec<usize>,
    placed: Vec<usize>,
}

impl Placing<'_> {
    fn of(lifetimes: &[Lifetime], warm: bool) -> (Vec<usize>, usize) {
        let mut order: Vec<usize> = (0..lifetimes.len()).collect();
        order.sort_by_key(|&number| (std::cmp::Reverse(lifetimes[number].bytes), number));
        let mut placing = Placing {
            lifetimes,
            offsets: vec![0; lifetimes.len()],
            placed: Vec::with_capacity(lifetimes.len()),
        };
        for number in order {
            let gaps = placing.gaps(lifetimes[number]);
            let warmest = warm.then(|| placing.warmest(lifetimes[number], &gaps));
            let room = aligned(lifetimes[number].bytes);
            let first = gaps.iter().find(|gap| gap.1 - gap.0 >= room);
            let offset = warmest.flatten().or(first.map(|gap| gap.0));
            placing.offsets[number] = offset.unwrap_or(0);
            placing.placed.push(number);
        }
        let all = 0..lifetimes.len();
        let total = all.map(|number| placing.stretch(number).1).max();
        (placing.offsets, total.unwrap_or(0))
    }

    /// Where a placed one begins and ends.
    fn stretch(&self, number: usize) -> (usize, usize) {
        let begin = self.offsets[number];
        (begin, begin + aligned(self.lifetimes[number].bytes))
    }

    /// What is free while something lives, the last without end.
    fn gaps(&self, own: Lifetime) -> Vec<(usize, usize)> {
        let together = self.placed.iter().filter(|&&other| {
            let other = self.lifetimes[other];
            other.from <= own.to && own.from <= other.to
        });
        let mut taken: Vec<(usize, usize)> = together.map(|&other| self.stretch(other)).collect();
        taken.sort_unstable();
        let mut gaps = Vec::with_capacity(taken.len() + 1);
        let mut free = 0;
        for (begin, end) in taken {
            if begin > free {
                gaps.push((free, begin));
            }
            free = free.max(end);
        }
        gaps.push((free, usize::MAX));
        gaps
    }

    /// The place within what ended last before something begins, of those with room for it.
    fn warmest(&self, own: Lifetime, gaps: &[(usize, usize)]) -> Option<usize> {
        let ended = self.placed.iter().copied();
        let ended = ended.filter(|&other| self.lifetimes[other].to < own.from);
        let places = ended.filter_map(|other| {
            let (begin, end) = self.stretch(other);
            let within = gaps.iter().map(|gap| (gap.0.max(begin), gap.1.min(end)));
            let mut fit = within.filter(|gap| gap.1.saturating_sub(gap.0) >= aligned(own.bytes));
            fit.next().map(|gap| (self.lifetimes[other].to, gap.0))
        });
        let last = places.max_by_key(|&(to, offset)| (to, std::cmp::Reverse(offset)));
        last.map(|place| place.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_memory_between_disjoint_lifetimes() {
        let life = |bytes, from, to| Lifetime { bytes, from, to };
        let (offsets, total) = place(&[life(100, 0, 1), life(128, 2, 3), life(64, 1, 2)]);
        assert_eq!((offsets, total), (vec![0, 0, 128], 192));
    }

    #[test]
    fn lies_where_something_has_just_ended_if_that_costs_no_room() {
        let life = |bytes, from, to| Lifetime { bytes, from, to };
        // The second place is free from 3 on, the first from 1 on.
        let (offsets, total) = place(&[life(128, 0, 0), life(128, 0, 2), life(128, 3, 3)]);
        assert_eq!((offsets, total), (vec![0, 128, 128], 256));
    }

    #[test]
    fn never_overlaps_what_lives_together() {
        let mut state = 7u64;
        let mut next = |bound: u64| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            ((state >> 33) % bound) as usize
        };
        let lifetimes: Vec<Lifetime> = (0..60)
            .map(|_| {
                let from = next(20);
                Lifetime {
                    bytes: 1 + next(500),
                    from,
                    to: from + next(8),
                }
            })
            .collect();
        let (offsets, total) = place(&lifetimes);
        for a in 0..60 {
            assert!(offsets[a] % ALIGNMENT == 0 && offsets[a] + lifetimes[a].bytes <= total);
            for b in 0..a {
                let (x, y) = (lifetimes[a], lifetimes[b]);
                let apart = x.to < y.from || y.to < x.from;
                let disjoint =
                    offsets[a] + x.bytes <= offsets[b] || offsets[b] + y.bytes <= offsets[a];
                assert!(apart || disjoint, "{a} and {b}");
            }
        }
    }
}
