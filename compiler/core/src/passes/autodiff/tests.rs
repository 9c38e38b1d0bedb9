//! Derivatives of every operation, to second order, against finite differences; and what the rewritten graph says.

use super::case::{Case, NOWHERE};
use crate::graph::ops::{BINARY, KINDS, UNARY};
use crate::graph::{
    BinaryOp, ConvolutionShape, DType, Dim, NodeId, Op, RandomOp, ReduceOp, Scalar, UnaryOp,
    WindowAxis,
};
use std::collections::BTreeSet;

type Example = (&'static str, fn(&mut Case) -> NodeId);

/// A graph for every kind of operation but the elementwise tables, which have tests of their own.
const EXAMPLES: &[Example] = &[
    ("select", select),
    ("cast", cast),
    ("stop_gradient", stop_gradient),
    ("reduce_sum", |case| reduce(case, ReduceOp::Sum)),
    ("reduce_max", |case| reduce(case, ReduceOp::Max)),
    ("reduce_min", |case| reduce(case, ReduceOp::Min)),
    ("reduce_prod", |case| reduce(case, ReduceOp::Prod)),
    ("argmax", |case| reduce(case, ReduceOp::ArgMax)),
    ("argmin", |case| reduce(case, ReduceOp::ArgMin)),
    ("contract: matrix product", matrix_product),
    ("contract: trace, broadcast", unusual_product),
    ("contract: convolution", convolution),
    ("contract: transposed convolution", transposed_convolution),
    ("view: windows", windows),
    ("view: slice", slice),
    ("view: pad, permute, broadcast", pad),
    ("view: diagonal", diagonal),
    ("reshape", reshape),
    ("concat", concat),
    ("concat: along the batch", concat_batches),
    ("gather", gather),
    ("scatter_add", scatter),
    ("cumulative_sum", cumulative),
    ("random_normal", |case| random(case, RandomOp::Normal)),
    ("random_uniform", |case| random(case, RandomOp::Uniform)),
    ("iota", positions),
    ("batch_size", mean),
];

/// How many random graphs for each example.
const SEEDS: u32 = 12;

#[test]
fn derivatives_of_every_kind() {
    for (what, build) in EXAMPLES {
        for seed in 0..SEEDS {
            let mut case = Case::new(seed);
            let y = build(&mut case);
            case.check(y, what);
        }
    }
}

#[test]
fn derivatives_of_unary_functions() {
    for row in UNARY.iter().filter(|row| row.op != UnaryOp::Not) {
        for seed in 0..4 {
            let mut case = Case::new(seed);
            let positive = matches!(row.op, UnaryOp::Log | UnaryOp::Sqrt | UnaryOp::Rsqrt);
            let shape = [Dim::BATCH, case.extent().into()];
            let x = case.float(&shape, if positive { 0.3 } else { -2.0 }, 2.0);
            let y = case.graph.unary(row.op, x, NOWHERE).unwrap();
            case.check(y, row.name);
        }
    }
}

#[test]
fn derivatives_of_binary_functions() {
    for row in &BINARY {
        if matches!(row.op, BinaryOp::And | BinaryOp::Or) {
            continue;
        }
        for seed in 0..4 {
            let mut case = Case::new(seed);
            let positive = matches!(row.op, BinaryOp::Div | BinaryOp::Pow | BinaryOp::Rem);
            let low = if positive { 0.4 } else { -2.0 };
            let (rows, columns) = (Dim::BATCH, Dim::from(case.extent()));
            let a = case.float(&[rows, columns], low, 2.0);
            let b = case.float(&[columns], low, 2.0);
            let y = case.graph.binary(row.op, a, b, NOWHERE).unwrap();
            case.check(y, row.name);
        }
    }
}

#[test]
fn powers_with_constant_exponents() {
    for exponent in [-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 2.5] {
        let mut case = Case::new(3);
        let whole = f64::fract(exponent) == 0.0;
        let x = case.float(&[Dim::BATCH, 5.into()], if whole { -2.0 } else { 0.4 }, 2.0);
        let exponent_node = case.graph.number(exponent, DType::F32, NOWHERE).unwrap();
        let y = case
            .graph
            .binary(BinaryOp::Pow, x, exponent_node, NOWHERE)
            .unwrap();
        case.check(y, &format!("x ^ {exponent}"));
    }
}

/// A new operation without an example fails here.
#[test]
fn no_operation_is_without_a_property() {
    let tested: BTreeSet<&str> = EXAMPLES
        .iter()
        .map(|(what, _)| what.split(':').next().unwrap_or(what))
        .collect();
    let elementwise = UNARY
        .iter()
        .map(|row| row.name)
        .chain(BINARY.iter().map(|row| row.name));
    // Without operands or derivatives, or expanded by the pass under test.
    let exempt = ["input", "constant", "gradient"];
    let known: BTreeSet<&str> = tested
        .into_iter()
        .chain(elementwise)
        .chain(exempt)
        .collect();
    let missing: Vec<&str> = KINDS
        .iter()
        .flat_map(|kind| kind.names)
        .copied()
        .filter(|name| !known.contains(name))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

fn image(case: &mut Case, channels: i64, spatial: &[i64]) -> NodeId {
    let mut shape = vec![Dim::BATCH, Dim::fixed(channels)];
    shape.extend(spatial.iter().map(|&extent| Dim::fixed(extent)));
    case.float(&shape, -1.0, 1.0)
}

fn matrix(case: &mut Case) -> NodeId {
    let shape = [case.extent().into(), case.extent().into()];
    case.float(&shape, -1.0, 1.0)
}

fn window_axis(case: &mut Case) -> WindowAxis {
    let kernel = case.pick(&[1, 2, 3]);
    WindowAxis {
        kernel,
        stride: case.pick(&[1, 2, 3, kernel]),
        dilation: case.pick(&[1, 1, 2]),
        pad: (case.pick(&[0, 1, 2]), case.pick(&[0, 1])),
    }
}

fn select(case: &mut Case) -> NodeId {
    let (a, b) = (matrix(case), matrix(case));
    let x = case.float(&[1.into()], -1.0, 1.0);
    let a = case
        .graph
        .restore_axes(x, &[3.into(), 1.into()], &[0], NOWHERE)
        .unwrap_or(a);
    let condition = case.graph.binary(BinaryOp::Gt, b, x, NOWHERE).unwrap();
    let scaled = case.graph.binary(BinaryOp::Mul, b, b, NOWHERE).unwrap();
    let first = case
        .graph
        .reduce(ReduceOp::Sum, a, &[0, 1], NOWHERE)
        .unwrap();
    case.graph
        .select(condition, first, scaled, NOWHERE)
        .unwrap()
}

fn cast(case: &mut Case) -> NodeId {
    let x = matrix(case);
    let whole = case.graph.cast(x, DType::I32, NOWHERE).unwrap();
    let back = case.graph.cast(whole, DType::F32, NOWHERE).unwrap();
    case.graph.binary(BinaryOp::Mul, back, x, NOWHERE).unwrap()
}

/// The derivative through the cut is not that of the value, so the value's own is subtracted.
fn stop_gradient(case: &mut Case) -> NodeId {
    let x = matrix(case);
    let cut = case.graph.stop_gradient(x, NOWHERE).unwrap();
    let zero = case.graph.binary(BinaryOp::Sub, cut, cut, NOWHERE).unwrap();
    let square = case.graph.binary(BinaryOp::Mul, x, x, NOWHERE).unwrap();
    case.graph
        .binary(BinaryOp::Add, square, zero, NOWHERE)
        .unwrap()
}

fn reduce(case: &mut Case, op: ReduceOp) -> NodeId {
    let shape = [
        Dim::BATCH,
        case.extent().min(4).into(),
        case.extent().min(4).into(),
    ];
    let x = case.float(&shape, -1.5, 1.5);
    let position = matches!(op, ReduceOp::ArgMax | ReduceOp::ArgMin);
    let axes: &[usize] = match position {
        true => case.pick(&[&[1], &[1, 2]]),
        false => case.pick(&[&[0], &[1], &[1, 2], &[0, 2], &[0, 1, 2]]),
    };
    case.graph.reduce(op, x, axes, NOWHERE).unwrap()
}

fn matrix_product(case: &mut Case) -> NodeId {
    let (rows, inner, columns) = (case.extent(), case.extent(), case.extent());
    let a = case.float(&[Dim::BATCH, rows.into(), inner.into()], -1.0, 1.0);
    let b = case.float(&[columns.into(), inner.into()], -1.0, 1.0);
    case.graph
        .einsum(".. i, o i -> .. o", &[a, b], NOWHERE)
        .unwrap()
}

fn unusual_product(case: &mut Case) -> NodeId {
    let n = Dim::from(case.extent());
    let a = case.float(&[n, n, 1.into()], -1.0, 1.0);
    let b = case.float(&[3.into(), n, Dim::BATCH], -1.0, 1.0);
    let text = case.pick(&[
        "i i .., j i .. -> j ..",
        "i j .., k j .. -> i ..",
        "i j .., k j .. -> .. j",
    ]);
    case.graph.einsum(text, &[a, b], NOWHERE).unwrap()
}

fn convolution(case: &mut Case) -> NodeId {
    let rank = case.pick(&[1, 2, 2]);
    let groups = case.pick(&[1, 1, 2, 3]);
    let (inputs, outputs) = (groups * case.pick(&[1, 2]), groups * case.pick(&[1, 2]));
    let axes: Vec<WindowAxis> = (0..rank).map(|_| window_axis(case)).collect();
    let spatial: Vec<i64> = axes.iter().map(|_| case.pick(&[5, 6, 7])).collect();
    let x = image(case, inputs, &spatial);
    let mut shape = vec![Dim::fixed(outputs), Dim::fixed(inputs / groups)];
    shape.extend(axes.iter().map(|axis| Dim::fixed(axis.kernel)));
    let weight = case.float(&shape, -1.0, 1.0);
    case.graph
        .convolution(x, weight, &ConvolutionShape { axes, groups }, NOWHERE)
        .unwrap()
}

fn transposed_convolution(case: &mut Case) -> NodeId {
    let groups = case.pick(&[1, 2]);
    let axes = vec![WindowAxis {
        kernel: case.pick(&[2, 3, 4]),
        stride: case.pick(&[1, 2, 3]),
        dilation: case.pick(&[1, 2]),
        pad: (case.pick(&[0, 1]), 1),
    }];
    let x = image(case, 2 * groups, &[4]);
    let weight = case.float(
        &[Dim::fixed(2 * groups), 3.into(), axes[0].kernel.into()],
        -1.0,
        1.0,
    );
    let shape = ConvolutionShape { axes, groups };
    let more = [case.pick(&[0, 1])];
    case.graph
        .transposed_convolution(x, weight, &shape, &more, NOWHERE)
        .unwrap()
}

fn windows(case: &mut Case) -> NodeId {
    let axes = [window_axis(case), window_axis(case)];
    let spatial = [case.pick(&[5, 6, 7]), 6];
    let x = image(case, 2, &spatial);
    let windows = case
        .graph
        .window(x, &axes, Scalar::F32(0.25), NOWHERE)
        .unwrap();
    case.graph
        .reduce(ReduceOp::Max, windows, &[4, 5], NOWHERE)
        .unwrap()
}

fn slice(case: &mut Case) -> NodeId {
    let x = case.float(&[Dim::BATCH, 7.into(), 5.into()], -1.0, 1.0);
    let (begin, step) = case.pick(&[(0, 1), (1, 2), (6, -2), (6, -1), (2, 2)]);
    let axes = [
        (0, Dim::BATCH, 1),
        (begin, 3.into(), step),
        (1, 4.into(), 1),
    ];
    let part = case.graph.slice(x, &axes, NOWHERE).unwrap();
    case.graph.at(part, 1, 1, NOWHERE).unwrap()
}

fn pad(case: &mut Case) -> NodeId {
    let x = case.float(&[Dim::BATCH, 3.into(), 1.into()], -1.0, 1.0);
    let moved = case.graph.permute(x, &[2, 0, 1], NOWHERE).unwrap();
    let amounts = [(0, 0), (case.pick(&[0, 2]), 1), (1, case.pick(&[0, -1]))];
    let padded = case
        .graph
        .pad(moved, &amounts, Scalar::F32(0.5), NOWHERE)
        .unwrap();
    let mut shape = case.graph.shape(padded).to_vec();
    shape[0] = Dim::fixed(4);
    let wide = case.graph.broadcast_to(padded, &shape, NOWHERE).unwrap();
    case.graph.flip(wide, 2, NOWHERE).unwrap()
}

fn diagonal(case: &mut Case) -> NodeId {
    let n = Dim::from(case.extent());
    let x = case.float(&[n, n], -1.0, 1.0);
    case.graph.einsum("i i -> i", &[x], NOWHERE).unwrap()
}

fn reshape(case: &mut Case) -> NodeId {
    let x = case.float(&[Dim::BATCH, 2.into(), 3.into()], -1.0, 1.0);
    let shapes: [&[Dim]; 3] = [
        &[Dim::BATCH, Dim::fixed(6)],
        &[Dim { batch: 2, fixed: 0 }, Dim::fixed(3)],
        &[Dim { batch: 6, fixed: 0 }],
    ];
    let shape = case.pick(&shapes);
    case.graph.reshape(x, shape, NOWHERE).unwrap()
}

fn concat(case: &mut Case) -> NodeId {
    let parts: Vec<NodeId> = (0..3)
        .map(|_| {
            let extent = Dim::from(case.extent());
            case.float(&[Dim::BATCH, extent], -1.0, 1.0)
        })
        .collect();
    case.graph.concat(&parts, 1, NOWHERE).unwrap()
}

fn concat_batches(case: &mut Case) -> NodeId {
    let axis = case.pick(&[0, 1]);
    let shape = |axis: usize| {
        if axis == 0 {
            [Dim::BATCH, 3.into()]
        } else {
            [3.into(), Dim::BATCH]
        }
    };
    let parts: Vec<NodeId> = (0..3)
        .map(|_| case.float(&shape(axis), -1.0, 1.0))
        .collect();
    case.graph.concat(&parts, axis, NOWHERE).unwrap()
}

fn gather(case: &mut Case) -> NodeId {
    let rows = case.extent();
    let table = case.float(&[rows.into(), 3.into()], -1.0, 1.0);
    let ids = case.ids(&[Dim::BATCH, 4.into()], rows + 1);
    case.graph.gather(table, ids, NOWHERE).unwrap()
}

fn scatter(case: &mut Case) -> NodeId {
    let ids = case.ids(&[Dim::BATCH, 4.into()], 5);
    let updates = case.float(&[Dim::BATCH, 4.into(), 2.into()], -1.0, 1.0);
    let rows = Dim::fixed(5);
    case.graph
        .add(Op::ScatterAdd { rows }, &[ids, updates], NOWHERE)
        .unwrap()
}

fn cumulative(case: &mut Case) -> NodeId {
    let x = matrix(case);
    let op = Op::CumulativeSum {
        axis: case.pick(&[0, 1]),
        reverse: case.pick(&[false, true]),
    };
    case.graph.add(op, &[x], NOWHERE).unwrap()
}

fn random(case: &mut Case, op: RandomOp) -> NodeId {
    let x = matrix(case);
    let shape = case.graph.shape(x).to_vec();
    let [seed, step] =
        [1, 2].map(|value| case.graph.constant(Scalar::I32(value), NOWHERE).unwrap());
    let noise = case
        .graph
        .random(op, 3, &shape, (seed, step), NOWHERE)
        .unwrap();
    case.graph.binary(BinaryOp::Mul, noise, x, NOWHERE).unwrap()
}

fn positions(case: &mut Case) -> NodeId {
    let x = matrix(case);
    let shape = case.graph.shape(x).to_vec();
    let iota = case.graph.iota(&shape, 1, NOWHERE).unwrap();
    let float = case.graph.cast(iota, DType::F32, NOWHERE).unwrap();
    case.graph.binary(BinaryOp::Mul, float, x, NOWHERE).unwrap()
}

fn mean(case: &mut Case) -> NodeId {
    let x = case.float(&[Dim::BATCH, 3.into()], -1.0, 1.0);
    let square = case.graph.binary(BinaryOp::Mul, x, x, NOWHERE).unwrap();
    case.graph.mean(square, &[0], NOWHERE).unwrap()
}

/// What the pass makes of a body, without the algebra that follows.
fn differentiated(body: &str) -> String {
    let before = crate::graph::text::parse(&format!("graph g {{\n{body}\n}}\n")).unwrap();
    let after = crate::passes::run_named(&before, &["autodiff", "dead-code"]).unwrap();
    format!("{before}---\n{after}")
}

#[test]
fn a_layer() {
    insta::assert_snapshot!(differentiated(
        r#"  %0 = input : f32[B, 4] {kind=data, name="x"}
  %1 = input : f32[3, 4] {kind=parameter, name="w"}
  %2 = contract %0, %1 : f32[B, 3] {index=["v0, v2", "v1, v2"], reduced=[4]}
  %3 = tanh %2 : f32[B, 3]
  %4 = reduce_sum %3 : f32 {axes=[0, 1]}
  %5 = gradient %4, %0 : f32[B, 4]
  %6 = gradient %4, %1 : f32[3, 4]
  output result "x" = %5
  output result "w" = %6"#
    ));
}

#[test]
fn a_strided_convolution() {
    insta::assert_snapshot!(differentiated(
        r#"  %0 = input : f32[B, 3, 9, 9] {kind=data, name="x"}
  %1 = input : f32[8, 3, 3, 3] {kind=parameter, name="w"}
  %2 = contract %0, %1 : f32[B, 8, 5, 5] {index=["v0, v4, 2*v2+v5-1, 2*v3+v6-1", "v1, v4, v5, v6"], reduced=[3, 3, 3]}
  %3 = reduce_sum %2 : f32 {axes=[0, 1, 2, 3]}
  %4 = gradient %3, %0 : f32[B, 3, 9, 9]
  %5 = gradient %3, %1 : f32[8, 3, 3, 3]
  output result "x" = %4
  output result "w" = %5"#
    ));
}

#[test]
fn tiles_are_undone_by_a_permutation() {
    insta::assert_snapshot!(differentiated(
        r#"  %0 = input : f32[B, 7] {kind=data, name="x"}
  %1 = view %0 : f32[B, 3, 2] {fill=-inf, index="v0, 2*v1+v2"}
  %2 = reduce_max %1 : f32[B, 3] {axes=[2]}
  %3 = reduce_sum %2 : f32 {axes=[0, 1]}
  %4 = gradient %3, %0 : f32[B, 7]
  output result "x" = %4"#
    ));
}

#[test]
fn a_loss_that_does_not_depend_gives_zeros() {
    insta::assert_snapshot!(differentiated(
        r#"  %0 = input : f32[B] {kind=data, name="x"}
  %1 = stop_gradient %0 : f32[B]
  %2 = reduce_sum %1 : f32 {axes=[0]}
  %3 = gradient %2, %0 : f32[B]
  output result "x" = %3"#
    ));
}

#[test]
fn ties_go_to_the_first_maximum_and_relu_is_flat_at_zero() {
    let text = r#"graph g {
  %0 = input : f32[4] {kind=data, name="x"}
  %1 = reduce_max %0 : f32 {axes=[0]}
  %2 = gradient %1, %0 : f32[4]
  %3 = constant : f32 {value=0.0}
  %4 = view %3 : f32[4] {fill=0.0, index=""}
  %5 = max %0, %4 : f32[4]
  %6 = abs %0 : f32[4]
  %7 = add %5, %6 : f32[4]
  %8 = reduce_sum %7 : f32 {axes=[0]}
  %9 = gradient %8, %0 : f32[4]
  output result "first" = %2
  output result "flat" = %9
}
"#;
    let graph = crate::graph::text::parse(text).unwrap();
    let graph = crate::passes::run_named(&graph, &["simplify", "autodiff"]).unwrap();
    let x = crate::graph::eval::Tensor::new(&[4], vec![-1.0, 2.0, 2.0, 0.0]);
    let outputs = crate::graph::eval::evaluate(&graph, 1, &[("x".to_string(), x)].into()).unwrap();
    assert_eq!(outputs[0].1.data, vec![0.0, 1.0, 0.0, 0.0]);
    assert_eq!(outputs[1].1.data, vec![-1.0, 2.0, 2.0, 0.0]);
}
