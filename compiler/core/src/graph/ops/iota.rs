//! Positions along an axis.

use super::super::error::ensure;
use super::super::{DType, Dim, TensorType, TypeError};

pub(super) fn infer(shape: &[Dim], axis: usize) -> Result<TensorType, TypeError> {
    ensure(axis < shape.len(), || {
        format!("there is no axis {axis} among {}", shape.len())
    })?;
    Ok(TensorType::new(DType::I32, shape))
}
