//! `normalize[mean, std]`, `scale[a, b]` and `standardize`: one factor and one summand for all values, or per channel.

use super::{Affine, Arguments, DataError, Dataset, Invocation, apply_affine};

/// `(value - mean) / std`; each a number or a list of one per channel.
pub(super) fn normalize(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let arguments = Arguments::new(stage, &["mean", "std"])?;
    let (means, deviations) = (
        arguments.required_numbers("mean")?,
        arguments.required_numbers("std")?,
    );
    if means.len() != deviations.len() && means.len() != 1 && deviations.len() != 1 {
        let reason = format!(
            "{} means but {} standard deviations",
            means.len(),
            deviations.len()
        );
        return Err(arguments.error(reason));
    }
    if deviations.iter().any(|deviation| *deviation <= 0.0) {
        return Err(arguments.error("`std` should be above 0".to_string()));
    }
    apply_affine(dataset, &stage.name, &standard(&means, &deviations))
}

/// `value * a + b`.
pub(super) fn scale(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let arguments = Arguments::new(stage, &["a", "b"])?;
    let (factor, summand) = (
        arguments.required_number("a")?,
        arguments.number("b")?.unwrap_or(0.0),
    );
    apply_affine(
        dataset,
        &stage.name,
        &Affine::uniform(factor as f32, summand as f32),
    )
}

/// `normalize` by the means and standard deviations of the first split, per index of a sample's first axis: channel of an
/// image, column of a table. A constant one is only shifted.
pub(super) fn standardize(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    Arguments::new(stage, &[])?;
    let Some(split) = dataset.splits.values().next() else {
        return Ok(());
    };
    let Some(field) = split.fields.first() else {
        return Ok(());
    };
    let (channels, inner) = (
        field.shape.first().map_or(1, |size| *size as usize),
        field.channel_elements().max(1),
    );
    let mut sums = vec![(0.0f64, 0.0f64); channels];
    let rows = split.rows.len();
    // Two passes would be more exact; sums of f64 over f32 values are exact enough.
    for index in 0..rows {
        for (element, value) in field
            .sample(split.rows.get(index) as usize)
            .into_iter()
            .enumerate()
        {
            let (sum, squares) = &mut sums[(element / inner).min(channels - 1)];
            *sum += f64::from(value);
            *squares += f64::from(value).powi(2);
        }
    }
    let count = (rows as usize * inner).max(1) as f64;
    let moments = sums.into_iter().map(|(sum, squares)| {
        let (mean, variance) = (sum / count, squares / count - (sum / count).powi(2));
        (mean, if variance > 0.0 { variance.sqrt() } else { 1.0 })
    });
    let (means, deviations): (Vec<f64>, Vec<f64>) = moments.unzip();
    apply_affine(dataset, &stage.name, &standard(&means, &deviations))
}

/// `(value - mean) / deviation` as a factor and a summand.
fn standard(means: &[f64], deviations: &[f64]) -> Affine {
    let pick = |values: &[f64], index: usize| {
        if values.len() == 1 {
            values[0]
        } else {
            values[index]
        }
    };
    let channels = means.len().max(deviations.len());
    let both = (0..channels).map(|index| (pick(means, index), pick(deviations, index)));
    let (scale, bias) = both
        .map(|(mean, deviation)| ((1.0 / deviation) as f32, (-mean / deviation) as f32))
        .unzip();
    Affine { scale, bias }
}
