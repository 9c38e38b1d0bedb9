//! The plan of every function and block of the library against its graph: the slow evaluator of plans, in which each
//! call sees exactly its stretch of memory.

#[path = "programs/library.rs"]
mod library;

use std::collections::BTreeMap;

use dlm_core::graph::eval::{self, Inputs, Tensor};
use dlm_core::graph::{Graph, InputKind, Op};
use dlm_core::passes::{PASSES, run_passes};
use dlm_core::plan::interpret;
use dlm_core::schedule::{PersistentLayout, Target, schedule};

#[test]
fn plans_compute_what_graphs_say() {
    let mut failures = Vec::new();
    let mut compared = 0;
    // One sample, a block that is not full, and more than one block.
    for (samples, target) in [
        (1, Target::avx2()),
        (3, Target::vector128()),
        (19, Target::avx2()),
    ] {
        for (text, entry) in library::cases(samples) {
            let callable = library::callable(&text, entry, samples);
            let graph = run_passes(&callable.graph, PASSES, |_, _| {}).expect("passes");
            let given = library::inputs(&callable, samples, 1);
            match compare(&graph, &given, &target) {
                Ok(count) => compared += count,
                Err(reason) => failures.push(format!("{text}\n{reason}")),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(compared > 600, "{compared} tensors compared");
}

/// Compares results and gradients; how many there were.
fn compare(graph: &Graph, given: &Inputs, target: &Target) -> Result<usize, String> {
    let wanted = eval::evaluate(graph, 1, given).map_err(|error| error.to_string())?;
    let layout = PersistentLayout::of(graph);
    let plan = schedule(graph, target, 1, &layout).map_err(|error| error.to_string())?;
    let inputs: BTreeMap<(InputKind, String), Tensor> = graph
        .nodes
        .values()
        .filter_map(|node| match &node.op {
            Op::Input { kind, name, .. } => Some(((*kind, name.clone()), given[name].clone())),
            _ => None,
        })
        .collect();
    let found = interpret(&plan, plan.batch, &inputs).map_err(|error| error.to_string())?;
    for ((name, want), (_, got)) in wanted.iter().zip(&found) {
        library::agree(name, &got.data, &want.data)?;
    }
    Ok(wanted.len())
}
