//! Which products of a graph are the gradients of which.
//!
//! A product `y = a b` has two: that of `a` is made of `y`'s and `b`, that of `b` of `y`'s and `a`. All three come from the
//! same place of the program, and each gradient has the shape of its operand.

use super::fuse::root;
use crate::graph::{Dim, Graph, InputKind, NodeId, Op, View};
use std::collections::BTreeSet;

/// A product with its gradients; a gradient whose forward product is not known stands by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The parameter that is one of its operands, the first of two.
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

/// The products in order, each with its gradients behind it.
pub fn products(graph: &Graph) -> Vec<Product> {
    let mut left = products_of(graph);
    let mut found = Vec::new();
    while let Some(forward) = left.pop_first() {
        let gradients = gradients(graph, forward, &left);
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
    /// How many elements the product reads, and how many there are without zeros around them: its gradient has as many, in
    /// whatever order and shape.
    elements: [Elements; 2],
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
        let extents = contraction.shape.iter().chain(&contraction.reduced);
        let extents: Vec<Dim> = extents.copied().collect();
        // Of every other element each other is read.
        let along = axes.iter().zip(shape).filter_map(|(axis, &dim)| {
            let extent = match axis.terms.as_slice() {
                [] => return None,
                &[(variable, step)] if step > 1 => extents[variable],
                _ => dim,
            };
            Some(extent)
        });
        let source = source(graph, input);
        Operand {
            elements: [elements(along), elements_of(graph, source)],
            source: (source, fixed.map(|axis| axis.offset).collect()),
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
            let many = own[operand].elements.contains(&elements_of(graph, id));
            Some(id) != not && many && fits(&operands(graph, id))
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
    // What a block's own order has changed may be told by its place alone, where nothing else is there.
    for operand in 0..2 {
        let known = found.iter().any(|&(other, _)| other == operand);
        let mut fitting = possible.iter().copied().filter(|&id| {
            let many = own[operand].elements.contains(&elements_of(graph, id));
            many && found.iter().all(|own| own.1 != id)
        });
        if let (false, Some(only), None) = (known, fitting.next(), fitting.next()) {
            found.push((operand, only));
        }
    }
    found
}

/// The elements of known extents, and how many extents depend on the batch.
type Elements = (i64, usize);

fn elements(shape: impl Iterator<Item = Dim>) -> Elements {
    shape.fold((1, 0), |(known, dynamic), dim| match dim.known() {
        Some(extent) => (known * extent, dynamic),
        None => (known, dynamic + 1),
    })
}

fn elements_of(graph: &Graph, id: NodeId) -> Elements {
    elements(graph.nodes[id].ty.shape.iter().copied())
}

/// What a value has all elements of, in this order or another, with or without zeros around them.
fn source(graph: &Graph, mut id: NodeId) -> NodeId {
    loop {
        id = root(graph, id);
        let node = &graph.nodes[id];
        match &node.op {
            Op::View(view) if has_all(graph, view, (id, node.inputs[0])) => id = node.inputs[0],
            Op::Cast(_) => id = node.inputs[0],
            _ => return id,
        }
    }
}

/// Whether a view moves each axis of what it reads by itself, as a whole.
fn has_all(graph: &Graph, view: &View, (id, of): (NodeId, NodeId)) -> bool {
    let (own, read) = (&graph.nodes[id].ty.shape, &graph.nodes[of].ty.shape);
    let mut axes = view.index.iter().zip(read);
    axes.all(|(index, &extent)| match index.terms.as_slice() {
        [(axis, 1)] if index.divisor == 1 => match (own[*axis].known(), extent.known()) {
            (Some(own), Some(read)) => own >= read,
            _ => own[*axis] == extent,
        },
        _ => extent.known() == Some(1),
    })
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
