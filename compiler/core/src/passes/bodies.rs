//! Passes within the bodies of scans.

use super::rewrite::Rewrite;
use crate::graph::{Graph, Op, Region, Scan, TypeError};
use indexmap::IndexMap;

/// A rewriting of a graph that knows nothing of bodies.
pub type Flat = fn(&Graph) -> Result<Graph, TypeError>;

/// Runs a rewriting on the body of each scan, innermost first, and then on the graph itself.
///
/// # Errors
/// Where the rewriting fails.
pub fn within(graph: &Graph, run: Flat) -> Result<Graph, TypeError> {
    let scans = |op: &Op| matches!(op, Op::Scan(_));
    if !graph.nodes.values().any(|node| scans(&node.op)) {
        return run(graph);
    }
    let mut done: IndexMap<Region, Region> = IndexMap::new();
    let mut rewrite = Rewrite::new(graph);
    for (id, node) in graph.nodes.iter() {
        let Op::Scan(scan) = &node.op else {
            rewrite.copy(id)?;
            continue;
        };
        let body = match done.get(&scan.body) {
            Some(body) => body.clone(),
            None => {
                let body = Region::new(within(scan.body.graph(), run)?);
                done.insert(scan.body.clone(), body.clone());
                body
            }
        };
        let op = Op::Scan(Scan {
            body,
            ..scan.clone()
        });
        let inputs = rewrite.inputs(id)?;
        let new = rewrite.new.add(op, &inputs, node.span)?;
        rewrite.set(id, new);
    }
    run(&rewrite.finish()?)
}
