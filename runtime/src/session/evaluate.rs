//! Running an evaluation over its whole set.

use std::ops::ControlFlow;

use super::feed::FeedState;
use super::measure::Bench;
use super::observe::Evaluation;
use super::report::{Reports, element_names};
use super::train::{Bindings, next_batches, next_size, of_size};
use super::{Clock, EvaluationPlan, JoinedMetric, SessionError};
use crate::call::call;
use crate::checkpoint::Tensors;
use crate::indices::BadIndex;
use crate::memory::{Buffer, Memory, Scratch, arena_of};
use crate::program::{Dimension, Executable, Report, ReportKind, Slot, Space};
use crate::team::{Driver, Part, StepMemory, Team};
use crate::tensor::{Tensor, unpack};

/// An evaluation with its memory.
pub(super) struct Evaluator {
    split: String,
    programs: Vec<Executable>,
    /// Of each program what belongs to it.
    variants: Vec<Variant>,
    feeds: Vec<FeedState>,
    joined: Vec<JoinedMetric>,
}

/// What belongs to one program of an evaluation.
struct Variant {
    bindings: Bindings,
    arena: Buffer,
    joins: Vec<Slot>,
    pictures: Vec<Slot>,
}

impl Variant {
    fn new(
        program: &Executable,
        feeds: &[FeedState],
        clock: &Clock,
        pictures: &[String],
    ) -> Result<Variant, SessionError> {
        let bindings = Bindings::new(program, feeds, clock, pictures)?;
        let is_shown = |slot: &Slot| pictures.contains(&slot.name);
        let slots = |which: &dyn Fn(&Report) -> bool| -> Vec<Slot> {
            let reports = program.reports.iter().filter(|report| which(report));
            reports.map(|report| report.slot.clone()).collect()
        };
        let is_joined = |report: &Report| report.kind == ReportKind::Join;
        let joins = slots(&|report| is_joined(report) && !is_shown(&report.slot));
        let cut = joins
            .iter()
            .find(|slot| slot.shape.first() != Some(&Dimension::Batch));
        if let Some(slot) = cut {
            let found = format!(
                "joined, but its first axis is not the batch: {:?}",
                slot.shape
            );
            let name = slot.name.clone();
            return Err(SessionError::Report { name, found });
        }
        Ok(Variant {
            bindings,
            arena: arena_of(program)?,
            joins,
            pictures: slots(&|report| is_shown(&report.slot)),
        })
    }
}

impl Evaluator {
    pub(super) fn new(plan: EvaluationPlan, clock: &Clock) -> Result<Evaluator, SessionError> {
        let EvaluationPlan {
            split,
            programs,
            feeds,
            joined,
            pictures,
        } = plan;
        let feeds = FeedState::of_all(feeds)?;
        let variant = |program: &Executable| Variant::new(program, &feeds, clock, &pictures);
        let variants: Vec<Variant> = programs.iter().map(variant).collect::<Result<_, _>>()?;
        Reports::check_equal(variants.iter().map(|variant| &variant.bindings.reports))?;
        Ok(Evaluator {
            split,
            programs,
            variants,
            feeds,
            joined,
        })
    }

    /// What measuring this evaluation needs.
    pub(super) fn bench<'a>(
        &'a mut self,
        team: &'a Team,
        clock: &'a Clock,
        persistent: &'a mut Buffer,
        scratch: &'a mut Scratch,
    ) -> Option<Bench<'a>> {
        let variant = self.variants.first_mut()?;
        Some(Bench {
            team,
            program: self.programs.first()?,
            bindings: &variant.bindings,
            feeds: &mut self.feeds,
            clock,
            persistent,
            arena: &mut variant.arena,
            scratch,
        })
    }

    pub(super) fn run(
        &mut self,
        team: &Team,
        clock: &Clock,
        persistent: &mut Buffer,
        scratch: &mut Scratch,
    ) -> Result<Evaluation, SessionError> {
        self.feeds.iter_mut().for_each(FeedState::rewind);
        let batches = self.feeds.first().map_or(1, FeedState::batches);
        let mut totals = Totals::default();
        while totals.batches < batches {
            self.region(team, clock, (persistent, scratch), batches, &mut totals)?;
        }
        if let Some(bad) = totals.bad.take() {
            return Err(clock.index_error(bad));
        }
        let first = self.variants.first();
        let mut values =
            first.map_or_else(Vec::new, |first| totals.values(&first.bindings.reports));
        let joins = first.map_or(&[][..], |first| &first.joins);
        for metric in &self.joined {
            values.extend(joined_values(team, metric, joins, &totals)?);
        }
        // An evaluation stands after the step before it.
        let (epoch, iter) = (clock.epoch, clock.iter.saturating_sub(1));
        Ok(Evaluation {
            epoch,
            iter,
            split: self.split.clone(),
            samples: totals.samples,
            values,
            pictures: totals.shown,
        })
    }

    /// Runs batches in one region: all that are left, or until one of another program's size is due.
    fn region(
        &mut self,
        team: &Team,
        clock: &Clock,
        (persistent, scratch): (&mut Buffer, &mut Scratch),
        batches: u64,
        totals: &mut Totals,
    ) -> Result<(), SessionError> {
        let number = of_size(&self.programs, next_size(&self.feeds));
        let (Some(program), Some(variant)) =
            (self.programs.get(number), self.variants.get_mut(number))
        else {
            totals.batches = batches;
            return Ok(());
        };
        let memory = Memory {
            persistent,
            arena: &mut variant.arena,
            scratch,
        };
        let left = batches - totals.batches;
        let mut driver = EvaluationDriver {
            bindings: &mut variant.bindings,
            joins: &variant.joins,
            pictures: &variant.pictures,
            programs: &self.programs,
            number,
            feeds: &mut self.feeds,
            clock,
            batch: 0,
            totals,
        };
        team.run_steps(program, memory, left, &mut driver)?;
        if totals.bad.is_some() {
            totals.batches = batches;
        }
        Ok(())
    }
}

