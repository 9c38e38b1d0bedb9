//! Results in files, written whole or not at all.

use std::io::{self, Write};
use std::path::Path;

use crate::failure::Failure;

/// Writes a file so that a reader sees all of it, or what was there before.
///
/// # Errors
/// Where the file cannot be written; what was there before is then still there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write_beside(path, bytes).map_err(|error| Failure::unwritable(path, &error))
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link stays a link: its target is what is replaced.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let name = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
    let temporary = path.with_file_name(name);
    let attempt = fill(&temporary, path, bytes).and_then(|()| std::fs::rename(&temporary, path));
    if attempt.is_err() {
        // The first error is the one to tell; a leftover is harmless.
        let _ = std::fs::remove_file(&temporary);
    }
    attempt
}

fn fill(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = std::fs::File::create(temporary)?;
    if let Ok(known) = std::fs::metadata(path) {
        file.set_permissions(known.permissions())?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}
