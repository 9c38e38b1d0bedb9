//! Neighbouring kernels that run slice by slice, so that what one leaves for the next stays in the second cache.
//!
//! ```text
//! kernel by kernel                   slice by slice
//! the scores of all heads            for each head
//! the greatest of all heads            its scores, their greatest, the exponentials,
//! the exponentials of all heads        their sum, the quotients, its product
//! …
//! ```
//!
//! Attention's scores are many times what it makes them from and what it makes of them. All kernels of a series have an axis
//! along which each element depends on what the others of the series have made at the same place only; a round of the
//! series does one element of that axis in each. What stands between two kernels of a series and takes nothing from it, as parts
//! of sums over the batch, runs before it.

use super::along::{Along, read_along};
use super::buffers::Sources;
use super::fuse::{Group, Strategy};
use super::order::made_by;
use super::placing::Step;
use super::units::{Slice, Unit, Work};
use crate::graph::{NodeId, Op};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Bytes of a block's value: as many or more do not stay in the second cache, fewer do.
const LARGE: i64 = 1 << 20;
/// Rounds of a series. More would leave kernels too little to do in each.
const ROUNDS: RangeInclusive<i64> = 2..=16;

/// Marks the units that run slice by slice.
pub fn slice(step: Step<'_>, units: &mut [Unit]) {
    units.iter_mut().for_each(|unit| unit.slice = None);
    let (mut first, mut number) = (0, 0);
    while first < units.len() {
        let series = longest(step, &units[first..]);
        let worth = series.filter(|series| series.is_worth_it(step, &units[first..]));
        let Some(series) = worth else {
            first += 1;
            continue;
        };
        for &(place, axis) in &series.members {
            units[first + place].slice = Some(Slice {
                series: number,
                axis,
                rounds: series.rounds,
            });
        }
        let end = first + series.length();
        units[first..end].sort_by_key(|unit| unit.slice.is_some());
        number += 1;
        first = end;
    }
}

/// Values that only the rounds that make them read, each its own part, whenever they are made: memory for one round holds
/// them. Of those that may lie in rows of their first axis after the samples.
pub fn of_round(sources: &Sources<'_>, may: impl Fn(NodeId) -> bool) -> BTreeSet<NodeId> {
    let mut found = BTreeSet::new();
    let mut others = BTreeSet::new();
    for unit in sources.units {
        for &value in made_by(sources.fusion, unit) {
            let readers = match unit.again {
                0 => Some(&sources.index.readers[value]),
                run => sources.index.again.get(&(value, run)),
            };
            let mut readers = readers.into_iter().flatten();
            let outermost = unit.slice.is_some_and(|slice| slice.axis == 1);
            let fits = outermost
                && may(value)
                && sources.lanes.axis(value) == Some(0)
                && !sources.index.leaving.contains(value)
                && readers.all(|&reader| unit.runs_with(&sources.units[reader]));
            match fits {
                true => found.insert(value),
                false => others.insert(value),
            };
        }
    }
    found.retain(|value| !others.contains(value));
    found
}

/// Units by their places, with the axis of the outputs of each that the rounds go along.
struct Series {
    rounds: i64,
    members: Vec<(usize, usize)>,
}

impl Series {
    /// Units from its first to its last.
    fn length(&self) -> usize {
        self.members.last().map_or(0, |&(place, _)| place + 1)
    }

    /// Whether what its units, products among them, leave for one another is too large for the second cache, and what a
    /// round leaves is not. Without products they go row by row ([`by_rows`](super::by_rows)).
    fn is_worth_it(&self, step: Step<'_>, units: &[Unit]) -> bool {
        let members = self.members.iter();
        let units: Vec<&Unit> = members.map(|&(place, _)| &units[place]).collect();
        let made = units.iter().flat_map(|unit| made_by(step.fusion, unit));
        let made: BTreeSet<NodeId> = made.copied().collect();
        let read = units.iter().flat_map(|unit| unit.reads.iter().copied());
        let read: BTreeSet<NodeId> = read.collect();
        let sizes = made.intersection(&read).map(|&value| bytes(step, value));
        let largest = sizes.max().unwrap_or(0);
        let product = |unit: &&Unit| {
            let anchor = group_of(step, unit).and_then(|group| group.anchor);
            anchor.is_some_and(|anchor| matches!(step.graph.nodes[anchor].op, Op::Contract(_)))
        };
        units.iter().any(product) && largest >= LARGE && largest / self.rounds < LARGE
    }
}

