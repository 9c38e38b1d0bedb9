//! What the expression of a value reads, and where.

use super::affine::Affine;
use super::fuse::{Fuser, root};
use super::position::{IndexSpace, Indexed, Position, index, reshape};
use super::symbols::{Symbol, Symbols};
use crate::graph::{AxisIndex, Dim, NodeId, Op, View};
use std::collections::{BTreeMap, BTreeSet};

/// What the expression of a stored value reads.
#[derive(Default)]
pub(super) struct Reach {
    /// Each anchor with the positions it is read at; `None` where they have no affine form.
    pub(super) anchors: BTreeMap<NodeId, BTreeSet<Option<Vec<Position<Symbol>>>>>,
    pub(super) leaves: BTreeSet<NodeId>,
    /// Stored values that are looked through, because they may be outputs of the same group.
    through: BTreeSet<NodeId>,
}

impl Fuser<'_> {
    /// One symbol for each axis of a value, the lane axis of one in lanes aside.
    pub(super) fn fresh_positions(
        &self,
        id: NodeId,
        in_lanes: bool,
        symbols: &mut Symbols,
    ) -> Vec<Position<Symbol>> {
        let lane = self.lanes.axis(id).filter(|_| in_lanes);
        let shape = &self.graph.nodes[id].ty.shape;
        let position = |(axis, dim): (usize, &Dim)| match Some(axis) == lane {
            true => Position::Lane,
            false => Position::At(Affine::variable(symbols.add(dim.known()))),
        };
        shape.iter().enumerate().map(position).collect()
    }

    /// What the expression of a stored value reads, over one symbol for each axis.
    pub(super) fn reach(&self, id: NodeId, through: BTreeSet<NodeId>) -> (Reach, Symbols) {
        let mut symbols = Symbols::default();
        let positions = self.fresh_positions(id, true, &mut symbols);
        let mut reach = Reach {
            through,
            ..Reach::default()
        };
        self.expand(id, Some(positions), &mut symbols, &mut reach);
        (reach, symbols)
    }

    pub(super) fn walk(
        &self,
        id: NodeId,
        positions: Option<Vec<Position<Symbol>>>,
        symbols: &mut Symbols,
        reach: &mut Reach,
    ) {
        if self.strategies.contains_key(&id) {
            if self.stored.contains(&id) {
                reach.leaves.insert(id);
            } else {
                reach.anchors.entry(id).or_default().insert(positions);
            }
        } else if self.stored.contains(&root(self.graph, id))
            && !reach.through.contains(&root(self.graph, id))
        {
            reach.leaves.insert(root(self.graph, id));
        } else {
            self.expand(id, positions, symbols, reach);
        }
    }

    fn expand(
        &self,
        id: NodeId,
        positions: Option<Vec<Position<Symbol>>>,
        symbols: &mut Symbols,
        reach: &mut Reach,
    ) {
        let node = &self.graph.nodes[id];
        if self.below[id].iter().all(|&word| word == 0) {
            return;
        }
        match &node.op {
            Op::View(view) => {
                let moved =
                    positions.and_then(|positions| self.through_view(view, &positions, symbols));
                self.walk(node.inputs[0], moved, symbols, reach);
            }
            Op::Contract(unary) if !self.strategies.contains_key(&id) => {
                let moved = positions.and_then(|positions| {
                    self.through_index(&unary.operands[0], &positions, node.inputs[0], symbols)
                });
                self.walk(node.inputs[0], moved, symbols, reach);
            }
            Op::Reshape { shape } => {
                let from = &self.graph.nodes[node.inputs[0]].ty.shape;
                let moved =
                    positions.and_then(|positions| reshape(symbols, shape, from, &positions));
                self.walk(node.inputs[0], moved, symbols, reach);
            }
            Op::Reduce { axes, .. } => {
                let shape = &self.graph.nodes[node.inputs[0]].ty.shape;
                let moved = positions.map(|positions| {
                    let mut rest = positions.into_iter();
                    let place = |(axis, dim): (usize, &Dim)| match axes.contains(&axis) {
                        true => Position::At(Affine::variable(symbols.add(dim.known()))),
                        false => rest.next().unwrap_or(Position::constant(0)),
                    };
                    shape.iter().enumerate().map(place).collect()
                });
                self.walk(node.inputs[0], moved, symbols, reach);
            }
            Op::Gather => {
                self.walk(node.inputs[0], None, symbols, reach);
                self.walk(node.inputs[1], None, symbols, reach);
            }
            _ => {
                for &input in &node.inputs {
                    let positions = match self.graph.nodes[input].ty.rank() {
                        0 => Some(Vec::new()),
                        _ => positions.clone(),
                    };
                    self.walk(input, positions, symbols, reach);
                }
            }
        }
    }

    /// Only where every position is valid: an epilogue can't skip its anchor.
    fn through_view(
        &self,
        view: &View,
        positions: &[Position<Symbol>],
        symbols: &mut Symbols,
    ) -> Option<Vec<Position<Symbol>>> {
        view.index
            .iter()
            .map(|axis| whole(axis, positions, symbols))
            .collect()
    }

    fn through_index(
        &self,
        axes: &[AxisIndex],
        positions: &[Position<Symbol>],
        _input: NodeId,
        symbols: &mut Symbols,
    ) -> Option<Vec<Position<Symbol>>> {
        axes.iter()
            .map(|axis| whole(axis, positions, symbols))
            .collect()
    }
}

fn whole(
    axis: &AxisIndex,
    positions: &[Position<Symbol>],
    symbols: &mut Symbols,
) -> Option<Position<Symbol>> {
    match index(axis, positions) {
        Indexed::Lane => Some(Position::Lane),
        Indexed::Mixed => None,
        Indexed::At { numerator, divisor } => {
            let (quotient, remainder) = symbols.divide(&numerator, divisor)?;
            (remainder.as_constant() == Some(0)).then_some(Position::At(quotient))
        }
    }
}
