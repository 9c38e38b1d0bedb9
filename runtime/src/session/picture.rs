//! Images that an evaluation reports: one PNG file for each, all images of a batch side by side.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::Evaluation;
use crate::tensor::Tensor;

/// Smaller images are enlarged until a side has about so many pixels.
const LEAST_SIDE: usize = 32;
/// Pixels between images.
const GAP: usize = 2;
/// The grey between images.
const GAP_VALUE: u8 = 128;

/// Why a picture was not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {reason}", path.display())]
pub struct PictureError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    pub reason: png::EncodingError,
}

/// Writes `DIRECTORY/NAME-EPOCH.png` for each picture of an evaluation, epochs from 1; where the evaluation has a name of
/// its own, that comes first. The folder is made when there is one to write.
pub(super) fn write_all(directory: &Path, evaluation: &Evaluation) -> Result<(), PictureError> {
    for (name, images) in &evaluation.pictures {
        let prefix = match evaluation.split.as_str() {
            "eval" => String::new(),
            split => format!("{split}-"),
        };
        let file = format!("{prefix}{name}-{:04}.png", evaluation.epoch + 1);
        let path = directory.join(file);
        let made = std::fs::create_dir_all(directory).map_err(png::EncodingError::from);
        made.and_then(|()| write(&path, images))
            .map_err(|reason| PictureError { path, reason })?;
    }
    Ok(())
}

/// Encodes and writes whole, under another name first, so that no half file is ever seen.
fn write(path: &Path, images: &Tensor) -> Result<(), png::EncodingError> {
    let Some(grid) = Grid::of(images) else {
        return Ok(());
    };
    let partial = path.with_extension("png.partial");
    let mut file = BufWriter::new(File::create(&partial)?);
    let mut encoder = png::Encoder::new(&mut file, grid.width as u32, grid.height as u32);
    encoder.set_color(match grid.channels {
        3 => png::ColorType::Rgb,
        _ => png::ColorType::Grayscale,
    });
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&grid.bytes)?;
    writer.finish()?;
    file.flush()?;
    std::fs::rename(&partial, path)?;
    Ok(())
}

/// Images side by side.
#[derive(Debug, PartialEq)]
struct Grid {
    width: usize,
    height: usize,
    channels: usize,
    /// Rows of pixels of `channels` bytes.
    bytes: Vec<u8>,
}

impl Grid {
    /// Of images `[N, C, H, W]` with values 0 (black) to 1 (white), others cut: as many columns as make it about square.
    fn of(images: &Tensor) -> Option<Grid> {
        let &[count, channels, rows, columns] = images.shape() else {
            return None;
        };
        let [count, channels, rows, columns] =
            [count, channels, rows, columns].map(|size| size as usize);
        let values = images.to_f32();
        if values.is_empty() {
            return None;
        }
        let zoom = (LEAST_SIDE / rows.max(columns)).max(1);
        let across = (1..).find(|across| across * across >= count)?;
        let down = count.div_ceil(across);
        let pitch = [rows * zoom + GAP, columns * zoom + GAP];
        let (height, width) = (down * pitch[0] + GAP, across * pitch[1] + GAP);
        let mut grid = Grid {
            width,
            height,
            channels,
            bytes: vec![GAP_VALUE; width * height * channels],
        };
        for (index, image) in values.chunks_exact(channels * rows * columns).enumerate() {
            let place = [
                GAP + index / across * pitch[0],
                GAP + index % across * pitch[1],
            ];
            grid.draw(image, [rows * zoom, columns * zoom], zoom, place);
        }
        Some(grid)
    }

    /// Draws an image `[C, H, W]`, enlarged to `size`, with its upper left corner at `place`.
    fn draw(&mut self, image: &[f32], size: [usize; 2], zoom: usize, place: [usize; 2]) {
        let (rows, columns) = (size[0] / zoom, size[1] / zoom);
        for row in 0..size[0] {
            for column in 0..size[1] {
                let pixel = ((place[0] + row) * self.width + place[1] + column) * self.channels;
                for channel in 0..self.channels {
                    let from = (channel * rows + row / zoom) * columns + column / zoom;
                    self.bytes[pixel + channel] = (image[from] * 255.0).round() as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: [u64; 4], values: &[f32]) -> Tensor {
        Tensor::from_f32(shape.to_vec(), values).expect("shape and values agree")
    }

    #[test]
    fn values_beyond_black_and_white_are_cut() {
        let images = tensor([1, 1, 1, 64], &[[-1.0, 0.0, 0.5, 7.0]; 16].concat());
        let grid = Grid::of(&images).expect("there are images");
        assert_eq!((grid.width, grid.height), (64 + 2 * GAP, 1 + 2 * GAP));
        let row = &grid.bytes[GAP * grid.width..][GAP..GAP + 4];
        assert_eq!(row, [0, 0, 128, 255]);
    }

    #[test]
    fn images_stand_in_rows_and_are_enlarged() {
        let images = tensor(
            [3, 1, 16, 16],
            &[[0.0; 256], [1.0; 256], [0.2; 256]].concat(),
        );
        let grid = Grid::of(&images).expect("there are images");
        assert_eq!((grid.width, grid.height), (2 * 34 + 2, 2 * 34 + 2));
        let at = |row: usize, column: usize| grid.bytes[row * grid.width + column];
        let corners = [at(2, 2), at(33, 33), at(2, 36), at(36, 2), at(36, 36)];
        assert_eq!(corners, [0, 0, 255, 51, GAP_VALUE]);
    }

    #[test]
    fn colours_stand_side_by_side() {
        let mut values = vec![1.0; 32 * 32];
        values.extend([0.0; 32 * 32]);
        values.extend([0.6; 32 * 32]);
        let grid = Grid::of(&tensor([1, 3, 32, 32], &values)).expect("there are images");
        let pixel = (GAP * grid.width + GAP) * 3;
        assert_eq!(grid.bytes[pixel..pixel + 3], [255, 0, 153]);
    }

    #[test]
    fn a_file_reads_back_as_it_was_drawn() {
        let folder = tempfile::tempdir().expect("a folder");
        let images = tensor(
            [2, 1, 8, 8],
            &(0..128).map(|i| i as f32 / 127.0).collect::<Vec<_>>(),
        );
        let evaluation = |split: &str| Evaluation {
            epoch: 4,
            iter: 9,
            split: split.to_string(),
            samples: 2,
            values: Vec::new(),
            pictures: vec![("samples".to_string(), images.clone())],
        };
        write_all(folder.path(), &evaluation("eval")).expect("it can be written");
        write_all(folder.path(), &evaluation("valid")).expect("it can be written");
        assert!(folder.path().join("valid-samples-0005.png").exists());
        let file = File::open(folder.path().join("samples-0005.png")).expect("the file");
        let mut reader = png::Decoder::new(std::io::BufReader::new(file))
            .read_info()
            .expect("a PNG file");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a small picture")];
        let info = reader.next_frame(&mut bytes).expect("a picture");
        let grid = Grid::of(&images).expect("there are images");
        assert_eq!(
            (info.width as usize, info.height as usize),
            (grid.width, grid.height)
        );
        assert_eq!(bytes, grid.bytes);
        assert_eq!(
            std::fs::read_dir(folder.path())
                .expect("the folder")
                .count(),
            2
        );
    }
}
