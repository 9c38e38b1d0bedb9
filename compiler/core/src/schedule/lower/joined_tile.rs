//! Tiles whose vectors hold several elements of an axis, each with the samples of the block.

use super::tile::{Shape, Tile, plain_tile, variable_axes, widths};
use super::{Along, Context, classes, parts};
use crate::graph::{AxisIndex, Contraction, NodeId, Op};
use crate::plan::Layout;
use crate::schedule::fuse::{Group, Strategy, root};
use crate::schedule::position::Position;
use std::collections::BTreeSet;

/// A block with fewer samples is not joined.
const LEAST_BLOCK: usize = 4;

/// How many elements a vector may hold: none where samples alone fill a register.
pub(super) fn elements(cx: &Context<'_>) -> Vec<usize> {
    let most = match cx.block >= LEAST_BLOCK {
        true => cx.target.register_lanes / cx.block,
        false => 1,
    };
    let several = (2..=most).filter(|elements| elements.is_power_of_two());
    several.collect()
}

/// As many as a vector of a group's outputs may hold.
fn elements_of(cx: &Context<'_>, group: &Group) -> Vec<usize> {
    let own = group.strategy == Strategy::Lanes && group.place.parts.is_none();
    match own && parts::parts(cx, group) == 1 && classes(cx, group).is_none() {
        true => elements(cx),
        false => Vec::new(),
    }
}

/// Whether all outputs of a group have an axis of its domain: one that lacks it has one element for several.
fn in_all_outputs(cx: &Context<'_>, group: &Group, axis: usize) -> bool {
    let lane = cx.lanes.axis(group.outputs[0]);
    let full = axis + usize::from(lane.is_some_and(|lane| lane <= axis));
    group.coarse.values().all(|axes| axes.contains(&full))
}

/// Whether an axis is worth so many elements a vector.
fn fits(extent: i64, elements: usize) -> bool {
    let elements = elements as i64;
    extent >= 4 * elements || (extent > 0 && extent % elements == 0)
}

/// What the cost of a product's tile depends on, for each axis of which vectors can hold several elements, with the
/// vectors' width.
pub(super) fn shapes(
    cx: &Context<'_>,
    group: &Group,
    contraction: &Contraction,
    base: &Shape,
) -> Vec<(Shape, Vec<usize>)> {
    let mut shapes = Vec::new();
    for elements in elements_of(cx, group) {
        for axis in (0..base.extents.len()).filter(|&axis| base.joins(axis)) {
            if fits(base.extents[axis], elements) && in_all_outputs(cx, group, axis) {
                let shape = joined(cx, group, contraction, base, (axis, elements));
                shapes.push((shape, vec![elements * cx.block]));
            }
        }
    }
    shapes
}

fn joined(
    cx: &Context<'_>,
    group: &Group,
    contraction: &Contraction,
    base: &Shape,
    (axis, elements): (usize, usize),
) -> Shape {
    let mut shape = base.clone();
    shape.extents[axis] /= elements as i64;
    shape.joined = Some(axis);
    shape.elements = elements;
    for operand in (0..2).filter(|&operand| base.vector[operand]) {
        let beside = base.moves[operand][axis]
            && step_in_memory(cx, group, contraction, operand, axis) == Some(1);
        match base.moves[operand][axis] {
            true if beside => {}
            true => (shape.pieces[operand], shape.joins[operand]) = (elements, elements - 1),
            // A load repeats lanes once.
            false => shape.joins[operand] = elements / 2 - 1,
        }
    }
    shape
}

/// The same without samples in lanes: vectors of whole rows, several of them, where a row alone fills no register.
pub(super) fn rows(cx: &Context<'_>, group: &Group, base: &Shape) -> Option<(Shape, Vec<usize>)> {
    let register = cx.target.register_lanes;
    let rows = base.extents.len().checked_sub(2)?;
    let row = usize::try_from(base.extents[rows + 1]).ok()?;
    let fits = (LEAST_BLOCK..register).contains(&row) && register.is_multiple_of(row);
    let elements = register / row.max(1);
    let whole = fits && base.extents[rows] % elements as i64 == 0 && rows != base.ranged;
    let plain = group.coarse.is_empty() && group.place.windows.is_empty();
    if !whole || !plain || !base.joins(rows) || base.is_bordered(rows + 1) {
        return None;
    }
    if !keeps_rows(cx, group) {
        return None;
    }
    let mut shape = base.clone();
    shape.extents[rows] /= elements as i64;
    shape.extents[rows + 1] = 1;
    (shape.joined, shape.elements, shape.along_last) = (Some(rows), elements, false);
    for operand in (0..2).filter(|&operand| base.vector[operand]) {
        (shape.pieces[operand], shape.joins[operand]) = match base.moves[operand][rows] {
            true => (elements, elements - 1),
            false => (1, elements / 2),
        };
    }
    Some((shape, vec![register]))
}

