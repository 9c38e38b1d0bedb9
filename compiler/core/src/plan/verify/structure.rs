//! The rules that look at one buffer, call, port or commit at a time.

use std::collections::BTreeSet;

use super::accesses::{Place, bindings, calls, groups, writes};
use super::{Faults, Rule, loops, named};
use crate::graph::{InputKind, OutputKind};
use crate::plan::names::Named;
use crate::plan::size::ALIGNMENT;
use crate::plan::{
    BufferId, Call, Commit, Layout, Plan, PlanBuffer, ScalarArgument, Space, TaskGroup, Tasks,
};

pub(super) fn check(plan: &Plan, faults: &mut Faults) {
    faults.unless(plan.batch > 0, Rule::NotZero, "plan", || {
        "the batch is 0".into()
    });
    exists(plan, faults);
    if !faults.0.is_empty() {
        return;
    }
    for (id, buffer) in &plan.buffers {
        loops::check_row(plan, id, faults);
        check_buffer(plan, (id, &named(plan, id)), buffer, faults);
    }
    let first = plan.phases.first();
    let serial = first.is_some_and(|phase| phase.serial);
    faults.unless(!serial, Rule::Serial, "phase 0", || {
        "there is none before it".into()
    });
    for (place, group) in groups(plan) {
        check_group(plan, place, group, faults);
        loops::check(plan, place, group, faults);
    }
    ports(plan, faults);
    for commit in &plan.commits {
        check_commit(plan, *commit, faults);
    }
}

fn exists(plan: &Plan, faults: &mut Faults) {
    let mut buffer = |place: &dyn std::fmt::Display, id: BufferId| {
        faults.unless(plan.buffers.is_valid(id), Rule::Exists, place, || {
            format!("there is no {id}")
        });
    };
    for (place, group) in groups(plan) {
        group.zeroed.iter().for_each(|&id| buffer(&place, id));
        for (place, call) in calls(place, group) {
            call.buffers.iter().for_each(|&id| buffer(&place, id));
        }
    }
    plan.inputs
        .iter()
        .for_each(|port| buffer(&format!("input {:?}", port.name), port.buffer));
    plan.outputs
        .iter()
        .for_each(|port| buffer(&format!("output {:?}", port.name), port.buffer));
    for commit in &plan.commits {
        buffer(&"commit", commit.from);
        buffer(&"commit", commit.to);
    }
    for (id, row) in &plan.buffers {
        if let Some(stack) = row.row_of {
            buffer(&named(plan, id), stack);
        }
    }
    for (place, group) in groups(plan) {
        for (place, Call { kernel, .. }) in calls(place, group) {
            let known = plan.kernels.is_valid(*kernel);
            faults.unless(known, Rule::Exists, place, || {
                format!("there is no {kernel}")
            });
        }
    }
}

fn check_buffer(
    plan: &Plan,
    (id, place): (BufferId, &str),
    buffer: &PlanBuffer,
    faults: &mut Faults,
) {
    let space = match buffer.space {
        Space::Persistent => plan.persistent_bytes,
        Space::Arena => plan.arena_bytes,
        Space::Scratch => plan.scratch_bytes,
    };
    let PlanBuffer {
        offset,
        block_stride,
        task_stride,
        ..
    } = *buffer;
    let fits = buffer
        .end()
        .checked_next_multiple_of(ALIGNMENT)
        .is_some_and(|end| end <= space);
    faults.unless(fits, Rule::WithinSpace, place, || {
        format!(
            "ends at {}, rounded up beyond the {space} bytes",
            buffer.end()
        )
    });
    let aligned = offset.is_multiple_of(ALIGNMENT)
        && task_stride.is_multiple_of(ALIGNMENT)
        && block_stride.is_multiple_of(buffer.element.bytes());
    faults.unless(aligned, Rule::Alignment, place, || {
        format!("offset {offset}, block stride {block_stride}, task stride {task_stride}")
    });
    if let Layout::Lanes { axis, lanes } = buffer.layout
        && buffer.lane_blocks(axis, lanes, plan.batch).is_none()
    {
        let message = format!(
            "axis {axis} of {} is not cut into blocks of {lanes}",
            buffer.shape.len()
        );
        return faults.add(Rule::Strides, place, message);
    }
    strides(plan, (id, place), buffer, faults);
    room(plan, place, buffer, faults);
}

