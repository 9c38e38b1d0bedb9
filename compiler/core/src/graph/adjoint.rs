//! The adjoint of a contraction in one operand, again a contraction; and so of a view.
//!
//! With `out[o] = sum_r product_k X_k[index_k(o, r)]` and the gradient `g` of `out`,
//! `dX_j[p] = sum over (o, r) with index_j(o, r) = p of g[o] * product_{k != j} X_k[index_k(o, r)]`. Each axis of `X_j`
//! gives one equation `index_j,a(o, r) = p_a`, met in one of three ways:
//!
//! - its variables are the *digits* of `p_a` (a plain variable, `2*y + i` with i < 2, `g*channels + c`): they become axes of the
//!   result, which is reshaped at the end, and padded where they do not cover the axis;
//! - it is *solved* for one variable, `y = (p + pad - i) / stride`, which is substituted everywhere; some operand must
//!   check the variable's range and the remainder, else a guard does: a vector of ones as a further operand;
//! - with no variable left it is a *constraint*, checked by a guard of one element.

use super::Built;
use super::{AxisIndex, Builder, Contraction, Dim, NodeId, Op, ReduceOp, Scalar, TensorType, View};

/// An operand of the adjoint: a value and where it is read, over the old variables and then the positions `p`.
struct Factor {
    node: NodeId,
    index: Vec<AxisIndex>,
}

/// What an axis of the result is made of.
enum Axis {
    /// Variables whose extents multiply to a run of the axis, outermost first, from this offset on.
    Digits { variables: Vec<usize>, offset: i64 },
    /// The position itself, as a variable.
    Position(usize),
}

struct Solver {
    /// Of all old variables, then of the positions.
    extents: Vec<Dim>,
    factors: Vec<Factor>,
    /// Old variables that are neither solved nor an axis of the result.
    free: Vec<bool>,
    guards: Vec<(Dim, AxisIndex)>,
}

impl Builder<'_> {
    /// The gradient with respect to operand `which` of a contraction whose result has the gradient `g`.
    pub(crate) fn contraction_adjoint(
        &mut self,
        contraction: &Contraction,
        operands: &[NodeId],
        which: usize,
        g: NodeId,
    ) -> Built {
        let target = self.ty(operands[which]);
        let mut solver = Solver::new(self, contraction, operands, which, g);
        let axes = solver.meet_all(self, &contraction.operands[which], &target);
        for (extent, index) in std::mem::take(&mut solver.guards) {
            let ones = self.full_of(1.0, &TensorType::new(target.dtype, vec![extent]))?;
            solver.factors.push(Factor {
                node: ones,
                index: vec![index],
            });
        }
        let result = self.sum_of_products(&solver, &axes)?;
        self.assemble_axes(result, &axes, &solver.extents, &target)
    }

    /// The contraction over the solved factors, or the plain sum and view that it is.
    fn sum_of_products(&mut self, solver: &Solver, axes: &[Axis]) -> Built {
        let mut order: Vec<usize> = Vec::new();
        for axis in axes {
            match axis {
                Axis::Digits { variables, .. } => order.extend(variables),
                Axis::Position(variable) => order.push(*variable),
            }
        }
        let rank = order.len();
        order.extend((0..solver.free.len()).filter(|&variable| solver.free[variable]));
        let mut number = vec![0; solver.extents.len()];
        for (new, &old) in order.iter().enumerate() {
            number[old] = new;
        }
        let renumber = |index: &AxisIndex| index.substitute(|old| AxisIndex::variable(number[old]));
        let extents: Vec<Dim> = order
            .iter()
            .map(|&variable| solver.extents[variable])
            .collect();
        let contraction = Contraction {
            shape: extents[..rank].to_vec(),
            reduced: extents[rank..].to_vec(),
            operands: solver
                .factors
                .iter()
                .map(|factor| factor.index.iter().map(renumber).collect())
                .collect(),
        };
        let nodes: Vec<NodeId> = solver.factors.iter().map(|factor| factor.node).collect();
        match nodes.as_slice() {
            [only] => self.sum_and_view(contraction, *only),
            _ => self.add(Op::Contract(contraction), &nodes),
        }
    }

    /// A contraction of one operand, as a sum over whole axes and a view where it is that.
    pub(crate) fn sum_and_view(&mut self, contraction: Contraction, x: NodeId) -> Built {
        let Some(summed) = whole_axes(&contraction, &self.graph.ty(x).shape) else {
            return self.add(Op::Contract(contraction), &[x]);
        };
        let sum = self.reduce(ReduceOp::Sum, x, &summed)?;
        let index = contraction.operands[0].iter().enumerate();
        let index = index
            .filter(|(axis, _)| !summed.contains(axis))
            .map(|(_, index)| index.clone())
            .collect();
        let fill = Scalar::zero(self.graph.ty(x).dtype);
        self.view(
            sum,
            View {
                shape: contraction.shape,
                index,
                fill,
            },
        )
    }

    /// Digits joined into the axes they make up, and these extended to the target's.
    fn assemble_axes(
        &mut self,
        result: NodeId,
        axes: &[Axis],
        extents: &[Dim],
        target: &TensorType,
    ) -> Built {
        let (mut shape, mut pads) = (Vec::new(), Vec::new());
        for (axis, &extent) in axes.iter().zip(&target.shape) {
            let (covered, before) = match axis {
                Axis::Position(_) => (extent, 0),
                Axis::Digits { variables, offset } => (run(variables, extents), *offset),
            };
            shape.push(covered);
            let rest = extent.add(covered.times(-1));
            pads.push((before, rest.fixed - before));
        }
        let joined = self.reshape(result, &shape)?;
        self.pad(joined, &pads)
    }
}

