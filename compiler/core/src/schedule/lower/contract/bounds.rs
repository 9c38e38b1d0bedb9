//! Which rounds of a contraction read within their operands' axes.

use super::Emission;
use super::levels::{How, Level};
use crate::graph::AxisIndex;
use crate::loops::{Affine as LoopAffine, IntOp, Range, Value};
use crate::schedule::affine::Affine;
use crate::schedule::lower::classes::strided;
use crate::schedule::lower::{LowerError, Lowering, Place, affine, form};
use crate::schedule::position::{Indexed, Position, index};
use std::collections::BTreeSet;

impl Lowering<'_> {
    /// The rounds of a variable for which every operand it alone bounds is within its axis.
    pub(super) fn bounds(
        &mut self,
        emission: &Emission<'_>,
        level: &Level,
        counters: &[Place],
    ) -> Result<(Affine<Value>, Affine<Value>), LowerError> {
        let variable = emission.contraction.shape.len() + level.variable;
        let mut begin = LoopAffine::constant(0);
        let mut end = form(&self.extent(level.extent));
        let operands = emission.contraction.operands.iter().enumerate();
        let axes = operands.flat_map(|(operand, axes)| {
            let numbered = axes.iter().enumerate();
            numbered.map(move |(number, axis)| (operand, number, axis))
        });
        let axes: Vec<_> = axes.collect();
        let instances = match emission.varied {
            true => emission.instances.as_slice(),
            false => &emission.instances[..1],
        };
        let mut known = Vec::new();
        for instance in instances {
            let mut places = instance.clone();
            places.extend(counters.iter().cloned());
            places[variable] = Position::constant(0);
            for &(operand, number, axis) in &axes {
                let input = self.cx.graph.nodes[emission.node].inputs[operand];
                let coefficient = axis.coefficient(variable);
                if !emission.borders[operand][number] || axis.divisor != 1 || coefficient == 0 {
                    continue;
                }
                let Indexed::At { numerator, .. } = index(axis, &places) else {
                    continue;
                };
                // The first lane's bounds are not the others'.
                if self.step_along(&numerator) != 0 {
                    return Err(LowerError::NotVector);
                }
                // Most accumulators of a tile are bounded as others are.
                let bound = (operand, number, numerator.clone());
                if known.contains(&bound) {
                    continue;
                }
                known.push(bound);
                let extent = form(&self.extent(self.cx.graph.nodes[input].ty.shape[number]));
                let rest = form(&numerator);
                let (low, high) = self.rounds_within(coefficient, &rest, &extent);
                begin = self.b.int(IntOp::Max, &begin, &low);
                end = self.b.int(IntOp::Min, &end, &high);
            }
        }
        Ok((affine(&begin), affine(&end)))
    }

    /// The rounds `r` for which `rest + step * r` is in `0..extent`.
    pub fn rounds_within(
        &mut self,
        step: i64,
        rest: &LoopAffine,
        extent: &LoopAffine,
    ) -> (LoopAffine, LoopAffine) {
        let mut first_from = |distance: &LoopAffine| {
            let up = distance.add_constant(step.abs() - 1);
            self.b.div_floor(&up, step.abs())
        };
        match step > 0 {
            true => (first_from(&rest.scale(-1)), first_from(&extent.sub(rest))),
            false => {
                let (low, high) = (rest.sub(extent).add_constant(1), rest.add_constant(1));
                (first_from(&low), first_from(&high))
            }
        }
    }

    /// What the rounds of a bounded loop keep within an operand's axis is known to whatever divides it further.
    /// Of a round that no counter tells from others the builder would believe it outside the loop too.
    pub(super) fn assume_within(
        &mut self,
        emission: &Emission<'_>,
        level: &Level,
        counters: &[Place],
    ) {
        if !matches!(&counters[level.variable], Position::At(at) if at.as_constant().is_none()) {
            return;
        }
        let variable = emission.contraction.shape.len() + level.variable;
        let mut places = emission.instances[0].clone();
        places.extend(counters.iter().cloned());
        for (operand, axes) in emission.contraction.operands.iter().enumerate() {
            let input = self.cx.graph.nodes[emission.node].inputs[operand];
            for (number, axis) in axes.iter().enumerate() {
                let extent = self.cx.graph.nodes[input].ty.shape[number].known();
                let kept = emission.borders[operand][number]
                    && axis.divisor == 1
                    && axis.coefficient(variable) != 0
                    && self.bounded_elsewhere(emission, axis);
                let (true, Some(extent), Indexed::At { numerator, .. }) =
                    (kept, extent, index(axis, &places))
                else {
                    continue;
                };
                let range = Range::new(0, extent - 1);
                self.b.assume_form(&form(&numerator), range);
            }
        }
    }

    /// Whether an accumulator's operands are within their axes, where positions are known.
    pub fn is_inside(&self, emission: &Emission<'_>, places: &[Place]) -> bool {
        let inputs = &self.cx.graph.nodes[emission.node].inputs;
        let mut axes = emission
            .contraction
            .operands
            .iter()
            .zip(inputs)
            .flat_map(|(axes, &input)| axes.iter().zip(&self.cx.graph.nodes[input].ty.shape));
        axes.all(|(axis, dim)| match (index(axis, places), dim.known()) {
            (Indexed::At { numerator, divisor }, Some(extent)) => numerator
                .as_constant()
                .is_none_or(|at| (0..extent * divisor).contains(&at)),
            _ => true,
        })
    }

    /// Whether a round takes part only under a condition.
    pub fn is_conditional(&self, emission: &Emission<'_>) -> bool {
        let operands = emission.contraction.operands.iter().zip(&emission.borders);
        let mut axes = operands.flat_map(|(axes, borders)| axes.iter().zip(borders));
        axes.any(|(axis, &border)| border && !self.bounded_elsewhere(emission, axis))
    }

    /// Whether the loop over one of the axis' variables already keeps it within its bounds.
    pub(super) fn bounded_elsewhere(&self, emission: &Emission<'_>, axis: &AxisIndex) -> bool {
        let rank = emission.contraction.shape.len();
        let bounded: BTreeSet<usize> = emission
            .levels
            .iter()
            .filter(|level| level.how == How::Bounded)
            .map(|level| rank + level.variable)
            .collect();
        let class = |&(variable, _): &(usize, usize)| {
            let mut levels = emission.levels.iter();
            levels.any(|level| level.variable == variable && matches!(level.how, How::Class(_)))
        };
        if strided(emission.contraction, axis).is_some_and(|own| class(&own)) {
            return true;
        }
        let reduced: Vec<_> = axis.terms.iter().filter(|term| term.0 >= rank).collect();
        axis.divisor == 1 && matches!(reduced.as_slice(), [(v, _)] if bounded.contains(v))
    }
}
