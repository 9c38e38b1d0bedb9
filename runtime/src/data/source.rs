//! The table of sources. A source is one file and one line here.

mod cifar;
mod csv;
mod digits;
mod idx;
mod images;
mod npy;
mod npz;
mod parquet;
mod safetensors;
mod synthetic;
mod table;
mod text;

use std::path::Path;

pub use images::append as append_image;
pub use text::vocabulary;

use super::{DataError, Dataset, Field, Invocation, Split, Values};
use crate::tensor::DataType;

/// A source by name.
struct Source {
    name: &'static str,
    /// What it holds, reading no more than that takes.
    describe: fn(&Invocation, &Path) -> Result<SourceDescription, DataError>,
    /// All of it.
    load: fn(&Invocation, &Path) -> Result<Dataset, DataError>,
}

const SOURCES: [Source; 13] = [
    Source {
        name: "digits",
        describe: digits::describe,
        load: digits::load,
    },
    Source {
        name: "mnist",
        describe: idx::describe_mnist,
        load: idx::load_mnist,
    },
    Source {
        name: "fashion_mnist",
        describe: idx::describe_mnist,
        load: idx::load_mnist,
    },
    Source {
        name: "idx",
        describe: idx::describe,
        load: idx::load,
    },
    Source {
        name: "cifar10",
        describe: cifar::describe,
        load: cifar::load,
    },
    Source {
        name: "csv",
        describe: csv::describe,
        load: csv::load,
    },
    Source {
        name: "parquet",
        describe: parquet::describe,
        load: parquet::load,
    },
    Source {
        name: "npy",
        describe: npy::describe,
        load: npy::load,
    },
    Source {
        name: "npz",
        describe: npz::describe,
        load: npz::load,
    },
    Source {
        name: "images",
        describe: images::describe,
        load: images::load,
    },
    Source {
        name: "text",
        describe: text::describe,
        load: text::load,
    },
    Source {
        name: "safetensors",
        describe: safetensors::describe,
        load: safetensors::load,
    },
    Source {
        name: "synthetic",
        describe: synthetic::describe,
        load: synthetic::load,
    },
];

/// What a source holds.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceDescription {
    /// The parts of one sample, in order.
    pub parts: Vec<PartDescription>,
    /// Its splits.
    pub splits: Vec<SplitDescription>,
}

/// One part of a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct PartDescription {
    /// The element type that a program sees.
    pub dtype: DataType,
    /// The shape of one sample's part.
    pub shape: Vec<u64>,
    /// For labels: one more than the largest.
    pub classes: Option<u64>,
}

/// One split.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SplitDescription {
    /// `train`, `test` …
    pub name: String,
    /// How many samples.
    pub count: u64,
    /// How many samples of each class, where that is known.
    pub class_counts: Vec<u64>,
    /// How many different tokens, where the source is text.
    pub vocab: Option<u64>,
}

/// The names of all sources.
pub fn source_names() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|source| source.name)
}

/// What a source holds, before any stage. Relative paths are relative to `base`.
///
/// # Errors
/// When there is no such source, an argument is wrong, or a file cannot be read.
pub fn describe(source: &Invocation, base: &Path) -> Result<SourceDescription, DataError> {
    (find(source)?.describe)(source, base)
}

/// Everything that a source holds. Relative paths are relative to `base`.
///
/// # Errors
/// As [`describe`]; also when any of the files is damaged.
pub fn load(source: &Invocation, base: &Path) -> Result<Dataset, DataError> {
    let dataset = (find(source)?.load)(source, base)?;
    for (name, split) in &dataset.splits {
        if split.rows.is_empty() {
            let origin = split
                .fields
                .first()
                .map_or_else(|| name.clone(), |field| field.origin.clone());
            return Err(DataError::Empty { origin });
        }
    }
    Ok(dataset)
}

fn find(source: &Invocation) -> Result<&'static Source, DataError> {
    SOURCES
        .iter()
        .find(|known| known.name == source.name)
        .ok_or_else(|| {
            let known: Vec<_> = source_names().collect();
            DataError::UnknownSource {
                name: source.name.clone(),
                known: known.join(", "),
            }
        })
}

/// The description of a data set that is loaded anyway, because it is small or its header says nothing.
fn describe_loaded(dataset: &Dataset) -> SourceDescription {
    let part = |field: &Field| PartDescription {
        dtype: field.dtype(),
        shape: field.shape.clone(),
        classes: field.classes,
    };
    let parts = dataset
        .splits
        .first()
        .map(|(_, split)| split.fields.iter().map(part).collect());
    let split = |(name, split): (&String, &Split)| SplitDescription {
        name: name.clone(),
        count: u64::from(split.count()),
        class_counts: split
            .fields
            .iter()
            .find_map(class_counts)
            .unwrap_or_default(),
        vocab: None,
    };
    SourceDescription {
        parts: parts.unwrap_or_default(),
        splits: dataset.splits.iter().map(split).collect(),
    }
}

/// How many samples a split has, of each class too, where its labels are classes.
pub fn count(name: &str, split: &Split) -> SplitDescription {
    SplitDescription {
        name: name.to_string(),
        count: u64::from(split.count()),
        class_counts: counts_of_rows(split).unwrap_or_default(),
        vocab: None,
    }
}

fn counts_of_rows(split: &Split) -> Option<Vec<u64>> {
    let is_label = |field: &&Field| field.classes.is_some() && field.shape.is_empty();
    let field = split.fields.iter().find(is_label)?;
    let Values::Integers(labels) = &field.values else {
        return None;
    };
    let mut counts = vec![0; usize::try_from(field.classes?).ok()?];
    for index in 0..split.count() {
        let label = labels[split.rows.get(index) as usize];
        *counts.get_mut(usize::try_from(label).ok()?)? += 1;
    }
    Some(counts)
}

/// How many samples there are of each class, if the field is a label.
fn class_counts(field: &Field) -> Option<Vec<u64>> {
    let (Some(classes), Values::Integers(labels)) = (field.classes, &field.values) else {
        return None;
    };
    let mut counts = vec![0; usize::try_from(classes).ok()?];
    for label in labels.iter() {
        *counts.get_mut(usize::try_from(*label).ok()?)? += 1;
    }
    field.shape.is_empty().then_some(counts)
}

/// Labels with their number of classes.
fn labels(values: Vec<i32>, classes: Option<u64>, origin: String) -> Field {
    let largest = values.iter().copied().max().unwrap_or(0);
    let classes = classes.or_else(|| u64::try_from(i64::from(largest) + 1).ok());
    Field {
        shape: vec![],
        values: Values::Integers(values.into()),
        classes,
        origin,
    }
}

/// Whether all fields of a split have as many samples as the first.
fn check_counts(fields: &[Field]) -> Result<(), DataError> {
    for field in fields.iter().skip(1) {
        if field.stored() != fields[0].stored() {
            return Err(DataError::Counts {
                left: fields[0].origin.clone(),
                left_count: fields[0].stored() as u64,
                right: field.origin.clone(),
                right_count: field.stored() as u64,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
