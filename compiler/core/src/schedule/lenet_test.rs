use super::*;
use crate::graph::*;
use crate::passes::{PASSES, run_passes};
use dlm_grammar::Span;

struct Net {
    g: Graph,
    parameters: Vec<NodeId>,
}

impl Net {
    fn parameter(&mut self, name: &str, shape: &[i64]) -> NodeId {
        let ty = TensorType::new(
            DType::F32,
            shape.iter().map(|&n| Dim::fixed(n)).collect::<Vec<_>>(),
        );
        let node = self
            .g
            .input(InputKind::Parameter, name, ty, Span::default())
            .unwrap();
        self.parameters.push(node);
        node
    }

    fn bias(&mut self, x: NodeId, name: &str, n: i64) -> NodeId {
        let b = self.parameter(name, &[n]);
        let rank = self.g.shape(x).len();
        let mut shape = vec![Dim::fixed(n)];
        shape.resize(rank - 1, Dim::fixed(1));
        let b = self.g.reshape(b, &shape, Span::default()).unwrap();
        self.g.binary(BinaryOp::Add, x, b, Span::default()).unwrap()
    }

    fn relu(&mut self, x: NodeId) -> NodeId {
        let zero = self.g.number(0.0, DType::F32, Span::default()).unwrap();
        self.g
            .binary(BinaryOp::Max, x, zero, Span::default())
            .unwrap()
    }

    fn conv(&mut self, x: NodeId, name: &str, out: i64, k: i64, pad: i64) -> NodeId {
        let c = self.g.shape(x)[1].fixed;
        let w = self.parameter(&format!("{name}.weight"), &[out, c, k, k]);
        let axis = WindowAxis {
            kernel: k,
            stride: 1,
            dilation: 1,
            pad: (pad, pad),
        };
        let shape = ConvolutionShape {
            axes: vec![axis, axis],
            groups: 1,
        };
        let y = self.g.convolution(x, w, &shape, Span::default()).unwrap();
        self.bias(y, &format!("{name}.bias"), out)
    }

    fn pool(&mut self, x: NodeId) -> NodeId {
        let axis = WindowAxis {
            kernel: 2,
            stride: 2,
            dilation: 1,
            pad: (0, 0),
        };
        let w = self
            .g
            .window(
                x,
                &[axis, axis],
                Scalar::F32(f32::NEG_INFINITY),
                Span::default(),
            )
            .unwrap();
        self.g
            .reduce(ReduceOp::Max, w, &[4, 5], Span::default())
            .unwrap()
    }

    fn linear(&mut self, x: NodeId, name: &str, out: i64) -> NodeId {
        let n = self.g.shape(x)[1].fixed;
        let w = self.parameter(&format!("{name}.weight"), &[out, n]);
        let y = self
            .g
            .einsum("b i, o i -> b o", &[x, w], Span::default())
            .unwrap();
        self.bias(y, &format!("{name}.bias"), out)
    }
}

impl Net {
    /// Images and labels.
    fn new(channels: i64, size: i64) -> (Net, NodeId, NodeId) {
        let mut g = Graph::new("step");
        let s = Span::default();
        let images = vec![Dim::BATCH, channels.into(), size.into(), size.into()];
        let images = TensorType::new(DType::F32, images);
        let labels = TensorType::new(DType::I32, vec![Dim::BATCH]);
        let x = g.input(InputKind::Data, "x", images, s).unwrap();
        let y = g.input(InputKind::Data, "y", labels, s).unwrap();
        let parameters = Vec::new();
        (Net { g, parameters }, x, y)
    }

    fn flat(&mut self, x: NodeId, size: i64) -> NodeId {
        let shape = [Dim::BATCH, size.into()];
        self.g.reshape(x, &shape, Span::default()).unwrap()
    }
}

/// A training step of LeNet-5 with momentum, built by hand.
pub fn lenet() -> Graph {
    let (mut net, x, y) = Net::new(1, 28);
    let mut h = x;
    for (name, out) in [("conv1", 6), ("conv2", 16)] {
        h = net.conv(h, name, out, 5, 0);
        h = net.relu(h);
        h = net.pool(h);
    }
    h = net.flat(h, 256);
    for (name, out) in [("fc1", 120), ("fc2", 84)] {
        h = net.linear(h, name, out);
        h = net.relu(h);
    }
    let logits = net.linear(h, "fc3", 10);
    training_step(net, logits, y)
}

/// A net whose convolutions read beyond their images, with more pixels than a weight gradient sums at a time.
pub fn bordered() -> Graph {
    let (mut net, x, y) = Net::new(3, 16);
    let mut h = net.conv(x, "conv1", 5, 3, 1);
    h = net.relu(h);
    for (name, out) in [("conv2", 4), ("conv3", 6)] {
        h = net.conv(h, name, out, 3, 1);
        h = net.relu(h);
        h = net.pool(h);
    }
    h = net.flat(h, 96);
    let logits = net.linear(h, "fc", 10);
    training_step(net, logits, y)
}

