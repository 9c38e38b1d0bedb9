//! The shape of a kernel's innermost work: vector width, and how many elements of each axis share a reduction loop.
//!
//! A tile of accumulators stays in registers while the reduction streams operands past it. More accumulators on both
//! operands' axes mean fewer loads for each multiply-add, until the registers are full.

use super::axes::NARROWEST;
use super::candidate::Candidate;
use super::ends::Ends;
use super::joined_tile as joined;
use super::passes::Passes;
use super::{Context, Share, classes, ranged_axis};
use crate::graph::{AxisIndex, Contraction, Dim, NodeId, Op};
use crate::schedule::borders::borders;
use crate::schedule::choices::Choice;
use crate::schedule::fuse::{Group, Strategy, root};
use crate::schedule::outer::Outer;
use crate::schedule::position::Position;
use crate::schedule::reads::leaves;
use crate::schedule::sliding::{self, Sliding, sliding};
use crate::schedule::target::Target;
use std::collections::BTreeSet;

/// Lanes of a vector, and elements of each domain axis in one tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Lanes.
    pub width: usize,
    /// For each domain axis (the lane axis left out), elements side by side.
    pub factors: Vec<usize>,
    /// The domain axis of which a vector holds several elements, each with the samples of the block.
    pub joined: Option<usize>,
    /// The domain axes along whose ends borders are: their first and last tiles have code of their own.
    pub edged: Vec<bool>,
    /// The decision in words.
    pub reason: String,
}

/// What a kernel's vectors run along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// The samples of a block.
    Lanes,
    /// The samples of a block, and of several elements of an axis where a register has lanes for them.
    Joined,
    /// The domain's last axis; what whole vectors leave of it is done one by one.
    LastAxis,
    /// The same, or all of it for several elements of the axis before.
    Rows,
    /// All axes, as one.
    Whole,
    /// What a product sums over.
    Reduction,
    /// The channels of a turned operand.
    Channels(Outer),
    /// One lane: positions are not affine in any axis.
    Nothing,
}

/// What the cost of a tile depends on.
#[derive(Clone)]
pub(super) struct Shape {
    pub extents: Vec<i64>,
    /// For each operand, whether an axis moves it.
    pub moves: [Vec<bool>; 2],
    /// For each operand, how many different elements the windows of one output element read.
    windows: [usize; 2],
    /// How many elements of the anchor one output element needs.
    instances: usize,
    /// Axes that must be whole in a tile, and axes that may not be tiled.
    whole: Vec<bool>,
    single: Vec<bool>,
    /// Axes along a border.
    edged: Vec<bool>,
    /// Classes that an axis' elements fall into: those of one read the same taps.
    classes: Vec<i64>,
    /// How many elements at either end of such an axis read beyond the border.
    reach: Vec<usize>,
    /// Whether the tiles at both ends of such an axis may have code of their own; else the axis is in a tile whole or not
    /// at all.
    peels: bool,
    /// Whether an operand is read a vector at a time (else one element for all lanes).
    pub vector: [bool; 2],
    /// The axis along which an operand's elements lie side by side.
    beside: [Option<usize>; 2],
    /// The operand that comes from the second cache in each tile, as the other axes' stays in the first; none where
    /// both are small.
    streamed: Option<usize>,
    /// Lanes of a block.
    block: usize,
    /// Whether vectors run along the last axis.
    pub along_last: bool,
    /// Whether vectors run along what is summed over.
    across: bool,
    /// Whether vectors run along the channels of a turned operand: many sums of a rest are as fast as a whole tile's.
    along_channels: bool,
    /// The row along which elements of the other operand go from tap to tap.
    sliding: Option<Sliding>,
    /// What it takes to end such sums.
    ends: Option<Ends>,
    /// How often it goes through its operands.
    passes: Option<Passes>,
    /// Whether few sums are split into those of every other round.
    splits: bool,
    /// The axis whose range tasks divide, where they do.
    pub ranged: usize,
    /// Vector multiply-adds of a step.
    work: f64,
    /// Whether vectors hold the samples of a block, and how many elements of which axis.
    samples: bool,
    pub elements: usize,
    pub joined: Option<usize>,
    /// For each operand, the loads of a vector: more than one where the elements that are joined lie apart.
    pub pieces: [usize; 2],
    /// And the instructions that join them.
    pub joins: [usize; 2],
}

