//! One round of a contraction: the products of a tile.

use super::Emission;
use crate::graph::Contraction;
use crate::loops::{Value, VectorBinary};
use crate::schedule::lower::{LowerError, Lowering, Place};
use crate::schedule::position::{IndexSpace, Indexed, Position, index};
use std::collections::BTreeSet;

impl Lowering<'_> {
    /// One product for each accumulator, under a condition where bounds alone do not keep the operands in range.
    pub(super) fn contract_body(
        &mut self,
        emission: &Emission<'_>,
        counters: &[Place],
        sums: Vec<Value>,
    ) -> Result<Vec<Value>, LowerError> {
        let mut condition = None;
        for (operand, axes) in emission.contraction.operands.iter().enumerate() {
            let input = self.cx.graph.nodes[emission.node].inputs[operand];
            let shape = self.cx.graph.nodes[input].ty.shape.clone();
            let mut places = emission.instances[0].clone();
            places.extend(counters.iter().cloned());
            for (number, axis) in axes.iter().enumerate() {
                if emission.borders[operand][number] && !self.bounded_elsewhere(emission, axis) {
                    self.moved(emission.node, axis, shape[number], &places, &mut condition)?;
                }
            }
        }
        let Some(condition) = condition else {
            return self.products(emission, counters, sums);
        };
        self.b.begin_if(condition);
        self.push_scope();
        let taken = self.products(emission, counters, sums.clone());
        self.pop_scope();
        let pairs: Vec<(Value, Value)> = taken?.into_iter().zip(sums).collect();
        Ok(self.b.end_if(&pairs))
    }

    /// The products of one round, added to their sums.
    fn products(
        &mut self,
        emission: &Emission<'_>,
        counters: &[Place],
        mut sums: Vec<Value>,
    ) -> Result<Vec<Value>, LowerError> {
        let set = emission.bodies.get() % (sums.len() / emission.instances.len()).max(1);
        emission.bodies.set(emission.bodies.get() + 1);
        for &number in &emission.order {
            let own = set * emission.instances.len() + number;
            let mut places = emission.instances[number].clone();
            places.extend(counters.iter().cloned());
            if emission.varied && !self.is_inside(emission, &places) {
                continue;
            }
            let mut factors = Vec::with_capacity(2);
            for operand in 0..emission.contraction.operands.len() {
                factors.push(self.factor(emission, operand, &places)?);
            }
            sums[own] = match factors.as_slice() {
                [one] => self.b.binary(VectorBinary::Add, sums[own], *one),
                [a, b] => self.b.fma(*a, *b, sums[own]),
                _ => return self.unsupported(emission.node, "a product of more than two tensors"),
            };
        }
        Ok(sums)
    }

    /// An operand's element for one accumulator in one round.
    pub fn factor(
        &mut self,
        emission: &Emission<'_>,
        operand: usize,
        places: &[Place],
    ) -> Result<Value, LowerError> {
        let input = self.cx.graph.nodes[emission.node].inputs[operand];
        let moved = self.factor_places(emission, operand, places)?;
        match self.turned.filter(|turned| turned.outer.operand == operand) {
            Some(turned) => self.load_turned(turned, input, &moved),
            None => self.value(input, &moved),
        }
    }

    /// The positions along the operand's own axes.
    pub fn factor_places(
        &mut self,
        emission: &Emission<'_>,
        operand: usize,
        places: &[Place],
    ) -> Result<Vec<Place>, LowerError> {
        let mut moved = Vec::new();
        for axis in &emission.contraction.operands[operand] {
            moved.push(match index(axis, places) {
                Indexed::Lane => Position::Lane,
                Indexed::Mixed => {
                    return self.unsupported(emission.node, "a shift along the batch");
                }
                Indexed::At { numerator, divisor } => match self.divide(&numerator, divisor) {
                    Some((position, _)) => Position::At(position),
                    None => return Err(LowerError::NotVector),
                },
            });
        }
        Ok(moved)
    }
}

/// Whether accumulators differ in a variable that moves a bordered axis.
pub(super) fn varied(
    contraction: &Contraction,
    borders: &[Vec<bool>],
    instances: &[Vec<Place>],
) -> bool {
    let rank = contraction.shape.len();
    let mut axes = contraction.operands.iter().zip(borders).flat_map(|pair| {
        let bordered = pair.0.iter().zip(pair.1).filter(|axis| *axis.1);
        bordered.flat_map(|axis| axis.0.terms.iter().map(|term| term.0))
    });
    axes.any(|variable| {
        variable < rank
            && instances
                .iter()
                .any(|instance| instance[variable] != instances[0][variable])
    })
}

/// The operand with fewer distinct elements stays in registers, the other streams past it.
pub(super) fn stream_order(contraction: &Contraction, instances: &[Vec<Place>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..instances.len()).collect();
    let key = |operand: usize, instance: usize| -> Vec<Place> {
        let mut variables: Vec<usize> = contraction.operands[operand]
            .iter()
            .flat_map(|axis| axis.terms.iter().map(|term| term.0))
            .collect();
        variables.retain(|&variable| variable < contraction.shape.len());
        variables.sort_unstable();
        variables.dedup();
        variables
            .into_iter()
            .map(|variable| instances[instance][variable].clone())
            .collect()
    };
    let distinct = |operand: usize| {
        order
            .iter()
            .map(|&i| key(operand, i))
            .collect::<BTreeSet<_>>()
            .len()
    };
    if contraction.operands.len() < 2 {
        return order;
    }
    let streamed = usize::from(distinct(1) >= distinct(0));
    order.sort_by_key(|&instance| key(streamed, instance));
    order
}
