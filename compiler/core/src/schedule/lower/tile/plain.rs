//! The tile of a kernel without a product.

use super::Tile;
use crate::graph::{NodeId, Op};
use crate::schedule::fuse::{Group, Strategy};
use crate::schedule::lower::Context;
use crate::schedule::reads::leaves;

/// Without a product: axes that only repeat the anchor are whole, and a reduction runs a few outputs side by side so
/// that their sums do not wait for each other. Vectors are of a width, and hold samples or elements of the last axis.
pub fn plain_tile(
    cx: &Context<'_>,
    group: &Group,
    anchor: Option<NodeId>,
    extents: Vec<i64>,
    (width, samples): (usize, bool),
) -> Tile {
    let mut factors: Vec<usize> = vec![1; extents.len()];
    // A block's part of a sum goes over the sum's own axes, not over those of what is computed from it.
    let repeats = anchor.is_some()
        && group.anchor == anchor
        && group.strategy != Strategy::Partial
        && !group.place.positions.is_empty();
    for (axis, factor) in factors.iter_mut().enumerate() {
        if repeats && !group.place.axes().contains(&axis) {
            *factor = extents[axis] as usize;
        }
    }
    let reduces = anchor.is_some_and(|id| matches!(cx.graph.nodes[id].op, Op::Reduce { .. }));
    if reduces && factors.iter().all(|&factor| factor == 1) {
        let widest = (0..extents.len())
            .rev()
            .max_by_key(|&axis| extents[axis].min(4));
        let inside = samples && reads_channels_inside(cx, group);
        let free = |&axis: &usize| axis + 1 < extents.len() || width == 1 || inside;
        if let Some(axis) = widest.filter(free) {
            factors[axis] = match inside {
                true => channels_beside(cx, extents[axis], width),
                false => side_by_side(extents[axis]),
            };
        }
    }
    Tile {
        width,
        factors,
        joined: None,
        edged: Vec::new(),
        reason: format!("lanes {width}; no product"),
    }
}

/// Whether what a group reads has its channels beside the lanes.
fn reads_channels_inside(cx: &Context<'_>, group: &Group) -> bool {
    let inside = |id: &NodeId| {
        let buffer = cx.buffer_of.get(id);
        buffer.is_some_and(|buffer| cx.orders.channels_inside.contains(buffer))
    };
    leaves(cx.graph, cx.stored, group).iter().any(inside)
}

/// As many channels as registers hold sums of: where they lie beside the lanes, memory is then read in order.
fn channels_beside(cx: &Context<'_>, extent: i64, width: usize) -> usize {
    let parts = (width / cx.target.register_lanes).max(1);
    let most = (cx.target.accumulators / parts).min(MOST_BESIDE);
    let fitting = (2..=most).rev().find(|&count| extent % count as i64 == 0);
    fitting.unwrap_or_else(|| side_by_side(extent).min(most))
}

/// Sums that a reduction has side by side at most.
const MOST_BESIDE: usize = 16;

fn side_by_side(extent: i64) -> usize {
    [6, 5, 4, 3, 2]
        .into_iter()
        .find(|&n| extent % n as i64 == 0)
        .unwrap_or(extent.clamp(1, 4) as usize)
}
