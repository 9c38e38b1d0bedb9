//! Operands with their borders written out.
//!
//! Where vectors run along an image's rows, some lanes of a window at the border are inside the image and some are not.
//! Such an operand is stored with zeros around it, and the product has no borders.

use super::borders::borders;
use super::lanes::Lanes;
use crate::graph::{AxisIndex, Contraction, Dim, Graph, NodeId, Op, Scalar, TypeError, View};
use crate::passes::Rewrite;
use std::collections::BTreeSet;

/// The graph with padded operands, and what is stored in any case: those operands, and `kept` of the graph before.
///
/// # Errors
/// None in truth.
pub fn padded(
    graph: &Graph,
    lanes: &Lanes,
    kept: &BTreeSet<NodeId>,
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
        for operand in operands(graph, lanes, id, own) {
            let shape = &graph.nodes[node.inputs[operand]].ty.shape;
            let dtype = graph.nodes[node.inputs[operand]].ty.dtype;
            let axes = &mut contraction.operands[operand];
            let (view, moved) = around(own, shape, axes, Scalar::zero(dtype));
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

/// The operands of a contraction without lanes that are read beyond their ends along the output's last axis.
fn operands(graph: &Graph, lanes: &Lanes, id: NodeId, contraction: &Contraction) -> Vec<usize> {
    let inputs = &graph.nodes[id].inputs;
    let in_lanes = inputs.iter().any(|&input| lanes.axis(input).is_some());
    let Some(last) = contraction.shape.len().checked_sub(1).filter(|_| !in_lanes) else {
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
            && known_extents(contraction).is_some()
    };
    (0..contraction.operands.len()).filter(reaches).collect()
}

fn known_extents(contraction: &Contraction) -> Option<Vec<i64>> {
    let extents = contraction.shape.iter().chain(&contraction.reduced);
    extents.map(|dim| dim.known()).collect()
}

/// The view that has an element at each position that is read, and the positions in it.
fn around(
    contraction: &Contraction,
    shape: &[Dim],
    axes: &[AxisIndex],
    fill: Scalar,
) -> (View, Vec<AxisIndex>) {
    let extents = known_extents(contraction).unwrap_or_default();
    let mut view = View {
        shape: shape.to_vec(),
        index: (0..shape.len()).map(AxisIndex::variable).collect(),
        fill,
    };
    let mut moved = axes.to_vec();
    for (number, axis) in axes
        .iter()
        .enumerate()
        .filter(|(_, axis)| axis.divisor == 1)
    {
        let Some(extent) = shape[number].known() else {
            continue;
        };
        let reach = |low: bool| {
            let term = |&(variable, coefficient): &(usize, i64)| {
                let end = coefficient * (extents[variable] - 1);
                if low { end.min(0) } else { end.max(0) }
            };
            axis.offset + axis.terms.iter().map(term).sum::<i64>()
        };
        let before = (-reach(true)).max(0);
        let after = (reach(false) + 1 - extent).max(0);
        view.shape[number] = Dim::fixed(before + extent + after);
        view.index[number] = AxisIndex::affine(&[(number, 1)], -before, 1);
        moved[number].offset += before;
    }
    (view, moved)
}
