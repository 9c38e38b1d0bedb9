//! Values of the forward pass that are not kept for the backward pass, but computed again (Chen et al., 2016, "Training Deep
//! Nets with Sublinear Memory Cost"; which ones, as in Kirisame et al., 2020, "Dynamic Tensor Rematerialization").
//!
//! ```text
//! before                                     after
//! product79        gives product79           product79        gives product79
//! map93            gives value93             map93            gives value93
//! product95        reads value93             product95        reads value93
//! …                                          …
//!                                            map93, again     gives value93'
//! product1077_part reads value93             product1077_part reads value93'
//! ```
//!
//! A walk through the units in their order keeps count of what lives. Where that is more than the limit, it lets go of
//! the value that costs least to have again, for the bytes that it frees and the time until it is read. Where a value is
//! read that is gone, the units that make it run again right before, in the same phase and task, as the same kernels on the same
//! operands, or one slice after the other: the bits are the same, of random values too. Only what runs for sample blocks and leaves nothing but
//! activations runs again, so that statistics and updates happen once.

mod facts;
mod segments;
#[cfg(test)]
mod tests;

pub use facts::Facts;
pub use segments::{Forward, Segments};

use super::order::made_by;
use super::units::Unit;
use crate::graph::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// How many times the units of a step may run again in all, on average.
const MOST_RUNS: usize = 3;
/// A value stays for one that is computed from it again within so many units.
const SOON: usize = 16;

/// Who decides what is let go.
#[derive(Clone, Copy, Debug)]
pub enum Keeping<'a> {
    /// The limit: only what must go, goes.
    Limit(Limit),
    /// The cuts of the forward pass, between which nothing is kept.
    Segments(&'a Segments),
}

/// What a walk keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Bytes of activations and all else that lives within a step.
    pub bytes: i64,
    /// Workers, each with its scratch.
    pub workers: i64,
    /// Only elementwise work is done again.
    pub only_maps: bool,
}

/// Units with those that run again, and what that costs.
pub struct Recomputed {
    /// All units in order.
    pub units: Vec<Unit>,
    /// The most bytes that live at a time, as the walk counts them.
    pub peak: i64,
    /// The unit at which they do: about where the forward pass ends.
    pub turn: usize,
    /// What runs again, by what it takes.
    pub cost: i64,
    /// The multiply-adds of products that are computed again.
    pub multiply_adds: i64,
}

/// The units with some that run again, so that about no more than the limit lives at a time, or little more than a segment
/// and what passes the cuts; none where that takes too much work.
pub fn recompute(facts: &Facts<'_>, keeping: Keeping<'_>) -> Option<Recomputed> {
    let (limit, segments) = match keeping {
        Keeping::Limit(limit) => (limit, None),
        Keeping::Segments(segments) => (segments.limit(), Some(segments)),
    };
    let mut walk = Walk {
        facts,
        limit,
        segments,
        units: Vec::with_capacity(facts.units.len()),
        kept: BTreeMap::new(),
        gone: BTreeSet::new(),
        held: BTreeMap::new(),
        runs: vec![0; facts.units.len()],
        live: 0,
        dying: 0,
        phase: 0,
        peak: 0,
        turn: 0,
        cost: 0,
        multiply_adds: 0,
    };
    for number in 0..facts.units.len() {
        walk.step(number)?;
    }
    Some(Recomputed {
        units: without_unread(facts, walk.units),
        peak: walk.peak,
        turn: walk.turn,
        cost: walk.cost,
        multiply_adds: walk.multiply_adds,
    })
}

/// The units without first runs whose values are read from later runs only: the second run is the first then.
fn without_unread(facts: &Facts<'_>, mut units: Vec<Unit>) -> Vec<Unit> {
    let mut read: BTreeSet<NodeId> = BTreeSet::new();
    for unit in &units {
        read.extend(unit.reads.iter().filter(|value| unit.run_of(**value) == 0));
    }
    let made = |unit: &Unit| made_by(facts.program.fusion, unit);
    let again = units.iter().filter(|unit| unit.again > 0);
    let late = again.filter(|unit| made(unit).iter().all(|value| !read.contains(value)));
    let late: BTreeSet<NodeId> = late.flat_map(made).copied().collect();
    let is_late = |unit: &Unit| made(unit).iter().any(|value| late.contains(value));
    units.retain(|unit| unit.again > 0 || !is_late(unit));
    for unit in &mut units {
        unit.again -= usize::from(is_late(unit));
        for (value, run) in &mut unit.from {
            *run -= usize::from(late.contains(value));
        }
        unit.from.retain(|_, run| *run > 0);
    }
    units
}

/// A value in memory.
#[derive(Clone, Copy)]
struct Kept {
    bytes: i64,
    /// It is in a worker's scratch.
    local: bool,
    /// The run that made it.
    run: usize,
}

