//! `images[dir, h, w]`: PNG and JPEG files in one folder per class, whose names in sorted order are the classes. Where `dir`
//! has the folders `train` and `test`, these are the splits; else all is `train`. Images are `f32[C, H, W]` in 0 to 1, with
//! one channel where all are grey. With `h` and `w` they are brought to that size; without, all must have one size.

use std::fs;
use std::path::{Path, PathBuf};

use image::imageops::{FilterType, resize};
use image::{DynamicImage, ImageReader};

use super::{PartDescription, SourceDescription, SplitDescription, labels};
use crate::data::file::{format_error, read_error};
use crate::data::{Affine, Arguments, DataError, Dataset, Field, Invocation, Split, Values};
use crate::tensor::DataType;

/// File names that are taken for images.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// What there is to read.
struct Folder {
    path: PathBuf,
    classes: Vec<String>,
    /// By split: files with their classes.
    splits: Vec<(String, Vec<(PathBuf, i32)>)>,
    size: Option<[u32; 2]>,
}

pub(super) fn describe(source: &Invocation, base: &Path) -> Result<SourceDescription, DataError> {
    let folder = Folder::list(source, base)?;
    let shape = folder.shape()?;
    let parts = vec![
        PartDescription {
            dtype: DataType::F32,
            shape: shape.map(u64::from).to_vec(),
            classes: None,
        },
        PartDescription {
            dtype: DataType::I32,
            shape: vec![],
            classes: Some(folder.classes.len() as u64),
        },
    ];
    let split = |(name, files): &(String, Vec<(PathBuf, i32)>)| {
        let mut class_counts = vec![0; folder.classes.len()];
        files
            .iter()
            .for_each(|(_, class)| class_counts[*class as usize] += 1);
        SplitDescription {
            name: name.clone(),
            count: files.len() as u64,
            class_counts,
            vocab: None,
        }
    };
    let splits = folder.splits.iter().map(split).collect();
    Ok(SourceDescription { parts, splits })
}

pub(super) fn load(source: &Invocation, base: &Path) -> Result<Dataset, DataError> {
    let folder = Folder::list(source, base)?;
    let shape = folder.shape()?;
    let mut dataset = Dataset::default();
    for (name, files) in &folder.splits {
        let (mut pixels, mut classes) = (Vec::new(), Vec::new());
        for (file, class) in files {
            append(file, shape, folder.size.is_some(), &mut pixels)?;
            classes.push(*class);
        }
        let origin = folder.path.join(name).display().to_string();
        let images = Field {
            shape: shape.map(u64::from).to_vec(),
            values: Values::Bytes(pixels.into(), Affine::uniform(1.0 / 255.0, 0.0)),
            classes: None,
            origin: origin.clone(),
        };
        let fields = vec![
            images,
            labels(classes, Some(folder.classes.len() as u64), origin),
        ];
        dataset.splits.insert(name.clone(), Split::new(fields));
    }
    Ok(dataset)
}

/// One image's pixels as `[channels, height, width]`, brought to the shape where that is allowed.
///
/// # Errors
/// When the file cannot be decoded or has another size.
pub fn append(
    file: &Path,
    [channels, height, width]: [u32; 3],
    resizes: bool,
    pixels: &mut Vec<u8>,
) -> Result<(), DataError> {
    let mut image = decode(file)?;
    if (image.height(), image.width()) != (height, width) {
        if !resizes {
            return Err(format_error(
                file,
                format!(
                    "{height} x {width} pixels, as the first image has; `images[\"dir\", h, w]` brings all to one size,"
                ),
                format!("{} x {}", image.height(), image.width()),
            ));
        }
        image = resize(&image, width, height, FilterType::Triangle).into();
    }
    match channels {
        1 => pixels.extend_from_slice(image.to_luma8().as_raw()),
        _ => {
            let image = image.to_rgb8();
            let raw = image.as_raw();
            for channel in 0..3 {
                pixels.extend(raw.iter().skip(channel).step_by(3));
            }
        }
    }
    Ok(())
}

fn decode(file: &Path) -> Result<DynamicImage, DataError> {
    let reader = ImageReader::open(file).map_err(read_error(file))?;
    let reader = reader.with_guessed_format().map_err(read_error(file))?;
    reader
        .decode()
        .map_err(|error| format_error(file, "a PNG or JPEG image", error.to_string()))
}

impl Folder {
    fn list(source: &Invocation, base: &Path) -> Result<Folder, DataError> {
        let arguments = Arguments::new(source, &["dir", "h", "w"])?;
        let path = base.join(arguments.required_text("dir")?);
        let side = |name| arguments.integer(name, 1);
        let size = match (side("h")?, side("w")?) {
            (Some(height), Some(width)) if height.max(width) <= 1 << 14 => {
                Some([height as u32, width as u32])
            }
            (None, None) => None,
            _ => {
                return Err(
                    arguments.error("a size is a height and a width, at most 16384".to_string())
                );
            }
        };
        let named = |name: &str| path.join(name).is_dir();
        let names = match named("train") {
            true => ["train", "test"]
                .into_iter()
                .filter(|name| named(name))
                .collect(),
            false => vec![""],
        };
        let classes = folders(&path.join(names[0]))?;
        let mut splits = Vec::new();
        for name in names {
            let mut files = Vec::new();
            for (class, folder) in (0..).zip(&classes) {
                let found = images(&path.join(name).join(folder))?;
                files.extend(found.into_iter().map(|file| (file, class)));
            }
            let name = if name.is_empty() { "train" } else { name };
            splits.push((name.to_string(), files));
        }
        if splits.iter().any(|(_, files)| files.is_empty()) {
            return Err(format_error(
                &path,
                "folders of PNG or JPEG files, one per class",
                "none",
            ));
        }
        Ok(Folder {
            path,
            classes,
            splits,
            size,
        })
    }

    /// Channels, height and width: as the first image of each class has them, where no size is given.
    fn shape(&self) -> Result<[u32; 3], DataError> {
        let mut is_grey = true;
        let mut size = self.size;
        let (_, files) = &self.splits[0];
        let mut last = None;
        for (file, class) in files {
            if last == Some(*class) {
                continue;
            }
            last = Some(*class);
            let image = decode(file)?;
            is_grey &= !image.color().has_color();
            size.get_or_insert([image.height(), image.width()]);
        }
        let [height, width] = size.unwrap_or([1, 1]);
        Ok([if is_grey { 1 } else { 3 }, height, width])
    }
}

fn folders(path: &Path) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(read_error(path))? {
        let entry = entry.map_err(read_error(path))?;
        if entry.path().is_dir() && !is_hidden(&entry) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// What systems and editors leave behind is no image: names that begin with a dot.
fn is_hidden(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with('.')
}

fn images(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    if !path.is_dir() {
        return Ok(files);
    }
    for entry in fs::read_dir(path).map_err(read_error(path))? {
        let entry = entry.map_err(read_error(path))?;
        let file = entry.path();
        let ending = file
            .extension()
            .map(|ending| ending.to_string_lossy().to_lowercase());
        let is_image = ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
        if is_image && !is_hidden(&entry) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}
