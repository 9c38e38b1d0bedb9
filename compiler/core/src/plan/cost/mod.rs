//! How much a kernel's call does, counted in its loop IR, and how long a model of the processor takes for it.

mod ports;
mod walk;

pub use ports::Ports;
pub use walk::Cost;

use super::{Call, Plan, ScalarArgument, TaskGroup, Tasks};
use crate::loops::expand_math;

/// What the calls of one site cost in one step, all tasks and rounds together. None where loops' bounds are not known
/// before the run.
pub fn cost_of_site(
    plan: &Plan,
    group: &TaskGroup,
    number: usize,
    batch: usize,
    ports: &Ports,
) -> Option<Cost> {
    let call: &Call = &group.calls[number];
    let mut repeats = group.repeats.iter();
    let repeat = repeats.find(|repeat| (repeat.first..repeat.end()).contains(&number));
    let rounds = repeat.map_or(1, |repeat| repeat.rounds);
    let kernel = expand_math(&plan.kernels[call.kernel]);
    let mut sum = Cost::default();
    for task in task_scalars(group.tasks, batch) {
        let arguments: Vec<i64> = call
            .scalars
            .iter()
            .map(|&argument| task.value(argument, batch))
            .collect();
        let mut cost = walk::of_call(&kernel, &arguments, ports)?;
        cost.cycles += ports::CALL;
        sum = sum.and(cost.times(task.times as f64));
    }
    Some(sum.times(rounds as f64))
}

/// The scalars that differ between tasks or blocks, and how many calls have these.
struct TaskScalars {
    begin: i64,
    end: i64,
    valid: i64,
    times: usize,
}

impl TaskScalars {
    fn value(&self, argument: ScalarArgument, batch: usize) -> i64 {
        match argument {
            ScalarArgument::Batch => batch as i64,
            ScalarArgument::BlockTasks { lanes, most } => {
                batch.div_ceil(lanes.max(1)).min(most) as i64
            }
            // No loop is as long as its block's number.
            ScalarArgument::Block | ScalarArgument::Round => 0,
            ScalarArgument::ValidLanes => self.valid,
            ScalarArgument::RangeBegin => self.begin,
            ScalarArgument::RangeEnd => self.end,
        }
    }
}

fn task_scalars(tasks: Tasks, batch: usize) -> Vec<TaskScalars> {
    let once = |valid: usize, times: usize| TaskScalars {
        begin: 0,
        end: 0,
        valid: valid as i64,
        times,
    };
    match tasks {
        Tasks::Once => vec![once(0, 1)],
        Tasks::Blocks { lanes, .. } => {
            let (full, rest) = (batch / lanes.max(1), batch % lanes.max(1));
            let last = (rest > 0).then(|| once(rest, 1));
            std::iter::once(once(lanes, full)).chain(last).collect()
        }
        Tasks::Ranges { extent, chunk } => ranges(extent, chunk),
        Tasks::BatchRanges { chunk } => ranges(batch, chunk),
    }
}

fn ranges(extent: usize, chunk: usize) -> Vec<TaskScalars> {
    let starts = (0..extent).step_by(chunk.max(1));
    let range = |begin: usize| TaskScalars {
        begin: begin as i64,
        end: extent.min(begin + chunk) as i64,
        valid: 0,
        times: 1,
    };
    starts.map(range).collect()
}