/// The axes of the only operand that are summed whole, if every reduced variable is one.
fn whole_axes(contraction: &Contraction, shape: &[Dim]) -> Option<Vec<usize>> {
    let index = &contraction.operands[0];
    let rank = contraction.shape.len();
    let mut summed = Vec::new();
    for (number, &extent) in contraction.reduced.iter().enumerate() {
        let variable = rank + number;
        let mut uses = (0..index.len()).filter(|&axis| index[axis].coefficient(variable) != 0);
        let axis = uses.next()?;
        let whole = index[axis].as_variable() == Some(variable) && shape[axis] == extent;
        if !whole || uses.next().is_some() {
            return None;
        }
        summed.push(axis);
    }
    Some(summed)
}

/// The product of digits' extents. Linear in the batch size because only the first digit's may depend on it.
fn run(variables: &[usize], extents: &[Dim]) -> Dim {
    variables.iter().fold(Dim::fixed(1), |run, &variable| {
        run.product(extents[variable]).unwrap_or(run)
    })
}

impl Solver {
    fn new(
        builder: &Builder<'_>,
        contraction: &Contraction,
        operands: &[NodeId],
        which: usize,
        g: NodeId,
    ) -> Solver {
        let mut extents = contraction.shape.clone();
        extents.extend(&contraction.reduced);
        let mut factors = vec![Factor {
            node: g,
            index: (0..contraction.shape.len())
                .map(AxisIndex::variable)
                .collect(),
        }];
        let others = operands.iter().zip(&contraction.operands).enumerate();
        factors.extend(
            others
                .filter(|(number, _)| *number != which)
                .map(|(_, (&node, index))| Factor {
                    node,
                    index: index.clone(),
                }),
        );
        let free = vec![true; extents.len()];
        extents.extend(&builder.graph.ty(operands[which]).shape);
        Solver {
            extents,
            factors,
            free,
            guards: Vec::new(),
        }
    }

    fn meet_all(
        &mut self,
        builder: &Builder<'_>,
        index: &[AxisIndex],
        target: &TensorType,
    ) -> Vec<Axis> {
        let mut axes: Vec<Option<Axis>> = index.iter().map(|_| None).collect();
        for several in [false, true] {
            for (axis, index) in index
                .iter()
                .enumerate()
                .filter(|(_, index)| (index.terms.len() > 1) == several)
            {
                axes[axis] = self.claim_digits(index, target.shape[axis]);
            }
        }
        for (axis, index) in index.iter().enumerate() {
            // The only position of the axis: nothing to meet.
            if target.shape[axis] == Dim::fixed(1) && *index == AxisIndex::constant(0) {
                axes[axis] = Some(Axis::Position(self.free.len() + axis));
            }
        }
        let mut equations: Vec<(usize, AxisIndex)> = (0..index.len())
            .filter(|&axis| axes[axis].is_none())
            .map(|axis| (axis, index[axis].clone()))
            .collect();
        equations.reverse();
        while let Some((axis, left)) = equations.pop() {
            let position = self.free.len() + axis;
            self.meet(builder, left, position, &mut equations);
            axes[axis] = Some(Axis::Position(position));
        }
        axes.into_iter().flatten().collect()
    }

