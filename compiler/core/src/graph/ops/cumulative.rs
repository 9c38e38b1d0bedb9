//! Prefix sums along an axis.

use super::super::error::ensure;
use super::super::eval::{Evaluation, Tensor};
use super::super::{DType, TensorType, TypeError};

pub(super) fn infer(axis: usize, x: &TensorType) -> Result<TensorType, TypeError> {
    ensure(axis < x.rank(), || {
        format!("there is no axis {axis} of {x} to sum along")
    })?;
    ensure(!matches!(x.dtype, DType::Bool | DType::U8), || {
        format!("`cumulative_sum` does not apply to {}", x.dtype)
    })?;
    Ok(x.clone())
}

pub(super) fn evaluate(axis: usize, reverse: bool, at: &Evaluation<'_>) -> Tensor {
    let x = at.operands[0];
    Tensor::from_fn(at.shape, |index| {
        let along = if reverse {
            index[axis]..x.shape[axis]
        } else {
            0..index[axis] + 1
        };
        let mut place = index.to_vec();
        along
            .map(|position| {
                place[axis] = position;
                x.at(&place)
            })
            .sum()
    })
}
