//! Every function and block of the library with its gradients by three evaluators: the graph, the plan, and machine code of
//! each emitter. Five sizes, three seeds each. What differentiation gives is held against central differences in
//! `compiler/core/tests/gradients.rs`, on the same programs.

#[path = "../../core/tests/programs/library.rs"]
mod library;
mod running;

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::graph::eval::{self, Inputs, Tensor};
use dlm_core::graph::ops::KINDS;
use dlm_core::graph::{DType, Graph, InputKind, Op};
use dlm_core::passes::{PASSES, run_passes};
use dlm_core::plan::{Plan, interpret};
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use dlm_jit::{Backend, Options};
use running::Compiled;

/// Sizes along axis 0: one sample, blocks that are not full, and more than one block.
fn sizes() -> [(i64, Target); 5] {
    [
        (1, Target::avx2()),
        (2, Target::vector128()),
        (3, Target::avx512()),
        (5, Target::vector128()),
        (19, Target::avx2()),
    ]
}

/// Operations that no program is left with once the passes have run, or that only a larger program has.
const ELSEWHERE: &[&str] = &[
    // Of a batch whose size is known when it is compiled, there is none.
    "batch_size",
    // Expanded by passes; a table's gradient is said by products.
    "gradient",
    "scatter_add",
    // In the bodies of scans.
    "argument",
];

#[test]
fn three_evaluators_agree() {
    let mut failures = Vec::new();
    let mut compared = 0;
    let mut met = BTreeSet::new();
    for (samples, target) in sizes() {
        for (text, entry) in library::cases(samples) {
            let callable = library::callable(&text, entry, samples);
            note(&callable.graph, &mut met);
            let graph = run_passes(&callable.graph, PASSES, |_, _| {}).expect("passes");
            note(&graph, &mut met);
            let plan = schedule(&graph, &target, 1, &PersistentLayout::of(&graph));
            let plan = plan.unwrap_or_else(|error| panic!("{text}\n{error}"));
            let code = Backend::available().into_iter().map(|backend| {
                let options = Options {
                    backend: Some(backend),
                    ..Options::default()
                };
                (backend, Compiled::new(&plan, &options))
            });
            let code: Vec<(Backend, Compiled)> = code.collect();
            for seed in 1..=3 {
                let given = library::inputs(&callable, samples, seed);
                match compare(&graph, &plan, &code, &given, library::agree) {
                    Ok(count) => compared += count,
                    Err(reason) => failures.push(format!("{text}, seed {seed}\n{reason}")),
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(compared > 6000, "{compared} tensors compared");
    let all = KINDS.iter().flat_map(|kind| kind.names);
    let missing: Vec<_> = all
        .filter(|name| !met.contains(*name) && !ELSEWHERE.contains(name))
        .collect();
    assert!(missing.is_empty(), "no program has {missing:?}");
}

/// The same with bf16 in place of f32. Bits are the plan's; a sum in another order rounds to a neighbour in bf16 now and then.
#[test]
fn bf16_agrees_too() {
    let mut failures = Vec::new();
    for (samples, target) in [
        (3, Target::avx2()),
        (17, Target::vector128()),
        (19, Target::avx512bf16()),
    ] {
        let rows = library::cases(samples).into_iter();
        let refused = |text: &str| library::MIXED.iter().any(|row| text.contains(row));
        for (text, entry) in rows.filter(|(text, _)| !refused(text)) {
            let callable =
                library::elaborated(&library::halved(&text), entry, samples, DType::Bf16);
            let callable = callable.unwrap_or_else(|errors| panic!("{errors}"));
            let graph = run_passes(&callable.graph, PASSES, |_, _| {}).expect("passes");
            let plan = schedule(&graph, &target, 1, &PersistentLayout::of(&graph));
            let plan = plan.unwrap_or_else(|error| panic!("{text}\n{error}"));
            let code = Backend::available().into_iter().map(|backend| {
                let options = Options {
                    backend: Some(backend),
                    ..Options::default()
                };
                (backend, Compiled::new(&plan, &options))
            });
            let code: Vec<(Backend, Compiled)> = code.collect();
            let given = library::rounded(library::inputs(&callable, samples, 1));
            if let Err(reason) = compare(&graph, &plan, &code, &given, near) {
                failures.push(format!("{text}\n{reason}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Whether values are as wanted, but for bf16's rounding of some.
fn near(name: &str, got: &[f64], want: &[f64]) -> Result<(), String> {
    let scale = want
        .iter()
        .fold(0.5_f64, |scale, value| scale.max(value.abs()));
    let far = |(got, want): (&f64, &f64)| {
        let same = got == want || (got.is_nan() && want.is_nan());
        !same && ((got - want).abs() > 0.02 * scale || got.is_nan() || want.is_nan())
    };
    match got.iter().zip(want).position(far) {
        None => Ok(()),
        Some(at) => Err(format!("{name}[{at}] is {}, not {}", got[at], want[at])),
    }
}

/// Whether a tensor's values are as wanted.
type Agree = fn(&str, &[f64], &[f64]) -> Result<(), String>;

/// Notes which operations a graph has, the bodies of its scans included.
fn note(graph: &Graph, met: &mut BTreeSet<&'static str>) {
    for node in graph.nodes.values() {
        met.insert(node.op.name());
        if let Op::Scan(scan) = &node.op {
            note(scan.body.graph(), met);
        }
    }
}

/// Compares results and gradients; how many tensors there were.
fn compare(
    graph: &Graph,
    plan: &Plan,
    code: &[(Backend, Compiled)],
    given: &Inputs,
    agree: Agree,
) -> Result<usize, String> {
    let wanted = eval::evaluate_single(graph, 1, given).map_err(|error| error.to_string())?;
    let inputs: BTreeMap<(InputKind, String), Tensor> = plan
        .inputs
        .iter()
        .map(|port| ((port.kind, port.name.clone()), given[&port.name].clone()))
        .collect();
    let found = interpret(plan, plan.batch, &inputs).map_err(|error| error.to_string())?;
    for ((name, want), (_, got)) in wanted.iter().zip(&found) {
        agree(name, &got.data, &want.data)?;
    }
    for (backend, code) in code {
        let left = code.run(plan, &inputs);
        for ((name, got), ((_, wanted), want)) in left.iter().zip(&found) {
            assert_eq!(name, wanted);
            let want: Vec<u32> = running::bits_of(plan, name, want);
            if *got != want {
                return Err(format!(
                    "{name} by {backend:?} is {got:?}, the plan says {want:?}"
                ));
            }
        }
    }
    Ok(wanted.len())
}