impl Shape {
    /// Whether vectors can hold several elements of an axis: what is one element for all samples stays the same.
    pub fn joins(&self, axis: usize) -> bool {
        let bordered = self.whole[axis] || self.is_bordered(axis);
        let splat = (0..2).any(|operand| !self.vector[operand] && self.moves[operand][axis]);
        !bordered && !splat
    }

    /// Whether what is read along an axis ends at borders.
    pub fn is_bordered(&self, axis: usize) -> bool {
        self.single[axis] || self.edged[axis]
    }

    /// Notes the axes that move a place which is outside of its operand in some round: with a tap of a window that goes along
    /// with one axis, the ends of that axis alone are at the border.
    fn note_border(
        &mut self,
        contraction: &Contraction,
        axis: &AxisIndex,
        extent: Dim,
        forms: &[Vec<usize>],
    ) {
        let (rank, own) = (contraction.shape.len(), self.extents.len());
        let terms = axis.terms.iter().copied();
        let moving: Vec<(usize, i64)> = terms.clone().filter(|term| term.0 < rank).collect();
        let summed = terms.filter(|term| term.0 >= rank);
        let taps: Vec<i64> = summed.map(|term| term.1).collect();
        for &(variable, _) in &moving {
            let alone = forms[variable].len() == 1 && moving.len() == 1;
            let followed = alone && axis.divisor == 1 && matches!(taps.as_slice(), [1 | -1]);
            for &symbol in forms[variable].iter().filter(|&&symbol| symbol < own) {
                if followed {
                    self.edged[symbol] = true;
                    let beyond = reach(contraction, axis, extent);
                    self.reach[symbol] = self.reach[symbol].max(beyond);
                } else {
                    self.single[symbol] = true;
                }
            }
        }
    }

    /// With vectors along the channels of one operand, each with one element of the other. Borders stay outside of
    /// tiles: a round is one vector for each sample, too little for each accumulator to have rounds of its own.
    fn along_channels(&mut self, outer: Outer, register: usize) {
        let sliding = self.sliding.map(|row| row.taps);
        for (axis, single) in self.single.iter_mut().enumerate() {
            let bordered = *single || self.edged[axis];
            self.edged[axis] = bordered;
            *single = bordered && Some(axis) != sliding;
        }
        self.along_channels = true;
        self.extents[outer.axis] /= outer.width as i64;
        self.single[outer.axis] = outer.width > register;
        self.vector = [0, 1].map(|operand| operand == outer.operand);
        self.streamed = None;
    }
}

/// The tile of a group. Another than the model's may be chosen for the kernel's `name`.
pub fn choose(cx: &Context<'_>, group: &Group, share: Share, along: Along, name: &str) -> Tile {
    let partial = share.partial;
    let node = if partial {
        group.anchor.unwrap_or(group.outputs[0])
    } else {
        group.outputs[0]
    };
    let in_blocks = partial || group.strategy == Strategy::Lanes;
    let mut widths = widths(cx, along);
    if partial {
        // Each pass over half of the lanes reads the other half's cache lines too.
        widths.reverse();
    }
    let lane = if in_blocks && !partial {
        cx.lanes.axis(node)
    } else {
        None
    };
    let shape = &cx.graph.nodes[node].ty.shape;
    let extents: Vec<i64> = shape
        .iter()
        .enumerate()
        .filter(|&(axis, _)| Some(axis) != lane)
        .map(|(axis, dim)| match share.slice == Some(axis) {
            true => 1,
            false => dim.known().unwrap_or(1),
        })
        .collect();
    let anchor = group
        .anchor
        .filter(|_| partial || group.strategy != Strategy::Partial);
    let contraction = anchor.and_then(|anchor| match &cx.graph.nodes[anchor].op {
        Op::Contract(contraction) if contraction.operands.len() == 2 => Some((anchor, contraction)),
        _ => None,
    });
    match contraction {
        Some((anchor, contraction)) => {
            let mut shape = describe(cx, group, partial, anchor, contraction, extents);
            shape.along_last = matches!(along, Along::LastAxis | Along::Rows);
            shape.peels &= in_blocks && !share.divided;
            if let Some(classes) = classes(cx, group).filter(|_| shape.peels) {
                shape.classes = classes;
            }
            shape.samples = matches!(along, Along::Lanes | Along::Joined) && !partial;
            if along == Along::Reduction {
                shape.vector = [true; 2];
                (shape.across, shape.splits) = (true, false);
            }
            if let Along::Channels(outer) = along {
                shape.sliding = sliding(contraction, outer);
                shape.ends = Some(Ends::of(cx, (anchor, contraction), outer, &shape.extents));
                shape.passes = Passes::of(cx, anchor, outer);
                shape.along_channels(outer, cx.target.register_lanes);
            }
            shape.ranged = ranged_axis(cx, &cx.graph.nodes[node].ty.shape);
            let chosen = cx.target.choices.of(cx.plan, name);
            let mut shapes = vec![(shape, widths)];
            if along == Along::Joined && !partial {
                let joined = joined::shapes(cx, group, contraction, &shapes[0].0);
                shapes.extend(joined);
            }
            if along == Along::Rows {
                let rows = joined::rows(cx, group, &shapes[0].0);
                shapes.extend(rows);
            }
            best(cx, &shapes, in_blocks, chosen)
        }
        None if along == Along::Joined && !partial => joined::plain(cx, group, anchor, extents),
        None => {
            let last = extents.last().copied().unwrap_or(1) as usize;
            let whole = matches!(along, Along::LastAxis | Along::Rows);
            let fits = |width: &usize| !whole || *width <= last;
            let widest = widths.iter().copied().filter(fits).max();
            let width = widest.unwrap_or(widths[0]);
            let samples = matches!(along, Along::Lanes | Along::Joined);
            plain_tile(cx, group, anchor, extents, (width, samples))
        }
    }
}

