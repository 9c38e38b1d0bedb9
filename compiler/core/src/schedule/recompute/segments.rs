//! Cuts of the forward pass: what passes one is kept, and what lies between two is computed again as a whole.

use super::{Facts, Limit};
use crate::graph::NodeId;
use crate::schedule::order::made_by;
use std::collections::BTreeSet;

/// The forward pass, cut.
#[derive(Debug)]
pub struct Segments {
    /// The last unit of the forward pass.
    pub turn: usize,
    /// The last cut: what is made after it is read soon.
    pub last_cut: usize,
    /// What passes a cut.
    pub kept: BTreeSet<NodeId>,
    workers: i64,
}

/// A forward pass, and where it can be cut.
pub struct Forward {
    turn: usize,
    /// What later units of the pass read of the units up to each one, with its bytes.
    passing: Vec<(i64, BTreeSet<NodeId>)>,
    /// Bytes that the units up to each one make.
    made: Vec<i64>,
}

impl Forward {
    /// That of the units up to `turn`.
    pub fn new(facts: &Facts<'_>, turn: usize) -> Forward {
        let made = (0..turn).scan(0, |sum, unit| {
            let values = made_by(facts.program.fusion, &facts.units[unit]).iter();
            *sum += values.map(|&value| facts.program.bytes(value)).sum::<i64>();
            Some(*sum)
        });
        Forward {
            turn,
            passing: passing(facts, turn),
            made: made.collect(),
        }
    }

    /// The pass in so many segments that make about as many bytes, each cut where the least passes.
    pub fn cut(&self, count: usize, workers: i64) -> Segments {
        let Forward {
            turn,
            passing,
            made,
        } = self;
        let whole = made.last().copied().unwrap_or(0);
        let share = |part: usize| whole * part as i64 / (2 * count.max(1)) as i64;
        let place = |bytes: i64| made.partition_point(|&sum| sum < bytes);
        let (mut kept, mut last_cut) = (BTreeSet::new(), 0);
        for cut in 1..count {
            // Up to half a segment to either side.
            let (first, end) = (place(share(2 * cut - 1)), place(share(2 * cut + 1)));
            let places = (first..end.max(first + 1)).filter(|&place| place < passing.len());
            if let Some(place) = places.min_by_key(|&place| passing[place].0) {
                kept.extend(&passing[place].1);
                last_cut = place;
            }
        }
        Segments {
            turn: *turn,
            last_cut,
            kept,
            workers,
        }
    }
}

impl Segments {
    /// No limit.
    pub(super) fn limit(&self) -> Limit {
        Limit {
            bytes: i64::MAX,
            workers: self.workers,
            only_maps: false,
        }
    }
}

/// What later units of the forward pass read of the units up to each one, with its bytes.
fn passing(facts: &Facts<'_>, turn: usize) -> Vec<(i64, BTreeSet<NodeId>)> {
    let mut now: BTreeSet<NodeId> = BTreeSet::new();
    let mut all = Vec::with_capacity(turn);
    for unit in 0..turn {
        now.extend(made_by(facts.program.fusion, &facts.units[unit]));
        let later = |value: &NodeId| {
            facts
                .next_use(*value, unit + 1)
                .is_some_and(|next| next <= turn)
        };
        now.retain(later);
        let bytes = now.iter().map(|&value| facts.program.bytes(value)).sum();
        all.push((bytes, now.clone()));
    }
    all
}
