//! Drops what no output needs. Inputs stay: they are the step's signature.

use super::rewrite::{Rewrite, live};
use crate::graph::{Graph, Op, TypeError};

/// The pass.
///
/// # Errors
/// None in truth.
pub fn run(graph: &Graph) -> Result<Graph, TypeError> {
    let live = live(graph);
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        if live[id] || matches!(node.op, Op::Input { .. }) {
            rewrite.copy(id)?;
        }
    }
    rewrite.finish()
}
