//! Measuring how long steps take.

use std::ops::ControlFlow;
use std::time::Instant;

use super::feed::FeedState;
use super::train::{Bindings, next_batches};
use super::{Clock, Session, SessionError};
use crate::memory::{Buffer, Memory, Scratch};
use crate::program::Executable;
use crate::team::{Driver, Part, StepMemory, Team, Timing};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// This variant of the training step.
    Step(usize),
    /// This evaluation's batches.
    Evaluation(usize),
}

/// How long steps took.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// Of each step, its feeding included, in the order in which they were done.
    pub nanoseconds: Vec<u64>,
    /// The samples of each step.
    pub samples: Vec<u64>,
    /// Where the time went, of as many further steps, which looking at the clock makes slower.
    pub timing: Timing,
}

/// A program with all that it runs on.
pub(super) struct Bench<'a> {
    pub(super) team: &'a Team,
    pub(super) program: &'a Executable,
    pub(super) bindings: &'a Bindings,
    pub(super) feeds: &'a mut [FeedState],
    pub(super) clock: &'a Clock,
    pub(super) persistent: &'a mut Buffer,
    pub(super) arena: &'a mut Buffer,
    pub(super) scratch: &'a mut Scratch,
}

impl Session<'_> {
    /// Runs steps or batches one after the other, `count` for their times and `count` for the times of each call.
    /// Parameters change, if it is a training step; nothing is written and no clock moves.
    ///
    /// # Errors
    /// When there is no such program, or a step cannot be run.
    pub fn measure(&mut self, subject: Subject, count: u64) -> Result<Measurement, SessionError> {
        let (persistent, scratch, clock) = (&mut self.persistent, &mut self.scratch, &self.clock);
        let bench = match subject {
            Subject::Step(variant) => {
                let parts = (
                    self.steps.get(variant),
                    self.bindings.get(variant),
                    self.arenas.get_mut(variant),
                );
                let (Some(program), Some(bindings), Some(arena)) = parts else {
                    return Err(absent(subject));
                };
                let feeds = &mut self.feeds[..];
                Bench {
                    team: self.team,
                    program,
                    bindings,
                    feeds,
                    clock,
                    persistent,
                    arena,
                    scratch,
                }
            }
            Subject::Evaluation(index) => {
                let evaluator = self
                    .evaluators
                    .get_mut(index)
                    .ok_or_else(|| absent(subject))?;
                let bench = evaluator.bench(self.team, clock, persistent, scratch);
                bench.ok_or_else(|| absent(subject))?
            }
        };
        bench.run(count)
    }
}

fn absent(subject: Subject) -> SessionError {
    SessionError::NoSubject { subject }
}

impl Bench<'_> {
    fn run(self, count: u64) -> Result<Measurement, SessionError> {
        let Bench {
            team,
            program,
            bindings,
            feeds,
            clock,
            persistent,
            arena,
            scratch,
        } = self;
        let mut measure = |timing: Option<&mut Timing>| {
            let (nanoseconds, samples) = (
                Vec::with_capacity(count as usize),
                Vec::with_capacity(count as usize),
            );
            let mut driver = Stopwatch {
                bindings,
                feeds,
                clock,
                begin: Instant::now(),
                nanoseconds,
                samples,
            };
            let memory = Memory {
                persistent,
                arena,
                scratch,
            };
            match timing {
                Some(timing) => {
                    team.run_steps_timed(program, memory, count, &mut driver, timing)?
                }
                None => team.run_steps(program, memory, count, &mut driver)?,
            };
            Ok::<_, SessionError>((driver.nanoseconds, driver.samples))
        };
        let (nanoseconds, samples) = measure(None)?;
        let mut timing = Timing::new(program);
        measure(Some(&mut timing))?;
        Ok(Measurement {
            nanoseconds,
            samples,
            timing,
        })
    }
}

struct Stopwatch<'a> {
    bindings: &'a Bindings,
    feeds: &'a mut [FeedState],
    clock: &'a Clock,
    begin: Instant,
    nanoseconds: Vec<u64>,
    samples: Vec<u64>,
}

impl Driver for Stopwatch<'_> {
    fn before(&mut self, step: u64, memory: &mut StepMemory<'_>) -> ControlFlow<(), u64> {
        self.begin = Instant::now();
        let batch = next_batches(self.feeds, self.clock.seed);
        self.bindings
            .scalars
            .set(self.clock, self.clock.iter + step, memory);
        self.samples.push(batch);
        ControlFlow::Continue(batch)
    }

    fn fills(&self) -> bool {
        !self.bindings.wires.is_empty()
    }

    fn fill(&self, part: &Part, destination: &mut [u8]) {
        let wire = self.bindings.wires[part.input];
        self.feeds[wire.feed].fill(wire, part, self.clock.seed, destination);
    }

    fn after(&mut self, _: u64, _: &mut StepMemory<'_>) -> ControlFlow<()> {
        self.nanoseconds
            .push(self.begin.elapsed().as_nanos() as u64);
        ControlFlow::Continue(())
    }
}
