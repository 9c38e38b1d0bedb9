//! `mnist[dir]`, `fashion_mnist[dir]` and `idx[images, labels, test_images, test_labels]`: LeCun's IDX format, compressed
//! or not. Images of bytes get a channel axis in front and values in 0 to 1.

use std::path::{Path, PathBuf};

use super::{
    PartDescription, SourceDescription, SplitDescription, check_counts, class_counts, labels,
};
use crate::data::file::{find, format_error, read, read_start};
use crate::data::{Affine, Arguments, DataError, Dataset, Field, Invocation, Split, Values};
use crate::tensor::DataType;

/// The type code of unsigned bytes, the only one that images and labels come in.
const UNSIGNED_BYTE: u8 = 8;

/// The files of one split.
struct Files {
    split: &'static str,
    images: PathBuf,
    labels: PathBuf,
}

pub(super) fn describe_mnist(
    source: &Invocation,
    base: &Path,
) -> Result<SourceDescription, DataError> {
    describe_files(&mnist_files(source, base)?, Some(10))
}

pub(super) fn load_mnist(source: &Invocation, base: &Path) -> Result<Dataset, DataError> {
    load_files(&mnist_files(source, base)?, Some(10))
}

pub(super) fn describe(source: &Invocation, base: &Path) -> Result<SourceDescription, DataError> {
    describe_files(&idx_files(source, base)?, None)
}

pub(super) fn load(source: &Invocation, base: &Path) -> Result<Dataset, DataError> {
    load_files(&idx_files(source, base)?, None)
}

fn mnist_files(source: &Invocation, base: &Path) -> Result<Vec<Files>, DataError> {
    let folder = base.join(Arguments::new(source, &["dir"])?.required_text("dir")?);
    let file = |prefix: &str, kind: &str, axes: u32| {
        let names =
            ["-", "."].map(|separator| format!("{prefix}-{kind}{separator}idx{axes}-ubyte"));
        find(&folder, &names.each_ref().map(String::as_str))
    };
    let files = |split, prefix| {
        Ok(Files {
            split,
            images: file(prefix, "images", 3)?,
            labels: file(prefix, "labels", 1)?,
        })
    };
    Ok(vec![files("train", "train")?, files("test", "t10k")?])
}

fn idx_files(source: &Invocation, base: &Path) -> Result<Vec<Files>, DataError> {
    let arguments = Arguments::new(source, &["images", "labels", "test_images", "test_labels"])?;
    let path = |name| arguments.required_text(name).map(|path| base.join(path));
    let mut files = vec![Files {
        split: "train",
        images: path("images")?,
        labels: path("labels")?,
    }];
    if arguments.text("test_images")?.is_some() || arguments.text("test_labels")?.is_some() {
        files.push(Files {
            split: "test",
            images: path("test_images")?,
            labels: path("test_labels")?,
        });
    }
    Ok(files)
}

fn describe_files(files: &[Files], classes: Option<u64>) -> Result<SourceDescription, DataError> {
    let mut description = SourceDescription {
        parts: Vec::new(),
        splits: Vec::new(),
    };
    for file in files {
        let sizes = header(&file.images, &read_start(&file.images, 4 + 4 * 255)?)?;
        let label = load_labels(&file.labels, classes)?;
        let count = sizes.first().copied().unwrap_or(0);
        check_label_count(file, count, label.stored() as u64)?;
        let (shape, found) = (sample_shape(&sizes), label.classes);
        let class_counts = class_counts(&label).unwrap_or_default();
        description.splits.push(SplitDescription {
            vocab: None,
            name: file.split.to_string(),
            count,
            class_counts,
        });
        if let [_, known] = &mut description.parts[..] {
            known.classes = known.classes.max(found);
            continue;
        }
        description.parts = vec![
            PartDescription {
                dtype: DataType::F32,
                shape,
                classes: None,
            },
            PartDescription {
                dtype: DataType::I32,
                shape: vec![],
                classes: found,
            },
        ];
    }
    Ok(description)
}

fn load_files(files: &[Files], classes: Option<u64>) -> Result<Dataset, DataError> {
    let mut dataset = Dataset::default();
    for file in files {
        let bytes = read(&file.images)?;
        let sizes = header(&file.images, &bytes)?;
        let values = Values::Bytes(
            contents(&file.images, bytes, &sizes)?.into(),
            Affine::uniform(1.0 / 255.0, 0.0),
        );
        let origin = file.images.display().to_string();
        let images = Field {
            shape: sample_shape(&sizes),
            values,
            classes: None,
            origin,
        };
        let fields = vec![images, load_labels(&file.labels, classes)?];
        check_counts(&fields)?;
        dataset
            .splits
            .insert(file.split.to_string(), Split::new(fields));
    }
    Ok(dataset)
}

fn load_labels(path: &Path, classes: Option<u64>) -> Result<Field, DataError> {
    let bytes = read(path)?;
    let sizes = header(path, &bytes)?;
    if sizes.len() != 1 {
        return Err(format_error(
            path,
            "labels, which have one axis",
            format!("{} axes", sizes.len()),
        ));
    }
    let values = contents(path, bytes, &sizes)?
        .into_iter()
        .map(i32::from)
        .collect();
    Ok(labels(values, classes, path.display().to_string()))
}

fn check_label_count(file: &Files, images: u64, labels: u64) -> Result<(), DataError> {
    if images == labels {
        return Ok(());
    }
    Err(DataError::Counts {
        left: file.images.display().to_string(),
        left_count: images,
        right: file.labels.display().to_string(),
        right_count: labels,
    })
}

/// The size of each axis.
fn header(path: &Path, bytes: &[u8]) -> Result<Vec<u64>, DataError> {
    let Some(magic) = bytes.first_chunk::<4>() else {
        return Err(format_error(
            path,
            "an IDX header",
            format!("{} bytes", bytes.len()),
        ));
    };
    let [0, 0, UNSIGNED_BYTE, axes @ 1..=u8::MAX] = *magic else {
        let expected = "an IDX file of unsigned bytes (it begins with 00 00 08)";
        return Err(format_error(
            path,
            expected,
            format!("{:02x} {:02x} {:02x}", magic[0], magic[1], magic[2]),
        ));
    };
    let sizes: Vec<u64> = bytes[4..]
        .as_chunks::<4>()
        .0
        .iter()
        .take(axes.into())
        .map(|size| u32::from_be_bytes(*size).into())
        .collect();
    if sizes.len() < usize::from(axes) {
        return Err(format_error(
            path,
            format!("an IDX header of {axes} axes"),
            format!("{} bytes", bytes.len()),
        ));
    }
    Ok(sizes)
}

/// The values after the header, exactly as many as it says.
fn contents(path: &Path, mut bytes: Vec<u8>, sizes: &[u64]) -> Result<Vec<u8>, DataError> {
    let start = 4 + 4 * sizes.len();
    let expected = sizes
        .iter()
        .try_fold(1u64, |product, size| product.checked_mul(*size));
    let found = (bytes.len() - start) as u64;
    if expected != Some(found) {
        let sizes: Vec<_> = sizes.iter().map(u64::to_string).collect();
        return Err(format_error(
            path,
            format!("{} bytes of values", sizes.join(" x ")),
            found.to_string(),
        ));
    }
    bytes.drain(..start);
    Ok(bytes)
}

/// Images of height and width get a channel axis.
fn sample_shape(sizes: &[u64]) -> Vec<u64> {
    let sample = &sizes[1.min(sizes.len())..];
    if sample.len() == 2 {
        [&[1], sample].concat()
    } else {
        sample.to_vec()
    }
}
