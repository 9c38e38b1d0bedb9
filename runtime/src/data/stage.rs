//! The table of stages. A stage is one file and one line here.

mod augment;
mod check;
mod choose;
mod crop;
mod flip;
mod grayscale;
mod map;
mod normalize;
mod one_hot;
mod order;
mod resize;
mod window;

pub use check::check_stage;

pub use choose::Groups;

use super::{Affine, Arguments, Augmentation, DataError, Dataset, Field, Invocation, Values};

/// A stage by name: what it does to each split of a data set.
struct Stage {
    name: &'static str,
    apply: fn(&mut Dataset, &Invocation) -> Result<(), DataError>,
}

const STAGES: [Stage; 24] = [
    Stage {
        name: "normalize",
        apply: normalize::normalize,
    },
    Stage {
        name: "scale",
        apply: normalize::scale,
    },
    Stage {
        name: "standardize",
        apply: normalize::standardize,
    },
    Stage {
        name: "resize",
        apply: resize::resize,
    },
    Stage {
        name: "grayscale",
        apply: grayscale::grayscale,
    },
    Stage {
        name: "one_hot",
        apply: one_hot::one_hot,
    },
    Stage {
        name: "map",
        apply: map::map,
    },
    Stage {
        name: "flip_horizontal",
        apply: flip::flip_horizontal,
    },
    Stage {
        name: "random_crop",
        apply: crop::random_crop,
    },
    Stage {
        name: "rotate",
        apply: augment::rotate,
    },
    Stage {
        name: "affine",
        apply: augment::affine,
    },
    Stage {
        name: "brightness",
        apply: augment::brightness,
    },
    Stage {
        name: "contrast",
        apply: augment::contrast,
    },
    Stage {
        name: "erase",
        apply: augment::erase,
    },
    Stage {
        name: "noise",
        apply: augment::noise,
    },
    Stage {
        name: "mixup",
        apply: augment::mixup,
    },
    Stage {
        name: "cutmix",
        apply: augment::cutmix,
    },
    Stage {
        name: "balance",
        apply: choose::balance,
    },
    Stage {
        name: "filter_class",
        apply: choose::filter_class,
    },
    Stage {
        name: "window",
        apply: window::window,
    },
    Stage {
        name: "chars",
        apply: window::chars,
    },
    Stage {
        name: "shuffle",
        apply: order::shuffle,
    },
    Stage {
        name: "take",
        apply: order::take,
    },
    Stage {
        name: "split",
        apply: order::split,
    },
];

/// The names of all stages.
pub fn stage_names() -> impl Iterator<Item = &'static str> {
    STAGES.iter().map(|stage| stage.name)
}

/// Applies stages in order. (`batch` is no stage here: it belongs to who feeds.)
///
/// # Errors
/// When there is no such stage, an argument is wrong, or it does not fit the values.
pub fn apply_stages(dataset: &mut Dataset, stages: &[Invocation]) -> Result<(), DataError> {
    for stage in stages {
        let known = STAGES
            .iter()
            .find(|known| known.name == stage.name)
            .ok_or_else(|| DataError::UnknownStage {
                name: stage.name.clone(),
                known: stage_names().collect::<Vec<_>>().join(", "),
            })?;
        (known.apply)(dataset, stage)?;
    }
    Ok(())
}

/// The first part of each split's samples: the value that stages change.
fn values_of(dataset: &mut Dataset) -> impl Iterator<Item = (&mut Field, &mut Vec<Augmentation>)> {
    dataset
        .splits
        .values_mut()
        .filter_map(|split| Some((split.fields.first_mut()?, &mut split.augmentations)))
}

/// Applies `value * scale + bias` to the first part of each split.
fn apply_affine(dataset: &mut Dataset, stage: &str, affine: &Affine) -> Result<(), DataError> {
    for (field, augmentations) in values_of(dataset) {
        let channels = affine.scale.len().max(affine.bias.len());
        if channels != 1 && field.shape.first() != Some(&(channels as u64)) {
            let expected = format!("values with {channels} channels, one per number given");
            return Err(unfit(stage, expected, field));
        }
        let inner = field.channel_elements().max(1);
        if augmentations.iter().any(|each| !each.moves_only()) {
            augmentations.push(Augmentation::Scale(affine.clone()));
            continue;
        }
        let in_sample = field.elements().max(1);
        match &mut field.values {
            Values::Bytes(_, before) => *before = before.then(affine),
            Values::Floats(floats) => {
                let changed = floats.iter().enumerate();
                let changed =
                    changed.map(|(index, value)| affine.apply(index % in_sample / inner, *value));
                *floats = changed.collect::<Vec<_>>().into();
            }
            Values::Integers(_) | Values::Windows { .. } => {
                return Err(unfit(
                    stage,
                    "values that are not integers".to_string(),
                    field,
                ));
            }
        }
        for augmentation in augmentations {
            if let Augmentation::RandomCrop { fill, .. } = augmentation {
                let filled = Affine {
                    scale: vec![0.0; fill.len()],
                    bias: fill.clone(),
                };
                *fill = filled.then(affine).bias;
            }
        }
    }
    Ok(())
}

fn unfit(stage: &str, expected: String, field: &Field) -> DataError {
    let found = format!("{}{:?}", field.dtype(), field.shape);
    DataError::Unfit {
        stage: stage.to_string(),
        expected,
        found,
    }
}

/// The channels, height and width of images.
fn image_sizes(stage: &str, field: &Field) -> Result<[usize; 3], DataError> {
    match (&field.values, &field.shape[..]) {
        (Values::Bytes(..) | Values::Floats(_), &[channels, height, width]) => {
            Ok([channels, height, width].map(|size| size as usize))
        }
        _ => Err(unfit(stage, "images f32[C, H, W]".to_string(), field)),
    }
}

/// Replaces the values of each sample by what `change` makes of them.
fn map_samples(
    field: &mut Field,
    shape: Vec<u64>,
    change: impl Fn(&[f32]) -> Vec<f32>,
) -> Result<(), DataError> {
    let stored = field.stored();
    let total = shape
        .iter()
        .try_fold(stored as u64, |product, size| product.checked_mul(*size));
    let mut values: Vec<f32> = Vec::new();
    let reserved =
        total.and_then(|total| values.try_reserve_exact(usize::try_from(total).ok()?).ok());
    if reserved.is_none() {
        return Err(DataError::Memory {
            origin: field.origin.clone(),
            samples: stored as u64,
            shape,
        });
    }
    (0..stored).for_each(|row| values.extend(change(&field.sample(row))));
    field.shape = shape;
    field.values = Values::Floats(values.into());
    Ok(())
}

#[cfg(test)]
mod tests;
