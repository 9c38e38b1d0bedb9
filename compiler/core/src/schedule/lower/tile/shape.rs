//! What a product is to the choice of its tile: which axes move which operand, and where borders are.

use super::panel::panel;
use crate::graph::{AxisIndex, Contraction, Dim, NodeId, Op};
use crate::schedule::borders::borders;
use crate::schedule::fuse::{Group, Strategy, root};
use crate::schedule::lower::Context;
use crate::schedule::lower::ends::Ends;
use crate::schedule::lower::passes::Passes;
use crate::schedule::outer::Outer;
use crate::schedule::position::Position;
use crate::schedule::sliding::Sliding;
use std::collections::BTreeSet;

/// What the cost of a tile depends on.
#[derive(Clone)]
pub struct Shape {
    pub extents: Vec<i64>,
    /// For each operand, whether an axis moves it.
    pub moves: [Vec<bool>; 2],
    /// For each operand, how many different elements the windows of one output element read.
    pub(super) windows: [usize; 2],
    /// How many elements of the anchor one output element needs.
    pub(super) instances: usize,
    /// Axes that must be whole in a tile, and axes that may not be tiled.
    pub(super) whole: Vec<bool>,
    pub(super) single: Vec<bool>,
    /// Axes along a border.
    pub(super) edged: Vec<bool>,
    /// Classes that an axis' elements fall into: those of one read the same taps.
    pub(super) classes: Vec<i64>,
    /// How many elements at either end of such an axis read beyond the border.
    pub(super) reach: Vec<usize>,
    /// Whether the tiles at both ends of such an axis may have code of their own; else the axis is in a tile whole or not
    /// at all.
    pub(super) peels: bool,
    /// Whether an operand is read a vector at a time (else one element for all lanes).
    pub vector: [bool; 2],
    /// The axis along which an operand's elements lie side by side.
    pub(super) beside: [Option<usize>; 2],
    /// The operand that comes from the second cache in each tile, as the other axes' stays in the first; none where
    /// both are small.
    pub(super) streamed: Option<usize>,
    /// Lanes of a block.
    pub(super) block: usize,
    /// Whether vectors run along the last axis.
    pub along_last: bool,
    /// Whether vectors run along what is summed over.
    pub(super) across: bool,
    /// Whether vectors run along the channels of a turned operand: many sums of a rest are as fast as a whole tile's.
    pub(super) along_channels: bool,
    /// The row along which elements of the other operand go from tap to tap.
    pub(super) sliding: Option<Sliding>,
    /// What it takes to end such sums.
    pub(super) ends: Option<Ends>,
    /// How often it goes through its operands.
    pub(super) passes: Option<Passes>,
    /// Whether few sums are split into those of every other round.
    pub(super) splits: bool,
    /// The axis whose range tasks divide, where they do.
    pub ranged: usize,
    /// Vector multiply-adds of a step.
    pub(super) work: f64,
    /// Whether vectors hold the samples of a block, and how many elements of which axis.
    pub(super) samples: bool,
    pub elements: usize,
    pub joined: Option<usize>,
    /// For each operand, the loads of a vector: more than one where the elements that are joined lie apart.
    pub pieces: [usize; 2],
    /// And the instructions that join them.
    pub joins: [usize; 2],
}

impl Shape {
    /// Of a product that no axis moves through, in blocks of so many lanes.
    fn of_extents(extents: Vec<i64>, block: usize) -> Shape {
        let rank = extents.len();
        Shape {
            extents,
            moves: [vec![false; rank], vec![false; rank]],
            windows: [1, 1],
            instances: 1,
            whole: vec![true; rank],
            single: vec![false; rank],
            edged: vec![false; rank],
            classes: vec![1; rank],
            reach: vec![0; rank],
            peels: false,
            vector: [false; 2],
            beside: [None; 2],
            streamed: None,
            block,
            along_last: false,
            across: false,
            along_channels: false,
            sliding: None,
            ends: None,
            passes: None,
            splits: false,
            ranged: 0,
            work: 0.0,
            samples: false,
            elements: 1,
            joined: None,
            pieces: [1; 2],
            joins: [0; 2],
        }
    }

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

