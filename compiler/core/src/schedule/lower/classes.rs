//! The gradient of a strided product: `sum over k of g[(y - k + pad) / stride] * w[k]` where the quotient is whole.
//!
//! For the elements `y` of one congruence class the taps `k` that take part are one class too. A loop for each class of
//! elements has rounds over its own taps, and tests nothing.

use super::contract::{Emission, Level};
use super::{Context, LowerError, Lowering, Place, form};
use crate::graph::{AxisIndex, Contraction, NodeId, Op};
use crate::loops::{IntOp, Value};
use crate::schedule::affine::Affine;
use crate::schedule::anchor_place::is_identity;
use crate::schedule::fuse::{Group, Strategy};
use crate::schedule::position::{Indexed, Position, index};
use std::ops::Range;

/// Code of so many classes is written for one kernel at most.
const MOST: i64 = 4;

/// For each axis of a group's domain, the lane axis left out, how many classes its elements fall into.
pub(super) fn classes(cx: &Context<'_>, group: &Group) -> Option<Vec<i64>> {
    let anchor = group.anchor.filter(|_| group.strategy == Strategy::Lanes)?;
    let Op::Contract(contraction) = &cx.graph.nodes[anchor].op else {
        return None;
    };
    let own = group.place.positions.is_empty() || is_identity(&group.place);
    if !own || group.place.parts.is_some() || !group.coarse.is_empty() {
        return None;
    }
    let lane = cx.lanes.axis(anchor)?;
    let mut classes = vec![1; contraction.shape.len()];
    for axis in contraction.operands.iter().flatten() {
        if let Some((_, element)) = strided(contraction, axis) {
            if classes[element] != 1 && classes[element] != axis.divisor {
                return None;
            }
            classes[element] = axis.divisor;
        }
    }
    classes.remove(lane);
    let all: i64 = classes.iter().product();
    (all > 1 && all <= MOST).then_some(classes)
}

/// The reduced variable and the output's axis of an index `(element +- tap + offset) / stride`.
pub(super) fn strided(contraction: &Contraction, axis: &AxisIndex) -> Option<(usize, usize)> {
    let rank = contraction.shape.len();
    let of = |reduced: bool| {
        let mut terms = axis
            .terms
            .iter()
            .filter(move |term| (term.0 >= rank) == reduced);
        let first = terms.next()?;
        (terms.next().is_none() && first.1.abs() == 1).then_some(first.0)
    };
    let (tap, element) = (of(true)?, of(false)?);
    (axis.divisor > 1).then_some((tap - rank, element))
}

/// Whether all taps with a whole quotient read inside an operand's axis.
fn reads_inside(
    contraction: &Contraction,
    axis: &AxisIndex,
    (element, extent): (i64, i64),
) -> bool {
    let Some((tap, own)) = strided(contraction, axis) else {
        return false;
    };
    let rank = contraction.shape.len();
    let taps = contraction.reduced[tap].known().unwrap_or(0);
    let start = axis.offset + axis.coefficient(own) * element;
    let at = |tap_number: i64| start + axis.coefficient(rank + tap) * tap_number;
    let whole = (0..taps)
        .map(at)
        .filter(|at| at.rem_euclid(axis.divisor) == 0);
    let mut quotients = whole.map(|at| at.div_euclid(axis.divisor));
    quotients.all(|quotient| (0..extent).contains(&quotient))
}

/// The stride of the taps of one class, of a reduced variable that every index has strided.
pub(super) fn stride(contraction: &Contraction, variable: usize, classes: bool) -> Option<i64> {
    let rank = contraction.shape.len();
    let uses = |axis: &&AxisIndex| axis.coefficient(rank + variable) != 0;
    let mut strides = contraction
        .operands
        .iter()
        .flatten()
        .filter(uses)
        .map(|axis| match axis.as_variable() {
            Some(_) => Some(1),
            None => strided(contraction, axis).map(|_| axis.divisor),
        });
    let most = strides.try_fold(1, |most: i64, stride| match (most, stride?) {
        (1, stride) => Some(stride),
        (most, 1) => Some(most),
        _ => None,
    });
    most.filter(|&stride| classes && stride > 1)
}

