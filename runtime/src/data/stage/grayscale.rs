//! `grayscale`: the brightness of red, green and blue, by the weights of ITU-R BT.601, as torchvision takes them.

use super::{
    Arguments, DataError, Dataset, Invocation, image_sizes, map_samples, unfit, values_of,
};

const WEIGHTS: [f32; 3] = [0.2989, 0.587, 0.114];

pub(super) fn grayscale(dataset: &mut Dataset, stage: &Invocation) -> Result<(), DataError> {
    Arguments::new(stage, &[])?;
    for (field, _) in values_of(dataset) {
        let [channels, height, width] = image_sizes(&stage.name, field)?;
        if channels == 1 {
            continue;
        }
        if channels != 3 {
            return Err(unfit(&stage.name, "images f32[3, H, W]".to_string(), field));
        }
        let pixels = height * width;
        map_samples(field, vec![1, height as u64, width as u64], |sample| {
            let brightness = |pixel| {
                (0..3)
                    .map(|channel| WEIGHTS[channel] * sample[channel * pixels + pixel])
                    .sum()
            };
            (0..pixels).map(brightness).collect()
        })?;
    }
    Ok(())
}