/// Cross entropy, gradients, and updates with momentum.
fn training_step(mut net: Net, logits: NodeId, y: NodeId) -> Graph {
    let s = Span::default();
    let g = &mut net.g;
    let max = g.reduce(ReduceOp::Max, logits, &[1], s).unwrap();
    let max = g.stop_gradient(max, s).unwrap();
    let shape = g.shape(logits).to_vec();
    let wide = g.restore_axes(max, &shape, &[1], s).unwrap();
    let shifted = g.binary(BinaryOp::Sub, logits, wide, s).unwrap();
    let e = g.unary(UnaryOp::Exp, shifted, s).unwrap();
    let sum = g.reduce(ReduceOp::Sum, e, &[1], s).unwrap();
    let log = g.unary(UnaryOp::Log, sum, s).unwrap();
    let hot = g.one_hot(y, 10.into(), s).unwrap();
    let picked = g.binary(BinaryOp::Mul, hot, shifted, s).unwrap();
    let picked = g.reduce(ReduceOp::Sum, picked, &[1], s).unwrap();
    let each = g.binary(BinaryOp::Sub, log, picked, s).unwrap();
    let loss = g.mean(each, &[0], s).unwrap();
    g.output(OutputKind::Report, "loss", loss);
    for p in net.parameters.clone() {
        let Op::Input { name, ty, .. } = g.nodes[p].op.clone() else {
            unreachable!()
        };
        let state = format!("opt.{name}.velocity");
        let v = g.input(InputKind::State, state.clone(), ty, s).unwrap();
        let gradient = g.gradient(loss, p, s).unwrap();
        let momentum = g.number(0.9, DType::F32, s).unwrap();
        let kept = g.binary(BinaryOp::Mul, v, momentum, s).unwrap();
        let next = g.binary(BinaryOp::Add, kept, gradient, s).unwrap();
        let rate = g.number(0.01, DType::F32, s).unwrap();
        let change = g.binary(BinaryOp::Mul, next, rate, s).unwrap();
        let new = g.binary(BinaryOp::Sub, p, change, s).unwrap();
        g.output(OutputKind::State, state, next);
        g.output(OutputKind::Parameter, name, new);
    }
    run_passes(g, PASSES, |_, _| {}).unwrap()
}

#[test]
fn a_training_step_of_lenet_has_two_phases() {
    let graph = lenet();
    let plan = schedule(
        &graph,
        &Target::vector128(),
        64,
        &PersistentLayout::of(&graph),
    )
    .unwrap();
    assert_eq!(plan.phases.len(), 2);
}

fn random(shape: &[Dim], batch: i64, seed: u32, scale: f64) -> eval::Tensor {
    let shape: Vec<i64> = shape.iter().map(|dim| dim.at(batch)).collect();
    let mut number = 0;
    eval::Tensor::from_fn(&shape, |_| {
        number += 1;
        (f64::from(eval::threefry([seed, 1], [number, 0])[0]) / f64::from(u32::MAX) - 0.5) * scale
    })
}

/// Values for every input of LeNet's step.
fn inputs(graph: &Graph, batch: i64) -> std::collections::BTreeMap<String, eval::Tensor> {
    let mut values = std::collections::BTreeMap::new();
    for (id, node) in graph.nodes.iter() {
        if let Op::Input { name, ty, .. } = &node.op {
            let mut value = random(
                &ty.shape,
                batch,
                id.as_u32(),
                if ty.shape[0].is_dynamic() { 2.0 } else { 0.3 },
            );
            if ty.dtype == DType::I32 {
                value
                    .data
                    .iter_mut()
                    .enumerate()
                    .for_each(|(place, label)| *label = (place * 7 % 10) as f64);
            }
            values.insert(name.clone(), value);
        }
    }
    values
}

#[test]
fn gradients_of_lenet_are_differences() {
    let graph = lenet();
    let batch = 2;
    let values = inputs(&graph, batch);
    let outputs: std::collections::BTreeMap<_, _> = eval::evaluate(&graph, batch, &values)
        .unwrap()
        .into_iter()
        .collect();
    let loss = |values: &std::collections::BTreeMap<String, eval::Tensor>| {
        let outputs = eval::evaluate(&graph, batch, values).unwrap();
        outputs
            .into_iter()
            .find(|output| output.0 == "loss")
            .unwrap()
            .1
            .data[0]
    };
    for name in [
        "conv1.weight",
        "conv1.bias",
        "conv2.weight",
        "fc1.weight",
        "fc2.bias",
        "fc3.weight",
    ] {
        let velocity = format!("opt.{name}.velocity");
        let size = values[name].data.len();
        for place in [0, size / 2, size - 1] {
            let got = outputs[&velocity].data[place] - 0.9 * values[&velocity].data[place];
            let mut moved = values.clone();
            let step = 1e-5;
            moved.get_mut(name).unwrap().data[place] += step;
            let above = loss(&moved);
            moved.get_mut(name).unwrap().data[place] -= 2.0 * step;
            let want = (above - loss(&moved)) / (2.0 * step);
            assert!(
                (got - want).abs() < 1e-6 + 1e-4 * want.abs(),
                "{name}[{place}]: {got} against {want}"
            );
        }
    }
}

