//! Rows added into a zero table: `(ids, updates)`; the gradient of gather.

use super::super::error::ensure;
use super::super::eval::{Evaluation, Tensor, each_index};
use super::super::{DType, Dim, TensorType, TypeError};
use super::gather::row;

pub(super) fn infer(
    rows: Dim,
    ids: &TensorType,
    updates: &TensorType,
) -> Result<TensorType, TypeError> {
    ensure(ids.dtype == DType::I32, || {
        format!("`scatter_add` takes i32 ids, not {}", ids.dtype)
    })?;
    ensure(updates.dtype.is_float(), || {
        format!("`scatter_add` does not apply to {}", updates.dtype)
    })?;
    ensure(updates.shape.starts_with(&ids.shape), || {
        format!("`scatter_add` takes one row for each id, not {updates} for {ids}")
    })?;
    let mut shape = vec![rows];
    shape.extend(&updates.shape[ids.rank()..]);
    Ok(TensorType::new(updates.dtype, shape))
}

pub(super) fn evaluate(at: &Evaluation<'_>) -> Tensor {
    let (ids, updates) = (at.operands[0], at.operands[1]);
    let rank = ids.shape.len();
    let mut result = Tensor::from_fn(at.shape, |_| 0.0);
    each_index(&updates.shape, |index| {
        let mut place = vec![row(ids.at(&index[..rank]), at.shape[0])];
        place.extend_from_slice(&index[rank..]);
        *result.at_mut(&place) += updates.at(index);
    });
    result
}
