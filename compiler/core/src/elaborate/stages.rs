//! The stages of data pipelines, and what each does to the type and the count of samples.

use super::data::{DataValue, UNKNOWN_COUNT};
use super::program::{StageSpec, StaticArgument, StaticValue};
use super::world::SplitDescription;
use crate::graph::DType;

/// A stage.
#[derive(Debug)]
pub(super) struct Stage {
    /// Its name.
    pub name: &'static str,
    effect: Effect,
}

/// What a stage does, as far as types and counts go. An error is the end of a sentence that begins with its name.
type Effect = fn(&StageSpec, &mut DataValue) -> Result<(), String>;

const STAGES: &[Stage] = &[
    Stage {
        name: "normalize",
        effect: value_stage,
    },
    Stage {
        name: "scale",
        effect: value_stage,
    },
    Stage {
        name: "standardize",
        effect: value_stage,
    },
    Stage {
        name: "resize",
        effect: resize,
    },
    Stage {
        name: "grayscale",
        effect: grayscale,
    },
    Stage {
        name: "one_hot",
        effect: soft_labels,
    },
    Stage {
        name: "map",
        effect: value_stage,
    },
    Stage {
        name: "random_crop",
        effect: value_stage,
    },
    Stage {
        name: "flip_horizontal",
        effect: value_stage,
    },
    Stage {
        name: "rotate",
        effect: value_stage,
    },
    Stage {
        name: "affine",
        effect: value_stage,
    },
    Stage {
        name: "brightness",
        effect: value_stage,
    },
    Stage {
        name: "contrast",
        effect: value_stage,
    },
    Stage {
        name: "erase",
        effect: value_stage,
    },
    Stage {
        name: "noise",
        effect: value_stage,
    },
    Stage {
        name: "mixup",
        effect: mixed_labels,
    },
    Stage {
        name: "cutmix",
        effect: mixed_labels,
    },
    Stage {
        name: "shuffle",
        effect: |_, value| {
            value.shuffled = true;
            Ok(())
        },
    },
    Stage {
        name: "batch",
        effect: batch,
    },
    Stage {
        name: "take",
        effect: take,
    },
    Stage {
        name: "split",
        effect: split,
    },
    Stage {
        name: "balance",
        effect: balance,
    },
    Stage {
        name: "window",
        effect: window,
    },
    Stage {
        name: "chars",
        effect: |_, _| Ok(()),
    },
    Stage {
        name: "filter_class",
        effect: filter_class,
    },
];

/// The stages that change samples at random, anew in each epoch: they help training, and in an evaluation would only blur
/// what is measured.
const AUGMENTATION: &[&str] = &[
    "random_crop",
    "flip_horizontal",
    "rotate",
    "affine",
    "brightness",
    "contrast",
    "erase",
    "noise",
    "mixup",
    "cutmix",
];

/// Whether the stage of that name is augmentation.
pub(super) fn augments(name: &str) -> bool {
    AUGMENTATION.contains(&name)
}

/// The stage of that name.
pub(super) fn find(name: &str) -> Option<&'static Stage> {
    STAGES.iter().find(|stage| stage.name == name)
}

/// The names of all stages.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    STAGES.iter().map(|stage| stage.name)
}

/// Applies a stage to a description and notes it among the pipeline's; `batch` becomes a field.
pub(super) fn apply(stage: &Stage, spec: &StageSpec, value: &mut DataValue) -> Result<(), String> {
    (stage.effect)(spec, value)?;
    if stage.name != "batch" {
        value.stages.push(spec.clone());
    }
    Ok(())
}

fn int(spec: &StageSpec, position: usize, name: &str) -> Option<i64> {
    StaticArgument::find(&spec.arguments, position, name).and_then(StaticValue::as_i64)
}

/// Changes values, not types; there must be floats.
fn value_stage(_: &StageSpec, value: &mut DataValue) -> Result<(), String> {
    match value.parts.first() {
        Some(part) if part.dtype.is_float() => Ok(()),
        _ => Err("works on floats, and these samples have none".to_owned()),
    }
}

fn resize(spec: &StageSpec, value: &mut DataValue) -> Result<(), String> {
    let (height, width) = int(spec, 0, "h")
        .zip(int(spec, 1, "w"))
        .filter(|&(height, width)| {
            (1..=1 << 16).contains(&height) && (1..=1 << 16).contains(&width)
        })
        .ok_or("needs a height and a width: `resize[28, 28]`")?;
    match value
        .parts
        .first_mut()
        .map(|part| part.shape.as_mut_slice())
    {
        Some([_, own_height, own_width]) => {
            (*own_height, *own_width) = (height, width);
            Ok(())
        }
        _ => Err("works on images, [C, H, W]".to_owned()),
    }
}

fn grayscale(_: &StageSpec, value: &mut DataValue) -> Result<(), String> {
    match value
        .parts
        .first_mut()
        .map(|part| part.shape.as_mut_slice())
    {
        Some([channels, _, _]) => {
            *channels = 1;
            Ok(())
        }
        _ => Err("works on images, [C, H, W]".to_owned()),
    }
}

/// Labels become f32 over classes.
fn soft_labels(_: &StageSpec, value: &mut DataValue) -> Result<(), String> {
    let label = value.parts.iter_mut().find(|part| part.classes.is_some());
    match label {
        // Already made so by an earlier stage.
        Some(label) if label.shape == [label.classes.unwrap_or(0)] => Ok(()),
        Some(label) if label.shape.is_empty() => {
            label.shape = vec![label.classes.unwrap_or(0)];
            label.dtype = DType::F32;
            Ok(())
        }
        _ => Err("needs labels whose classes are known".to_owned()),
    }
}

