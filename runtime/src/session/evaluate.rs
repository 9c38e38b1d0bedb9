//! Running an evaluation over its whole set.

use std::ops::ControlFlow;

use super::feed::FeedState;
use super::measure::Bench;
use super::observe::Evaluation;
use super::report::element_names;
use super::train::{Bindings, next_batches};
use super::{Clock, EvaluationPlan, JoinedMetric, SessionError};
use crate::call::call;
use crate::checkpoint::Tensors;
use crate::indices::BadIndex;
use crate::memory::{Buffer, Memory, Scratch, arena_of};
use crate::program::{Dimension, Executable, ReportKind, Slot, Space};
use crate::team::{Driver, Part, StepMemory, Team};
use crate::tensor::{Tensor, unpack};

/// An evaluation with its memory.
pub(super) struct Evaluator {
    split: String,
    program: Executable,
    feeds: Vec<FeedState>,
    bindings: Bindings,
    arena: Buffer,
    joins: Vec<Join>,
    joined: Vec<JoinedMetric>,
    pictures: Vec<Slot>,
}

/// A report that is joined over all batches: the plain bytes so far.
struct Join {
    slot: Slot,
    bytes: Vec<u8>,
}

impl Evaluator {
    pub(super) fn new(plan: EvaluationPlan, clock: &Clock) -> Result<Evaluator, SessionError> {
        let EvaluationPlan {
            split,
            program,
            feeds,
            joined,
            pictures,
        } = plan;
        let feeds = FeedState::of_all(feeds)?;
        let bindings = Bindings::new(&program, &feeds, clock, &pictures)?;
        let (shown, counted): (Vec<_>, Vec<_>) = program
            .reports
            .iter()
            .partition(|report| pictures.contains(&report.slot.name));
        let joins = counted
            .into_iter()
            .filter(|report| report.kind == ReportKind::Join);
        let joins: Vec<Join> = joins
            .map(|report| Join {
                slot: report.slot.clone(),
                bytes: Vec::new(),
            })
            .collect();
        let cut = joins
            .iter()
            .find(|join| join.slot.shape.first() != Some(&Dimension::Batch));
        if let Some(Join { slot, .. }) = cut {
            let found = format!(
                "joined, but its first axis is not the batch: {:?}",
                slot.shape
            );
            return Err(SessionError::Report {
                name: slot.name.clone(),
                found,
            });
        }
        let pictures = shown
            .into_iter()
            .map(|report| report.slot.clone())
            .collect();
        let arena = arena_of(&program)?;
        Ok(Evaluator {
            split,
            program,
            feeds,
            bindings,
            arena,
            joins,
            joined,
            pictures,
        })
    }

    /// What measuring this evaluation needs.
    pub(super) fn bench<'a>(
        &'a mut self,
        team: &'a Team,
        clock: &'a Clock,
        persistent: &'a mut Buffer,
        scratch: &'a mut Scratch,
    ) -> Bench<'a> {
        let (program, bindings, feeds) = (&self.program, &self.bindings, &mut self.feeds[..]);
        Bench {
            team,
            program,
            bindings,
            feeds,
            clock,
            persistent,
            arena: &mut self.arena,
            scratch,
        }
    }

    pub(super) fn run(
        &mut self,
        team: &Team,
        clock: &Clock,
        persistent: &mut Buffer,
        scratch: &mut Scratch,
    ) -> Result<Evaluation, SessionError> {
        self.feeds.iter_mut().for_each(FeedState::rewind);
        self.joins.iter_mut().for_each(|join| join.bytes.clear());
        let batches = self.feeds.first().map_or(1, FeedState::batches);
        let sums = vec![0.0; self.bindings.reports.values.len()];
        let (bindings, feeds, joins) = (&mut self.bindings, &mut self.feeds, &mut self.joins);
        let mut driver = EvaluationDriver {
            bindings,
            feeds,
            joins,
            clock,
            batch: 0,
            samples: 0,
            sums,
            pictures: &self.pictures,
            shown: Vec::new(),
            bad: None,
        };
        let memory = Memory {
            persistent,
            arena: &mut self.arena,
            scratch,
        };
        team.run_steps(&self.program, memory, batches, &mut driver)?;
        if let Some(bad) = driver.bad.take() {
            return Err(clock.index_error(bad));
        }
        let (samples, mut values) = (driver.samples, driver.values());
        let pictures = driver.shown;
        for metric in &self.joined {
            values.extend(joined_values(team, metric, &self.joins, samples)?);
        }
        // An evaluation stands after the step before it.
        let (epoch, iter) = (clock.epoch, clock.iter.saturating_sub(1));
        Ok(Evaluation {
            epoch,
            iter,
            split: self.split.clone(),
            samples,
            values,
            pictures,
        })
    }
}

