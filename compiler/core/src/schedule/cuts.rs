//! What is stored on the way from a value to the sum that it is computed from.
//!
//! | every way from the value passes | stored |
//! |---|---|
//! | several values | the smallest |
//! | several as small | the nearest |
//! | and that is a multiple of one that others read | that one |

use super::fuse::{Fuser, root};
use crate::graph::{BinaryOp, NodeId, Op};
use std::collections::BTreeSet;

impl Fuser<'_> {
    /// What to store so that `id` no longer reads `anchor` directly: of the values that every path passes, the
    /// smallest; the nearest to `id` where several are.
    pub(super) fn cut(&self, id: NodeId, anchor: NodeId, not_on: Option<NodeId>) -> NodeId {
        let size = |node: NodeId| self.graph.nodes[node].ty.elements(64);
        let mut best: Option<NodeId> = None;
        for node in self.on_every_way(id, anchor) {
            let node = root(self.graph, node);
            let allowed =
                not_on.is_none_or(|home| !self.touches(node, home)) && !self.stored.contains(&node);
            let better = best.is_none_or(|best| size(node) < size(best));
            if allowed && better && !self.waits(node, anchor) {
                best = Some(node);
            }
        }
        best.map_or(anchor, |best| self.shared(best, anchor, not_on))
    }

    /// What a value is a multiple of, factors that repeat along it aside, where others read that too: it is stored for all
    /// of them.
    fn shared(&self, id: NodeId, anchor: NodeId, not_on: Option<NodeId>) -> NodeId {
        let elements = |node: NodeId| self.graph.nodes[node].ty.elements(64);
        let mut below = id;
        while let (Op::Binary(BinaryOp::Mul), &[a, b]) = (
            &self.graph.nodes[below].op,
            self.graph.nodes[below].inputs.as_slice(),
        ) {
            let repeats = |node: NodeId| {
                let view = &self.graph.nodes[node];
                let narrow = |&source: &NodeId| elements(source) < elements(id);
                matches!(view.op, Op::View(_))
                    && view.inputs.iter().all(narrow)
                    && !self.touches(node, anchor)
            };
            let next = match (repeats(a), repeats(b)) {
                (false, true) => a,
                (true, false) => b,
                _ => break,
            };
            below = next;
        }
        let allowed = below == root(self.graph, below)
            && !self.used_once.contains(below)
            && (below == anchor || !self.waits(below, anchor))
            && not_on.is_none_or(|home| !self.touches(below, home));
        match allowed && self.touches(below, anchor) {
            true => below,
            false => id,
        }
    }

    /// Whether a value of little arithmetic reads the anchor and what the anchor has to be complete for, as a deviation from
    /// a mean does: no epilogue computes it, and the anchor would be stored beside it.
    fn waits(&self, id: NodeId, anchor: NodeId) -> bool {
        if !matches!(self.graph.nodes[id].op, Op::Binary(_)) {
            return false;
        }
        let (reach, _) = self.reach(id, BTreeSet::new());
        let mut read = reach.leaves.iter().chain(reach.anchors.keys());
        read.any(|&other| other != anchor && self.depends(other, anchor))
    }

    /// As [`Fuser::cut`], where `id` itself may be stored.
    pub(super) fn cut_from(&self, id: NodeId, anchor: NodeId) -> NodeId {
        let below = self.cut(id, anchor, None);
        let size = |node: NodeId| self.graph.nodes[node].ty.elements(64);
        let own = root(self.graph, id);
        if size(own) <= size(below) { own } else { below }
    }

    /// The nodes below `id` that every way from it to `anchor` passes, the nearest first, `anchor` the last.
    fn on_every_way(&self, id: NodeId, anchor: NodeId) -> Vec<NodeId> {
        let mut found = Vec::new();
        let mut pending = BTreeSet::from([id]);
        while let Some(node) = pending.pop_last() {
            if pending.is_empty() && node != id {
                found.push(node);
            }
            if node == anchor {
                break;
            }
            let inputs = self.graph.nodes[node].inputs.iter().copied();
            pending.extend(inputs.filter(|&input| self.touches(input, anchor)));
        }
        found
    }

    /// Whether the expression of `node` reads `anchor` with nothing stored or reduced in between.
    pub(super) fn touches(&self, node: NodeId, anchor: NodeId) -> bool {
        let mut pending = vec![node];
        let mut seen = BTreeSet::new();
        while let Some(node) = pending.pop() {
            if node == anchor {
                return true;
            }
            let ends = self.strategies.contains_key(&node)
                || self.stored.contains(&root(self.graph, node));
            if node > anchor && !ends && seen.insert(node) {
                pending.extend(self.graph.nodes[node].inputs.iter().copied());
            }
        }
        false
    }
}
