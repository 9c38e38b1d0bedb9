//! One block of a product's operand with its channels in vectors: `[channels / W][elements][samples][W]`.

use super::{Context, LowerError, Lowered, Lowering, Place, form};
use crate::graph::NodeId;
use crate::loops::{Access, LoopKind, Range, TILE};
use crate::plan::BufferId;
use crate::schedule::affine::Affine;
use crate::schedule::fuse::{Group, Strategy};
use crate::schedule::outer::{Outer, sources};
use crate::schedule::position::Position;

/// The kernel that turns one block of the operand of `anchor` into `to`.
///
/// # Errors
/// Where the operand is a view that has no lowering.
pub fn lower_turn(
    cx: &Context<'_>,
    anchor: NodeId,
    outer: Outer,
    to: BufferId,
) -> Result<Lowered, LowerError> {
    let group = Group::single(anchor, Strategy::Lanes);
    let width = cx.block.min(cx.target.register_lanes);
    let name = cx.buffers[to].name.clone();
    let mut lowering = Lowering::new(cx, &group, name.clone(), false, width as u8);
    let input = cx.graph.nodes[anchor].inputs[outer.operand];
    for source in sources(cx.graph, cx.stored, input) {
        let buffer = cx.buffer_of[&source];
        let (name, element) = (cx.buffers[buffer].name.clone(), lowering.element(buffer));
        let handle = lowering.b.buffer(name, element, Access::Read);
        lowering.bound.insert(buffer, handle);
    }
    let handle = lowering.b.buffer(name, lowering.element(to), Access::Write);
    lowering.bound.insert(to, handle);
    let mut places = vec![Position::Lane; cx.graph.nodes[input].ty.rank()];
    lowering.preload_below(vec![input])?;
    lowering.turn(input, (outer, to), 0, &mut places)?;
    let decision = format!("{} channels of a sample in a vector", outer.width);
    lowering.finish(None, decision)
}

impl Lowering<'_> {
    /// Loops over the elements, from axis `axis` on; then over the channels of each.
    fn turn(
        &mut self,
        input: NodeId,
        (outer, to): (Outer, BufferId),
        axis: usize,
        places: &mut Vec<Place>,
    ) -> Result<(), LowerError> {
        let Some(dim) = self.cx.graph.nodes[input].ty.shape.get(axis).copied() else {
            return self.turn_channels(input, (outer, to), places);
        };
        if axis == outer.channels || self.cx.lanes.axis(input) == Some(axis) {
            return self.turn(input, (outer, to), axis + 1, places);
        }
        let counter = self.begin(&format!("i{axis}"), dim.fixed, 1);
        places[axis] = Position::At(counter);
        let result = self.turn(input, (outer, to), axis + 1, places);
        self.end();
        result
    }

    /// All channels of an element, a few samples at a time.
    fn turn_channels(
        &mut self,
        input: NodeId,
        (outer, to): (Outer, BufferId),
        places: &mut [Place],
    ) -> Result<(), LowerError> {
        let lanes = self.cx.block as i64;
        let channels = self.cx.graph.nodes[input].ty.shape[outer.channels].fixed;
        let width = outer.width as i64;
        let panel = self.begin("panel", channels, width);
        let samples = self.begin("lane", lanes, i64::from(self.width));
        self.first_lane = samples.clone();
        // An emitter turns a tile of neighbours in registers; all widths are multiples of it.
        let within = self.begin("channel", width, TILE as i64);
        let mut values = Vec::new();
        for beside in 0..TILE as i64 {
            let mut channel = panel.clone();
            channel.add_scaled(&within, 1);
            channel.offset += beside;
            places[outer.channels] = Position::At(channel);
            values.push(self.value(input, places)?);
        }
        places[outer.channels] = Position::At(panel);
        let mut at = self.turned_place(input, outer, places, &samples);
        at.add_scaled(&within, 1);
        for value in values {
            let address = form(&at).address(self.handle(to));
            self.b.store_strided(address, value, width);
            at.offset += 1;
        }
        for _ in 0..3 {
            self.end();
        }
        Ok(())
    }

    /// Where the vector of one sample lies in a turned operand; the channel's place is the first of a panel.
    pub(super) fn turned_place(
        &self,
        input: NodeId,
        outer: Outer,
        places: &[Place],
        sample: &Affine<crate::loops::Value>,
    ) -> Affine<crate::loops::Value> {
        let lanes = self.cx.block as i64;
        let shape = &self.cx.graph.nodes[input].ty.shape;
        let (mut element, mut elements) = (Affine::constant(0), 1);
        for (axis, place) in places.iter().enumerate() {
            let Position::At(position) = place else {
                continue;
            };
            if axis == outer.channels || self.cx.lanes.axis(input) == Some(axis) {
                continue;
            }
            let mut next = Affine::constant(0);
            next.add_scaled(&element, shape[axis].fixed);
            next.add_scaled(position, 1);
            (element, elements) = (next, elements * shape[axis].fixed);
        }
        let width = outer.width as i64;
        let mut at = Affine::constant(0);
        at.add_scaled(&element, lanes * width);
        at.add_scaled(sample, width);
        if let Position::At(channel) = &places[outer.channels] {
            at.add_scaled(channel, elements * lanes);
        }
        at
    }

    /// A loop of its own scope over so many places; its counter.
    pub(super) fn begin(
        &mut self,
        name: &str,
        extent: i64,
        step: i64,
    ) -> Affine<crate::loops::Value> {
        let (first, last) = (self.b.index(0), self.b.index(extent));
        let (counter, _) = self
            .b
            .begin_loop(LoopKind::Domain, name, first, last, step, &[]);
        if self.b.index_constant(counter).is_none() {
            self.b.assume(counter, Range::new(0, extent - step));
        }
        self.push_scope();
        self.counter(counter)
    }

    pub(super) fn end(&mut self) {
        self.pop_scope();
        self.b.end_loop(&[]);
    }
}
