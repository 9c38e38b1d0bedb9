//! What whole vectors leave of a dense layer's columns, where its weight gradient sums over the batch: vectors that are narrower
//! sum for more rows at a time.
//!
//! A tile has fewer of them along their own axis, so that its sums would wait for each other: how many samples there are is
//! not known, and no round is split.

use super::Context;
use super::axes::Axis;
use crate::graph::{Dim, Op};
use crate::schedule::fuse::Group;
use crate::schedule::panels::is_own_domain;

/// Sums that processors work on at once: two multiply-adds a cycle, each ready after four.
const AT_ONCE: usize = 8;
/// Sums for which every instruction set has registers, beside the vector and the row's value that they are made of.
const MOST: usize = 12;
/// Tasks that the rows are still divided into, where the product is large.
const TASKS: i64 = 4;
/// Multiply-adds of a product that is small.
const SMALL: i64 = 500_000;

/// Gives rows a larger tile for what vectors of so many elements leave of the outermost axis. Sums that were enough stay as
/// they are, and rows that no such tile divides.
pub(super) fn deepen_tails(cx: &Context<'_>, group: &Group, axes: &mut [Axis], elements: i64) {
    let Some((outer, [rows])) = axes.split_first_mut() else {
        return;
    };
    let tail = outer.vector && outer.extent.fixed % elements != 0;
    let Some(extent) = rows.extent.known().filter(|_| tail && rows.is_plain()) else {
        return;
    };
    if rows.tile >= AT_ONCE || !is_dense(cx, group) {
        return;
    }
    let work = extent * outer.extent.fixed * cx.batch as i64;
    let fits = |times: &usize| {
        let tail = (rows.tile * times) as i64;
        extent % tail == 0 && (!rows.ranged || work < SMALL || extent / tail >= TASKS)
    };
    let times = (AT_ONCE.div_ceil(rows.tile)..=MOST / rows.tile).find(fits);
    rows.tail = rows.tile * times.unwrap_or(1);
}

/// The axes as narrower vectors have them.
pub(super) fn in_tails(axes: &[Axis]) -> Vec<Axis> {
    let tail = |axis: &Axis| Axis {
        tile: axis.tail,
        ..axis.clone()
    };
    axes.iter().map(tail).collect()
}

/// Whether a group is a product of two matrices that sums over a batch of any size, and reads all of both: without borders,
/// which a tile of several rows could cross.
fn is_dense(cx: &Context<'_>, group: &Group) -> bool {
    let Some(anchor) = group.anchor.filter(|_| is_own_domain(group)) else {
        return false;
    };
    let node = &cx.graph.nodes[anchor];
    let Op::Contract(contraction) = &node.op else {
        return false;
    };
    let extents: Vec<Dim> = [&contraction.shape[..], &contraction.reduced[..]].concat();
    let mut operands = contraction.operands.iter().zip(&node.inputs);
    let whole = operands.all(|(index, &input)| {
        let mut axes = index.iter().zip(&cx.graph.nodes[input].ty.shape);
        axes.all(|(axis, dim)| axis.as_variable().is_some_and(|own| extents[own] == *dim))
    });
    let [batch] = contraction.reduced[..] else {
        return false;
    };
    whole && batch.is_dynamic() && contraction.operands.len() == 2
}
