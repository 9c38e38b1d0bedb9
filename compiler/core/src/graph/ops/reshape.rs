//! The same elements in row-major order under another shape.

use super::super::error::{ensure, shape_text};
use super::super::{Dim, TensorType, TypeError};

/// The coefficients of the number of elements as a polynomial in the batch size, without trailing zeros.
fn elements(shape: &[Dim]) -> Vec<i64> {
    let mut product = vec![1];
    for dim in shape {
        let mut next = vec![0; product.len() + 1];
        for (power, coefficient) in product.iter().enumerate() {
            next[power] += coefficient * dim.fixed;
            next[power + 1] += coefficient * dim.batch;
        }
        while next.last() == Some(&0) {
            next.pop();
        }
        product = next;
    }
    product
}

pub(super) fn infer(shape: &[Dim], x: &TensorType) -> Result<TensorType, TypeError> {
    ensure(elements(shape) == elements(&x.shape), || {
        format!(
            "{} and {} differ in their number of elements",
            shape_text(&x.shape),
            shape_text(shape)
        )
    })?;
    Ok(TensorType::new(x.dtype, shape))
}