impl Lowering<'_> {
    /// Of a domain's axis the elements of one class, counted within it, all of whose taps read inside their operands.
    pub(super) fn class_inside(
        &self,
        number: usize,
        (class, classes): (i64, i64),
        count: i64,
    ) -> Range<i64> {
        let Some((anchor, contraction)) = self.anchor_contraction() else {
            return 0..0;
        };
        let lane = self.cx.lanes.axis(anchor);
        let element = number + usize::from(lane.is_some_and(|lane| lane <= number));
        let inputs = &self.cx.graph.nodes[anchor].inputs;
        let axes = contraction.operands.iter().zip(inputs);
        let axes =
            axes.flat_map(|(axes, &input)| axes.iter().zip(&self.cx.graph.nodes[input].ty.shape));
        let own: Vec<_> = axes
            .filter(|(axis, _)| strided(contraction, axis).is_some_and(|own| own.1 == element))
            .collect();
        let inside = |at: i64| {
            own.iter().all(|(axis, dim)| {
                let extent = dim.known().unwrap_or(0);
                reads_inside(contraction, axis, (class + at * classes, extent))
            })
        };
        let first = (0..count).find(|&at| inside(at)).unwrap_or(0);
        let after = (first..count).find(|&at| !inside(at)).unwrap_or(count);
        first..after
    }

    fn anchor_contraction(&self) -> Option<(NodeId, &Contraction)> {
        let anchor = self.group.anchor?;
        match &self.cx.graph.nodes[anchor].op {
            Op::Contract(contraction) => Some((anchor, contraction)),
            _ => None,
        }
    }

    /// The rounds of the taps that take part in the elements of the class that the kernel is at.
    pub(super) fn class_rounds(
        &mut self,
        emission: &Emission<'_>,
        depth: usize,
        (level, stride): (&Level, i64),
        counters: &mut Vec<Place>,
        sums: Vec<Value>,
    ) -> Result<Vec<Value>, LowerError> {
        let Some((first, begin, end)) = self.class_range(emission, (level, stride), counters)
        else {
            return self.unsupported(emission.node, "a stride whose classes are mixed");
        };
        if begin
            .as_constant()
            .zip(end.as_constant())
            .is_some_and(|(begin, end)| begin >= end)
        {
            return Ok(sums);
        }
        let (first_round, last) = (
            self.b.materialise(&form(&begin)),
            self.b.materialise(&form(&end)),
        );
        let name = format!("r{}", level.variable);
        let (counter, carried) = self.b.begin_loop(
            crate::loops::LoopKind::Reduction,
            name,
            first_round,
            last,
            1,
            &sums,
        );
        self.push_scope();
        let mut at = Affine::constant(first);
        at.add_scaled(&self.counter(counter), stride);
        counters[level.variable] = Position::At(at);
        let next = self.contract_level(emission, depth + 1, counters, carried);
        self.pop_scope();
        Ok(self.b.end_loop(&next?))
    }

    /// The first tap of the class, and which of its taps read inside their operands.
    fn class_range(
        &mut self,
        emission: &Emission<'_>,
        (level, stride): (&Level, i64),
        counters: &[Place],
    ) -> Option<(i64, Affine<Value>, Affine<Value>)> {
        let contraction = emission.contraction;
        let variable = contraction.shape.len() + level.variable;
        let mut places = emission.instances[0].clone();
        places.extend(counters.iter().cloned());
        places[variable] = Position::constant(0);
        let inputs = &self.cx.graph.nodes[emission.node].inputs;
        let axes = contraction.operands.iter().zip(inputs);
        let axes =
            axes.flat_map(|(axes, &input)| axes.iter().zip(&self.cx.graph.nodes[input].ty.shape));
        let axes: Vec<_> = axes
            .filter(|(axis, _)| {
                strided(contraction, axis).is_some_and(|own| own.0 == level.variable)
            })
            .collect();
        let mut range: Option<(i64, crate::loops::Affine, crate::loops::Affine)> = None;
        for (axis, dim) in axes {
            let Indexed::At { numerator, .. } = index(axis, &places) else {
                return None;
            };
            let step = axis.coefficient(variable);
            let rest = form(&numerator);
            let residue = self.b.mod_floor(&rest, stride).as_constant()?;
            let first = (-step * residue).rem_euclid(stride);
            let taps = (level.extent.known()? - first + stride - 1).div_euclid(stride);
            let rest = self.b.div_floor(&rest.add_constant(step * first), stride);
            let (low, high) = self.rounds_within(step, &rest, &dim.known()?.into());
            let (before, begin, end) = range.unwrap_or((first, 0.into(), taps.into()));
            if before != first {
                return None;
            }
            let begin = self.b.int(IntOp::Max, &begin, &low);
            range = Some((first, begin, self.b.int(IntOp::Min, &end, &high)));
        }
        range.map(|(first, begin, end)| (first, super::affine(&begin), super::affine(&end)))
    }
}
