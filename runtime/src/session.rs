//! A training session: one step program and its evaluations over shared parameters.
//!
//! All state of a run is one value, [`RunState`], with a name for each part: a session that is given it goes on as the one
//! that it was taken from would have, bit for bit.

mod best;
mod clock;
mod error;
mod evaluate;
mod feed;
mod finite;
mod measure;
mod observe;
mod picture;
mod plateau;
mod report;
mod start;
mod state;
mod train;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

pub use clock::Clock;
pub use error::SessionError;
pub use feed::{Feed, FeedInput};
pub use measure::{Measurement, Subject};
pub use observe::{Evaluation, Observer, Progress, Silent};
pub use picture::PictureError;
pub use plateau::PlateauPlan;
pub use state::RunState;

use crate::call::load;
use crate::checkpoint::{self, Tensors};
use crate::memory::{Buffer, Scratch, arena_of};
use crate::metrics::Metrics;
use crate::program::{Executable, Slot};
use crate::team::Team;
use best::Best;
use evaluate::Evaluator;
use feed::FeedState;
use report::Reports;
use train::Bindings;

/// Chooses the variant of the step program for a step.
pub type Choice = Arc<dyn Fn(&Clock) -> usize + Send + Sync>;

/// What is trained, on what, for how long.
pub struct Plan {
    /// The step program, in variants that report the same. Usually one; where samples read one another, one for each size
    /// of a batch; none to evaluate only.
    pub steps: Vec<Executable>,
    /// Which variant runs a step; the first where there is no choice.
    pub choice: Option<Choice>,
    /// Where batches come from. The first feed sets the epoch, others cycle.
    pub feeds: Vec<Feed>,
    /// The evaluations, run in this order after each epoch and at the end.
    pub evaluations: Vec<EvaluationPlan>,
    /// What sets the parameters and states at the start: a program whose only effect that is, from the scalar `seed`.
    pub init: Option<Executable>,
    /// Values at the start by path, in place of what `init` sets; where there is no `init`, of every parameter and state.
    pub initial: Tensors,
    /// Where parameters and states lie. Those that the programs read need not be here.
    pub persistent: Vec<Slot>,
    /// The paths of what is saved as the model: parameters and the states that belong to it.
    pub model: Vec<String>,
    /// How long, and from which seed.
    pub settings: Settings,
    /// The folder for `metrics.csv`, `model.safetensors` and `state.safetensors`; none to write nothing.
    pub directory: Option<PathBuf>,
    /// Whether [`Session::resume`] follows, so that what is in the folder stays.
    pub resume: bool,
    /// After how many steps the state is saved; where absent, after each epoch and now and then within.
    pub save_every: Option<u64>,
    /// How many models of the best evaluations are kept in the folder's `best`.
    pub keep: u64,
    /// After how many evaluations without a better one the run ends.
    pub patience: Option<u64>,
    /// The factors that follow a metric.
    pub plateaus: Vec<PlateauPlan>,
}

/// One evaluation.
pub struct EvaluationPlan {
    /// The `split` column of its rows.
    pub split: String,
    /// The program of one batch, which must change no parameter and no state: at least one, and where samples read one
    /// another one for each size of a batch.
    pub programs: Vec<Executable>,
    /// Where batches come from.
    pub feeds: Vec<Feed>,
    /// Metrics of the whole set.
    pub joined: Vec<JoinedMetric>,
    /// The names of those reports that are images of the first batch, `[N, C, H, W]`: a picture each, and no number.
    pub pictures: Vec<String>,
}

/// A metric that is computed of all batches joined.
pub struct JoinedMetric {
    /// Its name.
    pub name: String,
    /// Its program: its inputs are the evaluation's reports of kind `Join`, by name; its only output is the value.
    pub program: Executable,
}

/// How long a run lasts, and its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often the first feed is gone through.
    pub epochs: Option<u64>,
    /// How many steps are done at most.
    pub steps: Option<u64>,
    /// The seed of everything random.
    pub seed: u64,
    /// `metrics.csv` gets what every so many steps report.
    pub log_every: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Steps done since the run's start.
    pub iter: u64,
    /// Epochs begun.
    pub epochs: u64,
    /// The last evaluations.
    pub evaluations: Vec<Evaluation>,
}

/// A run that can go on.
pub struct Session<'a> {
    team: &'a Team,
    steps: Vec<Executable>,
    choice: Option<Choice>,
    bindings: Vec<Bindings>,
    arenas: Vec<Buffer>,
    persistent: Buffer,
    slots: Vec<Slot>,
    scratch: Scratch,
    feeds: Vec<FeedState>,
    evaluators: Vec<Evaluator>,
    model: Vec<String>,
    clock: Clock,
    log_every: u64,
    save_every: Option<u64>,
    metrics: Metrics,
    directory: Option<PathBuf>,
    saved: std::time::Instant,
    best: Best,
}

