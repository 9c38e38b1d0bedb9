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
    let index = inner
        .index
        .iter()
        .map(|index| index.substitute(|axis| outer.index[axis].clone()));
    let view = View {
        index: index.collect(),
        shape: outer.shape.clone(),
        fill: inner.fill,
    };
    s.graph.view(data.inputs[0], view, span).map(Some)
}

/// A view of a constant that never reads its fill, or fills in the same, is the constant repeated.
pub fn constant(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::View(view) = op else { return Ok(None) };
    if view.index.is_empty() {
        return Ok(None);
    }
    let Some(value) = s.constant_of(inputs[0]) else {
        return Ok(None);
    };
    if view.fill != value && !stays_within(view, s.graph.shape(inputs[0])) {
        return Ok(None);
    }
    let scalar = s.graph.constant(value, span)?;
    s.graph.broadcast_to(scalar, &view.shape, span).map(Some)
}

/// Whether every position that a view reads is within its operand.
pub fn stays_within(view: &View, shape: &[Dim]) -> bool {
    view.index
        .iter()
        .zip(shape)
        .all(|(index, &extent)| index.always_valid(&view.shape, extent))
}

/// A reshape of a reshape is one; of a repeated scalar, the scalar repeated.
pub fn reshaped(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::Reshape { shape } = op else {
        return Ok(None);
    };
    if s.graph.shape(inputs[0]) == shape {
        return Ok(Some(inputs[0]));
    }
    if let Some(scalar) = s.scalar_of(inputs[0]).filter(|_| !shape.is_empty()) {
        return s.graph.broadcast_to(scalar, shape, span).map(Some);
    }
    let inner = &s.graph.nodes[inputs[0]];
    if !matches!(inner.op, Op::Reshape { .. }) {
        return Ok(None);
    }
    let source = inner.inputs[0];
    s.graph.reshape(source, shape, span).map(Some)
}

/// A reshape that only adds or removes axes of extent 1 is a view, which others can see through.
pub fn unit_axes(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::Reshape { shape } = op else {
        return Ok(None);
    };
    let one = Dim::fixed(1);
    let own = s.graph.shape(inputs[0]);
    let mut wide = (0..shape.len())
        .filter(|&axis| shape[axis] != one)
        .peekable();
    let mut index = Vec::new();
    for &extent in own {
        if extent == one {
            index.push(AxisIndex::constant(0));
            continue;
        }
        match wide.next().filter(|&axis| shape[axis] == extent) {
            Some(axis) => index.push(AxisIndex::variable(axis)),
            None => return Ok(None),
        }
    }
    if wide.peek().is_some() {
        return Ok(None);
    }
    let view = View {
        shape: shape.clone(),
        index,
        fill: s.graph.zero_of(inputs[0]),
    };
    s.add(Op::View(view), inputs, span).map(Some)
}
