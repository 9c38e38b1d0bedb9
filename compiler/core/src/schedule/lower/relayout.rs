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
    let block = cx.block as i64;
    let (zero, lanes, end) = (
        lowering.b.index(0),
        lowering.b.index(block),
        lowering.b.index(size),
    );
    let (first, _) =
        lowering
            .b
            .begin_loop(LoopKind::Domain, "lane", zero, lanes, width as i64, &[]);
    let (counter, _) = lowering
        .b
        .begin_loop(LoopKind::Domain, "i0", zero, end, 1, &[]);
    let mut read = Affine::variable(first);
    read.add_scaled(&Affine::variable(counter), block);
    let value = lowering.b.load(source, form(&read), width as u8);
    let mut write = Affine::variable(counter);
    write.add_scaled(&Affine::variable(first), size);
    let write = form(&write).address(target);
    lowering.b.store_strided(write, value, size);
    lowering.b.end_loop(&[]);
    lowering.b.end_loop(&[]);
    lowering.finish(None, "plain rows, for a product over the batch".into())
}
