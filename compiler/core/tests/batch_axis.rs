//! Expressions in which samples read one another, for batches of a size that only the run knows: the graph and the plan
//! against the same expression elaborated for a known size, where slices and flips are views.

use std::collections::BTreeMap;

use dlm_core::elaborate::Callable;
use dlm_core::graph::eval::{self, Inputs, Tensor};
use dlm_core::graph::{DType, Dim, InputKind, TensorType};
use dlm_core::passes::{PASSES, run_passes};
use dlm_core::plan::{Port, interpret};
use dlm_core::schedule::{PersistentLayout, Target, schedule};

#[path = "programs/library.rs"]
mod library;

/// Over `a: f32[B, 6]`, `b: f32[B, 6]`, `y: i32[B]` below 6.
const EXPRESSIONS: &[&str] = &[
    "a[1:]",
    "a[:-1] * b[1:]",
    "a[-1]",
    "a[0] + b",
    "a[:2]",
    "a[2] - b[1]",
    "a[::-1]",
    "relu(a[:, 1:4])[1:, ::2]",
    "flip[0](a) * b",
    "a - roll[1, axis=0](b)",
    "roll[-3, axis=0](a)",
    "concat(a, b)[B:] * a",
    "concat(a, b)[:B] + concat(a, b)[-B:]",
    "cross_entropy(einsum[\"b d, c d -> b c\"](a, b), arange[B])",
    "cross_entropy(a, y[::-1])",
    "gather(a, y % 2)",
    "sum((a[1:] - a[:-1]) ^ 2)",
    "reshape[B * 6](a)[1:]",
    "reshape[2, B, 6](concat(a, b))[1] + a",
    "rearrange[\"(p b) d -> b p d\", p=2](concat(a, b))",
    "softmax[axis=0](a)[1:]",
];

/// The expression as a function, `B` being `size` where that is known.
fn callable(expression: &str, size: Dim) -> Result<Callable, String> {
    let text = match size.known() {
        None => format!("fn case(a: f32[B, 6], b: f32[B, 6], y: i32[B]) {{ return {expression} }}"),
        Some(known) => format!(
            "fn case(a: f32[B, 6], b: f32[B, 6], y: i32[B]) {{ return {} }}",
            expression.replace('B', &known.to_string())
        ),
    };
    let of = |dtype, shape: &[Dim]| TensorType::new(dtype, shape.to_vec());
    let wide = of(DType::F32, &[size, Dim::fixed(6)]);
    let arguments = [
        ("a", wide.clone()),
        ("b", wide),
        ("y", of(DType::I32, &[size])),
    ];
    let arguments = arguments.map(|(name, ty)| (name.to_owned(), ty)).into();
    library::with_gradients(&text, "case", arguments)
}

fn inputs(callable: &Callable, samples: i64) -> Inputs {
    let mut given = Inputs::new();
    for (name, shape) in [
        ("a", vec![samples, 6]),
        ("b", vec![samples, 6]),
        ("y", vec![samples]),
    ] {
        given.insert(name.to_owned(), library::values(name, &shape, 1));
    }
    if let Some(result) = callable.results.first() {
        let shape: Vec<i64> = result.shape.iter().map(|dim| dim.at(samples)).collect();
        given.insert(
            "cotangent".to_owned(),
            library::values("cotangent", &shape, 1),
        );
    }
    given
}

/// What the graph and the plan give for so many samples, against what the known size gives.
fn check(expression: &str, samples: i64, target: &Target) -> Result<(), String> {
    let (own, known) = (
        callable(expression, Dim::BATCH)?,
        callable(expression, Dim::fixed(samples))?,
    );
    let passed =
        |callable: &Callable| run_passes(&callable.graph, PASSES, |_, _| {}).expect("passes");
    let (graph, known) = (passed(&own), passed(&known));
    let given = inputs(&own, samples);
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let wanted = eval::evaluate(&known, 1, &given).map_err(|error| failed(&error))?;
    let found = eval::evaluate(&graph, samples, &given).map_err(|error| failed(&error))?;
    let plan = schedule(
        &known,
        target,
        samples as usize,
        &PersistentLayout::of(&graph),
    );
    let plan = plan.map_err(|error| failed(&error))?;
    let port = |port: &Port<InputKind>| ((port.kind, port.name.clone()), given[&port.name].clone());
    let ports: BTreeMap<_, Tensor> = plan.inputs.iter().map(port).collect();
    let planned = interpret(&plan, plan.batch, &ports).map_err(|error| failed(&error))?;
    for ((name, want), ((_, found), (_, planned))) in wanted.iter().zip(found.iter().zip(&planned))
    {
        library::agree(&format!("graph, {name}"), &found.data, &want.data)?;
        library::agree(&format!("plan, {name}"), &planned.data, &want.data)?;
    }
    Ok(())
}

#[test]
fn a_batch_is_sliced_as_what_has_its_size() {
    let mut failures = Vec::new();
    for expression in EXPRESSIONS {
        for (samples, target) in [
            (3, Target::avx2()),
            (8, Target::vector128()),
            (19, Target::avx2()),
        ] {
            if let Err(reason) = check(expression, samples, &target) {
                failures.push(format!("{expression}, {samples} samples: {reason}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
