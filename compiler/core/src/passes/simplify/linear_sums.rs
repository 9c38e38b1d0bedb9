//! Sums over the batch of what is linear in one value.
//!
//! The gradient of a normalisation sums `-(scale * g + rate * (x - mean))`. As it stands, the sum waits for `rate`, which is
//! a sum over the batch itself; but it is `-scale * sum of g`, as deviations from a mean add up to nothing, and waits for
//! nothing.
//!
//! And what is the same for all that is summed leaves the sum: the gradients of a normalisation's scale and of what it
//! normalises are multiples of one sum, of `g * (x - mean)`.

use super::sums::without_axes;
use super::{Replacement, Simplifier};
use crate::graph::{BinaryOp, NodeId, Op, ReduceOp, UnaryOp};
use crate::passes::Deviation;
use dlm_grammar::Span;

/// A summand: a value times factors that are the same along all axes of the sum.
#[derive(Clone)]
struct Term {
    negative: bool,
    factors: Vec<NodeId>,
    base: NodeId,
}

/// A sum over the batch of two terms or more, all but one of which vanish.
pub fn over_batch(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::Reduce {
        op: ReduceOp::Sum,
        axes,
    } = op
    else {
        return Ok(None);
    };
    let crosses = |axis: &usize| s.graph.shape(inputs[0])[*axis].is_dynamic();
    if !axes.iter().any(crosses) {
        return Ok(None);
    }
    let mut terms = Vec::new();
    let whole = Term {
        negative: false,
        factors: Vec::new(),
        base: inputs[0],
    };
    s.collect_terms(axes, whole, &mut terms);
    let several = terms.len() > 1;
    terms.retain(|term| !s.is_deviation(axes, term.base));
    match terms.as_slice() {
        [term] if several => s.scaled_sum(axes, term, span).map(Some),
        [_] => s.sum_of_product(axes, inputs[0], span),
        _ => Ok(None),
    }
}

impl Simplifier<'_> {
    /// The summands of a value.
    fn collect_terms(&self, axes: &[usize], term: Term, terms: &mut Vec<Term>) {
        let node = &self.graph.nodes[term.base];
        let with = |base: NodeId, negative: bool, factor: Option<NodeId>| Term {
            negative: term.negative != negative,
            factors: term.factors.iter().copied().chain(factor).collect(),
            base,
        };
        match (&node.op, node.inputs.as_slice()) {
            (Op::Unary(UnaryOp::Neg), &[a]) => {
                self.collect_terms(axes, with(a, true, None), terms);
            }
            (Op::Binary(BinaryOp::Add), &[a, b]) => {
                self.collect_terms(axes, with(a, false, None), terms);
                self.collect_terms(axes, with(b, false, None), terms);
            }
            (Op::Binary(BinaryOp::Sub), &[a, b]) if !self.is_deviation(axes, term.base) => {
                self.collect_terms(axes, with(a, false, None), terms);
                self.collect_terms(axes, with(b, true, None), terms);
            }
            (Op::Binary(BinaryOp::Mul), &[a, b]) if self.is_same_along(axes, b) => {
                self.collect_terms(axes, with(a, false, Some(b)), terms);
            }
            (Op::Binary(BinaryOp::Mul), &[a, b]) if self.is_same_along(axes, a) => {
                self.collect_terms(axes, with(b, false, Some(a)), terms);
            }
            _ => terms.push(term),
        }
    }

    /// The sum of a product of several values, without the factors that are the same along all axes of the sum.
    fn sum_of_product(&mut self, axes: &[usize], id: NodeId, span: Span) -> Replacement {
        let (mut factors, mut values) = (Vec::new(), Vec::new());
        self.collect_factors(axes, id, (&mut factors, &mut values));
        if values.len() < 2 || factors.is_empty() {
            return Ok(None);
        }
        values.sort();
        let mut base = values[0];
        for &value in &values[1..] {
            base = self.add(Op::Binary(BinaryOp::Mul), &[base, value], span)?;
        }
        let term = Term {
            negative: false,
            factors,
            base,
        };
        self.scaled_sum(axes, &term, span).map(Some)
    }

    /// What a product is made of: what is the same along all axes, and what is not.
    fn collect_factors(
        &self,
        axes: &[usize],
        id: NodeId,
        (factors, values): (&mut Vec<NodeId>, &mut Vec<NodeId>),
    ) {
        let node = &self.graph.nodes[id];
        match (&node.op, node.inputs.as_slice()) {
            _ if self.is_same_along(axes, id) => factors.push(id),
            (Op::Binary(BinaryOp::Mul), &[a, b]) => {
                self.collect_factors(axes, a, (factors, values));
                self.collect_factors(axes, b, (factors, values));
            }
            _ => values.push(id),
        }
    }

    /// Whether a value is a view that repeats along all of the axes.
    fn is_same_along(&self, axes: &[usize], id: NodeId) -> bool {
        let Op::View(view) = &self.graph.nodes[id].op else {
            return false;
        };
        let repeats = |&axis: &usize| view.index.iter().all(|index| index.coefficient(axis) == 0);
        axes.iter().all(repeats)
    }

    /// Whether a value is `x - mean of x` along the axes.
    fn is_deviation(&self, axes: &[usize], id: NodeId) -> bool {
        Deviation::of(self.graph, axes, id).is_some()
    }

    /// The sum of the term's value, times its factors.
    fn scaled_sum(
        &mut self,
        axes: &[usize],
        term: &Term,
        span: Span,
    ) -> Result<NodeId, crate::graph::TypeError> {
        let op = Op::Reduce {
            op: ReduceOp::Sum,
            axes: axes.to_vec(),
        };
        let mut sum = self.add(op, &[term.base], span)?;
        for &factor in &term.factors {
            let node = self.graph.nodes[factor].clone();
            if let Op::View(view) = &node.op {
                let narrow = without_axes(view, axes);
                let narrow = self.graph.view(node.inputs[0], narrow, span)?;
                sum = self.add(Op::Binary(BinaryOp::Mul), &[sum, narrow], span)?;
            }
        }
        match term.negative {
            true => self.add(Op::Unary(UnaryOp::Neg), &[sum], span),
            false => Ok(sum),
        }
    }
}
