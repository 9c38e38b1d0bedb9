//! Operands joined along an axis.

use super::super::Built;
use super::super::error::ensure;
use super::super::eval::{Evaluation, Tensor};
use super::super::{BinaryOp, Builder, Dim, NodeId, TensorType, TypeError};
use super::Derivative;

pub(super) fn infer(axis: usize, inputs: &[&TensorType]) -> Result<TensorType, TypeError> {
    let first = inputs[0];
    ensure(axis < first.rank(), || {
        format!("there is no axis {axis} to join along in {first}")
    })?;
    let mut joined = Dim::fixed(0);
    for input in inputs {
        let mut shape = input.shape.clone();
        let fits = shape.len() == first.rank() && input.dtype == first.dtype && {
            shape[axis] = first.shape[axis];
            shape == first.shape
        };
        ensure(fits, || {
            format!("{first} and {input} cannot be joined along axis {axis}")
        })?;
        joined = joined.add(input.shape[axis]);
    }
    let mut shape = first.shape.clone();
    shape[axis] = joined;
    Ok(TensorType::new(first.dtype, shape))
}

pub(super) fn evaluate(axis: usize, at: &Evaluation<'_>) -> Tensor {
    Tensor::from_fn(at.shape, |index| {
        let mut index = index.to_vec();
        let mut operand = 0;
        while index[axis] >= at.operands[operand].shape[axis] {
            index[axis] -= at.operands[operand].shape[axis];
            operand += 1;
        }
        at.operands[operand].at(&index)
    })
}

/// The operand's part of the gradient.
pub(super) fn gradient(
    builder: &mut Builder<'_>,
    axis: usize,
    at: &Derivative<'_>,
    which: usize,
) -> Built {
    let mut begin = Dim::fixed(0);
    for &input in &at.inputs[..which] {
        begin = begin.add(builder.graph.shape(input)[axis]);
    }
    let length = builder.graph.shape(at.inputs[which])[axis];
    match begin.known() {
        Some(begin) => builder.section(at.g, axis, begin, length),
        None => gathered_section(builder, at.g, axis, begin, length),
    }
}

/// A section that begins where the batch size says, which no affine index can: rows are gathered.
fn gathered_section(
    builder: &mut Builder<'_>,
    g: NodeId,
    axis: usize,
    begin: Dim,
    length: Dim,
) -> Built {
    let mut order: Vec<usize> = (0..builder.graph.ty(g).rank()).collect();
    order.swap(0, axis);
    let moved = builder.graph.permute(g, &order, builder.span)?;
    let position = builder.iota(&[length], 0)?;
    let begin = builder.integer_extent(begin)?;
    let begin = builder.broadcast_to(begin, &[length])?;
    let ids = builder.binary(BinaryOp::Add, position, begin)?;
    let rows = builder.gather(moved, ids)?;
    builder.graph.permute(rows, &order, builder.span)
}
