//! Random changes of whole samples: of values, by interpolation, and with other samples.

use crate::data::{Augmentation, Field, Split, Values, Warp};
use crate::random::{Stream, threefry2x32, uniform};

/// A part of a split with what is done to its samples. `key` is the pass's.
pub(super) struct Changed<'a> {
    pub split: &'a Split,
    pub part: usize,
    pub key: [u32; 2],
}

/// The part that is mixed as the label: the first of floats after the value.
pub(super) fn label_part(split: &Split) -> Option<usize> {
    let is_soft = |field: &Field| matches!(field.values, Values::Floats(_));
    (1..split.fields.len()).find(|part| is_soft(&split.fields[*part]))
}

/// The sizes of an image.
#[derive(Clone, Copy)]
struct Sizes {
    channels: usize,
    height: usize,
    width: usize,
}

/// How a sample is mixed with another.
struct Mix {
    other: u32,
    /// How much of the sample itself there is.
    own: f32,
    /// The rectangle that comes from the other whole: rows, then columns.
    cut: Option<[std::ops::Range<usize>; 2]>,
}

impl Changed<'_> {
    /// Fills samples as [`super::Gather::fill`] does. Each sample's changes depend on the pass and the sample alone.
    pub(super) fn fill(&self, rows: &[u32], lanes: usize, place: &mut [f32]) {
        let elements = self.split.fields[self.part].elements();
        let (sample_stride, element_stride) = match lanes {
            1 => (elements, 1),
            _ => (1, lanes),
        };
        place.fill(0.0);
        for (index, row) in rows.iter().enumerate() {
            let values = self.sample(*row, self.split.augmentations.len());
            let place = &mut place[index * sample_stride..];
            for (element, value) in values.into_iter().enumerate() {
                place[element * element_stride] = value;
            }
        }
    }

    /// A sample after the first `count` augmentations.
    fn sample(&self, row: u32, count: usize) -> Vec<f32> {
        let mut values = self.split.fields[self.part].sample(row as usize);
        let sizes = self.sizes();
        for (index, augmentation) in self.split.augmentations[..count].iter().enumerate() {
            let mut stream = self.stream(row, index);
            match augmentation {
                Augmentation::Mixup(_) | Augmentation::Cutmix(_) => {
                    let mix = self.mix(augmentation, &mut stream);
                    // The partner has been changed too, up to here but not by mixing, which would never end.
                    let other = self.sample(mix.other, self.unmixed(index));
                    mix.apply(&mut values, &other, self.part == 0, sizes);
                }
                _ if self.part > 0 => {}
                _ => change(augmentation, &mut values, sizes, &mut stream),
            }
        }
        values
    }

    /// How many augmentations stand before the first that mixes, at most `index`.
    fn unmixed(&self, index: usize) -> usize {
        let mut augmentations = self.split.augmentations.iter();
        augmentations
            .position(Augmentation::mixes)
            .map_or(index, |first| first.min(index))
    }

    /// The random numbers of a sample and an augmentation, the same for value and label.
    fn stream(&self, row: u32, index: usize) -> Stream {
        let key = threefry2x32(self.key, [row, index as u32]);
        Stream::new(
            u64::from(key[1]) << 32 | u64::from(key[0]),
            row,
            index as u32,
        )
    }

    fn sizes(&self) -> Sizes {
        let of = |axis: usize| self.split.fields[0].shape.get(axis).copied();
        let of = |axis: usize| of(axis).unwrap_or(1) as usize;
        Sizes {
            channels: of(0),
            height: of(1),
            width: of(2),
        }
    }

    fn mix(&self, augmentation: &Augmentation, stream: &mut Stream) -> Mix {
        let rows = &self.split.rows;
        let other = rows.get(stream.below(u64::from(rows.len())) as u32);
        match augmentation {
            Augmentation::Cutmix(alpha) => {
                let own = beta(*alpha, stream);
                let Sizes { height, width, .. } = self.sizes();
                let side = (1.0 - own).sqrt();
                let rows = cut(height, side, stream);
                let columns = cut(width, side, stream);
                let area = (rows.len() * columns.len()) as f32 / (height * width) as f32;
                Mix {
                    other,
                    own: 1.0 - area,
                    cut: Some([rows, columns]),
                }
            }
            Augmentation::Mixup(alpha) => Mix {
                other,
                own: beta(*alpha, stream),
                cut: None,
            },
            _ => Mix {
                other,
                own: 1.0,
                cut: None,
            },
        }
    }
}

