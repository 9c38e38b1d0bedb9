//! A block's part of a weight gradient as a sum of outer products: vectors along channels, samples one after the other.

use super::axes::block_axes;
use super::passes::Passes;
use super::tile::{self, Along};
use super::{Context, LowerError, Lowered, Lowering, Place, Share, Vectors, form};
use crate::graph::NodeId;
use crate::loops::{self, IntOp, LoadKind, LoopKind, Range, TILE, Value, VectorBinary};
use crate::plan::{BufferId, ScalarArgument};
use crate::schedule::affine::Affine;
use crate::schedule::fuse::Group;
use crate::schedule::outer::{Outer, RowsOfPartial, rows_of_partial};
use crate::schedule::position::Position;

use super::contract::Level;

/// Pixels of a block that an outer product sums together at most: the turned vectors of a tile, and those of all taps, stay
/// in the second cache, or, of whole rows, those of all channels.
pub(super) fn pixels_together(cx: &Context<'_>, anchor: NodeId, outer: Outer) -> i64 {
    /// Pixels of 16 samples and 16 channels: 128 KB.
    const PIXELS: i64 = 128;
    let passes = Passes::of(cx, anchor, outer);
    let together = passes.and_then(|passes| passes.pixels_together());
    together.unwrap_or(PIXELS).min(PIXELS)
}

/// The turned operand of a kernel's product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turned {
    pub outer: Outer,
    pub buffer: BufferId,
}

/// The kernel that adds one block's part of the group's anchor, whose turned operand is in `buffer`, to the task's partial.
///
/// # Errors
/// Where an operation has no lowering.
pub fn lower_outer(
    cx: &Context<'_>,
    group: &Group,
    name: &str,
    (outer, buffer): (Outer, BufferId),
) -> Result<Lowered, LowerError> {
    let share = Share {
        partial: true,
        ..Share::default()
    };
    let tile = tile::choose(cx, group, share, Along::Channels(outer), name);
    let mut lowering = Lowering::new(cx, group, name.into(), true, tile.width as u8);
    lowering.turned = Some(Turned { outer, buffer });
    lowering.bind();
    let shape = cx.graph.nodes[lowering.domain_node()].ty.shape.clone();
    let mut axes = block_axes(&shape, None, &tile.factors);
    let mut along = axes.remove(outer.axis);
    along.vector = true;
    let passes = group
        .anchor
        .and_then(|anchor| Passes::of(cx, anchor, outer));
    match passes.is_some_and(|passes| passes.by_other(&tile.factors)) {
        true => axes.push(along),
        false => axes.insert(0, along),
    }
    lowering.set_order(&axes);
    lowering.preload()?;
    lowering.over_rows(&axes, None, &tile.factors)?;
    lowering.finish(None, tile.reason)
}

