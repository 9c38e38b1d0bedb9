//! The search: one kernel after the other, one tile after the other, each beside the best so far.

use std::time::Instant;

use dlm_core::elaborate::TrainProgram;
use dlm_core::graph::Graph;
use dlm_core::plan::Plan;
use dlm_core::schedule::{Choice, Choices, PersistentLayout};
use dlm_runtime::program::Executable;
use dlm_runtime::team::Team;

use crate::arguments::Shared;
use crate::commands::bench::measure::Bench;
use crate::failure::Failure;
use crate::pipeline::frontend::{Frontend, Part, persistent_layout};
use crate::pipeline::lower::{link, optimise, plan};
use crate::report::spread::Spread;
use crate::stages::Stages;

/// Rounds of a comparison: in each both are measured once.
const ROUNDS: usize = 5;
/// How long one measurement lasts.
const MEASUREMENT: f64 = 0.03;
/// A tile is taken whose step lasts at most this part of the best one's.
const BETTER: f64 = 0.99;
/// Kernels below this share of a step are left as they are.
const SMALL: f64 = 0.01;

/// What was found.
pub struct Outcome {
    /// The tiles that differ from the schedule's own.
    pub choices: Choices,
    /// Milliseconds of a step with the first tiles and with the last, measured in turn at the end.
    pub before: f64,
    /// See `before`.
    pub after: f64,
    /// Kernels that have tiles.
    pub kernels: usize,
    /// Kernels whose tile changed.
    pub changed: usize,
    /// Tiles that were measured.
    pub tried: usize,
    /// How long it took.
    pub seconds: f64,
}

/// A program with the tiles that made it.
struct Contestant {
    choices: Choices,
    plan: Plan,
    program: Executable,
}

/// A program's step, to be compiled again and again.
pub struct Tuner<'a> {
    frontend: &'a Frontend,
    part: &'a Part<'a>,
    layout: PersistentLayout,
    graph: Graph,
    init: Executable,
    team: Team,
    seed: i64,
}

