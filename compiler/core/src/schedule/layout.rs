//! The order of a stored value's axes within a sample block.
//!
//! Row-major order puts a whole image between two channels of one pixel. Images of powers of two then map all channels
//! to the same few sets of the caches, so a product over channels misses on every load. Where a value is only kept
//! within the step and every reshape of it leaves the channels an axis, they lie beside the lanes instead.
//! What a loop reads or makes stays row-major: its body has reshapes of its own.

use super::buffers::{Buffers, Sources};
use super::fuse::root;
use super::units::Work;
use crate::graph::{NodeId, Op};
use crate::plan::BufferId;
use std::collections::BTreeSet;

/// The buffers of stored values whose first axis after the lane axis is the innermost in memory.
pub fn channels_inside(sources: &Sources<'_>, buffers: &Buffers) -> BTreeSet<BufferId> {
    let graph = sources.graph;
    let mut candidates: BTreeSet<NodeId> = sources.fusion.stored.clone();
    for id in read_elsewhere(sources) {
        candidates.remove(&id);
    }
    for id in graph.nodes.keys() {
        if !keeps_channels(sources, id) {
            candidates.remove(&root(graph, id));
        }
    }
    let found = candidates.iter().filter_map(|id| buffers.of.get(id));
    found.copied().collect()
}

/// What is read or written by others than the step's own kernels.
fn read_elsewhere<'s>(sources: &'s Sources<'_>) -> impl Iterator<Item = NodeId> + 's {
    let graph = sources.graph;
    let outputs = graph.outputs.iter().map(|output| root(graph, output.node));
    let copied = sources.units.iter().filter_map(|unit| match unit.work {
        Work::Relayout(id) => Some(id),
        _ => None,
    });
    let scans = graph
        .nodes
        .iter()
        .filter(|(_, node)| matches!(node.op, Op::Scan(_)));
    let by_loops = scans.flat_map(move |(id, node)| {
        let inputs = node.inputs.iter().map(move |&input| root(graph, input));
        inputs.chain([id])
    });
    outputs.chain(copied).chain(by_loops)
}

/// Whether a value is an image with samples in lanes, and its channels are those of what is stored for it.
fn keeps_channels(sources: &Sources<'_>, id: NodeId) -> bool {
    let graph = sources.graph;
    let (shape, source) = (&graph.nodes[id].ty.shape, root(graph, id));
    let channels = graph.nodes[source].ty.shape.get(1);
    sources.lanes.axis(source) == Some(0)
        && sources.lanes.axis(id) == Some(0)
        && shape.len() > 3
        && shape.get(1) == channels
        && channels.is_some_and(|channels| !channels.is_dynamic())
}