fn strides(plan: &Plan, (id, place): (BufferId, &str), buffer: &PlanBuffer, faults: &mut Faults) {
    let PlanBuffer {
        block_stride,
        task_stride,
        ..
    } = *buffer;
    let fits = match (buffer.layout, buffer.space) {
        // The blocks are the stack's.
        _ if buffer.row_of.is_some() => task_stride == 0,
        (Layout::Partials, space) => block_stride == 0 && task_stride > 0 && space == Space::Arena,
        (Layout::Panels { width }, space) => {
            let row = width.saturating_mul(buffer.element.bytes());
            let rows = row > 0 && block_stride > 0 && block_stride.is_multiple_of(row);
            rows && task_stride == 0 && space == Space::Arena
        }
        (_, Space::Scratch) => block_stride == 0 && task_stride == 0,
        (Layout::Plain, _) => task_stride == 0,
        (Layout::Lanes { axis, lanes }, _) => {
            let block = buffer.lane_blocks(axis, lanes, plan.batch);
            // Between kernels rows may be apart; what others write and read has no gaps.
            let exact = plan.inputs.iter().any(|port| port.buffer == id)
                || plan.outputs.iter().any(|port| port.buffer == id);
            let fits = |bytes: usize| bytes == block_stride || bytes < block_stride && !exact;
            task_stride == 0 && block.is_some_and(|(bytes, _)| fits(bytes))
        }
    };
    faults.unless(fits, Rule::Strides, place, || {
        let (layout, space) = (buffer.layout, buffer.space.name());
        format!(
            "{layout} in {space} with block stride {block_stride} and task stride {task_stride}"
        )
    });
}

fn room(plan: &Plan, place: &str, buffer: &PlanBuffer, faults: &mut Faults) {
    let (needed, available) = match (buffer.layout, buffer.space) {
        (Layout::Plain, _) => (buffer.value_bytes(plan.batch), buffer.bytes),
        (Layout::Panels { width }, _) => {
            // Rows of whole blocks.
            let row = width.saturating_mul(buffer.element.bytes()).max(1);
            let block = (buffer.block_stride / row).max(1);
            let rows = plan.batch.checked_next_multiple_of(block);
            let panels = rows.and_then(|rows| buffer.panels(width, plan.batch, rows));
            let needed = panels.and_then(|(bytes, count)| bytes.checked_mul(count));
            (needed, buffer.bytes)
        }
        (Layout::Partials, _) => (
            buffer.value_bytes(plan.batch),
            buffer.task_stride.min(buffer.bytes),
        ),
        (Layout::Lanes { axis, lanes }, space) => {
            let blocks = buffer.lane_blocks(axis, lanes, plan.batch);
            let needed = blocks.and_then(|(bytes, count)| match space {
                _ if buffer.row_of.is_some() => Some(bytes),
                Space::Scratch => Some(bytes),
                _ => bytes.checked_mul(count),
            });
            (needed, buffer.bytes)
        }
    };
    let fits = needed.is_some_and(|needed| needed <= available);
    faults.unless(fits, Rule::Room, place, || match needed {
        Some(needed) => format!("needs {needed} bytes, has {available}"),
        None => "the shape has no size".into(),
    });
}