    /// The variables of an index as digits of the position, if they are and none is taken.
    fn claim_digits(&mut self, index: &AxisIndex, axis: Dim) -> Option<Axis> {
        let mut digits = index.terms.clone();
        digits.sort_unstable_by_key(|term| std::cmp::Reverse(term.1));
        let mut covered = Dim::fixed(1);
        for &(variable, coefficient) in digits.iter().rev() {
            if covered != Dim::fixed(coefficient) || !self.free[variable] {
                return None;
            }
            covered = covered.product(self.extents[variable])?;
        }
        let rest = axis.add(covered.times(-1)).plus(-index.offset);
        let exact = index.offset == 0 && rest == Dim::fixed(0);
        let inside = index.offset >= 0 && rest.known().is_some_and(|rest| rest >= 0);
        if index.divisor != 1 || !(exact || inside && digits.len() != 1) {
            return None;
        }
        let variables: Vec<usize> = digits.iter().map(|term| term.0).collect();
        variables
            .iter()
            .for_each(|&variable| self.free[variable] = false);
        Some(Axis::Digits {
            variables,
            offset: index.offset,
        })
    }

    /// Meets `left = position` by solving for a variable, or by a constraint.
    fn meet(
        &mut self,
        builder: &Builder<'_>,
        left: AxisIndex,
        position: usize,
        pending: &mut [(usize, AxisIndex)],
    ) {
        let mut terms = left.terms.to_vec();
        terms.push((position, -left.divisor));
        let zero = AxisIndex::affine(&terms, left.offset, 1).reduced();
        let Some((variable, coefficient)) = self.choose(builder, &zero) else {
            self.guards.push((Dim::fixed(1), zero));
            return;
        };
        if !self.checked(builder, variable) {
            self.guards
                .push((self.extents[variable], AxisIndex::variable(variable)));
        }
        let sign = -coefficient.signum();
        let rest: Vec<(usize, i64)> = zero
            .terms
            .iter()
            .filter(|term| term.0 != variable)
            .map(|&(other, factor)| (other, sign * factor))
            .collect();
        let solution = AxisIndex::affine(&rest, sign * zero.offset, coefficient.abs());
        let replace = |index: &mut AxisIndex| {
            if index.coefficient(variable) != 0 {
                *index = index.substitute(|old| match old == variable {
                    true => solution.clone(),
                    false => AxisIndex::variable(old),
                });
            }
        };
        let read = self.factors.iter_mut().flat_map(|factor| &mut factor.index);
        read.chain(self.guards.iter_mut().map(|guard| &mut guard.1))
            .for_each(replace);
        pending
            .iter_mut()
            .map(|equation| &mut equation.1)
            .for_each(replace);
        self.free[variable] = false;
    }

    /// The variable to solve for: one whose range is checked anyway, then of the largest extent, so that what stays
    /// to be summed is small.
    fn choose(&self, builder: &Builder<'_>, zero: &AxisIndex) -> Option<(usize, i64)> {
        let candidates = zero
            .terms
            .iter()
            .copied()
            .filter(|&(variable, _)| variable < self.free.len() && self.free[variable]);
        candidates.max_by_key(|&(variable, coefficient)| {
            let extent = self.extents[variable];
            (
                self.checked(builder, variable),
                extent.batch,
                extent.fixed,
                -coefficient.abs(),
                std::cmp::Reverse(variable),
            )
        })
    }

    /// Whether some factor reads a whole axis with the variable itself, so that a value outside its range counts zero.
    fn checked(&self, builder: &Builder<'_>, variable: usize) -> bool {
        self.factors.iter().any(|factor| {
            let shape = &builder.graph.ty(factor.node).shape;
            let mut axes = factor.index.iter().zip(shape);
            axes.any(|(index, &extent)| {
                index.as_variable() == Some(variable) && extent == self.extents[variable]
            })
        })
    }
}
