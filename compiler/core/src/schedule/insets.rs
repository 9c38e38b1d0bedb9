//! Images that are stored with their border around them, rather than copied for who reads beyond their ends.
//!
//! ```text
//! before                                    after
//! image   f32[1, 16, 32, 32]                image   f32[1, 16, 34, 34], of which its kernel writes 32 x 32
//! copy    f32[1, 16, 34, 34] of image       (the memory is zero from the start, and nothing else writes there)
//! product reads copy                        product reads image, all of it
//! sum     reads image                       sum     reads image, without its border
//! ```
//!
//! A copy takes a pass over the image while workers wait for each other twice more.

use crate::graph::{AxisIndex, DType, Dim, Graph, NodeId, Op, View};
use cranelift_entity::SecondaryMap;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of memory that may be kept for images with borders through the whole step.
const MOST: i64 = 8 << 20;

/// How an image lies in what is stored for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inset {
    /// The view with the border.
    pub view: NodeId,
    /// Its shape.
    pub outer: Vec<Dim>,
    /// Of each axis, the elements before the image.
    pub before: Vec<i64>,
}

/// Of these copies with zeros around them, in a graph without samples in lanes, the images that can be stored with their
/// border instead.
pub fn insets(graph: &Graph, copies: &BTreeSet<NodeId>) -> BTreeMap<NodeId, Inset> {
    let readers = readers(graph);
    let found = copies.iter().filter_map(|&copy| {
        let (image, inset) = inset(graph, copy)?;
        is_made_and_read(graph, image, &readers[image]).then_some((image, inset))
    });
    let found: Vec<(NodeId, Inset)> = found.collect();
    let bytes: i64 = found
        .iter()
        .map(|(_, inset)| 4 * graph.nodes[inset.view].ty.elements(1))
        .sum();
    let alone = |image: &NodeId| found.iter().filter(|other| other.0 == *image).count() == 1;
    let kept = found
        .iter()
        .filter(|(image, _)| alone(image) && bytes <= MOST);
    kept.cloned().collect()
}

/// Who reads each value, the step's outputs as one that reads by itself.
fn readers(graph: &Graph) -> SecondaryMap<NodeId, Vec<Option<NodeId>>> {
    let mut readers: SecondaryMap<NodeId, Vec<Option<NodeId>>> = SecondaryMap::new();
    let live = graph.live_nodes();
    for (id, node) in graph.nodes.iter().filter(|(id, _)| live.contains(*id)) {
        let inputs = node.inputs.iter();
        inputs.for_each(|&input| readers[input].push(Some(id)));
    }
    for output in &graph.outputs {
        readers[output.node].push(None);
    }
    readers
}

/// The image that a view only puts zeros around.
fn inset(graph: &Graph, copy: NodeId) -> Option<(NodeId, Inset)> {
    let node = &graph.nodes[copy];
    let Op::View(view) = &node.op else {
        return None;
    };
    let image = node.inputs[0];
    let inner = &graph.nodes[image].ty;
    let before = before(view)?;
    let mut axes = view.shape.iter().zip(&inner.shape).zip(&before);
    let within = axes.all(
        |((outer, inner), before)| match (outer.known(), inner.known()) {
            (Some(outer), Some(inner)) => *before >= 0 && before + inner <= outer,
            _ => false,
        },
    );
    let zeros = inner.dtype == DType::F32 && view.fill.as_f64() == 0.0;
    (within && zeros).then(|| {
        let inset = Inset {
            view: copy,
            outer: view.shape.clone(),
            before,
        };
        (image, inset)
    })
}

/// How far each axis is moved, where each is its own variable and nothing else.
pub fn before(view: &View) -> Option<Vec<i64>> {
    let axes = view.index.iter().enumerate();
    let moved = axes.map(|(number, axis)| {
        let own = AxisIndex::affine(&[(number, 1)], axis.offset, 1);
        (*axis == own).then_some(-axis.offset)
    });
    moved.collect()
}

/// Whether a kernel makes an image, and all who read it do so by its own axes.
fn is_made_and_read(graph: &Graph, image: NodeId, readers: &[Option<NodeId>]) -> bool {
    let by_axes = |op: &Op| {
        matches!(
            op,
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Contract(_) | Op::Reduce { .. }
        )
    };
    let reads = |op: &Op| by_axes(op) || matches!(op, Op::View(_) | Op::Cast(_));
    let own = by_axes(&graph.nodes[image].op);
    let mut readers = readers.iter();
    own && readers.all(|reader| reader.is_some_and(|reader| reads(&graph.nodes[reader].op)))
}