    /// Notes the axes that move an operand; gives the windows that do.
    fn note_moves(
        &mut self,
        contraction: &Contraction,
        operand: usize,
        forms: &[Vec<usize>],
    ) -> BTreeSet<usize> {
        let rank = self.extents.len();
        let variables = variables(contraction, operand).into_iter();
        let symbols = variables.flat_map(|variable| forms[variable].iter().copied());
        let (axes, windows): (BTreeSet<usize>, BTreeSet<usize>) =
            symbols.partition(|&symbol| symbol < rank);
        for axis in axes {
            self.moves[operand][axis] = true;
            self.whole[axis] = false;
        }
        windows
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
    pub(super) fn along_channels(&mut self, outer: Outer, register: usize) {
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

/// What the cost of a product's tile depends on, whatever its vectors run along.
pub(super) fn describe(
    cx: &Context<'_>,
    group: &Group,
    partial: bool,
    anchor: NodeId,
    contraction: &Contraction,
    extents: Vec<i64>,
) -> Shape {
    let rank = extents.len();
    let forms = variable_axes(cx, group, partial, anchor);
    let window = |symbol: &usize| group.place.windows.get(symbol - rank).copied().unwrap_or(1);
    let vector = [0, 1].map(|own| reads_vectors(cx, group, partial, anchor, contraction, own));
    let mut shape = Shape {
        peels: !partial,
        vector,
        beside: [0, 1].map(|operand| beside(contraction, operand, &forms, rank)),
        splits: !partial && contraction.reduced.iter().any(|dim| dim.known() != Some(1)),
        work: work(cx, contraction),
        ..Shape::of_extents(extents, cx.block)
    };
    let mut windows: BTreeSet<usize> = BTreeSet::new();
    let borders = borders(cx.graph, anchor, contraction);
    for (operand, bordered) in borders.iter().enumerate() {
        let own = shape.note_moves(contraction, operand, &forms);
        shape.windows[operand] = own.iter().map(window).product();
        windows.extend(own);
        let input = cx.graph.nodes[anchor].inputs[operand];
        let axes = contraction.operands[operand].iter().zip(bordered);
        for (number, (axis, _)) in axes.enumerate().filter(|(_, pair)| *pair.1) {
            let extent = cx.graph.nodes[input].ty.shape[number];
            shape.note_border(contraction, axis, extent, &forms);
        }
    }
    shape.instances = windows.iter().map(window).product();
    if partial && panel(cx, anchor, 1).is_some() {
        shape.streamed = (0..2).find(|&operand| shape.moves[operand].last() == Some(&true));
    }
    if let Some(parts) = group.place.parts.filter(|_| !partial) {
        shape.instances *= parts.count as usize;
        for operand in 0..2 {
            if variables(contraction, operand).contains(&parts.axis) {
                shape.windows[operand] *= parts.count as usize;
            }
        }
    }
    shape
}

/// The anchor's axes that an operand is read along.
fn variables(contraction: &Contraction, operand: usize) -> BTreeSet<usize> {
    let axes = contraction.operands[operand].iter();
    let variables = axes.flat_map(|axis| &axis.terms).map(|term| term.0);
    let own = variables.filter(|&variable| variable < contraction.shape.len());
    own.collect()
}

/// The vector multiply-adds of a step: those of all samples, and of all rounds of the loop around.
fn work(cx: &Context<'_>, contraction: &Contraction) -> f64 {
    let extents = contraction.shape.iter().chain(&contraction.reduced);
    let extents = extents.map(|dim| (dim.batch * cx.batch as i64 + dim.fixed) as f64);
    extents.product::<f64>() * cx.rounds as f64 / cx.target.register_lanes as f64
}

/// For each of the anchor's axes, the symbols of the domain (then windows) that its position is made of.
pub fn variable_axes(
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
