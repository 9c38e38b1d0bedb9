//! The order of a stored value's axes within a sample block, and how far apart the rows of its first are.
//!
//! Row-major order puts a whole image between two channels of one pixel. Images of powers of two then map all channels
//! to the same few sets of the caches, so a product over channels misses on every load. Where a value is only kept
//! within the step and every reshape of it leaves the channels an axis, they lie beside the lanes instead.
//! What a loop reads or makes stays row-major: its body has reshapes of its own.
//!
//! Rows whose length is a multiple of a kilobyte begin in few sets of the caches: a product over the rows of a matrix
//! misses both caches on every load. Such rows are kept one cache line apart, in lanes and in plain copies.

use super::buffers::Sources;
use super::fuse::{Strategy, root};
use super::images::{Image, images};
use super::long_maps::users;
use super::outer::outer;
use super::panels::{Panels, panels};
use super::slices;
use super::units::Work;
use super::widened::memory_type;
use crate::graph::{AxisIndex, Dim, NodeId, Op};
use std::collections::{BTreeMap, BTreeSet};

/// How the elements of stored values lie within a sample block.
pub struct Layouts {
    /// Those whose first axis after the lane axis is the innermost in memory.
    pub channels_inside: BTreeSet<NodeId>,
    /// Those whose rows are kept apart.
    pub rows_apart: BTreeMap<NodeId, RowsApart>,
    /// Those whose plain copy has its rows apart.
    pub copies_apart: BTreeMap<NodeId, RowsApart>,
    /// Those whose plain copy is in panels.
    pub panels: BTreeMap<NodeId, Panels>,
    /// Those in the order of a view of them.
    pub images: BTreeMap<NodeId, Image>,
    /// Those of which a round of slices leaves nothing for the next.
    pub of_round: BTreeSet<NodeId>,
}

/// Rows that are longer in memory than their elements are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsApart {
    /// The number of the axis whose places are the rows, from the outermost in memory.
    pub axis: usize,
    /// All rows of a block: of a sample where samples lie in lanes.
    pub rows: usize,
    /// How many elements a row is longer: of a sample where samples lie in lanes.
    pub elements: usize,
}

/// How values that only the step's own kernels read lie in memory.
pub fn layouts(sources: &Sources<'_>) -> Layouts {
    let graph = sources.graph;
    let mut own: BTreeSet<NodeId> = sources.fusion.stored.clone();
    for id in read_elsewhere(sources) {
        own.remove(&id);
    }
    // Vectors of several elements of a row are loaded at once where its elements lie side by side.
    let joined = sources.block < sources.target.register_lanes;
    let mut channels_inside = match joined {
        true => BTreeSet::new(),
        false => own.clone(),
    };
    let batched = batched_shapes(sources);
    channels_inside.retain(|&id| !batched.contains(&graph.nodes[id].ty.shape));
    for id in graph.nodes.keys() {
        if !keeps_channels(sources, id) {
            channels_inside.remove(&root(graph, id));
        }
    }
    let images = match joined {
        true => images(sources, &own),
        false => BTreeMap::new(),
    };
    let inside = |id: NodeId| channels_inside.contains(&id);
    let summed = summed_alone(sources);
    let mut rows_apart: BTreeMap<NodeId, RowsApart> = own
        .iter()
        .filter(|id| !images.contains_key(id))
        .filter_map(|&id| {
            let summed = inside(id) && summed.contains(&id);
            Some((id, conflicting_rows(sources, id, inside(id), summed)?))
        })
        .collect();
    for id in graph.nodes.keys() {
        let source = root(graph, id);
        let apart = rows_apart.get(&source);
        if apart.is_some_and(|apart| !keeps_rows(sources, id, apart, inside(source))) {
            rows_apart.remove(&source);
        }
    }
    let of_round = slices::of_round(sources, |id| {
        own.contains(&id) && !channels_inside.contains(&id) && !images.contains_key(&id)
    });
    let panels: BTreeMap<NodeId, Panels> = copied(sources)
        .filter_map(|id| Some((id, panels(sources, id)?)))
        .collect();
    let copies_apart = copied(sources)
        .filter(|id| !panels.contains_key(id))
        .filter_map(|id| Some((id, conflicting_rows_of_copy(sources, id)?)))
        .collect();
    Layouts {
        channels_inside,
        rows_apart,
        copies_apart,
        panels,
        images,
        of_round,
    }
}