fn check_group(plan: &Plan, place: Place<'_>, group: &TaskGroup, faults: &mut Faults) {
    let sizes = match group.tasks {
        Tasks::Blocks { lanes, most } => lanes.min(most),
        Tasks::Ranges { chunk, .. } | Tasks::BatchRanges { chunk } => chunk,
        Tasks::Once => 1,
    };
    let counted = sizes > 0 && fits_32_bits(group.tasks);
    faults.unless(counted, Rule::NotZero, place, || format!("{}", group.tasks));
    if !counted {
        return;
    }
    for &id in &group.zeroed {
        let is_partial = plan.buffers[id].layout == Layout::Partials;
        let fits = is_partial && matches!(group.tasks, Tasks::Blocks { .. });
        faults.unless(fits, Rule::Zeroed, place, || {
            format!("zeroes {} in {}", named(plan, id), group.tasks)
        });
    }
    for (place, call) in calls(place, group) {
        check_call(plan, place, group, call, faults);
    }
}

/// Whether the numbers of lanes and tasks are such as programs are made of.
fn fits_32_bits(tasks: Tasks) -> bool {
    match tasks {
        Tasks::Blocks { lanes, most } => lanes.max(most) <= u32::MAX as usize,
        _ => true,
    }
}

fn check_call(plan: &Plan, place: Place<'_>, group: &TaskGroup, call: &Call, faults: &mut Faults) {
    let kernel = &plan.kernels[call.kernel];
    let (given, taken) = (
        (call.buffers.len(), call.scalars.len()),
        (kernel.buffers.len(), kernel.scalars.len()),
    );
    faults.unless(given == taken, Rule::Arity, place, || {
        let ((buffers, scalars), (b, s)) = (given, taken);
        format!(
            "binds {buffers} buffers and {scalars} scalars, `{}` takes {b} and {s}",
            kernel.name
        )
    });
    for (&id, decl) in call.buffers.iter().zip(kernel.buffers.values()) {
        let (found, wanted) = (plan.buffers[id].element, decl.element);
        faults.unless(found == wanted, Rule::Elements, place, || {
            format!(
                "{} is {}, `{}` takes {}",
                named(plan, id),
                found.name(),
                decl.name,
                wanted.name()
            )
        });
        check_blocks(plan, place, group, (call, id), faults);
    }
    for (number, &a) in call.buffers.iter().enumerate() {
        for &b in &call.buffers[number + 1..] {
            faults.unless(!plan.overlap(a, b), Rule::CallOverlap, place, || {
                format!("binds {} and {}", named(plan, a), named(plan, b))
            });
        }
    }
    check_scalars(plan, place, group, call, faults);
}

fn check_blocks(
    plan: &Plan,
    place: Place<'_>,
    group: &TaskGroup,
    (call, id): (&Call, BufferId),
    faults: &mut Faults,
) {
    let Tasks::Blocks { lanes, .. } = group.tasks else {
        return;
    };
    let buffer = &plan.buffers[id];
    if buffer.layout == Layout::Partials {
        let stored = call.scalars.contains(&ScalarArgument::Follows);
        let begun = group.zeroed.contains(&id) || stored;
        faults.unless(begun, Rule::Zeroed, place, || {
            format!("{} is not zeroed by this group", named(plan, id))
        });
        let needed = buffer
            .task_stride
            .saturating_mul(group.tasks.count(plan.batch));
        return faults.unless(needed <= buffer.bytes, Rule::Room, place, || {
            format!(
                "the tasks' copies of {} need {needed} bytes, it has {}",
                named(plan, id),
                buffer.bytes
            )
        });
    }
    let same = match buffer.layout {
        Layout::Lanes { lanes: own, .. } => own == lanes,
        Layout::Panels { width } => {
            let panels = buffer.panels(width, plan.batch, lanes);
            panels.is_some_and(|(bytes, _)| bytes == buffer.block_stride)
        }
        _ => true,
    };
    let reach = buffer
        .block_stride
        .saturating_mul(plan.batch.div_ceil(lanes));
    faults.unless(
        same && reach <= plan.buffers[plan.base(id)].bytes,
        Rule::BlockSize,
        place,
        || {
            format!(
                "blocks of {lanes} samples through {}: {}",
                named(plan, id),
                buffer.layout
            )
        },
    );
}