/// Whether all that a group reads it reads row by row: the pixels of a row are lanes that no loop counts, so that nothing may be
/// divided, counted, drawn or looked up by them, nor bounded along them.
fn keeps_rows(cx: &Context<'_>, group: &Group) -> bool {
    let mut seen = BTreeSet::new();
    let mut pending = group.outputs.clone();
    while let Some(id) = pending.pop() {
        let own = group.outputs.contains(&id) || group.anchor == Some(id);
        if !seen.insert(id) {
            continue;
        }
        if let Some(&buffer) = cx.buffer_of.get(&id).filter(|_| !own) {
            match cx.buffers[buffer].layout {
                Layout::Plain => continue,
                Layout::Lanes { .. } | Layout::Panels { .. } | Layout::Partials => return false,
            }
        }
        let node = &cx.graph.nodes[id];
        let bordered = cx.insets.values().any(|inset| inset.view == id);
        let keeps = match &node.op {
            Op::Constant(_) | Op::Unary(_) | Op::Binary(_) | Op::Select | Op::StopGradient => true,
            Op::View(view) => {
                let variable = |axis: &AxisIndex| axis.as_variable().is_some();
                bordered || view.index.iter().all(variable)
            }
            Op::Contract(contraction) => {
                let triangles = &cx.triangles;
                let mut axes = contraction.operands.iter().flatten();
                let mut inputs = node.inputs.iter();
                group.anchor == Some(id)
                    && axes.all(|axis| axis.divisor == 1)
                    && triangles.unread(id).is_none()
                    && inputs.all(|&input| triangles.zero(input).is_none())
            }
            _ => false,
        };
        if !keeps {
            return false;
        }
        pending.extend(&node.inputs);
    }
    true
}

/// How far an operand moves along its innermost axis in memory with each element of a domain axis.
fn step_in_memory(
    cx: &Context<'_>,
    group: &Group,
    contraction: &Contraction,
    operand: usize,
    axis: usize,
) -> Option<i64> {
    let anchor = group.anchor?;
    let input = cx.graph.nodes[anchor].inputs[operand];
    let source = root(cx.graph, input);
    let buffer = cx.buffer_of.get(&source).or(cx.images.get(&source))?;
    let lane = cx.lanes.axis(input)?;
    let axes = &contraction.operands[operand];
    let mut inner = (0..axes.len()).filter(|&number| number != lane);
    let innermost = match cx.orders.channels_inside.contains(buffer) {
        true => inner.next()?,
        false => inner.next_back()?,
    };
    Some(step(cx, group, anchor, &axes[innermost], axis))
}

/// How far an index moves with each element of a domain axis.
fn step(cx: &Context<'_>, group: &Group, anchor: NodeId, index: &AxisIndex, axis: usize) -> i64 {
    let own = variable_axes(cx, group, false, anchor);
    let of = |variable: usize| match group.place.positions.get(variable) {
        Some(Position::At(form)) => form.coefficient(axis as u32),
        Some(Position::Lane) => 0,
        None => i64::from(own.get(variable).is_some_and(|axes| axes == &[axis])),
    };
    let terms = index.terms.iter();
    terms.map(|&(variable, factor)| factor * of(variable)).sum()
}

/// The tile of a group without a product: of the last axis that vectors can hold several elements of.
pub(super) fn plain(
    cx: &Context<'_>,
    group: &Group,
    anchor: Option<NodeId>,
    extents: Vec<i64>,
) -> Tile {
    let axes = group.place.axes();
    let is_anchor = anchor.is_some() && !group.place.positions.is_empty();
    let moves = |axis: &usize| !is_anchor || axes.contains(axis);
    let widest = elements_of(cx, group).pop();
    let chosen = widest.and_then(|elements| {
        let axis = (0..extents.len())
            .rev()
            .filter(moves)
            .find(|&axis| fits(extents[axis], elements) && in_all_outputs(cx, group, axis))?;
        Some((axis, elements))
    });
    let Some((axis, elements)) = chosen else {
        let widest = widths(cx, Along::Lanes).into_iter().max();
        return plain_tile(cx, group, anchor, extents, (widest.unwrap_or(1), true));
    };
    let mut extents = extents;
    extents[axis] /= elements as i64;
    let mut tile = plain_tile(cx, group, anchor, extents, (elements * cx.block, true));
    tile.factors[axis] *= elements;
    tile.joined = Some(axis);
    tile
}
