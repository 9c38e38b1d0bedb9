//! Products whose vectors run along the reduction: where both operands lie contiguous in what is summed over, and the output's
//! last axis is far apart in them. Each accumulator is a vector of partial sums, whose lanes are summed at the end.

use super::contract::{Emission, How};
use super::{Context, LowerError, Lowering, Place, Vectors, joined_tile};
use crate::graph::{NodeId, Op};
use crate::loops::{LoopKind, Range, Value};
use crate::schedule::affine::Affine;
use crate::schedule::borders::borders;
use crate::schedule::fuse::{Group, Strategy};
use crate::schedule::lanes::ContractionLanes;
use crate::schedule::position::Position;

/// The reduced variable along which a group's product is best read a vector at a time, if there is one.
pub fn across(cx: &Context<'_>, group: &Group) -> Option<usize> {
    let anchor = group.anchor.filter(|_| group.strategy == Strategy::Plain)?;
    let node = &cx.graph.nodes[anchor];
    let Op::Contract(contraction) = &node.op else {
        return None;
    };
    let in_lanes = |&input: &NodeId| cx.lanes.axis(input).is_some();
    let simple = group.place.windows.is_empty() && group.place.parts.is_none();
    if contraction.operands.len() != 2 || !simple || node.inputs.iter().any(in_lanes) {
        return None;
    }
    let rank = contraction.shape.len();
    let last = rank.checked_sub(1)?;
    let innermost = |operand: &Vec<crate::graph::AxisIndex>| operand.last()?.as_variable();
    let operands = &contraction.operands;
    let variable = innermost(&operands[0])?.checked_sub(rank)?;
    let borders = borders(cx.graph, anchor, contraction);
    let along = operands.iter().zip(&borders).all(|(operand, borders)| {
        let uses = operand
            .iter()
            .filter(|axis| axis.coefficient(rank + variable) != 0);
        innermost(operand) == Some(rank + variable)
            && uses.count() == 1
            && borders.last() == Some(&false)
    });
    let moves = |operand: &Vec<crate::graph::AxisIndex>| {
        operand.iter().any(|axis| axis.coefficient(last) != 0)
    };
    let extent = contraction.reduced[variable].known()?;
    (along && operands.iter().any(moves) && extent >= cx.target.register_lanes as i64)
        .then_some(variable)
}

/// The reduced variable of which vectors of a block's part hold several elements, each with the samples of the block, and
/// the width of those vectors.
pub(super) fn joined_reduction(cx: &Context<'_>, group: &Group) -> Option<(usize, u8)> {
    let anchor = group.anchor?;
    let node = &cx.graph.nodes[anchor];
    let Op::Contract(contraction) = &node.op else {
        return None;
    };
    let ContractionLanes::Across(lane) = cx.lanes.contraction(contraction, &node.inputs) else {
        return None;
    };
    let elements = joined_tile::elements(cx)
        .pop()
        .filter(|_| contraction.operands.len() == 2)?;
    let borders = borders(cx.graph, anchor, contraction);
    let rank = contraction.shape.len();
    let free = |variable: &usize| {
        let axes = contraction.operands.iter().flatten();
        let mut uses = axes
            .zip(borders.iter().flatten())
            .filter(|(axis, _)| axis.coefficient(rank + variable) != 0);
        uses.all(|(axis, &border)| !border && axis.divisor == 1)
    };
    // The last but one bounds the rows that are summed at a time.
    let last = (0..contraction.reduced.len())
        .rev()
        .find(|&variable| variable != lane)?;
    let extent = contraction.reduced[last].known()?;
    (free(&last) && extent >= 2 * elements as i64).then_some((last, (elements * cx.block) as u8))
}

impl Lowering<'_> {
    /// The values of a contraction at the given places, by vectors along a reduced variable.
    pub(super) fn contract_across(
        &mut self,
        emission: &mut Emission<'_>,
        (variable, width): (usize, u8),
    ) -> Result<Vec<Value>, LowerError> {
        let Some(place) = emission
            .levels
            .iter()
            .position(|level| level.variable == variable)
        else {
            return Err(LowerError::NotVector);
        };
        let mut level = emission.levels.remove(place);
        let extent = level.extent.known().ok_or(LowerError::NotVector)?;
        let outer = (self.width, self.vectors);
        self.width = width;
        let whole = extent - extent % self.elements_of_vector();
        (level.unroll, level.how) = (1, How::Vectors(whole));
        emission.levels.push(level);
        let memo = std::mem::replace(&mut self.memo, vec![super::Memo::default()]);
        let instances = emission.instances.iter();
        let zeros = instances.map(|_| self.b.float(0.0, width)).collect();
        let mut counters = vec![Position::constant(0); emission.contraction.reduced.len()];
        let vectors = self.contract_level(emission, 0, &mut counters, zeros);
        (self.width, self.vectors) = outer;
        self.memo = memo;
        let vectors = vectors?;
        if self.joined && whole == extent {
            // The lanes of a partial's sums are added up at once.
            return Ok(vectors);
        }
        let sums: Vec<Value> = vectors
            .into_iter()
            .map(|vector| match self.joined {
                true => self.samples_of(vector),
                false => self.b.reduce_add(vector),
            })
            .collect();
        if whole == extent {
            return Ok(sums);
        }
        if let Some(level) = emission.levels.last_mut() {
            level.how = How::Rest(whole);
        }
        self.contract_level(emission, 0, &mut counters, sums)
    }

    /// The rounds of a reduced variable a vector at a time; few are written out.
    pub(super) fn vector_rounds(
        &mut self,
        emission: &Emission<'_>,
        depth: usize,
        (variable, whole): (usize, i64),
        counters: &mut Vec<Place>,
        sums: Vec<Value>,
    ) -> Result<Vec<Value>, LowerError> {
        let step = self.elements_of_vector();
        let rounds = whole / step;
        if rounds * emission.instances.len() as i64 <= self.cx.target.unrolled_body as i64 {
            let mut sums = sums;
            for round in 0..rounds {
                let counter = self.b.symbol(round * step);
                sums = self.vector_round(emission, depth, (variable, counter), counters, sums)?;
            }
            return Ok(sums);
        }
        let (first, last) = (self.b.index(0), self.b.index(whole));
        let name = format!("r{variable}");
        let (counter, carried) =
            self.b
                .begin_loop(LoopKind::Reduction, name, first, last, step, &sums);
        self.b.assume(counter, Range::new(0, whole - step));
        let next = self.vector_round(emission, depth, (variable, counter), counters, carried);
        Ok(self.b.end_loop(&next?))
    }

    fn vector_round(
        &mut self,
        emission: &Emission<'_>,
        depth: usize,
        (variable, counter): (usize, Value),
        counters: &mut Vec<Place>,
        sums: Vec<Value>,
    ) -> Result<Vec<Value>, LowerError> {
        self.push_scope();
        self.vectors = match self.joined {
            true => Vectors::Joined(counter),
            false => Vectors::Feature(counter),
        };
        counters[variable] = Position::At(Affine::variable(counter));
        let next = self.contract_level(emission, depth + 1, counters, sums);
        self.pop_scope();
        next
    }
}
