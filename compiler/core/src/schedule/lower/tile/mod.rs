//! The shape of a kernel's innermost work: vector width, and how many elements of each axis share a reduction loop.
//!
//! A tile of accumulators stays in registers while the reduction streams operands past it. More accumulators on both
//! operands' axes mean fewer loads for each multiply-add, until the registers are full.
//!
//! [`shape`] describes a product, [`search`] finds all tiles that fit, [`cost`] tells their cycles, and the cheapest is taken
//! here. Kernels without a product are [`plain`].

mod cost;
mod panel;
mod plain;
mod search;
mod shape;

pub(super) use cost::splits;
pub(super) use panel::panel;
pub(super) use plain::plain_tile;
pub use shape::vector_operands_of;
pub(super) use shape::{Shape, variable_axes};

use super::ends::Ends;
use super::joined_tile as joined;
use super::passes::Passes;
use super::{Context, Share, classes, ranged_axis};
use crate::graph::{Contraction, NodeId, Op};
use crate::schedule::choices::Choice;
use crate::schedule::fuse::{Group, Strategy};
use crate::schedule::outer::Outer;
use crate::schedule::sliding::sliding;
use search::candidates;
use shape::describe;

/// Lanes of a vector, and elements of each domain axis in one tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Lanes.
    pub width: usize,
    /// For each domain axis (the lane axis left out), elements side by side.
    pub factors: Vec<usize>,
    /// The domain axis of which a vector holds several elements, each with the samples of the block.
    pub joined: Option<usize>,
    /// The domain axes along whose ends borders are: their first and last tiles have code of their own.
    pub edged: Vec<bool>,
    /// The decision in words.
    pub reason: String,
}

/// What a kernel's vectors run along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// The samples of a block.
    Lanes,
    /// The samples of a block, and of several elements of an axis where a register has lanes for them.
    Joined,
    /// The domain's last axis; what whole vectors leave of it is done one by one.
    LastAxis,
    /// The same, or all of it for several elements of the axis before.
    Rows,
    /// All axes, as one.
    Whole,
    /// What a product sums over.
    Reduction,
    /// The channels of a turned operand.
    Channels(Outer),
    /// One lane: positions are not affine in any axis.
    Nothing,
}

/// The tile of a group. Another than the model's may be chosen for the kernel's `name`.
pub fn choose(cx: &Context<'_>, group: &Group, share: Share, along: Along, name: &str) -> Tile {
    let partial = share.partial;
    let extents = extents(cx, group, share);
    let anchor = group
        .anchor
        .filter(|_| partial || group.strategy != Strategy::Partial);
    let product = anchor.and_then(|anchor| match &cx.graph.nodes[anchor].op {
        Op::Contract(contraction) if contraction.operands.len() == 2 => Some((anchor, contraction)),
        _ => None,
    });
    if let Some(product) = product {
        let chosen = cx.target.choices.of(cx.plan, name);
        let shapes = shapes(cx, group, product, share, along, extents);
        let in_blocks = partial || group.strategy == Strategy::Lanes;
        return best(cx, &shapes, in_blocks, chosen);
    }
    if along == Along::Joined && !partial {
        return joined::plain(cx, group, anchor, extents);
    }
    let widths = widths_of_share(cx, share, along);
    let last = extents.last().copied().unwrap_or(1) as usize;
    let whole = matches!(along, Along::LastAxis | Along::Rows);
    let fits = |width: &usize| !whole || *width <= last;
    let widest = widths.iter().copied().filter(fits).max();
    let width = widest.unwrap_or(widths[0]);
    let samples = matches!(along, Along::Lanes | Along::Joined);
    plain_tile(cx, group, anchor, extents, (width, samples))
}

/// The node whose domain a kernel goes over.
fn domain(group: &Group, share: Share) -> NodeId {
    let own = group.anchor.filter(|_| share.partial);
    own.unwrap_or(group.outputs[0])
}

/// The extents of a kernel's domain, the lane axis left out.
fn extents(cx: &Context<'_>, group: &Group, share: Share) -> Vec<i64> {
    let node = domain(group, share);
    let in_lanes = !share.partial && group.strategy == Strategy::Lanes;
    let lane = cx.lanes.axis(node).filter(|_| in_lanes);
    let axes = cx.graph.nodes[node].ty.shape.iter().enumerate();
    let own = axes.filter(|&(axis, _)| Some(axis) != lane);
    own.map(|(axis, dim)| match share.slice == Some(axis) {
        true => 1,
        false => dim.known().unwrap_or(1),
    })
    .collect()
}

