//! Contractions: one nest of reduction loops for all accumulators of a tile.

use super::classes::{stride, strided};
use super::tile::splits;
use super::{LowerError, Lowering, Place, Rows, form};
use crate::graph::{Contraction, Dim, NodeId};
use crate::loops::{IntOp, LoopKind, Range, Value, VectorBinary};
use crate::plan::Layout;
use crate::schedule::affine::Affine;
use crate::schedule::borders::borders;
use crate::schedule::fuse::root;
use crate::schedule::position::{Indexed, Position, index};
use crate::schedule::sliding;
use std::cell::Cell;
use std::collections::BTreeSet;

/// One level of the reduction.
#[derive(Clone, Debug)]
pub(super) struct Level {
    /// The variable among the reduced ones.
    pub variable: usize,
    pub extent: Dim,
    /// Rounds written out in one body.
    pub unroll: i64,
    /// Its rounds written out are within the loop over the samples of the block, which is the next level.
    pub slides: bool,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// A vector at a time, up to there.
    Vectors(i64),
    /// One by one, from there to the extent.
    Rest(i64),
    /// From 0 to the extent.
    Whole,
    /// Only where the operands are within their borders.
    Bounded,
    /// The samples of the block: all in the lanes.
    InLanes,
    /// All samples of the batch, block by block.
    Samples,
    /// The samples of the block, one by one.
    OwnSamples,
    /// Every so many, from where the class of the elements begins.
    Class(i64),
}

/// What the emission of one contraction needs at every level.
pub(super) struct Emission<'c> {
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
    pub(super) fn order(&self) -> &[usize] {
        &self.order
    }
}

