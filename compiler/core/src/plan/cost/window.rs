//! What a stretch of code without branches waits for results: a processor looks a window of operations ahead, and takes
//! from it what is ready; what the window has no room for waits until its oldest operation is done.

use super::ports::ANY;
use std::collections::VecDeque;

/// Operations that are under way at once: fewer than the 200 and more that a processor keeps in order, as those that wait
/// for results have less room.
const WINDOW: f64 = 100.0;

/// One value's operations.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// How many operations.
    pub operations: f64,
    /// Cycles from its operands to its result.
    pub latency: f64,
    /// The steps before it whose results it takes.
    pub operands: Vec<usize>,
}

/// Cycles of the stretch, as one of many in a row that do not wait for each other's results.
pub(super) fn cycles(steps: &[Step]) -> f64 {
    let operations: f64 = steps.iter().map(|step| step.operations).sum();
    if operations == 0.0 {
        return 0.0;
    }
    let rounds = (2.0 * WINDOW / operations).ceil().max(1.0) as usize;
    let mut window = Window::default();
    (0..rounds).for_each(|_| window.run(steps));
    let begin = window.done;
    (0..rounds).for_each(|_| window.run(steps));
    (window.done - begin) / rounds as f64
}

#[derive(Default)]
struct Window {
    /// Operations under way, each with the cycle in which all up to it are done.
    under_way: VecDeque<(f64, f64)>,
    operations: f64,
    /// The cycle in which the next operation enters.
    next: f64,
    /// The cycle in which all are done.
    done: f64,
}

impl Window {
    fn run(&mut self, steps: &[Step]) {
        let mut results: Vec<f64> = Vec::with_capacity(steps.len());
        for step in steps {
            let operands = step.operands.iter().map(|&operand| results[operand]);
            let ready = operands.fold(0.0, f64::max);
            results.push(self.enter(step, ready));
        }
    }

    /// The cycle in which its result is there.
    fn enter(&mut self, step: &Step, ready: f64) -> f64 {
        self.operations += step.operations;
        while self.operations > WINDOW {
            let Some((operations, done)) = self.under_way.pop_front() else {
                break;
            };
            self.operations -= operations;
            self.next = self.next.max(done);
        }
        self.next += step.operations / ANY;
        let result = self.next.max(ready) + step.latency;
        self.done = self.done.max(result);
        self.under_way.push_back((step.operations, self.done));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many chains of so many operations, one after the other.
    fn chains(count: usize, length: usize) -> Vec<Step> {
        let step = |number: usize| Step {
            operations: 1.0,
            latency: 4.0,
            operands: (!number.is_multiple_of(length))
                .then(|| number - 1)
                .into_iter()
                .collect(),
        };
        (0..count * length).map(step).collect()
    }

    /// With a window of `100` operations and `4` cycles for each, in steady state:
    /// - chains of 10: the eleventh begins when the first is done, 40 cycles after it: 40 / 11 cycles a chain;
    /// - chains of 100: the next begins when the one before the last is done, 400 cycles after: 200 a chain;
    /// - chains of 1000: the first 100 of a chain run beside the last 100 of the one before: 900 * 4 a chain.
    #[test]
    fn short_chains_overlap_and_long_ones_wait() {
        let each =
            |count: usize, length: usize| cycles(&chains(count, length)) / (count * length) as f64;
        for (count, length, expected) in [(10, 10, 4.0 / 11.0), (10, 100, 2.0), (3, 1000, 3.6)] {
            let found = each(count, length);
            let off = (found / expected - 1.0).abs();
            assert!(
                off < 0.07,
                "{count} chains of {length}: {found} for {expected}"
            );
        }
    }
}
