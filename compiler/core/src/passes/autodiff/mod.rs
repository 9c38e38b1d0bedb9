//! Reverse-mode differentiation on the graph.
//!
//! A `gradient(loss, x)` node becomes ordinary operations, which can be differentiated again. Nodes are rebuilt in
//! order, so that an inner gradient is expanded before an outer one meets it. Gradients of one loss share a sweep: the
//! cotangents of all nodes between the loss and every `x` that is asked for.

#[cfg(test)]
mod case;
#[cfg(test)]
mod examples;
mod scan;
#[cfg(test)]
mod scan_examples;
#[cfg(test)]
mod tests;

use super::rewrite::Rewrite;
use crate::graph::ops::{Derivative, gradient};
use crate::graph::{BinaryOp, Builder, DType, Graph, NodeId, Op, TypeError};
use cranelift_entity::SecondaryMap;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The pass.
///
/// # Errors
/// Where a rule does not type, which is a fault of the rule.
pub fn run(graph: &Graph) -> Result<Graph, TypeError> {
    let live = graph.live_nodes();
    let mut rewrite = Rewrite::new(graph);
    let mut sweeps: BTreeMap<NodeId, Sweep> = BTreeMap::new();
    for (id, node) in graph.nodes.iter() {
        if !live.contains(id) && !matches!(node.op, Op::Input { .. }) {
            continue;
        }
        if node.op != Op::Gradient {
            rewrite.copy(id)?;
            continue;
        }
        let inputs = rewrite.inputs(id)?;
        let (loss, x) = (inputs[0], inputs[1]);
        if let Entry::Vacant(place) = sweeps.entry(loss) {
            let wanted = wanted(&rewrite, node.inputs[0]);
            place.insert(sweep(&mut rewrite.new, loss, &wanted)?);
        }
        let mut gradient = sweeps.get(&loss).and_then(|sweep| sweep.get(&x)).copied();
        if gradient.is_none() && depends(&rewrite.new, loss, x) {
            gradient = sweep(&mut rewrite.new, loss, &[x])?.get(&x).copied();
        }
        let gradient = match gradient {
            Some(gradient) => gradient,
            None => {
                let ty = rewrite.new.ty(x).clone();
                rewrite.new.full(0.0, ty.dtype, &ty.shape, node.span)?
            }
        };
        rewrite.set(id, gradient);
    }
    rewrite.finish()
}

/// The cotangent of each node that was asked for.
type Sweep = BTreeMap<NodeId, NodeId>;

/// Every `x` that gradients of one loss ask for and that is rebuilt already.
fn wanted(rewrite: &Rewrite<'_>, loss: NodeId) -> Vec<NodeId> {
    let gradients = rewrite
        .old
        .nodes
        .values()
        .filter(|node| node.op == Op::Gradient && node.inputs[0] == loss);
    gradients
        .filter_map(|node| rewrite.get(node.inputs[1]))
        .collect()
}

fn depends(graph: &Graph, node: NodeId, on: NodeId) -> bool {
    let mut pending = vec![node];
    let mut seen: SecondaryMap<NodeId, bool> = SecondaryMap::new();
    while let Some(node) = pending.pop() {
        if node == on {
            return true;
        }
        if node > on && !std::mem::replace(&mut seen[node], true) {
            pending.extend(graph.nodes[node].inputs.iter().copied());
        }
    }
    false
}

/// The nodes on a path from one of `wanted` to the last of those that a sweep starts from.
fn on_path(graph: &Graph, last: NodeId, wanted: &[NodeId]) -> SecondaryMap<NodeId, bool> {
    let mut reaches: SecondaryMap<NodeId, bool> = SecondaryMap::new();
    for &x in wanted {
        reaches[x] = true;
    }
    for (id, node) in graph.nodes.iter() {
        let differentiable = node.op != Op::StopGradient && node.ty.dtype.is_float();
        if differentiable && node.inputs.iter().any(|&input| reaches[input]) {
            reaches[id] = true;
        }
        if id == last {
            break;
        }
    }
    reaches
}

fn sweep(graph: &mut Graph, loss: NodeId, wanted: &[NodeId]) -> Result<Sweep, TypeError> {
    let seed = graph.number(1.0, DType::F32, graph.nodes[loss].span)?;
    let seed = graph.cast(seed, graph.ty(loss).dtype, graph.nodes[loss].span)?;
    sweep_from(graph, BTreeMap::from([(loss, seed)]), wanted)
}

/// The cotangents of `wanted`, where those of some nodes are given.
fn sweep_from(
    graph: &mut Graph,
    mut cotangents: BTreeMap<NodeId, NodeId>,
    wanted: &[NodeId],
) -> Result<Sweep, TypeError> {
    let mut result = Sweep::new();
    let Some((&last, _)) = cotangents.last_key_value() else {
        return Ok(result);
    };
    let path = on_path(graph, last, wanted);
    cotangents.retain(|&id, _| path[id]);
    // The results of each scan are differentiated together, when the first of them has its turn: what reads any of
    // them stands after it.
    let mut scans: BTreeMap<NodeId, Vec<(usize, NodeId)>> = BTreeMap::new();
    loop {
        let next = cotangents.last_key_value().map(|entry| *entry.0);
        let parts = match scans.last_entry() {
            Some(entry) if next.is_none_or(|next| next < *entry.key()) => {
                let (id, results) = entry.remove_entry();
                scan::gradient(graph, id, &results, &|input| path[input])?
            }
            _ => {
                let Some((id, cotangent)) = cotangents.pop_last() else {
                    return Ok(result);
                };
                if wanted.contains(&id) {
                    result.insert(id, cotangent);
                }
                if let Op::Scan(own) = &graph.nodes[id].op {
                    let first = graph.results_of(id).first().map_or(id, |first| first.1);
                    scans
                        .entry(first)
                        .or_default()
                        .push((own.result, cotangent));
                    continue;
                }
                parts(graph, id, cotangent, &path)?
            }
        };
        for (input, part) in parts {
            let sum = match cotangents.get(&input) {
                Some(&other) => {
                    graph.binary(BinaryOp::Add, other, part, graph.nodes[input].span)?
                }
                None => part,
            };
            cotangents.insert(input, sum);
        }
    }
}

/// For each input of `id` on the path, its part of the cotangent.
fn parts(
    graph: &mut Graph,
    id: NodeId,
    cotangent: NodeId,
    path: &SecondaryMap<NodeId, bool>,
) -> Result<Vec<(NodeId, NodeId)>, TypeError> {
    let node = graph.nodes[id].clone();
    let mut builder = Builder {
        graph,
        span: node.span,
    };
    let at = Derivative {
        op: &node.op,
        inputs: &node.inputs,
        result: id,
        g: cotangent,
    };
    let mut parts = Vec::new();
    for (which, &input) in node.inputs.iter().enumerate() {
        if path[input] {
            parts.extend(gradient(&mut builder, &at, which)?.map(|part| (input, part)));
        }
    }
    Ok(parts)
}
