//! The loops over a kernel's outputs, and what stands in the innermost of them.

use super::{
    Along, Context, LowerError, Lowered, Lowering, Place, Rows, Share, Tile, Vectors, across,
    batched_axes, classes, form, lower_outer, lower_padding, parts, ranged_axis, tile,
};
use crate::graph::{Dim, NodeId, Op};
use crate::loops::{Access, LoopKind, Value, VectorBinary};
use crate::plan::{BufferId, ScalarArgument};
use crate::schedule::affine::Affine;
use crate::schedule::fuse::{Group, Strategy, leaves, rows_over_batch};
use crate::schedule::outer::sources;
use crate::schedule::position::Position;
use indexmap::{IndexMap, IndexSet};
use std::collections::BTreeSet;

/// Of the first cache, what an operand that stays there may take.
const RESIDENT_BYTES: i64 = 16 << 10;

/// Lanes of the narrowest vectors that take what wider ones leave of an axis.
pub(super) const NARROWEST: i64 = 4;

/// One axis of the domain.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// Its number among the domain's axes, the lane axis left out.
    number: usize,
    extent: Dim,
    tile: usize,
    /// The vector runs along it.
    pub vector: bool,
    /// Its range is the task's.
    ranged: bool,
    /// So many equal parts of it go side by side.
    parts: i64,
    /// Its elements are gone through class by class, of so many.
    classes: i64,
    /// Its first and last tile, which are at borders, are by themselves.
    edged: bool,
    /// Of the whole axis, only so many elements from a loop's counter on.
    panel: Option<(Value, i64)>,
    /// Of the whole axis, only that place: of a loop's round, or the first of a row that vectors hold all of.
    at: Option<Value>,
}

/// Lowers a group, or the kernel that adds one block's part of the group's anchor to the task's partial.
///
/// # Errors
/// Where an operation has no lowering yet, with its node.
pub fn lower_group(
    cx: &Context<'_>,
    group: &Group,
    share: Share,
    name: &str,
) -> Result<Lowered, LowerError> {
    let partial = share.partial;
    let in_blocks = partial || group.strategy == Strategy::Lanes;
    if let Some(turned) = group
        .anchor
        .filter(|_| partial)
        .and_then(|anchor| cx.turned(anchor))
    {
        return lower_outer(cx, group, name, turned);
    }
    if in_blocks {
        return match lower_with(cx, group, share, name, Along::Joined) {
            Err(LowerError::NotVector) => lower_with(cx, group, share, name, Along::Lanes),
            result => result,
        };
    }
    if let Some(lowered) = lower_padding(cx, group, name)? {
        return Ok(lowered);
    }
    if let Some(variable) = across(cx, group) {
        let tile = tile::choose(cx, group, Share::default(), Along::Reduction, name);
        match lower_plain(cx, group, name, &tile, Axes::Across(variable)) {
            Err(LowerError::NotVector) => {}
            result => return result,
        }
    }
    let rows = tile::choose(cx, group, Share::default(), Along::Rows, name);
    if rows.joined.is_some() {
        match lower_plain(cx, group, name, &rows, Axes::Own) {
            Err(LowerError::NotVector) => {}
            result => return result,
        }
    }
    let flat = is_flat(cx, group);
    let along = if flat { Along::Whole } else { Along::LastAxis };
    let tile = tile::choose(cx, group, Share::default(), along, name);
    let axes = if flat { Axes::One } else { Axes::Own };
    match lower_plain(cx, group, name, &tile, axes) {
        Err(LowerError::NotVector) => {
            let tile = tile::choose(cx, group, Share::default(), Along::Nothing, name);
            lower_plain(cx, group, name, &tile, Axes::Own)
        }
        result => result,
    }
}

fn lower_with(
    cx: &Context<'_>,
    group: &Group,
    share: Share,
    name: &str,
    along: Along,
) -> Result<Lowered, LowerError> {
    let Share {
        partial, divided, ..
    } = share;
    let tile = tile::choose(cx, group, share, along, name);
    let mut lowering = Lowering::new(cx, group, name.into(), partial, tile.width as u8);
    lowering.divided = divided;
    lowering.across = match partial && along == Along::Joined {
        true => across::joined_reduction(cx, group),
        false => None,
    };
    lowering.joined = tile.joined.is_some() || lowering.across.is_some();
    lowering.bind();
    let domain = lowering.domain_node();
    let lane = if partial { None } else { cx.lanes.axis(domain) };
    let mut axes = block_axes(&cx.graph.nodes[domain].ty.shape, lane, &tile.factors);
    for (axis, &edged) in axes.iter_mut().zip(&tile.edged) {
        axis.edged = edged && axis.tile > 1;
    }
    let elements = lowering.elements_of_vector();
    if let Some(axis) = tile.joined.and_then(|number| axes.get_mut(number)) {
        axis.vector = true;
        axis.tile /= elements as usize;
    }
    if let Some(last) = axes.last_mut().filter(|last| last.tile == 1) {
        last.parts = parts::parts(cx, group);
    }
    if let Some(classes) = classes(cx, group).filter(|_| !partial) {
        lowering.classes = true;
        for (axis, classes) in axes.iter_mut().zip(classes) {
            axis.classes = classes;
        }
    }
    if let Some(slice) = share.slice {
        lowering.slice(
            &mut axes,
            slice - usize::from(lane.is_some_and(|lane| lane < slice)),
        );
    }
    let range = match divided {
        true => divide(&mut axes, elements as usize),
        false => None,
    };
    let mut axes = lowering.block_order(axes, domain);
    let block = cx.block as i64;
    let (first, last) = (lowering.b.index(0), lowering.b.index(block));
    let step = i64::from(lowering.width).min(block);
    let (counter, _) = lowering
        .b
        .begin_loop(LoopKind::Domain, "lane", first, last, step, &[]);
    lowering.first_lane = lowering.counter(counter);
    lowering.push_scope();
    lowering.preload()?;
    let panel = group.anchor.filter(|_| partial && !divided);
    let panel = panel
        .zip(axes.last())
        .and_then(|(anchor, last)| tile::panel(cx, anchor, last.tile));
    match (panel, axes.last_mut()) {
        (Some(panel), Some(last)) => {
            let end = lowering.b.index(last.extent.fixed);
            let step = panel as i64;
            let (counter, _) =
                lowering
                    .b
                    .begin_loop(LoopKind::Domain, "panel", first, end, step, &[]);
            last.panel = Some((counter, step));
            lowering.nest(&axes, lane, &mut Vec::new())?;
            lowering.b.end_loop(&[]);
        }
        _ => lowering.over_rows(&axes, lane, &tile.factors)?,
    }
    lowering.pop_scope();
    lowering.b.end_loop(&[]);
    lowering.finish(range, tile.reason.clone())
}

