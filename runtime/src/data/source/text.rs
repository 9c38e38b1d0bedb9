//! `text[file, split]`: the characters of a file in UTF-8, numbered in the order of their code points. The first
//! `split` of them (default 0.9) are `train`, the others `test`. A sample is one character; `window[n]` makes sequences.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::{PartDescription, SourceDescription, SplitDescription};
use crate::data::file::{format_error, read};
use crate::data::{Arguments, DataError, Dataset, Field, Invocation, Split, Values};
use crate::tensor::DataType;

/// A text as numbers.
struct Text {
    characters: Vec<char>,
    numbers: Vec<i32>,
    /// How many of them are for training.
    train: usize,
    origin: String,
}

pub(super) fn describe(source: &Invocation, base: &Path) -> Result<SourceDescription, DataError> {
    let text = text(source, base)?;
    let vocab = text.characters.len() as u64;
    let split = |name: &str, count: usize| SplitDescription {
        name: name.to_string(),
        count: count as u64,
        class_counts: Vec::new(),
        vocab: Some(vocab),
    };
    Ok(SourceDescription {
        parts: vec![PartDescription {
            dtype: DataType::I32,
            shape: vec![],
            classes: Some(vocab),
        }],
        splits: vec![
            split("train", text.train),
            split("test", text.numbers.len() - text.train),
        ],
    })
}

pub(super) fn load(source: &Invocation, base: &Path) -> Result<Dataset, DataError> {
    let text = text(source, base)?;
    let (train, test) = text.numbers.split_at(text.train);
    let split = |numbers: &[i32]| {
        Split::new(vec![Field {
            shape: vec![],
            values: Values::Integers(Arc::new(numbers.to_vec())),
            classes: Some(text.characters.len() as u64),
            origin: text.origin.clone(),
        }])
    };
    let splits = [("train", split(train)), ("test", split(test))];
    Ok(Dataset {
        splits: splits.map(|(name, split)| (name.to_string(), split)).into(),
    })
}

/// The characters of a text source by their numbers.
///
/// # Errors
/// As the source itself.
pub fn vocabulary(source: &Invocation, base: &Path) -> Result<Vec<char>, DataError> {
    Ok(text(source, base)?.characters)
}

fn text(source: &Invocation, base: &Path) -> Result<Text, DataError> {
    let arguments = Arguments::new(source, &["file", "split"])?;
    let path = base.join(arguments.required_text("file")?);
    let part = arguments.number("split")?.unwrap_or(0.9);
    if !(part > 0.0 && part < 1.0) {
        return Err(arguments.error("`split` should be between 0 and 1".to_string()));
    }
    let text = String::from_utf8(read(&path)?)
        .map_err(|error| format_error(&path, "text in UTF-8", error.to_string()))?;
    let characters: Vec<char> = text.chars().collect::<BTreeSet<_>>().into_iter().collect();
    let number = |character| characters.binary_search(&character).unwrap_or(0) as i32;
    let numbers: Vec<i32> = text.chars().map(number).collect();
    if numbers.len() < 2 {
        return Err(format_error(&path, "at least two characters", "fewer"));
    }
    let train = ((numbers.len() as f64 * part).round() as usize).clamp(1, numbers.len() - 1);
    Ok(Text {
        characters,
        numbers,
        train,
        origin: path.display().to_string(),
    })
}
