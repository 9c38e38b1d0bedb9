//! Products that are stored before a pool takes the largest of each window, where their rows fill vectors better than the
//! pool's do.
//!
//! Where one image is all there is, vectors run along its rows. Those of a pool are half as long, or less; in one kernel
//! with it the product has sums for each place of a window, and in each of them vectors of the pool's length.

use super::target::Target;
use crate::graph::{Graph, NodeId, Op};
use std::collections::BTreeSet;

/// The products that are to be stored, of a graph without samples in lanes.
pub fn under_pools(graph: &Graph, target: &Target) -> BTreeSet<NodeId> {
    let live = graph.live_nodes();
    let nodes = graph.nodes.iter().filter(|(id, _)| live.contains(*id));
    let pools = nodes.filter(|(_, node)| matches!(node.op, Op::Reduce { .. }));
    pools
        .filter_map(|(pool, _)| product_under(graph, target, pool))
        .collect()
}

/// The product whose windows a reduction takes together, whose rows are made of wider vectors.
fn product_under(graph: &Graph, target: &Target, pool: NodeId) -> Option<NodeId> {
    let windows = &graph.nodes[graph.nodes[pool].inputs[0]];
    let Op::View(view) = &windows.op else {
        return None;
    };
    let overlaps = view.index.iter().any(|axis| axis.terms.len() > 1);
    let product = windows.inputs[0];
    let is_product = matches!(&graph.nodes[product].op, Op::Contract(c) if c.operands.len() > 1);
    let row = |id: NodeId| graph.nodes[id].ty.shape.last()?.known();
    // Lanes of the vectors that a row is made of as a whole.
    let lanes = |row: i64| (1 << row.trailing_zeros()).min(target.register_lanes);
    let better = lanes(row(product)?) > lanes(row(pool)?);
    (overlaps && is_product && better).then_some(product)
}
