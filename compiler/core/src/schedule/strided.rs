//! Products over samples that leave places of an operand out, as the weight gradients of the 1 x 1 convolutions of a
//! ResNet's skips do.
//!
//! `sum over b, p of g[b, o, p] * x[b, i, 2 p]` reads one of four pixels of `x`. With these as a view, both operands are of
//! one size, and the one with fewer channels is turned, which leaves the others' pixels unread either way.

use super::lanes::{ContractionLanes, Lanes};
use crate::graph::{AxisIndex, Contraction, DType, Graph, NodeId, Op, Scalar, TypeError, View};
use crate::passes::Rewrite;
use dlm_grammar::Span;
use std::iter;

/// The graph with views of what such products read of their operands; none where there are none.
///
/// # Errors
/// None in truth.
pub fn strided(graph: &Graph, lanes: &Lanes) -> Result<Option<Graph>, TypeError> {
    let mut rewrite = Rewrite::new(graph);
    let mut any = false;
    let floats = |id: NodeId| graph.nodes[id].ty.dtype == DType::F32;
    for (id, node) in graph.nodes.iter() {
        let mut inputs = rewrite.inputs(id)?.to_vec();
        let mut op = node.op.clone();
        if let Op::Contract(own) = &mut op
            && own.operands.len() == 2
            && matches!(
                lanes.contraction(own, &node.inputs),
                ContractionLanes::Across(_)
            )
        {
            for (operand, input) in inputs.iter_mut().enumerate() {
                if floats(node.inputs[operand]) && leaves_out(own, operand) {
                    *input = viewed(&mut rewrite.new, *input, own, operand, node.span)?;
                    any = true;
                }
            }
        }
        let new = rewrite.new.add(op, &inputs, node.span)?;
        rewrite.set(id, new);
    }
    any.then(|| rewrite.finish()).transpose()
}

/// Whether each axis of an operand has a variable of its own, and some that are summed over are gone along in steps.
fn leaves_out(contraction: &Contraction, operand: usize) -> bool {
    let axes = &contraction.operands[operand];
    let single = |axis: &AxisIndex| match *axis.terms.as_slice() {
        [(variable, step)] if axis.divisor == 1 && axis.offset == 0 && step > 0 => {
            Some((variable, step))
        }
        _ => None,
    };
    let Some(all) = axes.iter().map(single).collect::<Option<Vec<_>>>() else {
        return false;
    };
    let mut variables: Vec<usize> = all.iter().map(|own| own.0).collect();
    variables.sort_unstable();
    variables.dedup();
    let mut steps = all.iter().filter(|own| own.1 > 1).peekable();
    let any = steps.peek().is_some();
    any && variables.len() == all.len() && steps.all(|own| own.0 >= contraction.shape.len())
}

/// The view of an operand that holds what the product reads; the product reads each of its axes by the variable alone.
fn viewed(
    graph: &mut Graph,
    input: NodeId,
    contraction: &mut Contraction,
    operand: usize,
    span: Span,
) -> Result<NodeId, TypeError> {
    let rank = contraction.shape.len();
    let variables: Vec<usize> = contraction.operands[operand]
        .iter()
        .map(|axis| axis.terms[0].0)
        .collect();
    let extent = |&variable: &usize| match variable.checked_sub(rank) {
        Some(reduced) => contraction.reduced[reduced],
        None => contraction.shape[variable],
    };
    let steps = contraction.operands[operand].iter().enumerate();
    let index = steps.map(|(axis, own)| AxisIndex {
        terms: iter::once((axis, own.terms[0].1)).collect(),
        ..own.clone()
    });
    let view = View {
        shape: variables.iter().map(extent).collect(),
        index: index.collect(),
        fill: Scalar::F32(0.0),
    };
    let view = graph.add(Op::View(view), &[input], span)?;
    for (axis, &variable) in contraction.operands[operand].iter_mut().zip(&variables) {
        *axis = AxisIndex::variable(variable);
    }
    Ok(view)
}