/// The value of a metric of the whole set.
fn joined_values(
    team: &Team,
    metric: &JoinedMetric,
    joins: &[Join],
    samples: u64,
) -> Result<Vec<(String, f64)>, SessionError> {
    let mut given = Tensors::new();
    for Join { slot, bytes } in joins {
        let tensor = Tensor::new(slot.dtype, slot.sizes(samples), bytes.clone());
        let misfit = |error: crate::tensor::TensorError| SessionError::Report {
            name: slot.name.clone(),
            found: error.to_string(),
        };
        given.insert(slot.name.clone(), tensor.map_err(misfit)?);
    }
    let outputs = call(team, &metric.program, &given)?;
    let value = outputs.values().next();
    let value = value.ok_or_else(|| SessionError::Report {
        name: metric.name.clone(),
        found: "nothing".to_string(),
    })?;
    let names = element_names(&metric.name, value.shape());
    Ok(names
        .into_iter()
        .zip(value.to_f32().into_iter().map(f64::from))
        .collect())
}

struct EvaluationDriver<'a> {
    bindings: &'a mut Bindings,
    feeds: &'a mut [FeedState],
    joins: &'a mut [Join],
    clock: &'a Clock,
    batch: u64,
    samples: u64,
    sums: Vec<f64>,
    pictures: &'a [Slot],
    shown: Vec<(String, Tensor)>,
    bad: Option<BadIndex>,
}

impl EvaluationDriver<'_> {
    /// Reads the images of the first batch.
    fn show(&mut self, memory: &StepMemory<'_>) {
        for slot in self.pictures {
            let stored = slot.stored_bytes(self.batch) as usize;
            let view = memory.view::<u8>(Space::Arena, slot.offset_bytes, stored);
            let plain = unpack(slot, self.batch, view);
            // The slot gives both the shape and the number of bytes, so that they agree.
            if let Ok(tensor) = Tensor::new(slot.dtype, slot.sizes(self.batch), plain) {
                self.shown.push((slot.name.clone(), tensor));
            }
        }
    }

    /// The means and sums over all batches.
    fn values(&self) -> Vec<(String, f64)> {
        let reports = &self.bindings.reports;
        let value = |((name, _), (sum, is_mean)): (&(String, f64), (&f64, &bool))| {
            let divisor = if *is_mean {
                self.samples.max(1) as f64
            } else {
                1.0
            };
            (name.clone(), sum / divisor)
        };
        reports
            .values
            .iter()
            .zip(self.sums.iter().zip(&reports.is_mean))
            .map(value)
            .collect()
    }
}

impl Driver for EvaluationDriver<'_> {
    fn before(&mut self, step: u64, memory: &mut StepMemory<'_>) -> ControlFlow<(), u64> {
        self.batch = next_batches(self.feeds, self.clock.seed);
        self.bindings.scalars.set(self.clock, step, memory);
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
        self.bad = self.bindings.checks.failed(memory);
        if self.bad.is_some() {
            return ControlFlow::Break(());
        }
        if self.samples == 0 {
            self.show(memory);
        }
        let reports = &mut self.bindings.reports;
        reports.read(memory);
        self.samples += self.batch;
        for (sum, ((_, value), is_mean)) in self
            .sums
            .iter_mut()
            .zip(reports.values.iter().zip(&reports.is_mean))
        {
            *sum += value * if *is_mean { self.batch as f64 } else { 1.0 };
        }
        for Join { slot, bytes } in self.joins.iter_mut() {
            let stored = slot.stored_bytes(self.batch) as usize;
            let view = memory.view::<u8>(Space::Arena, slot.offset_bytes, stored);
            bytes.extend_from_slice(&unpack(slot, self.batch, view));
        }
        ControlFlow::Continue(())
    }
}
