//! Choice by a truth value, and conversion.

use super::super::super::Built;
use super::super::super::error::ensure;
use super::super::super::eval::{Evaluation, Tensor};
use super::super::super::{Builder, DType, TensorType, TypeError};
use super::super::Derivative;

pub(in super::super) fn infer_select(inputs: &[&TensorType]) -> Result<TensorType, TypeError> {
    let (condition, a, b) = (inputs[0], inputs[1], inputs[2]);
    ensure(condition.dtype == DType::Bool, || {
        format!("`select` takes a bool condition, not {}", condition.dtype)
    })?;
    ensure(a == b && condition.shape == a.shape, || {
        format!("`select` takes operands of one shape and type, not {condition}, {a} and {b}")
    })?;
    Ok(a.clone())
}

pub(in super::super) fn evaluate_select(at: &Evaluation<'_>) -> Tensor {
    let choices = at.operands[0].data.iter().enumerate();
    let elements = choices.map(|(place, &condition)| {
        let chosen = if condition != 0.0 { 1 } else { 2 };
        at.operands[chosen].data[place]
    });
    Tensor::new(at.shape, elements.collect())
}

pub(in super::super) fn select_gradient(
    builder: &mut Builder<'_>,
    at: &Derivative<'_>,
    which: usize,
) -> Built {
    let zero = builder.full_like(0.0, at.g)?;
    match which {
        1 => builder.select(at.inputs[0], at.g, zero),
        _ => builder.select(at.inputs[0], zero, at.g),
    }
}

/// Floats truncate towards zero and saturate, NaN gives 0; integers wrap; truth is "not 0".
pub(in super::super) fn evaluate_cast(dtype: DType, at: &Evaluation<'_>) -> Tensor {
    let from_float = at.dtype.is_float();
    let elements = at.operands[0].data.iter().map(|&value| match dtype {
        DType::Bool => f64::from(u8::from(value != 0.0)),
        DType::I32 if from_float => f64::from(value as i32),
        DType::U8 if from_float => f64::from(value as u8),
        DType::I64 if from_float => value as i64 as f64,
        _ => value,
    });
    Tensor::new(at.shape, elements.collect())
}
