//! Whether a stage can be applied, before there is any data.

use super::{DataError, Dataset, Field, Invocation, Values, apply_stages};
use crate::data::{PartDescription, Split};
use crate::tensor::DataType;

/// Samples of more elements than this are not made up for a check.
const MOST_ELEMENTS: u64 = 1 << 22;

/// Whether a stage takes its arguments, and samples of these parts.
///
/// # Errors
/// As [`apply_stages`], as far as arguments and types tell.
pub fn check_stage(stage: &Invocation, parts: &[PartDescription]) -> Result<(), DataError> {
    // Of a set without splits a stage reads its arguments only.
    apply_stages(&mut Dataset::default(), std::slice::from_ref(stage))?;
    let fields: Option<Vec<Field>> = parts.iter().map(made_up).collect();
    let Some(fields) = fields else {
        return Ok(());
    };
    let mut dataset = Dataset::default();
    dataset.splits.insert("train".into(), Split::new(fields));
    match apply_stages(&mut dataset, std::slice::from_ref(stage)) {
        // What else is wrong is so because there is but one sample, of zeros.
        Err(error @ DataError::Unfit { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// One sample of zeros.
fn made_up(part: &PartDescription) -> Option<Field> {
    let mut shape = part.shape.iter();
    let elements = shape.try_fold(1_u64, |product, size| product.checked_mul(*size))?;
    let count = usize::try_from(elements).ok()?;
    if elements > MOST_ELEMENTS {
        return None;
    }
    let values = match part.dtype {
        DataType::F32 => Values::Floats(vec![0.0; count].into()),
        DataType::I32 => Values::Integers(vec![0; count].into()),
        _ => return None,
    };
    Some(Field {
        shape: part.shape.clone(),
        values,
        classes: part.classes,
        origin: "the data".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Value;

    fn said(stage: Invocation) -> String {
        let image = PartDescription {
            dtype: DataType::F32,
            shape: vec![1, 8, 8],
            classes: None,
        };
        let label = PartDescription {
            dtype: DataType::I32,
            shape: vec![],
            classes: Some(10),
        };
        match check_stage(&stage, &[image, label]) {
            Ok(()) => "fits".to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn arguments_are_checked_without_data() {
        let of = |name: &str| Invocation::new(name, []);
        let channels = || Value::List(vec![Value::Float(0.5), Value::Float(0.5)]);
        let cases = [
            said(of("brightness")),
            said(of("affine").with("rotate", Value::Int(10))),
            said(of("filter_class").with("classes", Value::List(vec![Value::Int(1)]))),
            said(Invocation::new("filter_class", [Value::Text("a".into())])),
            said(Invocation::new("rotate", [Value::Text("a".into())])),
            said(Invocation::new("shuffle", [Value::Int(1), Value::Int(2)])),
            said(Invocation::new("normalize", [channels(), channels()])),
            said(Invocation::new("window", [Value::Int(4)])),
            said(Invocation::new("filter_class", [Value::Int(3)])),
            said(Invocation::new("balance", [])),
            said(Invocation::new("split", [Value::Float(0.5)])),
            said(Invocation::new("rotate", [Value::Int(10)])),
        ];
        insta::assert_snapshot!(cases.join("\n"));
    }
}
