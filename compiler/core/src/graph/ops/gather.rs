//! Rows of a table: `(table, ids)`. An id out of range is clamped.

use super::super::Built;
use super::super::error::ensure;
use super::super::eval::{Evaluation, Tensor};
use super::super::{Builder, DType, Op, TensorType, TypeError};
use super::Derivative;

pub(super) fn infer(table: &TensorType, ids: &TensorType) -> Result<TensorType, TypeError> {
    ensure(table.rank() >= 1, || {
        "`gather` takes rows of axis 0, but the table is a scalar".to_string()
    })?;
    ensure(ids.dtype == DType::I32, || {
        format!("`gather` takes i32 ids, not {}", ids.dtype)
    })?;
    let shape = [ids.shape.as_slice(), &table.shape[1..]].concat();
    Ok(TensorType::new(table.dtype, shape))
}

/// The row that an id names.
pub(super) fn row(id: f64, rows: i64) -> i64 {
    (id as i64).clamp(0, (rows - 1).max(0))
}

pub(super) fn evaluate(at: &Evaluation<'_>) -> Tensor {
    let (table, ids) = (at.operands[0], at.operands[1]);
    let rank = ids.shape.len();
    Tensor::from_fn(at.shape, |index| {
        let mut place = vec![row(ids.at(&index[..rank]), table.shape[0])];
        place.extend_from_slice(&index[rank..]);
        table.at(&place)
    })
}

pub(super) fn gradient(builder: &mut Builder<'_>, at: &Derivative<'_>) -> Built {
    let rows = builder.graph.ty(at.inputs[0]).shape[0];
    builder.add(Op::ScatterAdd { rows }, &[at.inputs[1], at.g])
}