/// Shapes of values of which a product of samples takes each place of the first axis after the samples by itself, as
/// those of attention do with heads, and of what the kernels of such products make: no channels are summed over.
fn batched_shapes(sources: &Sources<'_>) -> BTreeSet<Vec<Dim>> {
    let graph = sources.graph;
    let mut shapes = BTreeSet::new();
    for (id, node) in graph.nodes.iter() {
        let Op::Contract(contraction) = &node.op else {
            continue;
        };
        let in_lanes = |&input: &NodeId| sources.lanes.axis(input) == Some(0);
        if contraction.operands.len() != 2 || !node.inputs.iter().all(in_lanes) {
            continue;
        }
        for (number, &input) in node.inputs.iter().enumerate() {
            let first = contraction.operands[number].get(1);
            let heads = first.and_then(AxisIndex::as_variable);
            let heads = heads.filter(|&variable| variable < contraction.shape.len());
            let mut others = contraction.operands[1 - number].iter();
            if heads.is_some() && others.any(|axis| axis.as_variable() == heads) {
                shapes.insert(graph.nodes[root(graph, input)].ty.shape.clone());
                shapes.extend(made_with(sources, id));
            }
        }
    }
    shapes
}

/// Shapes of what the kernel of a product makes.
fn made_with(sources: &Sources<'_>, product: NodeId) -> Vec<Vec<Dim>> {
    let groups = sources.fusion.groups.iter();
    let own = groups.filter(|group| group.anchor == Some(product));
    let outputs = own.flat_map(|group| &group.outputs);
    outputs
        .map(|&output| sources.graph.nodes[output].ty.shape.clone())
        .collect()
}

/// The axes of a sample from the outermost in memory to the innermost.
pub fn order_in_memory(axes: impl Iterator<Item = usize>, channels_inside: bool) -> Vec<usize> {
    let mut axes: Vec<usize> = axes.collect();
    if channels_inside {
        axes.rotate_left(1);
    }
    axes
}

/// A cache line.
const LINE_BYTES: usize = 64;
/// Rows of such a multiple of lines begin in few of a cache's sets.
const LINES: usize = 16;
/// So many rows are in the cache in any case.
const FEW_ROWS: usize = 7;

/// Values that nothing but sums over the batch read, samples in the lanes of both operands: a few channels of every pixel.
fn summed_alone(sources: &Sources<'_>) -> BTreeSet<NodeId> {
    let graph = sources.graph;
    let users = users(graph);
    let sums = |id: &NodeId| {
        let turns = outer(graph, sources.lanes, sources.target, sources.block, *id).is_some();
        sources.fusion.strategies.get(id) == Some(&Strategy::Partial) && !turns
    };
    let stored = sources.fusion.stored.iter().copied();
    stored
        .filter(|&id| !users[id].is_empty() && users[id].iter().all(sums))
        .collect()
}

/// Whether so many rows of that length begin in few of a cache's sets.
fn conflict(rows: usize, row_bytes: usize) -> bool {
    rows > FEW_ROWS && row_bytes.is_multiple_of(LINES * LINE_BYTES)
}

