//! The same elements in row-major order under another shape.

use super::super::error::{ensure, shape_text};
use super::super::{Dim, TensorType, TypeError};

/// The coefficients of the number of elements as a polynomial in the batch size, without trailing zeros; nothing where
/// they do not fit 64 bits.
fn elements(shape: &[Dim]) -> Option<Vec<i64>> {
    let mut product = vec![1i64];
    for dim in shape {
        let mut next = vec![0; product.len() + 1];
        for (power, coefficient) in product.iter().enumerate() {
            next[power] = coefficient
                .checked_mul(dim.fixed)?
                .checked_add(next[power])?;
            next[power + 1] = coefficient.checked_mul(dim.batch)?;
        }
        while next.last() == Some(&0) {
            next.pop();
        }
        product = next;
    }
    Some(product)
}

pub(super) fn infer(shape: &[Dim], x: &TensorType) -> Result<TensorType, TypeError> {
    let count = elements(shape);
    ensure(count.is_some() && count == elements(&x.shape), || {
        format!(
            "{} and {} differ in their number of elements",
            shape_text(&x.shape),
            shape_text(shape)
        )
    })?;
    Ok(TensorType::new(x.dtype, shape))
}
