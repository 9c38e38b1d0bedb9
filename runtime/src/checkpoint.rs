//! Tensors in safetensors files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, View};

use crate::half::{f32_of_f16, f32_of_f64};
use crate::tensor::{DataType, Tensor};

/// Named tensors, in order.
pub type Tensors = IndexMap<String, Tensor>;

/// Why a file of tensors was not read or written, or does not fit.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// The contents are no safetensors file.
    #[error("{} is no safetensors file: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A tensor has an element type that this program does not know.
    #[error("{}: `{name}` is of type {dtype}; f32, bf16, i32, i64, u8 and bool are supported", path.display())]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type as the file says it.
        dtype: String,
    },
}

/// Reads all tensors of a file, by name in sorted order.
///
/// # Errors
/// When the file cannot be read, is no safetensors file, or has a type that is not supported.
pub fn read(path: &Path) -> Result<Tensors, CheckpointError> {
    let bytes = read_bytes(path)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| format_error(path, &error))?;
    let mut views = file.tensors();
    views.sort_by(|left, right| left.0.cmp(&right.0));
    let mut tensors = Tensors::with_capacity(views.len());
    for (name, view) in views {
        let Some(dtype) = data_type(view.dtype()) else {
            let dtype = format!("{:?}", view.dtype());
            return Err(CheckpointError::Type {
                path: path.to_path_buf(),
                name,
                dtype,
            });
        };
        let shape = view.shape().iter().map(|size| *size as u64).collect();
        let tensor = Tensor::new(dtype, shape, view.data().to_vec())
            .map_err(|error| format_error(path, &error))?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// The names of a file's tensors, sorted.
///
/// # Errors
/// When the file cannot be read, or is no safetensors file.
pub fn names(path: &Path) -> Result<Vec<String>, CheckpointError> {
    let bytes = read_bytes(path)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| format_error(path, &error))?;
    let mut names: Vec<String> = file.names().into_iter().map(str::to_string).collect();
    names.sort();
    Ok(names)
}

/// Reads these tensors of a file, in their order; f64 and f16 become f32. What the others are makes no difference.
///
/// # Errors
/// As [`read`], and where there is no such tensor.
pub fn read_named(path: &Path, names: &[&str]) -> Result<Tensors, CheckpointError> {
    let bytes = read_bytes(path)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| format_error(path, &error))?;
    let mut tensors = Tensors::with_capacity(names.len());
    for name in names {
        let view = file.tensor(name);
        let view = view.map_err(|error| format_error(path, &error))?;
        tensors.insert((*name).to_string(), converted(path, name, &view)?);
    }
    Ok(tensors)
}

fn converted(path: &Path, name: &str, view: &TensorView<'_>) -> Result<Tensor, CheckpointError> {
    let shape = view.shape().iter().map(|size| *size as u64).collect();
    let tensor = match (view.dtype(), data_type(view.dtype())) {
        (_, Some(dtype)) => Tensor::new(dtype, shape, view.data().to_vec()),
        (Dtype::F64, _) => Tensor::from_f32(shape, &f32_of_f64(view.data())),
        (Dtype::F16, _) => Tensor::from_f32(shape, &f32_of_f16(view.data())),
        (other, None) => {
            return Err(CheckpointError::Type {
                path: path.to_path_buf(),
                name: name.to_string(),
                dtype: format!("{other:?}"),
            });
        }
    };
    tensor.map_err(|error| format_error(path, &error))
}

/// Reads a file's metadata: strings by key.
///
/// # Errors
/// As [`read`].
pub fn read_metadata(path: &Path) -> Result<BTreeMap<String, String>, CheckpointError> {
    let bytes = read_bytes(path)?;
    let (_, metadata) =
        SafeTensors::read_metadata(&bytes).map_err(|error| format_error(path, &error))?;
    Ok(metadata
        .metadata()
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect())
}

/// Writes tensors to a file, whole or not at all: to a temporary file beside it, which then takes its name. The same
/// tensors give the same bytes.
///
/// # Errors
/// When the file cannot be written; what was there before is then still there.
pub fn write<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
) -> Result<(), CheckpointError> {
    let views = tensors
        .into_iter()
        .map(|(name, tensor)| (name, Stored::of(tensor)));
    let bytes = safetensors::serialize(views, None).map_err(|error| format_error(path, &error))?;
    write_whole(path, &bytes).map_err(|reason| CheckpointError::Write {
        path: path.to_path_buf(),
        reason,
    })
}

