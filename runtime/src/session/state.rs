//! All state of a run as one value.

use std::collections::BTreeMap;

use super::feed::FeedState;
use super::{Clock, SessionError};
use crate::checkpoint::Tensors;

/// Everything that the rest of a run depends on, with a name for each part.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    /// Parameters and states by path.
    pub values: Tensors,
    /// Counts: `iter`, `epoch`, `in_epoch`, `seed`, and for each feed `feed.0.pass` and `feed.0.position`. Everything random
    /// follows from them.
    pub counts: BTreeMap<String, u64>,
}

impl RunState {
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
