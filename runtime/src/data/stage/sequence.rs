//! Text: `chars` numbers its characters, `window[n]` cuts it into overlapping pieces, each with what follows.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Arguments, DataError, Dataset, Field, Invocation, Values, unfit};
use crate::data::Split;

/// Each character becomes its place among those that occur, in the order of their code points.
pub(super) fn chars(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    Arguments::new(stage, &[])?;
    let mut vocabulary = BTreeSet::new();
    for split in dataset.splits.values() {
        vocabulary.extend(characters(split, stage)?.iter().copied());
    }
    let vocabulary: Vec<i32> = vocabulary.into_iter().collect();
    for split in dataset.splits.values_mut() {
        let place = |point: &i32| vocabulary.partition_point(|known| known < point) as i32;
        let numbered: Vec<i32> = characters(split, stage)?.iter().map(place).collect();
        if let Some(field) = split.fields.first_mut() {
            field.values = Values::Sequence(numbered.into(), 0);
        }
    }
    Ok(())
}

/// Sample i becomes the `n` characters from i on and, as its second part, the `n` from i + 1 on.
pub(super) fn window(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let size = Arguments::new(stage, &["n"])?.required_integer("n", 1)?;
    for split in dataset.splits.values_mut() {
        let sequence = characters(split, stage)?.clone();
        if sequence.len() as i64 <= size {
            let reason = format!("a text of {} characters has no such window", sequence.len());
            let owner = format!("{}[{size}]", stage.name);
            return Err(DataError::Argument { owner, reason });
        }
        let piece = |offset: usize| Field {
            shape: vec![size.unsigned_abs()],
            values: Values::Sequence(sequence.clone(), offset),
            classes: None,
            origin: split.fields[0].origin.clone(),
        };
        let augmented = split.augmentations.clone();
        *split = Split {
            shuffled: split.shuffled,
            augmentations: augmented,
            ..Split::new(vec![piece(0), piece(1)])
        };
    }
    Ok(())
}

/// Cuts a text in two, in order: what is tested on comes after what is learned from.
pub(super) fn cut(
    dataset: &mut Dataset,
    fraction: f64,
    stage: &Invocation,
) -> Result<(), DataError> {
    let Some(whole) = dataset.splits.values().next().cloned() else {
        return Ok(());
    };
    let sequence = characters(&whole, stage)?;
    let count = (sequence.len() as f64 * fraction).round() as usize;
    let part = |values: &[i32]| {
        let values = Values::Sequence(values.to_vec().into(), 0);
        Split::new(vec![Field {
            values,
            ..whole.fields[0].clone()
        }])
    };
    let (train, test) = sequence.split_at(count.min(sequence.len()));
    dataset.splits = [("train", train), ("test", test)]
        .into_iter()
        .map(|(name, values)| (name.to_string(), part(values)))
        .collect();
    Ok(())
}

/// Whether a data set is text that is not cut into windows yet.
pub(super) fn is_text(dataset: &Dataset) -> bool {
    let field = dataset
        .splits
        .values()
        .next()
        .and_then(|split| split.fields.first());
    field
        .is_some_and(|field| matches!(field.values, Values::Sequence(..)) && field.shape.is_empty())
}

/// The characters of a split of text, all of them and in order.
fn characters<'a>(split: &'a Split, stage: &Invocation) -> Result<&'a Arc<Vec<i32>>, DataError> {
    let expected = || "a whole text, as `text[file]` gives it".to_string();
    match split.fields.first() {
        Some(Field {
            values: Values::Sequence(sequence, 0),
            shape,
            ..
        }) if shape.is_empty() && split.rows.len() as usize == sequence.len() => Ok(sequence),
        Some(field) => Err(unfit(&stage.name, expected(), field)),
        None => Err(DataError::Argument {
            owner: stage.name.clone(),
            reason: expected(),
        }),
    }
}