impl<'a> Tuner<'a> {
    /// Everything but the step's plan.
    ///
    /// # Errors
    /// Where the program cannot be compiled.
    pub fn new(
        frontend: &'a Frontend,
        train: &TrainProgram,
        part: &'a Part<'a>,
        shared: &Shared,
        stages: &mut Stages,
    ) -> Result<Tuner<'a>, Failure> {
        let layout = persistent_layout(train);
        let graph = optimise(part.graph, stages, |_, _| {})?;
        let init = optimise(&train.init, stages, |_, _| {})?;
        let place = (&frontend.machine, &frontend.source);
        let init = plan(&init, 1, &layout, place, stages)?;
        let init = link(&[&init], &frontend.machine, stages)?.pop();
        Ok(Tuner {
            frontend,
            part,
            layout,
            graph,
            init: init.ok_or_else(|| Failure::internal("one plan gave no program"))?,
            team: shared.team().map_err(Failure::run)?,
            seed: train.settings.seed,
        })
    }

    /// Looks until `end`, or until every kernel has been looked at.
    ///
    /// # Errors
    /// Where a program cannot be compiled or run.
    pub fn search(&mut self, end: Instant, stages: &mut Stages) -> Result<Outcome, Failure> {
        let begin = Instant::now();
        let first = self.contestant(self.frontend.machine.choices().clone(), stages)?;
        let kernels = self.kernels(&first)?;
        let mut best: Option<Contestant> = None;
        let (mut tried, mut changed) = (0, 0);
        for kernel in &kernels {
            let mut is_changed = false;
            let decided = decision(&best.as_ref().unwrap_or(&first).plan, kernel);
            for choice in Choices::in_decision(&decided).into_iter().skip(1) {
                if Instant::now() >= end {
                    break;
                }
                let current = best.as_ref().unwrap_or(&first);
                let mut choices = current.choices.clone();
                choices.insert(&self.graph.name, kernel, choice.clone());
                let other = self.contestant(choices, stages)?;
                let ratio = self.ratio(&other, current)?;
                tried += 1;
                if ratio <= BETTER {
                    is_changed = true;
                    tell(kernel, &choice, ratio);
                    best = Some(other);
                }
            }
            changed += usize::from(is_changed);
        }
        let (before, after) = self.times(&first, best.as_ref().unwrap_or(&first))?;
        Ok(Outcome {
            choices: best.map_or(first.choices, |best| best.choices),
            before,
            after,
            kernels: kernels.len(),
            changed,
            tried,
            seconds: begin.elapsed().as_secs_f64(),
        })
    }

    fn contestant(&self, choices: Choices, stages: &mut Stages) -> Result<Contestant, Failure> {
        let machine = self.frontend.machine.clone().with(choices.clone());
        let place = (&machine, &self.frontend.source);
        let plan = plan(&self.graph, self.part.batch, &self.layout, place, stages)?;
        let program = link(&[&plan], &machine, stages)?.pop();
        Ok(Contestant {
            choices,
            plan,
            program: program.ok_or_else(|| Failure::internal("one plan gave no program"))?,
        })
    }

    /// The kernels with tiles that are worth a look, the longest first.
    fn kernels(&self, contestant: &Contestant) -> Result<Vec<String>, Failure> {
        let mut bench = self.bench(contestant)?;
        let measured = bench.measure(None, 0, 1)?;
        let mut times: Vec<(String, u64)> = Vec::new();
        for call in measured.timings.iter().flat_map(|timing| &timing.calls) {
            match times.iter_mut().find(|known| known.0 == call.kernel) {
                Some(known) => known.1 += call.nanoseconds,
                None => times.push((call.kernel.clone(), call.nanoseconds)),
            }
        }
        let total: u64 = times.iter().map(|time| time.1).sum();
        times.retain(|(kernel, time)| {
            let has_tiles = Choices::in_decision(&decision(&contestant.plan, kernel)).len() > 1;
            has_tiles && *time as f64 >= SMALL * total as f64
        });
        times.sort_by_key(|time| std::cmp::Reverse(time.1));
        Ok(times.into_iter().map(|time| time.0).collect())
    }

    fn bench<'b>(&'b self, contestant: &'b Contestant) -> Result<Bench<'b>, Failure> {
        let program = &contestant.program;
        Bench::new(&self.team, program, &self.init, self.part, self.seed)
    }

    /// The median over rounds of the step's time beside another's.
    fn ratio(&self, own: &Contestant, other: &Contestant) -> Result<f64, Failure> {
        let rounds = self.rounds(own, other)?;
        Ok(Spread::of(rounds.iter().map(|(own, other)| own / other)).median)
    }

    /// The median times of two, in milliseconds.
    fn times(&self, first: &Contestant, second: &Contestant) -> Result<(f64, f64), Failure> {
        let rounds = self.rounds(first, second)?;
        let first = Spread::of(rounds.iter().map(|round| round.0)).median;
        let second = Spread::of(rounds.iter().map(|round| round.1)).median;
        Ok((first, second))
    }

    /// Both in turn, in milliseconds.
    fn rounds(&self, first: &Contestant, second: &Contestant) -> Result<Vec<(f64, f64)>, Failure> {
        let (mut first, mut second) = (self.bench(first)?, self.bench(second)?);
        first.warm_up()?;
        second.warm_up()?;
        let estimate = first.milliseconds(2)?.min(first.milliseconds(2)?);
        let count = (MEASUREMENT * 1e3 / estimate.max(1e-6)).ceil().max(1.0) as u64;
        let mut round = || Ok((first.milliseconds(count)?, second.milliseconds(count)?));
        (0..ROUNDS).map(|_| round()).collect()
    }
}

/// What the plan says of a kernel.
fn decision(plan: &Plan, kernel: &str) -> String {
    let prefix = format!("{kernel}: lanes ");
    let made = plan.decisions.iter().find(|text| text.starts_with(&prefix));
    made.cloned().unwrap_or_default()
}

fn tell(kernel: &str, choice: &Choice, ratio: f64) {
    let gain = 100.0 * (ratio - 1.0);
    crate::terminal::complain(&format!("{kernel}: {choice}, step {gain:+.1} %\n"));
}
