//! A graph as a person who wrote the program sees it: a row for each call in the source, with what comes out, its
//! parameters and its arithmetic.

use std::collections::BTreeSet;

use dlm_core::elaborate::program::ParameterInfo;
use dlm_core::graph::{Graph, InputKind, Node, NodeId, Op, TensorType};
use dlm_grammar::{SourceMap, Span};

/// What the names of the library's files begin with.
const LIBRARY: &str = "<library>";

/// What one place of the source computes.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// The place.
    pub span: Span,
    /// What stands there.
    pub text: String,
    /// The path of its parameters (`net.conv2d_1`); empty where it has none.
    pub path: String,
    /// The type of what it gives.
    pub output: TensorType,
    /// How many numbers it learns.
    pub parameters: i64,
    /// Two for each multiply-add of its products, for one sample.
    pub flops: i64,
}

/// The layers of a graph before any pass, in the order of computation. A parameter that a block of the program has by itself
/// is a row too: it belongs to no call.
pub fn layers(graph: &Graph, sources: &SourceMap, parameters: &[ParameterInfo]) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut paths: Vec<String> = Vec::new();
    let (flowing, live) = (flowing(graph), live(graph));
    let is_work = |(id, node): &(NodeId, &Node)| {
        flowing.contains(id) && live.contains(id) && !is_outside(&node.op)
    };
    for (id, node) in graph.nodes.iter().filter(is_work) {
        if let Some(own) = own_parameter(&node.op, sources, parameters) {
            // The row under way may go on after it.
            let same = |layer: &Layer| layer.span == node.span;
            let place = layers.len() - usize::from(layers.last().is_some_and(same));
            layers.insert(place, own);
            continue;
        }
        if layers.last().is_none_or(|layer| layer.span != node.span) {
            layers.push(Layer {
                span: node.span,
                text: excerpt(sources, node.span),
                path: String::new(),
                output: node.ty.clone(),
                parameters: 0,
                flops: 0,
            });
            paths.clear();
        }
        let Some(layer) = layers.last_mut() else {
            continue;
        };
        layer.flops += flops(graph, id, 1);
        match &node.op {
            Op::Input { name, ty, .. } => {
                layer.parameters += ty.elements(1);
                paths.push(name.clone());
                layer.path = common_path(&paths);
            }
            _ => layer.output = node.ty.clone(),
        }
    }
    layers
}

/// The row of a parameter whose `param` stands in the program and not in the library.
fn own_parameter(op: &Op, sources: &SourceMap, parameters: &[ParameterInfo]) -> Option<Layer> {
    let Op::Input {
        kind: InputKind::Parameter,
        name,
        ty,
    } = op
    else {
        return None;
    };
    let own = parameters.iter().find(|own| own.path == *name)?;
    if sources.name(own.span.file).starts_with(LIBRARY) {
        return None;
    }
    Some(Layer {
        span: own.span,
        text: format!("param {}", excerpt(sources, own.span)),
        path: common_path(std::slice::from_ref(name)),
        output: ty.clone(),
        parameters: ty.elements(1),
        flops: 0,
    })
}

/// The floating-point operations of a node's products: two for each multiply-add. Sums and elementwise arithmetic do
/// not count, as in most tables of networks. A loop's are those of its rounds, and count once for all of its results.
fn flops(graph: &Graph, id: NodeId, batch: i64) -> i64 {
    let contraction = match &graph.nodes[id].op {
        Op::Contract(contraction) => contraction,
        Op::Scan(scan) => {
            let results = graph.results_of(id);
            let live = live(graph);
            let mut used = results.iter().filter(|(_, other)| live.contains(other));
            let is_first = used.all(|(_, other)| *other >= id);
            let round = total_flops(scan.body.graph(), batch);
            return if is_first { scan.rounds * round } else { 0 };
        }
        _ => return 0,
    };
    if contraction.operands.len() < 2 {
        return 0;
    }
    let extents = contraction.shape.iter().chain(&contraction.reduced);
    2 * extents.map(|dim| dim.at(batch)).product::<i64>()
}

/// The operations of all products of a graph.
pub fn total_flops(graph: &Graph, batch: i64) -> i64 {
    let live = live(graph).into_iter();
    live.map(|id| flops(graph, id, batch)).sum()
}

/// What the outputs are computed of: elaboration may leave behind what it only tried.
fn live(graph: &Graph) -> BTreeSet<NodeId> {
    let mut live = BTreeSet::new();
    let mut open: Vec<NodeId> = graph.outputs.iter().map(|output| output.node).collect();
    while let Some(id) = open.pop() {
        if live.insert(id) {
            open.extend(&graph.nodes[id].inputs);
        }
    }
    live
}

/// What is computed of data or parameters. The rest, schedules above all, is arithmetic on the run's own scalars.
fn flowing(graph: &Graph) -> BTreeSet<NodeId> {
    let mut flowing = BTreeSet::new();
    for (id, node) in graph.nodes.iter() {
        let starts = matches!(
            &node.op,
            Op::Input {
                kind: InputKind::Data | InputKind::Parameter,
                ..
            }
        );
        if starts || node.inputs.iter().any(|input| flowing.contains(input)) {
            flowing.insert(id);
        }
    }
    flowing
}

/// Nodes that are no layer's work: constants and what comes in, parameters excepted.
fn is_outside(op: &Op) -> bool {
    match op {
        Op::Input { kind, .. } => *kind != InputKind::Parameter,
        Op::Constant(_) | Op::BatchSize | Op::Gradient => true,
        _ => false,
    }
}

/// The longest dotted path that all of these begin with, but not a whole one.
fn common_path(paths: &[String]) -> String {
    let Some((first, rest)) = paths.split_first() else {
        return String::new();
    };
    let mut parts: Vec<&str> = first.split('.').collect();
    parts.pop();
    for path in rest {
        let shared = parts.iter().zip(path.split('.'));
        let count = shared.take_while(|(a, b)| **a == *b).count();
        parts.truncate(count);
    }
    parts.join(".")
}

/// What stands at a place, on one line and not too long.
fn excerpt(sources: &SourceMap, span: Span) -> String {
    const LONGEST: usize = 40;
    let text = sources.text(span.file);
    let range = span.start as usize..span.end as usize;
    let words: Vec<&str> = text.get(range).unwrap_or("").split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_path_is_the_instance() {
        let check = |paths: &[&str], want: &str| {
            let paths: Vec<String> = paths.iter().map(|path| path.to_string()).collect();
            assert_eq!(common_path(&paths), want);
        };
        check(&[], "");
        check(&["w"], "");
        check(&["net.conv2d_1.weight"], "net.conv2d_1");
        check(
            &["net.conv2d_1.weight", "net.conv2d_1.bias"],
            "net.conv2d_1",
        );
        check(&["net.a.1.weight", "net.a.12.weight"], "net.a");
    }
}