impl Mix {
    fn apply(&self, values: &mut [f32], other: &[f32], is_image: bool, sizes: Sizes) {
        match &self.cut {
            Some([rows, columns]) if is_image => {
                for channel in 0..sizes.channels {
                    for y in rows.clone() {
                        let row = (channel * sizes.height + y) * sizes.width;
                        let range = row + columns.start..row + columns.end;
                        values[range.clone()].copy_from_slice(&other[range]);
                    }
                }
            }
            _ => {
                for (value, other) in values.iter_mut().zip(other) {
                    *value = self.own * *value + (1.0 - self.own) * other;
                }
            }
        }
    }
}

/// A range of about `side * size` positions around a random one, cut off at the ends.
fn cut(size: usize, side: f32, stream: &mut Stream) -> std::ops::Range<usize> {
    let half = (side * size as f32 / 2.0) as usize;
    let middle = stream.below(size.max(1) as u64) as usize;
    middle.saturating_sub(half)..(middle + half).min(size)
}

fn change(augmentation: &Augmentation, values: &mut Vec<f32>, sizes: Sizes, stream: &mut Stream) {
    match augmentation {
        Augmentation::FlipHorizontal => {
            if stream.next_u64() & 1 == 1 {
                values
                    .chunks_exact_mut(sizes.width)
                    .for_each(<[f32]>::reverse);
            }
        }
        Augmentation::RandomCrop { pad, fill } => {
            let shift = |stream: &mut Stream| {
                stream.below(2 * u64::from(*pad) + 1) as i64 - i64::from(*pad)
            };
            let (down, right) = (shift(stream), shift(stream));
            *values = shifted(values, sizes, [down, right], fill);
        }
        Augmentation::Warp(warp) => *values = warped(values, sizes, warp, stream),
        Augmentation::Brightness(amount) => {
            let factor = 1.0 + around(*amount, stream);
            values.iter_mut().for_each(|value| *value *= factor);
        }
        Augmentation::Contrast(amount) => {
            let factor = 1.0 + around(*amount, stream);
            let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
            let changed = |value: f32| (value - mean) * factor + mean;
            values.iter_mut().for_each(|value| *value = changed(*value));
        }
        Augmentation::Erase(part) => {
            let mut side = |size: usize| {
                let length = ((size as f32 * part).round() as usize).clamp(1, size);
                let begin = stream.below((size - length + 1) as u64) as usize;
                begin..begin + length
            };
            let (rows, columns) = (side(sizes.height), side(sizes.width));
            for row in 0..sizes.channels * sizes.height {
                if rows.contains(&(row % sizes.height)) {
                    values[row * sizes.width..][columns.clone()].fill(0.0);
                }
            }
        }
        Augmentation::Noise(deviation) => values
            .iter_mut()
            .for_each(|value| *value += deviation * normal(stream)),
        Augmentation::Scale(affine) => {
            let inner = (values.len() / sizes.channels.max(1)).max(1);
            for (element, value) in values.iter_mut().enumerate() {
                *value = affine.apply(element / inner, *value);
            }
        }
        Augmentation::Mixup(_) | Augmentation::Cutmix(_) => {}
    }
}

