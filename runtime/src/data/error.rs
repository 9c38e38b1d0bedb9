//! What can be wrong with data.

use std::io;
use std::path::PathBuf;

/// Why data was not loaded. Each message names the file or the stage, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// There is no such source.
    #[error("no source of data is called `{name}`; there are {known}")]
    UnknownSource {
        /// What was asked for.
        name: String,
        /// All sources.
        known: String,
    },
    /// There is no such stage.
    #[error("no stage is called `{name}`; there are {known}")]
    UnknownStage {
        /// What was asked for.
        name: String,
        /// All stages.
        known: String,
    },
    /// An argument is missing, unknown or wrong.
    #[error("`{owner}`: {reason}")]
    Argument {
        /// The source or stage.
        owner: String,
        /// What is wrong.
        reason: String,
    },
    /// A stage does not fit the values it is applied to.
    #[error("`{stage}` takes {expected}, not {found}")]
    Unfit {
        /// The stage.
        stage: String,
        /// What it takes.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system or the decompressor says.
        reason: io::Error,
    },
    /// A folder has none of the files it should have.
    #[error("{} has none of the files {names}", path.display())]
    NoFile {
        /// The folder.
        path: PathBuf,
        /// The files looked for.
        names: String,
    },
    /// A path leads to something else than a file or folder that it should.
    #[error("{} is {found}, but should be {expected}", path.display())]
    Kind {
        /// The path.
        path: PathBuf,
        /// `a file` or `a folder`.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A file's contents are not what they should be.
    #[error("{}: {expected} expected, {found} found", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// What is.
        found: String,
    },
    /// A line of a table is wrong.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// Two parts of the samples do not have the same number.
    #[error("{left} has {left_count} samples, but {right} has {right_count}")]
    Counts {
        /// One file.
        left: String,
        /// Its samples.
        left_count: u64,
        /// The other.
        right: String,
        /// Its samples.
        right_count: u64,
    },
    /// A label or token is out of range.
    #[error("{origin}: sample {sample} has {value}, which is not in 0..{bound}")]
    OutOfRange {
        /// The file.
        origin: String,
        /// The sample's number in the file, from 0.
        sample: u64,
        /// Its value.
        value: i32,
        /// One more than the largest value allowed.
        bound: i64,
    },
    /// The data set has no such split.
    #[error("the data has no split `{name}`; it has {known}")]
    NoSplit {
        /// What was asked for.
        name: String,
        /// All splits.
        known: String,
    },
    /// A split has no samples.
    #[error("{origin} has no samples")]
    Empty {
        /// The file or split.
        origin: String,
    },
    /// A sample has no such part, or of another type or shape.
    #[error("the program takes {expected} as part {part} of a sample; the data has {found}")]
    Part {
        /// Which part, from 0.
        part: usize,
        /// What the program was compiled for.
        expected: String,
        /// What the data has.
        found: String,
    },
    /// A stage cannot do what it is to do.
    #[error("`{stage}`: {reason}")]
    Stage {
        /// Its name.
        stage: String,
        /// Why not.
        reason: String,
    },
    /// The values would not fit in memory.
    #[error("{origin}: there is no memory for {samples} samples of f32{shape:?}")]
    Memory {
        /// The file or source.
        origin: String,
        /// How many samples.
        samples: u64,
        /// The shape of one.
        shape: Vec<u64>,
    },
}
