//! What elaboration asks of the world outside: this crate reads no file.

use super::program::{SourceSpec, StageSpec};
use crate::graph::DType;

/// Knows data sources without reading more of them than their description takes.
pub trait DataCatalog {
    /// What a source holds, before any stage.
    ///
    /// # Errors
    /// One sentence for the user: the file that is missing, or the argument that is wrong.
    fn describe(&self, source: &SourceSpec) -> Result<SourceDescription, String>;

    /// How many samples a split has, of each class too, after stages that choose among them: `whole` of the whole data set,
    /// `own` of the split alone.
    ///
    /// # Errors
    /// One clause for the user: why it is not known.
    fn count(
        &self,
        _source: &SourceSpec,
        _whole: &[StageSpec],
        _split: &str,
        _own: &[StageSpec],
    ) -> Result<SplitDescription, String> {
        Err("only reading the data tells".to_owned())
    }

    /// Whether a stage takes its arguments, and samples of these parts.
    ///
    /// # Errors
    /// One sentence for the user: the argument that is wrong, and what would be right.
    fn check_stage(&self, _stage: &StageSpec, _parts: &[PartDescription]) -> Result<(), String> {
        Ok(())
    }
}

/// What a data source holds.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceDescription {
    /// The parts of one sample, in order: usually the value, then the label.
    pub parts: Vec<PartDescription>,
    /// The splits, such as `train` and `test`.
    pub splits: Vec<SplitDescription>,
}

/// One part of a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct PartDescription {
    /// The element type that the program sees.
    pub dtype: DType,
    /// The shape of one sample's part; empty for a scalar.
    pub shape: Vec<i64>,
    /// For an integer label: one more than the largest value.
    pub classes: Option<i64>,
}

/// One split of a data source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SplitDescription {
    /// `train`, `test` …
    pub name: String,
    /// How many samples.
    pub count: i64,
    /// How many samples of each class, where the source has classes and knows.
    pub class_counts: Vec<i64>,
    /// How many different tokens, where the source is text.
    pub vocab: Option<i64>,
}

/// Gives the text of imported files.
pub trait SourceLoader {
    /// The text of the file at `path`, which is relative to the folder of the program's main file, has `/` between
    /// its parts and no `..`.
    ///
    /// # Errors
    /// One sentence for the user.
    fn load(&self, path: &str) -> Result<String, String>;
}

/// A world without data and without files, for programs that need neither.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWorld;

impl DataCatalog for NoWorld {
    fn describe(&self, source: &SourceSpec) -> Result<SourceDescription, String> {
        Err(format!(
            "no source of data is known here, `{}` neither",
            source.name
        ))
    }
}

impl SourceLoader for NoWorld {
    fn load(&self, path: &str) -> Result<String, String> {
        Err(format!("no files can be read here, `{path}` neither"))
    }
}