fn shifted(values: &[f32], sizes: Sizes, [down, right]: [i64; 2], fill: &[f32]) -> Vec<f32> {
    let Sizes { height, width, .. } = sizes;
    let pixel = |index: usize| {
        let (channel, y, x) = (
            index / (height * width),
            index / width % height,
            index % width,
        );
        let (y, x) = (y as i64 + down, x as i64 + right);
        if !(0..height as i64).contains(&y) || !(0..width as i64).contains(&x) {
            return fill.get(channel).or(fill.first()).copied().unwrap_or(0.0);
        }
        values[(channel * height + y as usize) * width + x as usize]
    };
    (0..values.len()).map(pixel).collect()
}

/// Each pixel from where the inverse of the change leads, bilinear; zeros outside.
fn warped(values: &[f32], sizes: Sizes, warp: &Warp, stream: &mut Stream) -> Vec<f32> {
    let Sizes { height, width, .. } = sizes;
    let angle = around(warp.degrees, stream).to_radians();
    let shear = around(warp.shear, stream).to_radians().tan();
    let scale = (1.0 + around(warp.scale, stream)).max(1e-3);
    let down = around(warp.translate, stream) * height as f32;
    let right = around(warp.translate, stream) * width as f32;
    let (sin, cos) = angle.sin_cos();
    let (middle_y, middle_x) = ((height as f32 - 1.0) / 2.0, (width as f32 - 1.0) / 2.0);
    let pixel = |index: usize| {
        let (channel, y, x) = (
            index / (height * width),
            index / width % height,
            index % width,
        );
        let (dy, dx) = (
            (y as f32 - middle_y - down) / scale,
            (x as f32 - middle_x - right) / scale,
        );
        let dx = dx - shear * dy;
        let (from_y, from_x) = (
            cos * dy - sin * dx + middle_y,
            sin * dy + cos * dx + middle_x,
        );
        bilinear(&values[channel * height * width..], sizes, from_y, from_x)
    };
    (0..values.len()).map(pixel).collect()
}

fn bilinear(image: &[f32], sizes: Sizes, y: f32, x: f32) -> f32 {
    let at = |y: f32, x: f32| {
        let inside = y >= 0.0 && x >= 0.0 && y < sizes.height as f32 && x < sizes.width as f32;
        match inside {
            true => image[y as usize * sizes.width + x as usize],
            false => 0.0,
        }
    };
    let (low_y, low_x) = (y.floor(), x.floor());
    let (part_y, part_x) = (y - low_y, x - low_x);
    let row = |y: f32| at(y, low_x) * (1.0 - part_x) + at(y, low_x + 1.0) * part_x;
    row(low_y) * (1.0 - part_y) + row(low_y + 1.0) * part_y
}

/// A number in `[-amount, amount)`.
fn around(amount: f32, stream: &mut Stream) -> f32 {
    amount * (2.0 * unit(stream) - 1.0)
}

fn unit(stream: &mut Stream) -> f32 {
    uniform(stream.next_u64() as u32)
}

/// Box and Muller.
fn normal(stream: &mut Stream) -> f32 {
    let bits = stream.next_u64();
    let (first, second) = (uniform(bits as u32), uniform((bits >> 32) as u32));
    (-2.0 * (1.0 - first).ln()).sqrt() * (std::f32::consts::TAU * second).cos()
}

/// Beta(alpha, alpha), from two gamma numbers.
fn beta(alpha: f32, stream: &mut Stream) -> f32 {
    let (first, second) = (gamma(alpha, stream), gamma(alpha, stream));
    let sum = first + second;
    if sum > 0.0 { first / sum } else { 0.5 }
}

