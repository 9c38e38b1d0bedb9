//! Equal operations on equal inputs become one node, which rebuilding the graph does by itself.

use super::rewrite::Rewrite;
use crate::graph::{Graph, TypeError};

/// The pass.
///
/// # Errors
/// None in truth.
pub fn run(graph: &Graph) -> Result<Graph, TypeError> {
    let mut rewrite = Rewrite::new(graph);
    for id in graph.nodes.keys() {
        rewrite.copy(id)?;
    }
    rewrite.finish()
}
