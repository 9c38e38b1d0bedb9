//! Which values are stored, and which kernel computes each.
//!
//! An *anchor* is an operation with a reduction loop: a contraction or a reduction too large to unroll. Every kernel
//! has at most one; elementwise operations, views and small windows that follow it are its epilogue, as long as each
//! of the anchor's elements is needed by one element of the result only. All else is computed where it is read.

use super::anchor_place::{AnchorPlace, is_identity};
use super::anew::twins;
use super::beside::beside;
use super::coarse::restriction;
use super::forming::{Forming, Members};
use super::group_order::{cycle, in_order, last_homed};
use super::lanes::{ContractionLanes, Lanes};
use super::lower::vector_operands_of;
use super::reach::Reach;
use super::symbols::Symbols;
use super::target::Target;
use crate::graph::{Graph, NodeId, Op};
use cranelift_entity::{EntitySet, SecondaryMap};
use std::collections::{BTreeMap, BTreeSet};

/// The most elements of a window that are unrolled.
pub(super) const WINDOW: i64 = 16;

/// How an anchor is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// For each sample block, lanes over its samples.
    Lanes,
    /// For each sample block, lanes over its samples, which are summed at the end into the task's partial.
    Partial,
    /// Over the whole value, lanes along a feature axis where one fits.
    Plain,
}

/// Values that one kernel stores, with the anchor they share.
#[derive(Clone, Debug)]
pub struct Group {
    /// The reduction inside, if any.
    pub anchor: Option<NodeId>,
    /// How it is computed; groups without an anchor are `Lanes` or `Plain`.
    pub strategy: Strategy,
    /// The stored values, in graph order. Without an anchor, those after the first are as large as it, or as one of its parts.
    pub outputs: Vec<NodeId>,
    /// Where the outputs read the anchor; empty where the output is the anchor itself, or there is none.
    pub place: AnchorPlace,
    /// Of outputs with fewer axes than the first one: for each axis the axis of the first output that it is.
    pub coarse: BTreeMap<NodeId, Vec<usize>>,
}

impl Group {
    /// A value on its own.
    pub fn single(node: NodeId, strategy: Strategy) -> Group {
        Group {
            anchor: None,
            strategy,
            outputs: vec![node],
            place: AnchorPlace::default(),
            coarse: BTreeMap::new(),
        }
    }
}

/// The result: what is stored, in which groups, in an order in which each group reads only earlier ones.
pub struct Fusion {
    /// The groups.
    pub groups: Vec<Group>,
    /// Every stored value that is no input.
    pub stored: BTreeSet<NodeId>,
    /// The strategy of each anchor.
    pub strategies: BTreeMap<NodeId, Strategy>,
}

/// The value whose memory `node` shares: reshapes and gradient stops move nothing.
pub fn root(graph: &Graph, mut node: NodeId) -> NodeId {
    while matches!(graph.nodes[node].op, Op::Reshape { .. } | Op::StopGradient) {
        node = graph.nodes[node].inputs[0];
    }
    node
}

/// Whether a value comes from outside: an input, or an argument of a loop's body.
pub fn is_given(op: &Op) -> bool {
    matches!(op, Op::Input { .. } | Op::Argument { .. })
}

/// The operands of a product over the batch, or of samples with each other, that are read along its vector axis: in lanes
/// as they are, they are copied into rows or panels, and so they are stored themselves, views too.
pub fn rows_over_batch(
    graph: &Graph,
    lanes: &Lanes,
    strategy: Option<&Strategy>,
    anchor: NodeId,
) -> Vec<NodeId> {
    let node = &graph.nodes[anchor];
    let (Op::Contract(contraction), Some(Strategy::Plain)) = (&node.op, strategy) else {
        return Vec::new();
    };
    let over = lanes.contraction(contraction, &node.inputs);
    if matches!(over, ContractionLanes::Along(_)) {
        return Vec::new();
    }
    let operands = vector_operands_of(graph, anchor).into_iter();
    operands
        .filter(|&operand| lanes.axis(operand) == Some(0))
        .collect()
}

