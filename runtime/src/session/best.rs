//! Which evaluations were the best: `keep` keeps their models, `patience` ends a run that gets no better.
//!
//! What is watched is the first value of the first evaluation. Of losses and errors the smaller is better, of accuracies and
//! the like the larger.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Evaluation, SessionError};
use crate::checkpoint::{self, Tensors};

/// How the names of metrics begin of which the larger is better.
const LARGER: [&str; 9] = [
    "accuracy",
    "acc",
    "top",
    "precision",
    "recall",
    "f1",
    "auc",
    "r2",
    "score",
];

/// The best evaluations so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Best {
    /// How many models are kept.
    keep: usize,
    /// After how many evaluations without a better one the run ends.
    patience: Option<u64>,
    /// Epochs and values of those that are kept, the best first.
    kept: Vec<(u64, f64)>,
    value: Option<f64>,
    since: u64,
}

/// Whether of a metric of this name the larger is better.
pub(super) fn larger_is_better(name: &str) -> bool {
    LARGER.iter().any(|begin| name.starts_with(begin))
}

impl Best {
    /// Before any evaluation.
    pub(super) fn new(keep: u64, patience: Option<u64>) -> Best {
        Best {
            keep: usize::try_from(keep).unwrap_or(usize::MAX),
            patience,
            ..Best::default()
        }
    }

    /// Whether patience has come to its end.
    pub(super) fn is_over(&self) -> bool {
        self.patience.is_some_and(|patience| self.since >= patience)
    }

    /// Notes what was found after an epoch, and writes and removes kept models.
    pub(super) fn note(
        &mut self,
        evaluations: &[Evaluation],
        model: impl FnOnce() -> Tensors,
        directory: Option<&Path>,
    ) -> Result<(), SessionError> {
        let Some(evaluation) = evaluations.first() else {
            return Ok(());
        };
        let Some((name, value)) = evaluation.values.first() else {
            return Ok(());
        };
        // Smaller is better from here on; NaN is worse than everything.
        let value = match (value.is_nan(), larger_is_better(name)) {
            (true, _) => f64::INFINITY,
            (false, true) => -value,
            (false, false) => *value,
        };
        match self.value {
            Some(best) if value >= best => self.since += 1,
            _ => (self.value, self.since) = (Some(value), 0),
        }
        let place = self.kept.partition_point(|kept| kept.1 <= value);
        let (true, Some(directory)) = (place < self.keep, directory) else {
            return Ok(());
        };
        let folder = directory.join("best");
        fs::create_dir_all(&folder).map_err(|reason| SessionError::Directory {
            path: folder.clone(),
            reason,
        })?;
        let model = model();
        let tensors = model.iter().map(|(name, tensor)| (name.as_str(), tensor));
        checkpoint::write(&file(&folder, evaluation.epoch), tensors)?;
        self.kept.insert(place, (evaluation.epoch, value));
        for (epoch, _) in self.kept.split_off(self.keep.min(self.kept.len())) {
            // One that a person has taken away already is no loss.
            let _ = fs::remove_file(file(&folder, epoch));
        }
        Ok(())
    }

    /// Its part of a run's state.
    pub(super) fn gather(&self, counts: &mut BTreeMap<String, u64>) {
        counts.insert("best.since".into(), self.since);
        if let Some(value) = self.value {
            counts.insert("best.value".into(), value.to_bits());
        }
        for (index, (epoch, value)) in self.kept.iter().enumerate() {
            counts.insert(format!("best.{index}.epoch"), *epoch);
            counts.insert(format!("best.{index}.value"), value.to_bits());
        }
    }

    /// Goes on from a run's state.
    pub(super) fn scatter(&mut self, counts: &BTreeMap<String, u64>) {
        let count = |name: &str| counts.get(name).copied();
        self.since = count("best.since").unwrap_or(0);
        self.value = count("best.value").map(f64::from_bits);
        let kept = |index: usize| {
            let epoch = count(&format!("best.{index}.epoch"))?;
            let value = count(&format!("best.{index}.value"))?;
            Some((epoch, f64::from_bits(value)))
        };
        self.kept = (0..).map_while(kept).collect();
    }
}

fn file(folder: &Path, epoch: u64) -> PathBuf {
    folder.join(format!("epoch-{epoch:04}.safetensors"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(epoch: u64, name: &str, value: f64) -> Vec<Evaluation> {
        vec![Evaluation {
            epoch,
            iter: epoch,
            split: "eval".into(),
            samples: 1,
            pictures: Vec::new(),
            values: vec![(name.into(), value)],
        }]
    }

    #[test]
    fn the_best_are_kept_and_patience_ends() {
        for (name, sign) in [("loss", 1.0), ("accuracy", -1.0)] {
            let directory = tempfile::tempdir().expect("a directory");
            let mut best = Best::new(2, Some(2));
            let mut over = Vec::new();
            for (epoch, value) in (0..).zip([5.0, 3.0, 4.0, f64::NAN, 2.0]) {
                let found = found(epoch, name, sign * value);
                best.note(&found, Tensors::new, Some(directory.path()))
                    .expect("writes");
                over.push(best.is_over());
                let mut counts = BTreeMap::new();
                best.gather(&mut counts);
                let mut other = Best::new(2, Some(2));
                other.scatter(&counts);
                assert_eq!(best, other);
            }
            assert_eq!(over, [false, false, false, true, false]);
            let mut files: Vec<String> = fs::read_dir(directory.path().join("best"))
                .expect("lists")
                .map(|entry| entry.expect("an entry").file_name().display().to_string())
                .collect();
            files.sort();
            assert_eq!(files, ["epoch-0001.safetensors", "epoch-0004.safetensors"]);
        }
    }
}