struct Walk<'a> {
    facts: &'a Facts<'a>,
    limit: Limit,
    segments: Option<&'a Segments>,
    units: Vec<Unit>,
    kept: BTreeMap<NodeId, Kept>,
    /// Values that were let go and are read again.
    gone: BTreeSet<NodeId>,
    /// Values that stay for others which are computed from them again, until then.
    held: BTreeMap<NodeId, usize>,
    runs: Vec<usize>,
    live: i64,
    /// Of `live`, what lives to the end of the phase only.
    dying: i64,
    phase: usize,
    peak: i64,
    /// The unit at which most lives.
    turn: usize,
    cost: i64,
    multiply_adds: i64,
}

/// What it takes to have a value again.
struct Price {
    cost: i64,
    /// Bytes by units that other values live longer for it.
    held: i64,
}

impl Walk<'_> {
    fn step(&mut self, number: usize) -> Option<()> {
        let unit = &self.facts.units[number];
        if unit.phase != self.phase {
            self.phase = unit.phase;
            self.live -= std::mem::take(&mut self.dying);
        }
        self.provide(number)?;
        self.run(number, 0, number, &unit.reads);
        for &value in unit
            .reads
            .iter()
            .chain(made_by(self.facts.program.fusion, unit))
        {
            self.release(value, number + 1);
        }
        Some(())
    }

    /// Runs again what a unit reads and what is gone.
    fn provide(&mut self, number: usize) -> Option<()> {
        let missing = self.missing(&self.facts.units[number].reads);
        let mut pinned = self.facts.units[number].reads.clone();
        let last: BTreeMap<NodeId, usize> = missing
            .iter()
            .flat_map(|&maker| {
                self.facts.units[maker]
                    .reads
                    .iter()
                    .map(move |&read| (read, maker))
            })
            .collect();
        pinned.extend(last.keys());
        for &maker in &missing {
            self.runs[maker] += 1;
            if self.units.len() > (MOST_RUNS + 1) * self.facts.units.len() {
                return None;
            }
            self.cost += self.facts.cost[maker];
            self.multiply_adds += self.facts.multiply_adds(&self.facts.units[maker]);
            self.run(maker, self.runs[maker], number, &pinned);
            let done = self.facts.units[maker].reads.iter();
            for &value in done.filter(|value| last[value] == maker) {
                self.release_but_for(number, value);
            }
        }
        for &maker in &missing {
            for &output in made_by(self.facts.program.fusion, &self.facts.units[maker]) {
                self.release_but_for(number, output);
            }
        }
        Some(())
    }

    /// Lets go of a value that nothing reads after unit `number`, nor that unit.
    fn release_but_for(&mut self, number: usize, value: NodeId) {
        if !self.facts.units[number].reads.contains(&value) {
            self.release(value, number + 1);
        }
    }

    /// The units that must run again, in order, so that these values are there.
    fn missing(&self, values: &BTreeSet<NodeId>) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut pending: Vec<NodeId> = values.iter().copied().collect();
        while let Some(value) = pending.pop() {
            if self.kept.contains_key(&value) || !self.facts.again.contains_key(&value) {
                continue;
            }
            let maker = self.facts.maker[&value];
            if found.insert(maker) {
                pending.extend(&self.facts.units[maker].reads);
            }
        }
        found
    }

    /// Runs a unit for the time of that number at the place of unit `at`, with room for what it makes.
    fn run(&mut self, number: usize, run: usize, at: usize, pinned: &BTreeSet<NodeId>) {
        let facts = self.facts;
        let unit = &facts.units[number];
        let from = unit.reads.iter().filter_map(|&read| {
            let run = self.kept.get(&read)?.run;
            (run > 0).then_some((read, run))
        });
        let from: BTreeMap<NodeId, usize> = from.collect();
        for &output in made_by(facts.program.fusion, unit) {
            if self.kept.contains_key(&output) {
                continue;
            }
            let local = self.is_local(output, at);
            let bytes = facts.bytes(output, local, self.limit.workers);
            self.make_room(bytes, at, pinned);
            self.live += bytes;
            if self.live > self.peak {
                (self.peak, self.turn) = (self.live, at);
            }
            self.gone.remove(&output);
            self.kept.insert(output, Kept { bytes, local, run });
        }
        self.units.push(Unit {
            phase: facts.units[at].phase,
            again: run,
            from,
            ..unit.clone()
        });
    }

    /// Whether all who read a value from unit `at` on are in its phase, and run for blocks.
    fn is_local(&self, value: NodeId, at: usize) -> bool {
        let facts = self.facts;
        let unit = &facts.units[at];
        let last = &facts.units[facts.last_use(value).max(at)];
        let in_lanes = facts.program.lanes.axis(value).is_some();
        unit.in_blocks && in_lanes && last.phase == unit.phase
    }

    /// Lets go of a value that nothing reads from unit `from` on.
    fn release(&mut self, value: NodeId, from: usize) {
        if self.lets_go(value, from) {
            self.gone.insert(value);
        } else if self.is_wanted(value, from) {
            return;
        }
        if let Some(kept) = self.kept.remove(&value) {
            match kept.local {
                true => self.live -= kept.bytes,
                false => self.dying += kept.bytes,
            }
        }
    }

    /// Whether a value is between two cuts, and was read for the last time before the forward pass ends.
    fn lets_go(&self, value: NodeId, from: usize) -> bool {
        let Some(segments) = self.segments else {
            return false;
        };
        let first = self.kept.get(&value).is_some_and(|kept| kept.run == 0)
            && self.facts.maker[&value] <= segments.last_cut;
        let next = self.facts.next_use(value, from);
        first
            && from <= segments.turn
            && next.is_some_and(|next| next > segments.turn)
            && !segments.kept.contains(&value)
            && self.facts.is_in_time(value)
    }

    /// Whether a value is read from unit `from` on, or by what is soon computed again.
    fn is_wanted(&self, value: NodeId, from: usize) -> bool {
        let cut = self
            .segments
            .is_some_and(|segments| segments.kept.contains(&value));
        let held = self.held.get(&value).is_some_and(|&until| until >= from);
        cut || held
            || self.facts.next_use(value, from).is_some()
            || self.is_wanted_soon(value, from)
    }

    /// Whether a value that is gone is soon computed from this one again.
    fn is_wanted_soon(&self, value: NodeId, from: usize) -> bool {
        let outputs = self.facts.uses[value]
            .iter()
            .flat_map(|&reader| made_by(self.facts.program.fusion, &self.facts.units[reader]));
        let mut gone = outputs.filter(|output| self.gone.contains(*output));
        gone.any(|&output| {
            let next = self.facts.next_use(output, from);
            next.is_some_and(|next| next <= from + SOON)
        })
    }

    /// Lets go of values until there is room for so many bytes, as far as there are any.
    fn make_room(&mut self, bytes: i64, at: usize, pinned: &BTreeSet<NodeId>) {
        while self.live + bytes > self.limit.bytes {
            let Some(value) = self.victim(at, pinned) else {
                return;
            };
            let next = self.facts.next_use(value, at + 1).unwrap_or(at);
            for input in self.inputs_that_stay(value) {
                let until = self.held.entry(input).or_insert(next);
                *until = (*until).max(next);
            }
            if let Some(kept) = self.kept.remove(&value) {
                self.live -= kept.bytes;
            }
            self.gone.insert(value);
        }
    }

    /// The operands of a value's unit that cannot be computed again themselves.
    fn inputs_that_stay(&self, value: NodeId) -> Vec<NodeId> {
        let maker = self.facts.maker[&value];
        let reads = self.facts.units[maker].reads.iter().copied();
        reads
            .filter(|read| self.facts.maker.contains_key(read) && !self.may_go(*read))
            .collect()
    }

    fn may_go(&self, value: NodeId) -> bool {
        self.facts.again.contains_key(&value) && (!self.limit.only_maps || self.facts.is_map(value))
    }

    /// The value whose bytes, for the time until it is read, cost least.
    fn victim(&self, at: usize, pinned: &BTreeSet<NodeId>) -> Option<NodeId> {
        let mut best: Option<(f64, NodeId)> = None;
        for (&value, kept) in &self.kept {
            let facts = self.facts;
            let Some(next) = facts.next_use(value, at + 1) else {
                continue;
            };
            if pinned.contains(&value)
                || !self.may_go(value)
                || !facts.is_in_time(value)
                || next <= at + 1
            {
                continue;
            }
            let room = kept.bytes * (next - at) as i64;
            let least = best.map_or(f64::INFINITY, |best| best.0);
            let Some(price) = self.price(value, next, least * room as f64) else {
                continue;
            };
            let gained = room - price.held;
            let score = price.cost as f64 / gained.max(1) as f64;
            if gained > 0 && score < least {
                best = Some((score, value));
            }
        }
        best.map(|best| best.1)
    }

    /// What it takes to have a value again for unit `next`; none where that is more than `most`.
    fn price(&self, value: NodeId, next: usize, most: f64) -> Option<Price> {
        let facts = self.facts;
        let mut price = Price { cost: 0, held: 0 };
        let mut seen = BTreeSet::new();
        let mut pending = vec![facts.maker[&value]];
        while let Some(maker) = pending.pop() {
            if !seen.insert(maker) {
                continue;
            }
            price.cost += facts.cost[maker];
            if price.cost as f64 > most {
                return None;
            }
            for &read in &facts.units[maker].reads {
                let Some(&source) = facts.maker.get(&read) else {
                    continue;
                };
                if !self.may_go(read) {
                    let last = facts
                        .last_use(read)
                        .max(self.held.get(&read).copied().unwrap_or(0));
                    let bytes = facts.program.bytes(read);
                    price.held += bytes * next.saturating_sub(last) as i64;
                } else if !self.kept.contains_key(&read) {
                    pending.push(source);
                }
            }
        }
        Some(price)
    }
}
