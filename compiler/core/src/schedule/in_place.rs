//! Which updates are written over what they read.

use super::buffers::Sources;
use super::units::{Unit, Work};
use crate::graph::{NodeId, Op};
use std::collections::BTreeSet;

/// Whether the new value `id` may be written over the old one: every other reader of the old one is in an earlier
/// phase, and its own kernel reads each element only to write the same.
pub fn overwrites(sources: &Sources<'_>, id: NodeId, name: &str) -> bool {
    let Some((made, maker)) = sources.maker(id) else {
        return false;
    };
    let Some(&old) = sources.index.persistent.get(name) else {
        return true;
    };
    if sources.graph.nodes[old].ty.shape != sources.graph.nodes[id].ty.shape {
        return false;
    }
    let Work::Group(group) = maker.work else {
        return false;
    };
    let elsewhere = |(number, unit): (usize, &Unit)| number != made && unit.phase >= maker.phase;
    if sources.readers(old).any(elsewhere) {
        return false;
    }
    let outputs = &sources.fusion.groups[group].outputs;
    let anchor = sources.fusion.groups[group].anchor;
    outputs
        .iter()
        .all(|&output| reads_in_place(sources, output, old, anchor))
}

/// Whether every path from `id` down to `old` is elementwise.
fn reads_in_place(sources: &Sources<'_>, id: NodeId, old: NodeId, anchor: Option<NodeId>) -> bool {
    let mut pending = vec![(id, true)];
    let mut seen = BTreeSet::new();
    while let Some((id, straight)) = pending.pop() {
        if id == old && !straight {
            return false;
        }
        let stored = !seen.is_empty() && sources.fusion.stored.contains(&id) && Some(id) != anchor;
        if stored || !seen.insert((id, straight)) {
            continue;
        }
        let node = &sources.graph.nodes[id];
        let keeps = matches!(
            node.op,
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast(_) | Op::StopGradient
        );
        pending.extend(node.inputs.iter().map(|&input| (input, straight && keeps)));
    }
    true
}
