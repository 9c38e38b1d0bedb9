//! Why a session could not begin or go on.

use std::io;
use std::path::PathBuf;

use crate::call::CallError;
use crate::checkpoint::CheckpointError;
use crate::data::DataError;
use crate::indices::BadIndex;
use crate::memory::MemoryError;
use crate::metrics::MetricsError;
use crate::team::RunError;

/// Why a session could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A value that a step reported is NaN or infinite.
    #[error("`{metric}` is {value} in epoch {epoch}, iter {iter}")]
    NotFinite {
        /// The metric.
        metric: String,
        /// The epoch, from 0.
        epoch: u64,
        /// The step, from 0.
        iter: u64,
        /// Its value.
        value: f64,
    },
    /// A value that an evaluation reported is NaN.
    #[error("`{metric}` of `{split}` is NaN after epoch {epoch}, iter {iter}")]
    Metric {
        /// The metric.
        metric: String,
        /// The evaluation.
        split: String,
        /// The epoch, from 0.
        epoch: u64,
        /// The last step, from 0.
        iter: u64,
    },
    /// A parameter, or a state of the model, is NaN where it would be saved.
    #[error("`{path}` is NaN after epoch {epoch}, iter {iter}; what was saved before is kept")]
    Parameter {
        /// Its path.
        path: String,
        /// The epoch, from 0.
        epoch: u64,
        /// The last step, from 0.
        iter: u64,
    },
    /// A step or an evaluation computed an index that is out of range.
    #[error("{bad} in epoch {epoch}, iter {iter}")]
    Index {
        /// The index.
        bad: BadIndex,
        /// The epoch, from 0.
        epoch: u64,
        /// The step, from 0.
        iter: u64,
    },
    /// A picture cannot be written.
    #[error(transparent)]
    Picture(#[from] super::PictureError),
    /// Neither epochs nor steps are given, or epochs of what has none.
    #[error("the run has no end: neither `steps` nor `epochs` of some data are given")]
    NoEnd,
    /// The first feed has fewer samples than one batch.
    #[error("an epoch has no batch: there are fewer samples than one batch takes")]
    NoBatches,
    /// A parameter or state has no value to begin or go on with.
    #[error("no value is given for `{name}`")]
    NoValue {
        /// Its path.
        name: String,
    },
    /// A value is given, or to be saved, for what is no parameter and no state.
    #[error("the run has no parameter and no state `{name}`")]
    NoSuchValue {
        /// The path.
        name: String,
    },
    /// There is no such program to measure.
    #[error("the run has no {subject:?}")]
    NoSubject {
        /// What was to be measured.
        subject: super::Subject,
    },
    /// A program takes a number that a session does not know.
    #[error("the program takes a number `{name}`, which no run has")]
    NoSuchScalar {
        /// Its name.
        name: String,
    },
    /// A program has an input that nothing feeds, or feeds another than it has.
    #[error("the program's input `{name}` and what feeds it do not fit: {reason}")]
    Input {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A report cannot be read.
    #[error("the program's report `{name}` is {found}")]
    Report {
        /// Its name.
        name: String,
        /// What it is.
        found: String,
    },
    /// Programs of a run disagree on a parameter or a report.
    #[error("the run's programs disagree on `{name}`")]
    Disagree {
        /// Its path or name.
        name: String,
    },
    /// A state to go on from is of another run.
    #[error("the state has no `{name}` that fits this run")]
    State {
        /// The part.
        name: String,
    },
    /// There is no run to go on with.
    #[error("{} has no interrupted run to go on with", path.display())]
    NothingToResume {
        /// The folder.
        path: PathBuf,
    },
    /// The output folder cannot be made.
    #[error("cannot make the folder {}: {reason}", path.display())]
    Directory {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Data does not fit the program.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A value does not fit its place.
    #[error(transparent)]
    Value(#[from] CallError),
    /// A program did not run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// There is not enough memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The model was not written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Metrics were not written.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}
