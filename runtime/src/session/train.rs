//! Running training steps: the driver of a region.

use std::ops::ControlFlow;

use super::clock::Scalars;
use super::feed::{FeedState, Wire, wires};
use super::report::Reports;
use super::{Choice, Clock, Observer, Progress, Session, SessionError};
use crate::indices::Checks;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::program::{Executable, Program};
use crate::team::{Driver, Part, StepMemory};

/// What a step program's inputs, scalars and reports are.
#[derive(Debug)]
pub(super) struct Bindings {
    pub(super) wires: Vec<Wire>,
    pub(super) scalars: Scalars,
    pub(super) reports: Reports,
    pub(super) checks: Checks,
}

impl Bindings {
    /// `pictures` are reports that are no numbers.
    pub(super) fn new(
        program: &Program,
        feeds: &[FeedState],
        clock: &Clock,
        pictures: &[String],
    ) -> Result<Bindings, SessionError> {
        Ok(Bindings {
            wires: wires(program, feeds)?,
            scalars: Scalars::new(program, clock)?,
            reports: Reports::new(program, pictures)?,
            checks: Checks::of(program),
        })
    }
}

impl Session<'_> {
    /// Runs steps in one region: until `end`, or until another variant of the step is due.
    pub(super) fn run_region(
        &mut self,
        end: u64,
        observer: &mut dyn Observer,
    ) -> Result<(), SessionError> {
        let size = next_size(&self.feeds);
        let variant = chosen(self.choice.as_ref(), &self.clock, &self.steps, size);
        let memory = Memory {
            persistent: &mut self.persistent,
            arena: &mut self.arenas[variant],
            scratch: &mut self.scratch,
        };
        let count = end - self.clock.iter;
        let mut driver = TrainDriver {
            bindings: &mut self.bindings[variant],
            feeds: &mut self.feeds,
            clock: &mut self.clock,
            choice: self.choice.as_ref(),
            variant,
            variants: &self.steps,
            metrics: &mut self.metrics,
            log_every: self.log_every,
            observer,
            batch: 0,
            error: None,
        };
        self.team
            .run_steps(&self.steps[variant], memory, count, &mut driver)?;
        driver.error.map_or(Ok(()), Err)
    }
}

/// The variant that runs the present step: the one chosen, or where that is for another batch size the first for this.
fn chosen(choice: Option<&Choice>, clock: &Clock, variants: &[Executable], size: u64) -> usize {
    let own = choice
        .map_or(0, |choice| choice(clock))
        .min(variants.len().saturating_sub(1));
    match variants.get(own) {
        Some(variant) if !variant.takes_batch(size) => of_size(variants, size),
        _ => own,
    }
}

/// The first program for batches of so many samples; the first of all where there is none, which says so when it is run.
pub(super) fn of_size(programs: &[Executable], size: u64) -> usize {
    let mut programs = programs.iter();
    programs
        .position(|program| program.takes_batch(size))
        .unwrap_or(0)
}

/// The samples of the next batch: of the first feed, or 1 where nothing is fed.
pub(super) fn next_size(feeds: &[FeedState]) -> u64 {
    feeds.first().map_or(1, FeedState::next_size)
}

struct TrainDriver<'a> {
    bindings: &'a mut Bindings,
    feeds: &'a mut [FeedState],
    clock: &'a mut Clock,
    choice: Option<&'a Choice>,
    variant: usize,
    variants: &'a [Executable],
    metrics: &'a mut Metrics,
    log_every: u64,
    observer: &'a mut dyn Observer,
    batch: u64,
    error: Option<SessionError>,
}

impl Driver for TrainDriver<'_> {
    fn before(&mut self, _: u64, memory: &mut StepMemory<'_>) -> ControlFlow<(), u64> {
        let size = next_size(self.feeds);
        if chosen(self.choice, self.clock, self.variants, size) != self.variant {
            return ControlFlow::Break(());
        }
        let seed = self.clock.seed;
        self.batch = next_batches(self.feeds, seed);
        self.bindings
            .scalars
            .set(self.clock, self.clock.iter, memory);
        ControlFlow::Continue(self.batch)
    }

    fn fills(&self) -> bool {
        !self.bindings.wires.is_empty()
    }

    fn fill(&self, part: &Part, destination: &mut [u8]) {
        let wire = self.bindings.wires[part.input];
        self.feeds[wire.feed].fill(wire, part, self.clock.seed, destination);
    }

    fn after(&mut self, _: u64, memory: &mut StepMemory<'_>) -> ControlFlow<()> {
        self.bindings.reports.read(memory);
        let outcome = self.check(memory).and_then(|()| self.record());
        self.clock.advance();
        match outcome {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

impl TrainDriver<'_> {
    fn check(&self, memory: &StepMemory<'_>) -> Result<(), SessionError> {
        let bad = self.bindings.checks.failed(memory);
        bad.map_or(Ok(()), |bad| Err(self.clock.index_error(bad)))
    }

    fn record(&mut self) -> Result<(), SessionError> {
        let (epoch, iter) = (self.clock.epoch, self.clock.iter);
        let reports = &self.bindings.reports;
        let not_finite = reports.not_finite();
        if iter.is_multiple_of(self.log_every) || not_finite.is_some() {
            for (metric, value) in reports.present() {
                self.metrics.row(epoch, iter, "train", metric, *value)?;
            }
        }
        self.observer.stepped(Progress {
            clock: self.clock,
            samples: self.batch,
            reports: &reports.values,
        });
        match not_finite {
            Some((metric, value)) => Err(SessionError::NotFinite {
                metric: metric.clone(),
                epoch,
                iter,
                value: *value,
            }),
            None => Ok(()),
        }
    }
}

/// Takes the next batch of every feed: of the first as it comes, of the others as many samples as they give in a batch,
/// or as the first has left where theirs is as large. The number of the first's samples, or 1 where nothing is fed.
pub(super) fn next_batches(feeds: &mut [FeedState], seed: u64) -> u64 {
    let Some((first, others)) = feeds.split_first_mut() else {
        return 1;
    };
    let size = first.next_batch(seed);
    for other in others {
        let same = other.feed.batch == first.feed.batch;
        other.take(if same { size } else { other.feed.batch }, seed);
    }
    size
}
