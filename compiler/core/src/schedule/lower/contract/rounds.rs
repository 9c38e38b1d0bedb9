//! The rounds of one loop of a contraction: in a loop, or written out.

use super::Emission;
use super::levels::{How, Level};
use crate::loops::{IntOp, LoopKind, Range, Value};
use crate::schedule::affine::Affine;
use crate::schedule::lower::{LowerError, Lowering, Place, Rows, affine, form};
use crate::schedule::position::Position;

impl Lowering<'_> {
    /// The rows that the kernel is at, where they are what an innermost loop goes through, and few enough to be written out.
    pub(super) fn few_rows(
        &self,
        emission: &Emission<'_>,
        depth: usize,
        level: &Level,
    ) -> Option<Rows> {
        let rows = self.rows.clone()?;
        let rounds = rows.count * emission.instances.len() as i64;
        let fits = rounds <= self.cx.target.unrolled_body as i64;
        let innermost = depth + 1 == emission.levels.len();
        (rows.variable == level.variable && innermost && fits).then_some(rows)
    }

    /// The part of a range that lies in the rows that the kernel is at.
    pub(super) fn in_rows(
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
        (affine(&begin), affine(&end))
    }

    /// The rounds that every accumulator takes part in as a loop; before and after it those at the border, written out
    /// for the accumulators that are inside.
    pub(super) fn bounded_rounds(
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

    /// A loop in steps of the unroll factor, then what remains.
    pub(super) fn rounds(
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
    pub fn unrolled(
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
    pub(super) fn over_samples(
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
