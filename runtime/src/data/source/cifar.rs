//! `cifar10[dir]`: Krizhevsky's binary format, compressed or not: `data_batch_1.bin` to `data_batch_5.bin`, as many of
//! them as there are, and `test_batch.bin`. Images are `f32[3, 32, 32]` in 0 to 1.

use std::path::{Path, PathBuf};

use super::{PartDescription, SourceDescription, SplitDescription, labels};
use crate::data::file::{find, format_error, read, size};
use crate::data::{Affine, Arguments, DataError, Dataset, Field, Invocation, Split, Values};
use crate::tensor::DataType;

const SHAPE: [u64; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;
const RECORD: usize = 1 + PIXELS;

pub(super) fn describe(source: &Invocation, base: &Path) -> Result<SourceDescription, DataError> {
    let mut splits = Vec::new();
    for (name, files) in files(source, base)? {
        let mut count = 0;
        for file in &files {
            count += records(file, size(file)?)?;
        }
        splits.push(SplitDescription {
            name: name.to_string(),
            count,
            class_counts: Vec::new(),
            vocab: None,
        });
    }
    let image = PartDescription {
        dtype: DataType::F32,
        shape: SHAPE.to_vec(),
        classes: None,
    };
    Ok(SourceDescription {
        parts: vec![
            image,
            PartDescription {
                dtype: DataType::I32,
                shape: vec![],
                classes: Some(10),
            },
        ],
        splits,
    })
}

pub(super) fn load(source: &Invocation, base: &Path) -> Result<Dataset, DataError> {
    let mut dataset = Dataset::default();
    for (name, files) in files(source, base)? {
        let (mut pixels, mut classes) = (Vec::new(), Vec::new());
        for file in &files {
            let bytes = read(file)?;
            records(file, bytes.len() as u64)?;
            for record in bytes.chunks_exact(RECORD) {
                classes.push(i32::from(record[0]));
                pixels.extend_from_slice(&record[1..]);
            }
        }
        let names: Vec<_> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        let origin = names.join(" + ");
        let values = Values::Bytes(pixels.into(), Affine::uniform(1.0 / 255.0, 0.0));
        let images = Field {
            shape: SHAPE.to_vec(),
            values,
            classes: None,
            origin: origin.clone(),
        };
        let fields = vec![images, labels(classes, Some(10), origin)];
        dataset.splits.insert(name.to_string(), Split::new(fields));
    }
    Ok(dataset)
}

fn files(source: &Invocation, base: &Path) -> Result<[(&'static str, Vec<PathBuf>); 2], DataError> {
    let folder = base.join(Arguments::new(source, &["dir"])?.required_text("dir")?);
    let mut train = vec![find(&folder, &["data_batch_1.bin"])?];
    train.extend(
        (2..=5).map_while(|number| find(&folder, &[&format!("data_batch_{number}.bin")]).ok()),
    );
    Ok([
        ("train", train),
        ("test", vec![find(&folder, &["test_batch.bin"])?]),
    ])
}

fn records(path: &Path, bytes: u64) -> Result<u64, DataError> {
    if bytes > 0 && bytes.is_multiple_of(RECORD as u64) {
        return Ok(bytes / RECORD as u64);
    }
    Err(format_error(
        path,
        "a multiple of 3073 bytes (label and 3 x 32 x 32 pixels)",
        format!("{bytes} bytes"),
    ))
}
