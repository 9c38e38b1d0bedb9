//! `resize[h, w]`: bilinear, corners unaligned (as PyTorch's `interpolate(align_corners=False)` without antialiasing).

use super::{Arguments, DataError, Dataset, Invocation, image_sizes, map_samples, values_of};

/// The largest height or width.
const MAX_SIZE: i64 = 1 << 16;

/// For one output position: the two input positions and the weight of the second.
#[derive(Clone, Copy)]
struct Tap {
    low: usize,
    high: usize,
    weight: f32,
}

pub(super) fn resize(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let arguments = Arguments::new(stage, &["h", "w"])?;
    let (height, width) = (
        arguments.required_integer("h", 1)?,
        arguments.required_integer("w", 1)?,
    );
    if height.max(width) > MAX_SIZE {
        return Err(arguments.error(format!("sizes up to {MAX_SIZE} are possible")));
    }
    for (field, _) in values_of(dataset) {
        let [channels, from_height, from_width] = image_sizes(&stage.name, field)?;
        let (rows, columns) = (
            taps(from_height, height as usize),
            taps(from_width, width as usize),
        );
        let shape = vec![channels as u64, height.unsigned_abs(), width.unsigned_abs()];
        map_samples(field, shape, |sample| {
            let mut resized = Vec::with_capacity(channels * rows.len() * columns.len());
            for image in sample.chunks_exact(from_height * from_width) {
                resize_image(image, from_width, &rows, &columns, &mut resized);
            }
            resized
        })?;
    }
    Ok(())
}

fn resize_image(
    image: &[f32],
    width: usize,
    rows: &[Tap],
    columns: &[Tap],
    resized: &mut Vec<f32>,
) {
    let mix = |low: f32, high: f32, weight: f32| low * (1.0 - weight) + high * weight;
    let widened: Vec<f32> = image
        .chunks_exact(width)
        .flat_map(|row| {
            let at = |column: &Tap| mix(row[column.low], row[column.high], column.weight);
            columns.iter().map(at)
        })
        .collect();
    let line = |y: usize| &widened[y * columns.len()..][..columns.len()];
    for row in rows {
        let lines = line(row.low).iter().zip(line(row.high));
        resized.extend(lines.map(|(&low, &high)| mix(low, high, row.weight)));
    }
}

fn taps(from: usize, to: usize) -> Vec<Tap> {
    let ratio = from as f64 / to as f64;
    let tap = |index: usize| {
        let position = ((index as f64 + 0.5) * ratio - 0.5).max(0.0);
        let low = (position as usize).min(from - 1);
        Tap {
            low,
            high: (low + 1).min(from - 1),
            weight: (position - low as f64) as f32,
        }
    };
    (0..to).map(tap).collect()
}
