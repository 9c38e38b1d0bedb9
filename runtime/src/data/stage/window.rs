//! Sequences: `window[n]`, and `chars`, which says that a text's tokens are its characters, as they are.

use super::{Arguments, DataError, Dataset, Invocation, Values, unfit};
use crate::data::{Rows, Split};

/// Samples of `n` elements of the sequence, each with the `n` that follow one later.
pub(super) fn window(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let arguments = Arguments::new(stage, &["n"])?;
    let size = arguments.required_integer("n", 1)?.unsigned_abs();
    for split in dataset.splits.values_mut() {
        let Some(field) = split.fields.first() else {
            continue;
        };
        let (Values::Integers(sequence), [], Rows::First(length)) =
            (&field.values, &field.shape[..], &split.rows)
        else {
            let expected = "a sequence of integers, as `text` gives".to_string();
            return Err(unfit(&stage.name, expected, field));
        };
        let length = u64::from(*length);
        if length <= size {
            return Err(arguments.error(format!(
                "windows of {size} need more than the {length} elements that {} has",
                field.origin
            )));
        }
        let window = |offset: usize| {
            let mut part = field.clone();
            part.shape = vec![size];
            part.values = Values::Windows {
                sequence: sequence.clone(),
                offset,
                count: (length - size) as usize,
            };
            part
        };
        let fields = vec![window(0), window(1)];
        *split = Split {
            shuffled: split.shuffled,
            ..Split::new(fields)
        };
    }
    Ok(())
}

/// A text is already its characters, numbered in the order of their code points.
pub(super) fn chars(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    Arguments::new(stage, &[])?;
    for split in dataset.splits.values() {
        match split.fields.first() {
            Some(field) if !matches!(field.values, Values::Integers(_)) => {
                return Err(unfit(&stage.name, "text".to_string(), field));
            }
            _ => {}
        }
    }
    Ok(())
}
