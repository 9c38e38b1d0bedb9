//! What the calls of a plan read and write, in one place.

use std::fmt;

use crate::loops::Access;
use crate::plan::{BufferId, Call, Plan, TaskGroup};

/// Where a call stands. Printed as ``phase 1, group `blocks`, call 2``.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) phase: usize,
    pub(super) group: usize,
    pub(super) name: &'a str,
    /// None for the group itself and what it zeroes.
    pub(super) call: Option<usize>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "phase {}, group `{}`", self.phase, self.name)?;
        self.call.map_or(Ok(()), |call| write!(f, ", call {call}"))
    }
}

/// Every group with its place.
pub(super) fn groups(plan: &Plan) -> impl Iterator<Item = (Place<'_>, &TaskGroup)> {
    plan.phases.iter().enumerate().flat_map(|(number, phase)| {
        phase
            .groups
            .iter()
            .enumerate()
            .map(move |(group, content)| {
                let place = Place {
                    phase: number,
                    group,
                    name: &content.name,
                    call: None,
                };
                (place, content)
            })
    })
}

/// Every call of a group with its place.
pub(super) fn calls<'a>(
    place: Place<'a>,
    group: &'a TaskGroup,
) -> impl Iterator<Item = (Place<'a>, &'a Call)> {
    group.calls.iter().enumerate().map(move |(number, call)| {
        (
            Place {
                call: Some(number),
                ..place
            },
            call,
        )
    })
}

/// A call's buffers with what its kernel does to each.
pub(super) fn bindings<'a>(
    plan: &'a Plan,
    call: &'a Call,
) -> impl Iterator<Item = (BufferId, Access)> + 'a {
    let accesses = plan.kernels[call.kernel]
        .buffers
        .values()
        .map(|decl| decl.access);
    call.buffers.iter().copied().zip(accesses)
}

/// Whether it stores.
pub(super) fn writes(access: Access) -> bool {
    access != Access::Read
}

/// Whether it loads what it has not stored itself.
pub(super) fn reads(access: Access) -> bool {
    matches!(access, Access::Read | Access::ReadWrite)
}
