//! Operations that kernels are not generated for, said by others.
//!
//! | operation | becomes |
//! |---|---|
//! | `concat(a, b, …)` | a choice, by position along the axis, of views that reach beyond their operands |
//! | `cumulative_sum(x)` | window sums that reach back to the start: `out[i] = sum over j of x[i - j]` |
//! | `scatter_add(ids, updates)` | a product with `id = row` as ones and zeros, which needs no order of writes |

use super::rewrite::Rewrite;
use crate::graph::{
    AxisIndex, BinaryOp, Contraction, DType, Dim, Graph, NodeId, Op, ReduceOp, Scalar, TypeError,
    View,
};
use dlm_grammar::Span;

/// The pass. Joins along the batch and scatters into a row for each sample stay as they are: the scheduler says where
/// the program has them.
///
/// # Errors
/// Where a part does not type, which is a fault of the pass.
pub fn run(graph: &Graph) -> Result<Graph, TypeError> {
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        let inputs = rewrite.inputs(id)?;
        let new = match &node.op {
            Op::Concat { axis } if joins_known_extents(graph, id, *axis) => {
                concat(&mut rewrite.new, &inputs, *axis, node.span)?
            }
            Op::CumulativeSum { axis, reverse } => {
                cumulative_sum(&mut rewrite.new, inputs[0], *axis, *reverse, node.span)?
            }
            Op::ScatterAdd { rows } if rows.known().is_some() => {
                scatter_add(&mut rewrite.new, inputs[0], inputs[1], *rows, node.span)?
            }
            _ => rewrite.copy(id)?,
        };
        rewrite.set(id, new);
    }
    rewrite.finish()
}

fn joins_known_extents(graph: &Graph, join: NodeId, axis: usize) -> bool {
    let mut operands = graph.nodes[join].inputs.iter();
    operands.all(|&operand| graph.shape(operand)[axis].known().is_some())
}

fn concat(
    graph: &mut Graph,
    operands: &[NodeId],
    axis: usize,
    span: Span,
) -> Result<NodeId, TypeError> {
    let mut shape = graph.shape(operands[0]).to_vec();
    let mut begins = Vec::with_capacity(operands.len());
    let mut total = 0;
    for &operand in operands {
        begins.push(total);
        let extent = graph.shape(operand)[axis].known();
        total += extent.ok_or_else(|| TypeError("a join along the batch".into()))?;
    }
    shape[axis] = Dim::fixed(total);
    let position = graph.iota(&shape, axis, span)?;
    let mut result: Option<NodeId> = None;
    for (&operand, &begin) in operands.iter().zip(&begins).rev() {
        let shifted = |own: usize| match own == axis {
            true => AxisIndex::affine(&[(own, 1)], -begin, 1),
            false => AxisIndex::variable(own),
        };
        let index = (0..shape.len()).map(shifted).collect();
        let fill = zero(graph.ty(operand).dtype);
        let wide = graph.view(
            operand,
            View {
                shape: shape.clone(),
                index,
                fill,
            },
            span,
        )?;
        result = Some(match result {
            None => wide,
            Some(later) => {
                let end = begin + graph.shape(operand)[axis].fixed;
                let end = graph.constant(Scalar::I32(end as i32), span)?;
                let before = graph.binary(BinaryOp::Lt, position, end, span)?;
                graph.select(before, wide, later, span)?
            }
        });
    }
    result.ok_or_else(|| TypeError("a join of nothing".into()))
}

fn zero(dtype: DType) -> Scalar {
    match dtype {
        DType::F32 | DType::Bf16 => Scalar::F32(0.0),
        DType::Bool => Scalar::Bool(false),
        _ => Scalar::I32(0),
    }
}

/// The same of integers, which no product takes: the earlier elements on an axis of their own, which is summed.
fn sum_of_earlier(
    graph: &mut Graph,
    x: NodeId,
    axis: usize,
    index: Vec<AxisIndex>,
    span: Span,
) -> Result<NodeId, TypeError> {
    let mut shape = graph.shape(x).to_vec();
    let (rank, fill) = (shape.len(), Scalar::I32(0));
    shape.push(shape[axis]);
    let earlier = graph.view(x, View { shape, index, fill }, span)?;
    graph.reduce(ReduceOp::Sum, earlier, &[rank], span)
}

fn cumulative_sum(
    graph: &mut Graph,
    x: NodeId,
    axis: usize,
    reverse: bool,
    span: Span,
) -> Result<NodeId, TypeError> {
    let shape = graph.shape(x).to_vec();
    let back = if reverse { 1 } else { -1 };
    let place = |own: usize| match own == axis {
        true => AxisIndex::affine(&[(own, 1), (shape.len(), back)], 0, 1),
        false => AxisIndex::variable(own),
    };
    let index: Vec<AxisIndex> = (0..shape.len()).map(place).collect();
    if !graph.ty(x).dtype.is_float() {
        return sum_of_earlier(graph, x, axis, index, span);
    }
    let operands = vec![index];
    graph.contract(
        Contraction {
            shape: shape.clone(),
            reduced: vec![shape[axis]],
            operands,
        },
        &[x],
        span,
    )
}

/// `out[row, rest] = sum over ids of (id = row) * update[id, rest]`.
fn scatter_add(
    graph: &mut Graph,
    ids: NodeId,
    updates: NodeId,
    rows: Dim,
    span: Span,
) -> Result<NodeId, TypeError> {
    let last = rows
        .known()
        .ok_or_else(|| TypeError("a table with rows for the batch".into()))?
        - 1;
    let bounds = [0, last].map(|bound| graph.constant(Scalar::I32(bound as i32), span));
    let [low, high] = bounds;
    let above = graph.binary(BinaryOp::Max, ids, low?, span)?;
    let clamped = graph.binary(BinaryOp::Min, above, high?, span)?;
    let hot = graph.one_hot(clamped, rows, span)?;
    let rank = graph.shape(ids).len();
    let further = graph.shape(updates).len() - rank;
    let mut shape = vec![rows];
    shape.extend_from_slice(&graph.shape(updates)[rank..]);
    let id = |number: usize| AxisIndex::variable(1 + further + number);
    let mut hot_index: Vec<AxisIndex> = (0..rank).map(id).collect();
    hot_index.push(AxisIndex::variable(0));
    let mut update_index: Vec<AxisIndex> = (0..rank).map(id).collect();
    update_index.extend((0..further).map(|number| AxisIndex::variable(1 + number)));
    let reduced = graph.shape(ids).to_vec();
    let contraction = Contraction {
        shape,
        reduced,
        operands: vec![hot_index, update_index],
    };
    graph.contract(contraction, &[hot, updates], span)
}
