//! Contractions: variables of extent 1 vanish, axes that only repeat and constant factors move out, one operand alone is a
//! sum and a view, and views that only rename axes are read through.

use super::{Replacement, Simplifier};
use crate::graph::{AxisIndex, BinaryOp, Builder, Contraction, Dim, NodeId, Op, Scalar, View};
use dlm_grammar::Span;

/// A reduced variable of extent 1 is always 0.
pub fn single(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::Contract(contraction) = op else {
        return Ok(None);
    };
    let rank = contraction.shape.len();
    let one =
        |variable: usize| variable >= rank && contraction.reduced[variable - rank] == Dim::fixed(1);
    if !contraction.reduced.contains(&Dim::fixed(1)) {
        return Ok(None);
    }
    let lower = |variable: usize| variable - (rank..variable).filter(|&below| one(below)).count();
    let rename = |index: &AxisIndex| {
        index.substitute(|variable| match one(variable) {
            true => AxisIndex::constant(0),
            false => AxisIndex::variable(lower(variable)),
        })
    };
    let contraction = Contraction {
        shape: contraction.shape.clone(),
        reduced: contraction
            .reduced
            .iter()
            .copied()
            .filter(|&extent| extent != Dim::fixed(1))
            .collect(),
        operands: contraction
            .operands
            .iter()
            .map(|axes| axes.iter().map(rename).collect())
            .collect(),
    };
    s.add(Op::Contract(contraction), inputs, span).map(Some)
}

/// An axis of the result that no operand moves along is a repeat of one element: the product is made once.
pub fn repeated(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::Contract(contraction) = op else {
        return Ok(None);
    };
    let rank = contraction.shape.len();
    let stays = |&variable: &usize| {
        let mut axes = contraction.operands.iter().flatten();
        let one = contraction.shape[variable] == Dim::fixed(1);
        one || axes.any(|axis| axis.coefficient(variable) != 0)
    };
    let kept: Vec<usize> = (0..rank).filter(stays).collect();
    if inputs.len() != 2 || kept.len() == rank {
        return Ok(None);
    }
    let place = |variable: usize| match variable < rank {
        true => kept.iter().filter(|&&other| other < variable).count(),
        false => variable - rank + kept.len(),
    };
    let rename =
        |index: &AxisIndex| index.substitute(|variable| AxisIndex::variable(place(variable)));
    let once = Contraction {
        shape: kept.iter().map(|&axis| contraction.shape[axis]).collect(),
        reduced: contraction.reduced.clone(),
        operands: (contraction.operands.iter())
            .map(|axes| axes.iter().map(rename).collect())
            .collect(),
    };
    let once = s.add(Op::Contract(once), inputs, span)?;
    let view = View {
        shape: contraction.shape.clone(),
        index: kept.iter().map(|&axis| AxisIndex::variable(axis)).collect(),
        fill: Scalar::zero(s.graph.ty(once).dtype),
    };
    s.graph.view(once, view, span).map(Some)
}

/// An operand that is one number wherever it is read is a factor of the result.
pub fn constant(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::Contract(contraction) = op else {
        return Ok(None);
    };
    let extents = extents(contraction);
    let everywhere = |number: usize| {
        let shape = s.graph.shape(inputs[number]);
        let mut axes = contraction.operands[number].iter().zip(shape);
        axes.all(|(index, &extent)| index.always_valid(&extents, extent))
    };
    let found = (0..inputs.len())
        .find(|&number| s.float_of(inputs[number]).is_some() && everywhere(number));
    let (Some(number), true) = (found, inputs.len() > 1) else {
        return Ok(None);
    };
    let Some(value) = s.float_of(inputs[number]) else {
        return Ok(None);
    };
    let (mut contraction, mut inputs) = (contraction.clone(), inputs.to_vec());
    contraction.operands.remove(number);
    inputs.remove(number);
    let rest = s.add(Op::Contract(contraction), &inputs, span)?;
    let factor = s.graph.constant(Scalar::F32(value), span)?;
    let factor = s.graph.cast(factor, s.graph.ty(rest).dtype, span)?;
    let shape = s.graph.shape(rest).to_vec();
    let factor = s.graph.broadcast_to(factor, &shape, span)?;
    s.add(Op::Binary(BinaryOp::Mul), &[rest, factor], span)
        .map(Some)
}

/// The extents of all variables.
fn extents(contraction: &Contraction) -> Vec<Dim> {
    contraction
        .shape
        .iter()
        .chain(&contraction.reduced)
        .copied()
        .collect()
}

/// A contraction of one operand over whole axes is a sum, seen through a view.
pub fn unary(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let (Op::Contract(contraction), [x]) = (op, inputs) else {
        return Ok(None);
    };
    let mut builder = Builder {
        graph: s.graph,
        span,
    };
    let node = builder.sum_and_view(contraction.clone(), *x)?;
    let same = matches!(s.graph.nodes[node].op, Op::Contract(_)) && node != *x;
    Ok((!same).then_some(node))
}

/// An operand that is a view renaming axes (transposes, repeats) is read directly.
pub fn absorb(s: &mut Simplifier<'_>, op: &Op, inputs: &[NodeId], span: Span) -> Replacement {
    let Op::Contract(contraction) = op else {
        return Ok(None);
    };
    let extents = extents(contraction);
    for (number, &input) in inputs.iter().enumerate() {
        let data = &s.graph.nodes[input];
        let Op::View(view) = &data.op else { continue };
        let source = data.inputs[0];
        let through = &contraction.operands[number];
        if !renames(view, s.graph.shape(source), through, &extents) {
            continue;
        }
        let mut contraction = contraction.clone();
        contraction.operands[number] = view
            .index
            .iter()
            .map(|index| index.substitute(|axis| through[axis].clone()))
            .collect();
        let mut inputs = inputs.to_vec();
        inputs[number] = source;
        return s.add(Op::Contract(contraction), &inputs, span).map(Some);
    }
    Ok(None)
}

/// Whether reading through the view is valid exactly where reading the view is: each of its axes is an axis of the
/// source of the same extent, or every read position lies on it.
fn renames(view: &View, source: &[Dim], through: &[AxisIndex], extents: &[Dim]) -> bool {
    let pure = view
        .index
        .iter()
        .zip(source)
        .all(|(index, &extent)| match index.as_variable() {
            Some(axis) => view.shape[axis] == extent,
            None => index.terms.is_empty() && index.always_valid(&[], extent),
        });
    let checked = |axis: usize| {
        let kept = view
            .index
            .iter()
            .any(|index| index.as_variable() == Some(axis));
        kept || through[axis].always_valid(extents, view.shape[axis])
    };
    pure && (0..view.shape.len()).all(checked)
}
