//! A plain copy of a value that lies in lanes, for products over the batch.

use super::{Context, LowerError, Lowered, Lowering, form};
use crate::graph::NodeId;
use crate::loops::{Access, LoopKind};
use crate::plan::BufferId;
use crate::schedule::affine::Affine;
use crate::schedule::fuse::{Group, Strategy};

/// The kernel that copies one block of `node` from lanes to rows.
///
/// # Errors
/// Only for a fault of the lowering.
pub fn lower_relayout(
    cx: &Context<'_>,
    node: NodeId,
    from: BufferId,
    to: BufferId,
) -> Result<Lowered, LowerError> {
    let group = Group::single(node, Strategy::Lanes);
    let width = cx.block.min(cx.target.register_lanes);
    let name = format!("relayout_{}", cx.buffers[from].name);
    let mut lowering = Lowering::new(cx, &group, name, false, width as u8);
    let source = lowering.b.buffer(
        cx.buffers[from].name.clone(),
        lowering.element(from),
        Access::Read,
    );
    let target = lowering.b.buffer(
        cx.buffers[to].name.clone(),
        lowering.element(to),
        Access::Write,
    );
    lowering.bound.extend([(from, source), (to, target)]);
    let lane = cx.lanes.axis(node);
    let shape = &cx.graph.nodes[node].ty.shape;
    let inner = shape
        .iter()
        .enumerate()
        .filter(|&(axis, _)| Some(axis) != lane);
    let size: i64 = inner.map(|(_, dim)| dim.fixed).product();
    let (row, apart) = match cx.orders.rows_apart.get(&to) {
        Some(apart) => (
            shape[apart.axis + 1..]
                .iter()
                .map(|dim| dim.fixed)
                .product(),
            apart.elements as i64,
        ),
        None => (size, 0),
    };
    let rows = size / row.max(1);
    let (block, sample) = (cx.block as i64, rows * (row + apart));
    let b = &mut lowering.b;
    let (zero, lanes) = (b.index(0), b.index(block));
    let (first, _) = b.begin_loop(LoopKind::Domain, "lane", zero, lanes, width as i64, &[]);
    let mut outer = Affine::constant(0);
    if rows > 1 {
        let end = b.index(rows);
        outer = Affine::variable(b.begin_loop(LoopKind::Domain, "row", zero, end, 1, &[]).0);
    }
    let end = b.index(row);
    let (counter, _) = b.begin_loop(LoopKind::Domain, "i0", zero, end, 1, &[]);
    let (mut read, mut write) = (Affine::variable(first), Affine::variable(counter));
    read.add_scaled(&Affine::variable(counter), block);
    read.add_scaled(&outer, row * block);
    let value = b.load(source, form(&read), width as u8);
    write.add_scaled(&outer, row + apart);
    write.add_scaled(&Affine::variable(first), sample);
    let write = form(&write).address(target);
    b.store_strided(write, value, sample);
    for _ in 0..if rows > 1 { 3 } else { 2 } {
        b.end_loop(&[]);
    }
    lowering.finish(None, decision(apart > 0))
}

fn decision(apart: bool) -> String {
    let apart = if apart { ", apart" } else { "" };
    format!("plain rows{apart}, for a product over the batch")
}