/// Labels become f32 over classes, and a sample is of several.
fn mixed_labels(spec: &StageSpec, value: &mut DataValue) -> Result<(), String> {
    soft_labels(spec, value)?;
    value.uncounted = Some("`mixup` and `cutmix` make samples that are of several classes");
    Ok(())
}

/// Each class equally often; how often exactly depends on the data.
fn balance(_: &StageSpec, value: &mut DataValue) -> Result<(), String> {
    value
        .splits
        .iter_mut()
        .for_each(|split| split.class_counts.clear());
    Ok(())
}

/// `filter_class[3, 5]`: only samples of these classes.
fn filter_class(spec: &StageSpec, value: &mut DataValue) -> Result<(), String> {
    let mut classes = Vec::new();
    for argument in &spec.arguments {
        match &argument.value {
            StaticValue::Int(class) => classes.push(*class),
            StaticValue::List(items) => {
                classes.extend(items.iter().filter_map(StaticValue::as_i64))
            }
            _ => return Err("takes classes: `filter_class[3, 5]`".to_owned()),
        }
    }
    if classes.is_empty() {
        return Err("takes classes: `filter_class[3, 5]`".to_owned());
    }
    value
        .splits
        .iter_mut()
        .for_each(|split| keep(split, &classes));
    Ok(())
}

/// Leaves a split with the samples of these classes.
fn keep(split: &mut SplitDescription, classes: &[i64]) {
    if split.class_counts.is_empty() {
        split.count = UNKNOWN_COUNT;
        return;
    }
    for (class, count) in (0..).zip(&mut split.class_counts) {
        if !classes.contains(&class) {
            *count = 0;
        }
    }
    split.count = split.class_counts.iter().sum();
}

fn batch(spec: &StageSpec, value: &mut DataValue) -> Result<(), String> {
    let unnamed = spec
        .arguments
        .iter()
        .filter(|own| own.name.is_none())
        .count();
    let mut names = spec.arguments.iter().filter_map(|own| own.name.as_deref());
    if unnamed > 2 || names.any(|name| !["n", "drop"].contains(&name)) {
        return Err("takes `batch[n, drop=true]`".to_owned());
    }
    let size = int(spec, 0, "n").filter(|&size| (1..=1 << 24).contains(&size));
    value.batch = Some(size.ok_or("needs a whole number of samples, at least 1")?);
    value.drop_last = match StaticArgument::find(&spec.arguments, 1, "drop") {
        None => false,
        Some(drop) => drop
            .as_bool()
            .ok_or("`drop` should be true or false: `batch[64, drop=true]`")?,
    };
    Ok(())
}

fn take(spec: &StageSpec, value: &mut DataValue) -> Result<(), String> {
    let count = int(spec, 0, "n")
        .filter(|&count| count > 0)
        .ok_or("needs a whole number of samples, at least 1")?;
    for split in &mut value.splits {
        let takes_all = (0..=count).contains(&split.count);
        split.count = split.count.min(count);
        if !takes_all {
            split.class_counts.clear();
            let varies = Some("`take` after `shuffle` takes other samples in each epoch");
            value.uncounted = value.uncounted.or(varies.filter(|_| value.shuffled));
        }
    }
    Ok(())
}

/// `split[fraction]`: what there is becomes `train` and `test`.
fn split(spec: &StageSpec, value: &mut DataValue) -> Result<(), String> {
    let fraction =
        StaticArgument::find(&spec.arguments, 0, "fraction").and_then(StaticValue::as_f64);
    let fraction = fraction
        .filter(|fraction| *fraction > 0.0 && *fraction < 1.0)
        .ok_or("needs the fraction of training samples, between 0 and 1")?;
    if value.stages.iter().any(|stage| stage.name == "window") {
        return Err("stands before `window`: neighbouring windows share elements".to_owned());
    }
    let counts = value.splits.iter().map(|split| split.count);
    let total = match counts.clone().any(|count| count == UNKNOWN_COUNT) {
        true => None,
        false => Some(counts.sum::<i64>()),
    };
    let train = total.map(|total| (total as f64 * fraction).round() as i64);
    let test = total.zip(train).map(|(total, train)| total - train);
    let vocab = value.splits.first().and_then(|split| split.vocab);
    let part = |name: &str, count: Option<i64>| SplitDescription {
        name: name.to_owned(),
        count: count.unwrap_or(UNKNOWN_COUNT),
        class_counts: Vec::new(),
        vocab,
    };
    value.splits = vec![part("train", train), part("test", test)];
    Ok(())
}

/// `window[n]`: sequences of n elements and the n that follow one later.
fn window(spec: &StageSpec, value: &mut DataValue) -> Result<(), String> {
    let size = int(spec, 0, "n")
        .filter(|&size| size > 0)
        .ok_or("needs a whole number of elements")?;
    let Some(first) = value.parts.first().cloned() else {
        return Err("needs a sequence".to_owned());
    };
    let mut part = first;
    part.shape.insert(0, size);
    value.parts = vec![part.clone(), part];
    for split in &mut value.splits {
        split.class_counts.clear();
        if split.count == UNKNOWN_COUNT {
            continue;
        }
        if split.count <= size {
            return Err(format!(
                "needs more than {size} elements for windows of {size}, and the split `{}` has {}",
                split.name, split.count
            ));
        }
        split.count -= size;
    }
    Ok(())
}
