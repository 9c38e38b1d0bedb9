//! Which products of a graph are the gradients of which.
//!
//! A product `y = a b` has two: that of `a` is made of `y`'s and `b`, that of `b` of `y`'s and `a`. All three come from the
//! same place of the program, and each gradient has the shape of its operand.

use super::fuse::root;
use crate::graph::{Dim, Graph, InputKind, NodeId, Op};
use std::collections::BTreeSet;

/// A product of the forward pass, with its gradients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The parameter that is its second operand, where one is.
    pub parameter: Option<String>,
    /// Its kernel.
    pub kernel: String,
    /// Those of its operands that have one, the input's first.
    pub gradients: Vec<Gradient>,
    /// The place in the source.
    pub span: dlm_grammar::Span,
}

/// The gradient of one of a product's operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gradient {
    /// Whether the operand is a parameter.
    pub of_parameter: bool,
    /// Its kernel.
    pub kernel: String,
}

/// The products of two values.
pub fn products_of(graph: &Graph) -> BTreeSet<NodeId> {
    let two = |op: &Op| matches!(op, Op::Contract(own) if own.operands.len() == 2);
    let nodes = graph.nodes.iter().filter(|(_, node)| two(&node.op));
    nodes.map(|(id, _)| id).collect()
}

/// The products of the forward pass with their gradients, in order; those without any are left out.
pub fn products(graph: &Graph) -> Vec<Product> {
    let mut left = products_of(graph);
    let mut found = Vec::new();
    while let Some(forward) = left.pop_first() {
        let gradients = gradients(graph, forward, &left);
        if gradients.is_empty() {
            continue;
        }
        for (_, gradient) in &gradients {
            left.remove(gradient);
        }
        let node = &graph.nodes[forward];
        let mut gradients: Vec<Gradient> = gradients
            .iter()
            .map(|&(operand, gradient)| Gradient {
                of_parameter: parameter(graph, node.inputs[operand]).is_some(),
                kernel: name(gradient),
            })
            .collect();
        gradients.sort_by_key(|gradient| gradient.of_parameter);
        let mut parameters = node.inputs.iter().map(|&input| parameter(graph, input));
        found.push(Product {
            parameter: parameters.find_map(|name| name),
            kernel: name(forward),
            gradients,
            span: node.span,
        });
    }
    found
}

/// The name of a product's kernels begins so.
fn name(product: NodeId) -> String {
    format!("product{}", product.as_u32())
}

/// What one operand of a product is.
#[derive(PartialEq, Eq)]
struct Operand {
    /// What it is a view or a copy of, and which places of the axes that the product does not go along.
    source: (NodeId, Vec<i64>),
    /// Extents that the product goes along, in any order, as copies of operands may have another.
    extents: Vec<(i64, i64)>,
}

fn operands(graph: &Graph, product: NodeId) -> Vec<Operand> {
    let node = &graph.nodes[product];
    let Op::Contract(contraction) = &node.op else {
        return Vec::new();
    };
    let inputs = node.inputs.iter().zip(&contraction.operands);
    let operands = inputs.map(|(&input, axes)| {
        let shape = &graph.nodes[input].ty.shape;
        let fixed = axes.iter().filter(|axis| axis.terms.is_empty());
        let along = axes
            .iter()
            .zip(shape)
            .filter(|(axis, _)| !axis.terms.is_empty());
        Operand {
            source: (
                source(graph, input),
                fixed.map(|axis| axis.offset).collect(),
            ),
            extents: extents(along.map(|(_, &dim)| dim)),
        }
    });
    operands.collect()
}

/// By operand.
fn gradients(graph: &Graph, forward: NodeId, left: &BTreeSet<NodeId>) -> Vec<(usize, NodeId)> {
    let own = operands(graph, forward);
    let same_place = |id: &&NodeId| graph.nodes[**id].span == graph.nodes[forward].span;
    let possible: Vec<NodeId> = left.iter().filter(same_place).copied().collect();
    let find = |operand: usize, fits: &dyn Fn(&[Operand]) -> bool, not: Option<NodeId>| {
        let mut possible = possible.iter().copied();
        possible.find(|&id| {
            let shape = graph.nodes[id].ty.shape.iter().copied();
            Some(id) != not && extents(shape) == own[operand].extents && fits(&operands(graph, id))
        })
    };
    // The gradient of one operand reads the other.
    let mut found: Vec<(usize, NodeId)> = Vec::new();
    for operand in 0..2 {
        let other = &own[1 - operand].source;
        let reads = |operands: &[Operand]| operands.iter().any(|own| own.source == *other);
        let not = found.first().map(|first| first.1);
        found.extend(find(operand, &reads, not).map(|id| (operand, id)));
    }
    // An activation may be computed anew for it: then what comes back is what both gradients read.
    if let [(operand, gradient)] = found[..] {
        let mut back = operands(graph, gradient);
        back.retain(|read| own.iter().all(|own| own.source != read.source));
        let reads = |operands: &[Operand]| {
            let mut back = back.iter();
            back.any(|back| operands.iter().any(|own| own.source == back.source))
        };
        let other = find(1 - operand, &reads, Some(gradient));
        found.extend(other.map(|id| (1 - operand, id)));
    }
    found
}

/// Extents but those of one place, sorted.
fn extents(shape: impl Iterator<Item = Dim>) -> Vec<(i64, i64)> {
    let mut extents: Vec<(i64, i64)> = shape.map(|dim| (dim.fixed, dim.batch)).collect();
    extents.retain(|&extent| extent != (1, 0));
    extents.sort_unstable();
    extents
}

/// What a value has all elements of, in this order or another.
fn source(graph: &Graph, mut id: NodeId) -> NodeId {
    loop {
        id = root(graph, id);
        let node = &graph.nodes[id];
        match &node.op {
            Op::View(_) if extents_of(graph, id) != extents_of(graph, node.inputs[0]) => return id,
            Op::View(_) | Op::Cast(_) => id = node.inputs[0],
            _ => return id,
        }
    }
}

fn extents_of(graph: &Graph, id: NodeId) -> Vec<(i64, i64)> {
    extents(graph.nodes[id].ty.shape.iter().copied())
}

fn parameter(graph: &Graph, id: NodeId) -> Option<String> {
    match &graph.nodes[source(graph, id)].op {
        Op::Input {
            kind: InputKind::Parameter,
            name,
            ..
        } => Some(name.to_string()),
        _ => None,
    }
}
