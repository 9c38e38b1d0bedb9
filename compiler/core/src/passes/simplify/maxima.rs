//! The maximum of a function that never falls is the function of the maximum: one relu for a window instead of one
//! for each element, and its operand need not be kept for the gradient. Rounding never falls either, so the results
//! are the same to the bit.

use super::{Replacement, Simplifier, views};
use crate::graph::{AxisIndex, BinaryOp, Dim, NodeId, Op, ReduceOp, Scalar, TypeError, View};
use cranelift_entity::EntityRef;
use dlm_grammar::Span;

/// `f(x)`, read once, in which only `x` varies along the reduced axes.
struct Monotone {
    op: Op,
    x: NodeId,
    /// The other operand and which of the two it is.
    other: Option<(NodeId, usize)>,
    /// Between `f(x)` and the reduction.
    view: Option<View>,
}

/// `max over windows of f(x)` is `f(max over windows of x)` where nothing else reads `f(x)`.
pub fn monotone(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::Reduce {
        op: ReduceOp::Max,
        axes,
    } = op
    else {
        return Ok(None);
    };
    let Some(found) = find(s, inputs[0]) else {
        return Ok(None);
    };
    let shape = s.graph.shape(inputs[0]).to_vec();
    let other = match &found.other {
        None => None,
        Some((other, place)) => match kept(s, *other, &found, &shape, axes, span)? {
            Some(other) => Some((other, *place)),
            None => return Ok(None),
        },
    };
    let x = match found.view {
        None => found.x,
        Some(view) => windows(s, view, found.x, span)?,
    };
    let greatest = s.add(op.clone(), &[x], span)?;
    let operands = match other {
        None => vec![greatest],
        Some((other, 0)) => vec![other, greatest],
        Some((other, _)) => vec![greatest, other],
    };
    s.add(found.op, &operands, span).map(Some)
}

/// The same windows of another value. Where they are new, only the maximum reads them.
fn windows(s: &mut Simplifier<'_>, view: View, x: NodeId, span: Span) -> Result<NodeId, TypeError> {
    let before = s.graph.nodes.len();
    let fill = Scalar::F32(f32::NEG_INFINITY);
    let windows = s.add(Op::View(View { fill, ..view }), &[x], span)?;
    if windows.index() >= before {
        s.used_once[windows] = true;
    }
    Ok(windows)
}

fn find(s: &Simplifier<'_>, node: NodeId) -> Option<Monotone> {
    let data = &s.graph.nodes[node];
    if !s.used_once[node] {
        return None;
    }
    let Op::View(view) = &data.op else {
        return function(s, node);
    };
    let inner = data.inputs[0];
    let mut found = function(s, inner).filter(|_| s.used_once[inner])?;
    let shape = s.graph.shape(inner);
    if !views::stays_within(view, shape) && !fill_is_below(s, view, &found) {
        return None;
    }
    found.view = Some(view.clone());
    Some(found)
}

/// Whether what a view fills in is never greater than a value of the function.
fn fill_is_below(s: &Simplifier<'_>, view: &View, found: &Monotone) -> bool {
    let Scalar::F32(fill) = view.fill else {
        return false;
    };
    let bound = match (&found.op, found.other) {
        (Op::Binary(BinaryOp::Max), Some((other, _))) => s.float_of(other),
        _ => None,
    };
    fill == f32::NEG_INFINITY || bound.is_some_and(|bound| fill <= bound)
}

fn function(s: &Simplifier<'_>, node: NodeId) -> Option<Monotone> {
    let data = &s.graph.nodes[node];
    let (x, other) = match data.op {
        Op::Unary(op) if op.row().nondecreasing => (data.inputs[0], None),
        Op::Binary(op) => {
            let (a, b) = (data.inputs[0], data.inputs[1]);
            let positive = |node: NodeId| s.float_of(node).is_some_and(|value| value > 0.0);
            match op {
                BinaryOp::Max | BinaryOp::Min | BinaryOp::Add | BinaryOp::Sub
                    if s.is_repeated(b) =>
                {
                    (a, Some((b, 1)))
                }
                BinaryOp::Max | BinaryOp::Min | BinaryOp::Add if s.is_repeated(a) => {
                    (b, Some((a, 0)))
                }
                BinaryOp::Mul | BinaryOp::Div if positive(b) => (a, Some((b, 1))),
                BinaryOp::Mul if positive(a) => (b, Some((a, 0))),
                _ => return None,
            }
        }
        _ => return None,
    };
    let op = data.op.clone();
    Some(Monotone {
        op,
        x,
        other,
        view: None,
    })
}

/// The other operand over the kept axes, if it does not vary along the reduced ones and is read from inside.
fn kept(
    s: &mut Simplifier<'_>,
    other: NodeId,
    found: &Monotone,
    shape: &[Dim],
    axes: &[usize],
    span: Span,
) -> Result<Option<NodeId>, TypeError> {
    let data = s.graph.nodes[other].clone();
    let (source, index) = match &data.op {
        Op::View(own) => (data.inputs[0], own.index.clone()),
        _ => return Ok(None),
    };
    let index: Vec<AxisIndex> = match &found.view {
        None => index,
        Some(view) => index
            .iter()
            .map(|index| index.substitute(|axis| view.index[axis].clone()))
            .collect(),
    };
    let varies = index
        .iter()
        .any(|index| axes.iter().any(|&axis| index.coefficient(axis) != 0));
    let source_shape = s.graph.shape(source);
    let inside = index
        .iter()
        .zip(source_shape)
        .all(|(index, &extent)| index.always_valid(shape, extent));
    if varies || !inside {
        return Ok(None);
    }
    let lower = |variable: usize| variable - axes.iter().filter(|&&axis| axis < variable).count();
    let index = index
        .iter()
        .map(|index| index.substitute(|variable| AxisIndex::variable(lower(variable))));
    let view = View {
        index: index.collect(),
        shape: (0..shape.len())
            .filter(|axis| !axes.contains(axis))
            .map(|axis| shape[axis])
            .collect(),
        fill: Scalar::zero(data.ty.dtype),
    };
    s.graph.view(source, view, span).map(Some)
}