/// The state of a run is saved at least so often, and after each epoch: when exactly changes no result.
const SAVE_EVERY: std::time::Duration = std::time::Duration::from_secs(30);
/// So many steps are done before the time is looked at.
const CHUNK: u64 = 256;
/// The file of a run's state in its folder.
const STATE_FILE: &str = "state.safetensors";

impl<'a> Session<'a> {
    /// A session at its start.
    ///
    /// # Errors
    /// When programs, data and initial values do not fit each other, an index is out of range, or the output folder cannot
    /// be written.
    pub fn new(team: &'a Team, mut plan: Plan) -> Result<Session<'a>, SessionError> {
        let feeds = FeedState::of_all(std::mem::take(&mut plan.feeds))?;
        let per_epoch = feeds.first().map(FeedState::batches);
        let clock = if plan.steps.is_empty() {
            Clock::over(plan.settings.seed)
        } else {
            Clock::new(&plan.settings, per_epoch)?
        };
        let plateaus = std::mem::take(&mut plan.plateaus);
        let clock = clock.following(plateaus);
        let slots = start::slots(&plan)?;
        let mut scratch = Scratch::default();
        let persistent = start::persistent(team, &plan, &slots, &mut scratch)?;
        if let Some(name) = plan
            .model
            .iter()
            .find(|name| !slots.iter().any(|slot| slot.name == **name))
        {
            return Err(SessionError::NoSuchValue { name: name.clone() });
        }
        let bind = |program: &Executable| Bindings::new(program, &feeds, &clock, &[]);
        let bindings = plan.steps.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
        Reports::check_equal(bindings.iter().map(|bindings| &bindings.reports))?;
        let evaluators = plan
            .evaluations
            .into_iter()
            .map(|evaluation| Evaluator::new(evaluation, &clock))
            .collect::<Result<_, _>>()?;
        let arenas = plan
            .steps
            .iter()
            .map(|program| arena_of(program))
            .collect::<Result<_, _>>()?;
        Ok(Session {
            team,
            choice: plan.choice,
            bindings,
            arenas,
            steps: plan.steps,
            persistent,
            slots,
            scratch,
            feeds,
            evaluators,
            model: plan.model,
            clock,
            log_every: plan.settings.log_every.max(1),
            metrics: match plan.resume {
                true => Metrics::nowhere(),
                false => open_metrics(plan.directory.as_deref())?,
            },
            save_every: plan.save_every,
            directory: plan.directory,
            saved: std::time::Instant::now(),
            best: Best::new(plan.keep, plan.patience),
        })
    }

    /// Trains to the end.
    ///
    /// # Errors
    /// When a reported value, a minimized loss or a parameter to be saved is not finite, a batch cannot be run, or a file not be written. Rows of `metrics.csv` up to there
    /// are then in the file, and `model.safetensors` is as after the last whole epoch.
    pub fn run(&mut self, observer: &mut dyn Observer) -> Result<Summary, SessionError> {
        let outcome = self.run_epochs(observer);
        let flushed = self.metrics.flush();
        let summary = outcome?;
        flushed?;
        Ok(summary)
    }

    fn run_epochs(&mut self, observer: &mut dyn Observer) -> Result<Summary, SessionError> {
        let mut evaluations = Vec::new();
        while !self.clock.is_over() && !self.best.is_over() {
            while self.clock.left_in_epoch() > 0 {
                let count = self.save_every.unwrap_or(CHUNK);
                self.run_steps(count, observer)?;
                let is_due = self.save_every.is_some() || self.saved.elapsed() >= SAVE_EVERY;
                if is_due && self.clock.left_in_epoch() > 0 {
                    self.check_model()?;
                    self.save_state()?;
                }
            }
            self.check_model()?;
            evaluations = self.evaluate(observer)?;
            self.clock.note(&evaluations);
            self.metrics.flush()?;
            self.save_model()?;
            let mut best = std::mem::take(&mut self.best);
            let noted = best.note(&evaluations, || self.model(), self.directory.as_deref());
            self.best = best;
            noted?;
            if !self.clock.is_over() {
                self.clock.begin_epoch();
            }
            self.save_state()?;
        }
        Ok(Summary {
            iter: self.clock.iter,
            epochs: self.clock.epoch + 1,
            evaluations,
        })
    }

    /// Runs all evaluations once and writes what a run without steps leaves.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn evaluate_once(&mut self, observer: &mut dyn Observer) -> Result<(), SessionError> {
        let evaluated = self.evaluate(observer);
        self.metrics.flush()?;
        evaluated?;
        self.check_model()?;
        self.save_model()
    }

