//! Constructors against loops that say what they mean, and their messages.

use crate::graph::eval::{Tensor, evaluate};
use crate::graph::{
    BinaryOp, ConvolutionShape, DType, Dim, Graph, InputKind, NodeId, Op, OutputKind, Scalar,
    TensorType, TypeError, WindowAxis,
};
use dlm_grammar::Span;

fn nowhere() -> Span {
    Span::default()
}

fn input(graph: &mut Graph, name: &str, shape: &[i64]) -> NodeId {
    let shape: Vec<Dim> = shape.iter().map(|&extent| Dim::fixed(extent)).collect();
    graph
        .input(
            InputKind::Data,
            name,
            TensorType::new(DType::F32, shape),
            nowhere(),
        )
        .unwrap()
}

fn numbers(shape: &[i64], factor: f64) -> Tensor {
    let mut count = 0.0;
    Tensor::from_fn(shape, |_| {
        count += factor;
        count % 7.0 - 3.0
    })
}

/// PyTorch's `conv2d` in seven loops.
fn convolution(x: &Tensor, w: &Tensor, axis: WindowAxis, groups: i64, out: &[i64]) -> Tensor {
    let (inner, per_group) = (w.shape[1], w.shape[0] / groups);
    Tensor::from_fn(out, |index| {
        let (b, o, y, z) = (index[0], index[1], index[2], index[3]);
        let mut sum = 0.0;
        for c in 0..inner {
            for i in 0..axis.kernel {
                for j in 0..axis.kernel {
                    let row = y * axis.stride + i * axis.dilation - axis.pad.0;
                    let column = z * axis.stride + j * axis.dilation - axis.pad.0;
                    if (0..x.shape[2]).contains(&row) && (0..x.shape[3]).contains(&column) {
                        sum += x.at(&[b, o / per_group * inner + c, row, column])
                            * w.at(&[o, c, i, j]);
                    }
                }
            }
        }
        sum
    })
}

#[test]
fn convolutions_are_their_loops() {
    for (kernel, stride, dilation, pad, groups) in [
        (3, 1, 1, (0, 0), 1),
        (3, 2, 1, (1, 1), 1),
        (2, 2, 1, (0, 0), 2),
        (3, 1, 2, (2, 1), 4),
        (1, 3, 1, (0, 2), 1),
    ] {
        let axis = WindowAxis {
            kernel,
            stride,
            dilation,
            pad,
        };
        let mut graph = Graph::new("convolution");
        let x = input(&mut graph, "x", &[2, 4, 7, 6]);
        let w = input(&mut graph, "w", &[8, 4 / groups, kernel, kernel]);
        let shape = ConvolutionShape {
            axes: vec![axis, axis],
            groups,
        };
        let y = graph.convolution(x, w, &shape, nowhere()).unwrap();
        graph.output(OutputKind::Result, "y", y);
        let (x, w) = (
            numbers(&[2, 4, 7, 6], 1.7),
            numbers(&[8, 4 / groups, kernel, kernel], 2.3),
        );
        let inputs = [("x".to_string(), x.clone()), ("w".to_string(), w.clone())].into();
        let got = evaluate(&graph, 1, &inputs).unwrap().remove(0).1;
        let wanted = convolution(&x, &w, axis, groups, &got.shape);
        for (a, b) in got.data.iter().zip(&wanted.data) {
            assert!(
                (a - b).abs() < 1e-9,
                "{axis:?}, {groups} groups: {a} and {b}"
            );
        }
    }
}

