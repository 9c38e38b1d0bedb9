//! A tile that a product could have, and the plan's line about the one that it has.

use crate::plan::ELSE;
use crate::schedule::choices::Choice;
use std::cmp::Ordering;

/// A tile that the registers can hold.
pub(super) struct Candidate {
    /// Cycles for each vector multiply-add.
    pub cost: f64,
    /// Of these, what it would take with no load that misses the first cache.
    pub unmissed: f64,
    /// Lanes.
    pub width: usize,
    /// For each domain axis, elements side by side.
    pub factors: Vec<usize>,
    /// The domain axis of which a vector holds several elements.
    pub joined: Option<usize>,
    /// Sums in registers.
    pub sums: usize,
    /// Loads for each round of the reduction.
    pub loads: usize,
}

/// So many of the tiles that were not taken are told.
const RUNNERS_UP: usize = 4;

/// Cycles of a microsecond by which plans tell times: the same for every machine, as the plan is.
const NOMINAL_CYCLES: f64 = 3000.0;

/// Costs that differ by less are equal.
const EQUAL: f64 = 1e-9;

impl Candidate {
    /// The order of preference: fewer cycles; of equals, fewer loads for each sum, which have ports and caches to wait for.
    pub fn order(&self, other: &Candidate) -> Ordering {
        let cycles = |own: &Candidate| (own.cost / EQUAL).round();
        let by_cycles = cycles(self).total_cmp(&cycles(other));
        by_cycles.then((self.loads * other.sums).cmp(&(other.loads * self.sums)))
    }

    /// Whether it is what is chosen from outside.
    pub fn is(&self, choice: &Choice) -> bool {
        self.width == choice.lanes && self.factors == choice.factors
    }

    /// The line about this tile of a product of so many vector multiply-adds, beside the others, the cheapest first.
    pub fn decision(&self, others: &[Candidate], chosen: bool, work: f64) -> String {
        let (sums, loads, cost) = (self.sums, self.loads, self.cost);
        let mut text = format!(
            "{}: {sums} sums in registers, {loads} loads for them, {cost:.2} cycles each, predicted {}: {}",
            self.name(),
            self.time(work),
            if chosen {
                "as chosen"
            } else {
                self.reason(others)
            },
        );
        for (number, other) in others.iter().take(RUNNERS_UP).enumerate() {
            let before = if number == 0 { ELSE } else { " or " };
            let (name, cost, time) = (other.name(), other.cost, other.time(work));
            text += &format!("{before}{name} with {cost:.2}, {time}");
        }
        text
    }

    fn name(&self) -> String {
        let (width, factors) = (self.width, &self.factors);
        format!("lanes {width}, tile {factors:?}")
    }

    /// Of a step by one thread.
    fn time(&self, work: f64) -> String {
        format!("{:.1} us", self.cost * work / NOMINAL_CYCLES)
    }

    /// Why it is the first.
    fn reason(&self, others: &[Candidate]) -> &'static str {
        let Some(next) = others.first() else {
            return "no other fits the registers";
        };
        let (cycles, with_misses) = (self.unmissed - next.unmissed, self.cost - next.cost);
        let fewer_loads = self.loads * next.sums < next.loads * self.sums;
        match () {
            () if with_misses > -EQUAL && fewer_loads => "as fast as the next, with fewer loads",
            () if with_misses > -EQUAL => "as fast as the next, and found first",
            () if cycles < -EQUAL => "fewest cycles",
            () if cycles < EQUAL => "fewest loads that miss, at equal cycles",
            () => "fewer loads that miss outweigh more cycles",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(unmissed: f64, cost: f64) -> Candidate {
        Candidate {
            cost,
            unmissed,
            width: 16,
            factors: vec![2, 2],
            joined: None,
            sums: 8,
            loads: 6,
        }
    }

    #[test]
    fn a_line_tells_times_and_why() {
        let check = |own: Candidate, others: &[Candidate], chosen: bool, wanted: &str| {
            let text = own.decision(others, chosen, 30_000.0);
            assert_eq!(
                text,
                format!("lanes 16, tile [2, 2]: 8 sums in registers, 6 loads for them, {wanted}")
            );
        };
        let next = || [candidate(0.6, 0.75)];
        let other = "; else lanes 16, tile [2, 2] with 0.75, 7.5 us";
        let cases = [
            (
                0.5,
                0.7,
                "0.70 cycles each, predicted 7.0 us: fewest cycles",
            ),
            (
                0.6,
                0.7,
                "0.70 cycles each, predicted 7.0 us: fewest loads that miss, at equal cycles",
            ),
            (
                0.65,
                0.7,
                "0.70 cycles each, predicted 7.0 us: fewer loads that miss outweigh more cycles",
            ),
            (
                0.6,
                0.75,
                "0.75 cycles each, predicted 7.5 us: as fast as the next, and found first",
            ),
        ];
        for (unmissed, cost, wanted) in cases {
            check(
                candidate(unmissed, cost),
                &next(),
                false,
                &format!("{wanted}{other}"),
            );
        }
        let loaded = Candidate {
            loads: 7,
            ..candidate(0.6, 0.75)
        };
        let fewer = "0.75 cycles each, predicted 7.5 us: as fast as the next, with fewer loads";
        check(
            candidate(0.6, 0.75),
            &[loaded],
            false,
            &format!("{fewer}{other}"),
        );
        let alone = "0.50 cycles each, predicted 5.0 us: no other fits the registers";
        check(candidate(0.5, 0.5), &[], false, alone);
        let chosen = format!("0.90 cycles each, predicted 9.0 us: as chosen{other}");
        check(candidate(0.8, 0.9), &next(), true, &chosen);
    }

    #[test]
    fn cycles_come_first_then_loads_for_each_sum() {
        let with = |cost: f64, sums: usize, loads: usize| Candidate {
            sums,
            loads,
            ..candidate(0.5, cost)
        };
        let mut all = [
            with(0.7, 12, 8),
            with(0.6, 12, 13),
            with(0.6, 8, 6),
            with(0.6 + EQUAL / 4.0, 12, 8),
        ];
        all.sort_by(Candidate::order);
        let order: Vec<(usize, usize)> = all.iter().map(|own| (own.sums, own.loads)).collect();
        assert_eq!(order, [(12, 8), (8, 6), (12, 13), (12, 8)]);
    }
}
