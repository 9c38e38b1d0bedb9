//! Plans of graphs that are right for batches of one size alone.

use super::Plan;
use crate::graph::{Dim, Graph, InputKind, Op, OutputKind};

impl Plan {
    /// Makes the plan of a graph's copy without a batch size one for batches of exactly that many samples. What enters and
    /// leaves has the shapes that it has in the graph.
    pub fn for_one_size(&mut self, graph: &Graph, batch: usize) {
        if self.exact {
            return;
        }
        (self.batch, self.exact) = (batch, true);
        for port in &self.inputs {
            if let Some(shape) = input_shape(graph, port.kind, &port.name) {
                self.buffers[port.buffer].shape.clone_from(&shape);
            }
        }
        for port in &self.outputs {
            if let Some(shape) = output_shape(graph, port.kind, &port.name) {
                self.buffers[port.buffer].shape.clone_from(&shape);
            }
        }
    }
}

fn input_shape(graph: &Graph, kind: InputKind, name: &str) -> Option<Vec<Dim>> {
    graph.nodes.values().find_map(|node| match &node.op {
        Op::Input {
            kind: own,
            name: own_name,
            ty,
        } if (*own, own_name.as_str()) == (kind, name) => Some(ty.shape.to_vec()),
        _ => None,
    })
}

fn output_shape(graph: &Graph, kind: OutputKind, name: &str) -> Option<Vec<Dim>> {
    let mut outputs = graph.outputs.iter();
    let own = outputs.find(|output| (output.kind, output.name.as_str()) == (kind, name))?;
    Some(graph.nodes[own.node].ty.shape.to_vec())
}
