//! Small random graphs of every kind of operation, and a few of several together.

use super::case::{Case, NOWHERE};
use crate::graph::{
    BinaryOp, ConvolutionShape, DType, Dim, NodeId, Op, RandomOp, ReduceOp, Scalar, UnaryOp,
    WindowAxis,
};

/// What is in the graph (the operation's name, then perhaps more after a colon), and how it is built.
pub type Example = (&'static str, fn(&mut Case) -> NodeId);

/// A graph for every kind of operation but the elementwise tables, which have tests of their own.
pub const EXAMPLES: &[Example] = &[
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

/// Operations together, where rules of `simplify` meet: pools over padded windows, biases, softmax.
pub const NETS: &[Example] = &[
    ("a convolution's layer", layer),
    ("attention", attention),
    ("normalisation", normalisation),
];

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

fn layer(case: &mut Case) -> NodeId {
    let axis = WindowAxis {
        kernel: 3,
        stride: case.pick(&[1, 2]),
        dilation: 1,
        pad: (1, 1),
    };
    let x = image(case, 2, &[6, 6]);
    let weight = case.float(&[3.into(), 2.into(), 3.into(), 3.into()], -1.0, 1.0);
    let bias = case.float(&[3.into(), 1.into(), 1.into()], -1.0, 1.0);
    let shape = ConvolutionShape {
        axes: vec![axis, axis],
        groups: 1,
    };
    let y = case.graph.convolution(x, weight, &shape, NOWHERE).unwrap();
    let y = case.graph.binary(BinaryOp::Add, y, bias, NOWHERE).unwrap();
    let zero = case.graph.number(0.0, DType::F32, NOWHERE).unwrap();
    let y = case.graph.binary(BinaryOp::Max, y, zero, NOWHERE).unwrap();
    let pool = case.pick(&[
        WindowAxis {
            kernel: 2,
            stride: 2,
            dilation: 1,
            pad: (0, 0),
        },
        WindowAxis {
            kernel: 3,
            stride: 2,
            dilation: 1,
            pad: (1, 1),
        },
        WindowAxis {
            kernel: 2,
            stride: 1,
            dilation: 1,
            pad: (0, 0),
        },
    ]);
    let fill = Scalar::F32(f32::NEG_INFINITY);
    let windows = case.graph.window(y, &[pool, pool], fill, NOWHERE).unwrap();
    case.graph
        .reduce(ReduceOp::Max, windows, &[4, 5], NOWHERE)
        .unwrap()
}

fn attention(case: &mut Case) -> NodeId {
    let (t, d) = (Dim::from(case.pick(&[1, 3, 4])), Dim::from(2));
    let [q, k, v] = [0, 1, 2].map(|_| case.float(&[Dim::BATCH, t, d], -1.0, 1.0));
    let scores = case
        .graph
        .einsum("b i d, b j d -> b i j", &[q, k], NOWHERE)
        .unwrap();
    let most = case
        .graph
        .reduce(ReduceOp::Max, scores, &[2], NOWHERE)
        .unwrap();
    let most = case.graph.stop_gradient(most, NOWHERE).unwrap();
    let shape = case.graph.shape(scores).to_vec();
    let most = case
        .graph
        .restore_axes(most, &shape, &[2], NOWHERE)
        .unwrap();
    let shifted = case
        .graph
        .binary(BinaryOp::Sub, scores, most, NOWHERE)
        .unwrap();
    let weights = case.graph.unary(UnaryOp::Exp, shifted, NOWHERE).unwrap();
    let sum = case
        .graph
        .reduce(ReduceOp::Sum, weights, &[2], NOWHERE)
        .unwrap();
    let sum = case.graph.restore_axes(sum, &shape, &[2], NOWHERE).unwrap();
    let weights = case
        .graph
        .binary(BinaryOp::Div, weights, sum, NOWHERE)
        .unwrap();
    let mixed = case
        .graph
        .einsum("b i j, b j d -> b i d", &[weights, v], NOWHERE)
        .unwrap();
    let moved = case.graph.permute(mixed, &[1, 0, 2], NOWHERE).unwrap();
    case.graph
        .einsum("t b d, t b e -> d e", &[moved, moved], NOWHERE)
        .unwrap()
}

fn normalisation(case: &mut Case) -> NodeId {
    let x = case.float(&[Dim::BATCH, 3.into(), 4.into()], -1.0, 1.0);
    let axes: &[usize] = case.pick(&[&[2], &[1, 2], &[0, 2]]);
    let shape = case.graph.shape(x).to_vec();
    let mean = case.graph.mean(x, axes, NOWHERE).unwrap();
    let mean = case
        .graph
        .restore_axes(mean, &shape, axes, NOWHERE)
        .unwrap();
    let centred = case.graph.binary(BinaryOp::Sub, x, mean, NOWHERE).unwrap();
    let two = case.graph.number(2.0, DType::F32, NOWHERE).unwrap();
    let square = case
        .graph
        .binary(BinaryOp::Pow, centred, two, NOWHERE)
        .unwrap();
    let variance = case.graph.mean(square, axes, NOWHERE).unwrap();
    let small = case.graph.number(0.1, DType::F32, NOWHERE).unwrap();
    let variance = case
        .graph
        .binary(BinaryOp::Add, variance, small, NOWHERE)
        .unwrap();
    let scale = case.graph.unary(UnaryOp::Rsqrt, variance, NOWHERE).unwrap();
    let scale = case
        .graph
        .restore_axes(scale, &shape, axes, NOWHERE)
        .unwrap();
    case.graph
        .binary(BinaryOp::Mul, centred, scale, NOWHERE)
        .unwrap()
}