    /// Does at most so many steps, all of them in the current epoch and without evaluations.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_steps(
        &mut self,
        count: u64,
        observer: &mut dyn Observer,
    ) -> Result<(), SessionError> {
        let end = self.clock.iter + count.min(self.clock.left_in_epoch());
        while self.clock.iter < end {
            self.run_region(end, observer)?;
        }
        Ok(())
    }

    /// Runs all evaluations on the present parameters.
    ///
    /// # Errors
    /// When a batch cannot be run, a row not be written, or a number that is reported is NaN; its row is then written.
    pub fn evaluate(
        &mut self,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Evaluation>, SessionError> {
        let mut evaluations = Vec::with_capacity(self.evaluators.len());
        for evaluator in &mut self.evaluators {
            let (persistent, scratch) = (&mut self.persistent, &mut self.scratch);
            let evaluation = evaluator.run(self.team, &self.clock, persistent, scratch)?;
            for (metric, value) in &evaluation.values {
                self.metrics.row(
                    evaluation.epoch,
                    evaluation.iter,
                    &evaluation.split,
                    metric,
                    *value,
                )?;
            }
            if let Some(directory) = &self.directory {
                picture::write_all(&directory.join("images"), &evaluation)?;
            }
            observer.evaluated(&evaluation);
            finite::check_metrics(&evaluation)?;
            evaluations.push(evaluation);
        }
        Ok(evaluations)
    }

    /// The model's tensors by path.
    pub fn model(&self) -> Tensors {
        let named = |name: &String| self.slots.iter().find(|slot| slot.name == *name);
        let slots = self.model.iter().filter_map(named);
        slots
            .map(|slot| (slot.name.clone(), load(slot, 1, &self.persistent)))
            .collect()
    }

    /// Where the run is.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Goes on from what an interrupted run of the same plan left in the folder. `metrics.csv` is cut back to where that
    /// state was saved.
    ///
    /// # Errors
    /// When there is no such state, or it is of another plan.
    pub fn resume(&mut self) -> Result<(), SessionError> {
        let Some(directory) = self.directory.clone() else {
            return Ok(());
        };
        if !directory.join(STATE_FILE).exists() {
            return Err(SessionError::NothingToResume { path: directory });
        }
        let state = RunState::read(&directory.join(STATE_FILE))?;
        self.restore(&state)?;
        let length = state.counts.get("metrics").copied().unwrap_or(0);
        self.metrics = Metrics::reopen(&directory.join("metrics.csv"), length)?;
        Ok(())
    }

    fn save_state(&mut self) -> Result<(), SessionError> {
        self.saved = std::time::Instant::now();
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        self.metrics.flush()?;
        let mut state = self.state();
        state
            .counts
            .insert("metrics".to_string(), self.metrics.length());
        Ok(state.write(&directory.join(STATE_FILE))?)
    }

    /// Everything that the rest of the run depends on.
    pub fn state(&self) -> RunState {
        let values = self
            .slots
            .iter()
            .map(|slot| (slot.name.clone(), load(slot, 1, &self.persistent)))
            .collect();
        let mut state = RunState::gather(values, &self.clock, &self.feeds);
        self.best.gather(&mut state.counts);
        self.clock.gather(&mut state.counts);
        state
    }

    /// Goes on from a state of a session of the same plan.
    ///
    /// # Errors
    /// When the state lacks a part or is of another plan.
    pub fn restore(&mut self, state: &RunState) -> Result<(), SessionError> {
        start::store_all(&self.slots, &state.values, &mut self.persistent)?;
        self.best.scatter(&state.counts);
        self.clock.scatter(&state.counts);
        state.scatter(&mut self.clock, &mut self.feeds)?;
        // A run that had come to its end, and is now longer, has evaluated its last epoch already.
        if !self.clock.is_over() && self.clock.left_in_epoch() == 0 {
            self.clock.begin_epoch();
        }
        Ok(())
    }

    fn save_model(&self) -> Result<(), SessionError> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let model = self.model();
        let tensors = model.iter().map(|(name, tensor)| (name.as_str(), tensor));
        Ok(checkpoint::write(
            &directory.join("model.safetensors"),
            tensors,
        )?)
    }
}

fn open_metrics(directory: Option<&std::path::Path>) -> Result<Metrics, SessionError> {
    let Some(directory) = directory else {
        return Ok(Metrics::nowhere());
    };
    std::fs::create_dir_all(directory).map_err(|reason| SessionError::Directory {
        path: directory.to_path_buf(),
        reason,
    })?;
    Ok(Metrics::create(&directory.join("metrics.csv"))?)
}
