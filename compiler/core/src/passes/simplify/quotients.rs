//! Quotients of exponentials, as `softmax` is, that only a product sums over.
//!
//! `sum over j of (exp(a[i, j]) / s[i]) * v[j]` is `(sum over j of exp(a[i, j]) * v[j]) / s[i]`: a division for each
//! element of the result, and not of the scores. Its gradient then asks for no quotient either, and the sum over scores
//! that softmax's gradient takes becomes one over the result (Dao et al. 2022, "FlashAttention", appendix B).

use super::{Replacement, Simplifier};
use crate::graph::{AxisIndex, BinaryOp, Contraction, Dim, NodeId, Op, UnaryOp, View};
use dlm_grammar::Span;

/// A divisor that is the same for all that a product sums over divides the result, where that has fewer elements.
pub fn of_exponentials(
    s: &mut Simplifier<'_>,
    op: &Op,
    inputs: &[NodeId],
    span: Span,
) -> Replacement {
    let Op::Contract(contraction) = op else {
        return Ok(None);
    };
    if inputs.len() != 2 || inputs[0] == inputs[1] {
        return Ok(None);
    }
    for (number, &input) in inputs.iter().enumerate() {
        let Some((numerator, divisor)) = s.quotient(input) else {
            continue;
        };
        let Op::View(view) = &s.graph.nodes[divisor].op else {
            continue;
        };
        let source = s.graph.nodes[divisor].inputs[0];
        let Some(index) = along_result(contraction, number, view, s.graph.shape(source)) else {
            continue;
        };
        if !s.is_smaller(&contraction.shape, input) {
            continue;
        }
        let view = View {
            shape: contraction.shape.clone(),
            index,
            fill: view.fill,
        };
        let mut inputs = inputs.to_vec();
        inputs[number] = numerator;
        let sum = s.add(op.clone(), &inputs, span)?;
        let divisor = s.graph.view(source, view, span)?;
        return s
            .add(Op::Binary(BinaryOp::Div), &[sum, divisor], span)
            .map(Some);
    }
    Ok(None)
}

/// The divisor's place by the variables of the result, which every element of the product's operand has one of.
fn along_result(
    contraction: &Contraction,
    number: usize,
    view: &View,
    source: &[Dim],
) -> Option<Vec<AxisIndex>> {
    let through = &contraction.operands[number];
    let rank = contraction.shape.len();
    let own = |axis: usize| through[axis].as_variable();
    let extents = contraction.shape.iter().chain(&contraction.reduced);
    let extents: Vec<Dim> = extents.copied().collect();
    // Every place that is read is inside the quotient.
    let mut places = through.iter().zip(&view.shape);
    if !places.all(|(index, &extent)| index.always_valid(&extents, extent)) {
        return None;
    }
    let index = view
        .index
        .iter()
        .zip(source)
        .map(|(index, &extent)| match index.as_variable() {
            Some(axis) => {
                let variable = own(axis).filter(|&variable| variable < rank)?;
                Some(AxisIndex::variable(variable))
            }
            None if index.terms.is_empty() && index.always_valid(&[], extent) => {
                Some(index.clone())
            }
            None => None,
        });
    index.collect()
}

impl Simplifier<'_> {
    /// Numerator and divisor, of a quotient that nothing else reads and whose numerator is an exponential.
    fn quotient(&self, id: NodeId) -> Option<(NodeId, NodeId)> {
        let node = &self.graph.nodes[id];
        let (Op::Binary(BinaryOp::Div), &[numerator, divisor]) = (&node.op, &node.inputs[..])
        else {
            return None;
        };
        let exponential = self.graph.nodes[numerator].op == Op::Unary(UnaryOp::Exp);
        (exponential && self.used_once[id]).then_some((numerator, divisor))
    }

    /// Whether a shape has at most as many elements as a value, whatever the batch.
    fn is_smaller(&self, shape: &[Dim], value: NodeId) -> bool {
        let elements = |shape: &[Dim], batch: i64| -> i64 {
            let extents = shape.iter().map(|dim| dim.at(batch));
            extents.fold(1, i64::saturating_mul)
        };
        let own = self.graph.shape(value);
        [1, 64]
            .into_iter()
            .all(|batch| elements(shape, batch) <= elements(own, batch))
    }
}