/// The plan's results against the graph's.
fn check_plan(graph: &Graph, target: &Target, most: usize, batch: i64, tolerance: f64) {
    let plan = schedule(graph, target, most, &PersistentLayout::of(graph)).unwrap();
    let values = inputs(graph, batch);
    let want = eval::evaluate(graph, batch, &values).unwrap();
    let kinds = graph.nodes.values().filter_map(|node| match &node.op {
        Op::Input { kind, name, .. } => Some(((*kind, name.clone()), values[name].clone())),
        _ => None,
    });
    let got = crate::plan::interpret(&plan, batch as usize, &kinds.collect()).unwrap();
    for ((name, want), ((_, other), got)) in want.iter().zip(&got) {
        assert_eq!(name, other);
        assert_eq!(want.shape, got.shape, "{name}");
        assert!(
            want.data.iter().any(|value| *value != 0.0),
            "{name} is zero"
        );
        for (place, (want, got)) in want.data.iter().zip(&got.data).enumerate() {
            let close = (want - got).abs() <= tolerance * (1.0 + want.abs());
            assert!(close, "{} {name}[{place}]: {got} for {want}", target.name);
        }
    }
}

#[test]
fn plans_of_lenet_compute_what_the_graph_says() {
    let graph = lenet();
    check_plan(&graph, &Target::vector128(), 16, 11, 2e-5);
    check_plan(&graph, &Target::vector128(), 4, 3, 2e-5);
    check_plan(&graph, &Target::avx512(), 16, 3, 2e-5);
}

#[test]
fn plans_with_borders_compute_what_the_graph_says() {
    let graph = bordered();
    check_plan(&graph, &Target::vector128(), 16, 11, 2e-5);
    check_plan(&graph, &Target::avx2(), 32, 19, 2e-5);
    check_plan(&graph, &Target::avx512(), 16, 3, 2e-5);
}

/// A convolution of parameters, with its pixels along the axis that tasks share out.
fn pixels_first() -> Graph {
    let s = Span::default();
    let mut net = Net {
        g: Graph::new("step"),
        parameters: Vec::new(),
    };
    let x = net.parameter("x", &[8, 3, 5]);
    let w = net.parameter("w", &[4, 3, 3]);
    let axis = WindowAxis {
        kernel: 3,
        stride: 1,
        dilation: 1,
        pad: (1, 1),
    };
    let shape = ConvolutionShape {
        axes: vec![axis],
        groups: 1,
    };
    let y = net.g.convolution(x, w, &shape, s).unwrap();
    let turned = net.g.permute(y, &[2, 1, 0], s).unwrap();
    net.g.output(OutputKind::Report, "y", turned);
    run_passes(&net.g, PASSES, |_, _| {}).unwrap()
}

#[test]
fn a_border_along_the_axis_of_ranges_is_in_no_tile() {
    let graph = pixels_first();
    check_plan(&graph, &Target::vector128(), 1, 1, 2e-5);
    check_plan(&graph, &Target::avx2(), 1, 1, 2e-5);
}

/// A loop that reads an image which the step stores, of more channels than rows and more rows than columns.
const LOOP_OVER_IMAGES: &str = r#"graph step {
  region r0 {
    %0 = argument : f32[B, 5, 4, 3] {number=0}
    %1 = argument : i32 {number=1}
    %2 = cast %1 : f32
    %3 = view %2 : f32[B, 5, 4, 3] {fill=0.0, index=""}
    %4 = mul %0, %3 : f32[B, 5, 4, 3]
    output result "0" = %4
  }
  %0 = input : f32[B, 5, 4, 3] {kind=data, name="x"}
  %1 = exp %0 : f32[B, 5, 4, 3]
  %2 = view %1 : f32[B, 5, 4, 3] {fill=0.0, index="v0, v1, v2-1, v3"}
  %3 = add %1, %2 : f32[B, 5, 4, 3]
  %4 = reduce_sum %3 : f32[B, 4, 3] {axes=[1]}
  %5 = scan %3 : f32[3, B, 5, 4, 3] {captures=1, carries=0, region=r0, result=0, reverse=false, rounds=3}
  %6 = reduce_sum %5 : f32[B, 5, 4, 3] {axes=[0]}
  output report "rows" = %4
  output report "rounds" = %6
}
"#;

#[test]
fn a_loop_finds_the_images_of_the_step_where_they_lie() {
    let graph = crate::graph::text::parse(LOOP_OVER_IMAGES).unwrap();
    check_plan(&graph, &Target::vector128(), 16, 11, 2e-5);
    check_plan(&graph, &Target::avx2(), 32, 19, 2e-5);
}
