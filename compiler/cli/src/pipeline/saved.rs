//! `program.json` in a run's folder: the program as it was, so that the run's output can be used without its source.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dlm_core::elaborate::Settings;
use dlm_core::elaborate::world::{PartDescription, SourceDescription, SplitDescription};
use dlm_core::graph::DType;
use serde_json::{Value, json};

use super::catalog::Catalog;
use crate::failure::Failure;

/// The file's name in the run's folder.
const FILE: &str = "program.json";

/// The file of parameters and states in a run's folder.
pub const MODEL: &str = "model.safetensors";
/// Changes whenever the file's form does.
const VERSION: u64 = 1;
/// The element types that data has.
const TYPES: [(&str, DType); 3] = [("f32", DType::F32), ("i32", DType::I32), ("u8", DType::U8)];

/// What a run needs to be compiled again.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// The run's name.
    pub train: String,
    /// What messages call the program's file.
    pub file: PathBuf,
    /// Its text.
    pub text: String,
    /// The imported files by their paths.
    pub imports: BTreeMap<String, String>,
    /// What the program's paths were relative to.
    pub folder: PathBuf,
    /// What the command line's paths were relative to.
    pub working: PathBuf,
    /// What `--set` said.
    pub values: Vec<(String, String)>,
    /// What `--data` said.
    pub data: Vec<(String, String)>,
    /// What the data sources held.
    pub known: BTreeMap<String, SourceDescription>,
    /// The characters of the run's text by their numbers; empty for other data.
    pub characters: String,
}

/// A run's folder, where the command line names it or the model's file in it.
///
/// # Errors
/// Where the path is another file's.
pub fn run_folder(model: &Path) -> Result<PathBuf, Failure> {
    let named = model.file_name().is_some_and(|name| name == MODEL);
    match model.parent() {
        Some(parent) if named && !model.is_dir() => Ok(Path::new(".").join(parent)),
        _ if model.is_file() => Err(Failure::data(format!(
            "`{}` is a file; a model is the folder that `dlmc run` wrote, or the `{MODEL}` in it",
            model.display()
        ))),
        _ => Ok(model.to_path_buf()),
    }
}

impl Saved {
    /// Writes it to a run's folder.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        let known: BTreeMap<&String, Value> = self
            .known
            .iter()
            .map(|(source, description)| (source, description_value(description)))
            .collect();
        let value = json!({
            "version": VERSION,
            "train": self.train,
            "file": self.file,
            "text": self.text,
            "imports": self.imports,
            "folder": self.folder,
            "working": self.working,
            "set": self.values,
            "data": self.data,
            "known": known,
            "characters": self.characters,
        });
        let path = folder.join(FILE);
        std::fs::write(&path, format!("{value:#}\n"))
            .map_err(|error| Failure::unwritable(&path, &error))
    }

    /// Reads it from a run's folder.
    ///
    /// # Errors
    /// When there is no such file, or it is damaged.
    pub fn read(folder: &Path) -> Result<Saved, Failure> {
        let path = folder.join(FILE);
        let text =
            std::fs::read_to_string(&path).map_err(|error| Failure::unreadable(&path, &error))?;
        let damaged = || {
            Failure::data(format!(
                "`{}` is not what `dlmc run` writes",
                path.display()
            ))
        };
        let value: Value = serde_json::from_str(&text).map_err(|_| damaged())?;
        of_value(&value).ok_or_else(damaged)
    }

    /// The characters of the run's text by their numbers.
    pub fn vocabulary(&self) -> Vec<char> {
        self.characters.chars().collect()
    }

    /// The values from the command line.
    pub fn settings(&self) -> Settings {
        Settings {
            values: self.values.clone(),
            data: self.data.clone(),
            earlier: self.data.len(),
        }
    }

    /// The data that the run had.
    pub fn catalog(&self) -> Catalog {
        Catalog::kept(
            self.folder.clone(),
            self.working.clone(),
            self.known.clone(),
        )
    }
}

fn of_value(value: &Value) -> Option<Saved> {
    if value["version"].as_u64() != Some(VERSION) {
        return None;
    }
    let text = |name: &str| value[name].as_str().map(str::to_string);
    let mut imports = BTreeMap::new();
    for (path, text) in value["imports"].as_object()? {
        imports.insert(path.clone(), text.as_str()?.to_string());
    }
    let mut known = BTreeMap::new();
    for (source, description) in value["known"].as_object()? {
        known.insert(source.clone(), description_of(description)?);
    }
    Some(Saved {
        train: text("train")?,
        file: text("file")?.into(),
        text: text("text")?,
        imports,
        folder: text("folder")?.into(),
        working: text("working")?.into(),
        values: pairs(&value["set"])?,
        data: pairs(&value["data"])?,
        known,
        characters: text("characters")?,
    })
}

fn pairs(value: &Value) -> Option<Vec<(String, String)>> {
    let pair = |pair: &Value| Some((pair[0].as_str()?.to_string(), pair[1].as_str()?.to_string()));
    value.as_array()?.iter().map(pair).collect()
}

fn description_value(description: &SourceDescription) -> Value {
    let part = |part: &PartDescription| {
        let name = TYPES.iter().find(|known| known.1 == part.dtype);
        json!({
            "type": name.map_or("f32", |known| known.0),
            "shape": part.shape,
            "classes": part.classes,
        })
    };
    let split = |split: &SplitDescription| {
        json!({
            "name": split.name,
            "count": split.count,
            "class_counts": split.class_counts,
            "vocab": split.vocab,
        })
    };
    json!({
        "parts": description.parts.iter().map(part).collect::<Vec<_>>(),
        "splits": description.splits.iter().map(split).collect::<Vec<_>>(),
    })
}

fn description_of(value: &Value) -> Option<SourceDescription> {
    let part = |part: &Value| {
        let name = part["type"].as_str()?;
        Some(PartDescription {
            dtype: TYPES.iter().find(|known| known.0 == name)?.1,
            shape: integers(&part["shape"])?,
            classes: part["classes"].as_i64(),
        })
    };
    let split = |split: &Value| {
        Some(SplitDescription {
            name: split["name"].as_str()?.to_string(),
            count: split["count"].as_i64()?,
            class_counts: integers(&split["class_counts"])?,
            vocab: split["vocab"].as_i64(),
        })
    };
    Some(SourceDescription {
        parts: value["parts"]
            .as_array()?
            .iter()
            .map(part)
            .collect::<Option<_>>()?,
        splits: value["splits"]
            .as_array()?
            .iter()
            .map(split)
            .collect::<Option<_>>()?,
    })
}

fn integers(value: &Value) -> Option<Vec<i64>> {
    value.as_array()?.iter().map(Value::as_i64).collect()
}
