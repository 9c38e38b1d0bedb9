//! Random changes of images while they are gathered.

use crate::data::{Augmentation, Field, Values};
use crate::random::threefry2x32;

/// A field with what is done to its samples. `key` is the pass's.
pub(super) struct Augmented<'a> {
    pub field: &'a Field,
    pub augmentations: &'a [Augmentation],
    pub key: [u32; 2],
}

/// What was drawn for one sample and augmentation: where an output pixel comes from.
#[derive(Clone, Copy)]
struct Drawn {
    mirrored: bool,
    down: i64,
    right: i64,
}

impl Augmented<'_> {
    /// Fills samples as [`super::Gather::fill`] does. Each sample's changes depend on the pass and the sample alone.
    pub(super) fn fill(&self, rows: &[u32], lanes: usize, place: &mut [f32]) {
        let elements = self.field.elements();
        let (sample_stride, element_stride) = if lanes == 1 {
            (elements, 1)
        } else {
            (1, lanes)
        };
        place.fill(0.0);
        for (index, row) in rows.iter().enumerate() {
            self.sample(*row, &mut place[index * sample_stride..], element_stride);
        }
    }

    fn sample(&self, row: u32, place: &mut [f32], stride: usize) {
        let [channels, height, width] = match self.field.shape[..] {
            [channels, height, width] => [channels as usize, height as usize, width as usize],
            _ => return,
        };
        for y in 0..height {
            for x in 0..width {
                let source = self.source(row, height, width, y, x);
                for channel in 0..channels {
                    let element = (channel * height + y) * width + x;
                    place[element * stride] = match source {
                        Ok((y, x)) => self.value(row, channel, (channel * height + y) * width + x),
                        Err(fill) => fill.get(channel).or(fill.first()).copied().unwrap_or(0.0),
                    };
                }
            }
        }
    }

    /// Where a pixel comes from, last change first; or what fills it.
    fn source(
        &self,
        row: u32,
        height: usize,
        width: usize,
        y: usize,
        x: usize,
    ) -> Result<(usize, usize), &[f32]> {
        let (mut y, mut x) = (y, x);
        for (index, augmentation) in self.augmentations.iter().enumerate().rev() {
            let drawn = self.draw(augmentation, row, index as u32);
            if drawn.mirrored {
                x = width - 1 - x;
            }
            let (from_y, from_x) = (y as i64 + drawn.down, x as i64 + drawn.right);
            let inside =
                (0..height as i64).contains(&from_y) && (0..width as i64).contains(&from_x);
            match augmentation {
                Augmentation::RandomCrop { fill, .. } if !inside => return Err(fill),
                _ => (y, x) = (from_y as usize, from_x as usize),
            }
        }
        Ok((y, x))
    }

    fn draw(&self, augmentation: &Augmentation, row: u32, index: u32) -> Drawn {
        let bits = threefry2x32(self.key, [row, index]);
        match augmentation {
            Augmentation::FlipHorizontal => Drawn {
                mirrored: bits[0] & 1 == 1,
                down: 0,
                right: 0,
            },
            Augmentation::RandomCrop { pad, .. } => {
                let shift = |bits: u32| {
                    ((i64::from(bits) * (2 * i64::from(*pad) + 1)) >> 32) - i64::from(*pad)
                };
                Drawn {
                    mirrored: false,
                    down: shift(bits[0]),
                    right: shift(bits[1]),
                }
            }
            // What changes more than places is computed as a whole.
            _ => Drawn {
                mirrored: false,
                down: 0,
                right: 0,
            },
        }
    }

    fn value(&self, row: u32, channel: usize, element: usize) -> f32 {
        let index = row as usize * self.field.elements() + element;
        match &self.field.values {
            Values::Bytes(bytes, affine) => affine.apply(channel, f32::from(bytes[index])),
            Values::Floats(floats) => floats[index],
            Values::Integers(integers) => integers[index] as f32,
            Values::Windows { .. } => 0.0,
        }
    }
}
