//! What a tile of a product costs: cycles of its multiply-adds, by what bounds them.

use super::shape::Shape;
use crate::schedule::lower::Context;
use crate::schedule::sliding;
use crate::schedule::target::Target;

/// Bytes a cycle that the second cache gives.
const SECOND_CACHE: f64 = 20.0;

/// Cycles until a sum can be added to again.
const LATENCY: usize = 4;

/// Whether so many sums are fewer than two multipliers can add to without waiting, and registers hold as many again.
pub fn splits(sums: usize, target: &Target) -> bool {
    sums < 2 * LATENCY && 2 * sums <= target.accumulators
}

/// Cycles for each vector multiply-add.
pub(super) struct Cost {
    /// With what loads take that miss the first cache.
    pub cycles: f64,
    /// Without.
    pub unmissed: f64,
}

/// Cycles for each vector multiply-add, and sums and loads for each round of the reduction; none where registers do not
/// hold the tile.
pub(super) fn cost(
    cx: &Context<'_>,
    shape: &Shape,
    parts: usize,
    factors: &[usize],
) -> Option<(Cost, (usize, usize))> {
    let axes = factors.iter().zip(&shape.whole);
    let repeats: usize = axes.filter(|pair| *pair.1).map(|pair| *pair.0).product();
    let instances = factors.iter().product::<usize>() / repeats.max(1) * shape.instances;
    let sums = instances * parts;
    let mut loads = [0, 1].map(|operand| loads(shape, parts, factors, operand));
    // A splat counts as a vector, one register for each part of the lanes: an upper bound, as its parts may share one.
    let held = [0, 1].map(|operand| match shape.vector[operand] {
        true => loads[operand],
        false => loads[operand] * parts,
    });
    let mut held = held[0].min(held[1]);
    if let Some(row) = shape.sliding.filter(|row| factors[row.taps] > 1) {
        held = loads[row.operand];
        let (taps, pixels) = (factors[row.taps], sliding::pixels(cx.target, instances));
        loads[row.operand] = (held / taps * row.elements(taps, pixels)).div_ceil(pixels);
    }
    // What one round of overlapping windows loaded serves the next.
    let slides = shape.windows.iter().any(|&window| window > 1);
    let live = sums + held + cx.target.spare + if slides { 2 * parts } else { 0 };
    let fits = live <= cx.target.registers && sums <= cx.target.accumulators;
    if instances > 1 && !fits {
        return None;
    }
    let unmissed = bound(cx, shape, parts, (sums, loads));
    let useful = useful(shape, factors, sums);
    let ends = shape.ends.as_ref();
    let ends = ends.map_or(0.0, |ends| ends.cycles(cx.target, factors));
    let passes = shape.passes.as_ref();
    let passes = passes.map_or(0.0, |passes| passes.cycles(factors));
    let each = |cycles: f64| cycles / sums as f64 / useful + ends;
    let cost = Cost {
        cycles: each(unmissed + missed(shape, parts, factors, loads)) + passes,
        unmissed: each(unmissed),
    };
    Some((cost, (sums, in_pieces(shape, loads))))
}

/// How many vectors or splats a round reads of an operand.
fn loads(shape: &Shape, parts: usize, factors: &[usize], operand: usize) -> usize {
    let axes = factors.iter().zip(&shape.moves[operand]);
    let moving = axes.filter(|pair| *pair.1).map(|pair| *pair.0);
    let each = if shape.vector[operand] { parts } else { 1 };
    moving.product::<usize>() * shape.windows[operand] * each
}

/// The loads of a round, of vectors whose elements lie apart several each.
fn in_pieces(shape: &Shape, loads: [usize; 2]) -> usize {
    let pieces = loads.iter().zip(shape.pieces);
    pieces.map(|(load, pieces)| load * pieces).sum()
}

/// The cycles of a round: bound by the multipliers (two a cycle), the loads (two), the latency of dependent sums, the
/// decoder (six) or the second cache.
fn bound(cx: &Context<'_>, shape: &Shape, parts: usize, (sums, loads): (usize, [usize; 2])) -> f64 {
    let load = in_pieces(shape, loads);
    let joins: usize = (0..2)
        .map(|operand| loads[operand] * shape.joins[operand])
        .sum();
    let latency = match shape.splits && splits(sums, cx.target) {
        true => LATENCY / 2,
        false => LATENCY,
    };
    let cycles = [
        (sums + joins) as f64 / 2.0,
        load as f64 / 2.0,
        latency as f64,
        (cx.target.fma_instructions * sums + load + joins + 3) as f64 / 6.0,
        stream_cycles(cx, shape, parts, &loads),
    ];
    cycles.into_iter().fold(0.0, f64::max)
}

/// What loads that miss the first cache delay multiply-adds that nothing else bounds.
fn missed(shape: &Shape, parts: usize, factors: &[usize], loads: [usize; 2]) -> f64 {
    let missed = (0..2).map(|operand| match shape.vector[operand] {
        true => loads[operand] as f64 / parts as f64 * 0.5,
        false => {
            let beside = shape.beside[operand].map_or(1, |axis| factors[axis]);
            (loads[operand] / beside.max(1)) as f64 * 0.15
        }
    });
    missed.sum()
}

/// The share of the tiles' elements that there are.
fn useful(shape: &Shape, factors: &[usize], sums: usize) -> f64 {
    let mut useful = 1.0;
    for (&extent, &factor) in shape.extents.iter().zip(factors) {
        let rest = extent as usize % factor;
        if shape.along_channels && rest * sums / factor >= 2 * LATENCY {
            continue;
        }
        let tiles = extent.max(1) as usize / factor
            + usize::from(!(extent as usize).is_multiple_of(factor));
        useful *= extent as f64 / (tiles * factor) as f64;
    }
    useful
}

/// What the second cache takes for the lines of the streamed operand; of lines that hold more lanes than a vector, all.
fn stream_cycles(cx: &Context<'_>, shape: &Shape, parts: usize, loads: &[usize]) -> f64 {
    let Some(operand) = shape.streamed else {
        return 0.0;
    };
    let lanes = parts * cx.target.register_lanes;
    let bytes = loads[operand] * cx.target.register_lanes * 4 * (shape.block / lanes).max(1);
    bytes as f64 / SECOND_CACHE
}