/// The widths of vectors, the first of which any kernel can have.
pub(super) fn widths(cx: &Context<'_>, along: Along) -> Vec<usize> {
    let register = cx.target.register_lanes;
    let widest = cx.target.widest_lanes();
    match along {
        Along::Lanes | Along::Joined if cx.block <= register => vec![cx.block],
        Along::Lanes | Along::Joined => vec![register, cx.block],
        Along::Whole => vec![widest],
        Along::LastAxis | Along::Rows => vec![widest, widest / 2, widest / 4],
        Along::Reduction => vec![register],
        Along::Channels(outer) => vec![outer.width],
        Along::Nothing => vec![1],
    }
}

/// Without a product: axes that only repeat the anchor are whole, and a reduction runs a few outputs side by side so
/// that their sums do not wait for each other. Vectors are of a width, and hold samples or elements of the last axis.
pub(super) fn plain_tile(
    cx: &Context<'_>,
    group: &Group,
    anchor: Option<NodeId>,
    extents: Vec<i64>,
    (width, samples): (usize, bool),
) -> Tile {
    let mut factors: Vec<usize> = vec![1; extents.len()];
    // A block's part of a sum goes over the sum's own axes, not over those of what is computed from it.
    let repeats = anchor.is_some()
        && group.anchor == anchor
        && group.strategy != Strategy::Partial
        && !group.place.positions.is_empty();
    for (axis, factor) in factors.iter_mut().enumerate() {
        if repeats && !group.place.axes().contains(&axis) {
            *factor = extents[axis] as usize;
        }
    }
    let reduces = anchor.is_some_and(|id| matches!(cx.graph.nodes[id].op, Op::Reduce { .. }));
    if reduces && factors.iter().all(|&factor| factor == 1) {
        let widest = (0..extents.len())
            .rev()
            .max_by_key(|&axis| extents[axis].min(4));
        let inside = samples && reads_channels_inside(cx, group);
        let free = |&axis: &usize| axis + 1 < extents.len() || width == 1 || inside;
        if let Some(axis) = widest.filter(free) {
            factors[axis] = match inside {
                true => channels_beside(cx, extents[axis], width),
                false => side_by_side(extents[axis]),
            };
        }
    }
    Tile {
        width,
        factors,
        joined: None,
        edged: Vec::new(),
        reason: format!("lanes {width}; no product"),
    }
}

/// Whether what a group reads has its channels beside the lanes.
fn reads_channels_inside(cx: &Context<'_>, group: &Group) -> bool {
    let inside = |id: &NodeId| {
        let buffer = cx.buffer_of.get(id);
        buffer.is_some_and(|buffer| cx.orders.channels_inside.contains(buffer))
    };
    leaves(cx.graph, cx.stored, group).iter().any(inside)
}

