//! `text[file]`: a text as a sequence of characters, each a sample: its code point, until `chars` numbers those that occur.

use std::collections::BTreeSet;
use std::path::Path;

use super::{SourceDescription, describe_loaded};
use crate::data::file::{format_error, read};
use crate::data::{Arguments, DataError, Dataset, Field, Invocation, Split, Values};

pub(super) fn describe(source: &Invocation, base: &Path) -> Result<SourceDescription, DataError> {
    let dataset = load(source, base)?;
    let mut description = describe_loaded(&dataset);
    for (split, described) in dataset.splits.values().zip(&mut description.splits) {
        described.vocab = split.fields.first().and_then(vocabulary_size);
    }
    Ok(description)
}

pub(super) fn load(source: &Invocation, base: &Path) -> Result<Dataset, DataError> {
    let arguments = Arguments::new(source, &["file"])?;
    let path = base.join(arguments.required_text("file")?);
    let bytes = read(&path)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| format_error(&path, "text in UTF-8", error.utf8_error().to_string()))?;
    // Code points are below 2^21.
    let points: Vec<i32> = text.chars().map(|character| character as i32).collect();
    let field = Field {
        shape: vec![],
        values: Values::Sequence(points.into(), 0),
        classes: None,
        origin: path.display().to_string(),
    };
    let splits = [("train".to_string(), Split::new(vec![field]))]
        .into_iter()
        .collect();
    Ok(Dataset { splits })
}

fn vocabulary_size(field: &Field) -> Option<u64> {
    let Values::Sequence(points, _) = &field.values else {
        return None;
    };
    Some(points.iter().collect::<BTreeSet<_>>().len() as u64)
}
