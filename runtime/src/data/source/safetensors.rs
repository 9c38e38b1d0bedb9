//! `safetensors[file, "x", "y" …]`: tensors of a file by name, one for each part of a sample; axis 0 is the samples. Without
//! names, all tensors in sorted order. f64 and f16 become f32.

use std::path::Path;

use super::{SourceDescription, check_counts, describe_loaded, labels};
use crate::checkpoint;
use crate::data::file::format_error;
use crate::data::{Affine, Arguments, DataError, Dataset, Field, Invocation, Split, Value, Values};
use crate::tensor::{DataType, Tensor};

pub(super) fn describe(source: &Invocation, base: &Path) -> Result<SourceDescription, DataError> {
    Ok(describe_loaded(&load(source, base)?))
}

pub(super) fn load(source: &Invocation, base: &Path) -> Result<Dataset, DataError> {
    let arguments = Arguments::with_rest(source, &["file"])?;
    let path = base.join(arguments.required_text("file")?);
    let wrong = |error| match error {
        checkpoint::CheckpointError::Read { path, reason } => DataError::Read { path, reason },
        other => format_error(&path, "a file of tensors", other.to_string()),
    };
    let known = checkpoint::names(&path).map_err(wrong)?;
    let mut names = Vec::new();
    for value in arguments.rest() {
        let Value::Text(name) = value else {
            return Err(
                arguments.error("each tensor should be given by its name in quotes".to_string())
            );
        };
        names.push(name.as_str());
    }
    if names.is_empty() {
        names.extend(known.iter().map(String::as_str));
    }
    if let Some(name) = names
        .iter()
        .find(|name| !known.iter().any(|own| own == *name))
    {
        return Err(format_error(
            &path,
            format!("a tensor `{name}`"),
            known.join(", "),
        ));
    }
    let tensors = checkpoint::read_named(&path, &names).map_err(wrong)?;
    let mut fields = Vec::new();
    for name in names {
        fields.push(field(&path, name, &tensors[name])?);
    }
    if fields.is_empty() {
        return Err(format_error(&path, "tensors", "none"));
    }
    check_counts(&fields)?;
    Ok(Dataset {
        splits: [("train".to_string(), Split::new(fields))]
            .into_iter()
            .collect(),
    })
}

fn field(path: &Path, name: &str, tensor: &Tensor) -> Result<Field, DataError> {
    let Some((_, shape)) = tensor.shape().split_first() else {
        return Err(format_error(
            path,
            format!("`{name}` with an axis of samples"),
            "a scalar",
        ));
    };
    let (shape, origin) = (
        shape.to_vec(),
        format!("{}, tensor `{name}`", path.display()),
    );
    match tensor.dtype() {
        DataType::U8 | DataType::Bool => {
            let values = Values::Bytes(tensor.bytes().to_vec().into(), Affine::uniform(1.0, 0.0));
            Ok(Field {
                shape,
                values,
                classes: None,
                origin,
            })
        }
        DataType::F32 | DataType::Bf16 => Ok(Field {
            shape,
            values: Values::Floats(tensor.to_f32().into()),
            classes: None,
            origin,
        }),
        DataType::I32 | DataType::I64 => {
            let values = tensor.to_i32();
            let values =
                values.ok_or_else(|| format_error(path, "integers of 32 bits", "larger ones"))?;
            Ok(Field {
                shape,
                ..labels(values, None, origin)
            })
        }
    }
}