/// As many channels as registers hold sums of: where they lie beside the lanes, memory is then read in order.
fn channels_beside(cx: &Context<'_>, extent: i64, width: usize) -> usize {
    let parts = (width / cx.target.register_lanes).max(1);
    let most = (cx.target.accumulators / parts).min(MOST_BESIDE);
    let fitting = (2..=most).rev().find(|&count| extent % count as i64 == 0);
    fitting.unwrap_or_else(|| side_by_side(extent).min(most))
}

/// Sums that a reduction has side by side at most.
const MOST_BESIDE: usize = 16;

fn side_by_side(extent: i64) -> usize {
    [6, 5, 4, 3, 2]
        .into_iter()
        .find(|&n| extent % n as i64 == 0)
        .unwrap_or(extent.clamp(1, 4) as usize)
}

fn describe(
    cx: &Context<'_>,
    group: &Group,
    partial: bool,
    anchor: NodeId,
    contraction: &Contraction,
    extents: Vec<i64>,
) -> Shape {
    let rank = extents.len();
    let borders = borders(cx.graph, anchor, contraction);
    let forms = variable_axes(cx, group, partial, anchor);
    let window = |number: usize| group.place.windows.get(number).copied().unwrap_or(1);
    let used = |operand: usize| -> BTreeSet<usize> {
        let axes = contraction.operands[operand]
            .iter()
            .flat_map(|axis| axis.terms.iter());
        axes.map(|term| term.0)
            .filter(|&variable| variable < contraction.shape.len())
            .collect()
    };
    let mut shape = Shape {
        extents,
        moves: [vec![false; rank], vec![false; rank]],
        windows: [1, 1],
        instances: 1,
        whole: vec![true; rank],
        single: vec![false; rank],
        edged: vec![false; rank],
        classes: vec![1; rank],
        reach: vec![0; rank],
        peels: !partial,
        vector: [0, 1]
            .map(|operand| reads_vectors(cx, group, partial, anchor, contraction, operand)),
        beside: [0, 1].map(|operand| beside(contraction, operand, &forms, rank)),
        streamed: None,
        block: cx.block,
        along_last: false,
        across: false,
        along_channels: false,
        sliding: None,
        ends: None,
        passes: None,
        splits: !partial && contraction.reduced.iter().any(|dim| dim.known() != Some(1)),
        ranged: 0,
        work: work(cx, contraction),
        samples: false,
        elements: 1,
        joined: None,
        pieces: [1; 2],
        joins: [0; 2],
    };
    let mut windows: BTreeSet<usize> = BTreeSet::new();
    for (operand, bordered) in borders.iter().enumerate() {
        let input = cx.graph.nodes[anchor].inputs[operand];
        let mut own: BTreeSet<usize> = BTreeSet::new();
        for variable in used(operand) {
            for &symbol in &forms[variable] {
                if symbol < rank {
                    shape.moves[operand][symbol] = true;
                    shape.whole[symbol] = false;
                } else {
                    own.insert(symbol);
                }
            }
        }
        shape.windows[operand] = own.iter().map(|&symbol| window(symbol - rank)).product();
        windows.extend(own);
        for (number, (axis, _)) in contraction.operands[operand]
            .iter()
            .zip(bordered)
            .enumerate()
            .filter(|(_, pair)| *pair.1)
        {
            let extent = cx.graph.nodes[input].ty.shape[number];
            shape.note_border(contraction, axis, extent, &forms);
        }
    }
    shape.instances = windows
        .iter()
        .map(|&symbol| window(symbol - rank))
        .product();
    if partial && panel(cx, anchor, 1).is_some() {
        shape.streamed = (0..2).find(|&operand| shape.moves[operand].last() == Some(&true));
    }
    if let Some(parts) = group.place.parts.filter(|_| !partial) {
        shape.instances *= parts.count as usize;
        for operand in 0..2 {
            if used(operand).contains(&parts.axis) {
                shape.windows[operand] *= parts.count as usize;
            }
        }
    }
    shape
}

/// The vector multiply-adds of a step: those of all samples, and of all rounds of the loop around.
fn work(cx: &Context<'_>, contraction: &Contraction) -> f64 {
    let extents = contraction.shape.iter().chain(&contraction.reduced);
    let extents = extents.map(|dim| (dim.batch * cx.batch as i64 + dim.fixed) as f64);
    extents.product::<f64>() * cx.rounds as f64 / cx.target.register_lanes as f64
}

