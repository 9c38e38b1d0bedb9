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

/// An offset for each stretch so that no two that are needed at the same time overlap, and the size of it all.
pub fn place(lifetimes: &[Lifetime]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..lifetimes.len()).collect();
    order.sort_by_key(|&number| (std::cmp::Reverse(lifetimes[number].bytes), number));
    let mut offsets = vec![0; lifetimes.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut total = 0;
    for number in order {
        let own = lifetimes[number];
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| lifetimes[other].from <= own.to && own.from <= lifetimes[other].to)
            .map(|&other| {
                (
                    offsets[other],
                    offsets[other] + aligned(lifetimes[other].bytes),
                )
            })
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (begin, end) in taken {
            if offset + aligned(own.bytes) <= begin {
                break;
            }
            offset = offset.max(end);
        }
        offsets[number] = offset;
        total = total.max(offset + aligned(own.bytes));
        placed.push(number);
    }
    (offsets, total)
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
