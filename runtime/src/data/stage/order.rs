//! Which samples, in which order: `shuffle`, `take[n]` and `split[fraction]`.

use std::sync::Arc;

use super::{Arguments, DataError, Dataset, Field, Invocation, Values, unfit};
use crate::data::{Rows, Split};

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

/// Cuts all there is in two, `train` with that fraction of the samples and `test` with the others, chosen at random by
/// `seed`.
pub(super) fn split(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let arguments = Arguments::new(stage, &["fraction", "seed"])?;
    let fraction = arguments.required_number("fraction")?;
    let seed = arguments.integer("seed", 0)?.unwrap_or(0).unsigned_abs();
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(arguments.error("`fraction` should be between 0 and 1".to_string()));
    }
    let is_window = |field: &Field| matches!(field.values, Values::Windows { .. });
    if dataset
        .splits
        .values()
        .any(|split| split.fields.iter().any(is_window))
    {
        return Err(arguments
            .error("it stands before `window`: neighbouring windows share elements".to_string()));
    }
    let Some(whole) = joined(dataset, stage)? else {
        return Ok(());
    };
    let count = (f64::from(whole.rows.len()) * fraction).round() as u32;
    if count == 0 || count == whole.rows.len() {
        return Err(arguments.error(format!(
            "{fraction} of {} samples leaves a side empty",
            whole.rows.len()
        )));
    }
    // A sequence is cut where it is: windows over shuffled elements would say nothing.
    if whole.is_sequence() {
        let (train, test) = whole.cut(count);
        dataset.splits = [("train".to_string(), train), ("test".to_string(), test)]
            .into_iter()
            .collect();
        return Ok(());
    }
    let rows: Vec<u32> = whole.rows_shuffled(seed);
    let (train, test) = rows.split_at(count as usize);
    let part = |rows: &[u32]| Split {
        rows: Rows::Listed(Arc::new(rows.to_vec())),
        balance: None,
        ..whole.clone()
    };
    dataset.splits = [
        ("train".to_string(), part(train)),
        ("test".to_string(), part(test)),
    ]
    .into_iter()
    .collect();
    Ok(())
}

/// All splits as one, with the order and the augmentations of the first; none where there is none.
fn joined(dataset: &Dataset, stage: &Invocation) -> Result<Option<Split>, DataError> {
    let mut splits = dataset.splits.values();
    let Some(mut whole) = splits.next().cloned() else {
        return Ok(None);
    };
    for split in splits {
        let stored = whole.fields.first().map_or(0, Field::stored) as u32;
        let rows = (0..whole.rows.len()).map(|index| whole.rows.get(index));
        let more = (0..split.rows.len()).map(|index| stored + split.rows.get(index));
        whole.rows = Rows::Listed(Arc::new(rows.chain(more).collect()));
        for (field, other) in whole.fields.iter_mut().zip(&split.fields) {
            append(field, other, stage)?;
        }
    }
    Ok(Some(whole))
}

/// Puts another field's samples after a field's own.
fn append(field: &mut Field, other: &Field, stage: &Invocation) -> Result<(), DataError> {
    if field.shape != other.shape {
        return Err(unfit(
            &stage.name,
            format!("splits of the same shape, {:?}", field.shape),
            other,
        ));
    }
    field.classes = field.classes.max(other.classes);
    field.origin = format!("{} + {}", field.origin, other.origin);
    match (&mut field.values, &other.values) {
        (Values::Bytes(bytes, affine), Values::Bytes(more, same)) if affine == same => {
            Arc::make_mut(bytes).extend_from_slice(more);
        }
        (Values::Integers(integers), Values::Integers(more)) => {
            Arc::make_mut(integers).extend_from_slice(more)
        }
        (Values::Bytes(..) | Values::Floats(_), Values::Bytes(..) | Values::Floats(_)) => {
            let samples = |field: &Field| {
                (0..field.stored())
                    .flat_map(|row| field.sample(row))
                    .collect::<Vec<_>>()
            };
            let values = [samples(field), samples(other)].concat();
            field.values = Values::Floats(values.into());
        }
        _ => {
            return Err(unfit(
                &stage.name,
                format!("splits of the same type, {}", field.dtype()),
                other,
            ));
        }
    }
    Ok(())
}
