//! The groups of [`super::fuse`] while they are formed, and what is known of each value, kept until a decision to store
//! another one changes it.
//!
//! Each further value that must be stored takes the forming back to that value: what is assigned before it reads it not.
//! What expressions after it read is remembered. Beginning again would cost the square of a net's depth.

use super::fuse::{AnchorPlace, Group};
use crate::graph::NodeId;
use cranelift_entity::{EntityRef, EntitySet, SecondaryMap};
use std::collections::{BTreeMap, BTreeSet};

/// The groups so far.
#[derive(Default)]
pub struct Forming {
    /// Groups without an anchor.
    pub groups: Vec<Group>,
    /// The outputs of each anchor's group, and where they read it.
    pub anchored: BTreeMap<NodeId, (Vec<NodeId>, AnchorPlace)>,
    /// Values that an anchor's kernel computes beside it.
    pub homed: BTreeSet<NodeId>,
    /// What holds whatever is assigned.
    pub memo: Memo,
    log: Vec<Assigned>,
}

/// One value's assignment, to be taken back.
struct Assigned {
    id: NodeId,
    anchor: Option<NodeId>,
}

impl Forming {
    /// The least value that may have no group yet.
    pub fn next(&self) -> NodeId {
        let last = self.log.last();
        last.map_or(NodeId::new(0), |last| NodeId::new(last.id.index() + 1))
    }

    /// Puts a value into an anchor's group, which begins with it where there is none.
    pub fn join(&mut self, id: NodeId, anchor: NodeId, place: AnchorPlace) {
        let group = self.anchored.entry(anchor);
        group.or_insert_with(|| (Vec::new(), place)).0.push(id);
        if id != anchor {
            self.homed.insert(id);
        }
        let anchor = Some(anchor);
        self.log.push(Assigned { id, anchor });
    }

    /// Gives a value a group without an anchor.
    pub fn alone(&mut self, id: NodeId, group: Group) {
        self.groups.push(group);
        self.log.push(Assigned { id, anchor: None });
    }

    /// `stored` becomes a stored value: it and all after it, which alone can read it, are to be assigned again.
    pub fn forget(&mut self, stored: NodeId) {
        self.memo.forget(stored);
        while let Some(last) = self.log.pop_if(|last| last.id >= stored) {
            self.homed.remove(&last.id);
            let Some(anchor) = last.anchor else {
                self.groups.pop();
                continue;
            };
            if let Some((outputs, _)) = self.anchored.get_mut(&anchor) {
                outputs.pop();
                if outputs.is_empty() {
                    self.anchored.remove(&anchor);
                }
            }
        }
    }
}

/// Where a value can be computed.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    /// The anchor whose epilogue can compute it, and where it reads the anchor.
    pub home: Option<(NodeId, AnchorPlace)>,
    /// The anchors that it reads where no stored value is looked through.
    pub bare: BTreeSet<NodeId>,
    /// The values that it is computed from and that are not stored.
    pub expanded: BTreeSet<NodeId>,
    /// The stored values that it reads, and whether they were looked through.
    pub met: BTreeMap<NodeId, bool>,
}

/// Placements and checks that still hold.
#[derive(Default)]
pub struct Memo {
    placements: SecondaryMap<NodeId, Option<Placement>>,
    /// Anchors whose operands are in order.
    checked: EntitySet<NodeId>,
    /// For each value that is not stored, those of which something is known that holds only as long.
    dependents: SecondaryMap<NodeId, Vec<NodeId>>,
}

impl Memo {
    /// The placement of `id`: what is known if it still holds where `homed` have a home, else what `find` finds.
    pub fn placement(
        &mut self,
        id: NodeId,
        homed: &BTreeSet<NodeId>,
        find: impl FnOnce() -> Placement,
    ) -> &Placement {
        let holds = |known: &Placement| {
            let mut met = known.met.iter();
            met.all(|(stored, &through)| homed.contains(stored) == through)
        };
        if !self.placements[id].as_ref().is_some_and(holds) {
            let found = find();
            self.depends(id, &found.expanded);
            self.placements[id] = Some(found);
        }
        self.placements[id].get_or_insert_default()
    }

    /// Whether the operands of an anchor are in order: `check` says so, and collects what its answer depends on.
    ///
    /// # Errors
    /// What `check` says must be stored.
    pub fn operands(
        &mut self,
        anchor: NodeId,
        check: impl FnOnce(&mut BTreeSet<NodeId>) -> Result<(), NodeId>,
    ) -> Result<(), NodeId> {
        if self.checked.contains(anchor) {
            return Ok(());
        }
        let mut expanded = BTreeSet::new();
        check(&mut expanded)?;
        self.depends(anchor, &expanded);
        self.checked.insert(anchor);
        Ok(())
    }

    /// `stored` becomes a stored value.
    pub fn forget(&mut self, stored: NodeId) {
        for dependent in std::mem::take(&mut self.dependents[stored]) {
            self.placements[dependent] = None;
            self.checked.remove(dependent);
        }
    }

    fn depends(&mut self, id: NodeId, expanded: &BTreeSet<NodeId>) {
        for &value in expanded {
            self.dependents[value].push(id);
        }
    }
}