/// The rows of a value that begin in few of a cache's sets, and what they lack for it: of the innermost axis that has
/// such, or of an image the outermost, as pixels are read with their neighbours; where they are only summed over, the pixels.
fn conflicting_rows(
    sources: &Sources<'_>,
    id: NodeId,
    inside: bool,
    summed: bool,
) -> Option<RowsApart> {
    let ty = &sources.graph.nodes[id].ty;
    if sources.maker(id).is_none() || sources.lanes.axis(id) != Some(0) {
        return None;
    }
    let order = order_in_memory(1..ty.shape.len(), inside);
    let extents: Option<Vec<usize>> = order
        .iter()
        .map(|&axis| Some(ty.shape[axis].known()? as usize))
        .collect();
    let extents = extents?;
    let lane_bytes = sources.block * memory_type(sources, id).dtype.bytes();
    let conflicts = |&axis: &usize| {
        let row_bytes = extents[axis + 1..].iter().product::<usize>() * lane_bytes;
        conflict(extents[axis], row_bytes)
    };
    let candidates = if summed {
        1..2
    } else if inside {
        0..1
    } else {
        0..extents.len().saturating_sub(1)
    };
    candidates.rev().find(conflicts).map(|axis| RowsApart {
        axis,
        rows: extents[..=axis].iter().product(),
        elements: LINE_BYTES.div_ceil(lane_bytes),
    })
}

/// The same of a value's plain copy: of the innermost axis that has such rows.
fn conflicting_rows_of_copy(sources: &Sources<'_>, id: NodeId) -> Option<RowsApart> {
    let graph = sources.graph;
    let bytes = memory_type(sources, id).dtype.bytes();
    let shape = &graph.nodes[id].ty.shape;
    let batch = sources.batch as i64;
    let extents: Vec<usize> = shape.iter().map(|dim| dim.at(batch) as usize).collect();
    let row_bytes = |axis: usize| extents[axis + 1..].iter().product::<usize>() * bytes;
    let mut axes = (0..extents.len().saturating_sub(1)).rev();
    let axis = axes.find(|&axis| conflict(extents[axis], row_bytes(axis)))?;
    let mut reshaped = graph.nodes.keys().filter(|&other| root(graph, other) == id);
    let keeps = |other: NodeId| graph.nodes[other].ty.shape.get(..=axis) == shape.get(..=axis);
    (sources.lanes.axis(id) == Some(0) && reshaped.all(keeps)).then(|| RowsApart {
        axis,
        rows: extents[1..=axis].iter().product::<usize>() * sources.block,
        elements: LINE_BYTES / bytes,
    })
}

/// Whether the rows of what is stored for a value are places of the value's own axes.
fn keeps_rows(sources: &Sources<'_>, id: NodeId, apart: &RowsApart, inside: bool) -> bool {
    let graph = sources.graph;
    let (own, stored) = (
        &graph.nodes[id].ty.shape,
        &graph.nodes[root(graph, id)].ty.shape,
    );
    let order = order_in_memory(1..stored.len(), inside);
    let rows = order.iter().take(apart.axis + 1);
    sources.lanes.axis(id) == Some(0)
        && rows
            .into_iter()
            .all(|&axis| own.get(axis) == stored.get(axis))
}

/// What is read or written by others than the step's own kernels.
fn read_elsewhere<'s>(sources: &'s Sources<'_>) -> impl Iterator<Item = NodeId> + 's {
    let graph = sources.graph;
    let outputs = graph.outputs.iter().map(|output| root(graph, output.node));
    let scans = graph
        .nodes
        .iter()
        .filter(|(_, node)| matches!(node.op, Op::Scan(_)));
    let by_loops = scans.flat_map(move |(id, node)| {
        let inputs = node.inputs.iter().map(move |&input| root(graph, input));
        inputs.chain([id])
    });
    outputs.chain(copied(sources)).chain(by_loops)
}

/// What is copied out of lanes, into rows or panels.
fn copied<'s>(sources: &'s Sources<'_>) -> impl Iterator<Item = NodeId> + 's {
    sources.units.iter().filter_map(|unit| match unit.work {
        Work::Relayout(id) => Some(id),
        _ => None,
    })
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
