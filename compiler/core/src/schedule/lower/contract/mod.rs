//! Contractions: one nest of reduction loops for all accumulators of a tile.
//!
//! [`levels`] orders the loops, [`rounds`] goes through one of them, [`bounds`] finds the rounds that read within their operands,
//! and [`products`] is what one round does.

mod bounds;
mod levels;
mod products;
mod rounds;

pub(super) use levels::{How, Level};

use super::tile::splits;
use super::{LowerError, Lowering, Place};
use crate::graph::{Contraction, NodeId};
use crate::loops::{Value, VectorBinary};
use crate::schedule::affine::Affine;
use crate::schedule::borders::borders;
use crate::schedule::position::Position;
use products::{stream_order, varied};
use std::cell::Cell;

/// What the emission of one contraction needs at every level.
pub struct Emission<'c> {
    pub node: NodeId,
    pub contraction: &'c Contraction,
    pub levels: Vec<Level>,
    pub instances: Vec<Vec<Place>>,
    /// Order of the instances in the body: those that share the operand with more distinct elements together.
    order: Vec<usize>,
    borders: Vec<Vec<bool>>,
    /// The accumulators are not all inside the borders in the same rounds.
    pub varied: bool,
    /// Where that is found out when the kernel runs: 1 if anything reads the sums, else 0.
    pub read: Option<Value>,
    /// Bodies written so far.
    bodies: Cell<usize>,
}

impl Emission<'_> {
    /// Whether the outermost loop is over all of a known range, so that it can be over none of it.
    fn begins_whole(&self) -> bool {
        let outermost = self.levels.first();
        outermost.is_some_and(|level| level.how == How::Whole && level.extent.known().is_some())
    }

    /// The accumulators' numbers, in the order in which a round adds to them.
    pub fn order(&self) -> &[usize] {
        &self.order
    }
}

impl Lowering<'_> {
    /// The values of a contraction at the given places.
    pub fn contract(
        &mut self,
        node: NodeId,
        contraction: &Contraction,
        instances: &[Vec<Place>],
    ) -> Result<Vec<Value>, LowerError> {
        let borders = borders(self.cx.graph, node, contraction);
        let levels = self.levels(node, contraction, &borders, instances);
        let order = stream_order(contraction, instances);
        let varied = varied(contraction, &borders, instances);
        let mut emission = Emission {
            node,
            contraction,
            levels,
            instances: instances.to_vec(),
            order,
            borders,
            varied,
            read: None,
            bodies: Cell::new(0),
        };
        if let Some(across) = self.across {
            return self.contract_across(&mut emission, across);
        }
        let sets = self.sets_of_sums(&emission);
        let zero = self.b.float(0.0, self.width);
        let zeros = vec![zero; sets * instances.len()];
        let sums = self.contract_where_read(&mut emission, zeros)?;
        let (first, others) = sums.split_at(instances.len());
        let mut sums = first.to_vec();
        for (number, &other) in others.iter().enumerate() {
            let sum = &mut sums[number % instances.len()];
            *sum = self.b.binary(VectorBinary::Add, *sum, other);
        }
        Ok(sums)
    }

    /// Where a tile has so few sums that each would wait for itself, those of every other body are by themselves, and are
    /// added at the end. The bodies of what slides are its pixels; the cost of a tile knows nothing of these, as taps of few
    /// sums were slower than channels of more.
    fn sets_of_sums(&self, emission: &Emission<'_>) -> usize {
        let parts = (usize::from(self.width) / self.cx.target.register_lanes).max(1);
        let sums = emission.instances.len() * parts;
        let inner = emission.levels.last();
        let unrolled = inner.is_some_and(|level| level.how == How::Whole && level.unroll > 1);
        let slides = emission.levels.iter().any(|level| level.slides);
        let written_out = if self.partial { slides } else { unrolled };
        1 + usize::from(written_out && splits(sums, self.cx.target))
    }

    /// The sums, or zeros where nothing reads them.
    fn contract_where_read(
        &mut self,
        emission: &mut Emission<'_>,
        zeros: Vec<Value>,
    ) -> Result<Vec<Value>, LowerError> {
        let (node, reduced) = (emission.node, emission.contraction.reduced.len());
        let mut counters = vec![Position::constant(0); reduced];
        let Some(read) = self.is_read(node, &emission.instances) else {
            return self.contract_level(emission, 0, &mut counters, zeros);
        };
        if emission.begins_whole() && self.rows.is_none() {
            emission.read = Some(read);
            return self.contract_level(emission, 0, &mut counters, zeros);
        }
        self.b.begin_if(read);
        self.push_scope();
        let sums = self.contract_level(emission, 0, &mut counters, zeros.clone());
        self.pop_scope();
        let pairs: Vec<_> = sums?.into_iter().zip(zeros).collect();
        Ok(self.b.end_if(&pairs))
    }

    /// A level's loop and all within it, added to the sums.
    pub fn contract_level(
        &mut self,
        emission: &Emission<'_>,
        depth: usize,
        counters: &mut Vec<Place>,
        sums: Vec<Value>,
    ) -> Result<Vec<Value>, LowerError> {
        let Some(level) = emission.levels.get(depth).cloned() else {
            return self.contract_body(emission, counters, sums);
        };
        match level.how {
            How::InLanes => {
                counters[level.variable] = Position::Lane;
                self.contract_level(emission, depth + 1, counters, sums)
            }
            How::Vectors(whole) => {
                let rounds = (level.variable, whole);
                self.vector_rounds(emission, depth, rounds, counters, sums)
            }
            How::Rest(first) => {
                let count = level.extent.fixed - first;
                let first = Affine::constant(first);
                self.unrolled(emission, depth, &level, &first, count, counters, sums)
            }
            How::Samples => self.over_samples(emission, depth, &level, counters, sums),
            How::Class(stride) => {
                self.class_rounds(emission, depth, (&level, stride), counters, sums)
            }
            How::OwnSamples => {
                self.over_own_samples(&level, counters, &sums, |own, counters, sums| {
                    own.contract_level(emission, depth + 1, counters, sums)
                })
            }
            How::Bounded => {
                let (begin, end) = self.bounds(emission, &level, counters)?;
                let (begin, end) = self.in_rows(&level, begin, end);
                self.bounded_rounds(emission, depth, &level, (begin, end), counters, sums)
            }
            How::Whole => {
                if let Some(rows) = self.few_rows(emission, depth, &level) {
                    let (first, count) = (rows.first, rows.count);
                    return self.unrolled(emission, depth, &level, &first, count, counters, sums);
                }
                let some =
                    level
                        .extent
                        .known()
                        .zip(self.filled_rounds(emission, &level, depth == 0));
                if let Some((extent, rounds)) = some {
                    let level = (&level, extent);
                    return self.some_rounds(emission, depth, level, rounds, counters, sums);
                }
                let end = self.extent(level.extent);
                let range = self.in_rows(&level, Affine::constant(0), end);
                self.rounds(emission, depth, &level, range, counters, sums)
            }
        }
    }
}
