//! The buffers that a kernel reads and writes, and what it loads before all loops.

use super::{LowerError, Lowering};
use crate::graph::NodeId;
use crate::loops::Access;
use crate::plan::BufferId;
use crate::schedule::fuse::{Group, Strategy, rows_over_batch};
use crate::schedule::outer::sources;
use crate::schedule::reads::leaves;
use indexmap::IndexMap;
use std::collections::BTreeSet;

impl Lowering<'_> {
    /// Declares a buffer argument for all that the kernel reads and writes.
    pub(super) fn bind(&mut self) {
        let mut uses: IndexMap<BufferId, (bool, bool)> = IndexMap::new();
        let cx = self.cx;
        let group = match (self.partial, self.group.anchor) {
            (true, Some(anchor)) => Group {
                outputs: vec![anchor],
                ..self.group.clone()
            },
            _ => self.group.clone(),
        };
        let summed = group.strategy == Strategy::Partial && !self.partial;
        if let Some(turned) = self.turned {
            uses.insert(turned.buffer, (true, false));
        }
        for leaf in self.read_by(&group) {
            if summed && !self.read_beside_anchor(leaf) {
                continue;
            }
            let copy = cx
                .relayout_of
                .get(&leaf)
                .filter(|_| !self.in_blocks() && self.is_copied(leaf));
            if let Some(&buffer) = copy.or(cx.buffer_of.get(&leaf)) {
                uses.entry(buffer).or_default().0 = true;
            }
        }
        if let Some(anchor) = self
            .group
            .anchor
            .filter(|_| self.group.strategy == Strategy::Partial)
        {
            let entry = uses.entry(cx.partial_of[&anchor]).or_default();
            entry.0 = !(self.partial && self.divided);
            entry.1 = self.partial;
        }
        if !self.partial {
            for output in &self.group.outputs {
                uses.entry(cx.buffer_of[output]).or_default().1 = true;
            }
        }
        for (buffer, (read, written)) in uses {
            let access = match (read, written) {
                (true, true) => Access::ReadWrite,
                (false, true) => Access::Write,
                _ => Access::Read,
            };
            let handle = self.b.buffer(
                cx.buffers[buffer].name.clone(),
                self.element(buffer),
                access,
            );
            self.bound.insert(buffer, handle);
        }
    }

    /// The stored values that a group reads, a turned operand's aside.
    fn read_by(&self, group: &Group) -> BTreeSet<NodeId> {
        let cx = self.cx;
        match (self.turned, group.anchor) {
            (Some(turned), Some(anchor)) => {
                let other = cx.graph.nodes[anchor].inputs[1 - turned.outer.operand];
                sources(cx.graph, cx.stored, other)
            }
            _ => leaves(cx.graph, cx.stored, group),
        }
    }

    /// Whether the epilogue reads a value, not only the anchor, which is summed from partials.
    fn read_beside_anchor(&self, leaf: NodeId) -> bool {
        let mut pending = self.group.outputs.clone();
        let mut seen = BTreeSet::new();
        while let Some(id) = pending.pop() {
            if id == leaf {
                return true;
            }
            let stop = self.group.anchor == Some(id)
                || (self.cx.buffer_of.contains_key(&id) && !self.group.outputs.contains(&id));
            if seen.insert(id) && !stop {
                pending.extend(self.cx.graph.nodes[id].inputs.iter().copied());
            }
        }
        false
    }

    /// Whether the anchor waits for a plain copy of a value: another kernel's may not be there yet.
    fn is_copied(&self, leaf: NodeId) -> bool {
        let rows = |anchor| {
            let strategy = Some(&self.group.strategy);
            rows_over_batch(self.cx.graph, self.cx.lanes, strategy, anchor)
        };
        self.group
            .anchor
            .is_some_and(|anchor| rows(anchor).contains(&leaf))
    }

    /// Values without axes are computed once, before the loops.
    pub(super) fn preload(&mut self) -> Result<(), LowerError> {
        match self.partial {
            true => self.preload_below(self.group.anchor.into_iter().collect()),
            false => self.preload_below(self.group.outputs.clone()),
        }
    }

    /// Of those that some values are computed from.
    pub(super) fn preload_below(&mut self, mut pending: Vec<NodeId>) -> Result<(), LowerError> {
        let mut seen = BTreeSet::new();
        let mut scalars = BTreeSet::new();
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            let stored = self.cx.buffer_of.contains_key(&id) && !self.group.outputs.contains(&id);
            let is_anchor = self.group.anchor == Some(id);
            if is_anchor && self.group.strategy == Strategy::Partial && !self.partial {
                continue;
            }
            if self.cx.graph.nodes[id].ty.rank() == 0
                && !self.reads_anchor(id)
                && !is_anchor
                && !self.group.outputs.contains(&id)
            {
                scalars.insert(id);
                continue;
            }
            if !stored {
                pending.extend(self.cx.graph.nodes[id].inputs.iter().copied());
            }
        }
        for id in scalars {
            self.value(id, &[])?;
        }
        Ok(())
    }

    fn reads_anchor(&self, id: NodeId) -> bool {
        let Some(anchor) = self.group.anchor else {
            return false;
        };
        let mut pending = vec![id];
        let mut seen = BTreeSet::new();
        while let Some(id) = pending.pop() {
            if id == anchor {
                return true;
            }
            let stored = self.cx.buffer_of.contains_key(&id) && !self.group.outputs.contains(&id);
            if id > anchor && !stored && seen.insert(id) {
                pending.extend(self.cx.graph.nodes[id].inputs.iter().copied());
            }
        }
        false
    }
}
