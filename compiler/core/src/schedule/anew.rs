//! Activations that are computed anew where their derivative is, for the gradients that read them.
//!
//! ```text
//! before                                    after
//! h  = gelu(x)                              h  = gelu(x)
//! y  = h w                                  y  = h w
//! …                                         …
//! dw = sum of dy h                          dx = gelu'(x) dh, and h' = gelu(x) beside it
//! dx = gelu'(x) dh                          dw = sum of dy h'
//! ```
//!
//! The derivative takes the same long functions of the same `x`: what the activation takes beside them is a store. In
//! between nothing is kept but `x`.

use super::lanes::{ContractionLanes, Lanes};
use super::long_maps::{is_elementwise, is_long, reached, users};
use crate::graph::{Graph, NodeId, Op, TypeError};
use crate::passes::Rewrite;
use cranelift_entity::{EntitySet, SecondaryMap};
use indexmap::IndexSet;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of activations from which on it is worth while not to keep them: less stays in the caches.
const LARGE: i64 = 16 << 20;

/// The graph with such activations twice; none where there is none.
///
/// # Errors
/// None in truth.
pub fn anew(graph: &Graph, lanes: &Lanes, batch: usize) -> Result<Option<Graph>, TypeError> {
    let found = activations(graph, lanes);
    let bytes = |id: &NodeId| {
        let ty = &graph.nodes[*id].ty;
        ty.elements(batch as i64) * ty.dtype.bytes() as i64
    };
    if found.keys().map(bytes).sum::<i64>() < LARGE {
        return Ok(None);
    }
    let mut again: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        let mut inputs = rewrite.inputs(id)?;
        for (input, old) in inputs.iter_mut().zip(&node.inputs) {
            let late = found.get(old).is_some_and(|late| late.contains(&id));
            if let Some(again) = again.get(old).filter(|_| late) {
                *input = *again;
            }
        }
        let new = rewrite.new.add(node.op.clone(), &inputs, node.span)?;
        rewrite.set(id, new);
        if found.contains_key(&id) {
            // What is equal is one node: that of the gradients differs in a node that does nothing.
            inputs[0] = rewrite.new.add(Op::StopGradient, &[inputs[0]], node.span)?;
            let twin = rewrite.new.add(node.op.clone(), &inputs, node.span)?;
            again.insert(id, twin);
        }
    }
    rewrite.finish().map(Some)
}

/// The values of a graph that are computed anew: what is made of the same operands, but for a node that does nothing.
pub fn twins(graph: &Graph) -> BTreeSet<NodeId> {
    let known: IndexSet<(&Op, &[NodeId])> = graph
        .nodes
        .values()
        .map(|node| (&node.op, &node.inputs[..]))
        .collect();
    let is_twin = |id: &NodeId| {
        let node = &graph.nodes[*id];
        let marked = node.inputs.first().map(|&input| &graph.nodes[input]);
        let Some(marked) = marked.filter(|marked| marked.op == Op::StopGradient) else {
            return false;
        };
        let mut inputs = node.inputs.clone();
        inputs[0] = marked.inputs[0];
        known.contains(&(&node.op, &inputs[..]))
    };
    graph.nodes.keys().filter(is_twin).collect()
}

/// Activations, with the weight gradients that read them.
fn activations(graph: &Graph, lanes: &Lanes) -> BTreeMap<NodeId, BTreeSet<NodeId>> {
    let users = users(graph);
    let live = graph.live_nodes();
    let mut found = BTreeMap::new();
    for (id, node) in graph.nodes.iter().filter(|(id, _)| live.contains(*id)) {
        if !is_elementwise(&node.op) || lanes.axis(id).is_none() {
            continue;
        }
        let Some(late) = late_users(graph, lanes, &users[id]) else {
            continue;
        };
        if has_derivative(graph, (&users, &live), id, &late) {
            found.insert(id, late);
        }
    }
    found
}

/// Of the products that read a value, those over samples. None where there are no others, or where something else reads it.
fn late_users(graph: &Graph, lanes: &Lanes, users: &[NodeId]) -> Option<BTreeSet<NodeId>> {
    let mut late = BTreeSet::new();
    for &user in users {
        let node = &graph.nodes[user];
        let Op::Contract(contraction) = &node.op else {
            return None;
        };
        if let ContractionLanes::Across(_) = lanes.contraction(contraction, &node.inputs) {
            late.insert(user);
        }
    }
    (!late.is_empty() && users.iter().any(|user| !late.contains(user))).then_some(late)
}

