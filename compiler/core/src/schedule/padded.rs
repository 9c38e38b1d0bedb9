//! Operands with their borders written out.
//!
//! Where vectors run along an image's rows, some lanes of a window at the border are inside the image and some are not.
//! Such an operand is stored with zeros around it, and the product has no borders. Where vectors hold a few pixels of a row,
//! each with the samples of the block, the zeros are at the ends of rows only: of rows that are beyond the image, a product
//! leaves out all.

use super::borders::borders;
use super::lanes::Lanes;
use crate::graph::{AxisIndex, Contraction, Dim, Graph, NodeId, Op, Scalar, TypeError, View};
use crate::passes::Rewrite;
use std::collections::BTreeSet;

/// Where zeros are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Around {
    /// All around images without samples in lanes.
    Images,
    /// At the ends of rows of images with samples in lanes.
    Rows,
}

/// The graph with padded operands, and what is stored in any case: those operands, and `kept` of the graph before.
///
/// # Errors
/// None in truth.
pub fn padded(
    graph: &Graph,
    lanes: &Lanes,
    kept: &BTreeSet<NodeId>,
    around: Around,
) -> Result<(Graph, BTreeSet<NodeId>), TypeError> {
    let mut copies = BTreeSet::new();
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        let mut inputs = rewrite.inputs(id)?;
        let Op::Contract(own) = &node.op else {
            rewrite.copy(id)?;
            continue;
        };
        let mut contraction = own.clone();
        for operand in operands(graph, lanes, id, own, around) {
            let shape = &graph.nodes[node.inputs[operand]].ty.shape;
            let dtype = graph.nodes[node.inputs[operand]].ty.dtype;
            let axes = &mut contraction.operands[operand];
            let last = own.shape.len() - 1;
            let padded = |axis: &AxisIndex| around == Around::Images || axis.coefficient(last) != 0;
            let (view, moved) = with_room(own, shape, axes, &padded, Scalar::zero(dtype));
            *axes = moved;
            let view = rewrite
                .new
                .add(Op::View(view), &[inputs[operand]], node.span)?;
            inputs[operand] = view;
            copies.insert(view);
        }
        let new = rewrite
            .new
            .add(Op::Contract(contraction), &inputs, node.span)?;
        rewrite.set(id, new);
    }
    copies.extend(kept.iter().filter_map(|&id| rewrite.get(id)));
    Ok((rewrite.finish()?, copies))
}

/// The operands of a contraction that are read beyond their ends along the output's last axis.
fn operands(
    graph: &Graph,
    lanes: &Lanes,
    id: NodeId,
    contraction: &Contraction,
    around: Around,
) -> Vec<usize> {
    let inputs = &graph.nodes[id].inputs;
    let in_lanes = inputs.iter().any(|&input| lanes.axis(input).is_some());
    let mut extents = contraction.shape.iter().chain(&contraction.reduced);
    let fits = match around {
        Around::Images => !in_lanes && extents.all(|dim| dim.known().is_some()),
        Around::Rows => lanes.axis(id).is_some(),
    };
    let Some(last) = contraction.shape.len().checked_sub(1).filter(|_| fits) else {
        return Vec::new();
    };
    let borders = borders(graph, id, contraction);
    let reaches = |&operand: &usize| {
        let axes = contraction.operands[operand].iter().zip(&borders[operand]);
        let shape = &graph.nodes[inputs[operand]].ty.shape;
        axes.clone()
            .any(|(axis, &border)| border && axis.coefficient(last) != 0)
            && axes.zip(shape).all(|((axis, &border), dim)| {
                !border || (axis.divisor == 1 && dim.known().is_some())
            })
    };
    (0..contraction.operands.len()).filter(reaches).collect()
}

/// The view that has an element at each position that is read of the axes that are padded, and the positions in it.
fn with_room(
    contraction: &Contraction,
    shape: &[Dim],
    axes: &[AxisIndex],
    padded: &dyn Fn(&AxisIndex) -> bool,
    fill: Scalar,
) -> (View, Vec<AxisIndex>) {
    let extents = contraction.shape.iter().chain(&contraction.reduced);
    let extents: Vec<Option<i64>> = extents.map(|dim| dim.known()).collect();
    let mut view = View {
        shape: shape.to_vec(),
        index: (0..shape.len()).map(AxisIndex::variable).collect(),
        fill,
    };
    let mut moved = axes.to_vec();
    for (number, axis) in axes
        .iter()
        .enumerate()
        .filter(|(_, axis)| axis.divisor == 1 && padded(axis))
    {
        let reach = |low: bool| {
            let term = |&(variable, coefficient): &(usize, i64)| {
                let end = coefficient * (extents[variable]? - 1);
                Some(if low { end.min(0) } else { end.max(0) })
            };
            let terms = axis.terms.iter().map(term).sum::<Option<i64>>()?;
            Some(axis.offset + terms)
        };
        let (Some(extent), Some(first), Some(last)) =
            (shape[number].known(), reach(true), reach(false))
        else {
            continue;
        };
        let before = (-first).max(0);
        let after = (last + 1 - extent).max(0);
        view.shape[number] = Dim::fixed(before + extent + after);
        view.index[number] = AxisIndex::affine(&[(number, 1)], -before, 1);
        moved[number].offset += before;
    }
    (view, moved)
}
