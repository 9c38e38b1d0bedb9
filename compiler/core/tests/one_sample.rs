//! Steps of one sample, whose vectors run along the rows of its images: the plan against the graph, for rows that fill
//! vectors, leave a rest, or fill none.

use std::collections::BTreeMap;

use dlm_core::elaborate::Callable;
use dlm_core::graph::eval::{self, Inputs, Tensor};
use dlm_core::graph::{DType, Dim, InputKind, TensorType};
use dlm_core::passes::{PASSES, run_passes};
use dlm_core::plan::{Port, interpret};
use dlm_core::schedule::{PersistentLayout, Target, schedule};

#[path = "programs/library.rs"]
mod library;

/// Bodies over `x: f32[B, 3, 6, W]`.
const BODIES: &[&str] = &[
    "x |> Conv2d[4, 3, pad=1] |> relu |> Conv2d[2, 3, pad=1]",
    "x |> Conv2d[4, 3] |> relu |> max_pool2d[2]",
    "x |> Conv2d[6, 5, pad=2, stride=2]",
    "x |> Conv2d[3, 3, pad=1, groups=3] |> BatchNorm |> relu",
    "x |> Conv2d[2, 3, pad=2, dilation=2] |> avg_pool2d[2]",
    "x |> ConvTranspose2d[2, 3, stride=2, pad=1, output_pad=1]",
    "x |> max_pool2d[3, 1, 1] |> upsample[2]",
    "x |> Conv2d[4, 1] |> global_avg_pool |> Linear[20] |> softmax",
    "x |> LayerNorm |> flatten |> Linear[9]",
    "flip[-1](x) * x + roll[2, axis=-1](x)",
    "pad[(1, 2), (3, 0)](x) |> cumsum",
    "x[:, :, ::2, 1:] * rsqrt(x[:, :, 1::2, :-1] ^ 2 + 1)",
];

fn callable(body: &str, width: i64) -> Result<Callable, String> {
    let text = format!("block Case(x: f32[B, 3, 6, {width}]) {{ return {body} }}");
    let dims = [1, 3, 6, width].map(Dim::fixed);
    let x = TensorType::new(DType::F32, dims.to_vec());
    library::with_gradients(&text, "Case", BTreeMap::from([("x".to_owned(), x)]))
}

fn check(body: &str, width: i64, target: &Target) -> Result<(), String> {
    let callable = callable(body, width)?;
    let graph =
        run_passes(&callable.graph, PASSES, |_, _| {}).map_err(|error| error.to_string())?;
    let mut given = Inputs::new();
    given.insert("seed".into(), Tensor::scalar(0.0));
    let initial = eval::evaluate_single(&callable.init, 1, &given).expect("initial values");
    given.extend(initial);
    given.insert("x".into(), library::values("x", &[1, 3, 6, width], 1));
    let shape: Vec<i64> = callable.results[0]
        .shape
        .iter()
        .map(|dim| dim.at(1))
        .collect();
    given.insert("cotangent".into(), library::values("cotangent", &shape, 2));
    let wanted = eval::evaluate(&graph, 1, &given).map_err(|error| error.to_string())?;
    let plan = schedule(&graph, target, 1, &PersistentLayout::of(&graph));
    let plan = plan.map_err(|error| error.to_string())?;
    let port = |port: &Port<InputKind>| ((port.kind, port.name.clone()), given[&port.name].clone());
    let ports: BTreeMap<_, Tensor> = plan.inputs.iter().map(port).collect();
    let found = interpret(&plan, plan.batch, &ports).map_err(|error| error.to_string())?;
    for ((name, want), (_, got)) in wanted.iter().zip(&found) {
        library::agree(name, &got.data, &want.data)?;
    }
    Ok(())
}

#[test]
fn one_sample_is_planned_along_its_rows() {
    let mut failures = Vec::new();
    for body in BODIES {
        for width in [6, 8, 12, 16, 18, 34] {
            for target in [Target::avx2(), Target::vector128()] {
                if let Err(reason) = check(body, width, &target) {
                    failures.push(format!("{body}, {width} wide, {}: {reason}", target.name));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
