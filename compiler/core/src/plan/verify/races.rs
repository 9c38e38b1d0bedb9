//! The rule of phases: no task writes what another task of its phase reads or writes.
//!
//! Tasks of different groups may touch the same bytes only to read them. Of one group, tasks are apart where they go
//! by blocks through the same buffer, or through two at one place with blocks of one size; where they have copies of their
//! own; or, in one call, by their ranges. One worker runs all of a serial phase.

use super::accesses::{Place, bindings, calls, writes};
use super::{Faults, Rule, named};
use crate::plan::{BufferId, Layout, Phase, Plan, PlanBuffer, Space, TaskGroup, Tasks};

pub(super) fn check(plan: &Plan, faults: &mut Faults) {
    let shared = plan.phases.iter().enumerate();
    for (number, phase) in shared.filter(|(_, phase)| !phase.serial) {
        let mut claims = claims(plan, number, phase);
        claims.sort_by_key(|claim| {
            (
                claim.space(plan),
                claim.buffer(plan).offset,
                claim.place.group,
            )
        });
        for (position, a) in claims.iter().enumerate() {
            if a.writes && !a.apart_from(plan, phase, a) {
                fault(plan, a, a, faults);
            }
            for b in &claims[position + 1..] {
                if b.space(plan) != a.space(plan) || b.buffer(plan).offset >= a.buffer(plan).end() {
                    break;
                }
                if (a.writes || b.writes) && !a.apart_from(plan, phase, b) {
                    fault(plan, a, b, faults);
                }
            }
        }
    }
}

/// A buffer of a call.
#[derive(Clone, Copy)]
struct Claim<'a> {
    place: Place<'a>,
    buffer: BufferId,
    writes: bool,
}

fn claims<'a>(plan: &'a Plan, number: usize, phase: &'a Phase) -> Vec<Claim<'a>> {
    let mut claims = Vec::new();
    for (group, content) in phase.groups.iter().enumerate() {
        let place = Place {
            phase: number,
            group,
            name: &content.name,
            call: None,
        };
        claims.extend(content.zeroed.iter().map(|&buffer| Claim {
            place,
            buffer,
            writes: true,
        }));
        for (place, call) in calls(place, content) {
            claims.extend(bindings(plan, call).map(|(buffer, access)| Claim {
                place,
                buffer: plan.base(buffer),
                writes: writes(access),
            }));
        }
    }
    claims.retain(|claim| {
        let PlanBuffer { space, bytes, .. } = claim.buffer(plan);
        *space != Space::Scratch && *bytes > 0
    });
    claims
}

impl Claim<'_> {
    fn buffer<'p>(&self, plan: &'p Plan) -> &'p PlanBuffer {
        &plan.buffers[self.buffer]
    }

    fn space(&self, plan: &Plan) -> Space {
        self.buffer(plan).space
    }

    /// Whether no two tasks meet in the bytes that the two claims, which overlap, have in common.
    fn apart_from(&self, plan: &Plan, phase: &Phase, other: &Claim<'_>) -> bool {
        let group: &TaskGroup = &phase.groups[self.place.group];
        let same_buffer = self.buffer == other.buffer;
        let (buffer, met) = (self.buffer(plan), other.buffer(plan));
        let blocks = |buffer: &PlanBuffer| (buffer.offset, buffer.block_stride);
        let same_blocks = buffer.block_stride > 0 && blocks(buffer) == blocks(met);
        self.place.group == other.place.group
            && match group.tasks {
                Tasks::Once => true,
                Tasks::Blocks { .. } => {
                    same_blocks || same_buffer && buffer.layout == Layout::Partials
                }
                Tasks::Ranges { .. } | Tasks::BatchRanges { .. } => {
                    let same_call = same_buffer && self.place.call == other.place.call;
                    same_call || group.tasks.count(plan.batch) <= 1
                }
            }
    }
}

fn fault(plan: &Plan, a: &Claim<'_>, b: &Claim<'_>, faults: &mut Faults) {
    let (writer, other) = if a.writes { (a, b) } else { (b, a) };
    let verb = if other.writes { "writes" } else { "reads" };
    let (written, met) = (named(plan, writer.buffer), named(plan, other.buffer));
    let message = match (
        writer.place.group == other.place.group,
        writer.place.call == other.place.call,
    ) {
        (true, true) => format!("every task writes {written} (and {verb} {met})"),
        _ => format!(
            "writes {written}; at the same time {} {verb} {met}",
            other.place
        ),
    };
    faults.add(Rule::Race, writer.place, message);
}
