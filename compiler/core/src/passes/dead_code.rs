//! Drops what no output needs. Inputs stay: they are the step's signature.

use super::rewrite::Rewrite;
use crate::graph::{Graph, Op, TypeError};

/// The pass.
///
/// # Errors
/// None in truth.
pub fn run(graph: &Graph) -> Result<Graph, TypeError> {
    let live = graph.live_nodes();
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        if live.contains(id) || matches!(node.op, Op::Input { .. }) {
            rewrite.copy(id)?;
        }
    }
    rewrite.finish()
}
