//! A small random graph, and the check of its derivatives against finite differences.

use crate::graph::eval::{Inputs, Tensor, evaluate, threefry};
use crate::graph::text::parse;
use crate::graph::{
    BinaryOp, DType, Dim, Graph, InputKind, NodeId, OutputKind, ReduceOp, TensorType,
};
use crate::passes;
use dlm_grammar::Span;

/// Nothing in a test has a place in a source.
pub const NOWHERE: Span = Span {
    file: dlm_grammar::FileId(0),
    start: 0,
    end: 0,
};

/// A graph under construction with values for its inputs.
pub struct Case {
    pub graph: Graph,
    pub batch: i64,
    inputs: Inputs,
    floats: Vec<(String, NodeId)>,
    seed: u32,
    drawn: u32,
}

impl Case {
    pub fn new(seed: u32) -> Case {
        let mut case = Case {
            graph: Graph::new("case"),
            batch: 0,
            inputs: Inputs::new(),
            floats: Vec::new(),
            seed,
            drawn: 0,
        };
        case.batch = case.pick(&[1, 2, 3]);
        case
    }

    /// A number in 0..1.
    pub fn unit(&mut self) -> f64 {
        self.drawn += 1;
        f64::from(threefry([self.seed, 7], [self.drawn, 0])[0]) / f64::from(u32::MAX)
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[(self.unit() * (choices.len() as f64 - 1e-6)) as usize]
    }

    /// An extent: 1, odd, even, and sometimes more than 16.
    pub fn extent(&mut self) -> i64 {
        self.pick(&[1, 2, 3, 4, 5, 3, 2, 17])
    }

    /// A float input with elements in `low..high`, with respect to which derivatives are checked.
    pub fn float(&mut self, shape: &[Dim], low: f64, high: f64) -> NodeId {
        let name = format!("x{}", self.floats.len());
        let extents: Vec<i64> = shape.iter().map(|dim| dim.at(self.batch)).collect();
        let value = Tensor::from_fn(&extents, |_| low + (high - low) * self.unit());
        self.inputs.insert(name.clone(), value);
        let node = self.input(&name, DType::F32, shape);
        self.floats.push((name, node));
        node
    }

    /// An i32 input with elements in `0..below`.
    pub fn ids(&mut self, shape: &[Dim], below: i64) -> NodeId {
        let extents: Vec<i64> = shape.iter().map(|dim| dim.at(self.batch)).collect();
        let value = Tensor::from_fn(&extents, |_| (self.unit() * below as f64).floor());
        let name = format!("ids{}", self.inputs.len());
        self.inputs.insert(name.clone(), value);
        self.input(&name, DType::I32, shape)
    }

    fn input(&mut self, name: &str, dtype: DType, shape: &[Dim]) -> NodeId {
        let ty = TensorType::new(dtype, shape);
        self.graph
            .input(InputKind::Data, name, ty, NOWHERE)
            .unwrap()
    }

    fn dot(&mut self, a: NodeId, b: NodeId) -> NodeId {
        let product = self.graph.binary(BinaryOp::Mul, a, b, NOWHERE).unwrap();
        let axes: Vec<usize> = (0..self.graph.ty(product).rank()).collect();
        self.graph
            .reduce(ReduceOp::Sum, product, &axes, NOWHERE)
            .unwrap()
    }

    /// Checks `loss = sum(y * w)` in every float input (and w), and a weighted sum of those gradients again; that all
    /// passes together change no value; and that the graphs' texts read back.
    pub fn check(mut self, y: NodeId, what: &str) {
        let y = self.graph.cast(y, DType::F32, NOWHERE).unwrap();
        let shape = self.graph.shape(y).to_vec();
        let w = self.float(&shape, -1.0, 1.0);
        let loss = self.dot(y, w);
        self.graph.output(OutputKind::Result, "loss", loss);
        let curvature = self.gradients("g", loss);
        self.graph
            .output(OutputKind::Result, "curvature", curvature);
        self.gradients("gg", curvature);
        let expanded = passes::run_named(&self.graph, &["autodiff"]).unwrap();
        self.compare(&expanded, what);
        for graph in [&self.graph, &expanded] {
            let text = graph.to_string();
            let read = parse(&text).unwrap_or_else(|error| panic!("{what}: {error}\n{text}"));
            assert_eq!(read.to_string(), text, "{what}");
        }
        let all: Vec<&str> = passes::PASSES.iter().map(|pass| pass.name).collect();
        let simplified = passes::run_named(&self.graph, &all).unwrap();
        self.agree(&expanded, &simplified, what);
    }

