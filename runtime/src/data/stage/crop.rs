//! `random_crop[pad]`: zeros around the image, then a window of its size at a random place, anew in each epoch.

use super::{Arguments, Augmentation, DataError, Dataset, Invocation, image_sizes, values_of};

/// The largest border.
const MAX_PAD: i64 = 1 << 12;

pub(super) fn random_crop(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    let arguments = Arguments::new(stage, &["pad"])?;
    let pad = arguments.required_integer("pad", 0)?;
    if pad > MAX_PAD {
        return Err(arguments.error(format!("`pad` up to {MAX_PAD} is possible")));
    }
    for (field, augmentations) in values_of(dataset) {
        image_sizes(&stage.name, field)?;
        augmentations.push(Augmentation::RandomCrop {
            pad: pad as u32,
            fill: vec![0.0],
        });
    }
    Ok(())
}