/// Gamma(alpha, 1) by Marsaglia and Tsang (2000); for alpha below 1 by way of alpha + 1.
fn gamma(alpha: f32, stream: &mut Stream) -> f32 {
    if alpha < 1.0 {
        let power = (1.0 - unit(stream)).powf(1.0 / alpha);
        return gamma(alpha + 1.0, stream) * power;
    }
    let d = alpha - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(stream);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && (1.0 - unit(stream)).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dataset, Invocation, Value, apply_stages};

    /// Five images `[1, 4, 6]`, each of the value of its class.
    fn images() -> Dataset {
        let values = (0..5 * 24)
            .map(|index| (index / 24) as f32)
            .collect::<Vec<_>>();
        let image = Field {
            shape: vec![1, 4, 6],
            values: Values::Floats(values.into()),
            classes: None,
            origin: "images".into(),
        };
        let label = Field {
            shape: vec![],
            values: Values::Integers((0..5).collect::<Vec<_>>().into()),
            classes: Some(5),
            origin: "labels".into(),
        };
        let splits = [("train".to_string(), Split::new(vec![image, label]))];
        Dataset {
            splits: splits.into(),
        }
    }

    fn with(stage: &str, numbers: &[f64]) -> Split {
        let mut dataset = images();
        let values = numbers.iter().map(|number| Value::Float(*number));
        apply_stages(&mut dataset, &[Invocation::new(stage, values)]).expect("fits");
        dataset.splits["train"].clone()
    }

    fn gathered(split: &Split, part: usize, pass: u32) -> Vec<f32> {
        let mut place = vec![0.0; 5 * split.fields[part].elements()];
        let key = [3, pass];
        Changed { split, part, key }.fill(&[0, 1, 2, 3, 4], 1, &mut place);
        place
    }

    #[test]
    fn labels_are_mixed_as_their_images_are() {
        for stage in ["mixup", "cutmix"] {
            let split = with(stage, &[1.0]);
            let mut mixed = 0;
            for pass in 0..8 {
                let (images, labels) = (gathered(&split, 0, pass), gathered(&split, 1, pass));
                for (image, label) in images.chunks(24).zip(labels.chunks(5)) {
                    let mean = image.iter().sum::<f32>() / 24.0;
                    let class: f32 = (0..5).map(|class| label[class] * class as f32).sum();
                    assert!((label.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{label:?}");
                    assert!((mean - class).abs() < 1e-4, "{stage}: {mean} for {label:?}");
                    mixed += usize::from(label.iter().filter(|part| **part > 0.0).count() == 2);
                }
            }
            assert!(mixed > 10, "{stage}: {mixed} of 40 are mixed");
        }
    }

    #[test]
    fn changes_of_nothing_change_nothing() {
        for (stage, none) in [
            ("rotate", vec![0.0]),
            ("affine", vec![0.0; 4]),
            ("brightness", vec![0.0]),
            ("contrast", vec![0.0]),
            ("noise", vec![0.0]),
        ] {
            let split = with(stage, &none);
            let expected: Vec<f32> = (0..5).flat_map(|row| split.fields[0].sample(row)).collect();
            assert_eq!(gathered(&split, 0, 1), expected, "{stage}");
        }
    }

    #[test]
    fn passes_differ_and_repeat() {
        for (stage, amount) in [
            ("brightness", 0.5),
            ("noise", 0.5),
            ("erase", 0.5),
            ("rotate", 40.0),
        ] {
            let split = with(stage, &[amount]);
            assert_eq!(gathered(&split, 0, 1), gathered(&split, 0, 1), "{stage}");
            assert_ne!(gathered(&split, 0, 1), gathered(&split, 0, 2), "{stage}");
            assert!(gathered(&split, 0, 1).iter().all(|value| value.is_finite()));
        }
    }

    #[test]
    fn noise_has_its_deviation() {
        let split = with("noise", &[2.0]);
        let noise: Vec<f32> = (0..200)
            .flat_map(|pass| gathered(&split, 0, pass)[..24].to_vec())
            .collect();
        let mean = noise.iter().sum::<f32>() / noise.len() as f32;
        let square = noise.iter().map(|value| value * value).sum::<f32>() / noise.len() as f32;
        assert!(
            mean.abs() < 0.1 && (square - 4.0).abs() < 0.3,
            "{mean}, {square}"
        );
    }
}