/// For each of the anchor's axes, the symbols of the domain (then windows) that its position is made of.
pub(super) fn variable_axes(
    cx: &Context<'_>,
    group: &Group,
    partial: bool,
    anchor: NodeId,
) -> Vec<Vec<usize>> {
    let lane = if partial { None } else { cx.lanes.axis(anchor) };
    if partial || group.place.positions.is_empty() {
        let mut next = 0..;
        let rank = cx.graph.nodes[anchor].ty.rank();
        return (0..rank)
            .map(|axis| {
                if Some(axis) == lane {
                    vec![]
                } else {
                    next.by_ref().take(1).collect()
                }
            })
            .collect();
    }
    let symbols = |position: &Position<u32>| match position {
        Position::Lane => Vec::new(),
        Position::At(form) => form.terms.iter().map(|term| term.0 as usize).collect(),
    };
    group.place.positions.iter().map(symbols).collect()
}

/// The domain's axis that moves along an operand's last, where one does.
fn beside(
    contraction: &Contraction,
    operand: usize,
    forms: &[Vec<usize>],
    rank: usize,
) -> Option<usize> {
    let variable = contraction.operands[operand].last()?.as_variable()?;
    let symbol = *forms.get(variable)?.last()?;
    (symbol < rank).then_some(symbol)
}

/// Whether an operand's lanes differ.
fn reads_vectors(
    cx: &Context<'_>,
    group: &Group,
    partial: bool,
    anchor: NodeId,
    contraction: &Contraction,
    operand: usize,
) -> bool {
    let input = cx.graph.nodes[anchor].inputs[operand];
    if partial || group.strategy == Strategy::Lanes {
        return cx.lanes.axis(input).is_some();
    }
    let last = contraction.shape.len().wrapping_sub(1);
    contraction.operands[operand]
        .iter()
        .any(|axis| axis.coefficient(last) != 0)
}

/// The operands of a plain contraction that are read along its last axis, as stored values.
pub fn vector_operands_of(graph: &crate::graph::Graph, anchor: NodeId) -> Vec<NodeId> {
    let node = &graph.nodes[anchor];
    let Op::Contract(contraction) = &node.op else {
        return Vec::new();
    };
    let Some(last) = contraction.shape.len().checked_sub(1) else {
        return Vec::new();
    };
    let along = contraction
        .operands
        .iter()
        .map(|axes| axes.iter().any(|axis| axis.coefficient(last) != 0));
    along
        .zip(&node.inputs)
        .filter(|pair| pair.0)
        .map(|(_, &input)| root(graph, input))
        .collect()
}

/// The cheapest tile, or the one that is chosen from outside.
fn best(
    cx: &Context<'_>,
    shapes: &[(Shape, Vec<usize>)],
    in_blocks: bool,
    chosen: Option<&Choice>,
) -> Tile {
    let (shape, widths) = &shapes[0];
    let mut candidates = candidates(cx, shapes, in_blocks);
    let chosen = chosen.and_then(|choice| candidates.iter().position(|own| own.is(choice)));
    if candidates.is_empty() {
        return fallback(shape, widths[0]);
    }
    let taken = candidates.remove(chosen.unwrap_or(0));
    let reason = taken.decision(
        &candidates,
        chosen.is_some_and(|chosen| chosen > 0),
        shape.work,
    );
    Tile {
        width: taken.width,
        factors: taken.factors,
        joined: taken.joined,
        edged: shape.edged.clone(),
        reason,
    }
}

