//! Weight gradients as sums of outer products.
//!
//! A block's part of `sum over b, p of g[b, o, p] * x[b, i, p]` has the samples of both operands in lanes. As they are,
//! every multiply-add takes most of a load, and every sum's lanes are added up in the end. With one operand turned, to
//! `[i / W][p][L][W]`, a vector holds `W` channels of one sample, and one element of the other operand serves them all:
//! six sums of two registers each take eight loads for twelve multiply-adds, whatever lies how far apart.

use super::fuse::{is_given, root};
use super::lanes::{ContractionLanes, Lanes};
use super::reads::leaves;
use super::sliding::sliding;
use super::target::Target;
use super::turned_maps::is_made_where_turned;
use crate::graph::{AxisIndex, Contraction, DType, Dim, Graph, NodeId, Op};
use crate::loops::turned_from;
use crate::schedule::fuse::{Group, Strategy};
use std::collections::BTreeSet;

/// Accumulators that one vector of the turned operand serves at least.
const SIDE_BY_SIDE: i64 = 4;

/// Multiply-adds that an element must serve where the kernel that turns it makes it, as it would be made anyway.
const MADE_THERE: i64 = 24;

/// Which operand is turned, and what vectors run along then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// The operand that is turned.
    pub operand: usize,
    /// The output's axis that its vectors run along.
    pub axis: usize,
    /// That axis among the operand's own.
    pub channels: usize,
    /// Channels of a vector.
    pub width: usize,
}

/// How a product summed over a block's samples is a sum of outer products, where that is worth while.
pub fn outer(
    graph: &Graph,
    lanes: &Lanes,
    target: &Target,
    block: usize,
    anchor: NodeId,
) -> Option<Outer> {
    let node = &graph.nodes[anchor];
    let Op::Contract(contraction) = &node.op else {
        return None;
    };
    let over = lanes.contraction(contraction, &node.inputs);
    let two = contraction.operands.len() == 2 && node.inputs[0] != node.inputs[1];
    let register = target.register_lanes;
    let whole = block >= 4 && (block.is_multiple_of(register) || register.is_multiple_of(block));
    if !two || !whole || !matches!(over, ContractionLanes::Across(_)) {
        return None;
    }
    let in_memory = |&input: &NodeId| {
        let ty = &graph.nodes[input].ty;
        ty.dtype == DType::F32 && lanes.axis(input).is_some() && is_moved(graph, input)
    };
    if !node.inputs.iter().all(in_memory) {
        return None;
    }
    let possible = (0..2).filter_map(|operand| turned(graph, lanes, target, anchor, operand));
    let possible = possible.filter(|outer| {
        let pays = served(contraction, *outer, target.turn_reuse);
        pays || is_made_where_turned(graph, node.inputs[outer.operand])
    });
    possible.min_by_key(|outer| {
        let input = node.inputs[outer.operand];
        let narrow = outer.width == target.register_lanes;
        (narrow, graph.nodes[input].ty.elements(block as i64))
    })
}

/// Rows of a partial, of so many elements, that lie further apart than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsOfPartial {
    /// Elements of a row.
    pub length: i64,
    /// Elements between one row's end and the next row.
    pub gap: i64,
}

/// A vector's channels are stored one by one, each in a row of its own. Rows of a multiple of a kilobyte would begin in the
/// same sets of the first cache.
pub fn rows_of_partial(shape: &[Dim], outer: Outer) -> Option<RowsOfPartial> {
    let rest = shape.get(1..).filter(|_| outer.axis == 0)?;
    let length = rest
        .iter()
        .map(|dim| dim.known())
        .product::<Option<i64>>()?;
    (length % KILOBYTE == 0).then_some(RowsOfPartial { length, gap: LINE })
}

/// Elements of a kilobyte, and of a cache line.
const KILOBYTE: i64 = 256;
const LINE: i64 = 16;