/// Makes the axis with the most tiles the one whose range tasks divide. Its extent, and of what ranges are multiples.
fn divide(axes: &mut [Axis], elements: usize) -> Option<(Dim, usize)> {
    let tile = |axis: &Axis| axis.tile.max(1) * if axis.vector { elements } else { 1 };
    let tiles = |axis: &Axis| axis.extent.fixed / tile(axis) as i64;
    let free = |axis: &&mut Axis| axis.parts == 1 && axis.classes == 1;
    let axis = axes
        .iter_mut()
        .rev()
        .filter(free)
        .max_by_key(|axis| tiles(axis))?;
    axis.ranged = true;
    Some((axis.extent, tile(axis)))
}

/// The axes of a kernel over blocks, the lane axis left out.
pub(super) fn block_axes(shape: &[Dim], lane: Option<usize>, factors: &[usize]) -> Vec<Axis> {
    let extents = shape
        .iter()
        .enumerate()
        .filter(|&(axis, _)| Some(axis) != lane);
    let axes = extents.zip(factors).enumerate();
    let axis = |(number, ((_, &extent), &tile))| Axis {
        number,
        extent,
        tile,
        vector: false,
        ranged: false,
        parts: 1,
        classes: 1,
        edged: false,
        panel: None,
        at: None,
    };
    axes.map(axis).collect()
}

/// The axes of a kernel outside of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axes {
    /// The domain's, vectors along the last.
    Own,
    /// All as one.
    One,
    /// The domain's, vectors along that reduced variable.
    Across(usize),
}

fn lower_plain(
    cx: &Context<'_>,
    group: &Group,
    name: &str,
    tile: &Tile,
    how: Axes,
) -> Result<Lowered, LowerError> {
    let flat = how == Axes::One;
    let along_last = tile.width > 1 && how == Axes::Own;
    let mut lowering = Lowering::new(cx, group, name.into(), false, tile.width as u8);
    lowering.bind();
    let shape = cx.graph.nodes[lowering.domain_node()].ty.shape.clone();
    let total: Option<i64> = shape.iter().map(|dim| dim.known()).product();
    let last = shape.len().saturating_sub(1);
    let ranged = ranged_axis(cx, &shape);
    let axes: Vec<Axis> = match (flat, total) {
        (true, Some(total)) => {
            vec![Axis {
                number: shape.len() - 1,
                extent: Dim::fixed(total),
                tile: 1,
                vector: tile.width > 1,
                ranged: !cx.whole,
                parts: 1,
                classes: 1,
                edged: false,
                panel: None,
                at: None,
            }]
        }
        _ => shape
            .iter()
            .zip(&tile.factors)
            .enumerate()
            .map(|(axis, (&extent, &factor))| Axis {
                number: axis,
                extent,
                tile: factor,
                vector: along_last && axis == last && extent.known().is_some(),
                ranged: axis == ranged && !cx.whole,
                parts: 1,
                classes: 1,
                edged: false,
                panel: None,
                at: None,
            })
            .collect(),
    };
    let mut axes = axes;
    if let (Some(rows), Axes::Own) = (tile.joined, how) {
        lowering.join_rows(&mut axes, rows);
    }
    let vector = axes.iter().any(|axis| axis.vector);
    if !vector {
        lowering.width = 1;
    }
    if let Axes::Across(variable) = how {
        lowering.across = Some((variable, tile.width as u8));
    }
    let missing = if flat { shape.len() - 1 } else { 0 };
    let mut places: Vec<Vec<Affine<Value>>> = vec![vec![Affine::constant(0)]; missing];
    lowering.preload()?;
    let elements = lowering.elements_of_vector();
    let ordered = lowering.plain_order(&axes);
    lowering.nest(&ordered, None, &mut places)?;
    let range = axes
        .iter()
        .find(|axis| axis.ranged)
        .or(axes.first())
        .map(|axis| {
            let elements = match axis.vector {
                true => elements as usize,
                false => 1,
            };
            (axis.extent, elements * axis.tile)
        });
    lowering.finish(range, tile.reason.clone())
}