/// All tiles that the registers can hold, the cheapest first, those that are found earlier before others as cheap.
fn candidates(cx: &Context<'_>, shapes: &[(Shape, Vec<usize>)], in_blocks: bool) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let shapes = shapes.iter();
    let widths = shapes.flat_map(|(shape, widths)| widths.iter().map(move |&width| (shape, width)));
    for (shape, width) in widths {
        let parts = (width / cx.target.register_lanes).max(1);
        let mut factors: Vec<usize> = vec![1; shape.extents.len()];
        let used = lanes_used(cx, shape, width);
        let mut found = |cost: Cost, factors: &[usize], (sums, loads): (usize, usize)| {
            let mut factors = factors.to_vec();
            if let Some(axis) = shape.joined {
                factors[axis] *= shape.elements;
            }
            candidates.push(Candidate {
                cost: cost.cycles / used,
                unmissed: cost.unmissed / used,
                width,
                factors,
                joined: shape.joined,
                sums,
                loads,
            });
        };
        search(cx, shape, parts, in_blocks, 0, &mut factors, &mut found);
    }
    candidates.sort_by(Candidate::order);
    // Of tiles with one name, which differ in the axis whose elements are joined, the cheapest is the one that is meant.
    let mut names = BTreeSet::new();
    candidates.retain(|own| names.insert((own.width, own.factors.clone())));
    candidates
}

/// The share of the registers' lanes that vectors of samples fill, or those along the last axis, what is done one by
/// one included.
fn lanes_used(cx: &Context<'_>, shape: &Shape, width: usize) -> f64 {
    if shape.samples {
        return width.min(cx.target.register_lanes) as f64 / cx.target.register_lanes as f64;
    }
    let Some(&extent) = shape.extents.last().filter(|_| shape.along_last) else {
        return 1.0;
    };
    let (extent, register) = (extent.max(1) as usize, cx.target.register_lanes);
    let rest = extent % width;
    let narrower = (rest / NARROWEST as usize).count_ones() as usize;
    let left = narrower + rest % NARROWEST as usize;
    let registers = extent / width * (width / register).max(1) + left;
    extent as f64 / (registers * register) as f64
}

fn fallback(shape: &Shape, width: usize) -> Tile {
    let axes = shape.extents.iter().zip(&shape.whole);
    Tile {
        width,
        factors: axes
            .map(|(&extent, &whole)| if whole { extent as usize } else { 1 })
            .collect(),
        joined: None,
        edged: Vec::new(),
        reason: "no tile fits the registers".into(),
    }
}

/// The longest axis along a border that a tile holds whole: the rounds at the border are written out.
const LONGEST_EDGE: usize = 5;

/// How many elements at either end of an output's axis read beyond an operand's axis in some round.
fn reach(contraction: &Contraction, axis: &AxisIndex, extent: Dim) -> usize {
    let dims = contraction.shape.iter().chain(&contraction.reduced);
    let lasts: Vec<i64> = dims.map(|dim| dim.known().unwrap_or(1) - 1).collect();
    let (mut low, mut high) = (axis.offset, axis.offset);
    for &(variable, factor) in &axis.terms {
        low += (factor * lasts[variable]).min(0);
        high += (factor * lasts[variable]).max(0);
    }
    let beyond = high - (extent.known().unwrap_or(i64::MAX) - 1);
    (-low).max(beyond).max(0) as usize
}

/// Elements side by side along an axis along a border: all, or so many that only its first and last tile are at the
/// border, with tiles between them.
fn edge_tiles(shape: &Shape, axis: usize, ranged: bool) -> Vec<usize> {
    let extent = shape.extents[axis].max(1) as usize;
    if shape.instances > 1 || ranged {
        return vec![1];
    }
    if extent <= LONGEST_EDGE {
        return vec![1, extent];
    }
    let last = shape.whole.iter().rposition(|&whole| !whole) == Some(axis);
    let peeled = |&tile: &usize| {
        shape.peels
            && last
            && extent.is_multiple_of(tile)
            && extent >= 3 * tile
            && shape.reach[axis] <= tile
    };
    [1].into_iter()
        .chain([2, 4].into_iter().filter(peeled))
        .collect()
}

/// Elements of one class side by side: those at borders are by themselves.
fn class_tiles(shape: &Shape, axis: usize) -> Vec<usize> {
    let last = shape.whole.iter().rposition(|&whole| !whole) == Some(axis);
    let fits = |&tile: &usize| last && shape.extents[axis] / shape.classes[axis] > tile as i64;
    [1].into_iter()
        .chain([2, 4].into_iter().filter(fits))
        .collect()
}

type Found<'f> = &'f mut dyn FnMut(Cost, &[usize], (usize, usize));

