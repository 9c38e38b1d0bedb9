//! Whether all workers share the steps of a program, or one of them does all: what little work each phase of a small program
//! has can take less time than the workers' waiting for each other, and for what the others have left in their caches.
//! Results are the same, so the first steps are done in both ways, by turns, and the next in the faster one, until it is
//! time to see again.

use std::time::{Duration, Instant};

/// Steps in one way before the other's turn, and turns of each.
const STEPS: usize = 8;
const TURNS: usize = 4;
/// Steps that take so long are worth sharing in any case.
const LONG: Duration = Duration::from_millis(1);
/// Of the time with all workers, what one must take less than.
const CLEARLY: f64 = 0.97;
/// Steps from one trial to the next.
const KEPT: u64 = 5_000;

/// Who works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All workers of the team.
    Together,
    /// One of them.
    Alone,
}

/// How the steps of a program are done, and what is known of it so far.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    way: Way,
    trial: Option<Trial>,
    /// Steps until the next trial; none where there is none.
    left: Option<u64>,
}

/// Steps whose time is taken.
#[derive(Clone, Debug, Default)]
struct Trial {
    begin: Option<Instant>,
    /// Steps of the turn so far. The first is left out: data are in another worker's cache.
    steps: usize,
    together: Times,
    alone: Times,
}

/// The times of steps in one way.
#[derive(Clone, Debug, Default)]
struct Times {
    all: [Duration; TURNS * STEPS],
    count: usize,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            way: Way::Together,
            trial: Some(Trial::default()),
            left: None,
        }
    }
}

impl Pace {
    /// All workers, whatever it takes.
    pub(crate) fn together() -> Pace {
        Pace {
            way: Way::Together,
            trial: None,
            left: None,
        }
    }

    /// Whether a trial is under way.
    pub(crate) fn is_open(&self) -> bool {
        self.trial.is_some()
    }

    /// Who does the next step.
    pub(crate) fn way(&self) -> Way {
        self.way
    }

    /// A step ends and another begins, or the first does.
    pub(crate) fn step(&mut self, now: impl FnOnce() -> Instant) {
        if let Some(left) = &mut self.left {
            *left -= 1;
            if *left == 0 {
                *self = Pace::default();
            }
        }
        let Some(trial) = &mut self.trial else {
            return;
        };
        let now = now();
        if let Some(begin) = trial.begin.replace(now) {
            trial.note(self.way, now - begin);
        }
        if trial.steps > STEPS || trial.is_long() {
            trial.steps = 0;
            match trial.decided() {
                Some(decision) => {
                    *self = Pace {
                        way: decision.way,
                        trial: None,
                        left: decision.again.then_some(KEPT),
                    }
                }
                None => self.way = self.way.other(),
            }
        }
    }

    /// No step is under way: what passes until the next is not its time.
    pub(crate) fn pause(&mut self) {
        if let Some(trial) = &mut self.trial {
            trial.begin = None;
        }
    }
}

/// What a trial ends with.
struct Decision {
    way: Way,
    /// Whether it is to be seen again.
    again: bool,
}

impl Way {
    fn other(self) -> Way {
        match self {
            Way::Together => Way::Alone,
            Way::Alone => Way::Together,
        }
    }
}

impl Trial {
    fn note(&mut self, way: Way, time: Duration) {
        self.steps += 1;
        let times = match way {
            Way::Together => &mut self.together,
            Way::Alone => &mut self.alone,
        };
        if self.steps > 1 && times.count < times.all.len() {
            times.all[times.count] = time;
            times.count += 1;
        }
    }

    /// Whether all workers are busy with a step for so long that it is worth sharing.
    fn is_long(&mut self) -> bool {
        self.together.usual().is_some_and(|time| time >= LONG)
    }

    /// The faster way, once it is known.
    fn decided(&mut self) -> Option<Decision> {
        let together = self.together.usual()?;
        if self.is_long() {
            let (way, again) = (Way::Together, false);
            return Some(Decision { way, again });
        }
        let alone = self.alone.usual()?;
        let shorter = alone.as_secs_f64() < CLEARLY * together.as_secs_f64();
        let way = match shorter {
            true => Way::Alone,
            false => Way::Together,
        };
        let known = self.alone.count == self.alone.all.len();
        known.then_some(Decision { way, again: true })
    }
}

impl Times {
    /// The time that three of four steps take longer than: what other processes take of the cores is in the rest.
    fn usual(&mut self) -> Option<Duration> {
        let times = &mut self.all[..self.count];
        times.sort_unstable();
        times.get(times.len() / 4).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The way that is found where steps take so many microseconds, and how many were done until then.
    fn found(together: u64, alone: u64) -> (Way, usize) {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        let mut steps = 0;
        pace.step(|| now);
        while pace.trial.is_some() {
            now += Duration::from_micros(match pace.way() {
                Way::Together => together,
                Way::Alone => alone,
            });
            pace.step(|| now);
            steps += 1;
        }
        (pace.way(), steps)
    }

    #[test]
    fn the_faster_way_is_kept() {
        let turns = 2 * TURNS * (STEPS + 1);
        assert_eq!(found(95, 75), (Way::Alone, turns));
        assert_eq!(found(75, 95), (Way::Together, turns));
        assert_eq!(found(100, 99), (Way::Together, turns), "hardly faster");
    }

    #[test]
    fn long_steps_are_shared_without_a_trial() {
        assert_eq!(found(5_000, 1), (Way::Together, 2));
    }

    #[test]
    fn a_way_is_tried_again_after_many_steps() {
        let mut pace = Pace {
            way: Way::Alone,
            trial: None,
            left: Some(2),
        };
        let now = Instant::now();
        pace.step(|| now);
        assert_eq!((pace.way(), pace.trial.is_some()), (Way::Alone, false));
        pace.step(|| now);
        assert_eq!((pace.way(), pace.trial.is_some()), (Way::Together, true));
    }

    #[test]
    fn a_pause_is_not_the_time_of_a_step() {
        let mut pace = Pace::default();
        let begin = Instant::now();
        pace.step(|| begin);
        pace.pause();
        pace.step(|| begin + Duration::from_secs(1));
        let trial = pace.trial.expect("still on");
        assert_eq!((trial.steps, trial.together.count), (0, 0));
    }

    #[test]
    fn a_fixed_pace_looks_at_no_clock() {
        let mut pace = Pace::together();
        pace.step(|| panic!("no clock"));
        assert_eq!(pace.way(), Way::Together);
    }
}
