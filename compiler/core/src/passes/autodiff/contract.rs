//! Gradients of contractions and views: contractions again, by solving an operand's index for one of its variables.

use crate::graph::{AxisIndex, Contraction, Dim, Graph, NodeId, TypeError, View};
use dlm_grammar::Span;

/// The gradient of a contraction with respect to operand `number`.
///
/// # Errors
/// Where the operand's index can't be solved.
pub fn operand_gradient(
    graph: &mut Graph,
    contraction: &Contraction,
    inputs: &[NodeId],
    number: usize,
    c: NodeId,
    span: Span,
) -> Result<NodeId, TypeError> {
    let shape = graph.shape(inputs[number]).to_vec();
    let extents: Vec<Dim> = contraction
        .shape
        .iter()
        .chain(&contraction.reduced)
        .copied()
        .collect();
    let own = &contraction.operands[number];
    let solution = Solution::solve(own, &shape, &extents)?;
    let result: Vec<AxisIndex> = (0..contraction.shape.len())
        .map(AxisIndex::variable)
        .collect();
    let mut operands = vec![(c, &result)];
    for (other, index) in contraction.operands.iter().enumerate() {
        if other != number {
            operands.push((inputs[other], index));
        }
    }
    solution.contract(graph, &operands, span)
}

/// The gradient of a view: each element of the operand sums what was read from it.
///
/// # Errors
/// Where the view's index can't be solved.
pub fn view_gradient(
    graph: &mut Graph,
    view: &View,
    x: NodeId,
    c: NodeId,
    span: Span,
) -> Result<NodeId, TypeError> {
    if let Some(order) = tiled(view, graph.shape(x)) {
        let shape = graph.shape(x).to_vec();
        let moved = graph.permute(c, &order, span)?;
        return graph.reshape(moved, &shape, span);
    }
    let shape = graph.shape(x).to_vec();
    let solution = Solution::solve(&view.index, &shape, &view.shape)?;
    let result: Vec<AxisIndex> = (0..view.shape.len()).map(AxisIndex::variable).collect();
    solution.contract(graph, &[(c, &result)], span)
}

/// Where a view reads each element exactly once, in windows that tile the axes: the order of its axes in which they
/// are those of the operand, split.
fn tiled(view: &View, shape: &[Dim]) -> Option<Vec<usize>> {
    let mut order = Vec::with_capacity(view.shape.len());
    for (axis, dim) in view.index.iter().zip(shape) {
        if axis.offset != 0 || axis.divisor != 1 || axis.terms.is_empty() {
            return None;
        }
        let mut digits: Vec<(i64, usize)> =
            axis.terms.iter().map(|term| (term.1, term.0)).collect();
        digits.sort_unstable_by(|a, b| b.cmp(a));
        if let [(1, variable)] = digits.as_slice() {
            if view.shape[*variable] != *dim {
                return None;
            }
        } else {
            let mut unit = 1;
            for (coefficient, variable) in digits.iter().rev() {
                if *coefficient != unit {
                    return None;
                }
                unit *= view.shape[*variable].known()?;
            }
            if dim.known() != Some(unit) {
                return None;
            }
        }
        order.extend(digits.iter().map(|digit| digit.1));
    }
    let mut sorted = order.clone();
    sorted.sort_unstable();
    sorted
        .iter()
        .copied()
        .eq(0..view.shape.len())
        .then_some(order)
}

/// Old variables said by new ones: the operand's axes first, then the variables that remain summed over.
struct Solution {
    shape: Vec<Dim>,
    reduced: Vec<Dim>,
    /// For each old variable, its form over the new ones (with divisor).
    forms: Vec<AxisIndex>,
    /// Conditions that pin an operand's axis to a position, as forms that must be in `0..1`.
    pinned: Vec<(usize, AxisIndex)>,
    /// Forms of solved variables with the extent they must stay within.
    solved: Vec<(AxisIndex, Dim)>,
}

impl Solution {
    fn solve(index: &[AxisIndex], shape: &[Dim], extents: &[Dim]) -> Result<Solution, TypeError> {
        let mut chosen: Vec<Option<usize>> = vec![None; extents.len()];
        for (axis, form) in index.iter().enumerate() {
            if let Some(variable) = pick(form, &chosen, extents) {
                chosen[variable] = Some(axis);
            } else if !form.terms.is_empty() {
                return Err(TypeError(
                    "a gradient of an index that can't be solved".into(),
                ));
            }
        }
        let rank = shape.len();
        let mut solution = Solution {
            shape: shape.to_vec(),
            reduced: Vec::new(),
            forms: vec![AxisIndex::constant(0); extents.len()],
            pinned: Vec::new(),
            solved: Vec::new(),
        };
        for (variable, extent) in extents.iter().enumerate() {
            if chosen[variable].is_none() {
                solution.forms[variable] = AxisIndex::variable(rank + solution.reduced.len());
                solution.reduced.push(*extent);
            }
        }
        for (variable, axis) in chosen.iter().enumerate() {
            if let Some(axis) = *axis {
                let form = invert(&index[axis], variable, axis, &solution.forms)?;
                let trivial = form.as_variable().is_some() && extents[variable] == shape[axis];
                if !trivial {
                    solution.solved.push((form.clone(), extents[variable]));
                }
                solution.forms[variable] = form;
            }
        }
        for (axis, form) in index
            .iter()
            .enumerate()
            .filter(|(_, form)| form.terms.is_empty())
        {
            if shape[axis] != Dim::fixed(1) || form.offset != 0 {
                solution
                    .pinned
                    .push((axis, AxisIndex::affine(&[(axis, 1)], -form.offset, 1)));
            }
        }
        Ok(solution)
    }

