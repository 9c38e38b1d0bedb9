//! Sums of what is repeated.

use super::{Replacement, Simplifier};
use crate::graph::{AxisIndex, BinaryOp, DType, NodeId, Op, ReduceOp, View};
use dlm_grammar::Span;

/// A sum along axes that a view only repeats is a product with their extent.
pub fn repeated(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::Reduce {
        op: ReduceOp::Sum,
        axes,
    } = op
    else {
        return Ok(None);
    };
    let data = s.graph.nodes[inputs[0]].clone();
    let Op::View(view) = &data.op else {
        return Ok(None);
    };
    let repeats = |axis: usize| view.index.iter().all(|index| index.coefficient(axis) == 0);
    let (free, rest): (Vec<usize>, Vec<usize>) = axes.iter().partition(|&&axis| repeats(axis));
    if free.is_empty() || data.ty.dtype != DType::F32 {
        return Ok(None);
    }
    let count = s.graph.count(inputs[0], &free, span)?;
    let narrow = s
        .graph
        .view(data.inputs[0], without_axes(view, &free), span)?;
    let lower = |axis: usize| axis - free.iter().filter(|&&gone| gone < axis).count();
    let sum = match rest.is_empty() {
        true => narrow,
        false => {
            let axes = rest.into_iter().map(lower).collect();
            s.add(
                Op::Reduce {
                    op: ReduceOp::Sum,
                    axes,
                },
                &[narrow],
                span,
            )?
        }
    };
    let shape = s.graph.shape(sum).to_vec();
    let count = s.graph.broadcast_to(count, &shape, span)?;
    s.add(Op::Binary(BinaryOp::Mul), &[sum, count], span)
        .map(Some)
}

/// The view without axes that none of its indices name.
pub(super) fn without_axes(view: &View, gone: &[usize]) -> View {
    let lower = |axis: usize| axis - gone.iter().filter(|&&other| other < axis).count();
    let kept = (0..view.shape.len()).filter(|axis| !gone.contains(axis));
    let rename = |index: &AxisIndex| index.substitute(|axis| AxisIndex::variable(lower(axis)));
    View {
        shape: kept.map(|axis| view.shape[axis]).collect(),
        index: view.index.iter().map(rename).collect(),
        fill: view.fill,
    }
}

/// A reduction of a reduction of the same kind is one.
pub fn nested(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::Reduce { op: kind, axes } = op else {
        return Ok(None);
    };
    let inner = s.graph.nodes[inputs[0]].clone();
    let Op::Reduce {
        op: inner_kind,
        axes: inner_axes,
    } = &inner.op
    else {
        return Ok(None);
    };
    let joins = matches!(
        kind,
        ReduceOp::Sum | ReduceOp::Max | ReduceOp::Min | ReduceOp::Prod
    );
    if !joins || kind != inner_kind || !s.used_once[inputs[0]] {
        return Ok(None);
    }
    let rank = s.graph.ty(inner.inputs[0]).rank();
    let kept: Vec<usize> = (0..rank)
        .filter(|axis| !inner_axes.contains(axis))
        .collect();
    let mut all: Vec<usize> = axes
        .iter()
        .map(|&axis| kept[axis])
        .chain(inner_axes.iter().copied())
        .collect();
    all.sort_unstable();
    s.add(
        Op::Reduce {
            op: *kind,
            axes: all,
        },
        &inner.inputs,
        span,
    )
    .map(Some)
}