fn check_scalars(
    plan: &Plan,
    place: Place<'_>,
    group: &TaskGroup,
    call: &Call,
    faults: &mut Faults,
) {
    use ScalarArgument::{
        Batch, Block, BlockTasks, Follows, RangeBegin, RangeEnd, Round, ValidLanes,
    };
    let in_blocks = matches!(group.tasks, Tasks::Blocks { .. });
    let in_ranges = matches!(
        group.tasks,
        Tasks::Ranges { .. } | Tasks::BatchRanges { .. }
    );
    for &scalar in &call.scalars {
        let fits = match scalar {
            Batch => true,
            BlockTasks { lanes, most } => {
                lanes > 0 && most > 0 && fits_32_bits(Tasks::Blocks { lanes, most })
            }
            Block | Follows | ValidLanes => in_blocks,
            RangeBegin | RangeEnd => in_ranges,
            // The rule of loops looks at these.
            Round => true,
        };
        faults.unless(fits, Rule::Scalars, place, || {
            format!("`{scalar}` in {}", group.tasks)
        });
    }
    let has_range = call.scalars.contains(&RangeBegin) && call.scalars.contains(&RangeEnd);
    let needs_range = in_ranges && bindings(plan, call).any(|(_, access)| writes(access));
    faults.unless(has_range || !needs_range, Rule::Scalars, place, || {
        "writes in a group of ranges, and is not told its range".into()
    });
}

fn ports(plan: &Plan, faults: &mut Faults) {
    let mut inputs = BTreeSet::new();
    for port in &plan.inputs {
        let wanted = match port.kind {
            InputKind::Parameter | InputKind::State => Space::Persistent,
            InputKind::Data | InputKind::Scalar => Space::Arena,
        };
        let first = inputs.insert((port.kind, &port.name));
        let found = plan.buffers[port.buffer].space;
        faults.unless(
            first && found == wanted,
            Rule::Ports,
            format!("input {:?}", port.name),
            || {
                if first {
                    format!("lies in {}", found.name())
                } else {
                    "the name is taken".into()
                }
            },
        );
    }
    let mut outputs = BTreeSet::new();
    for port in &plan.outputs {
        let first = outputs.insert((port.kind, &port.name));
        let found = plan.buffers[port.buffer].space;
        check_port_layout(plan, port.buffer, faults);
        let fits = match port.kind {
            OutputKind::Parameter | OutputKind::State => found == Space::Persistent,
            OutputKind::Report | OutputKind::Result | OutputKind::Check => found != Space::Scratch,
        };
        faults.unless(
            first && fits,
            Rule::Ports,
            format!("output {:?}", port.name),
            || {
                if first {
                    format!("lies in {}", found.name())
                } else {
                    "the name is taken".into()
                }
            },
        );
    }
}

fn check_port_layout(plan: &Plan, id: BufferId, faults: &mut Faults) {
    let buffer = &plan.buffers[id];
    let whole = matches!(buffer.layout, Layout::Plain | Layout::Lanes { .. });
    let is_value = whole && buffer.row_of.is_none();
    faults.unless(is_value, Rule::Ports, named(plan, id), || {
        "partials, panels and rows neither enter nor leave".into()
    });
}

fn check_commit(plan: &Plan, commit: Commit, faults: &mut Faults) {
    let (from, to) = (&plan.buffers[commit.from], &plan.buffers[commit.to]);
    let same = from.element == to.element && from.shape == to.shape;
    let rows = from.row_of.is_some() || to.row_of.is_some();
    let plain = from.layout == Layout::Plain && to.layout == Layout::Plain && !rows;
    let apart = !plan.overlap(commit.from, commit.to);
    let placed = to.space == Space::Persistent && from.space != Space::Scratch;
    faults.unless(
        same && plain && apart && placed,
        Rule::Commits,
        "commit",
        || format!("{} -> {}", named(plan, commit.from), named(plan, commit.to)),
    );
}
