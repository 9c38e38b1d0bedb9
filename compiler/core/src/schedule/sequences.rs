//! Whether a step is of sequences: its products have rows enough in each sample, and features along memory.
//!
//! With samples in lanes, a block of 16 samples of a sequence is 16 times as large as what one product needs at a time, and
//! leaves the second cache between any two uses. Products of matrices fill vectors with features as well as with samples.
//! Convolutions do not: their gradients sum along the axis that lies along memory.

use super::lanes::Lanes;
use crate::graph::{AxisIndex, Contraction, Graph, NodeId, Op};

/// The least extent of an axis that fills vectors, or is gone through again and again.
const LONG: i64 = 16;
/// Axes of a product of matrices: rows, columns, and what is summed over.
const MATRIX_AXES: usize = 3;
/// Bytes of an operand's sample block from which on it leaves the second cache.
const LARGE: i64 = 1 << 20;
/// The part of the arithmetic that must be in such products.
const MOST: f64 = 0.75;

/// Whether most of the arithmetic is in products whose rows are positions within samples.
pub fn of_sequences(graph: &Graph, lanes: &Lanes, (batch, block): (usize, usize)) -> bool {
    if !graph.scans().is_empty() {
        return false;
    }
    let (mut all, mut sequences) = (0.0, 0.0);
    for node in graph.nodes.values() {
        let Op::Contract(contraction) = &node.op else {
            continue;
        };
        let extents = contraction.shape.iter().chain(&contraction.reduced);
        let work: f64 = extents.map(|dim| dim.at(batch as i64) as f64).product();
        all += work;
        let large = |input: &NodeId| block_bytes(graph, lanes, *input, block) >= LARGE;
        if is_of_sequences(lanes, contraction, &node.inputs) && node.inputs.iter().any(large) {
            sequences += work;
        }
    }
    all > 0.0 && sequences > MOST * all
}

/// Bytes of a block of a value with samples; none of one without.
fn block_bytes(graph: &Graph, lanes: &Lanes, id: NodeId, block: usize) -> i64 {
    let Some(lane) = lanes.axis(id) else {
        return 0;
    };
    let extents = graph.nodes[id].ty.shape.iter().enumerate();
    let others = extents.filter(|&(axis, _)| axis != lane);
    let elements: i64 = others.map(|(_, dim)| dim.known().unwrap_or(1)).product();
    elements * block as i64 * 4
}

/// A product of matrices for each sample, or of all samples' rows, that reads some operand with samples along what is
/// summed over, or along what a vector of the result is along.
fn is_of_sequences(lanes: &Lanes, contraction: &Contraction, inputs: &[NodeId]) -> bool {
    let rank = contraction.shape.len();
    let simple = |axis: &AxisIndex| axis.as_variable().is_some() || axis.terms.is_empty();
    let last = |axes: &Vec<AxisIndex>| axes.last().and_then(AxisIndex::as_variable);
    let along = |variable: usize| variable + 1 >= rank;
    let mut with_samples = contraction.operands.iter().zip(inputs);
    let mut axes = contraction.operands.iter().flatten();
    let extents = contraction.shape.iter().chain(&contraction.reduced);
    let long = extents.filter(|dim| dim.known().is_some_and(|extent| extent >= LONG));
    inputs.len() == 2
        && axes.all(simple)
        && long.count() >= MATRIX_AXES
        && with_samples
            .any(|(axes, &input)| lanes.axis(input).is_some() && last(axes).is_some_and(along))
}
