//! `npz[file, "x", "y" …]`: NumPy's archives of arrays, compressed or not; the arrays named (without `.npy`) are the parts
//! of a sample, axis 0 the samples. Without names, all arrays in sorted order.

use std::io::{Cursor, Read};
use std::path::Path;

use zip::ZipArchive;

use super::npy;
use super::{SourceDescription, check_counts, describe_loaded};
use crate::data::file::{format_error, read};
use crate::data::{Arguments, DataError, Dataset, Invocation, Split, Value};

pub(super) fn describe(source: &Invocation, base: &Path) -> Result<SourceDescription, DataError> {
    Ok(describe_loaded(&load(source, base)?))
}

pub(super) fn load(source: &Invocation, base: &Path) -> Result<Dataset, DataError> {
    let arguments = Arguments::with_rest(source, &["file"])?;
    let path = base.join(arguments.required_text("file")?);
    let wrong =
        |error: &dyn std::fmt::Display| format_error(&path, "a NumPy archive", error.to_string());
    let mut archive = ZipArchive::new(Cursor::new(read(&path)?)).map_err(|error| wrong(&error))?;
    let mut known: Vec<String> = archive.file_names().map(str::to_string).collect();
    known.sort();
    let mut names = Vec::new();
    for value in arguments.rest() {
        let Value::Text(name) = value else {
            return Err(arguments.error("each array should be a name in quotes".to_string()));
        };
        names.push(format!("{name}.npy"));
    }
    if names.is_empty() {
        names.clone_from(&known);
    }
    let mut fields = Vec::new();
    for name in &names {
        if !known.contains(name) {
            let name = name.trim_end_matches(".npy");
            let known: Vec<&str> = known
                .iter()
                .map(|name| name.trim_end_matches(".npy"))
                .collect();
            return Err(format_error(
                &path,
                format!("an array `{name}`"),
                known.join(", "),
            ));
        }
        let mut bytes = Vec::new();
        let mut file = archive.by_name(name).map_err(|error| wrong(&error))?;
        file.read_to_end(&mut bytes)
            .map_err(|error| wrong(&error))?;
        fields.push(npy::field(&path, &bytes)?);
    }
    if fields.is_empty() {
        return Err(format_error(&path, "arrays", "none"));
    }
    check_counts(&fields)?;
    let splits = [("train".to_string(), Split::new(fields))];
    Ok(Dataset {
        splits: splits.into(),
    })
}
