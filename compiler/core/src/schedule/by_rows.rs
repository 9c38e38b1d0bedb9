//! Neighbouring kernels of a block as one kernel that goes through them row by row.
//!
//! Batch normalisation makes its values in a kernel between two products. Within the kernel of the second product, a row at
//! a time, what it makes never leaves the first cache, and no kernel of its own is left.

use crate::loops::{Access, Range, Side, ask_for_rows, join_rows};
use crate::plan::{BufferId, Call, KernelId, Plan, ScalarArgument, TaskGroup, Tasks};
use cranelift_entity::{PrimaryMap, SecondaryMap};
use indexmap::IndexSet;
use std::hash::Hash;

/// Joins the calls of blocks, as many as may be, and asks for the rows of what they read.
pub fn by_rows(plan: &mut Plan) {
    let mut phases = std::mem::take(&mut plan.phases);
    for group in phases.iter_mut().flat_map(|phase| &mut phase.groups) {
        let Tasks::Blocks { lanes, .. } = group.tasks else {
            continue;
        };
        // Kernels without sums with one another first, then with the product that reads several of them.
        let mut at = 0;
        while at + 1 < group.calls.len() {
            at += usize::from(!join_with_next(plan, lanes, group, at));
        }
        for at in (0..group.calls.len().saturating_sub(1)).rev() {
            join_with_next(plan, lanes, group, at);
        }
        for call in &group.calls {
            ask_ahead(plan, lanes, call);
        }
    }
    plan.phases = phases;
    drop_unused(plan);
}

/// Makes one call of a call and the next, where that may be.
fn join_with_next(plan: &mut Plan, lanes: usize, group: &mut TaskGroup, at: usize) -> bool {
    let repeat = |call: usize| {
        let mut repeats = group.repeats.iter();
        repeats.position(|own| (own.first..own.end()).contains(&call))
    };
    let own = repeat(at);
    if at + 1 >= group.calls.len() || own != repeat(at + 1) {
        return false;
    }
    let Some(call) = joined(plan, lanes, [&group.calls[at], &group.calls[at + 1]]) else {
        return false;
    };
    group.calls.splice(at..at + 2, [call]);
    for (number, repeat) in group.repeats.iter_mut().enumerate() {
        match own {
            Some(own) if own == number => repeat.count -= 1,
            _ if repeat.first > at => repeat.first -= 1,
            _ => {}
        }
    }
    true
}

/// Has the kernel of a call ask for its next row, once, where another is part of it.
fn ask_ahead(plan: &mut Plan, lanes: usize, call: &Call) {
    let mut buffers = plan.kernels[call.kernel].buffers.values();
    if !buffers.any(|decl| decl.access == Access::WriteRead) {
        return;
    }
    let scalars = call.scalars.iter().map(|&scalar| known(scalar, lanes));
    let known: Vec<Range> = scalars.collect();
    let kernel = &mut plan.kernels[call.kernel];
    if let Some(asking) = ask_for_rows(kernel, &known) {
        *kernel = asking;
    }
}

/// The call that does what both do.
fn joined(plan: &mut Plan, lanes: usize, calls: [&Call; 2]) -> Option<Call> {
    let mut buffers: IndexSet<BufferId> = IndexSet::new();
    let mut scalars = IndexSet::new();
    let numbers = calls.map(|call| {
        let buffers = numbered(&mut buffers, &call.buffers);
        let known = call.scalars.iter().map(|&scalar| known(scalar, lanes));
        (
            buffers,
            numbered(&mut scalars, &call.scalars),
            known.collect::<Vec<_>>(),
        )
    });
    let [before, behind] = calls.map(|call| &plan.kernels[call.kernel]);
    if before.has_sums()
        || !before.is_in_order()
        || !behind.is_in_order()
        || meet(plan, &buffers, calls)
    {
        return None;
    }
    let side = |kernel, number: usize| Side {
        kernel,
        buffers: &numbers[number].0,
        scalars: &numbers[number].1,
        known: &numbers[number].2,
    };
    let mut kernel = join_rows(side(before, 0), side(behind, 1))?;
    let (before, behind) = (before.name.clone(), behind.name.clone());
    plan.decisions.push(format!(
        "{before}: row by row within the kernel of {behind}"
    ));
    kernel.name = behind;
    Some(Call {
        kernel: plan.kernels.push(kernel),
        buffers: buffers.into_iter().collect(),
        scalars: scalars.into_iter().collect(),
    })
}

/// The values of a scalar in a call for a block of so many samples.
fn known(scalar: ScalarArgument, lanes: usize) -> Range {
    match scalar {
        ScalarArgument::ValidLanes => Range::new(1, lanes as i64),
        ScalarArgument::Follows => Range::new(0, 1),
        ScalarArgument::Batch | ScalarArgument::BlockTasks { .. } => Range::at_least(1),
        ScalarArgument::Block
        | ScalarArgument::Round
        | ScalarArgument::RangeBegin
        | ScalarArgument::RangeEnd => Range::at_least(0),
    }
}

fn numbered<T: Copy + Eq + Hash>(all: &mut IndexSet<T>, own: &[T]) -> Vec<usize> {
    own.iter().map(|&own| all.insert_full(own).0).collect()
}

/// Whether two of the buffers, of which one is written, share memory.
fn meet(plan: &Plan, buffers: &IndexSet<BufferId>, calls: [&Call; 2]) -> bool {
    let written = |id: BufferId| {
        calls.iter().any(|call| {
            let accesses = plan.kernels[call.kernel].buffers.values();
            let mut own = call.buffers.iter().zip(accesses);
            own.any(|(&other, decl)| other == id && decl.access != Access::Read)
        })
    };
    let pairs = buffers.iter().enumerate();
    pairs.into_iter().any(|(number, &a)| {
        let others = buffers.iter().skip(number + 1);
        let mut others = others.filter(|&&b| plan.overlap(a, b));
        others.any(|&b| written(a) || written(b))
    })
}

/// Removes kernels that no call names.
fn drop_unused(plan: &mut Plan) {
    let mut names: SecondaryMap<KernelId, Option<KernelId>> = SecondaryMap::new();
    let mut kernels = PrimaryMap::new();
    let calls = plan.phases.iter_mut().flat_map(|phase| &mut phase.groups);
    for call in calls.flat_map(|group| &mut group.calls) {
        let old = call.kernel;
        let kernel = &mut plan.kernels[old];
        let new = names[old].get_or_insert_with(|| kernels.push(std::mem::take(kernel)));
        call.kernel = *new;
    }
    plan.kernels = kernels;
}
