//! Which elements of a group's anchor an element of its outputs needs.

use super::{LowerError, Lowering, Place};
use crate::graph::{NodeId, Op};
use crate::schedule::fuse::root;
use crate::schedule::position::{Position, reshape};
use indexmap::IndexSet;

impl Lowering<'_> {
    /// Adds the places of `anchor` that the value of `node` at `places` is computed from.
    pub(super) fn demand(
        &mut self,
        node: NodeId,
        places: &[Place],
        anchor: NodeId,
        found: &mut IndexSet<Vec<Place>>,
    ) -> Result<(), LowerError> {
        if node == anchor {
            found.insert(places.to_vec());
            return Ok(());
        }
        let cx = self.cx;
        let source = root(cx.graph, node);
        let stored = cx.buffer_of.contains_key(&source) && !self.group.outputs.contains(&source);
        if node < anchor || stored {
            return Ok(());
        }
        let data = &cx.graph.nodes[node];
        match &data.op {
            Op::View(view) => {
                let moved = self.moved_all(node, &view.index, data.inputs[0], places)?;
                self.demand(data.inputs[0], &moved, anchor, found)
            }
            Op::Contract(unary) => {
                let moved = self.moved_all(node, &unary.operands[0], data.inputs[0], places)?;
                self.demand(data.inputs[0], &moved, anchor, found)
            }
            Op::Reshape { shape } => {
                let from = &cx.graph.nodes[data.inputs[0]].ty.shape;
                let Some(moved) = reshape(self, shape, from, places) else {
                    return Err(LowerError::NotVector);
                };
                self.demand(data.inputs[0], &moved, anchor, found)
            }
            Op::Reduce { axes, .. } => {
                self.demand_window(data.inputs[0], axes, places, anchor, found)
            }
            _ => {
                for &input in &data.inputs {
                    let scalar = cx.graph.nodes[input].ty.rank() == 0;
                    self.demand(input, if scalar { &[] } else { places }, anchor, found)?;
                }
                Ok(())
            }
        }
    }

    fn demand_window(
        &mut self,
        input: NodeId,
        axes: &[usize],
        places: &[Place],
        anchor: NodeId,
        found: &mut IndexSet<Vec<Place>>,
    ) -> Result<(), LowerError> {
        let shape = self.cx.graph.nodes[input].ty.shape.clone();
        let mut inner: Vec<Vec<Place>> = vec![Vec::new()];
        for &axis in axes {
            inner = inner
                .into_iter()
                .flat_map(|places| {
                    (0..shape[axis].fixed).map(move |position| {
                        let mut longer = places.clone();
                        longer.push(Position::constant(position));
                        longer
                    })
                })
                .collect();
        }
        for inner in inner {
            let moved = super::reduce::interleave(shape.len(), axes, places, &inner);
            self.demand(input, &moved, anchor, found)?;
        }
        Ok(())
    }

    fn moved_all(
        &mut self,
        node: NodeId,
        index: &[crate::graph::AxisIndex],
        input: NodeId,
        places: &[Place],
    ) -> Result<Vec<Place>, LowerError> {
        let shape = self.cx.graph.nodes[input].ty.shape.clone();
        let mut condition = None;
        index
            .iter()
            .zip(&shape)
            .map(|(axis, dim)| self.moved(node, axis, *dim, places, &mut condition))
            .collect()
    }
}