impl Lowering<'_> {
    /// The samples of the block, those that are there, one by one; within each, what is summed of it.
    pub(super) fn over_own_samples(
        &mut self,
        level: &Level,
        counters: &mut Vec<Place>,
        sums: &[Value],
        of_sample: impl FnOnce(&mut Self, &mut Vec<Place>, Vec<Value>) -> Result<Vec<Value>, LowerError>,
    ) -> Result<Vec<Value>, LowerError> {
        let first = self.b.index(0);
        let valid = self.scalar(ScalarArgument::ValidLanes);
        let (sample, carried) =
            self.b
                .begin_loop(LoopKind::Reduction, "sample", first, valid, 1, sums);
        let last = self.cx.block as i64 - 1;
        self.b.assume(sample, Range::new(0, last));
        self.push_scope();
        counters[level.variable] = Position::At(Affine::variable(sample));
        let next = of_sample(self, counters, carried);
        self.pop_scope();
        Ok(self.b.end_loop(&next?))
    }

    /// A vector of channels of the turned operand at a place of the operand as it is.
    pub(super) fn load_turned(
        &mut self,
        turned: Turned,
        input: NodeId,
        places: &[Place],
    ) -> Result<Value, LowerError> {
        let lane = self.cx.lanes.axis(input);
        let Some(Position::At(sample)) = lane.map(|lane| places[lane].clone()) else {
            return self.unsupported(input, "all samples at once");
        };
        let at = self.turned_place(input, turned.outer, places, &sample);
        let handle = self.handle(turned.buffer);
        let kind = LoadKind::Contiguous;
        Ok(self.b.load_as(handle, form(&at), kind, self.width))
    }

    /// How the rows of an anchor's partial lie, where they lie apart.
    pub(super) fn rows_of_partial(&self, anchor: NodeId) -> Option<RowsOfPartial> {
        let (outer, _) = self.cx.turned(anchor)?;
        rows_of_partial(&self.cx.graph.nodes[anchor].ty.shape, outer)
    }

    /// Other than 0 where a block before this one, or rows before these, have left sums in the partial.
    fn adds_to_others(&mut self) -> loops::Affine {
        let follows = self.scalar(ScalarArgument::Follows);
        let mut again = Affine::variable(follows);
        if let Some(rows) = &self.rows {
            again.add_scaled(&rows.first, 1);
        }
        form(&again)
    }

    /// Adds sums of channels to the task's partial, each at its place, or stores them where they are the first: one
    /// condition for all, and each is stored as soon as it is added. Where elements lie beside one another, a few are stored
    /// together: emitters turn them in registers.
    pub(super) fn add_channels(&mut self, buffer: BufferId, sums: &[(Affine<Value>, Value)]) {
        let beside =
            |a: &(Affine<Value>, Value), b: &(Affine<Value>, Value)| a.0.clone().plus(1) == b.0;
        let runs = sums.chunk_by(beside);
        let groups: Vec<&[(Affine<Value>, Value)]> =
            runs.flat_map(|run| run.chunks(TILE)).collect();
        let again = self.adds_to_others();
        let one = loops::Affine::constant(1);
        let first = self.b.condition(IntOp::Less, &again, &one);
        self.b.begin_if(first);
        for group in &groups {
            self.store_group(buffer, group);
        }
        self.b.end_if(&[]);
        let again = self.b.materialise(&again);
        self.b.begin_if(again);
        for group in groups {
            let added = self.added(buffer, group);
            self.store_group(buffer, &added);
        }
        self.b.end_if(&[]);
    }

    /// Sums with what the partial holds at their places.
    fn added(
        &mut self,
        buffer: BufferId,
        group: &[(Affine<Value>, Value)],
    ) -> Vec<(Affine<Value>, Value)> {
        let kind = match self.channel_stride(group) {
            1 => LoadKind::Contiguous,
            stride => LoadKind::Strided(stride),
        };
        let handle = self.handle(buffer);
        let load = |at: &Affine<Value>| (form(at), kind, self.width);
        let loads: Vec<_> = group.iter().map(|(at, _)| load(at)).collect();
        let loaded = loads
            .into_iter()
            .map(|(at, kind, width)| self.b.load_as(handle, at, kind, width));
        let before: Vec<Value> = loaded.collect();
        let added = before.into_iter().zip(group).map(|(before, (at, sums))| {
            let sums = self.b.binary(VectorBinary::Add, before, *sums);
            (at.clone(), sums)
        });
        added.collect()
    }

    fn store_group(&mut self, buffer: BufferId, group: &[(Affine<Value>, Value)]) {
        let stride = self.channel_stride(group);
        let handle = self.handle(buffer);
        for (at, sums) in group {
            self.b
                .store_strided(form(at).address(handle), *sums, stride);
        }
    }

    /// Elements from a channel to the next, in the partial.
    fn channel_stride(&self, group: &[(Affine<Value>, Value)]) -> i64 {
        match (self.vectors, &group[0].0) {
            (Vectors::Feature(counter), at) => at.coefficient(counter),
            _ => 1,
        }
    }
}
