//! How buffers lie in memory, as kernels address them.

use super::buffers::Buffers;
use super::layout::{Layouts, RowsApart};
use crate::graph::NodeId;
use crate::plan::BufferId;
use std::collections::{BTreeMap, BTreeSet};

/// Orders that are not the rows of a value's shape. They go by buffer, as the body of a loop has a graph of its own, whose
/// nodes share their numbers with the step's.
#[derive(Debug, Default)]
pub struct Orders {
    /// Buffers in lanes whose channels lie beside the lanes.
    pub channels_inside: BTreeSet<BufferId>,
    /// Buffers in lanes, and plain copies, whose rows are kept apart.
    pub rows_apart: BTreeMap<BufferId, RowsApart>,
    /// Buffers in lanes whose axes, the lane axis left out, are in an order of their own in memory.
    pub ordered: BTreeMap<BufferId, Vec<usize>>,
    /// Buffers that hold what one round makes.
    pub of_round: BTreeSet<BufferId>,
}

impl Orders {
    /// Those of a step's buffers.
    pub fn of(buffers: &Buffers, layouts: &Layouts) -> Orders {
        let buffer_of = |id: &NodeId| buffers.of.get(id).copied();
        let copy_of = |id: &NodeId| buffers.relayouts.get(id).copied();
        let (inside, apart) = (layouts.channels_inside.iter(), layouts.rows_apart.iter());
        let apart = apart.filter_map(|(id, apart)| Some((buffer_of(id)?, *apart)));
        let copies = layouts.copies_apart.iter();
        let copies = copies.filter_map(|(id, apart)| Some((copy_of(id)?, *apart)));
        let images = layouts.images.iter();
        Orders {
            channels_inside: inside.filter_map(buffer_of).collect(),
            rows_apart: apart.chain(copies).collect(),
            ordered: images
                .filter_map(|(id, image)| Some((buffer_of(id)?, image.order.clone())))
                .collect(),
            of_round: layouts.of_round.iter().filter_map(buffer_of).collect(),
        }
    }

    /// The views that are a buffer's own order.
    pub fn images(buffers: &Buffers, layouts: &Layouts) -> BTreeMap<NodeId, BufferId> {
        let images = layouts.images.iter();
        let own = images.filter_map(|(id, image)| Some((image.view, *buffers.of.get(id)?)));
        own.collect()
    }

    /// What was decided, for a plan's text.
    pub fn decisions(&self, buffers: &Buffers) -> Vec<String> {
        let name = |id: &BufferId| &buffers.all[*id].name;
        let beside = self.channels_inside.iter().map(|id| {
            let more = match self.rows_apart.get(id) {
                Some(apart) if apart.axis == 0 => ", rows apart",
                Some(_) => ", pixels apart",
                None => "",
            };
            format!("{}: channels beside the lanes{more}", name(id))
        });
        let others = self.rows_apart.keys();
        let others = others.filter(|id| !self.channels_inside.contains(*id));
        let others = others.map(|id| format!("{}: rows apart", name(id)));
        let images = self.ordered.keys();
        let images = images.map(|id| format!("{}: windows in the order of their image", name(id)));
        beside.chain(others).chain(images).collect()
    }
}
