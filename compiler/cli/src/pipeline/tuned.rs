//! Tiles that `dlmc tune` has found, in the user's cache: a file for each program, processor and version.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use dlm_core::elaborate::TrainProgram;
use dlm_core::schedule::Choices;

use super::frontend::Frontend;
use crate::failure::Failure;
use crate::files::replace;

/// The file in a run's folder with the tiles that it used, where they are not the schedule's own.
pub const FILE_OF_RUN: &str = "tuned.plan";

/// Where the tiles of a run belong; none where there is no cache folder.
pub fn file_for(frontend: &Frontend, train: &TrainProgram) -> Option<PathBuf> {
    let saved = frontend.to_save(train);
    let mut hasher = DefaultHasher::new();
    (&saved.train, &saved.text, &saved.imports).hash(&mut hasher);
    (&saved.values, &saved.data).hash(&mut hasher);
    (frontend.machine.name(), processor()).hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    let file = format!("{}-{:016x}.plan", train.name, hasher.finish());
    Some(cache()?.join("dlmc").join("plans").join(file))
}

/// The user's cache folder (XDG Base Directory Specification).
fn cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let named = folder("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    named.or_else(|| Some(folder("HOME")?.join(".cache")))
}

/// What the system calls the processor.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    model.unwrap_or(std::env::consts::ARCH).to_string()
}

/// The tiles in a file; none where it is not there or holds something else.
pub fn read(path: &Path) -> Option<Choices> {
    Choices::parse(&std::fs::read_to_string(path).ok()?).ok()
}

/// Writes tiles, whole or not at all.
///
/// # Errors
/// Where the file cannot be written.
pub fn write(path: &Path, choices: &Choices) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Failure::unwritable(folder, &error))?;
    }
    replace(path, choices.to_string().as_bytes())
}
