//! The loops over a kernel's outputs, and what stands in the innermost of them.

use super::axes::{Axis, block_axes, divide};
use super::tails::deepen_tails;
use super::{
    Along, Context, LowerError, Lowered, Lowering, Rows, Share, Tile, across, batched_axes,
    classes, lower_outer, lower_padding, parts, ranged_axis, tile,
};
use crate::graph::{Dim, NodeId, Op};
use crate::loops::{LoopKind, Value};
use crate::plan::ScalarArgument;
use crate::schedule::affine::Affine;
use crate::schedule::fuse::{Group, Strategy};
use std::collections::BTreeSet;

/// Of the first cache, what an operand that stays there may take.
const RESIDENT_BYTES: i64 = 16 << 10;

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
        axis.tail = axis.tile;
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
                tail: 1,
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
                tail: factor,
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
    let mut ordered = lowering.plain_order(&axes);
    deepen_tails(cx, group, &mut ordered, elements);
    lowering.nest(&ordered, None, &mut places)?;
    let range = ordered
        .iter()
        .find(|axis| axis.ranged)
        .or(axes.first())
        .map(|axis| (axis.extent, axis.multiple(elements as usize)));
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
        axes[rows].tail = axes[rows].tile;
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

    /// The size, for the largest batch, of what the anchor reads along the output's last axis.
    fn vector_operand_bytes(&self) -> i64 {
        let anchor = self.group.anchor.into_iter();
        let operands = anchor.flat_map(|anchor| tile::vector_operands_of(self.cx.graph, anchor));
        let bytes = |id: NodeId| {
            let dims = self.cx.graph.nodes[id].ty.shape.iter();
            dims.map(|dim| dim.at(self.cx.batch as i64))
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
        // Counted in such parts, so that positions divide by what their length divides by.
        let parts = extent / count;
        let (first, last) = (self.b.index(0), self.b.index(parts));
        let (counter, _) = self
            .b
            .begin_loop(LoopKind::Domain, "rows", first, last, 1, &[]);
        self.b
            .assume(counter, crate::loops::Range::new(0, parts - 1));
        self.push_scope();
        let mut first = Affine::constant(0);
        first.add_scaled(&Affine::variable(counter), count);
        self.rows = Some(Rows {
            variable,
            first,
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
            Some(turned) => super::outer::pixels_together(self.cx, anchor, turned.outer),
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

    /// The value over whose axes the kernel's loops run.
    pub(super) fn domain_node(&self) -> NodeId {
        match (self.partial, self.group.anchor) {
            (true, Some(anchor)) => anchor,
            _ => self.group.outputs[0],
        }
    }

    /// A loop counter as a form: the constant where the loop runs once.
    pub(super) fn counter(&self, counter: Value) -> Affine<Value> {
        match self.b.index_constant(counter) {
            Some(constant) => Affine::constant(constant),
            None => Affine::variable(counter),
        }
    }
}
