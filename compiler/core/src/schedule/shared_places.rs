//! Values of a block that lie where a product of the same block then leaves its own.
//!
//! What later phases read of a block's product has memory that nothing has touched for long, and a small product waits for
//! every line of it. What only this phase reads lies in scratch. Where such a value has ended before the product begins and
//! is as large, the two share the place: the block then touches fewer lines, and the product's are near.
//!
//! Only where a product reads it last: kernels on both sides of a product are not joined row by row, and [`by_rows`](super::by_rows)
//! refuses what shares memory. Blocks stay whole lines, so that no two workers write one.
//! What a product makes keeps its scratch, as its stores would be the ones that wait.

use super::buffers::{Buffers, Sources};
use super::memory::ALIGNMENT;
use super::units::{Unit, Work};
use crate::graph::{NodeId, Op};
use crate::plan::{BufferId, Space};
use std::collections::BTreeMap;

/// The part of the second cache, one of so many, that a value may be and still be near when it has ended.
const NEAR: i64 = 4;

/// Of scratch, the buffers that lie at the place of one of the arena, each with that one.
pub fn shared_places(sources: &Sources<'_>, buffers: &Buffers) -> BTreeMap<BufferId, BufferId> {
    let mut ended = Ended::new(sources, buffers);
    let stored = sources.fusion.stored.iter();
    let makers = stored.filter_map(|&id| sources.index.makers[id].map(|maker| (maker, id)));
    let mut products: Vec<(usize, NodeId)> = makers
        .filter(|&(maker, _)| is_product_of_blocks(sources, &sources.units[maker]))
        .collect();
    products.sort_unstable();
    let pairs = products.into_iter().filter_map(|(maker, id)| {
        let own = *buffers.of.get(&id)?;
        Some((ended.take(sources, buffers, (maker, own))?, own))
    });
    pairs.collect()
}

/// The values in scratch whose last reader is a product.
struct Ended {
    /// By phase: the number of the last reader, and the value's buffer.
    by_phase: BTreeMap<usize, Vec<(usize, BufferId)>>,
}

impl Ended {
    fn new(sources: &Sources<'_>, buffers: &Buffers) -> Ended {
        let mut by_phase: BTreeMap<usize, Vec<(usize, BufferId)>> = BTreeMap::new();
        for &id in &sources.fusion.stored {
            let Some((_, maker)) = sources.maker(id) else {
                continue;
            };
            if let Some(&buffer) = buffers.of.get(&id)
                && let Some(last) = last_reader(sources, id, maker)
                && buffers.all[buffer].space == Space::Scratch
                && !buffers.all[buffer].cleared
            {
                by_phase
                    .entry(maker.phase)
                    .or_default()
                    .push((last, buffer));
            }
        }
        Ended { by_phase }
    }

    /// The one that has ended last before a product's value begins, and is as large as a block of it; none twice.
    fn take(
        &mut self,
        sources: &Sources<'_>,
        buffers: &Buffers,
        (maker, own): (usize, BufferId),
    ) -> Option<BufferId> {
        let made = &buffers.all[own];
        let near = made.block_stride as i64 <= sources.target.second_cache / NEAR;
        let lines = made.block_stride > 0 && made.block_stride.is_multiple_of(ALIGNMENT);
        if made.space != Space::Arena || made.cleared || !lines || !near {
            return None;
        }
        let ended = self.by_phase.get_mut(&sources.units[maker].phase)?;
        let places = ended.iter().enumerate();
        let fits = places.filter(|(_, (last, buffer))| {
            *last < maker && buffers.all[*buffer].bytes == made.block_stride
        });
        let (place, _) = fits.max_by_key(|(_, (last, _))| *last)?;
        Some(ended.swap_remove(place).1)
    }
}

/// The unit that reads a value last, if that is a product of blocks, and none of its readers, nor its maker, is part of a loop
/// or of rounds.
fn last_reader(sources: &Sources<'_>, id: NodeId, maker: &Unit) -> Option<usize> {
    let last = sources.readers(id).map(|(number, _)| number).max()?;
    let users = || sources.readers(id).map(|(_, unit)| unit).chain([maker]);
    let whole = users().all(|unit| unit.slice.is_none() && !matches!(unit.work, Work::Loop(_)));
    let behind = is_product_of_blocks(sources, &sources.units[last]);
    (whole && behind && !is_product_of_blocks(sources, maker)).then_some(last)
}

fn is_product_of_blocks(sources: &Sources<'_>, unit: &Unit) -> bool {
    let Work::Group(number) = unit.work else {
        return false;
    };
    let anchor = sources.fusion.groups[number].anchor;
    let op = anchor.map(|anchor| &sources.graph.nodes[anchor].op);
    unit.has_block_tasks() && unit.slice.is_none() && matches!(op, Some(Op::Contract(_)))
}
