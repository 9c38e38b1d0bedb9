//! Views of views and reshapes of reshapes.

use super::{Replacement, Simplifier};
use crate::graph::{AxisIndex, Dim, NodeId, Op, View};
use dlm_grammar::Span;

/// A view that stays within what another view gives is one view.
pub fn compose(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::View(outer) = op else { return Ok(None) };
    let data = s.graph.nodes[inputs[0]].clone();
    let Op::View(inner) = &data.op else {
        return Ok(None);
    };
    if !stays_within(outer, &inner.shape) {
        return Ok(None);
    }
    let index: Option<Vec<AxisIndex>> = inner
        .index
        .iter()
        .map(|axis| substitute(axis, &outer.index))
        .collect();
    let Some(index) = index else { return Ok(None) };
    let view = View {
        shape: outer.shape.clone(),
        index,
        fill: inner.fill,
    };
    s.graph.view(data.inputs[0], view, span).map(Some)
}

/// Whether every position that a view reads is within its operand.
pub fn stays_within(view: &View, shape: &[Dim]) -> bool {
    view.index.iter().zip(shape).all(|(axis, dim)| {
        if let Some(variable) = axis.as_variable() {
            return view.shape[variable] == *dim;
        }
        let Some(extent) = dim.known() else {
            return false;
        };
        let mut bounds = (axis.offset, axis.offset);
        for &(variable, coefficient) in &axis.terms {
            let Some(last) = view.shape[variable].known().map(|n| n - 1) else {
                return false;
            };
            bounds.0 += (coefficient * last).min(0);
            bounds.1 += (coefficient * last).max(0);
        }
        axis.divisor == 1 && bounds.0 >= 0 && bounds.1 < extent
    })
}

fn substitute(axis: &AxisIndex, forms: &[AxisIndex]) -> Option<AxisIndex> {
    let mut terms = Vec::new();
    let mut offset = axis.offset;
    for &(variable, coefficient) in &axis.terms {
        let form = &forms[variable];
        if form.divisor != 1 {
            return None;
        }
        terms.extend(form.terms.iter().map(|term| (term.0, coefficient * term.1)));
        offset += coefficient * form.offset;
    }
    Some(AxisIndex::affine(&terms, offset, axis.divisor))
}

/// A reshape of a reshape is one; of a repeated scalar, the scalar repeated.
pub fn reshaped(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::Reshape { shape } = op else {
        return Ok(None);
    };
    if let Some(scalar) = s.scalar_of(inputs[0]) {
        return s.graph.broadcast_to(scalar, shape, span).map(Some);
    }
    let inner = &s.graph.nodes[inputs[0]];
    if !matches!(inner.op, Op::Reshape { .. }) {
        return Ok(None);
    }
    let source = inner.inputs[0];
    s.graph.reshape(source, shape, span).map(Some)
}
