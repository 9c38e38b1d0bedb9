//! What must be a number before a run goes on: metrics of evaluations, and the model before it is saved.

use super::{Evaluation, Session, SessionError};
use crate::call::load;
use crate::program::Slot;

/// An error for the first number of an evaluation that is NaN; the elements of tensors may be.
pub(super) fn check_metrics(evaluation: &Evaluation) -> Result<(), SessionError> {
    let is_bad = |(name, value): &&(String, f64)| value.is_nan() && !name.contains('[');
    match evaluation.values.iter().find(is_bad) {
        Some((metric, _)) => Err(SessionError::Metric {
            metric: metric.clone(),
            split: evaluation.split.clone(),
            epoch: evaluation.epoch,
            iter: evaluation.iter,
        }),
        None => Ok(()),
    }
}

impl Session<'_> {
    /// An error for the first of the model's values that is NaN.
    pub(super) fn check_model(&self) -> Result<(), SessionError> {
        let is_model = |slot: &&Slot| self.model.contains(&slot.name);
        let is_bad = |slot: &&Slot| self.has_nan(slot);
        match self.slots.iter().filter(is_model).find(is_bad) {
            Some(slot) => Err(SessionError::Parameter {
                path: slot.name.clone(),
                epoch: self.clock.epoch,
                iter: self.clock.iter.saturating_sub(1),
            }),
            None => Ok(()),
        }
    }

    fn has_nan(&self, slot: &Slot) -> bool {
        let values = load(slot, 1, &self.persistent).to_f32();
        values.iter().any(|value| value.is_nan())
    }
}
