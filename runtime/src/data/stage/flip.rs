//! `flip_horizontal`: each sample is mirrored left to right one time in two, anew in each epoch.

use super::{Arguments, Augmentation, DataError, Dataset, Invocation, image_sizes, values_of};

pub(super) fn flip_horizontal(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    Arguments::new(stage, &[])?;
    for (field, augmentations) in values_of(dataset) {
        image_sizes(&stage.name, field)?;
        augmentations.push(Augmentation::FlipHorizontal);
    }
    Ok(())
}
