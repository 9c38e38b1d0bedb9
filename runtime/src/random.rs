//! Counter-based random numbers: Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random
//! numbers: as easy as 1, 2, 3", SC 2011). A value depends on its key and counter alone, never on what was drawn before.

/// The key schedule's parity constant.
const PARITY: u32 = 0x1BD1_1BDA;

/// The rotation of each round, repeating.
const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];

/// The place of the shuffle's random numbers in a run: no tensor's, whose places are counted from 0.
const SHUFFLE_PLACE: u32 = u32::MAX;

/// The block cipher: 64 random bits for each key and counter.
pub fn threefry2x32(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let schedule = [key[0], key[1], PARITY ^ key[0] ^ key[1]];
    let mut x = [
        counter[0].wrapping_add(schedule[0]),
        counter[1].wrapping_add(schedule[1]),
    ];
    for round in 0..20u32 {
        x[0] = x[0].wrapping_add(x[1]);
        x[1] = x[1].rotate_left(ROTATIONS[round as usize % 8]) ^ x[0];
        if round % 4 == 3 {
            let step = round / 4 + 1;
            x[0] = x[0].wrapping_add(schedule[step as usize % 3]);
            x[1] = x[1]
                .wrapping_add(schedule[(step as usize + 1) % 3])
                .wrapping_add(step);
        }
    }
    x
}

/// A number in `[0, 1)` from the upper 24 of 32 random bits; exact in `f32`.
pub fn uniform(bits: u32) -> f32 {
    (bits >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// A sequence of random numbers of one key.
#[derive(Clone, Debug)]
pub struct Stream {
    key: [u32; 2],
    counter: [u32; 2],
}

impl Stream {
    /// The stream of a seed, a place and an index within the place.
    pub fn new(seed: u64, place: u32, index: u32) -> Stream {
        // The seed's halves are the key; the place and index are mixed into it by one application.
        let key = threefry2x32([seed as u32, (seed >> 32) as u32], [place, index]);
        Stream {
            key,
            counter: [0, 0],
        }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [low, high] = threefry2x32(self.key, self.counter);
        let (next, overflow) = self.counter[0].overflowing_add(1);
        self.counter = [next, self.counter[1].wrapping_add(u32::from(overflow))];
        u64::from(high) << 32 | u64::from(low)
    }

    /// A number in `0..bound` without bias: draws below the incomplete multiple are thrown away (Lemire 2019).
    ///
    /// # Panics
    /// When `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no number is below 0");
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }
}

/// A random order of `0..count`: Fisher and Yates, by seed and epoch alone.
pub fn shuffle(seed: u64, epoch: u32, count: u32) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count).collect();
    let mut stream = Stream::new(seed, SHUFFLE_PLACE, epoch);
    for last in (1..order.len()).rev() {
        let other = stream.below(last as u64 + 1) as usize;
        order.swap(last, other);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Random123's `kat_vectors`, `threefry2x32 20`.
    #[test]
    fn known_answers() {
        let ones = [u32::MAX; 2];
        let (counter, key) = ([0x243f_6a88, 0x85a3_08d3], [0x1319_8a2e, 0x0370_7344]);
        assert_eq!(threefry2x32([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry2x32(ones, ones), [0x1cb9_96fc, 0xbb00_2be7]);
        assert_eq!(threefry2x32(key, counter), [0xc492_3a9c, 0x483d_f7a0]);
    }

    #[test]
    fn uniform_is_below_one() {
        assert_eq!(
            (uniform(0), uniform(u32::MAX)),
            (0.0, 1.0 - 1.0 / 16_777_216.0)
        );
        assert_eq!(uniform(1 << 31), 0.5);
    }

    #[test]
    fn shuffles_are_orders_that_depend_on_seed_and_epoch() {
        let mut sorted = shuffle(1, 2, 1_000);
        assert_ne!(sorted, (0..1_000).collect::<Vec<_>>());
        assert_eq!(sorted, shuffle(1, 2, 1_000));
        assert_ne!(sorted, shuffle(1, 3, 1_000));
        assert_ne!(sorted, shuffle(2, 2, 1_000));
        assert_ne!(sorted, shuffle(1 << 32 | 1, 2, 1_000));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1_000).collect::<Vec<_>>());
        assert_eq!((shuffle(1, 0, 0), shuffle(1, 0, 1)), (vec![], vec![0]));
    }

    /// All 24 orders of four things, 24,000 draws: chi squared of 23 degrees is below 50 but once in a thousand.
    #[test]
    fn every_order_is_as_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for epoch in 0..24_000 {
            *counts.entry(shuffle(7, epoch, 4)).or_insert(0u32) += 1;
        }
        let chi_squared: f64 = counts
            .values()
            .map(|count| (f64::from(*count) - 1_000.0).powi(2) / 1_000.0)
            .sum();
        assert_eq!(counts.len(), 24);
        assert!(chi_squared < 50.0, "{chi_squared}");
    }
}
