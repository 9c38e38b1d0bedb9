//! The plan that keeps to a budget with least work, of a bounded number of plans that keep less and less.
//!
//! Limits on what lives at a time let go of what is cheap to have again, and come down to about half of it; segments of the
//! forward pass cost up to one forward pass more, and go further down. What a plan really takes is known when its
//! buffers have places, so each is tried.

use super::placing::{Placed, STEPS, Step};
use super::recompute::{Facts, Forward, Keeping, Limit, recompute};
use super::target::Budget;

/// Segments that the forward pass is cut into.
const SEGMENTS: [usize; 8] = [2, 3, 4, 6, 8, 12, 16, 24];
/// How many times the step between two limits is halved.
const HALVINGS: usize = 3;

/// The plan that fits with least work, or else the one that takes least: `usual`, where no other takes less.
pub fn within(step: Step<'_>, budget: Budget, facts: &Facts<'_>, usual: Placed) -> Placed {
    let search = Search {
        step,
        budget,
        facts,
        whole: step.placed(facts.units().to_vec()),
    };
    search.best(usual)
}

struct Search<'s, 'a> {
    step: Step<'a>,
    budget: Budget,
    facts: &'s Facts<'a>,
    /// With nothing computed again.
    whole: Placed,
}

impl Search<'_, '_> {
    fn best(&self, usual: Placed) -> Placed {
        let Some(all) = recompute(self.facts, self.limit(i64::MAX)) else {
            return usual;
        };
        let workers = self.budget.workers;
        let forward = Forward::new(self.facts, all.turn);
        let cuts = SEGMENTS.map(|count| forward.cut(count, workers as i64));
        let limits = (1..STEPS).rev().map(|part| all.peak / STEPS * part);
        let limits = limits.map(|bytes| (self.limit(bytes), Some(bytes)));
        let cuts = cuts.iter().map(|cuts| (Keeping::Segments(cuts), None));
        let mut least = usual;
        let mut best: Option<(Placed, Option<i64>)> = None;
        for (keeping, bytes) in limits.chain(cuts) {
            let Some(found) = self.attempt(keeping) else {
                continue;
            };
            let better = best.as_ref().is_none_or(|best| found.cost < best.0.cost);
            if self.fits(&found) && better {
                best = Some((found, bytes));
            } else if found.bytes(workers) < least.bytes(workers) {
                least = found;
            }
        }
        match best {
            Some((best, Some(bytes))) => self.refined(bytes, all.peak / STEPS, best),
            Some((best, None)) => best,
            None => least,
        }
    }

    fn limit(&self, bytes: i64) -> Keeping<'static> {
        Keeping::Limit(Limit {
            bytes,
            workers: self.budget.workers as i64,
            only_maps: false,
        })
    }

    fn attempt(&self, keeping: Keeping<'_>) -> Option<Placed> {
        let made = recompute(self.facts, keeping)?;
        let place = (self.facts, &self.whole);
        Some(self.step.again(made, place, self.budget.workers))
    }

    fn fits(&self, placed: &Placed) -> bool {
        self.step.total(placed, self.budget.workers) <= self.budget.bytes
    }

    /// The cheapest that fits of limits from `low` bytes on, which are known to, to `more` than that.
    fn refined(&self, mut low: i64, more: i64, mut best: Placed) -> Placed {
        let mut high = low + more;
        for _ in 0..HALVINGS {
            let middle = low + (high - low) / 2;
            match self.attempt(self.limit(middle)) {
                Some(found) if self.fits(&found) => {
                    low = middle;
                    if found.cost < best.cost {
                        best = found;
                    }
                }
                _ => high = middle,
            }
        }
        best
    }
}
