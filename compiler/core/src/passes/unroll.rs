//! Scans written out round by round: for bodies that the schedule has no loop for.

use super::rewrite::Rewrite;
use crate::graph::scan::{Role, arguments};
use crate::graph::{AxisIndex, Dim, Graph, NodeId, Op, Scalar, Scan, TypeError, View};
use cranelift_entity::SecondaryMap;
use dlm_grammar::Span;
use std::collections::BTreeMap;

/// Writes out the scans that `wanted` names by their operation and inputs.
///
/// # Errors
/// None in truth.
pub fn run(graph: &Graph, wanted: &dyn Fn(NodeId, &Scan) -> bool) -> Result<Graph, TypeError> {
    let mut written: BTreeMap<(NodeId, usize), NodeId> = BTreeMap::new();
    let mut first_of: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for (first, scan) in graph.scans() {
        if wanted(first, scan) {
            let results = graph.results_of(first);
            first_of.extend(results.into_iter().map(|(_, id)| (id, first)));
        }
    }
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        let (Some(&first), Op::Scan(scan)) = (first_of.get(&id), &node.op) else {
            rewrite.copy(id)?;
            continue;
        };
        if !written.contains_key(&(first, scan.result)) {
            let inputs = rewrite.inputs(id)?;
            let results = write_out(&mut rewrite.new, scan, &inputs, node.span)?;
            for (number, result) in results.into_iter().enumerate() {
                written.insert((first, number), result);
            }
        }
        rewrite.set(id, written[&(first, scan.result)]);
    }
    rewrite.finish()
}

/// All results of a scan, by its rounds one after the other.
fn write_out(
    graph: &mut Graph,
    scan: &Scan,
    inputs: &[NodeId],
    span: Span,
) -> Result<Vec<NodeId>, TypeError> {
    let mut carries = inputs[scan.captures..scan.captures + scan.carries].to_vec();
    let mut rows: Vec<Vec<NodeId>> = vec![Vec::new(); scan.results() - scan.carries];
    for step in 0..scan.rounds {
        let round = match scan.reverse {
            true => scan.rounds - 1 - step,
            false => step,
        };
        let outputs = one_round(graph, scan, inputs, &carries, round)?;
        carries = outputs[..scan.carries].to_vec();
        for (rows, &part) in rows.iter_mut().zip(&outputs[scan.carries..]) {
            let mut shape = vec![Dim::fixed(1)];
            shape.extend(graph.shape(part));
            rows.push(graph.reshape(part, &shape, span)?);
        }
    }
    let mut results = carries;
    for mut rows in rows {
        if scan.reverse {
            rows.reverse();
        }
        results.push(match rows.as_slice() {
            [only] => *only,
            _ => graph.add(Op::Concat { axis: 0 }, &rows, span)?,
        });
    }
    Ok(results)
}

fn one_round(
    graph: &mut Graph,
    scan: &Scan,
    inputs: &[NodeId],
    carries: &[NodeId],
    round: i64,
) -> Result<Vec<NodeId>, TypeError> {
    let body = scan.body.graph();
    let mut map: SecondaryMap<NodeId, Option<NodeId>> = SecondaryMap::new();
    for (number, id) in arguments(body) {
        let span = body.nodes[id].span;
        map[id] = Some(match scan.role(number, inputs.len()) {
            Role::Capture => inputs[number],
            Role::Carry(carry) => carries[carry],
            Role::Row => row(graph, inputs[number], round, span)?,
            Role::Round => graph.constant(Scalar::I32(round as i32), span)?,
        });
    }
    for (id, node) in body.nodes.iter() {
        if map[id].is_none() {
            let inputs: Option<Vec<NodeId>> = node.inputs.iter().map(|&input| map[input]).collect();
            let inputs = inputs.ok_or_else(|| TypeError("an input after its user".into()))?;
            map[id] = Some(graph.add(node.op.clone(), &inputs, node.span)?);
        }
    }
    let outputs = body.outputs.iter().map(|output| map[output.node]);
    let outputs: Option<Vec<NodeId>> = outputs.collect();
    outputs.ok_or_else(|| TypeError("an output of a body is lost".into()))
}

/// A row of a stacked value.
fn row(graph: &mut Graph, stacked: NodeId, round: i64, span: Span) -> Result<NodeId, TypeError> {
    let shape = graph.shape(stacked)[1..].to_vec();
    let mut index = vec![AxisIndex::constant(round)];
    index.extend((0..shape.len()).map(AxisIndex::variable));
    let fill = Scalar::zero(graph.ty(stacked).dtype);
    graph.view(stacked, View { shape, index, fill }, span)
}