/// Chooses what is stored, `kept` in any case, and forms the groups.
pub fn fuse(graph: &Graph, lanes: &Lanes, target: &Target, kept: &BTreeSet<NodeId>) -> Fusion {
    let mut fuser = Fuser::new(graph, lanes, target);
    fuser.stored.extend(kept);
    fuser.require_outputs();
    fuser.require_operands();
    fuser.require_loops();
    let mut forming = Forming::default();
    let groups = loop {
        while let Err(cut) = fuser.form(&mut forming) {
            forming.forget(cut);
            fuser.stored.insert(cut);
        }
        let groups = fuser.groups(&forming);
        let cycle = cycle(graph, &fuser.stored, &groups);
        let Some(waiting) = cycle.and_then(|cycle| last_homed(&groups, &cycle)) else {
            break groups;
        };
        forming.forget(waiting);
        fuser.alone.insert(waiting);
    };
    let groups = beside(graph, lanes, &fuser.stored, groups);
    Fusion {
        groups: in_order(graph, &fuser.stored, groups),
        stored: fuser.stored,
        strategies: fuser.strategies,
    }
}

pub(super) struct Fuser<'a> {
    pub(super) graph: &'a Graph,
    pub(super) lanes: &'a Lanes,
    pub(super) stored: BTreeSet<NodeId>,
    pub(super) strategies: BTreeMap<NodeId, Strategy>,
    /// Values that one operation or output reads.
    pub(super) used_once: EntitySet<NodeId>,
    /// Values that no anchor's kernel computes: those that are computed anew wait for what they are beside of, and one of each
    /// cycle of kernels that wait for one another.
    alone: BTreeSet<NodeId>,
    /// For each node, the anchors it depends on, as bits.
    pub(super) below: SecondaryMap<NodeId, Vec<u64>>,
    bits: BTreeMap<NodeId, usize>,
}