/// What the cost of a product's tile depends on, each with the widths that vectors may have.
fn shapes(
    cx: &Context<'_>,
    group: &Group,
    (anchor, contraction): (NodeId, &Contraction),
    share: Share,
    along: Along,
    extents: Vec<i64>,
) -> Vec<(Shape, Vec<usize>)> {
    let partial = share.partial;
    let mut shape = describe(cx, group, partial, anchor, contraction, extents);
    shape.along_last = matches!(along, Along::LastAxis | Along::Rows);
    shape.peels &= (partial || group.strategy == Strategy::Lanes) && !share.divided;
    if let Some(classes) = classes(cx, group).filter(|_| shape.peels) {
        shape.classes = classes;
    }
    shape.samples = matches!(along, Along::Lanes | Along::Joined) && !partial;
    if along == Along::Reduction {
        shape.vector = [true; 2];
        (shape.across, shape.splits) = (true, false);
    }
    if let Along::Channels(outer) = along {
        shape.sliding = sliding(contraction, outer);
        shape.ends = Some(Ends::of(cx, (anchor, contraction), outer, &shape.extents));
        shape.passes = Passes::of(cx, anchor, outer);
        shape.along_channels(outer, cx.target.register_lanes);
    }
    shape.ranged = ranged_axis(cx, &cx.graph.nodes[domain(group, share)].ty.shape);
    let mut shapes = vec![(shape, widths_of_share(cx, share, along))];
    if along == Along::Joined && !partial {
        let joined = joined::shapes(cx, group, contraction, &shapes[0].0);
        shapes.extend(joined);
    }
    if along == Along::Rows {
        let rows = joined::rows(cx, group, &shapes[0].0);
        shapes.extend(rows);
    }
    shapes
}

/// The widths of vectors: of a part of a sum the narrower first, as each pass over half of the lanes reads the other half's
/// cache lines too.
fn widths_of_share(cx: &Context<'_>, share: Share, along: Along) -> Vec<usize> {
    let mut widths = widths(cx, along);
    if share.partial {
        widths.reverse();
    }
    widths
}

/// The widths of vectors, the first of which any kernel can have.
pub(super) fn widths(cx: &Context<'_>, along: Along) -> Vec<usize> {
    let register = cx.target.register_lanes;
    let widest = cx.target.widest_lanes();
    match along {
        Along::Lanes | Along::Joined if cx.block <= register => vec![cx.block],
        Along::Lanes | Along::Joined => vec![register, cx.block],
        Along::Whole => vec![widest],
        Along::LastAxis | Along::Rows => vec![widest, widest / 2, widest / 4],
        Along::Reduction => vec![register],
        Along::Channels(outer) => vec![outer.width],
        Along::Nothing => vec![1],
    }
}

/// The cheapest tile, or the one that is chosen from outside.
fn best(
    cx: &Context<'_>,
    shapes: &[(Shape, Vec<usize>)],
    in_blocks: bool,
    chosen: Option<&Choice>,
) -> Tile {
    let (shape, widths) = &shapes[0];
    let mut candidates = candidates(cx, shapes, in_blocks);
    let chosen = chosen.and_then(|choice| candidates.iter().position(|own| own.is(choice)));
    if candidates.is_empty() {
        return fallback(shape, widths[0]);
    }
    let taken = candidates.remove(chosen.unwrap_or(0));
    let reason = taken.decision(
        &candidates,
        chosen.is_some_and(|chosen| chosen > 0),
        shape.work,
    );
    Tile {
        width: taken.width,
        factors: taken.factors,
        joined: taken.joined,
        edged: shape.edged.clone(),
        reason,
    }
}

fn fallback(shape: &Shape, width: usize) -> Tile {
    let axes = shape.extents.iter().zip(&shape.whole);
    Tile {
        width,
        factors: axes
            .map(|(&extent, &whole)| if whole { extent as usize } else { 1 })
            .collect(),
        joined: None,
        edged: Vec::new(),
        reason: "no tile fits the registers".into(),
    }
}
