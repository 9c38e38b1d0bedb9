//! Sums of squared deviations from a mean over the batch, which one pass over the batch gives (Chan, Golub and LeVeque, 1983,
//! "Algorithms for Computing the Sample Variance").
//!
//! ```text
//! before                                   after
//! mean    = (sum over b, s of x) / (B S)   own     = (sum over s of x) / S
//! squares = sum over b, s of (x - mean)²   mean    = (sum over b of S own) / (B S)
//!                                          squares = sum over b, s of (x - own)² + S * sum over b of (own - mean)²
//! ```
//!
//! Before, no block can begin with its squares until all have ended their sums. After, each sample's deviations are from
//! its own mean, and what is left to do behind the barrier is as little as there are samples and channels. No digits are
//! lost to a large mean, as in the difference of a sum of squares and a square.

use super::lanes::Lanes;
use crate::graph::{
    AxisIndex, BinaryOp, DType, Graph, NodeId, Op, ReduceOp, Scalar, TypeError, View,
};
use crate::passes::{Deviation, Rewrite};
use dlm_grammar::Span;
use std::collections::BTreeMap;

/// Values of a sample below which its own mean is not worth while.
const FEW: i64 = 8;

/// A sum of squared deviations.
struct Squares {
    deviation: Deviation,
    axes: Vec<usize>,
    /// The samples' axis.
    lane: usize,
    /// Values of a sample that are summed into one.
    values: i64,
}

/// The graph with such sums by samples; none where there is none.
///
/// # Errors
/// None in truth.
pub fn moments(graph: &Graph, lanes: &Lanes) -> Result<Option<Graph>, TypeError> {
    let found = graph.nodes.keys();
    let found: BTreeMap<NodeId, Squares> = found
        .filter_map(|id| Some((id, squares(graph, lanes, id)?)))
        .collect();
    if found.is_empty() {
        return Ok(None);
    }
    let sums = found
        .values()
        .map(|squares| (squares.deviation.sum, squares));
    let sums: BTreeMap<NodeId, &Squares> = sums.collect();
    let mut of_samples: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        let inputs = rewrite.inputs(id)?;
        if let Some(squares) = sums.get(&id) {
            let own = squares.sum_of_samples(&mut rewrite.new, inputs[0], node.span)?;
            of_samples.insert(id, own);
            let whole =
                rewrite
                    .new
                    .reduce(ReduceOp::Sum, own, &[squares.lane_of_own()], node.span)?;
            rewrite.set(id, whole);
        } else if let Some(squares) = found.get(&id) {
            let own = of_samples[&squares.deviation.sum];
            let new = squares.by_samples(&mut rewrite, own, node.span)?;
            rewrite.set(id, new);
        } else {
            rewrite.copy(id)?;
        }
    }
    rewrite.finish().map(Some)
}

/// Reads a node as a sum of squared deviations, over the samples in lanes and over values of each.
fn squares(graph: &Graph, lanes: &Lanes, id: NodeId) -> Option<Squares> {
    let node = &graph.nodes[id];
    let Op::Reduce {
        op: ReduceOp::Sum,
        axes,
    } = &node.op
    else {
        return None;
    };
    let square = &graph.nodes[node.inputs[0]];
    let factor = match square.inputs.as_slice() {
        &[a, b] if a == b && square.op == Op::Binary(BinaryOp::Mul) => a,
        _ => return None,
    };
    let deviation = Deviation::of(graph, axes, factor)?;
    let lane = lanes
        .axis(deviation.value)
        .filter(|lane| axes.contains(lane))?;
    let shape = graph.shape(deviation.value);
    let own = axes.iter().filter(|&&axis| axis != lane);
    let values: i64 = own
        .map(|&axis| shape[axis].known())
        .product::<Option<_>>()?;
    let worth = values >= FEW && node.ty.dtype == DType::F32;
    worth.then(|| Squares {
        deviation,
        axes: axes.clone(),
        lane,
        values,
    })
}

impl Squares {
    /// The axes of a sample's values that are summed into one.
    fn own_axes(&self) -> Vec<usize> {
        let own = self.axes.iter().copied();
        own.filter(|&axis| axis != self.lane).collect()
    }

    /// The samples' axis where these are summed.
    fn lane_of_own(&self) -> usize {
        let gone = self.axes.iter().filter(|&&axis| axis < self.lane);
        self.lane - gone.count()
    }

    fn sum_of_samples(
        &self,
        graph: &mut Graph,
        x: NodeId,
        span: Span,
    ) -> Result<NodeId, TypeError> {
        graph.reduce(ReduceOp::Sum, x, &self.own_axes(), span)
    }