/// Whether every value of a group has one shape and is read at one place, so that its axes can be one.
fn is_flat(cx: &Context<'_>, group: &Group) -> bool {
    let shape = &cx.graph.nodes[group.outputs[0]].ty.shape;
    if shape.is_empty() || shape.iter().any(|dim| dim.is_dynamic()) {
        return false;
    }
    let mut pending = group.outputs.clone();
    let mut seen = BTreeSet::new();
    while let Some(id) = pending.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = &cx.graph.nodes[id];
        let in_memory = cx.buffer_of.contains_key(&id) && !group.outputs.contains(&id);
        let summed = group.anchor == Some(id) && group.strategy == Strategy::Partial;
        if node.ty.rank() == 0 {
            continue;
        }
        if node.ty.shape != *shape || cx.insets.contains_key(&id) {
            return false;
        }
        match &node.op {
            _ if in_memory || summed => {}
            Op::Random { .. } => {}
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) | Op::StopGradient => {
                pending.extend(node.inputs.iter().copied());
            }
            Op::View(_) if cx.graph.nodes[node.inputs[0]].ty.rank() == 0 => {}
            _ => return false,
        }
    }
    true
}

impl Lowering<'_> {
    /// Vectors of whole rows along the last axis, several of them.
    fn join_rows(&mut self, axes: &mut [Axis], rows: usize) {
        let pixel = self.b.symbol(0);
        (self.joined, self.row) = (true, Some(pixel));
        if let Some(last) = axes.last_mut() {
            self.inner = last.extent.fixed as usize;
            (last.vector, last.at) = (false, Some(pixel));
        }
        axes[rows].vector = true;
        axes[rows].tile /= self.elements_of_vector() as usize;
    }

    /// Of an axis only the element of the loop's round.
    fn slice(&mut self, axes: &mut [Axis], number: usize) {
        let round = self.scalar(ScalarArgument::Round);
        let axis = &mut axes[number];
        let last = axis.extent.known().map_or(0, |extent| extent - 1);
        self.b.assume(round, crate::loops::Range::new(0, last));
        axis.at = Some(round);
    }

    /// The order of the loops over a block's output, where the channels lie beside the lanes: an elementwise kernel runs
    /// through memory; a product stays with the weights of its tile for one row of the image, whose inputs the second
    /// cache holds. Else what a product is batched along comes first.
    fn block_order(&mut self, mut axes: Vec<Axis>, domain: NodeId) -> Vec<Axis> {
        let buffer = self.cx.buffer_of.get(&domain).filter(|_| !self.partial);
        let inside = buffer.is_some_and(|buffer| self.cx.orders.channels_inside.contains(buffer));
        if inside && axes.len() > 1 {
            let channels = axes.remove(0);
            let product = self.is_product();
            let place = axes.len() - usize::from(product);
            axes.insert(place, channels);
        } else if !self.partial {
            let batched = batched_axes(self.cx, self.group);
            axes.sort_by_key(|axis| !batched.contains(&axis.number));
        }
        self.set_order(&axes);
        axes
    }

    /// Says in what order the loops over the domain's axes are.
    pub(super) fn set_order(&mut self, axes: &[Axis]) {
        self.order = axes.iter().map(|axis| axis.number).collect();
    }

    /// The order of the loops of a kernel over features: a product keeps one vector's column of the operand that it
    /// reads along the last axis in the first cache, and passes the rows of the other by it. An operand that is there
    /// as a whole leaves the output's own order. A transposing copy reads a few rows of its source side by side, each
    /// in the order of memory.
    fn plain_order(&mut self, axes: &[Axis]) -> Vec<Axis> {
        let mut axes = axes.to_vec();
        let along = axes.len() > 1 && axes.last().is_some_and(|axis| axis.vector);
        let column = self.is_product() && self.vector_operand_bytes() > RESIDENT_BYTES;
        if along && (column || self.is_transposing()) {
            axes.rotate_right(1);
        }
        self.order = axes.iter().map(|axis| axis.number).collect();
        axes
    }

    /// Whether the kernel is a copy whose last axis is an outer one of what it copies.
    fn is_transposing(&self) -> bool {
        let &[output] = self.group.outputs.as_slice() else {
            return false;
        };
        let node = &self.cx.graph.nodes[output];
        let Op::View(view) = &node.op else {
            return false;
        };
        let last = node.ty.rank().wrapping_sub(1);
        let own = view
            .index
            .iter()
            .rposition(|axis| axis.coefficient(last) != 0);
        self.group.anchor.is_none() && own.is_some_and(|own| own + 1 < view.index.len())
    }

    /// The size of what the anchor reads along the output's last axis.
    fn vector_operand_bytes(&self) -> i64 {
        let anchor = self.group.anchor.into_iter();
        let operands = anchor.flat_map(|anchor| tile::vector_operands_of(self.cx.graph, anchor));
        let bytes = |id: NodeId| {
            let dims = self.cx.graph.nodes[id].ty.shape.iter();
            dims.map(|dim| dim.at(self.cx.block as i64))
                .product::<i64>()
                * 4
        };
        operands.map(bytes).sum()
    }

    /// A block's part of a weight gradient sums over the image a few rows at a time, so that the tile's part of the
    /// output gradient stays in the first cache while all weights that read it pass.
    pub(super) fn over_rows(
        &mut self,
        axes: &[Axis],
        lane: Option<usize>,
        factors: &[usize],
    ) -> Result<(), LowerError> {
        let rows = self.row_block(factors).filter(|_| !self.divided);
        let Some((variable, extent, count)) = rows else {
            return self.nest(axes, lane, &mut Vec::new());
        };
        let (first, last) = (self.b.index(0), self.b.index(extent));
        let (counter, _) = self
            .b
            .begin_loop(LoopKind::Domain, "rows", first, last, count, &[]);
        self.b
            .assume(counter, crate::loops::Range::new(0, extent - count));
        self.push_scope();
        self.rows = Some(Rows {
            variable,
            first: Affine::variable(counter),
            count,
        });
        let result = self.nest(axes, lane, &mut Vec::new());
        self.rows = None;
        self.pop_scope();
        self.b.end_loop(&[]);
        result
    }

    /// The reduced variable that runs over rows, its extent, and how many rows are summed at a time.
    /// None where the accumulators of a tile differ in the rows that they read, and so in their borders.
    fn row_block(&self, factors: &[usize]) -> Option<(usize, i64, i64)> {
        /// Pixels whose gradients for one tile fill most of the first cache.
        const PIXELS: i64 = 96;
        /// As many whose turned vectors, and those of all taps, stay in the second.
        const TURNED: i64 = 128;
        let anchor = self.group.anchor.filter(|_| self.partial)?;
        let Op::Contract(contraction) = &self.cx.graph.nodes[anchor].op else {
            return None;
        };
        let inputs = &self.cx.graph.nodes[anchor].inputs;
        let crate::schedule::lanes::ContractionLanes::Across(lane) =
            self.cx.lanes.contraction(contraction, inputs)
        else {
            return None;
        };
        let mut levels = (0..contraction.reduced.len()).filter(|&variable| variable != lane);
        let (row, column) = (levels.next()?, levels.next()?);
        let rows = contraction.reduced[row].known()?;
        let columns = contraction.reduced[column].known()?;
        let pixels = match self.turned {
            Some(_) => TURNED,
            None => PIXELS,
        };
        let most = (pixels / columns.max(1)).max(1);
        let count = (1..=most.min(rows)).rev().find(|count| rows % count == 0)?;
        let alone = contraction.operands.len() == 2 && levels.next().is_none();
        let rank = contraction.shape.len();
        let apart = contraction.operands.iter().flatten().any(|axis| {
            let moves = |&(variable, _): &(usize, i64)| variable < rank && factors[variable] > 1;
            axis.coefficient(rank + row) != 0 && axis.terms.iter().any(moves)
        });
        if apart {
            return None;
        }
        (alone && count < rows).then_some((row, rows, count))
    }

    fn is_product(&self) -> bool {
        let summed = self.group.strategy == Strategy::Partial && !self.partial;
        !summed
            && self.group.anchor.is_some_and(|anchor| {
                matches!(&self.cx.graph.nodes[anchor].op, Op::Contract(c) if c.operands.len() > 1)
            })
    }

    /// The tile's positions by domain axis.
    fn by_axis(&self, places: &[Vec<Affine<Value>>]) -> Vec<Vec<Affine<Value>>> {
        let before = places.len() - self.order.len();
        let mut sorted = places.to_vec();
        for (place, &number) in places[before..].iter().zip(&self.order) {
            sorted[number] = place.clone();
        }
        sorted
    }

    /// The value over whose axes the kernel's loops run.
    pub(super) fn domain_node(&self) -> NodeId {
        match (self.partial, self.group.anchor) {
            (true, Some(anchor)) => anchor,
            _ => self.group.outputs[0],
        }
    }

    /// Declares a buffer argument for all that the kernel reads and writes.
    pub(super) fn bind(&mut self) {
        let mut uses: IndexMap<BufferId, (bool, bool)> = IndexMap::new();
        let cx = self.cx;
        let group = match (self.partial, self.group.anchor) {
            (true, Some(anchor)) => Group {
                outputs: vec![anchor],
                ..self.group.clone()
            },
            _ => self.group.clone(),
        };
        let summed = group.strategy == Strategy::Partial && !self.partial;
        if let Some(turned) = self.turned {
            uses.insert(turned.buffer, (true, false));
        }
        for leaf in self.read_by(&group) {
            if summed && !self.read_beside_anchor(leaf) {
                continue;
            }
            let copy = cx
                .relayout_of
                .get(&leaf)
                .filter(|_| !self.in_blocks() && self.is_copied(leaf));
            if let Some(&buffer) = copy.or(cx.buffer_of.get(&leaf)) {
                uses.entry(buffer).or_default().0 = true;
            }
        }
        if let Some(anchor) = self
            .group
            .anchor
            .filter(|_| self.group.strategy == Strategy::Partial)
        {
            let entry = uses.entry(cx.partial_of[&anchor]).or_default();
            entry.0 = !(self.partial && self.divided);
            entry.1 = self.partial;
        }
        if !self.partial {
            for output in &self.group.outputs {
                uses.entry(cx.buffer_of[output]).or_default().1 = true;
            }
        }
        for (buffer, (read, written)) in uses {
            let access = match (read, written) {
                (true, true) => Access::ReadWrite,
                (false, true) => Access::Write,
                _ => Access::Read,
            };
            let handle = self.b.buffer(
                cx.buffers[buffer].name.clone(),
                self.element(buffer),
                access,
            );
            self.bound.insert(buffer, handle);
        }
    }

    /// The stored values that a group reads, a turned operand's aside.
    fn read_by(&self, group: &Group) -> BTreeSet<NodeId> {
        let cx = self.cx;
        match (self.turned, group.anchor) {
            (Some(turned), Some(anchor)) => {
                let other = cx.graph.nodes[anchor].inputs[1 - turned.outer.operand];
                sources(cx.graph, cx.stored, other)
            }
            _ => leaves(cx.graph, cx.stored, group),
        }
    }

    /// Whether the epilogue reads a value, not only the anchor, which is summed from partials.
    fn read_beside_anchor(&self, leaf: NodeId) -> bool {
        let mut pending = self.group.outputs.clone();
        let mut seen = BTreeSet::new();
        while let Some(id) = pending.pop() {
            if id == leaf {
                return true;
            }
            let stop = self.group.anchor == Some(id)
                || (self.cx.buffer_of.contains_key(&id) && !self.group.outputs.contains(&id));
            if seen.insert(id) && !stop {
                pending.extend(self.cx.graph.nodes[id].inputs.iter().copied());
            }
        }
        false
    }

    /// Whether the anchor waits for plain rows of a value: another kernel's may not be there yet.
    fn is_copied(&self, leaf: NodeId) -> bool {
        let rows = |anchor| {
            let strategy = Some(&self.group.strategy);
            rows_over_batch(self.cx.graph, self.cx.lanes, strategy, anchor)
        };
        self.group
            .anchor
            .is_some_and(|anchor| rows(anchor).contains(&leaf))
    }

    /// Values without axes are computed once, before the loops.
    pub(super) fn preload(&mut self) -> Result<(), LowerError> {
        match self.partial {
            true => self.preload_below(self.group.anchor.into_iter().collect()),
            false => self.preload_below(self.group.outputs.clone()),
        }
    }

    /// Of those that some values are computed from.
    pub(super) fn preload_below(&mut self, mut pending: Vec<NodeId>) -> Result<(), LowerError> {
        let mut seen = BTreeSet::new();
        let mut scalars = BTreeSet::new();
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            let stored = self.cx.buffer_of.contains_key(&id) && !self.group.outputs.contains(&id);
            let is_anchor = self.group.anchor == Some(id);
            if is_anchor && self.group.strategy == Strategy::Partial && !self.partial {
                continue;
            }
            if self.cx.graph.nodes[id].ty.rank() == 0
                && !self.reads_anchor(id)
                && !is_anchor
                && !self.group.outputs.contains(&id)
            {
                scalars.insert(id);
                continue;
            }
            if !stored {
                pending.extend(self.cx.graph.nodes[id].inputs.iter().copied());
            }
        }
        for id in scalars {
            self.value(id, &[])?;
        }
        Ok(())
    }

    fn reads_anchor(&self, id: NodeId) -> bool {
        let Some(anchor) = self.group.anchor else {
            return false;
        };
        let mut pending = vec![id];
        let mut seen = BTreeSet::new();
        while let Some(id) = pending.pop() {
            if id == anchor {
                return true;
            }
            let stored = self.cx.buffer_of.contains_key(&id) && !self.group.outputs.contains(&id);
            if id > anchor && !stored && seen.insert(id) {
                pending.extend(self.cx.graph.nodes[id].inputs.iter().copied());
            }
        }
        false
    }

    /// A loop counter as a form: the constant where the loop runs once.
    pub(super) fn counter(&self, counter: Value) -> Affine<Value> {
        match self.b.index_constant(counter) {
            Some(constant) => Affine::constant(constant),
            None => Affine::variable(counter),
        }
    }

    /// Loops over the remaining axes; `places` holds the tile's positions along those already open.
    fn nest(
        &mut self,
        axes: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
    ) -> Result<(), LowerError> {
        let Some((axis, rest)) = axes.split_first() else {
            return self.tile(lane, places);
        };
        if let Some(only) = axis.at {
            return self.at_place(Affine::variable(only), rest, lane, places);
        }
        let (begin, end) = self.axis_range(axis);
        if axis.vector {
            return self.vector_axis(axis, rest, lane, places, (begin, end));
        }
        if axis.parts > 1 {
            return self.parts_loop(axis, rest, lane, places);
        }
        if axis.classes > 1 {
            return (0..axis.classes)
                .try_for_each(|class| self.class_loop(axis, class, rest, lane, places));
        }
        let tile = axis.tile as i64;
        if let Some(extent) = axis
            .extent
            .known()
            .filter(|&extent| axis.edged && extent > tile)
        {
            let ends = [0, tile, extent - tile, extent].map(Affine::constant);
            return ends.windows(2).try_for_each(|pair| {
                self.axis_loop(axis, rest, lane, places, (&pair[0], &pair[1]), tile)
            });
        }
        let whole = self.whole_tiles(&begin, &end, tile);
        self.axis_loop(axis, rest, lane, places, (&begin, &whole), tile)?;
        if tile > 1 && axis.ranged {
            self.axis_loop(axis, rest, lane, places, (&whole, &end), 1)?;
        } else if let (Some(whole), Some(end)) = (whole.as_constant(), end.as_constant())
            && whole < end
        {
            let positions = (whole..end).map(Affine::constant).collect();
            places.push(positions);
            let result = self.nest(rest, lane, places);
            places.pop();
            result?;
        }
        Ok(())
    }

    /// The other axes at the only place of one.
    fn at_place(
        &mut self,
        place: Affine<Value>,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
    ) -> Result<(), LowerError> {
        places.push(vec![place]);
        let result = self.nest(rest, lane, places);
        places.pop();
        result
    }

    /// One loop over all parts of an axis side by side.
    fn parts_loop(
        &mut self,
        axis: &Axis,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
    ) -> Result<(), LowerError> {
        let part = axis.extent.fixed / axis.parts;
        let (first, last) = (self.b.index(0), self.b.index(part));
        let name = format!("i{}", places.len());
        let (counter, _) = self
            .b
            .begin_loop(LoopKind::Domain, name, first, last, 1, &[]);
        if self.b.index_constant(counter).is_none() {
            self.b
                .assume(counter, crate::loops::Range::new(0, part - 1));
        }
        self.push_scope();
        let base = self.counter(counter);
        let places_of = (0..axis.parts).map(|number| base.clone().plus(number * part));
        places.push(places_of.collect());
        let result = self.nest(rest, lane, places);
        places.pop();
        self.pop_scope();
        self.b.end_loop(&[]);
        result
    }

    /// A loop over every so many elements of an axis.
    fn class_loop(
        &mut self,
        axis: &Axis,
        class: i64,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
    ) -> Result<(), LowerError> {
        let count = (axis.extent.fixed - class + axis.classes - 1).div_euclid(axis.classes);
        let (first, last) = (self.b.index(0), self.b.index(count));
        let name = format!("i{}", axis.number);
        let (counter, _) = self
            .b
            .begin_loop(LoopKind::Domain, name, first, last, 1, &[]);
        if self.b.index_constant(counter).is_none() {
            let range = crate::loops::Range::new(0, (count - 1).max(0));
            self.b.assume(counter, range);
        }
        self.push_scope();
        let mut at = Affine::constant(class);
        at.add_scaled(&self.counter(counter), axis.classes);
        places.push(vec![at]);
        let result = self.nest(rest, lane, places);
        places.pop();
        self.pop_scope();
        self.b.end_loop(&[]);
        result
    }

    fn axis_range(&mut self, axis: &Axis) -> (Affine<Value>, Affine<Value>) {
        if let Some((counter, size)) = axis.panel {
            let begin = self.counter(counter);
            return (begin.clone(), begin.plus(size));
        }
        if axis.ranged {
            let begin = self.scalar(ScalarArgument::RangeBegin);
            let end = self.scalar(ScalarArgument::RangeEnd);
            if let Some(extent) = axis.extent.known() {
                self.b
                    .assume(begin, crate::loops::Range::new(0, extent.max(1) - 1));
                self.b.assume(end, crate::loops::Range::new(0, extent));
            }
            return (Affine::variable(begin), Affine::variable(end));
        }
        (Affine::constant(0), self.extent(axis.extent))
    }

    /// The end of the last whole tile.
    fn whole_tiles(
        &mut self,
        begin: &Affine<Value>,
        end: &Affine<Value>,
        tile: i64,
    ) -> Affine<Value> {
        if tile == 1 {
            return end.clone();
        }
        let length = form(end).sub(&form(begin));
        let left = self.b.mod_floor(&length, tile);
        super::affine(&form(end).sub(&left))
    }

    fn axis_loop(
        &mut self,
        axis: &Axis,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
        (begin, end): (&Affine<Value>, &Affine<Value>),
        step: i64,
    ) -> Result<(), LowerError> {
        if begin == end {
            return Ok(());
        }
        let first = self.b.materialise(&form(begin));
        let last = self.b.materialise(&form(end));
        let name = format!("i{}", axis.number);
        let (counter, _) = self
            .b
            .begin_loop(LoopKind::Domain, name, first, last, step, &[]);
        if let Some(extent) = axis.extent.known()
            && self.b.index_constant(counter).is_none()
        {
            let first = begin.as_constant().unwrap_or(0);
            let last = end.as_constant().unwrap_or(extent) - step;
            self.b
                .assume(counter, crate::loops::Range::new(first, last.max(first)));
        }
        self.push_scope();
        let base = self.counter(counter);
        places.push((0..step).map(|offset| base.clone().plus(offset)).collect());
        let result = self.nest(rest, lane, places);
        places.pop();
        self.pop_scope();
        self.b.end_loop(&[]);
        result
    }

    /// Tiles of whole vectors, then single ones, then narrower ones, then the rest element by element.
    fn vector_axis(
        &mut self,
        axis: &Axis,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
        (begin, end): (Affine<Value>, Affine<Value>),
    ) -> Result<(), LowerError> {
        let width = self.elements_of_vector();
        let step = width * axis.tile.max(1) as i64;
        let extent = axis.extent.known().unwrap_or(0);
        let tiled = self.whole_tiles(&begin, &end, step);
        if extent >= step {
            self.vector_loop(axis, rest, lane, places, (&begin, &tiled), step)?;
        }
        let whole = self.whole_tiles(&begin, &end, width);
        let ranged = step > width && (axis.ranged && extent >= width);
        if ranged || (extent % step >= width) {
            self.vector_loop(axis, rest, lane, places, (&tiled, &whole), width)?;
        }
        let mut from = whole;
        for narrower in self.narrower_widths(extent) {
            let until = self.whole_tiles(&from, &end, narrower);
            self.with_width(narrower as u8, |own| {
                own.vector_loop(axis, rest, lane, places, (&from, &until), narrower)
            })?;
            from = until;
        }
        let narrowest = match self.joined {
            true => width,
            false => width.min(NARROWEST),
        };
        if extent % narrowest == 0 {
            return Ok(());
        }
        self.scalar_rest(axis, rest, lane, places, (&from, &end))
    }

    /// The widths of vectors for what those of the kernel's width leave of an axis.
    fn narrower_widths(&self, extent: i64) -> Vec<i64> {
        let width = self.elements_of_vector();
        let halves = std::iter::successors(Some(width / 2), |width| Some(width / 2));
        let narrower = halves.take_while(|&width| width >= NARROWEST && !self.joined);
        narrower
            .filter(|&narrower| extent % (2 * narrower) >= narrower)
            .collect()
    }

    /// A loop over an axis whose vectors lie along it, so many of its elements at a time.
    fn vector_loop(
        &mut self,
        axis: &Axis,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
        (begin, end): (&Affine<Value>, &Affine<Value>),
        step: i64,
    ) -> Result<(), LowerError> {
        let first = self.b.materialise(&form(begin));
        let last = self.b.materialise(&form(end));
        let (counter, _) = self
            .b
            .begin_loop(LoopKind::Domain, "vector", first, last, step, &[]);
        let counter = match self.b.index_constant(counter) {
            // The lanes count on from this value, and from no other constant that is equal to it.
            Some(only) => self.b.symbol(only),
            None => {
                let extent = axis.extent.known().unwrap_or(0);
                let range = crate::loops::Range::new(0, extent - step);
                self.b.assume(counter, range);
                counter
            }
        };
        let along = match self.joined {
            true => Vectors::Joined(counter),
            false => Vectors::Feature(counter),
        };
        let before = std::mem::replace(&mut self.vectors, along);
        self.push_scope();
        let vectors = (0..step).step_by(self.elements_of_vector() as usize);
        places.push(
            vectors
                .map(|offset| Affine::variable(counter).plus(offset))
                .collect(),
        );
        let result = self.nest(rest, lane, places);
        places.pop();
        self.pop_scope();
        self.vectors = before;
        self.b.end_loop(&[]);
        result
    }

    fn scalar_rest(
        &mut self,
        axis: &Axis,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
        bounds: (&Affine<Value>, &Affine<Value>),
    ) -> Result<(), LowerError> {
        let one = if self.joined { self.inner as u8 } else { 1 };
        let axis = Axis {
            vector: false,
            ranged: false,
            tile: 1,
            ..axis.clone()
        };
        self.with_width(one, |own| {
            own.axis_loop(&axis, rest, lane, places, bounds, 1)
        })
    }

    /// Does something in vectors of another width than the kernel's.
    fn with_width(
        &mut self,
        width: u8,
        then: impl FnOnce(&mut Self) -> Result<(), LowerError>,
    ) -> Result<(), LowerError> {
        let width = std::mem::replace(&mut self.width, width);
        let memo = std::mem::replace(&mut self.memo, vec![super::Memo::default()]);
        let result = self.preload().and_then(|()| then(self));
        self.width = width;
        self.memo = memo;
        result
    }

    /// One tile: the anchor's accumulators, then the epilogue and the stores of each element.
    fn tile(
        &mut self,
        lane: Option<usize>,
        places: &[Vec<Affine<Value>>],
    ) -> Result<(), LowerError> {
        let elements = product(&self.by_axis(places), lane);
        self.push_scope();
        let result = self.tile_elements(&elements);
        self.pop_scope();
        result
    }

    fn tile_elements(&mut self, elements: &[Vec<Place>]) -> Result<(), LowerError> {
        let outputs = self.group.outputs.clone();
        if let Some(anchor) = self.group.anchor {
            let mut instances: IndexSet<Vec<Place>> = IndexSet::new();
            for element in elements {
                if self.partial {
                    instances.insert(element.clone());
                    continue;
                }
                for &output in &outputs {
                    for place in self.places_of(output, element)? {
                        self.demand(output, &place, anchor, &mut instances)?;
                    }
                }
            }
            let instances: Vec<Vec<Place>> = instances.into_iter().collect();
            let values = self.anchor_values(anchor, &instances)?;
            if self.partial {
                return self.flush(anchor, &instances, &values);
            }
            for (instance, value) in instances.into_iter().zip(values) {
                let value = self.settled(anchor, value);
                self.remember((anchor, instance), value);
            }
        }
        for element in elements {
            for &output in &outputs {
                for place in self.places_of(output, element)? {
                    self.store_output(output, place)?;
                }
            }
        }
        Ok(())
    }

    fn store_output(&mut self, output: NodeId, place: Vec<Place>) -> Result<(), LowerError> {
        let value = match self.recall(&(output, place.clone())) {
            Some(value) => value,
            None => self.computed(output, &place)?,
        };
        self.remember((output, place.clone()), value);
        let shape = self.cx.graph.nodes[output].ty.shape.clone();
        self.store(output, self.cx.buffer_of[&output], &shape, &place, value)
    }

    /// The elements of an output that belong to an element of the domain: itself, where the output has the domain's axes.
    fn places_of(&self, output: NodeId, element: &[Place]) -> Result<Vec<Vec<Place>>, LowerError> {
        if let Some(axes) = self.group.coarse.get(&output) {
            let place = self.coarse_place(output, axes, element)?;
            return Ok(place.into_iter().collect());
        }
        if self.group.anchor.is_none() && output != self.group.outputs[0] {
            return Ok(self.place_beside(output, element).into_iter().collect());
        }
        Ok(self.part_places(output, element))
    }

    /// The element of an output as large as the first, or as one part of it: it is made with the first part.
    fn place_beside(&self, output: NodeId, element: &[Place]) -> Option<Vec<Place>> {
        let shape = |id: NodeId| &self.cx.graph.nodes[id].ty.shape;
        if shape(output) == shape(self.group.outputs[0]) {
            return Some(element.to_vec());
        }
        let part = self.cx.graph.nodes[output].ty.shape.last()?.known()?;
        match element.last()? {
            Position::At(form) if form.offset < part => Some(element.to_vec()),
            _ => None,
        }
    }

    /// The element of an output with fewer axes: it is made where the others are at 0 only.
    fn coarse_place(
        &self,
        output: NodeId,
        axes: &[usize],
        element: &[Place],
    ) -> Result<Option<Vec<Place>>, LowerError> {
        let mut first = true;
        for (_, at) in element
            .iter()
            .enumerate()
            .filter(|at| !axes.contains(&at.0))
        {
            match at {
                Position::At(form) if form.as_constant().is_some() => {
                    first &= form.as_constant() == Some(0);
                }
                _ => return self.unsupported(output, "a repeat that no tile holds"),
            }
        }
        Ok(first.then(|| axes.iter().map(|&axis| element[axis].clone()).collect()))
    }

    /// That of each part where the output has all parts of the anchor, and the domain is one of them.
    fn part_places(&self, output: NodeId, element: &[Place]) -> Vec<Vec<Place>> {
        let shape = |id: NodeId| &self.cx.graph.nodes[id].ty.shape;
        let parts = self.group.place.parts.filter(|_| !self.partial);
        let Some(parts) = parts.filter(|_| shape(output) != shape(self.group.outputs[0])) else {
            return vec![element.to_vec()];
        };
        let place = |part: i64| {
            let mut place = element.to_vec();
            if let Position::At(position) = &mut place[parts.axis] {
                *position = position.clone().plus(part * parts.unit);
            }
            place
        };
        (0..parts.count).map(place).collect()
    }

    fn anchor_values(
        &mut self,
        anchor: NodeId,
        instances: &[Vec<Place>],
    ) -> Result<Vec<Value>, LowerError> {
        let graph = self.cx.graph;
        if self.group.strategy == Strategy::Partial && !self.partial {
            return self.sum_partials(anchor, instances);
        }
        match &graph.nodes[anchor].op {
            Op::Contract(contraction) => self.contract(anchor, contraction, instances),
            Op::Reduce { op, axes } => self.reduce(anchor, *op, axes, instances),
            other => {
                let what = format!("{other:?}");
                self.unsupported(
                    anchor,
                    what.split([' ', '{', '(']).next().unwrap_or("an operation"),
                )
            }
        }
    }

    /// Sums each accumulator's lanes, those of real samples only, into the task's partial.
    fn flush(
        &mut self,
        anchor: NodeId,
        instances: &[Vec<Place>],
        values: &[Value],
    ) -> Result<(), LowerError> {
        let buffer = self.cx.partial_of[&anchor];
        let mask = self.valid_mask();
        let zero = self.b.float(0.0, self.width);
        for (instance, &value) in instances.iter().zip(values) {
            let at = self.place_in_partial(anchor, instance);
            if self.turned.is_some() {
                self.add_channels(buffer, &at, value);
                continue;
            }
            let real = self.b.select(mask, value, zero);
            let sum = self.b.reduce_add(real);
            let handle = self.handle(buffer);
            let after = match self.divided {
                // There is nothing to add it to.
                true => sum,
                false => {
                    let before = self.b.load(handle, form(&at), 1);
                    self.b.binary(VectorBinary::Add, before, sum)
                }
            };
            self.b.store_at(handle, form(&at), after);
        }
        Ok(())
    }

    /// Loads a vector (or splat) of a plain buffer at a linear place.
    ///
    /// # Errors
    /// For a mask that would have to be joined.
    pub(super) fn load_at(
        &mut self,
        buffer: BufferId,
        at: &Affine<Value>,
    ) -> Result<Value, LowerError> {
        let stride = match self.vectors {
            Vectors::Feature(counter) if self.width > 1 => at.coefficient(counter),
            _ => 0,
        };
        let loaded = self.load_lanes(buffer, at, stride)?;
        Ok(self.unpacked(self.element(buffer), loaded))
    }
}

/// Every combination of positions, with the lane axis put in its place.
fn product(places: &[Vec<Affine<Value>>], lane: Option<usize>) -> Vec<Vec<Place>> {
    let mut elements: Vec<Vec<Place>> = vec![Vec::new()];
    for positions in places {
        elements = elements
            .into_iter()
            .flat_map(|element| {
                positions.iter().map(move |position| {
                    let mut longer = element.clone();
                    longer.push(Position::At(position.clone()));
                    longer
                })
            })
            .collect();
    }
    if let Some(lane) = lane {
        elements
            .iter_mut()
            .for_each(|element| element.insert(lane, Position::Lane));
    }
    elements
}
