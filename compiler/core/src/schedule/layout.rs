//! The order of a stored value's axes within a sample block.
//!
//! Row-major order puts a whole image between two channels of one pixel. Images of powers of two then map all channels
//! to the same few sets of the caches, so a product over channels misses on every load. Where a value is only kept
//! within the step and every reshape of it leaves the channels an axis, they lie beside the lanes instead.

use super::buffers::{Buffers, Sources};
use super::fuse::root;
use super::units::Work;
use crate::graph::NodeId;
use std::collections::BTreeSet;

/// The stored values whose first axis after the lane axis is the innermost in memory.
pub fn channels_inside(sources: &Sources<'_>, buffers: &Buffers) -> BTreeSet<NodeId> {
    let graph = sources.graph;
    let mut candidates: BTreeSet<NodeId> = sources.fusion.stored.clone();
    candidates.retain(|id| buffers.of.contains_key(id));
    for output in &graph.outputs {
        candidates.remove(&root(graph, output.node));
    }
    for unit in sources.units {
        if let Work::Relayout(id) = unit.work {
            candidates.remove(&id);
        }
    }
    for (id, node) in graph.nodes.iter() {
        let source = root(graph, id);
        let channels = graph.nodes[source].ty.shape.get(1);
        let image = sources.lanes.axis(source) == Some(0)
            && sources.lanes.axis(id) == Some(0)
            && node.ty.rank() > 3
            && node.ty.shape.get(1) == channels
            && channels.is_some_and(|channels| !channels.is_dynamic());
        if !image {
            candidates.remove(&source);
        }
    }
    candidates
}
