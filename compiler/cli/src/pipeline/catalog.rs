//! Data as the compiler asks for it, answered by the runtime: the two know nothing of each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dlm_core::elaborate::program::{PathBase, SourceSpec, StageSpec, StaticArgument, StaticValue};
use dlm_core::elaborate::world::{
    DataCatalog, PartDescription, SourceDescription, SplitDescription,
};
use dlm_core::graph::DType;
use dlm_runtime::data::{self, Argument, Invocation, Value};
use dlm_runtime::tensor::DataType;

use super::frontend::absolute;

/// Describes data sources, whose paths are relative to the folder of the file that names them or, from the command line, to
/// the working directory.
pub struct Catalog {
    folder: PathBuf,
    /// The working directory of the run that is used again.
    earlier: PathBuf,
    /// What sources hold, by their text: given beforehand, or found.
    known: Mutex<BTreeMap<String, SourceDescription>>,
}

impl Catalog {
    /// For a program in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Catalog {
        Catalog {
            folder: folder.into(),
            earlier: PathBuf::from("."),
            known: Mutex::default(),
        }
    }

    /// For a saved run: the folders that it had, and what its sources held.
    pub fn kept(
        folder: PathBuf,
        earlier: PathBuf,
        known: BTreeMap<String, SourceDescription>,
    ) -> Catalog {
        Catalog {
            folder,
            earlier,
            known: Mutex::new(known),
        }
    }

    /// What the sources hold that have been described.
    pub fn known(&self) -> BTreeMap<String, SourceDescription> {
        self.found().clone()
    }

    fn found(&self) -> MutexGuard<'_, BTreeMap<String, SourceDescription>> {
        // A lock that a panic left is of a map that is whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a source's paths are relative to.
    pub fn base(&self, source: &SourceSpec) -> PathBuf {
        match &source.base {
            PathBase::Folder(inner) => self.folder.join(inner),
            PathBase::CommandLine => PathBuf::from("."),
            PathBase::EarlierCommandLine => self.earlier.clone(),
        }
    }

    /// Files that are saved with what they hold, those of a command line by the real path of what they are relative to.
    fn key(&self, source: &SourceSpec) -> String {
        let base = match &source.base {
            PathBase::Folder(inner) => inner.clone(),
            _ => format!("{} ", absolute(&self.base(source)).display()),
        };
        format!("{base}{}{:?}", source.name, source.arguments)
    }
}

impl DataCatalog for Catalog {
    fn describe(&self, source: &SourceSpec) -> Result<SourceDescription, String> {
        let key = self.key(source);
        if let Some(known) = self.found().get(&key) {
            return Ok(known.clone());
        }
        let base = self.base(source);
        let found =
            data::describe(&source_invocation(source), &base).map_err(|error| error.to_string())?;
        let parts = found.parts.iter().map(part_description).collect();
        let splits = found.splits.iter().map(split_description).collect();
        let description = SourceDescription { parts, splits };
        self.found().insert(key, description.clone());
        Ok(description)
    }

    fn count(
        &self,
        source: &SourceSpec,
        whole: &[StageSpec],
        split: &str,
        own: &[StageSpec],
    ) -> Result<SplitDescription, String> {
        let stages = |specs: &[StageSpec]| -> Vec<Invocation> {
            specs.iter().map(stage_invocation).collect()
        };
        let (whole, own) = (stages(whole), stages(own));
        let key = format!("{} {whole:?} {split} {own:?}", self.key(source));
        let known = self.found().get(&key).cloned();
        if let Some(known) = known.and_then(|known| known.splits.into_iter().next()) {
            return Ok(known);
        }
        let counted = counted(
            &source_invocation(source),
            &self.base(source),
            &whole,
            split,
            &own,
        )
        .map_err(|error| error.to_string())?;
        let counted = split_description(&counted);
        let description = SourceDescription {
            parts: Vec::new(),
            splits: vec![counted.clone()],
        };
        self.found().insert(key, description);
        Ok(counted)
    }

    fn check_stage(&self, stage: &StageSpec, parts: &[PartDescription]) -> Result<(), String> {
        let parts: Vec<data::PartDescription> = parts.iter().map(runtime_part).collect();
        data::check_stage(&stage_invocation(stage), &parts).map_err(|error| error.to_string())
    }
}

/// What a split holds once the stages have chosen its samples.
fn counted(
    source: &Invocation,
    base: &Path,
    whole: &[Invocation],
    split: &str,
    own: &[Invocation],
) -> Result<data::SplitDescription, data::DataError> {
    let mut dataset = data::load(source, base)?;
    data::apply_stages(&mut dataset, whole)?;
    dataset.splits.retain(|name, _| name == split);
    data::apply_stages(&mut dataset, own)?;
    let found = dataset.splits.get(split);
    Ok(found
        .map(|found| data::count(split, found))
        .unwrap_or_default())
}

fn part_description(part: &data::PartDescription) -> PartDescription {
    PartDescription {
        dtype: element_type(part.dtype),
        shape: part.shape.iter().map(|&size| signed(size)).collect(),
        classes: part.classes.map(signed),
    }
}

fn runtime_part(part: &PartDescription) -> data::PartDescription {
    data::PartDescription {
        dtype: data_type(part.dtype),
        shape: part.shape.iter().map(|size| size.unsigned_abs()).collect(),
        classes: part.classes.map(i64::unsigned_abs),
    }
}

fn split_description(split: &data::SplitDescription) -> SplitDescription {
    SplitDescription {
        name: split.name.clone(),
        count: signed(split.count),
        class_counts: split
            .class_counts
            .iter()
            .map(|&count| signed(count))
            .collect(),
        vocab: split.vocab.map(signed),
    }
}

/// Sizes of data that fits a machine fit an `i64`.
fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The compiler's element type for the runtime's.
pub fn element_type(dtype: DataType) -> DType {
    match dtype {
        DataType::F32 => DType::F32,
        DataType::Bf16 => DType::Bf16,
        DataType::I32 => DType::I32,
        DataType::I64 => DType::I64,
        DataType::U8 => DType::U8,
        DataType::Bool => DType::Bool,
    }
}

/// The runtime's element type for the compiler's.
pub fn data_type(dtype: DType) -> DataType {
    match dtype {
        DType::F32 => DataType::F32,
        DType::Bf16 => DataType::Bf16,
        DType::I32 => DataType::I32,
        DType::I64 => DataType::I64,
        DType::U8 => DataType::U8,
        DType::Bool => DataType::Bool,
    }
}

/// A source as the runtime takes it.
pub fn source_invocation(source: &SourceSpec) -> Invocation {
    invocation(&source.name, &source.arguments)
}

/// A stage as the runtime takes it.
pub fn stage_invocation(stage: &StageSpec) -> Invocation {
    invocation(&stage.name, &stage.arguments)
}

fn invocation(name: &str, arguments: &[StaticArgument]) -> Invocation {
    let argument = |argument: &StaticArgument| Argument {
        name: argument.name.clone(),
        value: value(&argument.value),
    };
    Invocation {
        name: name.to_string(),
        arguments: arguments.iter().map(argument).collect(),
        function: None,
    }
}

fn value(given: &StaticValue) -> Value {
    match given {
        StaticValue::None => Value::None,
        StaticValue::Int(number) => Value::Int(*number),
        StaticValue::Float(number) => Value::Float(*number),
        StaticValue::Bool(truth) => Value::Bool(*truth),
        StaticValue::Text(text) => Value::Text(text.clone()),
        StaticValue::List(values) => Value::List(values.iter().map(value).collect()),
    }
}