    /// Outputs `PREFIX.x`, the gradient in each float input, and gives their weighted sum.
    fn gradients(&mut self, prefix: &str, loss: NodeId) -> NodeId {
        let mut sum = self.graph.full(0.0, DType::F32, &[], NOWHERE).unwrap();
        for (name, x) in self.floats.clone() {
            let gradient = self.graph.gradient(loss, x, NOWHERE).unwrap();
            self.graph
                .output(OutputKind::Result, format!("{prefix}.{name}"), gradient);
            let weights = self.weights(&format!("v.{name}"), x);
            let part = self.dot(gradient, weights);
            sum = self
                .graph
                .binary(BinaryOp::Add, sum, part, NOWHERE)
                .unwrap();
        }
        sum
    }

    fn weights(&mut self, name: &str, like: NodeId) -> NodeId {
        let shape = self.graph.shape(like).to_vec();
        if !self.inputs.contains_key(name) {
            let extents: Vec<i64> = shape.iter().map(|dim| dim.at(self.batch)).collect();
            let value = Tensor::from_fn(&extents, |_| self.unit() * 2.0 - 1.0);
            self.inputs.insert(name.into(), value);
        }
        self.input(name, DType::F32, &shape)
    }

    fn compare(&mut self, graph: &Graph, what: &str) {
        let exact: Inputs = evaluate(graph, self.batch, &self.inputs)
            .unwrap()
            .into_iter()
            .collect();
        let mut scalars = graph.clone();
        scalars
            .outputs
            .retain(|output| ["loss", "curvature"].contains(&output.name.as_str()));
        for (name, _) in self.floats.clone() {
            let count = self.inputs[&name].data.len();
            for _ in 0..count.min(4) {
                let place = (self.unit() * (count as f64 - 1e-6)) as usize;
                let slopes = self.slopes(&scalars, &name, place);
                for (output, slope) in ["g", "gg"].iter().zip(slopes) {
                    let got = exact[&format!("{output}.{name}")].data[place];
                    let close = (got - slope).abs() <= 1e-4 * (1.0 + slope.abs());
                    assert!(
                        close,
                        "{what}, seed {}: {output}.{name}[{place}] is {got}, differences give {slope}\n{graph}",
                        self.seed
                    );
                }
            }
        }
    }

    /// Central differences of loss and curvature.
    fn slopes(&mut self, graph: &Graph, name: &str, place: usize) -> [f64; 2] {
        let step = 1e-5;
        let ends = [step, -step].map(|step| {
            let mut moved = self.inputs.clone();
            moved.get_mut(name).unwrap().data[place] += step;
            let outputs = evaluate(graph, self.batch, &moved).unwrap();
            [outputs[0].1.data[0], outputs[1].1.data[0]]
        });
        [0, 1].map(|output| (ends[0][output] - ends[1][output]) / (2.0 * step))
    }

    fn agree(&self, one: &Graph, other: &Graph, what: &str) {
        let [one, two] =
            [one, other].map(|graph| evaluate(graph, self.batch, &self.inputs).unwrap());
        for ((name, a), (_, b)) in one.iter().zip(&two) {
            assert_eq!(
                a.shape, b.shape,
                "{what}, seed {}: shape of {name}",
                self.seed
            );
            let close = a
                .data
                .iter()
                .zip(&b.data)
                .all(|(a, b)| (a - b).abs() <= 1e-9 * (1.0 + a.abs()));
            assert!(
                close,
                "{what}, seed {}: {name} changed in simplification\n{other}",
                self.seed
            );
        }
    }
}
