//! Feeding a program's inputs from splits.

use super::SessionError;
use crate::data::{DataError, Gather, IndexBound, Split};
use crate::program::{Dimension, Layout, Program, Slot};
use crate::team::Part;

/// Where batches come from.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The samples, with all stages applied.
    pub split: Split,
    /// Samples in a batch.
    pub batch: u64,
    /// Whether a smaller last batch is left out.
    pub drop_last: bool,
    /// The inputs it fills.
    pub inputs: Vec<FeedInput>,
}

/// An input that is filled from one part of each sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedInput {
    /// Which part of a sample.
    pub part: usize,
    /// The input's name in the program.
    pub name: String,
    /// The values allowed, where the program uses them as indices.
    pub bound: Option<IndexBound>,
}

/// A feed and where it is.
#[derive(Debug)]
pub(super) struct FeedState {
    pub(super) feed: Feed,
    /// How often the split has been gone through before.
    pub(super) pass: u64,
    /// How many samples of this pass have been taken.
    pub(super) position: u64,
    /// The order of the pass `order_of`.
    order: Vec<u32>,
    order_of: Option<(u64, u64)>,
    /// The stored samples of the present batch, and the pass that its augmentations are drawn for.
    rows: Vec<u32>,
    rows_pass: u64,
    /// Added to the run's seed, so that two shuffled feeds have orders of their own.
    seed_offset: u64,
}

/// The odd number nearest to 2^64 over the golden ratio: spreads the feeds' seeds far apart.
const SEED_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Which feed and part fill an input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire {
    pub(super) feed: usize,
    pub(super) part: usize,
}

impl Feed {
    /// The sizes of its batches: of a full one, and of what is left.
    pub fn sizes(&self) -> Vec<u64> {
        let count = u64::from(self.split.count());
        let rest = count % self.batch.max(1);
        let full = (count >= self.batch).then_some(self.batch);
        let rest = Some(rest).filter(|&rest| rest > 0 && !self.drop_last);
        full.into_iter().chain(rest).collect()
    }
}

impl FeedState {
    /// The feeds of a program, each at its start.
    pub(super) fn of_all(feeds: Vec<Feed>) -> Result<Vec<FeedState>, SessionError> {
        (0..)
            .zip(feeds)
            .map(|(index, feed)| FeedState::new(feed, index))
            .collect()
    }

    fn new(feed: Feed, index: u64) -> Result<FeedState, SessionError> {
        for input in &feed.inputs {
            if let Some(bound) = input.bound {
                feed.split.check_bound(input.part, bound)?;
            }
        }
        if feed.batch == 0 {
            return Err(SessionError::NoBatches);
        }
        let rows = Vec::with_capacity(feed.batch as usize);
        let seed_offset = index.wrapping_mul(SEED_STEP);
        let (order, order_of, rows_pass) = (Vec::new(), None, 0);
        Ok(FeedState {
            feed,
            pass: 0,
            position: 0,
            order,
            order_of,
            rows,
            rows_pass,
            seed_offset,
        })
    }

    /// How many batches a pass has.
    pub(super) fn batches(&self) -> u64 {
        let count = u64::from(self.feed.split.count());
        if self.feed.drop_last {
            count / self.feed.batch
        } else {
            count.div_ceil(self.feed.batch)
        }
    }

    /// Goes back to the first sample.
    pub(super) fn rewind(&mut self) {
        (self.pass, self.position) = (0, 0);
    }

    /// How many samples the next batch has.
    pub(super) fn next_size(&self) -> u64 {
        let count = u64::from(self.feed.split.count());
        let left = count - self.position;
        if left == 0 || (self.feed.drop_last && left < self.feed.batch) {
            return self.feed.batch.min(count);
        }
        self.feed.batch.min(left)
    }

    /// Takes the next batch of a pass; the pass after it begins when it is over. The number of samples.
    pub(super) fn next_batch(&mut self, seed: u64) -> u64 {
        let count = u64::from(self.feed.split.count());
        let left = count - self.position;
        if left == 0 || (self.feed.drop_last && left < self.feed.batch) {
            (self.pass, self.position) = (self.pass + 1, 0);
        }
        let size = self.next_size();
        self.take(size, seed);
        size
    }