/// What the batches so far have given.
#[derive(Default)]
struct Totals {
    batches: u64,
    samples: u64,
    /// Of each number that is reported: the sum, of means weighted by samples.
    sums: Vec<f64>,
    /// Of each report that is joined, the plain bytes.
    joined: Vec<Vec<u8>>,
    shown: Vec<(String, Tensor)>,
    bad: Option<BadIndex>,
}

impl Totals {
    /// The means and sums over all batches.
    fn values(&self, reports: &Reports) -> Vec<(String, f64)> {
        let samples = self.samples.max(1) as f64;
        let named = reports.values.iter().zip(&reports.is_mean).enumerate();
        let value = |(number, ((name, _), is_mean)): (usize, (&(String, f64), &bool))| {
            let sum = self.sums.get(number).copied().unwrap_or(0.0);
            (name.clone(), if *is_mean { sum / samples } else { sum })
        };
        named.map(value).collect()
    }

    fn add(&mut self, reports: &Reports, batch: u64) {
        self.samples += batch;
        self.sums.resize(reports.values.len(), 0.0);
        let values = reports.values.iter().zip(&reports.is_mean);
        for (sum, ((_, value), is_mean)) in self.sums.iter_mut().zip(values) {
            *sum += value * if *is_mean { batch as f64 } else { 1.0 };
        }
    }
}

/// The value of a metric of the whole set.
fn joined_values(
    team: &Team,
    metric: &JoinedMetric,
    joins: &[Slot],
    totals: &Totals,
) -> Result<Vec<(String, f64)>, SessionError> {
    let mut given = Tensors::new();
    for (slot, bytes) in joins.iter().zip(&totals.joined) {
        let tensor = Tensor::new(slot.dtype, slot.sizes(totals.samples), bytes.clone());
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
    joins: &'a [Slot],
    pictures: &'a [Slot],
    programs: &'a [Executable],
    number: usize,
    feeds: &'a mut [FeedState],
    clock: &'a Clock,
    batch: u64,
    totals: &'a mut Totals,
}

impl EvaluationDriver<'_> {
    /// A value of the present batch, in row-major order.
    fn plain(&self, slot: &Slot, memory: &StepMemory<'_>) -> Vec<u8> {
        let stored = slot.stored_bytes(self.batch) as usize;
        let view = memory.view::<u8>(Space::Arena, slot.offset_bytes, stored);
        unpack(slot, self.batch, view)
    }

    /// Reads the images of the first batch.
    fn show(&mut self, memory: &StepMemory<'_>) {
        for slot in self.pictures {
            let plain = self.plain(slot, memory);
            // The slot gives both the shape and the number of bytes, so that they agree.
            if let Ok(tensor) = Tensor::new(slot.dtype, slot.sizes(self.batch), plain) {
                self.totals.shown.push((slot.name.clone(), tensor));
            }
        }
    }
}

impl Driver for EvaluationDriver<'_> {
    fn before(&mut self, _: u64, memory: &mut StepMemory<'_>) -> ControlFlow<(), u64> {
        if of_size(self.programs, next_size(self.feeds)) != self.number {
            return ControlFlow::Break(());
        }
        self.batch = next_batches(self.feeds, self.clock.seed);
        let step = self.totals.batches;
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
        self.totals.batches += 1;
        self.totals.bad = self.bindings.checks.failed(memory);
        if self.totals.bad.is_some() {
            return ControlFlow::Break(());
        }
        if self.totals.samples == 0 {
            self.show(memory);
        }
        self.bindings.reports.read(memory);
        self.totals.add(&self.bindings.reports, self.batch);
        self.totals.joined.resize(self.joins.len(), Vec::new());
        for (number, slot) in self.joins.iter().enumerate() {
            let plain = self.plain(slot, memory);
            self.totals.joined[number].extend_from_slice(&plain);
        }
        ControlFlow::Continue(())
    }
}
