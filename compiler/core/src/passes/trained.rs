//! A definition as a part of a training step.

use super::rewrite::Rewrite;
use crate::graph::{
    BinaryOp, DType, Graph, InputKind, NodeId, Op, OutputKind, ReduceOp, TypeError,
};
use dlm_grammar::Span;

/// The graph with a gradient for each of its parameters, of its float results' sum weighted by inputs of the name
/// `cotangent.RESULT`. Without parameters or float results it stays as it is.
///
/// # Errors
/// Where an operation has no gradient.
pub fn trained(graph: &Graph) -> Result<Graph, TypeError> {
    let mut rewrite = Rewrite::new(graph);
    for id in graph.nodes.keys() {
        rewrite.copy(id)?;
    }
    let parameter = |(id, node): (NodeId, &crate::graph::Node)| match &node.op {
        Op::Input {
            kind: InputKind::Parameter,
            name,
            ..
        } => Some((id, name.clone())),
        _ => None,
    };
    let parameters: Vec<(NodeId, String)> = graph.nodes.iter().filter_map(parameter).collect();
    let parameters: Vec<(NodeId, String)> = parameters
        .into_iter()
        .filter_map(|(id, name)| Some((rewrite.get(id)?, name)))
        .collect();
    let mut trained = rewrite.finish()?;
    let Some(loss) = weighted(&mut trained)? else {
        return Ok(trained);
    };
    for (node, name) in parameters {
        let gradient = trained.add(Op::Gradient, &[loss, node], Span::default())?;
        trained.output(OutputKind::Result, format!("grad.{name}"), gradient);
    }
    Ok(trained)
}

/// The sum of all float results, each weighted by an input.
fn weighted(graph: &mut Graph) -> Result<Option<NodeId>, TypeError> {
    let span = Span::default();
    let mut loss = None;
    for output in graph.outputs.clone() {
        let ty = graph.nodes[output.node].ty.clone();
        if output.kind != OutputKind::Result || ty.dtype != DType::F32 {
            continue;
        }
        let axes = (0..ty.rank()).collect();
        let input = Op::Input {
            kind: InputKind::Data,
            name: format!("cotangent.{}", output.name),
            ty,
        };
        let cotangent = graph.add(input, &[], span)?;
        let product = Op::Binary(BinaryOp::Mul);
        let product = graph.add(product, &[output.node, cotangent], span)?;
        let op = ReduceOp::Sum;
        let sum = graph.add(Op::Reduce { op, axes }, &[product], span)?;
        loss = Some(match loss {
            None => sum,
            Some(loss) => graph.add(Op::Binary(BinaryOp::Add), &[loss, sum], span)?,
        });
    }
    Ok(loss)
}