/// Writes a file so that a reader sees all of it or what was there before.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidInput)?
        .to_string_lossy()
        .into_owned();
    let temporary = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let attempt = write_and_sync(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if attempt.is_err() {
        // The first error is the one to tell; a leftover is harmless.
        let _ = fs::remove_file(&temporary);
    }
    attempt
}

fn write_and_sync(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    fs::read(path).map_err(|reason| CheckpointError::Read {
        path: path.to_path_buf(),
        reason,
    })
}

fn format_error(path: &Path, reason: &dyn std::fmt::Display) -> CheckpointError {
    CheckpointError::Format {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    }
}

fn data_type(dtype: Dtype) -> Option<DataType> {
    match dtype {
        Dtype::F32 => Some(DataType::F32),
        Dtype::BF16 => Some(DataType::Bf16),
        Dtype::I32 => Some(DataType::I32),
        Dtype::I64 => Some(DataType::I64),
        Dtype::U8 => Some(DataType::U8),
        Dtype::BOOL => Some(DataType::Bool),
        _ => None,
    }
}

struct Stored<'a> {
    tensor: &'a Tensor,
    shape: Vec<usize>,
}

impl Stored<'_> {
    fn of(tensor: &Tensor) -> Stored<'_> {
        Stored {
            tensor,
            shape: tensor.shape().iter().map(|size| *size as usize).collect(),
        }
    }
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        match self.tensor.dtype() {
            DataType::F32 => Dtype::F32,
            DataType::Bf16 => Dtype::BF16,
            DataType::I32 => Dtype::I32,
            DataType::I64 => Dtype::I64,
            DataType::U8 => Dtype::U8,
            DataType::Bool => Dtype::BOOL,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> std::borrow::Cow<'_, [u8]> {
        self.tensor.bytes().into()
    }

    fn data_len(&self) -> usize {
        self.tensor.bytes().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Tensors {
        let weight =
            Tensor::from_f32(vec![2, 2], &[1.0, -2.0, f32::MIN_POSITIVE, 0.5]).expect("four");
        let count = Tensor::from_i32(vec![], &[-7]).expect("one");
        let seen = Tensor::new(DataType::I64, vec![1], 5i64.to_ne_bytes().to_vec()).expect("one");
        Tensors::from_iter([
            ("b.weight".to_string(), weight),
            ("a".to_string(), count),
            ("c".to_string(), seen),
        ])
    }

    fn write_some(path: &Path) {
        write(
            path,
            some().iter().map(|(name, tensor)| (name.as_str(), tensor)),
        )
        .expect("writes");
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("model.safetensors");
        write_some(&path);
        assert_eq!(read(&path).expect("reads"), some());
        let first = fs::read(&path).expect("reads");
        write_some(&path);
        assert_eq!(fs::read(&path).expect("reads"), first, "the same bytes");
        assert_eq!(
            fs::read_dir(directory.path()).expect("lists").count(),
            1,
            "no temporary file is left"
        );
    }

    #[test]
    fn damaged_files_are_errors() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("model.safetensors");
        write_some(&path);
        let bytes = fs::read(&path).expect("reads");
        for length in 0..bytes.len() {
            fs::write(&path, &bytes[..length]).expect("writes");
            let error = read(&path).expect_err("truncated").to_string();
            assert!(
                error.contains("model.safetensors is no safetensors file: "),
                "{error}"
            );
        }
        let missing = read(&directory.path().join("none"))
            .expect_err("missing")
            .to_string();
        assert!(missing.contains("cannot read"), "{missing}");
    }

    #[test]
    fn a_failed_write_keeps_what_was_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let occupied = directory.path().join("taken");
        fs::create_dir_all(occupied.join("inside")).expect("a directory");
        let error = write(&occupied, [])
            .expect_err("is a directory")
            .to_string();
        assert!(error.contains("cannot write"), "{error}");
        assert!(occupied.join("inside").exists());
        assert_eq!(
            fs::read_dir(directory.path()).expect("lists").count(),
            1,
            "no temporary file is left"
        );
    }
}