impl Lowering<'_> {
    /// The values of a contraction at the given places.
    pub(super) fn contract(
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

    /// Bounded loops outermost, then the rest, the innermost unrolled.
    fn levels(
        &self,
        node: NodeId,
        contraction: &Contraction,
        borders: &[Vec<bool>],
        instances: &[Vec<Place>],
    ) -> Vec<Level> {
        let tile = instances.len();
        let lane = self.reduced_lane(node, contraction);
        let rank = contraction.shape.len();
        let pixels = self.sliding_pixels(contraction, instances);
        let mut levels: Vec<Level> = Vec::new();
        for (variable, &extent) in contraction.reduced.iter().enumerate() {
            let how = if lane == Some(variable) {
                if self.turned.is_some() {
                    How::OwnSamples
                } else if self.partial {
                    How::InLanes
                } else {
                    How::Samples
                }
            } else if let Some(stride) = stride(contraction, variable, self.classes) {
                How::Class(stride)
            } else if bounded(contraction, borders, rank + variable) {
                How::Bounded
            } else {
                How::Whole
            };
            levels.push(Level {
                variable,
                extent,
                unroll: 1,
                slides: pixels == Some(variable),
                how,
            });
        }
        levels.sort_by_key(|level| match level.how {
            // Put in the place of another afterwards.
            How::Vectors(_) | How::Rest(_) => (4, 0),
            _ if level.slides => (3, 0),
            How::InLanes => (0, 0),
            How::Bounded | How::Class(_) => (1, level.variable),
            // Channels, then a window's axes with its rows innermost: the order of the sum, which rounding shows.
            How::Whole => (
                2,
                if level.variable == 0 {
                    0
                } else {
                    usize::MAX - level.variable
                },
            ),
            How::Samples | How::OwnSamples => (3, 1),
        });
        if let Some(inner) = levels.last_mut() {
            let body = self.cx.target.unrolled_body as i64;
            let parts = (usize::from(self.width) / self.cx.target.register_lanes).max(1) as i64;
            let room = (body / (tile as i64 * parts)).max(1);
            inner.unroll = match (inner.how, inner.extent.known()) {
                (How::Whole, _) if self.partial => largest_power(room.min(4)),
                (How::Whole, Some(extent)) if extent <= room => extent,
                (How::Whole, _) => largest_power(room.min(8)),
                (How::Samples, _) => largest_power(room.min(self.cx.block as i64)),
                _ => 1,
            };
        }
        if let Some(row) = levels.iter_mut().find(|level| level.slides) {
            row.unroll = sliding::pixels(self.cx.target, tile) as i64;
        }
        levels
    }

    /// The reduced variable along which the elements of one operand go from tap to tap.
    fn sliding_pixels(&self, contraction: &Contraction, instances: &[Vec<Place>]) -> Option<usize> {
        let row = sliding::sliding(contraction, self.turned?.outer)?;
        let first = &instances[0][row.taps];
        let several = instances.iter().any(|own| own[row.taps] != *first);
        several.then_some(row.pixels)
    }

    fn reduced_lane(&self, node: NodeId, contraction: &Contraction) -> Option<usize> {
        use crate::schedule::lanes::ContractionLanes;
        let inputs = &self.cx.graph.nodes[node].inputs;
        match self.cx.lanes.contraction(contraction, inputs) {
            ContractionLanes::Across(variable) if self.partial || self.reads_lanes(inputs) => {
                Some(variable)
            }
            _ => None,
        }
    }

    fn reads_lanes(&self, inputs: &[NodeId]) -> bool {
        inputs.iter().any(|&input| {
            let source = root(self.cx.graph, input);
            let buffer = self.cx.buffer_of.get(&source);
            buffer.is_some_and(|&buffer| {
                matches!(self.cx.buffers[buffer].layout, Layout::Lanes { .. })
            })
        })
    }

    pub(super) fn contract_level(
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

    /// The rows that the kernel is at, where they are what an innermost loop goes through, and few enough to be written out.
    fn few_rows(&self, emission: &Emission<'_>, depth: usize, level: &Level) -> Option<Rows> {
        let rows = self.rows.clone()?;
        let rounds = rows.count * emission.instances.len() as i64;
        let fits = rounds <= self.cx.target.unrolled_body as i64;
        let innermost = depth + 1 == emission.levels.len();
        (rows.variable == level.variable && innermost && fits).then_some(rows)
    }

    /// The part of a range that lies in the rows that the kernel is at.
    fn in_rows(
        &mut self,
        level: &Level,
        begin: Affine<Value>,
        end: Affine<Value>,
    ) -> (Affine<Value>, Affine<Value>) {
        let Some(rows) = self.rows.clone() else {
            return (begin, end);
        };
        if rows.variable != level.variable {
            return (begin, end);
        }
        let first = form(&rows.first);
        let last = first.add_constant(rows.count);
        let begin = self.b.int(IntOp::Max, &form(&begin), &first);
        let end = self.b.int(IntOp::Min, &form(&end), &last);
        (super::affine(&begin), super::affine(&end))
    }

    /// The rounds that every accumulator takes part in as a loop; before and after it those at the border, written out
    /// for the accumulators that are inside.
    fn bounded_rounds(
        &mut self,
        emission: &Emission<'_>,
        depth: usize,
        level: &Level,
        (begin, end): (Affine<Value>, Affine<Value>),
        counters: &mut Vec<Place>,
        sums: Vec<Value>,
    ) -> Result<Vec<Value>, LowerError> {
        let known = begin.as_constant().zip(end.as_constant());
        let (Some((first, last)), Some(extent)) = (known, level.extent.known()) else {
            if varies_at(emission, level) {
                return self.unsupported(emission.node, "a tile across a border that moves");
            }
            return self.rounds(emission, depth, level, (begin, end), counters, sums);
        };
        if !varies_at(emission, level) {
            return self.rounds(emission, depth, level, (begin, end), counters, sums);
        }
        let (first, last) = (first.min(extent), last.max(first).min(extent));
        let start = Affine::constant(0);
        let body = self.cx.target.unrolled_body as i64;
        if level.slides && extent * emission.instances.len() as i64 <= body {
            // One loop over samples for the whole row.
            return self.unrolled(emission, depth, level, &start, extent, counters, sums);
        }
        let sums = self.unrolled(emission, depth, level, &start, first, counters, sums)?;
        let sums = match first < last {
            true => self.rounds(emission, depth, level, (begin, end), counters, sums)?,
            false => sums,
        };
        let rest = Affine::constant(last);
        self.unrolled(emission, depth, level, &rest, extent - last, counters, sums)
    }

    /// Whether an accumulator's operands are within their axes, where positions are known.
    pub(super) fn is_inside(&self, emission: &Emission<'_>, places: &[Place]) -> bool {
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

    /// A loop in steps of the unroll factor, then what remains.
    fn rounds(
        &mut self,
        emission: &Emission<'_>,
        depth: usize,
        level: &Level,
        (begin, end): (Affine<Value>, Affine<Value>),
        counters: &mut Vec<Place>,
        sums: Vec<Value>,
    ) -> Result<Vec<Value>, LowerError> {
        let unroll = level.unroll;
        let known = begin.as_constant().zip(end.as_constant());
        let (main_end, rest) = match known {
            Some((begin, end)) if unroll > 1 => {
                let rest = (end - begin) % unroll;
                (Affine::constant(end - rest), rest)
            }
            _ => (end.clone(), 0),
        };
        if unroll > 1 && known.is_none() {
            return self.rounds(
                emission,
                depth,
                &Level {
                    unroll: 1,
                    ..level.clone()
                },
                (begin, end),
                counters,
                sums,
            );
        }
        let name = format!("r{}", level.variable);
        let mut sums = sums;
        if main_end != begin || unroll == 1 {
            // An unrolled loop counts bodies, so that positions divide by what the body's length divides by.
            let (from, to) = match known.filter(|_| unroll > 1) {
                Some((begin, end)) => (
                    Affine::constant(0),
                    Affine::constant((end - begin) / unroll),
                ),
                None => (begin.clone(), main_end.clone()),
            };
            let first = self.b.materialise(&form(&from));
            let last = self.b.materialise(&form(&to));
            let (counter, carried) =
                self.b
                    .begin_loop(LoopKind::Reduction, name, first, last, 1, &sums);
            self.push_scope();
            let mut at = if unroll > 1 {
                begin
            } else {
                Affine::constant(0)
            };
            match self.b.index_constant(counter) {
                Some(constant) => at.offset += constant * unroll,
                None => at.add_scaled(&Affine::variable(counter), unroll),
            }
            let next = self.unrolled(emission, depth, level, &at, unroll, counters, carried);
            self.pop_scope();
            sums = self.b.end_loop(&next?);
        }
        if rest == 0 {
            return Ok(sums);
        }
        self.unrolled(emission, depth, level, &main_end, rest, counters, sums)
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one place of a recursion that carries its whole state"
    )]
    pub(super) fn unrolled(
        &mut self,
        emission: &Emission<'_>,
        depth: usize,
        level: &Level,
        first: &Affine<Value>,
        count: i64,
        counters: &mut Vec<Place>,
        mut sums: Vec<Value>,
    ) -> Result<Vec<Value>, LowerError> {
        if level.slides && count > 0 {
            let samples = &emission.levels[depth + 1];
            return self.over_own_samples(samples, counters, &sums, |own, counters, mut sums| {
                for round in 0..count {
                    counters[level.variable] = Position::At(first.clone().plus(round));
                    sums = own.contract_level(emission, depth + 2, counters, sums)?;
                }
                Ok(sums)
            });
        }
        let mut round = 0;
        while round < count {
            let at = first.clone().plus(round);
            if round + 1 < count
                && let Some(next) =
                    self.two_rounds(emission, (depth, level), &at, counters, &sums)?
            {
                sums = next;
                round += 2;
                continue;
            }
            counters[level.variable] = Position::At(at);
            if level.how == How::Bounded {
                self.assume_within(emission, level, counters);
            }
            sums = self.contract_level(emission, depth + 1, counters, sums)?;
            round += 1;
        }
        Ok(sums)
    }

    /// Whole blocks with their samples unrolled, then the samples of the last, incomplete one.
    fn over_samples(
        &mut self,
        emission: &Emission<'_>,
        depth: usize,
        level: &Level,
        counters: &mut Vec<Place>,
        sums: Vec<Value>,
    ) -> Result<Vec<Value>, LowerError> {
        let lanes = self.cx.block as i64;
        let batch = form(&self.extent(level.extent));
        let whole = self.b.div_floor(&batch, lanes);
        let (zero, whole) = (self.b.index(0), self.b.materialise(&whole));
        let (block, carried) =
            self.b
                .begin_loop(LoopKind::Reduction, "block", zero, whole, 1, &sums);
        self.push_scope();
        let mut first = Affine::constant(0);
        first.add_scaled(&Affine::variable(block), lanes);
        let next = self.some_samples(emission, depth, level, &first, counters, carried);
        self.pop_scope();
        let sums = self.b.end_loop(&next?);
        let left = self.b.mod_floor(&batch, lanes);
        let left = self.b.materialise(&left);
        let (sample, carried) =
            self.b
                .begin_loop(LoopKind::Reduction, "sample", zero, left, 1, &sums);
        self.push_scope();
        let mut at = Affine::variable(sample);
        at.add_scaled(&Affine::variable(whole), lanes);
        counters[level.variable] = Position::At(at);
        let next = self.contract_level(emission, depth + 1, counters, carried);
        self.pop_scope();
        Ok(self.b.end_loop(&next?))
    }

    /// A block's samples, as many written out as a round's body has room for, eight at most.
    fn some_samples(
        &mut self,
        emission: &Emission<'_>,
        depth: usize,
        level: &Level,
        first: &Affine<Value>,
        counters: &mut Vec<Place>,
        sums: Vec<Value>,
    ) -> Result<Vec<Value>, LowerError> {
        let (block, together) = (self.cx.block as i64, level.unroll);
        debug_assert_eq!(block % together, 0, "blocks and bodies are powers of two");
        if together >= block {
            return self.unrolled(emission, depth, level, first, block, counters, sums);
        }
        let (zero, rounds) = (self.b.index(0), self.b.index(block / together));
        let (some, carried) =
            self.b
                .begin_loop(LoopKind::Reduction, "samples", zero, rounds, 1, &sums);
        self.b.assume(some, Range::new(0, block / together - 1));
        self.push_scope();
        let mut first = first.clone();
        first.add_scaled(&Affine::variable(some), together);
        let next = self.unrolled(emission, depth, level, &first, together, counters, carried);
        self.pop_scope();
        Ok(self.b.end_loop(&next?))
    }

    /// The rounds of a variable for which every operand it alone bounds is within its axis.
    fn bounds(
        &mut self,
        emission: &Emission<'_>,
        level: &Level,
        counters: &[Place],
    ) -> Result<(Affine<Value>, Affine<Value>), LowerError> {
        let variable = emission.contraction.shape.len() + level.variable;
        let mut begin = crate::loops::Affine::constant(0);
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
        Ok((super::affine(&begin), super::affine(&end)))
    }

    /// The rounds `r` for which `rest + step * r` is in `0..extent`.
    pub(super) fn rounds_within(
        &mut self,
        step: i64,
        rest: &crate::loops::Affine,
        extent: &crate::loops::Affine,
    ) -> (crate::loops::Affine, crate::loops::Affine) {
        let mut first_from = |distance: &crate::loops::Affine| {
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
    fn assume_within(&mut self, emission: &Emission<'_>, level: &Level, counters: &[Place]) {
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
                let range = crate::loops::Range::new(0, extent - 1);
                self.b.assume_form(&form(&numerator), range);
            }
        }
    }

    /// One product for each accumulator, under a condition where bounds alone do not keep the operands in range.
    fn contract_body(
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

    /// Whether a round takes part only under a condition.
    pub(super) fn is_conditional(&self, emission: &Emission<'_>) -> bool {
        let operands = emission.contraction.operands.iter().zip(&emission.borders);
        let mut axes = operands.flat_map(|(axes, borders)| axes.iter().zip(borders));
        axes.any(|(axis, &border)| border && !self.bounded_elsewhere(emission, axis))
    }

    /// Whether the loop over one of the axis' variables already keeps it within its bounds.
    fn bounded_elsewhere(&self, emission: &Emission<'_>, axis: &crate::graph::AxisIndex) -> bool {
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
                [one] => self
                    .b
                    .binary(crate::loops::VectorBinary::Add, sums[own], *one),
                [a, b] => self.b.fma(*a, *b, sums[own]),
                _ => return self.unsupported(emission.node, "a product of more than two tensors"),
            };
        }
        Ok(sums)
    }

    /// An operand's element for one accumulator in one round.
    pub(super) fn factor(
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
    pub(super) fn factor_places(
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
                Indexed::At { numerator, divisor } => {
                    use crate::schedule::position::IndexSpace;
                    match self.divide(&numerator, divisor) {
                        Some((position, _)) => Position::At(position),
                        None => return Err(LowerError::NotVector),
                    }
                }
            });
        }
        Ok(moved)
    }
}

