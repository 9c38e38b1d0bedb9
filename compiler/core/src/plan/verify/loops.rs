//! The rules of loops and of the rows that their rounds go through.

use super::accesses::Place;
use super::{Faults, Rule, named};
use crate::plan::{BufferId, Layout, Plan, Repeat, ScalarArgument, Space, TaskGroup, Tasks};

/// A row stands at its stack's place.
pub(super) fn check_row(plan: &Plan, id: BufferId, faults: &mut Faults) {
    let row = &plan.buffers[id];
    let Some(stack) = row.row_of else { return };
    let own = &plan.buffers[stack];
    let fits = own.row_of.is_none()
        && !matches!(own.layout, Layout::Partials | Layout::Panels { .. })
        && (row.space, row.offset, row.element) == (own.space, own.offset, own.element)
        && row.block_stride == own.block_stride
        && lanes(row.layout) == lanes(own.layout);
    faults.unless(fits, Rule::Rows, named(plan, id), || {
        format!("is no row of {}", named(plan, stack))
    });
}

fn lanes(layout: Layout) -> Option<usize> {
    match layout {
        Layout::Lanes { lanes, .. } => Some(lanes),
        _ => None,
    }
}

/// The loops of a group, and what its calls use of them.
pub(super) fn check(plan: &Plan, place: Place<'_>, group: &TaskGroup, faults: &mut Faults) {
    let mut next = 0;
    for repeat in &group.repeats {
        let fits = repeat.first >= next
            && repeat.count > 0
            && repeat.rounds > 0
            && repeat.end() <= group.calls.len()
            && matches!(group.tasks, Tasks::Blocks { .. } | Tasks::Once);
        faults.unless(fits, Rule::Loops, place, || {
            let Repeat {
                first,
                count,
                rounds,
                ..
            } = repeat;
            format!(
                "{rounds} rounds of {count} calls from {first} on, of {}",
                group.calls.len()
            )
        });
        next = next.max(repeat.end());
    }
    for (number, call) in group.calls.iter().enumerate() {
        let place = Place {
            call: Some(number),
            ..place
        };
        let mut repeats = group.repeats.iter();
        let repeat = repeats.find(|repeat| (repeat.first..repeat.end()).contains(&number));
        let told = call.scalars.contains(&ScalarArgument::Round);
        faults.unless(!told || repeat.is_some(), Rule::Loops, place, || {
            "is told a round outside of loops".into()
        });
        for &id in &call.buffers {
            if plan.buffers[id].row_of.is_some() {
                check_use(plan, place, group, repeat, id, faults);
            }
        }
    }
}

fn check_use(
    plan: &Plan,
    place: Place<'_>,
    group: &TaskGroup,
    repeat: Option<&Repeat>,
    id: BufferId,
    faults: &mut Faults,
) {
    let Some(repeat) = repeat else {
        let message = format!("uses {}, a row, outside of loops", named(plan, id));
        return faults.add(Rule::Loops, place, message);
    };
    let (row, stack) = (&plan.buffers[id], &plan.buffers[plan.base(id)]);
    let cut = matches!(group.tasks, Tasks::Blocks { .. }) && stack.space != Space::Scratch;
    let room = match (cut && stack.block_stride > 0, stack.layout) {
        (true, _) => stack.block_stride,
        // Of blocks that lie one after the other, the rows are not.
        (false, Layout::Lanes { .. }) if stack.space != Space::Scratch => 0,
        (false, _) => stack.bytes,
    };
    let needed = row.bytes.checked_mul(repeat.rounds);
    faults.unless(
        needed.is_some_and(|needed| needed <= room),
        Rule::Rows,
        place,
        || {
            let (row, rounds) = (named(plan, id), repeat.rounds);
            format!("{rounds} rounds of {row} do not lie in the {room} bytes of its stack")
        },
    );
}
