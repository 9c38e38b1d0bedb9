//! Indices that the program computes: outputs that tell of the first one out of range.
//!
//! Indices that are data are checked by the loader ([`super::feeds`]), so that nothing is checked twice. What a kernel
//! reads is within its buffer in any case, because a gather clamps; these outputs end the run instead of letting it go on
//! with another row.

use super::context::{Elaborator, Unit};
use super::feeds::origin;
use super::program::{IndexBound, IndexCheck};
use crate::graph::{
    BinaryOp, DType, Dim, Graph, InputKind, NodeId, Op, OutputKind, ReduceOp, Scalar, UnaryOp,
};

/// The sample that an output of kind `Check` gives where every index is in range.
pub const NO_SAMPLE: i32 = i32::MAX;

impl Elaborator<'_> {
    /// Adds an output for each computed index of the unit whose range does not follow from how it is computed.
    pub fn guard_indices(&mut self) {
        let mut seen: Vec<(NodeId, IndexBound)> = Vec::new();
        for (node, bound) in self.unit.bounds.clone() {
            let node = origin(&self.unit.emitter.graph, node);
            let is_seen = |own: &(NodeId, IndexBound)| {
                own.0 == node && (own.1.below, own.1.except) == (bound.below, bound.except)
            };
            // The loader knows no bound that depends on the batch.
            let is_loaded = is_data(&self.unit, node) && bound.below.known().is_some();
            if is_loaded || seen.iter().any(is_seen) {
                continue;
            }
            seen.push((node, bound));
            if !is_surely_within(&self.unit.emitter.graph, node, bound.below) {
                self.guard(node, bound);
            }
        }
    }

    /// `i32[2]`: the first sample with an index out of range, or [`NO_SAMPLE`], and the largest such index of it.
    fn guard(&mut self, ids: NodeId, bound: IndexBound) {
        let emit = &mut self.unit.emitter;
        emit.span = bound.span;
        let shape = emit.shape(ids);
        let axes: Vec<usize> = (0..shape.len()).collect();
        let bad = out_of_range(emit, ids, bound, &shape);
        let none = emit.full(Scalar::I32(NO_SAMPLE), &shape);
        let samples = match shape.is_empty() {
            true => emit.constant(Scalar::I32(0)),
            false => emit.iota(shape.clone(), 0),
        };
        let samples = emit.select(bad, samples, none);
        let first = emit.reduce(ReduceOp::Min, samples, &axes);
        let everywhere = emit.broadcast(first, &shape);
        let is_first = emit.binary(BinaryOp::Eq, samples, everywhere);
        let least = emit.full(Scalar::I32(i32::MIN), &shape);
        let values = emit.select(is_first, ids, least);
        let value = emit.reduce(ReduceOp::Max, values, &axes);
        let pair = [Dim::fixed(2)];
        let (first, value) = (emit.broadcast(first, &pair), emit.broadcast(value, &pair));
        let place = emit.iota(pair.to_vec(), 0);
        let zero = emit.full(Scalar::I32(0), &pair);
        let is_sample = emit.binary(BinaryOp::Eq, place, zero);
        let told = emit.select(is_sample, first, value);
        let name = format!("index#{}", self.checks.len());
        emit.graph.output(OutputKind::Check, name.clone(), told);
        self.checks.push(IndexCheck { name, bound });
    }
}

fn out_of_range(
    emit: &mut super::emit::Emitter,
    ids: NodeId,
    bound: IndexBound,
    shape: &[Dim],
) -> NodeId {
    let zero = emit.full(Scalar::I32(0), shape);
    let below = emit.binary(BinaryOp::Lt, ids, zero);
    let mut bad = below;
    if i32::try_from(bound.below.fixed).is_ok() {
        let limit = emit.integer_extent(bound.below);
        let limit = emit.broadcast(limit, shape);
        let above = emit.binary(BinaryOp::Ge, ids, limit);
        bad = emit.binary(BinaryOp::Or, below, above);
    }
    match bound.except.and_then(|own| i32::try_from(own).ok()) {
        None => bad,
        Some(except) => {
            let except = emit.full(Scalar::I32(except), shape);
            let other = emit.binary(BinaryOp::Ne, ids, except);
            emit.binary(BinaryOp::And, bad, other)
        }
    }
}

