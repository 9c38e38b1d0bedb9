//! Watching a run.

use super::Clock;
use crate::tensor::Tensor;

/// What has been done after a step.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Where the run is; `iter` is the step just done.
    pub clock: &'a Clock,
    /// The samples of this step.
    pub samples: u64,
    /// What the step reported: names and values, elements of tensors one by one.
    pub reports: &'a [(String, f64)],
}

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The epoch after which it was run, from 0.
    pub epoch: u64,
    /// The last step done, from 0.
    pub iter: u64,
    /// Its name.
    pub split: String,
    /// How many samples it went through.
    pub samples: u64,
    /// What it reported, by name; elements of tensors one by one.
    pub values: Vec<(String, f64)>,
    /// The images that it reported, `[N, C, H, W]`, by name.
    pub pictures: Vec<(String, Tensor)>,
}

/// Is told what a run does. Called between steps, with all workers waiting: what takes long, slows the run.
pub trait Observer: Send + Sync {
    /// After each step.
    fn stepped(&mut self, progress: Progress<'_>) {
        let _ = progress;
    }

    /// After each evaluation.
    fn evaluated(&mut self, evaluation: &Evaluation) {
        let _ = evaluation;
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