impl<'a> Fuser<'a> {
    fn new(graph: &'a Graph, lanes: &'a Lanes, target: &Target) -> Fuser<'a> {
        let mut fuser = Fuser {
            graph,
            lanes,
            stored: BTreeSet::new(),
            strategies: BTreeMap::new(),
            used_once: graph.used_once(),
            alone: twins(graph),
            below: SecondaryMap::new(),
            bits: BTreeMap::new(),
        };
        for id in graph.nodes.keys() {
            if let Some(strategy) = fuser.strategy(id, target) {
                let bit = fuser.bits.len();
                fuser.bits.insert(id, bit);
                fuser.strategies.insert(id, strategy);
            }
        }
        fuser.fill_below();
        fuser
    }

    /// The strategy of an anchor; `None` for all other nodes.
    fn strategy(&self, id: NodeId, target: &Target) -> Option<Strategy> {
        let node = &self.graph.nodes[id];
        let across = match &node.op {
            Op::Contract(contraction)
                if contraction.operands.len() == 1 && contraction.reduced.is_empty() =>
            {
                return None;
            }
            Op::Contract(contraction) => match self.lanes.contraction(contraction, &node.inputs) {
                ContractionLanes::Across(_) if contraction.operands.len() == 1 => true,
                ContractionLanes::Across(lane) => {
                    let rest = contraction
                        .reduced
                        .iter()
                        .enumerate()
                        .filter(|&(axis, _)| axis != lane);
                    let work: i64 = rest.map(|(_, dim)| dim.known().unwrap_or(1)).product();
                    2 * work >= target.lane_sum_work
                }
                _ => false,
            },
            // Partials are floats; integers are few, and take the plain way.
            Op::Reduce {
                op: crate::graph::ReduceOp::Sum,
                axes,
            } if node.ty.dtype.is_float() => self
                .lanes
                .axis(node.inputs[0])
                .is_some_and(|lane| axes.contains(&lane)),
            Op::Reduce { .. } if self.is_window(id) => return None,
            Op::Reduce { .. } => false,
            _ => return None,
        };
        Some(match (self.lanes.axis(id), across) {
            (Some(_), _) => Strategy::Lanes,
            (None, true) => Strategy::Partial,
            (None, false) => Strategy::Plain,
        })
    }

    /// Whether a reduction runs over a window small enough to unroll.
    fn is_window(&self, id: NodeId) -> bool {
        let node = &self.graph.nodes[id];
        let Op::Reduce { axes, .. } = &node.op else {
            return false;
        };
        let shape = &self.graph.nodes[node.inputs[0]].ty.shape;
        let size: Option<i64> = axes.iter().map(|&axis| shape[axis].known()).product();
        size.is_some_and(|size| size <= WINDOW) && self.reads_window(node.inputs[0])
    }

    fn reads_window(&self, mut id: NodeId) -> bool {
        loop {
            let node = &self.graph.nodes[id];
            match &node.op {
                Op::View(view) => return view.index.iter().any(|axis| axis.terms.len() > 1),
                Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) => {
                    let rank = node.ty.rank();
                    let Some(&next) = node
                        .inputs
                        .iter()
                        .find(|&&i| self.graph.nodes[i].ty.rank() == rank)
                    else {
                        return false;
                    };
                    id = next;
                }
                _ => return false,
            }
        }
    }

    fn fill_below(&mut self) {
        let words = self.bits.len().div_ceil(64);
        for (id, node) in self.graph.nodes.iter() {
            let mut set = vec![0u64; words];
            for &input in &node.inputs {
                set.iter_mut()
                    .zip(&self.below[input])
                    .for_each(|(word, &other)| *word |= other);
                if let Some(&bit) = self.bits.get(&input) {
                    set[bit / 64] |= 1 << (bit % 64);
                }
            }
            self.below[id] = set;
        }
    }

    pub(super) fn depends(&self, id: NodeId, anchor: NodeId) -> bool {
        let bit = self.bits[&anchor];
        id == anchor
            || self.below[id]
                .get(bit / 64)
                .is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    fn require(&mut self, id: NodeId) {
        let id = root(self.graph, id);
        if !is_given(&self.graph.nodes[id].op)
            && !matches!(self.graph.nodes[id].op, Op::Constant(_))
        {
            self.stored.insert(id);
        }
    }

    fn require_outputs(&mut self) {
        for output in &self.graph.outputs {
            let id = root(self.graph, output.node);
            if !is_given(&self.graph.nodes[id].op) {
                self.stored.insert(id);
            }
        }
    }

    /// The operands of a product are read many times: they are stored, but for what is the same everywhere.
    fn require_operands(&mut self) {
        for id in self.graph.nodes.keys() {
            let node = &self.graph.nodes[id];
            let product = matches!(&node.op, Op::Contract(c) if c.operands.len() > 1);
            if product || node.op == Op::Gather {
                let copied = rows_over_batch(self.graph, self.lanes, self.strategies.get(&id), id);
                for &input in &node.inputs {
                    let mut operand = root(self.graph, input);
                    if copied.contains(&operand) {
                        self.require(operand);
                        continue;
                    }
                    while let Op::View(_) = self.graph.nodes[operand].op {
                        operand = root(self.graph, self.graph.nodes[operand].inputs[0]);
                    }
                    self.require(operand);
                }
            }
        }
    }

    /// The results of loops are stored, and so is what they read, but for what is the same everywhere.
    fn require_loops(&mut self) {
        let live = self.graph.live_nodes();
        for (id, node) in self.graph.nodes.iter().filter(|(id, _)| live.contains(*id)) {
            if !matches!(node.op, Op::Scan(_)) {
                continue;
            }
            self.stored.insert(id);
            for &input in &node.inputs {
                if self.graph.constant_value(input).is_none() {
                    self.require(input);
                }
            }
        }
    }

    /// The results of one loop that are stored.
    fn loop_group(&self, id: NodeId) -> Group {
        let results = self.graph.results_of(id).into_iter();
        let stored = results.map(|result| result.1);
        Group {
            outputs: stored.filter(|id| self.stored.contains(id)).collect(),
            ..Group::single(id, Strategy::Plain)
        }
    }

    /// Assigns each stored value to a group, or names a value that must be stored first.
    fn form(&self, forming: &mut Forming) -> Result<(), NodeId> {
        let first = forming.next();
        for &id in self.stored.range(first..) {
            self.assign(id, forming)?;
        }
        for &anchor in forming.anchored.keys() {
            if !forming.checked.contains(&anchor) {
                self.check_operands(anchor)?;
                forming.checked.insert(anchor);
            }
        }
        Ok(())
    }

    fn assign(&self, id: NodeId, forming: &mut Forming) -> Result<(), NodeId> {
        if self.strategies.contains_key(&id) {
            let mut members = forming.anchored.get(&id).cloned().unwrap_or_default();
            members.outputs.push(id);
            forming.join(id, id, members);
            return Ok(());
        }
        if matches!(self.graph.nodes[id].op, Op::Scan(_)) {
            let group = self.loop_group(id);
            match group.outputs.first() == Some(&id) {
                true => forming.alone(id, group),
                false => forming.along(id),
            }
            return Ok(());
        }
        let home = match self.alone.contains(&id) {
            true => None,
            false => self.home(id, &forming.homed),
        };
        let joined = home.and_then(|(home, place)| {
            let members = self.join(id, place, forming.anchored.get(&home))?;
            Some((home, members))
        });
        match joined {
            Some((home, members)) => forming.join(id, home, members),
            None => match self.obstacle(id) {
                Some(cut) => return Err(cut),
                None => forming.alone(id, self.elementwise(id)),
            },
        }
        Ok(())
    }

    /// The groups that have been formed: those without an anchor first.
    fn groups(&self, forming: &Forming) -> Vec<Group> {
        let group = |(&anchor, members): (&NodeId, &Members)| Group {
            anchor: Some(anchor),
            strategy: self.strategies[&anchor],
            outputs: members.outputs.clone(),
            place: members.place.clone(),
            coarse: members.coarse.clone(),
        };
        let anchored = forming.anchored.iter().map(group);
        forming.groups.iter().cloned().chain(anchored).collect()
    }

    /// The anchor whose epilogue can compute a value, and where it reads the anchor.
    fn home(&self, id: NodeId, homed: &BTreeMap<NodeId, NodeId>) -> Option<(NodeId, AnchorPlace)> {
        for through in self.looked_through(id, homed) {
            let (reach, symbols) = self.reach(id, through);
            let [(&home, places)] = reach.anchors.iter().collect::<Vec<_>>()[..] else {
                continue;
            };
            let waits = reach
                .leaves
                .iter()
                .any(|&leaf| leaf != home && self.depends(leaf, home));
            if waits || !self.one_mode(id, home) {
                continue;
            }
            if let Some(place) = self.shared_place(id, home, places, &symbols) {
                return Some((home, place));
            }
        }
        None
    }

    /// The stored values that the expression of `id` may be followed through, to find the anchor of a kernel that makes
    /// them too: the outputs of one kernel of those it reads, the latest first, then none.
    fn looked_through(
        &self,
        id: NodeId,
        homed: &BTreeMap<NodeId, NodeId>,
    ) -> Vec<BTreeSet<NodeId>> {
        let (reach, _) = self.reach(id, BTreeSet::new());
        let homes: BTreeSet<NodeId> = reach
            .leaves
            .iter()
            .filter_map(|leaf| homed.get(leaf).copied())
            .collect();
        let outputs_of = |home: &NodeId| {
            let outputs = homed.iter().filter(|output| output.1 == home);
            outputs.map(|output| *output.0).collect()
        };
        let mut choices: Vec<BTreeSet<NodeId>> = homes.iter().rev().map(outputs_of).collect();
        choices.push(BTreeSet::new());
        choices
    }

    /// The outputs that an anchor's kernel has already, and this value, if it fits them. The first output is the one over
    /// whose elements the kernel runs.
    fn join(&self, id: NodeId, place: AnchorPlace, found: Option<&Members>) -> Option<Members> {
        let Some(found) = found else {
            return Some(Members {
                outputs: vec![id],
                place,
                coarse: BTreeMap::new(),
            });
        };
        let mut members = found.clone();
        let first = found.outputs[0];
        if found.place == place && self.same_domain(first, id) {
            members.outputs.push(id);
        } else if self.has_other_parts(id, &place, found) {
            match place.parts {
                Some(_) => {
                    members.outputs.insert(0, id);
                    members.place = place;
                }
                None => members.outputs.push(id),
            }
        } else {
            let axes = self.coarse_axes(first, &found.place, id, &place)?;
            if !found.coarse.is_empty() {
                return None;
            }
            let coarse = found.outputs.iter().map(|&output| (output, axes.clone()));
            members.coarse = coarse.collect();
            members.outputs.insert(0, id);
            members.place = place;
        }
        Some(members)
    }

    /// Whether one of the value and the outputs is as large as the anchor, and the other reads all its parts: it is
    /// stored part by part then.
    fn has_other_parts(&self, id: NodeId, place: &AnchorPlace, found: &Members) -> bool {
        self.lanes.axis(found.outputs[0]) == self.lanes.axis(id)
            && is_identity(place)
            && is_identity(&found.place)
            && place.parts.is_some() != found.place.parts.is_some()
    }

    /// For each axis of `coarse` the axis of `fine` that it is, where `fine` repeats its elements along the others. In lanes
    /// alone: other vectors run along the last axis, whose repeats no tile holds.
    fn coarse_axes(
        &self,
        coarse: NodeId,
        coarse_place: &AnchorPlace,
        fine: NodeId,
        fine_place: &AnchorPlace,
    ) -> Option<Vec<usize>> {
        let rank = self.domain_rank(coarse) as usize;
        let axes = restriction(coarse_place, rank, fine_place)?;
        let mut axes = axes.into_iter();
        let shape = |id: NodeId| &self.graph.nodes[id].ty.shape;
        let lane = self.lanes.axis(fine)?;
        let full = |axis: usize| axis + usize::from(axis >= lane);
        let mut result = Vec::new();
        for axis in 0..shape(coarse).len() {
            let own = match self.lanes.axis(coarse) == Some(axis) {
                true => lane,
                false => full(axes.next()?),
            };
            if shape(coarse)[axis] != shape(fine)[own] {
                return None;
            }
            result.push(own);
        }
        Some(result)
    }

    /// What must be stored so that a value without a home reads no anchor.
    fn obstacle(&self, id: NodeId) -> Option<NodeId> {
        let (reach, _) = self.reach(id, BTreeSet::new());
        let (&home, _) = reach.anchors.last_key_value()?;
        let other = reach.anchors.keys().find(|&&other| other != home);
        Some(match other {
            Some(&other) => self.cut(id, other, Some(home)),
            None => self.cut(id, home, None),
        })
    }

    fn elementwise(&self, id: NodeId) -> Group {
        let strategy = if self.lanes.axis(id).is_some() {
            Strategy::Lanes
        } else {
            Strategy::Plain
        };
        Group::single(id, strategy)
    }

    /// The number of axes beside the lane axis, which is the number of domain symbols.
    pub(super) fn domain_rank(&self, id: NodeId) -> u32 {
        (self.graph.nodes[id].ty.rank() - usize::from(self.lanes.axis(id).is_some())) as u32
    }

    fn same_domain(&self, a: NodeId, b: NodeId) -> bool {
        let shape = |id: NodeId| &self.graph.nodes[id].ty.shape;
        shape(a) == shape(b) && self.lanes.axis(a) == self.lanes.axis(b)
    }

    /// An epilogue runs with the same lanes as its anchor.
    fn one_mode(&self, id: NodeId, home: NodeId) -> bool {
        self.lanes.axis(id).is_some() == self.lanes.axis(home).is_some()
    }

    /// What an anchor reads must be stored wherever it is computed by another anchor.
    fn check_operands(&self, anchor: NodeId) -> Result<(), NodeId> {
        for &input in &self.graph.nodes[anchor].inputs {
            let mut reach = Reach::default();
            let mut symbols = Symbols::default();
            let positions =
                self.fresh_positions(input, self.lanes.axis(anchor).is_some(), &mut symbols);
            self.walk(input, Some(positions), &mut symbols, &mut reach);
            if let Some((&below, _)) = reach.anchors.last_key_value()
                && !self.stored.contains(&below)
            {
                return Err(match input == below || root(self.graph, input) == below {
                    true => below,
                    false => self.cut_from(input, below),
                });
            }
        }
        Ok(())
    }
}
