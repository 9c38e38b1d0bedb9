//! Random changes that are more than moves, drawn anew for each sample in each epoch: `rotate[deg]`,
//! `affine[deg, translate, scale, shear]`, `brightness[amount]`, `contrast[amount]`, `erase[part]`, `noise[std]`,
//! `mixup[alpha]`, `cutmix[alpha]`. The last two make labels `f32` over classes.

use super::{
    Arguments, Augmentation, DataError, Dataset, Field, Invocation, Values, image_sizes, one_hot,
    unfit, values_of,
};
use crate::data::Warp;

pub(super) fn rotate(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let degrees = amount(stage, "deg", None, 360.0)?;
    let warp = Warp {
        degrees,
        ..Warp::default()
    };
    on_images(dataset, stage, Augmentation::Warp(warp))
}

pub(super) fn affine(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let arguments = Arguments::new(stage, &["deg", "translate", "scale", "shear"])?;
    let amount = |name: &str, most: f64| -> Result<f32, DataError> {
        in_range(
            &arguments,
            name,
            arguments.number(name)?.unwrap_or(0.0),
            most,
        )
    };
    let warp = Warp {
        degrees: amount("deg", 360.0)?,
        translate: amount("translate", 1.0)?,
        scale: amount("scale", 0.99)?,
        shear: amount("shear", 80.0)?,
    };
    on_images(dataset, stage, Augmentation::Warp(warp))
}

pub(super) fn brightness(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let amount = amount(stage, "amount", None, 1e6)?;
    on_values(dataset, stage, Augmentation::Brightness(amount))
}

pub(super) fn contrast(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let amount = amount(stage, "amount", None, 1e6)?;
    on_values(dataset, stage, Augmentation::Contrast(amount))
}

pub(super) fn erase(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let part = amount(stage, "part", Some(0.5), 1.0)?;
    on_images(dataset, stage, Augmentation::Erase(part))
}

pub(super) fn noise(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let deviation = amount(stage, "std", None, 1e6)?;
    on_values(dataset, stage, Augmentation::Noise(deviation))
}

pub(super) fn mixup(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let alpha = amount(stage, "alpha", Some(0.2), 1e6)?.max(1e-3);
    soft_labels(dataset)?;
    on_values(dataset, stage, Augmentation::Mixup(alpha))
}

pub(super) fn cutmix(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let alpha = amount(stage, "alpha", Some(1.0), 1e6)?.max(1e-3);
    soft_labels(dataset)?;
    on_images(dataset, stage, Augmentation::Cutmix(alpha))
}

/// The one number that most of these take.
fn amount(
    stage: &Invocation,
    name: &str,
    default: Option<f64>,
    most: f64,
) -> Result<f32, DataError> {
    let arguments = Arguments::new(stage, &[name])?;
    let number = match default {
        Some(default) => arguments.number(name)?.unwrap_or(default),
        None => arguments.required_number(name)?,
    };
    in_range(&arguments, name, number, most)
}

fn in_range(
    arguments: &Arguments<'_>,
    name: &str,
    number: f64,
    most: f64,
) -> Result<f32, DataError> {
    match (0.0..=most).contains(&number) {
        true => Ok(number as f32),
        false => Err(arguments.error(format!("`{name}` should be between 0 and {most}"))),
    }
}

fn on_images(
    dataset: &mut Dataset,
    stage: &Invocation,
    augmentation: Augmentation,
) -> Result<(), DataError> {
    for (field, augmentations) in values_of(dataset) {
        image_sizes(&stage.name, field)?;
        augmentations.push(augmentation.clone());
    }
    Ok(())
}

fn on_values(
    dataset: &mut Dataset,
    stage: &Invocation,
    augmentation: Augmentation,
) -> Result<(), DataError> {
    for (field, augmentations) in values_of(dataset) {
        if !matches!(field.values, Values::Bytes(..) | Values::Floats(_)) {
            return Err(unfit(&stage.name, "floats".to_string(), field));
        }
        augmentations.push(augmentation.clone());
    }
    Ok(())
}

/// Labels that are still classes become `f32` over classes.
fn soft_labels(dataset: &mut Dataset) -> Result<(), DataError> {
    let is_class =
        |field: &Field| matches!(field.values, Values::Integers(_)) && field.shape.is_empty();
    let mut splits = dataset.splits.values();
    match splits.any(|split| split.fields.iter().any(is_class)) {
        true => one_hot::one_hot(dataset, &Invocation::new("one_hot", [])),
        false => Ok(()),
    }
}
