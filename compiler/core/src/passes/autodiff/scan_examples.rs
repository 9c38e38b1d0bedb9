//! Loops over rounds, in small random graphs.

use super::case::{Case, NOWHERE};
use super::examples::Example;
use crate::graph::scan::{round_type, row_type};
use crate::graph::{
    BinaryOp, DType, Dim, Graph, NodeId, OutputKind, ReduceOp, Region, Scan, TensorType, UnaryOp,
};

/// Loops, by what is peculiar to them.
pub const SCANS: &[Example] = &[
    ("scan: forward", |case| recurrence(case, false)),
    ("scan: backward", |case| recurrence(case, true)),
    ("scan: last values", last_values),
    ("scan: round number", numbered),
    ("scan: no carry", mapped),
    ("scan: nested", nested),
];

/// The body of a loop over `types`, which are those of its inputs; the outputs are what `build` gives.
fn body(
    types: &[TensorType],
    build: impl FnOnce(&mut Graph, &[NodeId], NodeId) -> Vec<NodeId>,
) -> Region {
    let mut graph = Graph::new("body");
    let arguments = types.iter().enumerate();
    let arguments: Vec<NodeId> = arguments
        .map(|(number, ty)| graph.argument(number, ty.clone(), NOWHERE).unwrap())
        .collect();
    let round = graph.argument(types.len(), round_type(), NOWHERE).unwrap();
    let outputs = build(&mut graph, &arguments, round);
    for (number, node) in outputs.into_iter().enumerate() {
        graph.output(OutputKind::Result, number.to_string(), node);
    }
    Region::new(graph)
}

fn binary(graph: &mut Graph, op: BinaryOp, a: NodeId, b: NodeId) -> NodeId {
    graph.binary(op, a, b, NOWHERE).unwrap()
}

fn tanh(graph: &mut Graph, x: NodeId) -> NodeId {
    graph.unary(UnaryOp::Tanh, x, NOWHERE).unwrap()
}

fn product(graph: &mut Graph, x: NodeId, w: NodeId) -> NodeId {
    graph.einsum("b i, o i -> b o", &[x, w], NOWHERE).unwrap()
}

/// `h' = tanh(x_t @ w + h @ u + v)`, `c' = c * h' + x_t`; stacks of both.
fn cell(case: &mut Case, reverse: bool) -> (Scan, Vec<NodeId>) {
    let (rounds, width) = (case.pick(&[1, 2, 3, 5]), case.extent());
    let (batch, wide) = (Dim::BATCH, Dim::fixed(width));
    let w = case.float(&[wide, wide], -0.7, 0.7);
    let u = case.float(&[wide, wide], -0.7, 0.7);
    let v = case.float(&[wide], -1.0, 1.0);
    let h = case.float(&[batch, wide], -1.0, 1.0);
    let c = case
        .graph
        .full(0.25, DType::F32, &[batch, wide], NOWHERE)
        .unwrap();
    let x = case.float(&[Dim::fixed(rounds), batch, wide], -1.0, 1.0);
    let inputs = vec![w, u, v, h, c, x];
    let mut types: Vec<TensorType> = inputs
        .iter()
        .map(|&input| case.graph.ty(input).clone())
        .collect();
    types[5] = row_type(&types[5]);
    let body = body(&types, |graph, arguments, _| {
        let &[w, u, v, h, c, x] = arguments else {
            return Vec::new();
        };
        let (from_x, from_h) = (product(graph, x, w), product(graph, h, u));
        let sum = binary(graph, BinaryOp::Add, from_x, from_h);
        let sum = binary(graph, BinaryOp::Add, sum, v);
        let h = tanh(graph, sum);
        let c = binary(graph, BinaryOp::Mul, c, h);
        let c = binary(graph, BinaryOp::Add, c, x);
        vec![h, c, h, c]
    });
    let scan = Scan {
        body,
        rounds,
        reverse,
        captures: 3,
        carries: 2,
        result: 0,
    };
    (scan, inputs)
}

fn recurrence(case: &mut Case, reverse: bool) -> NodeId {
    let (scan, inputs) = cell(case, reverse);
    let results = case.graph.scan(&scan, &inputs, NOWHERE).unwrap();
    let both = binary(&mut case.graph, BinaryOp::Mul, results[2], results[3]);
    let last = binary(&mut case.graph, BinaryOp::Add, both, results[0]);
    binary(&mut case.graph, BinaryOp::Sub, last, results[1])
}

