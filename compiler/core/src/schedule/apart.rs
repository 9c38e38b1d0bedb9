//! What is reported or returned lies apart from parameters and states: these may be updated in place, and what a step
//! reports is their value at one place of the program.

use super::fuse::root;
use crate::graph::{BinaryOp, DType, Graph, InputKind, NodeId, Op, OutputKind, TypeError};
use std::collections::BTreeSet;

/// The graph with a copy of each parameter or state that is reported or returned as it is; none where there is none.
///
/// # Errors
/// Where a copy does not type, which is a fault of this pass.
pub fn apart(graph: &Graph) -> Result<Option<Graph>, TypeError> {
    let persistent = persistent(graph);
    let leaves = |kind: OutputKind| matches!(kind, OutputKind::Report | OutputKind::Result);
    let shares = |node: NodeId| persistent.contains(&root(graph, node));
    let outputs = graph.outputs.iter();
    if !outputs
        .clone()
        .any(|output| leaves(output.kind) && shares(output.node))
    {
        return Ok(None);
    }
    let mut new = graph.clone();
    for (index, output) in outputs.enumerate() {
        if leaves(output.kind) && shares(output.node) {
            new.outputs[index].node = copied(&mut new, output.node)?;
        }
    }
    Ok(Some(new))
}

/// The values that lie where parameters and states do: stored ones and those that replace them.
fn persistent(graph: &Graph) -> BTreeSet<NodeId> {
    let inputs = graph.nodes.iter().filter_map(|(id, node)| match &node.op {
        Op::Input {
            kind: InputKind::Parameter | InputKind::State,
            ..
        } => Some(id),
        _ => None,
    });
    let outputs = graph.outputs.iter();
    let updates = outputs
        .filter(|output| matches!(output.kind, OutputKind::Parameter | OutputKind::State))
        .map(|output| root(graph, output.node));
    inputs.chain(updates).collect()
}

/// The same value as the result of an operation: the larger of it and itself.
fn copied(graph: &mut Graph, node: NodeId) -> Result<NodeId, TypeError> {
    let same = match graph.nodes[node].ty.dtype {
        DType::Bool => BinaryOp::And,
        _ => BinaryOp::Max,
    };
    let span = graph.nodes[node].span;
    graph.binary(same, node, node, span)
}
