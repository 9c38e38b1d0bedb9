//! From a graph to machine code, and the program that runs it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use dlm_core::graph::Graph;
use dlm_core::loops::{Kernel, expand_math};
use dlm_core::passes::{PASSES, of_batch, run_passes};
use dlm_core::plan::Plan;
use dlm_core::schedule::{
    Choices, LowerError, PersistentLayout, Product, ScheduleError, Target, schedule, schedule_apart,
};
use dlm_grammar::Diagnostic;
use dlm_jit::{Code, JitError, LinkError, Options};
use dlm_runtime::program::Executable;

use super::machine::Machine;
use super::source::Source;
use super::threads::on_threads;
use crate::failure::Failure;
use crate::stages::Stages;

dlm_grammar::codes! {
    UNSUPPORTED = "unsupported", "an operation that has no machine code yet, in the form in which it is used";
}

/// Runs all passes; `observe` sees the graph after each.
///
/// # Errors
/// Where a pass fails. The graph before it is then in a file that the message names.
pub fn optimise(
    graph: &Graph,
    stages: &mut Stages,
    mut observe: impl FnMut(&'static str, &Graph),
) -> Result<Graph, Failure> {
    let mut done = 0;
    let attempt = stages.time("passes", || {
        catch_unwind(AssertUnwindSafe(|| {
            run_passes(graph, PASSES, |name, after| {
                observe(name, after);
                done += 1;
            })
        }))
    });
    match attempt {
        Ok(Ok(graph)) => Ok(graph),
        Ok(Err(error)) => {
            let place = keep_for_report(graph, done);
            Err(Failure::internal(format!("{error}\n  {place}")))
        }
        Err(panic) => {
            crate::terminal::complain(&format!("{}\n", keep_for_report(graph, done)));
            resume_unwind(panic)
        }
    }
}

/// Writes the graph before a failing pass to a file, and says where and how to try again.
fn keep_for_report(graph: &Graph, done: usize) -> String {
    // The passes before it went well, and do so again.
    let before = run_passes(graph, &PASSES[..done.min(PASSES.len())], |_, _| {});
    let before = before.as_ref().unwrap_or(graph);
    let names: Vec<&str> = PASSES[done.min(PASSES.len())..]
        .iter()
        .map(|pass| pass.name)
        .collect();
    let path = std::env::temp_dir().join(format!("dlmc-{}.ir", std::process::id()));
    match std::fs::write(&path, before.to_string()) {
        Ok(()) => format!(
            "the graph before the failing pass is in {path}; to try again: dlmc opt {path} --passes {passes}",
            path = path.display(),
            passes = names.join(",")
        ),
        Err(error) => format!("the graph before the failing pass could not be kept: {error}"),
    }
}

/// Plans a graph that the passes have made ready, for batches of up to `batch`.
///
/// # Errors
/// Where an operation has no lowering.
pub fn plan(
    graph: &Graph,
    batch: usize,
    persistent: &PersistentLayout,
    (machine, source): (&Machine, &Source),
    stages: &mut Stages,
) -> Result<Plan, Failure> {
    let target = machine.target();
    let mut planned = stages.time("schedule", || {
        on_threads(|| schedule(graph, &target, batch, persistent))
    });
    let is_refused = |error: &ScheduleError| matches!(error.error, LowerError::Choice { .. });
    if machine.is_tuned() && planned.as_ref().is_err_and(is_refused) {
        let own = Target {
            choices: Choices::default(),
            ..target
        };
        planned = stages.time("schedule", || {
            on_threads(|| schedule(graph, &own, batch, persistent))
        });
    }
    let plan = planned.map_err(|error| refused(&error, source))?;
    for decision in plan.decisions_on_memory() {
        stages.note(format!("{}: {decision}", plan.name));
    }
    Ok(plan)
}

/// As [`plan`], with each product in a kernel of its own; and which are the gradients of which.
///
/// # Errors
/// As [`plan`].
pub fn plan_apart(
    graph: &Graph,
    batch: usize,
    persistent: &PersistentLayout,
    (machine, source): (&Machine, &Source),
    stages: &mut Stages,
) -> Result<(Plan, Vec<Product>), Failure> {
    let target = machine.target();
    let planned = stages.time("schedule", || {
        on_threads(|| schedule_apart(graph, &target, batch, persistent))
    });
    planned.map_err(|error| refused(&error, source))
}

/// As [`plan`], of a graph that is right for batches of `batch` samples alone.
///
/// # Errors
/// As [`plan`].
pub fn plan_alone(
    graph: &Graph,
    batch: usize,
    persistent: &PersistentLayout,
    place: (&Machine, &Source),
    stages: &mut Stages,
) -> Result<Plan, Failure> {
    let sized = of_batch(graph, batch as i64).map_err(Failure::internal)?;
    let mut planned = plan(&sized, batch, persistent, place, stages)?;
    planned.for_one_size(graph, batch);
    Ok(planned)
}

fn refused(error: &ScheduleError, source: &Source) -> Failure {
    match error.error {
        LowerError::Choice { .. } => Failure::command_line(format!("--plan: {error}")),
        _ => source.failure(&[unsupported(error)]),
    }
}

fn unsupported(error: &ScheduleError) -> Diagnostic {
    Diagnostic::error(UNSUPPORTED, error.span, error.to_string())
        .here("this cannot be compiled yet")
}

/// Makes machine code of the plans' kernels, equal ones once, and a program of each plan.
///
/// # Errors
/// Where the machine lacks instructions, where a value cannot be fed or read, and for faults of the compiler.
pub fn link(
    plans: &[&Plan],
    machine: &Machine,
    stages: &mut Stages,
) -> Result<Vec<Executable>, Failure> {
    let options = machine.options();
    stages
        .time("machine code", || {
            on_threads(|| dlm_jit::link(plans, &options))
        })
        .map_err(link_failure)
}

/// The machine code of a plan's kernels as text.
///
/// # Errors
/// As [`link`].
pub fn listings(plan: &Plan, machine: &Machine, stages: &mut Stages) -> Result<Arc<Code>, Failure> {
    let kernels: Vec<Kernel> = plan.kernels.values().map(expand_math).collect();
    let options = Options {
        listings: true,
        ..machine.options()
    };
    stages
        .time("machine code", || {
            on_threads(|| dlm_jit::compile(&kernels, &options))
        })
        .map_err(|error| link_failure(error.into()))
}

fn link_failure(error: LinkError) -> Failure {
    match error {
        LinkError::Jit(JitError::Machine { .. } | JitError::Placement(_)) => Failure::run(error),
        LinkError::Shape { .. } => Failure::data(error),
        _ => Failure::internal(error),
    }
}