    /// The sum of products of operands whose indices are over the old variables.
    fn contract(
        &self,
        graph: &mut Graph,
        operands: &[(NodeId, &Vec<AxisIndex>)],
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let mut contraction = Contraction {
            shape: self.shape.clone(),
            reduced: self.reduced.clone(),
            operands: Vec::new(),
        };
        let mut nodes = Vec::with_capacity(operands.len());
        let mut pinned = self.pinned.clone();
        for (node, index) in operands {
            let mut node = *node;
            let moved = index.iter().map(|form| substitute(form, &self.forms));
            let mut moved = moved.collect::<Result<Vec<AxisIndex>, TypeError>>()?;
            for (_, form) in pinned.drain(..) {
                // An axis of extent 1 that is addressed by the pin: only the pinned position is valid.
                let mut shape = graph.shape(node).to_vec();
                shape.push(Dim::fixed(1));
                node = graph.reshape(node, &shape, span)?;
                moved.push(form);
            }
            contraction.operands.push(moved);
            nodes.push(node);
        }
        self.check_bounds(graph, &contraction, &nodes)?;
        graph.contract(contraction, &nodes, span)
    }

    /// Every solved variable must be an axis of some operand, whose border then keeps it within its extent.
    fn check_bounds(
        &self,
        graph: &Graph,
        contraction: &Contraction,
        nodes: &[NodeId],
    ) -> Result<(), TypeError> {
        for (form, extent) in &self.solved {
            let held = contraction.operands.iter().zip(nodes).any(|(axes, &node)| {
                axes.iter()
                    .zip(graph.shape(node))
                    .any(|(axis, dim)| axis == form && dim == extent)
            });
            if !held {
                return Err(TypeError(
                    "a gradient of an index whose bounds no operand keeps".into(),
                ));
            }
        }
        Ok(())
    }
}

/// The variable to solve an axis for: one that no other axis took, with the largest extent, whose coefficient is 1 or
/// -1 (any, if it is the only one left).
fn pick(form: &AxisIndex, chosen: &[Option<usize>], extents: &[Dim]) -> Option<usize> {
    let free = form.terms.iter().filter(|term| chosen[term.0].is_none());
    free.max_by_key(|term| {
        (
            extents[term.0].is_dynamic(),
            std::cmp::Reverse(term.0),
            extents[term.0].fixed,
        )
    })
    .map(|term| term.0)
}

/// `axis = (coefficient * variable + rest) / divisor` solved for the variable:
/// `(divisor * axis - rest) / coefficient`.
fn invert(
    form: &AxisIndex,
    variable: usize,
    axis: usize,
    forms: &[AxisIndex],
) -> Result<AxisIndex, TypeError> {
    let coefficient = form.coefficient(variable);
    let sign = coefficient.signum();
    let mut terms = vec![(axis, sign * form.divisor)];
    let mut offset = -sign * form.offset;
    for &(other, factor) in form.terms.iter().filter(|term| term.0 != variable) {
        let replaced = &forms[other];
        if replaced.divisor != 1 {
            return Err(TypeError(
                "a gradient of an index that can't be solved".into(),
            ));
        }
        terms.extend(
            replaced
                .terms
                .iter()
                .map(|term| (term.0, -sign * factor * term.1)),
        );
        offset -= sign * factor * replaced.offset;
    }
    Ok(AxisIndex::affine(&terms, offset, coefficient.abs()))
}

/// A form over old variables as one over new ones.
fn substitute(form: &AxisIndex, forms: &[AxisIndex]) -> Result<AxisIndex, TypeError> {
    let divisors: Vec<i64> = form
        .terms
        .iter()
        .map(|term| forms[term.0].divisor)
        .collect();
    let common = divisors.iter().copied().max().unwrap_or(1);
    if divisors.iter().any(|divisor| common % divisor != 0) || (common > 1 && form.terms.len() > 1)
    {
        return Err(TypeError(
            "a gradient of an index that can't be solved".into(),
        ));
    }
    let mut terms = Vec::new();
    let mut offset = form.offset * common;
    for &(variable, coefficient) in &form.terms {
        let replaced = &forms[variable];
        terms.extend(
            replaced
                .terms
                .iter()
                .map(|term| (term.0, coefficient * term.1)),
        );
        offset += coefficient * replaced.offset;
    }
    Ok(AxisIndex::affine(&terms, offset, form.divisor * common))
}
