//! Which samples, in which order: `shuffle`, `take[n]` and `split[fraction]`.

use std::sync::Arc;

use super::{Arguments, DataError, Dataset, Invocation};
use crate::data::Rows;

/// Each epoch in an order of its own.
pub(super) fn shuffle(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    Arguments::new(stage, &[])?;
    dataset
        .splits
        .values_mut()
        .for_each(|split| split.shuffled = true);
    Ok(())
}

/// The first `n` samples of each split; after `shuffle`, the first `n` of each epoch's order.
pub(super) fn take(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let count = Arguments::new(stage, &["n"])?.required_integer("n", 1)?;
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    for split in dataset.splits.values_mut() {
        let count = count.min(split.count());
        match &mut split.rows {
            _ if split.shuffled => split.limit = Some(count),
            Rows::First(rows) => *rows = count,
            Rows::Listed(rows) => *rows = Arc::new(rows[..count as usize].to_vec()),
        }
    }
    Ok(())
}

/// Cuts the first split in two, `train` with that fraction of the samples and `test` with the others, chosen at random
/// by `seed`. The first split's name is lost; others stay unless they are called so.
pub(super) fn split(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let arguments = Arguments::new(stage, &["fraction", "seed"])?;
    let fraction = arguments.required_number("fraction")?;
    let seed = arguments.integer("seed", 0)?.unwrap_or(0).unsigned_abs();
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(arguments.error("`fraction` should be between 0 and 1".to_string()));
    }
    let Some((_, whole)) = dataset.splits.shift_remove_index(0) else {
        return Ok(());
    };
    let count = (f64::from(whole.rows.len()) * fraction).round() as u32;
    if count == 0 || count == whole.rows.len() {
        return Err(arguments.error(format!(
            "{fraction} of {} samples leaves a side empty",
            whole.rows.len()
        )));
    }
    let rows: Vec<u32> = whole.rows_shuffled(seed);
    let (train, test) = rows.split_at(count as usize);
    for (index, (name, rows)) in [("train", train), ("test", test)].into_iter().enumerate() {
        let mut part = whole.clone();
        part.rows = Rows::Listed(Arc::new(rows.to_vec()));
        dataset.splits.shift_remove(name);
        dataset.splits.shift_insert(index, name.to_string(), part);
    }
    Ok(())
}