    /// Takes so many samples, of as many passes as that needs.
    pub(super) fn take(&mut self, size: u64, seed: u64) {
        self.rows.clear();
        self.rows_pass = self.pass;
        let count = u64::from(self.feed.split.count());
        while (self.rows.len() as u64) < size && count > 0 {
            if self.position == count {
                (self.pass, self.position) = (self.pass + 1, 0);
            }
            self.refresh_order(seed);
            let taken = (size - self.rows.len() as u64).min(count - self.position);
            let begin = self.position as usize;
            self.rows
                .extend_from_slice(&self.order[begin..begin + taken as usize]);
            self.position += taken;
        }
    }

    fn refresh_order(&mut self, seed: u64) {
        if self.order_of != Some((seed, self.pass)) {
            self.order = self
                .feed
                .split
                .order(seed.wrapping_add(self.seed_offset), self.pass as u32);
            self.order_of = Some((seed, self.pass));
        }
    }

    /// Fills a part of an input from the present batch.
    pub(super) fn fill(&self, wire: Wire, part: &Part, seed: u64, destination: &mut [u8]) {
        let seed = seed.wrapping_add(self.seed_offset);
        let gather = Gather::new(&self.feed.split, seed, self.rows_pass as u32);
        let rows = if part.whole {
            &self.rows[..]
        } else {
            &self.rows[part.begin as usize..part.end as usize]
        };
        gather.fill(wire.part, rows, part.lanes as usize, destination);
    }
}

/// Finds what fills each input of a program.
pub(super) fn wires(program: &Program, feeds: &[FeedState]) -> Result<Vec<Wire>, SessionError> {
    for input in feeds.iter().flat_map(|state| &state.feed.inputs) {
        if !program.inputs.iter().any(|slot| slot.name == input.name) {
            let reason = "the program has no such input".to_string();
            return Err(SessionError::Input {
                name: input.name.clone(),
                reason,
            });
        }
    }
    program
        .inputs
        .iter()
        .map(|slot| wire(slot, feeds))
        .collect()
}

fn wire(slot: &Slot, feeds: &[FeedState]) -> Result<Wire, SessionError> {
    let misfit = |reason: String| SessionError::Input {
        name: slot.name.clone(),
        reason,
    };
    let find = |(feed, state): (usize, &FeedState)| {
        let input = state
            .feed
            .inputs
            .iter()
            .find(|input| input.name == slot.name)?;
        Some(Wire {
            feed,
            part: input.part,
        })
    };
    let wire = feeds
        .iter()
        .enumerate()
        .find_map(find)
        .ok_or_else(|| misfit("nothing feeds it".to_string()))?;
    let feed = &feeds[wire.feed].feed;
    check_part(slot, feed, wire.part)?;
    match (slot.shape.first(), slot.layout) {
        (Some(Dimension::Batch), Layout::Plain | Layout::Lanes { axis: 0, .. }) => {
            if wire.feed == 0 || feeds[0].feed.batch == feed.batch {
                Ok(wire)
            } else {
                Err(misfit(format!(
                    "its batch is the first feed's, {}, and not {}",
                    feeds[0].feed.batch, feed.batch
                )))
            }
        }
        (Some(Dimension::Fixed(size)), Layout::Plain) if *size == feed.batch => Ok(wire),
        _ => Err(misfit(format!(
            "its layout is {:?} of {:?}",
            slot.layout, slot.shape
        ))),
    }
}

/// Whether a slot has the type and shape of a part of the samples, after its axis of samples.
fn check_part(slot: &Slot, feed: &Feed, part: usize) -> Result<(), DataError> {
    let sizes: Vec<u64> = slot.sizes(feed.batch);
    let field = feed.split.fields.get(part);
    if field.is_some_and(|field| {
        sizes.get(1..) == Some(&field.shape[..]) && field.dtype() == slot.dtype
    }) {
        return Ok(());
    }
    let expected = format!("{}{:?}", slot.dtype, sizes.get(1..).unwrap_or_default());
    let found = field.map_or_else(
        || format!("{} parts", feed.split.fields.len()),
        |field| format!("{}{:?}", field.dtype(), field.shape),
    );
    Err(DataError::Part {
        part,
        expected,
        found,
    })
}