/// Whether an elementwise value of the same shape takes a long function that this one takes too, and waits for it, but for
/// none of the gradients.
fn has_derivative(
    graph: &Graph,
    (users, live): (&SecondaryMap<NodeId, Vec<NodeId>>, &EntitySet<NodeId>),
    id: NodeId,
    late: &BTreeSet<NodeId>,
) -> bool {
    let elementwise = |id: &NodeId| live.contains(*id) && is_elementwise(&graph.nodes[*id].op);
    let below = reached(id, |id| {
        let inputs = graph.nodes[id].inputs.iter().copied();
        inputs.filter(elementwise).collect()
    });
    let long = |id: &&NodeId| matches!(&graph.nodes[**id].op, Op::Unary(op) if is_long(*op));
    let mut above = below.iter().filter(long).flat_map(|&function| {
        reached(function, |id| {
            users[id].iter().copied().filter(elementwise).collect()
        })
    });
    let waits = |other: NodeId| {
        let needed = reached(other, |id| graph.nodes[id].inputs.to_vec());
        needed.contains(&id) && needed.is_disjoint(late)
    };
    let shape = |id: NodeId| &graph.nodes[id].ty.shape;
    above.any(|other| other > id && shape(other) == shape(id) && waits(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::eval::{Inputs, Tensor, evaluate};
    use crate::graph::text::parse;

    /// Two dense layers with an error function between them, and the gradient of the second's weights.
    const NET: &str = "graph g {
  %0 = input : f32[B, 6] {kind=data, name=\"x\"}
  %1 = input : f32[5, 6] {kind=parameter, name=\"v\"}
  %2 = input : f32[4, 5] {kind=parameter, name=\"w\"}
  %3 = contract %0, %1 : f32[B, 5] {index=[\"v0, v2\", \"v1, v2\"], reduced=[6]}
  %4 = erf %3 : f32[B, 5]
  %5 = mul %3, %4 : f32[B, 5]
  %6 = contract %5, %2 : f32[B, 4] {index=[\"v0, v2\", \"v1, v2\"], reduced=[5]}
  %7 = contract %6, %5 : f32[4, 5] {index=[\"v2, v0\", \"v2, v1\"], reduced=[B]}
  %8 = contract %6, %2 : f32[B, 5] {index=[\"v0, v2\", \"v2, v1\"], reduced=[4]}
  %9 = mul %8, %4 : f32[B, 5]
  output result \"dw\" = %7
  output result \"dh\" = %9
}
";

    fn rewritten(text: &str, batch: usize) -> Option<Graph> {
        let graph = parse(text).expect("a graph");
        anew(&graph, &Lanes::analyse(&graph), batch).expect("a graph")
    }

    #[test]
    fn the_gradient_reads_a_value_of_its_own() {
        let graph = rewritten(NET, 1 << 20).expect("a large activation");
        let twins = twins(&graph);
        let products = graph.nodes.values().filter(|node| {
            let reads = node.inputs.iter().any(|input| twins.contains(input));
            reads && matches!(node.op, Op::Contract(_))
        });
        assert_eq!((twins.len(), products.count()), (1, 1), "{graph}");
        let values = |shape: &[i64], seed: u64| {
            let count = shape.iter().product::<i64>() as u64;
            let value = |at: u64| ((at * 7 + seed) % 13) as f64 / 6.0 - 1.0;
            Tensor {
                shape: shape.to_vec(),
                data: (0..count).map(value).collect(),
            }
        };
        let given = Inputs::from_iter([
            ("x".to_owned(), values(&[3, 6], 1)),
            ("v".to_owned(), values(&[5, 6], 2)),
            ("w".to_owned(), values(&[4, 5], 3)),
        ]);
        let of = |graph: &Graph| evaluate(graph, 3, &given).expect("values");
        let (before, after) = (of(&parse(NET).expect("a graph")), of(&graph));
        for ((_, before), (_, after)) in before.iter().zip(&after) {
            assert_eq!(before.data, after.data);
        }
    }

    #[test]
    fn what_is_small_or_has_no_derivative_is_kept() {
        assert!(rewritten(NET, 64).is_none(), "it stays in the caches");
        let linear = NET.replace("erf", "neg");
        assert!(rewritten(&linear, 1 << 20).is_none(), "a short function");
        let alone = NET.replace("output result \"dh\" = %9\n", "");
        assert!(
            rewritten(&alone, 1 << 20).is_none(),
            "nothing to be beside of"
        );
    }
}