fn last_values(case: &mut Case) -> NodeId {
    let (scan, inputs) = cell(case, false);
    let results = case.graph.scan(&scan, &inputs, NOWHERE).unwrap();
    results[0]
}

/// `s' = s * v + t * x_t`, where nothing has a batch.
fn numbered(case: &mut Case) -> NodeId {
    let rounds = case.pick(&[2, 3, 4]);
    let wide = Dim::fixed(case.extent());
    let v = case.float(&[wide], -1.0, 1.0);
    let s = case.float(&[wide], -1.0, 1.0);
    let x = case.float(&[Dim::fixed(rounds), wide], -1.0, 1.0);
    let ty = case.graph.ty(v).clone();
    let body = body(&[ty.clone(), ty.clone(), ty], |graph, arguments, round| {
        let round = graph.cast(round, DType::F32, NOWHERE).unwrap();
        let scaled = binary(graph, BinaryOp::Mul, arguments[2], round);
        let kept = binary(graph, BinaryOp::Mul, arguments[1], arguments[0]);
        vec![binary(graph, BinaryOp::Add, kept, scaled)]
    });
    let scan = Scan {
        body,
        rounds,
        reverse: case.pick(&[false, true]),
        captures: 1,
        carries: 1,
        result: 0,
    };
    case.graph.scan(&scan, &[v, s, x], NOWHERE).unwrap()[0]
}

/// Each round on its own: `y_t = sum(exp(x_t) * v)`.
fn mapped(case: &mut Case) -> NodeId {
    let rounds = case.pick(&[2, 3]);
    let wide = Dim::fixed(case.extent());
    let v = case.float(&[wide], -1.0, 1.0);
    let x = case.float(&[Dim::fixed(rounds), Dim::BATCH, wide], -1.0, 1.0);
    let types = [case.graph.ty(v).clone(), row_type(case.graph.ty(x))];
    let body = body(&types, |graph, arguments, _| {
        let grown = graph.unary(UnaryOp::Exp, arguments[1], NOWHERE).unwrap();
        let weighted = binary(graph, BinaryOp::Mul, grown, arguments[0]);
        vec![
            graph
                .reduce(ReduceOp::Sum, weighted, &[1], NOWHERE)
                .unwrap(),
        ]
    });
    let scan = Scan {
        body,
        rounds,
        reverse: false,
        captures: 1,
        carries: 0,
        result: 0,
    };
    case.graph.scan(&scan, &[v, x], NOWHERE).unwrap()[0]
}

/// A loop of loops: `s' = inner(s)` with `inner` twice `z' = tanh(z * v + x_t)`.
fn nested(case: &mut Case) -> NodeId {
    let rounds = case.pick(&[2, 3]);
    let wide = Dim::fixed(case.extent());
    let v = case.float(&[wide], -1.0, 1.0);
    let s = case.float(&[Dim::BATCH, wide], -1.0, 1.0);
    let x = case.float(&[Dim::fixed(rounds), Dim::BATCH, wide], -1.0, 1.0);
    let (narrow, full) = (case.graph.ty(v).clone(), case.graph.ty(s).clone());
    let inner = body(
        &[narrow.clone(), full.clone(), full.clone()],
        |graph, arguments, _| {
            let scaled = binary(graph, BinaryOp::Mul, arguments[2], arguments[0]);
            let sum = binary(graph, BinaryOp::Add, scaled, arguments[1]);
            vec![tanh(graph, sum)]
        },
    );
    let inner = Scan {
        body: inner,
        rounds: 2,
        reverse: false,
        captures: 2,
        carries: 1,
        result: 0,
    };
    let outer = body(&[narrow, full.clone(), full], |graph, arguments, _| {
        let inputs = [arguments[0], arguments[2], arguments[1]];
        let next = graph.scan(&inner, &inputs, NOWHERE).unwrap()[0];
        vec![next, next]
    });
    let outer = Scan {
        body: outer,
        rounds,
        reverse: false,
        captures: 1,
        carries: 1,
        result: 0,
    };
    case.graph.scan(&outer, &[v, s, x], NOWHERE).unwrap()[1]
}