fn search(
    cx: &Context<'_>,
    shape: &Shape,
    parts: usize,
    in_blocks: bool,
    axis: usize,
    factors: &mut Vec<usize>,
    found: Found<'_>,
) {
    if axis == factors.len() {
        if let Some((cost, counts)) = cost(cx, shape, parts, factors) {
            found(cost, factors, counts);
        }
        return;
    }
    let extent = shape.extents[axis].max(1) as usize;
    let vector_axis = !in_blocks && !shape.across && axis + 1 == factors.len();
    // A task's range may begin and end anywhere along the first axis, and the borders with it.
    let ranged = !in_blocks && axis == shape.ranged;
    let edge = edge_tiles(shape, axis, ranged);
    let class = class_tiles(shape, axis);
    let options: &[usize] = match () {
        () if shape.whole[axis] => &[0],
        () if shape.classes[axis] > 1 => &class,
        () if shape.single[axis] => &[1],
        () if vector_axis => &[1, 2],
        () if shape.edged[axis] => &edge,
        // Where borders stay outside of tiles one axis may be all that there is.
        () if shape.along_channels => &[1, 2, 3, 4, 5, 6, 8, 10, 12, 16],
        () => &[1, 2, 3, 4, 5, 6, 8, 10, 12],
    };
    for &option in options {
        let factor = if option == 0 { extent } else { option };
        // What only repeats the anchor has no sums of its own.
        let sums_of = |factors: &[usize]| -> usize {
            let moving = factors.iter().zip(&shape.whole).filter(|pair| !*pair.1);
            moving.map(|pair| *pair.0).product()
        };
        let own = if shape.whole[axis] { 1 } else { factor };
        let sums = sums_of(&factors[..axis]) * own * shape.instances * parts;
        let crowded = shape.streamed.is_some()
            && axis + 1 < shape.extents.len()
            && factors[..axis].iter().product::<usize>() * factor > RESIDENT;
        let wide = if vector_axis {
            parts * cx.target.register_lanes
        } else {
            1
        };
        if (option > 1 && option * wide > extent)
            || crowded
            || (sums > cx.target.accumulators && factor > 1 && option != 0)
        {
            continue;
        }
        factors[axis] = factor;
        search(cx, shape, parts, in_blocks, axis + 1, factors, found);
    }
    factors[axis] = 1;
}

/// What the second cache takes for the lines of the streamed operand; of lines that hold more lanes than a vector, all.
fn stream_cycles(cx: &Context<'_>, shape: &Shape, parts: usize, loads: &[usize]) -> f64 {
    let Some(operand) = shape.streamed else {
        return 0.0;
    };
    let lanes = parts * cx.target.register_lanes;
    let bytes = loads[operand] * cx.target.register_lanes * 4 * (shape.block / lanes).max(1);
    bytes as f64 / SECOND_CACHE
}

/// Cycles until a sum can be added to again.
const LATENCY: usize = 4;

/// Whether so many sums are fewer than two multipliers can add to without waiting, and registers hold as many again.
pub(super) fn splits(sums: usize, target: &Target) -> bool {
    sums < 2 * LATENCY && 2 * sums <= target.accumulators
}

/// Bytes a cycle that the second cache gives.
const SECOND_CACHE: f64 = 20.0;

/// Of a tile of a product over samples, elements of the axes before the last: so many that their rounds stay in the
/// first cache.
const RESIDENT: usize = 4;

/// Cycles for each vector multiply-add.
struct Cost {
    /// With what loads take that miss the first cache.
    cycles: f64,
    /// Without.
    unmissed: f64,
}

