//! Inputs from files, through the stages of the run's data; and results as lines.

use std::path::Path;

use dlm_core::elaborate::program::StageSpec;
use dlm_runtime::checkpoint;
use dlm_runtime::data::{
    Affine, Dataset, Field, Invocation, Split, Value, Values, append_image, apply_stages, load,
};
use dlm_runtime::tensor::Tensor;

use super::model::Model;
use crate::failure::Failure;

/// The stages that new inputs go through too: those that are neither random nor about which samples there are.
const VALUE_STAGES: [&str; 6] = [
    "normalize",
    "scale",
    "standardize",
    "resize",
    "grayscale",
    "map",
];

/// All samples of the files, and a name for each.
///
/// # Errors
/// When a file cannot be read or does not fit the model.
pub fn read(model: &Model, inputs: &[String]) -> Result<(Vec<String>, Tensor), Failure> {
    let (mut names, mut values) = (Vec::new(), Vec::new());
    let wanted: Vec<u64> = model.input.shape[1..]
        .iter()
        .map(|dim| dim.at(1) as u64)
        .collect();
    let mut is_integer = false;
    for input in inputs {
        let field = field(model, input)?;
        if field.shape != wanted {
            return Err(Failure::data(format!(
                "`{input}` has samples of shape {:?}, the model takes {wanted:?}",
                field.shape
            )));
        }
        is_integer = matches!(field.values, Values::Integers(_));
        let count = field.stored();
        for row in 0..count {
            names.push(match count {
                1 => input.clone(),
                _ => format!("{input}[{row}]"),
            });
            values.extend(field.sample(row));
        }
    }
    let shape: Vec<u64> = [&[names.len() as u64], &wanted[..]].concat();
    let samples = match is_integer {
        true => Tensor::from_i32(
            shape,
            &values.iter().map(|value| *value as i32).collect::<Vec<_>>(),
        ),
        false => Tensor::from_f32(shape, &values),
    };
    Ok((names, samples.map_err(Failure::data)?))
}

/// The samples of one file after the run's stages.
fn field(model: &Model, input: &str) -> Result<Field, Failure> {
    let path = Path::new(input);
    let ending = path
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase());
    let split = match ending.as_deref() {
        Some("png" | "jpg" | "jpeg") => Split::new(vec![image(model, path)?]),
        Some("csv") => table(model, "csv", input)?,
        Some("parquet") => table(model, "parquet", input)?,
        Some("npy") => source(Invocation::new("npy", [text(input)]))?,
        Some("safetensors") => {
            let name = Value::Text(tensor_name(input)?);
            source(Invocation::new("safetensors", [text(input), name]))?
        }
        _ => {
            return Err(Failure::command_line(format!(
                "`{input}` is no png, jpg, csv, parquet, npy or safetensors file"
            )));
        }
    };
    let mut dataset = Dataset::default();
    dataset.splits.insert("train".to_string(), split);
    let is_of_value = |stage: &&StageSpec| VALUE_STAGES.contains(&stage.name.as_str());
    let stages = model.stages.iter().filter(is_of_value);
    let stages: Vec<Invocation> = stages
        .map(|stage| model.mappings.invocation(stage))
        .collect();
    apply_stages(&mut dataset, &stages).map_err(Failure::data)?;
    let split = dataset.splits.swap_remove_index(0).map(|(_, split)| split);
    split
        .and_then(|split| split.fields.into_iter().next())
        .ok_or_else(|| Failure::data(format!("`{input}` has no samples")))
}

/// The tensor of a file that is predicted from: `x`, or the only one.
fn tensor_name(input: &str) -> Result<String, Failure> {
    let names = checkpoint::names(Path::new(input))
        .map_err(|error| crate::commands::call::read_failure(&error))?;
    match &names[..] {
        [only] => Ok(only.clone()),
        names if names.iter().any(|name| name == "x") => Ok("x".to_string()),
        names => Err(Failure::data(format!(
            "`{input}` has the tensors {}; the samples are the tensor `x`, or the only one",
            names.join(", ")
        ))),
    }
}

fn text(input: &str) -> Value {
    Value::Text(input.to_string())
}

/// A table of what the model takes, or of that with the labels that the run's table had, which are left out.
fn table(model: &Model, kind: &str, input: &str) -> Result<Split, Failure> {
    let all = Invocation::new(kind, [text(input)]);
    let unlabeled = source(all.clone().with("label", Value::None));
    let columns = model.source_shape.iter().product::<i64>() as usize;
    if let Ok(split) = &unlabeled
        && split.fields.first().map(Field::elements) == Some(columns)
    {
        return unlabeled;
    }
    let labeled = match &model.label {
        Some(label) => all.with("label", label.clone()),
        None => all,
    };
    match source(labeled) {
        Ok(split) if split.fields.first().map(Field::elements) == Some(columns) => Ok(split),
        _ => unlabeled,
    }
}

fn source(invocation: Invocation) -> Result<Split, Failure> {
    let mut dataset = load(&invocation, Path::new(".")).map_err(Failure::data)?;
    let split = dataset.splits.swap_remove_index(0).map(|(_, split)| split);
    split.ok_or_else(|| Failure::data("the file has no samples"))
}

/// An image brought to the size and the channels that the run's data had.
fn image(model: &Model, path: &Path) -> Result<Field, Failure> {
    let [channels, height, width] = model.source_shape[..] else {
        return Err(Failure::data("the model takes no images"));
    };
    let sizes = [channels as u32, height as u32, width as u32];
    let mut pixels = Vec::new();
    append_image(path, sizes, true, &mut pixels).map_err(Failure::data)?;
    Ok(Field {
        shape: sizes.map(u64::from).to_vec(),
        values: Values::Bytes(pixels.into(), Affine::uniform(1.0 / 255.0, 0.0)),
        classes: None,
        origin: path.display().to_string(),
    })
}

/// A line for each sample: the likeliest class where the results are logits over classes, else the values.
pub fn lines(names: &[String], results: &Tensor) -> String {
    let values = results.to_f32();
    let size = values.len() / names.len().max(1);
    let is_logits = results.shape().len() == 2 && size > 1;
    let mut text = String::new();
    for (name, values) in names.iter().zip(values.chunks(size.max(1))) {
        let line = match is_logits {
            true => class(values),
            false => {
                let shown: Vec<String> = values.iter().take(8).map(f32::to_string).collect();
                let more = if size > 8 { " …" } else { "" };
                format!("{}{more}", shown.join(" "))
            }
        };
        text.push_str(&format!("{name}  {line}\n"));
    }
    text
}

fn class(logits: &[f32]) -> String {
    let mut best = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = class;
        }
    }
    let sum: f32 = logits
        .iter()
        .map(|logit| (logit - logits[best]).exp())
        .sum();
    format!("class {best}  probability {:.4}", 1.0 / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_classes_or_values() {
        let names = ["a".to_string(), "b".to_string()];
        let logits = Tensor::from_f32(vec![2, 2], &[0.0, 3f32.ln(), 2.0, 2.0]).expect("four");
        assert_eq!(
            lines(&names, &logits),
            "a  class 1  probability 0.7500\nb  class 0  probability 0.5000\n"
        );
        let values = Tensor::from_f32(vec![2], &[0.5, -1.0]).expect("two");
        assert_eq!(lines(&names, &values), "a  0.5\nb  -1\n");
    }
}
