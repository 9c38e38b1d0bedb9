//! Products of values that are zero beyond a diagonal, and products that are read on one side of it only.

use super::contract::{Emission, Level};
use super::{LowerError, Lowering, Place, form};
use crate::graph::NodeId;
use crate::loops::{Affine as Form, IntOp, LoopKind, Range, Value};
use crate::schedule::affine::Affine;
use crate::schedule::position::Position;

/// Rounds from the first on, up to the second.
type Rounds = (Form, Form);

impl Lowering<'_> {
    /// Whether anything reads a product at one of these places, where that is to be found out when the kernel runs.
    pub(super) fn is_read(&mut self, anchor: NodeId, instances: &[Vec<Place>]) -> Option<Value> {
        let triangle = self.cx.triangles.unread(anchor).filter(|_| !self.partial)?;
        let greater = self.ends(instances, triangle.greater)?.0;
        let lesser = self.ends(instances, triangle.lesser)?.1;
        let least = lesser.add_constant(triangle.offset);
        let read = self.b.condition(IntOp::LessEqual, &greater, &least);
        (self.b.index_constant(read) != Some(1)).then_some(read)
    }

    /// The rounds of a reduced variable in which no operand is zero for all accumulators, where some are left out: all of
    /// the outermost one's where nothing reads the product.
    pub(super) fn filled_rounds(
        &mut self,
        emission: &Emission<'_>,
        level: &Level,
        outermost: bool,
    ) -> Option<Rounds> {
        let extent = level.extent.known().filter(|_| self.rows.is_none())?;
        let rank = emission.contraction.shape.len();
        let own = Some(rank + level.variable);
        let mut rounds = (Form::constant(0), Form::constant(extent));
        let inputs = &self.cx.graph.nodes[emission.node].inputs;
        for (axes, &input) in emission.contraction.operands.iter().zip(inputs) {
            let Some(triangle) = self.cx.triangles.zero(input) else {
                continue;
            };
            let variable = |axis: usize| axes[axis].as_variable();
            let (greater, lesser) = (variable(triangle.greater), variable(triangle.lesser));
            match (greater, lesser) {
                (greater, Some(lesser)) if greater == own && lesser < rank => {
                    let Some((_, last)) = self.ends(&emission.instances, lesser) else {
                        continue;
                    };
                    let end = last.add_constant(triangle.offset + 1);
                    rounds.1 = self.b.int(IntOp::Min, &rounds.1, &end);
                }
                (Some(greater), lesser) if lesser == own && greater < rank => {
                    let Some((first, _)) = self.ends(&emission.instances, greater) else {
                        continue;
                    };
                    let begin = first.add_constant(-triangle.offset);
                    rounds.0 = self.b.int(IntOp::Max, &rounds.0, &begin);
                }
                _ => {}
            }
        }
        if let Some(read) = emission.read.filter(|_| outermost) {
            rounds.1 = self.b.int(IntOp::Mul, &rounds.1, &Form::value(read));
        }
        let all = rounds.0.as_constant() == Some(0) && rounds.1.as_constant() == Some(extent);
        (!all).then_some(rounds)
    }

    /// A loop over whole bodies that hold these rounds.
    pub(super) fn some_rounds(
        &mut self,
        emission: &Emission<'_>,
        depth: usize,
        (level, extent): (&Level, i64),
        (begin, end): Rounds,
        counters: &mut Vec<Place>,
        sums: Vec<Value>,
    ) -> Result<Vec<Value>, LowerError> {
        let unroll = if extent % level.unroll == 0 {
            level.unroll
        } else {
            1
        };
        let first = self.b.div_floor(&begin, unroll);
        let last = self.b.div_floor(&end.add_constant(unroll - 1), unroll);
        let (first, last) = (self.b.materialise(&first), self.b.materialise(&last));
        let name = format!("r{}", level.variable);
        let (counter, carried) =
            self.b
                .begin_loop(LoopKind::Reduction, name, first, last, 1, &sums);
        if self.b.index_constant(counter).is_none() {
            self.b.assume(counter, Range::new(0, extent / unroll - 1));
        }
        self.push_scope();
        let mut at = Affine::constant(0);
        at.add_scaled(&self.counter(counter), unroll);
        let next = self.unrolled(emission, depth, level, &at, unroll, counters, carried);
        self.pop_scope();
        Ok(self.b.end_loop(&next?))
    }

    /// The first and the last position along an axis, over all lanes.
    fn ends(&mut self, instances: &[Vec<Place>], axis: usize) -> Option<Rounds> {
        let mut ends: Option<Rounds> = None;
        for instance in instances {
            let Position::At(position) = &instance[axis] else {
                return None;
            };
            let ahead = self.step_along(position) * (self.elements_of_vector() - 1);
            let own = form(position);
            let (low, high) = (
                own.add_constant(ahead.min(0)),
                own.add_constant(ahead.max(0)),
            );
            ends = Some(match ends {
                None => (low, high),
                Some((first, last)) => (
                    self.b.int(IntOp::Min, &first, &low),
                    self.b.int(IntOp::Max, &last, &high),
                ),
            });
        }
        ends
    }
}
