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

/// Programs that once had no plan, or a wrong one, over the same arguments as the library's.
const FOUND: &[&str] = &[
    // The gradient of a parameter's parts, of which each is a sum over samples.
    "param w: f32[18] = zeros\n let a, b, c = split[0, 3](w)\n return (x + a) * (p + b) * (p * c)",
    "param w: f32[18] = zeros\n let a, b, c = split[0, 3](w)\n let v = einsum[\"b i t, b j t -> b i j\"](x + a, p + b)\n return softmax(v) @ (p + c)",
    // A padding at the end of what another kernel makes.
    "return pad[(0, 0), (0, 2)](sum[axis=-1](i)) + pad[(0, 0), (0, 2)](sum[axis=-2](i * i))",
    "return pad[(0, 3)](einsum[\"b i t, b j t -> b i j\"](x, p)) * 2",
    // Diagonals and traces, of samples too.
    "return einsum[\"b c i i -> b c i\"](i)",
    "return einsum[\"b c i i -> b c\"](i)",
    "return einsum[\"b c i i, b c i -> b i\"](i, x)",
    "return einsum[\"i i -> i\"](x[0, :, :4])",
    "return einsum[\"i i ->\"](x[0, :, :4] * 2)",
    "return einsum[\"i i -> i\"](einsum[\"a i j, b i j -> a b\"](x, p))",
    "return einsum[\"i i ->\"](einsum[\"a i j, b i j -> a b\"](x, p))",
    "return einsum[\"i i j -> i j\"](einsum[\"a i j, b i j -> a b j\"](x, p))",
    // Several positions of a running sum.
    "return glu(cumsum(x))",
    "let y = cumsum(x * p)\n return y[.., :3] * y[.., 3:] + y[.., 1:4]",
    "return cumsum[axis=1](x)[:, 1:] - cumsum[axis=1](x)[:, :-1]",
    "let y = cumsum(x)\n return concat[axis=-1](y, flip[-1](y), x)",
    "let y = cumsum(x)\n return max_pool1d[2](y) + sum[axis=-1, keep=true](y)",
];

#[test]
fn what_was_found_wrong_is_right() {
    let mut failures = Vec::new();
    for (samples, target) in [
        (1, Target::avx2()),
        (3, Target::vector128()),
        (19, Target::avx2()),
    ] {
        for body in FOUND {
            let text = format!(
                "block Case(x: f32[{samples}, 4, 6], p: f32[{samples}, 4, 6], y: i32[{samples}, 4], i: f32[{samples}, 4, 6, 6], s: f32[{samples}], c: i32[{samples}]) {{ {body} }}"
            );
            let callable = library::callable(&text, "Case", samples);
            let graph = run_passes(&callable.graph, PASSES, |_, _| {}).expect("passes");
            let given = library::inputs(&callable, samples, 1);
            let compared = compare(&graph, &given, &target);
            failures.extend(compared.err().map(|reason| format!("{text}\n{graph}\n{reason}")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