/// Cycles for each vector multiply-add, and loads for each round of the reduction: bound by the multipliers (two a
/// cycle), the loads (two), the latency of dependent sums (four cycles) or the decoder (six).
fn cost(
    cx: &Context<'_>,
    shape: &Shape,
    parts: usize,
    factors: &[usize],
) -> Option<(Cost, (usize, usize))> {
    let repeats: usize = factors
        .iter()
        .zip(&shape.whole)
        .filter(|pair| *pair.1)
        .map(|pair| *pair.0)
        .product();
    let instances = factors.iter().product::<usize>() / repeats.max(1) * shape.instances;
    let sums = instances * parts;
    let mut loads: Vec<usize> = (0..2)
        .map(|operand| {
            let axes = factors
                .iter()
                .zip(&shape.moves[operand])
                .filter(|pair| *pair.1)
                .map(|pair| *pair.0);
            let each = if shape.vector[operand] { parts } else { 1 };
            axes.product::<usize>() * shape.windows[operand] * each
        })
        .collect();
    // What one round of overlapping windows loaded serves the next.
    let kept = if shape.windows.iter().any(|&window| window > 1) {
        2 * parts
    } else {
        0
    };
    // A splat counts as a vector, one register for each part of the lanes: an upper bound, as its parts may share one.
    let held = (0..2).map(|operand| match shape.vector[operand] {
        true => loads[operand],
        false => loads[operand] * parts,
    });
    let mut held = held.min().unwrap_or(0);
    let slides = shape.sliding.filter(|row| factors[row.taps] > 1);
    if let Some(row) = slides {
        held = loads[row.operand];
        let (taps, pixels) = (factors[row.taps], sliding::pixels(cx.target, instances));
        loads[row.operand] = (held / taps * row.elements(taps, pixels)).div_ceil(pixels);
    }
    let live = sums + held + cx.target.spare + kept;
    let fits = live <= cx.target.registers && sums <= cx.target.accumulators;
    if instances > 1 && !fits {
        return None;
    }
    let pieces = |operand: usize| loads[operand] * shape.pieces[operand];
    let load: usize = (0..2).map(pieces).sum();
    let joins: usize = (0..2)
        .map(|operand| loads[operand] * shape.joins[operand])
        .sum();
    let latency = match shape.splits && splits(sums, cx.target) {
        true => LATENCY / 2,
        false => LATENCY,
    };
    let cycles = [
        (sums + joins) as f64 / 2.0,
        load as f64 / 2.0,
        latency as f64,
        (cx.target.fma_instructions * sums + load + joins + 3) as f64 / 6.0,
        stream_cycles(cx, shape, parts, &loads),
    ];
    // Loads that miss the first cache are what delays multiply-adds that nothing else bounds.
    let missed: f64 = (0..2)
        .map(|operand| match shape.vector[operand] {
            true => loads[operand] as f64 / parts as f64 * 0.5,
            false => {
                let beside = shape.beside[operand].map_or(1, |axis| factors[axis]);
                (loads[operand] / beside.max(1)) as f64 * 0.15
            }
        })
        .sum();
    let unmissed = cycles.into_iter().fold(0.0, f64::max);
    let useful = useful(shape, factors, sums);
    let ends = shape.ends.as_ref();
    let ends = ends.map_or(0.0, |ends| ends.cycles(cx.target, factors));
    let passes = shape.passes.as_ref();
    let passes = passes.map_or(0.0, |passes| passes.cycles(factors));
    let each = |cycles: f64| cycles / sums as f64 / useful + ends;
    let cost = Cost {
        cycles: each(unmissed + missed) + passes,
        unmissed: each(unmissed),
    };
    Some((cost, (sums, load)))
}

/// The share of the tiles' elements that there are.
fn useful(shape: &Shape, factors: &[usize], sums: usize) -> f64 {
    let mut useful = 1.0;
    for (&extent, &factor) in shape.extents.iter().zip(factors) {
        let rest = extent as usize % factor;
        if shape.along_channels && rest * sums / factor >= 2 * LATENCY {
            continue;
        }
        let tiles = extent.max(1) as usize / factor
            + usize::from(!(extent as usize).is_multiple_of(factor));
        useful *= extent as f64 / (tiles * factor) as f64;
    }
    useful
}

/// For a product over samples: how many elements of its last axis stay in the second cache while the others go by.
pub fn panel(cx: &Context<'_>, anchor: NodeId, factor: usize) -> Option<usize> {
    let node = &cx.graph.nodes[anchor];
    let Op::Contract(contraction) = &node.op else {
        return None;
    };
    let last = contraction.shape.len().checked_sub(1)?;
    let extent = usize::try_from(contraction.shape[last].known()?).ok()?;
    let rounds: i64 = contraction
        .reduced
        .iter()
        .map(|dim| dim.known().unwrap_or(1))
        .product();
    let bytes = rounds as usize * cx.block * 4;
    if extent * bytes <= PANEL_BYTES || contraction.operands.len() != 2 || last == 0 {
        return None;
    }
    let fits = |size: &usize| {
        extent % size == 0 && size.is_multiple_of(factor) && size * bytes <= PANEL_BYTES
    };
    (factor..extent).rev().find(fits)
}

/// Of the second cache, what a panel may take.
const PANEL_BYTES: usize = 256 << 10;