/// Whether a reduced variable bounds an axis that has a border, alone among the reduced ones.
fn bounded(contraction: &Contraction, borders: &[Vec<bool>], variable: usize) -> bool {
    let rank = contraction.shape.len();
    contraction
        .operands
        .iter()
        .zip(borders)
        .any(|(axes, borders)| {
            axes.iter().zip(borders).any(|(axis, &border)| {
                let alone = axis.terms.iter().filter(|term| term.0 >= rank).count() == 1;
                border && axis.divisor == 1 && alone && axis.coefficient(variable) != 0
            })
        })
}

/// Whether the accumulators are inside the borders in different rounds of a level.
fn varies_at(emission: &Emission<'_>, level: &Level) -> bool {
    let rank = emission.contraction.shape.len();
    let instances = &emission.instances;
    let pairs = emission.contraction.operands.iter().zip(&emission.borders);
    let mut axes = pairs.flat_map(|pair| pair.0.iter().zip(pair.1));
    axes.any(|(axis, &border)| {
        let apart = |&(variable, _): &(usize, i64)| {
            variable < rank
                && instances
                    .iter()
                    .any(|instance| instance[variable] != instances[0][variable])
        };
        border && axis.coefficient(rank + level.variable) != 0 && axis.terms.iter().any(apart)
    })
}

/// Whether accumulators differ in a variable that moves a bordered axis.
fn varied(contraction: &Contraction, borders: &[Vec<bool>], instances: &[Vec<Place>]) -> bool {
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
fn stream_order(contraction: &Contraction, instances: &[Vec<Place>]) -> Vec<usize> {
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

fn largest_power(room: i64) -> i64 {
    [8, 4, 2]
        .into_iter()
        .find(|&power| power <= room)
        .unwrap_or(1)
}