fn is_data(unit: &Unit, node: NodeId) -> bool {
    let op = &unit.emitter.graph.nodes[node].op;
    matches!(
        op,
        Op::Input {
            kind: InputKind::Data,
            ..
        }
    )
}

/// Whether every value of an integer node is at least 0 and less than `below`, as far as that is easily seen.
fn is_surely_within(graph: &Graph, node: NodeId, below: Dim) -> bool {
    if let Op::Iota { shape, axis } = &graph.nodes[node].op
        && shape[*axis] == below
    {
        return true;
    }
    let range = range_of(graph, node);
    below.batch >= 0 && range.is_some_and(|(low, high)| low >= 0 && high < below.at(1))
}

/// The least and the greatest value that an integer node can have, where that follows from a few operations.
fn range_of(graph: &Graph, node: NodeId) -> Option<(i64, i64)> {
    if let Some(Scalar::I32(value)) = graph.constant_value(node) {
        return Some((i64::from(value), i64::from(value)));
    }
    let own = &graph.nodes[node];
    let of = |place: usize| range_of(graph, own.inputs[place]);
    match &own.op {
        Op::Iota { shape, axis } => Some((0, shape[*axis].known()? - 1)),
        Op::Reduce {
            op: ReduceOp::ArgMax | ReduceOp::ArgMin,
            axes,
        } => {
            let reduced = &graph.nodes[own.inputs[0]].ty.shape;
            let extents = axes.iter().map(|&axis| reduced[axis].known());
            Some((0, extents.product::<Option<i64>>()? - 1))
        }
        Op::Reduce {
            op: ReduceOp::Max | ReduceOp::Min,
            ..
        } => of(0),
        Op::Reshape { .. } | Op::StopGradient => of(0),
        Op::View(view) => {
            let (low, high) = of(0)?;
            let Scalar::I32(fill) = view.fill else {
                return None;
            };
            Some((low.min(i64::from(fill)), high.max(i64::from(fill))))
        }
        Op::Select => {
            let (a, b) = (of(1)?, of(2)?);
            Some((a.0.min(b.0), a.1.max(b.1)))
        }
        Op::Cast(DType::I32) if graph.nodes[own.inputs[0]].ty.dtype == DType::Bool => Some((0, 1)),
        Op::Binary(op) => range_of_binary(*op, of(0), of(1)),
        Op::Unary(UnaryOp::Neg) => of(0).map(|(low, high)| (-high, -low)),
        _ => None,
    }
}

fn range_of_binary(
    op: BinaryOp,
    a: Option<(i64, i64)>,
    b: Option<(i64, i64)>,
) -> Option<(i64, i64)> {
    let whole = (i64::from(i32::MIN), i64::from(i32::MAX));
    if let (BinaryOp::Max | BinaryOp::Min, a, b) = (op, a.unwrap_or(whole), b.unwrap_or(whole)) {
        return Some(match op {
            BinaryOp::Max => (a.0.max(b.0), a.1.max(b.1)),
            _ => (a.0.min(b.0), a.1.min(b.1)),
        });
    }
    if let (BinaryOp::Rem, Some((low, high))) = (op, b)
        && low > 0
    {
        return Some((0, high - 1));
    }
    let (a, b) = (a?, b?);
    let (low, high) = match op {
        BinaryOp::Add => (a.0 + b.0, a.1 + b.1),
        BinaryOp::Sub => (a.0 - b.1, a.1 - b.0),
        BinaryOp::Mul => {
            let corners = [a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1];
            (*corners.iter().min()?, *corners.iter().max()?)
        }
        _ => return None,
    };
    // What leaves i32 wraps, and could be anything.
    (low >= whole.0 && high <= whole.1).then_some((low, high))
}
