//! Products that are zero but at every so many places are made at these places and spread.
//!
//! The gradient of a convolution of stride 2 with windows of one element reads `g[y / 2]`, and has a term only where the
//! quotient is whole: three of four elements of an image are zero. As a view of the product without the others it is
//! work, memory and a kernel's tests for a quarter.

use super::{Replacement, Simplifier};
use crate::graph::{AxisIndex, Contraction, Dim, NodeId, Op, Scalar, View};
use dlm_grammar::Span;

/// An output's axis that is read at a whole quotient only.
struct Strided {
    axis: usize,
    stride: i64,
    /// Elements that are not zero by themselves.
    extent: i64,
}

/// The rule.
pub fn spread(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::Contract(contraction) = op else {
        return Ok(None);
    };
    let axes = 0..contraction.shape.len();
    let own: Vec<Strided> = axes
        .filter_map(|axis| strided(s, contraction, inputs, axis))
        .collect();
    if own.is_empty() {
        return Ok(None);
    }
    let of = |axis: usize| own.iter().find(|own| own.axis == axis);
    let mut made = contraction.clone();
    for own in &own {
        made.shape[own.axis] = Dim::fixed(own.extent);
    }
    for index in made.operands.iter_mut().flatten() {
        if let [(axis, _)] = index.terms.as_slice()
            && of(*axis).is_some()
        {
            *index = AxisIndex::variable(*axis);
        }
    }
    let product = s.add(Op::Contract(made), inputs, span)?;
    let index = (0..contraction.shape.len()).map(|axis| match of(axis) {
        Some(own) => AxisIndex::affine(&[(axis, 1)], 0, own.stride),
        None => AxisIndex::variable(axis),
    });
    let view = View {
        shape: contraction.shape.clone(),
        index: index.collect(),
        fill: Scalar::zero(s.graph.ty(product).dtype),
    };
    s.graph.view(product, view, span).map(Some)
}

/// Whether an axis moves one axis of one operand alone, at a quotient and nothing else.
fn strided(
    s: &Simplifier<'_>,
    contraction: &Contraction,
    inputs: &[NodeId],
    axis: usize,
) -> Option<Strided> {
    let operands = contraction.operands.iter().zip(inputs);
    let indices = operands.flat_map(|(axes, &input)| axes.iter().zip(s.graph.shape(input)));
    let mut moved = indices.filter(|(index, _)| index.coefficient(axis) != 0);
    let (index, extent) = moved.next().filter(|_| moved.next().is_none())?;
    let alone = *index == AxisIndex::affine(&[(axis, 1)], 0, index.divisor);
    let whole = contraction.shape[axis].known()?;
    let within = (whole + index.divisor - 1).div_euclid(index.divisor);
    (alone && index.divisor > 1).then_some(Strided {
        axis,
        stride: index.divisor,
        extent: extent.known()?.min(within),
    })
}
