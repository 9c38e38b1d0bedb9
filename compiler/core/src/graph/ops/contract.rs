//! Sums of products with affine indices. The derivative is in [`super::super::adjoint`].

use super::super::error::ensure;
use super::super::eval::{Evaluation, Tensor, each_index};
use super::super::{Contraction, Dim, TensorType, TypeError};
use super::view::check_index;

pub(super) fn infer(
    contraction: &Contraction,
    inputs: &[&TensorType],
) -> Result<TensorType, TypeError> {
    ensure(!inputs.is_empty(), || {
        "a contraction has at least one operand".to_string()
    })?;
    let dtype = inputs[0].dtype;
    ensure(dtype.is_float(), || {
        format!("a product of {dtype}; cast first")
    })?;
    let variables = contraction.shape.len() + contraction.reduced.len();
    for (input, index) in inputs.iter().zip(&contraction.operands) {
        ensure(input.dtype == dtype, || {
            format!(
                "`contract` takes operands of one type, not {dtype} and {}",
                input.dtype
            )
        })?;
        check_index("contract", index, input, variables)?;
    }
    let dynamic = contraction.shape.iter().chain(&contraction.reduced);
    ensure(dynamic.copied().all(Dim::never_negative), || {
        "an extent of a contraction is negative".to_string()
    })?;
    Ok(TensorType::new(dtype, contraction.shape.clone()))
}

pub(super) fn evaluate(contraction: &Contraction, at: &Evaluation<'_>) -> Tensor {
    let reduced: Vec<i64> = contraction
        .reduced
        .iter()
        .map(|dim| dim.at(at.batch))
        .collect();
    Tensor::from_fn(at.shape, |outer| {
        let mut variables = outer.to_vec();
        let mut sum = 0.0;
        each_index(&reduced, |inner| {
            variables.truncate(outer.len());
            variables.extend_from_slice(inner);
            sum += term(contraction, at.operands, &variables).unwrap_or(0.0);
        });
        sum
    })
}

/// One product; nothing where a position is invalid.
fn term(contraction: &Contraction, operands: &[&Tensor], variables: &[i64]) -> Option<f64> {
    let factors = contraction.operands.iter().zip(operands);
    factors
        .map(|(index, operand)| operand.indexed(index, variables))
        .product()
}