/// `<conv(x), y> = <x, transposed(y)>`: the one is the other's adjoint.
#[test]
fn a_transposed_convolution_is_the_adjoint() {
    for (kernel, stride, dilation, pad, groups) in [
        (3, 1, 1, (1, 1), 1),
        (3, 2, 1, (1, 1), 2),
        (2, 2, 1, (0, 0), 1),
        (3, 1, 2, (0, 0), 2),
    ] {
        let axis = WindowAxis {
            kernel,
            stride,
            dilation,
            pad,
        };
        let shape = ConvolutionShape {
            axes: vec![axis],
            groups,
        };
        let mut graph = Graph::new("adjoint");
        let x = input(&mut graph, "x", &[1, 4, 9]);
        let w = input(&mut graph, "w", &[6, 4 / groups, kernel]);
        let forward = graph.convolution(x, w, &shape, nowhere()).unwrap();
        let extents: Vec<i64> = graph.shape(forward).iter().map(|dim| dim.fixed).collect();
        let y = input(&mut graph, "y", &extents);
        let rest = (9 + pad.0 + pad.1 - dilation * (kernel - 1) - 1) % stride;
        let back = graph
            .transposed_convolution(y, w, &shape, &[rest], nowhere())
            .unwrap();
        assert_eq!(graph.shape(back), graph.shape(x));
        for (name, a, b) in [("one", forward, y), ("other", x, back)] {
            let product = graph.binary(BinaryOp::Mul, a, b, nowhere()).unwrap();
            let sum = graph
                .reduce(crate::graph::ReduceOp::Sum, product, &[0, 1, 2], nowhere())
                .unwrap();
            graph.output(OutputKind::Result, name, sum);
        }
        let values = [
            ("x", vec![1, 4, 9]),
            ("w", vec![6, 4 / groups, kernel]),
            ("y", extents),
        ];
        let inputs = values
            .into_iter()
            .map(|(name, shape)| (name.to_string(), numbers(&shape, 1.3)))
            .collect();
        let outputs = evaluate(&graph, 1, &inputs).unwrap();
        let (one, other) = (outputs[0].1.data[0], outputs[1].1.data[0]);
        assert!(
            (one - other).abs() < 1e-9 && one != 0.0,
            "{axis:?}: {one} and {other}"
        );
    }
}

#[test]
fn equal_operations_are_one_node_and_random_ones_only_at_one_place() {
    let mut graph = Graph::new("g");
    let x = input(&mut graph, "x", &[3]);
    let (a, b) = (
        graph.binary(BinaryOp::Add, x, x, nowhere()),
        graph.binary(BinaryOp::Add, x, x, nowhere()),
    );
    assert_eq!(a, b);
    let zero = graph.constant(Scalar::I32(0), nowhere()).unwrap();
    let mut draw = |place| {
        let op = Op::Random {
            op: crate::graph::RandomOp::Uniform,
            place,
            shape: vec![],
        };
        graph.add(op, &[zero, zero], nowhere()).unwrap()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

/// What is said about a wrong construction.
fn check(
    build: impl FnOnce(&mut Graph, NodeId, NodeId) -> Result<NodeId, TypeError>,
    message: &str,
) {
    let mut graph = Graph::new("g");
    let (a, b) = (
        input(&mut graph, "a", &[2, 3]),
        input(&mut graph, "b", &[4, 3]),
    );
    assert_eq!(build(&mut graph, a, b).unwrap_err().to_string(), message);
}

#[test]
fn messages() {
    check(
        |graph, a, b| graph.binary(BinaryOp::Add, a, b, nowhere()),
        "extents differ: 2 and 4",
    );
    check(
        |graph, a, b| graph.add(Op::Concat { axis: 1 }, &[a, b], nowhere()),
        "f32[2, 3] and f32[4, 3] cannot be joined along axis 1",
    );
    check(
        |graph, a, _| graph.reshape(a, &[Dim::BATCH], nowhere()),
        "[2, 3] and [B] differ in their number of elements",
    );
    check(
        |graph, a, _| graph.gradient(a, a, nowhere()),
        "a gradient is of a float scalar, not of f32[2, 3]",
    );
    check(
        |graph, a, b| graph.gather(a, b, nowhere()),
        "`gather` takes i32 ids, not f32",
    );
    check(
        |graph, a, b| graph.einsum("i j, j k -> i k", &[a, b], nowhere()),
        "`j` is 3 and 4",
    );
    check(
        |graph, a, b| graph.einsum("i j, k j", &[a, b], nowhere()),
        "an einsum needs `->` before the result's axes",
    );
    check(
        |graph, a, b| graph.einsum("i j, k j -> i m", &[a, b], nowhere()),
        "`m` stands in the result only",
    );
    check(
        |graph, a, _| graph.einsum("i j -> i i", &[a], nowhere()),
        "`i` stands twice in the result",
    );
    check(
        |graph, a, _| graph.add(Op::Binary(BinaryOp::Add), &[a], nowhere()),
        "`add` takes 2 inputs, not 1",
    );
}
