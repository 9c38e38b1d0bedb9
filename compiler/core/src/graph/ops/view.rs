//! Elements at affine positions.

use super::super::Built;
use super::super::error::ensure;
use super::super::eval::{Evaluation, Tensor};
use super::super::{AxisIndex, Builder, Contraction, Dim, TensorType, TypeError, View};
use super::Derivative;

pub(super) fn infer(view: &View, x: &TensorType) -> Result<TensorType, TypeError> {
    check_index("view", &view.index, x, view.shape.len())?;
    ensure(view.fill.suits(x.dtype), || {
        format!(
            "a view of {} cannot be filled with a {}",
            x.dtype,
            view.fill.dtype()
        )
    })?;
    ensure(view.shape.iter().copied().all(Dim::never_negative), || {
        "an extent of a view is negative".to_string()
    })?;
    Ok(TensorType::new(x.dtype, view.shape.clone()))
}

/// One index for each axis, over variables that exist, with positive divisors.
pub(super) fn check_index(
    name: &str,
    index: &[AxisIndex],
    x: &TensorType,
    variables: usize,
) -> Result<(), TypeError> {
    ensure(index.len() == x.rank(), || {
        format!(
            "`{name}` has an index of {} axes for a tensor of {}",
            index.len(),
            x.rank()
        )
    })?;
    let terms = || index.iter().flat_map(|index| &index.terms);
    ensure(terms().all(|term| term.0 < variables), || {
        format!("an index of `{name}` names a variable beyond the {variables} there are")
    })?;
    ensure(
        terms().all(|term| term.1 != 0) && index.iter().all(|index| index.divisor >= 1),
        || format!("an index of `{name}` has a zero coefficient or a divisor below 1"),
    )
}

pub(super) fn evaluate(view: &View, at: &Evaluation<'_>) -> Tensor {
    Tensor::from_fn(at.shape, |index| {
        at.operands[0]
            .indexed(&view.index, index)
            .unwrap_or(view.fill.as_f64())
    })
}

pub(super) fn gradient(builder: &mut Builder<'_>, view: &View, at: &Derivative<'_>) -> Built {
    let contraction = Contraction {
        shape: view.shape.clone(),
        reduced: Vec::new(),
        operands: vec![view.index.clone()],
    };
    builder.contraction_adjoint(&contraction, at.inputs, 0, at.g)
}
