//! Reading files that may be compressed, with errors that name them.

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::DataError;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The error of a file that cannot be read.
pub(super) fn read_error(path: &Path) -> impl Fn(std::io::Error) -> DataError + '_ {
    |reason| DataError::Read {
        path: path.to_path_buf(),
        reason,
    }
}

/// The error of a file with unexpected contents.
pub(super) fn format_error(
    path: &Path,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> DataError {
    DataError::Format {
        path: path.to_path_buf(),
        expected: expected.into(),
        found: found.into(),
    }
}

/// Opens a file, decompressing it if its first bytes say that it is compressed.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>, DataError> {
    let mut file = open_file(path)?;
    if is_compressed(&mut file, path)? {
        return Ok(Box::new(MultiGzDecoder::new(BufReader::with_capacity(
            1 << 16,
            file,
        ))));
    }
    Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
}

/// All bytes of a file, decompressed.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    open(path)?
        .read_to_end(&mut bytes)
        .map_err(read_error(path))?;
    Ok(bytes)
}

/// The first `count` bytes of a file, or fewer where it is shorter.
pub(super) fn read_start(path: &Path, count: u64) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    open(path)?
        .take(count)
        .read_to_end(&mut bytes)
        .map_err(read_error(path))?;
    Ok(bytes)
}

/// The number of bytes when decompressed, modulo 2^32 for compressed files: gzip's last four bytes.
pub(super) fn size(path: &Path) -> Result<u64, DataError> {
    let mut file = open_file(path)?;
    let length = file.metadata().map_err(read_error(path))?.len();
    if !is_compressed(&mut file, path)? || length < 4 {
        return Ok(length);
    }
    let mut last = [0; 4];
    file.seek(SeekFrom::End(-4))
        .and_then(|_| file.read_exact(&mut last))
        .map_err(read_error(path))?;
    Ok(u64::from(u32::from_le_bytes(last)))
}

/// The file of one of these names in a folder, or of such a name with `.gz`.
pub(super) fn find(folder: &Path, names: &[&str]) -> Result<PathBuf, DataError> {
    let kind = fs::metadata(folder).map_err(read_error(folder))?;
    if !kind.is_dir() {
        return Err(DataError::Kind {
            path: folder.to_path_buf(),
            expected: "a folder",
            found: "a file",
        });
    }
    let candidates: Vec<String> = names
        .iter()
        .flat_map(|name| [name.to_string(), format!("{name}.gz")])
        .collect();
    let found = candidates
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file());
    found.ok_or_else(|| DataError::NoFile {
        path: folder.to_path_buf(),
        names: candidates.join(", "),
    })
}

fn open_file(path: &Path) -> Result<File, DataError> {
    if path.is_dir() {
        return Err(DataError::Kind {
            path: path.to_path_buf(),
            expected: "a file",
            found: "a folder",
        });
    }
    File::open(path).map_err(read_error(path))
}

fn is_compressed(file: &mut File, path: &Path) -> Result<bool, DataError> {
    let mut magic = Vec::new();
    file.by_ref()
        .take(2)
        .read_to_end(&mut magic)
        .map_err(read_error(path))?;
    file.rewind().map_err(read_error(path))?;
    Ok(magic == GZIP_MAGIC)
}