/// As many of these units from the first on as have an axis in common.
fn longest(step: Step<'_>, units: &[Unit]) -> Option<Series> {
    let group = group_of(step, units.first()?)?;
    let output = group.outputs[0];
    let shape = &step.graph.nodes[output].ty.shape;
    let lane = step.lanes.axis(output);
    let axes = (0..shape.len()).filter(|&axis| Some(axis) != lane);
    let rounds = axes.filter_map(|axis| shape[axis].known());
    let rounds: BTreeSet<i64> = rounds.filter(|rounds| ROUNDS.contains(rounds)).collect();
    let series = rounds.into_iter().map(|rounds| series(step, units, rounds));
    // Of two as long, the one of fewer rounds: its kernels do more in each.
    series.rev().max_by_key(|series| series.members.len())
}

/// The units from the first on that have an axis of so many elements in common.
fn series(step: Step<'_>, units: &[Unit], rounds: i64) -> Series {
    let mut made: BTreeMap<NodeId, usize> = BTreeMap::new();
    let mut members = Vec::new();
    let phase = units[0].phase;
    let of_phase = units.iter().take_while(|unit| unit.phase == phase);
    for (place, unit) in of_phase.enumerate() {
        if let Some(axis) = axis_of(step, unit, rounds, &made) {
            let outputs = made_by(step.fusion, unit).iter();
            made.extend(outputs.map(|&output| (output, axis)));
            members.push((place, axis));
        } else if !goes_before(step, unit, &made) {
            break;
        }
    }
    Series { rounds, members }
}

/// Whether a unit takes nothing of a series, and either only leaves what is summed or read outside of its block's own
/// kernels, or stands behind one that has made something large: the series might as well begin behind it else.
fn goes_before(step: Step<'_>, unit: &Unit, made: &BTreeMap<NodeId, usize>) -> bool {
    let aside = match unit.work {
        Work::Partial(_) | Work::Turn(_) | Work::Relayout(_) => true,
        Work::Group(_) => !unit.serial && made.keys().any(|&own| bytes(step, own) >= LARGE),
        Work::Loop(_) => false,
    };
    aside && unit.in_blocks && !unit.reads.iter().any(|read| made.contains_key(read))
}

/// Bytes of a block's value.
fn bytes(step: Step<'_>, value: NodeId) -> i64 {
    let ty = &step.graph.nodes[value].ty;
    let sample = ty.elements(step.batch as i64) / step.batch as i64;
    sample * step.block as i64 * ty.dtype.bytes() as i64
}

/// The group of a unit that can run slice by slice.
fn group_of<'a>(step: Step<'a>, unit: &Unit) -> Option<&'a Group> {
    let Work::Group(number) = unit.work else {
        return None;
    };
    let group = &step.fusion.groups[number];
    let shape = |id: NodeId| &step.graph.nodes[id].ty.shape;
    let first = group.outputs[0];
    let can = unit.in_blocks
        && !unit.serial
        && group.strategy == Strategy::Lanes
        && group.coarse.is_empty()
        && group.place.parts.is_none()
        && group.outputs.iter().all(|&id| shape(id) == shape(first));
    can.then_some(group)
}

/// The first axis of so many elements along which a unit reads what the series has made at the same place only.
fn axis_of(
    step: Step<'_>,
    unit: &Unit,
    rounds: i64,
    made: &BTreeMap<NodeId, usize>,
) -> Option<usize> {
    let group = group_of(step, unit)?;
    let output = group.outputs[0];
    let shape = &step.graph.nodes[output].ty.shape;
    let lane = step.lanes.axis(output);
    let follows = |axis: usize| {
        let read = read_along(step.graph, &step.fusion.stored, group, axis);
        read.is_some_and(|read| {
            read.iter().all(|(value, ways)| match made.get(value) {
                Some(&own) => ways.iter().all(|way| *way == Along::Axis(own)),
                None => true,
            })
        })
    };
    let fits = |&axis: &usize| Some(axis) != lane && shape[axis].known() == Some(rounds);
    (0..shape.len()).filter(fits).find(|&axis| follows(axis))
}
