use super::*;
use crate::graph::*;
use crate::plan::Plan;
use dlm_grammar::Span;

fn push(graph: &mut Graph, op: Op, inputs: &[NodeId], dtype: DType, shape: &[Dim]) -> NodeId {
    graph.nodes.push(Node {
        op,
        inputs: inputs.into(),
        ty: TensorType::new(dtype, shape),
        span: Span::default(),
    })
}

fn dims(shape: &[i64]) -> Vec<Dim> {
    shape
        .iter()
        .map(|&n| if n == 0 { Dim::BATCH } else { Dim::fixed(n) })
        .collect()
}

fn input(graph: &mut Graph, kind: InputKind, name: &str, shape: &[i64]) -> NodeId {
    let ty = TensorType::new(DType::F32, dims(shape));
    push(
        graph,
        Op::Input {
            kind,
            name: name.into(),
            ty: ty.clone(),
        },
        &[],
        DType::F32,
        &ty.shape,
    )
}

fn conv_pool() -> Graph {
    let mut g = Graph::new("conv");
    let x = input(&mut g, InputKind::Data, "x", &[0, 1, 28, 28]);
    let w = input(&mut g, InputKind::Parameter, "w", &[6, 1, 5, 5]);
    let b = input(&mut g, InputKind::Parameter, "b", &[6]);
    let v = AxisIndex::variable;
    let shape = dims(&[0, 6, 24, 24]);
    let conv = Contraction {
        shape: shape.clone(),
        reduced: dims(&[1, 5, 5]),
        operands: vec![
            vec![
                v(0),
                v(4),
                AxisIndex::affine(&[(2, 1), (5, 1)], 0, 1),
                AxisIndex::affine(&[(3, 1), (6, 1)], 0, 1),
            ],
            vec![v(1), v(4), v(5), v(6)],
        ],
    };
    let c = push(&mut g, Op::Contract(conv), &[x, w], DType::F32, &shape);
    let bias = View {
        shape: shape.clone(),
        index: vec![v(1)],
        fill: Scalar::F32(0.0),
    };
    let bias = push(&mut g, Op::View(bias), &[b], DType::F32, &shape);
    let sum = push(
        &mut g,
        Op::Binary(BinaryOp::Add),
        &[c, bias],
        DType::F32,
        &shape,
    );
    let wide = dims(&[0, 6, 12, 12, 2, 2]);
    let window = View {
        shape: wide.clone(),
        index: vec![
            v(0),
            v(1),
            AxisIndex::affine(&[(2, 2), (4, 1)], 0, 1),
            AxisIndex::affine(&[(3, 2), (5, 1)], 0, 1),
        ],
        fill: Scalar::F32(f32::NEG_INFINITY),
    };
    let window = push(&mut g, Op::View(window), &[sum], DType::F32, &wide);
    let pooled_shape = dims(&[0, 6, 12, 12]);
    let max = push(
        &mut g,
        Op::Reduce {
            op: ReduceOp::Max,
            axes: vec![4, 5],
        },
        &[window],
        DType::F32,
        &pooled_shape,
    );
    let arg = push(
        &mut g,
        Op::Reduce {
            op: ReduceOp::ArgMax,
            axes: vec![4, 5],
        },
        &[window],
        DType::I32,
        &pooled_shape,
    );
    let zero = push(&mut g, Op::Constant(Scalar::F32(0.0)), &[], DType::F32, &[]);
    let zeros = View {
        shape: pooled_shape.clone(),
        index: vec![],
        fill: Scalar::F32(0.0),
    };
    let zeros = push(&mut g, Op::View(zeros), &[zero], DType::F32, &pooled_shape);
    let relu = push(
        &mut g,
        Op::Binary(BinaryOp::Max),
        &[max, zeros],
        DType::F32,
        &pooled_shape,
    );
    g.outputs.push(Output {
        kind: OutputKind::Result,
        name: "pooled".into(),
        node: relu,
    });
    g.outputs.push(Output {
        kind: OutputKind::Result,
        name: "arg".into(),
        node: arg,
    });
    g
}

fn plan(graph: &Graph) -> Plan {
    schedule(
        graph,
        &Target::vector128(),
        64,
        &PersistentLayout::of(graph),
    )
    .unwrap()
}

#[test]
fn bias_pool_and_relu_are_the_epilogue_of_a_convolution() {
    let plan = plan(&conv_pool());
    assert_eq!(plan.phases.len(), 1);
    assert_eq!(plan.kernels.len(), 1, "{:?}", plan.decisions);
}
