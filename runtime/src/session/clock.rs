//! Where a run is, and the numbers that a step is passed by name.

use std::collections::BTreeMap;

use super::plateau::Plateau;
use super::{Evaluation, PlateauPlan, SessionError, Settings};
use crate::indices::BadIndex;
use crate::memory::Element;
use crate::program::{Program, Slot, Space};
use crate::team::StepMemory;
use crate::tensor::DataType;

/// Where a run is. `iter` and `epoch` have the values of the step being run.
#[derive(Clone, Debug, PartialEq)]
pub struct Clock {
    /// Steps done before this one.
    pub iter: u64,
    /// Epochs done before this one.
    pub epoch: u64,
    /// The run's steps.
    pub steps: u64,
    /// The run's epochs.
    pub epochs: u64,
    /// The run's seed.
    pub seed: u64,
    /// The steps of an epoch.
    pub(super) per_epoch: u64,
    /// The steps done in this epoch.
    pub(super) in_epoch: u64,
    /// The factors that follow a metric.
    plateaus: Vec<Plateau>,
}

impl Clock {
    /// The end of a run that met such an index here.
    pub(super) fn index_error(&self, bad: BadIndex) -> SessionError {
        SessionError::Index {
            bad,
            epoch: self.epoch,
            iter: self.iter,
        }
    }

    /// The start of a run whose epochs have so many steps; none where nothing is fed.
    pub(super) fn new(settings: &Settings, per_epoch: Option<u64>) -> Result<Clock, SessionError> {
        let per_epoch = match (per_epoch, settings.steps) {
            (Some(batches), _) => batches,
            (None, Some(steps)) => steps,
            (None, None) => return Err(SessionError::NoEnd),
        };
        if per_epoch == 0 {
            return Err(SessionError::NoBatches);
        }
        let (steps, epochs) = match (settings.steps, settings.epochs) {
            (Some(steps), Some(epochs)) => (steps, epochs),
            (Some(steps), None) => (steps, steps.div_ceil(per_epoch)),
            (None, Some(epochs)) => (epochs.saturating_mul(per_epoch), epochs),
            (None, None) => return Err(SessionError::NoEnd),
        };
        Ok(Clock {
            steps,
            epochs,
            per_epoch,
            ..Clock::over(settings.seed)
        })
    }

    /// A run without steps.
    pub(super) fn over(seed: u64) -> Clock {
        Clock {
            iter: 0,
            epoch: 0,
            steps: 0,
            epochs: 0,
            seed,
            per_epoch: 0,
            in_epoch: 0,
            plateaus: Vec::new(),
        }
    }

    /// The same, with factors that follow a metric.
    pub(super) fn following(mut self, plateaus: Vec<PlateauPlan>) -> Clock {
        self.plateaus = plateaus.into_iter().map(Plateau::new).collect();
        self
    }

    /// Looks at what was found after an epoch.
    pub(super) fn note(&mut self, evaluations: &[Evaluation]) {
        for plateau in &mut self.plateaus {
            plateau.note(evaluations);
        }
    }

    /// Its factors' part of a run's state.
    pub(super) fn gather(&self, counts: &mut BTreeMap<String, u64>) {
        for plateau in &self.plateaus {
            plateau.gather(counts);
        }
    }

    /// Goes on with the factors of a run's state.
    pub(super) fn scatter(&mut self, counts: &BTreeMap<String, u64>) {
        for plateau in &mut self.plateaus {
            plateau.scatter(counts);
        }
    }

    /// Whether all steps are done.
    pub fn is_over(&self) -> bool {
        self.iter >= self.steps
    }

    pub(super) fn left_in_epoch(&self) -> u64 {
        (self.per_epoch - self.in_epoch).min(self.steps - self.iter)
    }

    pub(super) fn advance(&mut self) {
        self.iter += 1;
        self.in_epoch += 1;
    }

    pub(super) fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.in_epoch = 0;
    }
}

/// A number that a step may be passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Iter,
    Epoch,
    Steps,
    Epochs,
    Seed,
    Counter,
    /// A factor that follows a metric, by its place in the clock.
    Plateau(usize),
}

const NUMBERS: [(&str, Number); 6] = [
    ("iter", Number::Iter),
    ("epoch", Number::Epoch),
    ("steps", Number::Steps),
    ("epochs", Number::Epochs),
    ("seed", Number::Seed),
    ("counter", Number::Counter),
];

/// The scalars of a program, resolved.
#[derive(Debug)]
pub(super) struct Scalars(Vec<(Number, DataType, u64)>);

impl Scalars {
    pub(super) fn new(program: &Program, clock: &Clock) -> Result<Scalars, SessionError> {
        let resolve = |slot: &Slot| {
            let known = NUMBERS.iter().find(|(name, _)| *name == slot.name);
            let mut plateaus = clock.plateaus.iter();
            let plateau = plateaus.position(|plateau| plateau.name() == slot.name);
            let number = known.map(|known| known.1).or(plateau.map(Number::Plateau));
            let number = number.ok_or_else(|| SessionError::NoSuchScalar {
                name: slot.name.clone(),
            })?;
            Ok((number, slot.dtype, slot.offset_bytes))
        };
        program
            .scalars
            .iter()
            .map(resolve)
            .collect::<Result<_, _>>()
            .map(Scalars)
    }

    /// Sets all scalars. `counter` counts the executions of this program: what random values depend on.
    pub(super) fn set(&self, clock: &Clock, counter: u64, memory: &mut StepMemory<'_>) {
        for (number, dtype, offset_bytes) in &self.0 {
            let value = match number {
                Number::Iter => clock.iter,
                Number::Epoch => clock.epoch,
                Number::Steps => clock.steps,
                Number::Epochs => clock.epochs,
                Number::Seed => clock.seed,
                Number::Counter => counter,
                Number::Plateau(index) => {
                    put(memory, *offset_bytes, clock.plateaus[*index].value as f32);
                    continue;
                }
            };
            match dtype {
                DataType::F32 => put(memory, *offset_bytes, value as f32),
                DataType::I64 => put(memory, *offset_bytes, value.cast_signed()),
                // The lower half: seeds and counters may have any bits.
                _ => put(memory, *offset_bytes, value as i32),
            }
        }
    }
}

fn put<T: Element>(memory: &mut StepMemory<'_>, offset_bytes: u64, value: T) {
    memory.view_mut::<T>(Space::Arena, offset_bytes, 1)[0] = value;
}
