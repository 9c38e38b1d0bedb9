//! The groups of [`super::fuse`] while they are formed.
//!
//! Each further value that must be stored takes the forming back to that value: what is assigned before it reads it not.
//! Beginning again would cost the square of a net's depth.

use super::anchor_place::AnchorPlace;
use super::fuse::Group;
use crate::graph::NodeId;
use cranelift_entity::EntityRef;
use std::collections::{BTreeMap, BTreeSet};

/// The outputs that share an anchor.
#[derive(Clone, Default)]
pub struct Members {
    /// The stored values; the first is the one over whose elements the kernel runs.
    pub outputs: Vec<NodeId>,
    /// Where they read the anchor.
    pub place: AnchorPlace,
    /// As in [`Group::coarse`].
    pub coarse: BTreeMap<NodeId, Vec<usize>>,
}

/// The groups so far.
#[derive(Default)]
pub struct Forming {
    /// Groups without an anchor.
    pub groups: Vec<Group>,
    /// The outputs of each anchor's group.
    pub anchored: BTreeMap<NodeId, Members>,
    /// Values that an anchor's kernel computes beside it, with that anchor.
    pub homed: BTreeMap<NodeId, NodeId>,
    /// Anchors whose operands are in order. Storing more values leaves them so.
    pub checked: BTreeSet<NodeId>,
    log: Vec<(NodeId, Assigned)>,
}

/// How one value was assigned, to be taken back.
enum Assigned {
    /// To the group of this anchor, which was this before.
    Anchored(NodeId, Option<Members>),
    /// To a group without an anchor.
    Alone,
    /// With another value of the same group.
    Along,
}

impl Forming {
    /// The least value that may have no group yet.
    pub fn next(&self) -> NodeId {
        let last = self.log.last();
        last.map_or(NodeId::new(0), |last| NodeId::new(last.0.index() + 1))
    }

    /// Puts a value into an anchor's group, which then has these members.
    pub fn join(&mut self, id: NodeId, anchor: NodeId, members: Members) {
        let before = self.anchored.insert(anchor, members);
        if id != anchor {
            self.homed.insert(id, anchor);
        }
        self.log.push((id, Assigned::Anchored(anchor, before)));
    }

    /// Gives a value a group without an anchor.
    pub fn alone(&mut self, id: NodeId, group: Group) {
        self.groups.push(group);
        self.log.push((id, Assigned::Alone));
    }

    /// A value whose group another value of it has brought.
    pub fn along(&mut self, id: NodeId) {
        self.log.push((id, Assigned::Along));
    }

    /// `stored` becomes a stored value: it and all after it, which alone can read it, are to be assigned again.
    pub fn forget(&mut self, stored: NodeId) {
        while let Some((id, assigned)) = self.log.pop_if(|last| last.0 >= stored) {
            self.homed.remove(&id);
            match assigned {
                Assigned::Along => {}
                Assigned::Alone => {
                    self.groups.pop();
                }
                Assigned::Anchored(anchor, None) => {
                    self.anchored.remove(&anchor);
                }
                Assigned::Anchored(anchor, Some(before)) => {
                    self.anchored.insert(anchor, before);
                }
            }
        }
    }
}
