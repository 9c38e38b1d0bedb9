//! All state of a run as one value.

use std::collections::BTreeMap;
use std::path::Path;

use super::feed::FeedState;
use super::{Clock, SessionError};
use crate::checkpoint::{self, CheckpointError, Tensors};
use crate::tensor::{DataType, Tensor};

/// Everything that the rest of a run depends on, with a name for each part.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    /// Parameters and states by path.
    pub values: Tensors,
    /// Counts: `iter`, `epoch`, `in_epoch`, `seed`, and for each feed `feed.0.pass` and `feed.0.position`. Everything random
    /// follows from them.
    pub counts: BTreeMap<String, u64>,
}

/// What a count is called in a file, before its name.
const COUNT: &str = "count.";

impl RunState {
    /// Writes it to a file, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        let count = |(name, count): (&String, &u64)| {
            let bytes = count.to_ne_bytes().to_vec();
            let tensor = Tensor::new(DataType::I64, vec![], bytes).ok()?;
            Some((format!("{COUNT}{name}"), tensor))
        };
        let counts: Tensors = self.counts.iter().filter_map(count).collect();
        let all = self.values.iter().chain(&counts);
        checkpoint::write(path, all.map(|(name, tensor)| (name.as_str(), tensor)))
    }

    /// Reads what [`RunState::write`] wrote.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(path: &Path) -> Result<RunState, CheckpointError> {
        let mut state = RunState {
            values: Tensors::new(),
            counts: BTreeMap::new(),
        };
        for (name, tensor) in checkpoint::read(path)? {
            match (name.strip_prefix(COUNT), tensor.bytes().as_array::<8>()) {
                (Some(count), Some(bytes)) => {
                    let value = u64::from_ne_bytes(*bytes);
                    state.counts.insert(count.to_string(), value);
                }
                _ => {
                    state.values.insert(name, tensor);
                }
            }
        }
        Ok(state)
    }

    pub(super) fn gather(values: Tensors, clock: &Clock, feeds: &[FeedState]) -> RunState {
        let mut counts: BTreeMap<String, u64> = [
            ("iter".to_string(), clock.iter),
            ("epoch".to_string(), clock.epoch),
            ("in_epoch".to_string(), clock.in_epoch),
            ("seed".to_string(), clock.seed),
        ]
        .into();
        for (index, feed) in feeds.iter().enumerate() {
            counts.insert(format!("feed.{index}.pass"), feed.pass);
            counts.insert(format!("feed.{index}.position"), feed.position);
        }
        RunState { values, counts }
    }

    pub(super) fn scatter(
        &self,
        clock: &mut Clock,
        feeds: &mut [FeedState],
    ) -> Result<(), SessionError> {
        let count = |name: &str, largest: u64| {
            let count = self
                .counts
                .get(name)
                .copied()
                .filter(|count| *count <= largest);
            count.ok_or_else(|| SessionError::State {
                name: name.to_string(),
            })
        };
        for (index, feed) in feeds.iter_mut().enumerate() {
            feed.pass = count(&format!("feed.{index}.pass"), u64::MAX)?;
            feed.position = count(
                &format!("feed.{index}.position"),
                u64::from(feed.feed.split.count()),
            )?;
        }
        clock.iter = count("iter", clock.steps)?;
        clock.epoch = count("epoch", clock.epochs)?;
        clock.in_epoch = count("in_epoch", clock.per_epoch)?;
        clock.seed = count("seed", u64::MAX)?;
        Ok(())
    }
}
