//! Two rounds of a sum at once.
//!
//! Where every lane reads the same number of bf16, and that of the next round lies beside it in memory, one load of four
//! bytes brings both to all lanes. With the other operand's two numbers put side by side in each lane, one instruction
//! adds both products, where the machine has it.

use super::contract::{Emission, How, Level};
use super::{LowerError, Lowering, Place};
use crate::graph::{DType, NodeId};
use crate::loops::{Element, Instruction, LoadKind, Value, VectorBinary, VectorUnary};
use crate::plan::BufferId;
use crate::schedule::affine::Affine;
use crate::schedule::fuse::root;
use crate::schedule::position::Position;

impl Lowering<'_> {
    /// The sums after the round `at` and the next, where one instruction can do both.
    pub(super) fn two_rounds(
        &mut self,
        emission: &Emission<'_>,
        (depth, level): (usize, &Level),
        at: &Affine<Value>,
        counters: &[Place],
        sums: &[Value],
    ) -> Result<Option<Vec<Value>>, LowerError> {
        let rounds = [0, 1].map(|ahead| {
            let mut counters = counters.to_vec();
            counters[level.variable] = Position::At(at.clone().plus(ahead));
            counters
        });
        match self.paired_operand(emission, (depth, level), &rounds)? {
            Some(operand) => {
                let sums = self.paired_products(emission, operand, &rounds, sums.to_vec());
                sums.map(Some)
            }
            None => Ok(None),
        }
    }

    /// The operand whose numbers of a round and the next are side by side in memory, and the same in all lanes.
    fn paired_operand(
        &mut self,
        emission: &Emission<'_>,
        (depth, level): (usize, &Level),
        rounds: &[Vec<Place>; 2],
    ) -> Result<Option<usize>, LowerError> {
        let sums = matches!(level.how, How::Whole | How::Samples | How::OwnSamples);
        let inner = depth + 1 == emission.levels.len();
        let inputs = &self.cx.graph.nodes[emission.node].inputs;
        let half = |&input: &NodeId| self.cx.graph.nodes[input].ty.dtype == DType::Bf16;
        let two = emission.contraction.operands.len() == 2 && inputs.iter().all(half);
        let possible = self.cx.target.dot_pairs && self.width > 1 && two && sums && inner;
        if !possible || self.is_conditional(emission) {
            return Ok(None);
        }
        for operand in 0..2 {
            if self.pair(emission, operand, 0, rounds)?.is_some() {
                return Ok(Some(operand));
            }
        }
        Ok(None)
    }

    /// The products of two rounds for each accumulator, added in their order.
    fn paired_products(
        &mut self,
        emission: &Emission<'_>,
        operand: usize,
        rounds: &[Vec<Place>; 2],
        mut sums: Vec<Value>,
    ) -> Result<Vec<Value>, LowerError> {
        for &number in emission.order() {
            let places = self.places_in(emission, number, rounds);
            if emission.varied && !self.is_inside(emission, &places[0]) {
                continue;
            }
            let pair = match self.pair(emission, operand, number, rounds)? {
                Some(pair) => pair,
                None => self.beside(emission, operand, &places)?,
            };
            let other = self.beside(emission, 1 - operand, &places)?;
            sums[number] = self.b.dot_pairs(pair, other, sums[number]);
        }
        Ok(sums)
    }

    /// The positions of an accumulator's variables, then those of the reduced ones, in each of two rounds.
    fn places_in(
        &self,
        emission: &Emission<'_>,
        number: usize,
        rounds: &[Vec<Place>; 2],
    ) -> [Vec<Place>; 2] {
        rounds.each_ref().map(|counters| {
            let own = emission.instances[number].iter();
            own.chain(counters).cloned().collect()
        })
    }

    /// The word that holds an operand's numbers of both rounds, in every lane.
    fn pair(
        &mut self,
        emission: &Emission<'_>,
        operand: usize,
        number: usize,
        rounds: &[Vec<Place>; 2],
    ) -> Result<Option<Value>, LowerError> {
        let Some((node, buffer)) = self.half_in_memory(emission, operand) else {
            return Ok(None);
        };
        let shape = self.cx.graph.nodes[node].ty.shape.clone();
        let mut at = Vec::with_capacity(2);
        for places in self.places_in(emission, number, rounds) {
            let moved = self.factor_places(emission, operand, &places)?;
            if moved.iter().any(|place| matches!(place, Position::Lane)) {
                return Ok(None);
            }
            let located = self.locate(node, buffer, &shape, &moved)?;
            if located.stride != 0 || self.step_along(&located.at) != 0 {
                return Ok(None);
            }
            at.push(super::form(&located.at));
        }
        if at[1] != at[0].add_constant(1) {
            return Ok(None);
        }
        let handle = self.handle(buffer);
        Ok(Some(self.b.load_as(
            handle,
            at[0].clone(),
            LoadKind::SplatPair,
            self.width,
        )))
    }

    /// Where an operand lies that is of bf16, and read as it is.
    fn half_in_memory(
        &self,
        emission: &Emission<'_>,
        operand: usize,
    ) -> Option<(NodeId, BufferId)> {
        if self
            .turned
            .is_some_and(|turned| turned.outer.operand == operand)
        {
            return None;
        }
        let node = self.cx.graph.nodes[emission.node].inputs[operand];
        let buffer = self.buffer_read(root(self.cx.graph, node))?;
        (self.element(buffer) == Element::Bf16).then_some((node, buffer))
    }

    /// An operand's numbers of both rounds side by side in each lane.
    fn beside(
        &mut self,
        emission: &Emission<'_>,
        operand: usize,
        places: &[Vec<Place>; 2],
    ) -> Result<Value, LowerError> {
        let [first, second] = [
            self.factor(emission, operand, &places[0])?,
            self.factor(emission, operand, &places[1])?,
        ];
        let [first, second] =
            [first, second].map(|value| self.b.unary(VectorUnary::FloatToBits, value));
        let low = self
            .b
            .define(Instruction::ShiftRight(first, 16), self.width);
        Ok(self.b.binary(VectorBinary::IntOr, low, second))
    }
}