    /// The squares, from the samples' sums.
    fn by_samples(
        &self,
        rewrite: &mut Rewrite<'_>,
        sums: NodeId,
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let known = |id: NodeId| {
            let new = rewrite.get(id);
            new.ok_or_else(|| TypeError("a deviation before its mean".into()))
        };
        let (x, mean) = (known(self.deviation.value)?, known(self.deviation.mean)?);
        let graph = &mut rewrite.new;
        let values = constant(graph, self.values as f32, sums, span)?;
        let own = graph.binary(BinaryOp::Div, sums, values, span)?;
        let within = spread(graph, own, x, &self.own_axes(), span)?;
        let within = graph.binary(BinaryOp::Sub, x, within, span)?;
        let within = squared_sum(graph, within, &self.axes, span)?;
        let lane = self.lane_of_own();
        let between = spread(graph, mean, own, &[lane], span)?;
        let between = graph.binary(BinaryOp::Sub, own, between, span)?;
        let between = squared_sum(graph, between, &[lane], span)?;
        let values = constant(graph, self.values as f32, between, span)?;
        let between = graph.binary(BinaryOp::Mul, between, values, span)?;
        graph.binary(BinaryOp::Add, within, between, span)
    }
}

fn squared_sum(
    graph: &mut Graph,
    x: NodeId,
    axes: &[usize],
    span: Span,
) -> Result<NodeId, TypeError> {
    let squares = graph.binary(BinaryOp::Mul, x, x, span)?;
    graph.reduce(ReduceOp::Sum, squares, axes, span)
}

/// The same number for each element of a value.
fn constant(graph: &mut Graph, number: f32, like: NodeId, span: Span) -> Result<NodeId, TypeError> {
    let scalar = graph.add(Op::Constant(Scalar::F32(number)), &[], span)?;
    let view = View {
        shape: graph.shape(like).to_vec(),
        index: Vec::new(),
        fill: Scalar::zero(DType::F32),
    };
    graph.view(scalar, view, span)
}

/// A value in the shape of another, which has the axes beside.
fn spread(
    graph: &mut Graph,
    x: NodeId,
    like: NodeId,
    axes: &[usize],
    span: Span,
) -> Result<NodeId, TypeError> {
    let shape = graph.shape(like).to_vec();
    let rest = (0..shape.len()).filter(|axis| !axes.contains(axis));
    let view = View {
        index: rest.map(AxisIndex::variable).collect(),
        shape,
        fill: Scalar::zero(DType::F32),
    };
    graph.view(x, view, span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::eval::{Inputs, Tensor, evaluate};
    use crate::graph::text::parse;

    /// The sum of squared deviations of each channel.
    const SQUARES: &str = r#"graph squares {
  %0 = input : f32[B, 2, 3, 4] {kind=data, name="x"}
  %1 = reduce_sum %0 : f32[2] {axes=[0, 2, 3]}
  %2 = batch_size : f32
  %3 = constant : f32 {value=12.0}
  %4 = mul %2, %3 : f32
  %5 = view %4 : f32[2] {fill=0.0, index=""}
  %6 = div %1, %5 : f32[2]
  %7 = view %6 : f32[B, 2, 3, 4] {fill=0.0, index="v1"}
  %8 = sub %0, %7 : f32[B, 2, 3, 4]
  %9 = mul %8, %8 : f32[B, 2, 3, 4]
  %10 = reduce_sum %9 : f32[2] {axes=[0, 2, 3]}
  output result "mean" = %6
  output result "squares" = %10
}
"#;

    fn by_samples(text: &str) -> Option<Graph> {
        let graph = parse(text).expect("a graph");
        moments(&graph, &Lanes::analyse(&graph)).expect("types")
    }

    #[test]
    fn squares_wait_for_no_sum_over_the_batch() {
        let graph = by_samples(SQUARES).expect("squares");
        insta::assert_snapshot!(format!("{SQUARES}\n=>\n\n{graph}"));
    }

    /// A mean a thousand million times as large as the deviations.
    #[test]
    fn no_digits_are_lost_to_a_large_mean() {
        let old = parse(SQUARES).expect("a graph");
        let new = by_samples(SQUARES).expect("squares");
        let mut count = 0;
        let x = Tensor::from_fn(&[5, 2, 3, 4], |_| {
            count += 1;
            1e9 + f64::from(count * 7919 % 13)
        });
        let inputs = Inputs::from([("x".to_owned(), x)]);
        let values = |graph: &Graph| evaluate(graph, 5, &inputs).expect("values");
        let (old, new) = (values(&old), values(&new));
        for (old, new) in old.iter().zip(&new) {
            for (a, b) in old.1.data.iter().zip(&new.1.data) {
                assert!((a - b).abs() <= 1e-6 * a.abs(), "{}: {a} and {b}", old.0);
            }
        }
    }

    #[test]
    fn deviations_from_something_else_stay() {
        let other = SQUARES.replace("value=12.0", "value=11.0");
        assert!(by_samples(&other).is_none());
        let few = SQUARES
            .replace("3, 4]", "1, 4]")
            .replace("value=12.0", "value=4.0");
        assert!(by_samples(&few).is_none());
    }
}
