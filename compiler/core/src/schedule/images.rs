//! Values that are made window by window, and read as images: the gradient of what a pool reads.
//!
//! Of `[C][H/2][W/2][2][2]`, turned to `[C][H/2][2][W/2][2]` and read as `[C][H][W]`, two pixels of a row lie beside each other and the
//! next two elsewhere. With its axes in the order of the view, the value is the image itself: vectors of several pixels
//! are one load.

use super::buffers::Sources;
use super::fuse::root;
use crate::graph::{NodeId, Op, View};
use std::collections::{BTreeMap, BTreeSet};

/// A stored value in the order of a view of it.
#[derive(Clone, Debug)]
pub struct Image {
    /// The view, whose reshapes are read in row-major order.
    pub view: NodeId,
    /// The stored value's axes but the lane axis, from the outermost in memory to the innermost.
    pub order: Vec<usize>,
}

/// Of the values that only a step's kernels read, those that are stored in the order of a view.
pub fn images(sources: &Sources<'_>, own: &BTreeSet<NodeId>) -> BTreeMap<NodeId, Image> {
    let graph = sources.graph;
    let mut images = BTreeMap::new();
    for (_, node) in graph.nodes.iter() {
        let (Op::Reshape { .. }, Some(&view)) = (&node.op, node.inputs.first()) else {
            continue;
        };
        let Some((stored, order)) = reordered(sources, view) else {
            continue;
        };
        // A view with memory of its own is read there.
        let is_stored = sources.fusion.stored.contains(&view);
        if own.contains(&stored) && sources.maker(stored).is_some() && !is_stored {
            images.entry(stored).or_insert(Image { view, order });
        }
    }
    for (id, node) in graph.nodes.iter() {
        let stored = root(graph, id);
        if images.contains_key(&stored) && node.ty.shape != graph.nodes[stored].ty.shape {
            images.remove(&stored);
        }
    }
    images
}

/// The value that a view only turns, with samples first in both, and its axes in the order of the view's.
fn reordered(sources: &Sources<'_>, id: NodeId) -> Option<(NodeId, Vec<usize>)> {
    let graph = sources.graph;
    let node = &graph.nodes[id];
    let Op::View(view) = &node.op else {
        return None;
    };
    let stored = root(graph, node.inputs[0]);
    let same = graph.nodes[stored].ty.shape == graph.nodes[node.inputs[0]].ty.shape;
    let first = |id: NodeId| sources.lanes.axis(id) == Some(0);
    if !same || !first(id) || !first(stored) {
        return None;
    }
    let order = turned(view, &graph.nodes[stored].ty.shape)?;
    let moved = order.iter().enumerate().any(|(at, &axis)| at != axis);
    (moved && order[0] == 0).then(|| (stored, order[1..].to_vec()))
}

/// For each axis of a view that has all elements of what it views, the axis that it is.
fn turned(view: &View, shape: &[crate::graph::Dim]) -> Option<Vec<usize>> {
    let mut order = vec![None; view.shape.len()];
    for (axis, index) in view.index.iter().enumerate() {
        let variable = index.as_variable()?;
        if view.shape[variable] != shape[axis] || order[variable].replace(axis).is_some() {
            return None;
        }
    }
    order.into_iter().collect()
}