/// What a value reads in memory.
pub fn sources(graph: &Graph, stored: &BTreeSet<NodeId>, value: NodeId) -> BTreeSet<NodeId> {
    let source = root(graph, value);
    match stored.contains(&source) || is_given(&graph.nodes[source].op) {
        true => BTreeSet::from([source]),
        false => leaves(graph, stored, &Group::single(source, Strategy::Lanes)),
    }
}

/// Whether a value is what is stored, but for views: the samples of a block stay the same.
fn is_moved(graph: &Graph, mut node: NodeId) -> bool {
    loop {
        node = root(graph, node);
        match &graph.nodes[node].op {
            Op::View(_) => node = graph.nodes[node].inputs[0],
            Op::Constant(_) | Op::BatchSize => return false,
            _ => return true,
        }
    }
}

fn turned(
    graph: &Graph,
    lanes: &Lanes,
    target: &Target,
    anchor: NodeId,
    operand: usize,
) -> Option<Outer> {
    let node = &graph.nodes[anchor];
    let Op::Contract(contraction) = &node.op else {
        return None;
    };
    let shape = &graph.nodes[node.inputs[operand]].ty.shape;
    let lane = lanes.axis(node.inputs[operand])?;
    let mut inner = shape.iter().enumerate().filter(|&(axis, _)| axis != lane);
    if inner.any(|(_, dim)| dim.known().is_none()) {
        return None;
    }
    let axes = &contraction.operands[operand];
    let register = target.register_lanes;
    let along = (0..contraction.shape.len()).filter_map(|axis| {
        let channels = alone(axes, axis)?;
        let extent = contraction.shape[axis].known()?;
        let width = [target.widest_lanes(), register]
            .into_iter()
            .find(|&width| extent % width as i64 == 0)?;
        let outer = Outer {
            operand,
            axis,
            channels,
            width,
        };
        let fits = shape[channels].known() == Some(extent)
            && !reads(&contraction.operands[1 - operand], axis)
            && served(contraction, outer, least_reuse(target));
        fits.then_some(outer)
    });
    along.max_by_key(|outer| (outer.width, contraction.shape[outer.axis].known()))
}

/// Multiply-adds that an element must serve at least, wherever it is made. Only what is turned in registers is worth few.
fn least_reuse(target: &Target) -> i64 {
    match turned_from(target.register_lanes) {
        Some(_) => target.turn_reuse.min(MADE_THERE),
        None => target.turn_reuse,
    }
}

/// Whether each vector of the operand serves enough accumulators.
fn served(contraction: &Contraction, outer: Outer, least: i64) -> bool {
    let Outer { operand, axis, .. } = outer;
    let extent = |&other: &usize| contraction.shape[other].known().unwrap_or(1);
    let others = (0..contraction.shape.len()).filter(|&other| other != axis);
    let other = &contraction.operands[1 - operand];
    let apart = others.clone().filter(|&axis| {
        alone(other, axis).is_some() && !reads(&contraction.operands[operand], axis)
    });
    let taps = sliding(contraction, outer).map_or(1, |row| extent(&row.taps));
    let side_by_side: i64 = taps * apart.map(|other| extent(&other)).product::<i64>();
    let reuse: i64 = others.map(|other| extent(&other)).product();
    side_by_side >= SIDE_BY_SIDE && reuse >= least
}

fn reads(axes: &[AxisIndex], variable: usize) -> bool {
    axes.iter().any(|axis| axis.coefficient(variable) != 0)
}

/// The one axis of an operand that a variable moves, where it is that variable and nothing else.
fn alone(axes: &[AxisIndex], variable: usize) -> Option<usize> {
    let mut moved = (0..axes.len()).filter(|&axis| axes[axis].coefficient(variable) != 0);
    let axis = moved.next().filter(|_| moved.next().is_none())?;
    (axes[axis].as_variable() == Some(variable)).then_some(axis)
}
