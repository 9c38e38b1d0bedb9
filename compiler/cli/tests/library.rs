//! Every function and block of the library through the binary: results and gradients are those of the slow evaluator.

#[path = "../../core/tests/programs/library.rs"]
mod library;

mod common;

use common::Place;
use dlm_core::graph::eval::{self, Tensor};
use dlm_core::passes;
use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};

#[test]
fn machine_code_computes_what_the_slow_evaluator_does() {
    let mut failures = Vec::new();
    let mut compared = 0;
    for (samples, seed) in [(1, 1), (2, 2), (19, 3)] {
        for (text, entry) in library::cases(samples) {
            match compare(&text, entry, samples, seed) {
                Ok(count) => compared += count,
                Err(reason) => failures.push(format!("{text}\n{reason}")),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(compared > 600, "{compared} tensors compared");
}

/// Compares results and gradients; how many tensors there were.
fn compare(text: &str, entry: &str, samples: i64, seed: u64) -> Result<usize, String> {
    let callable = library::callable(text, entry, samples);
    let graph = passes::run_passes(&callable.graph, passes::PASSES, |_, _| {});
    let graph = graph.map_err(|error| error.to_string())?;
    let given = library::inputs(&callable, samples, seed);
    let want = eval::evaluate(&graph, 1, &given).map_err(|error| error.to_string())?;
    let place = Place::new().with("case.dlm", text);
    let key = |name: &String| match name.as_str() {
        "cotangent" => name.clone(),
        _ if callable.parameters.iter().any(|each| each.path == *name) => format!("param.{name}"),
        _ if callable.states.iter().any(|each| each.path == *name) => format!("state.{name}"),
        _ => format!("in.{name}"),
    };
    let stored: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = given
        .iter()
        .map(|(name, tensor)| {
            let (dtype, bytes) = stored(name, tensor);
            let shape = tensor.shape.iter().map(|&extent| extent as usize).collect();
            (key(name), dtype, shape, bytes)
        })
        .collect();
    let views = stored.iter().map(|(key, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.clone(), bytes).expect("bytes of that shape");
        (key.clone(), view)
    });
    let bytes = serialize(views, None).expect("tensors");
    std::fs::write(place.path("in.safetensors"), bytes).expect("can be written");
    let outcome = place.dlmc(&[
        "call",
        "case.dlm",
        entry,
        "--in",
        "in.safetensors",
        "--out",
        "out.safetensors",
        "--grad",
    ]);
    if outcome.code != Some(0) {
        return Err(outcome.stderr);
    }
    let got = std::fs::read(place.path("out.safetensors")).expect("it was written");
    let got = SafeTensors::deserialize(&got).expect("a safetensors file");
    let mut compared = 0;
    for (name, want) in &want {
        if !name.starts_with("out") && !name.starts_with("grad.") {
            continue;
        }
        let tensor = got
            .tensor(name)
            .map_err(|error| format!("{name}: {error}"))?;
        library::agree(name, &numbers(&tensor), &want.data)?;
        compared += 1;
    }
    Ok(compared)
}

fn stored(name: &str, tensor: &Tensor) -> (Dtype, Vec<u8>) {
    let values = tensor.data.iter();
    match name {
        "y" | "c" => {
            let bytes = values.flat_map(|value| (*value as i32).to_le_bytes());
            (Dtype::I32, bytes.collect())
        }
        _ => {
            let bytes = values.flat_map(|value| (*value as f32).to_le_bytes());
            (Dtype::F32, bytes.collect())
        }
    }
}

fn numbers(tensor: &TensorView<'_>) -> Vec<f64> {
    let fours = tensor.data().as_chunks::<4>().0.iter();
    match tensor.dtype() {
        Dtype::F32 => fours
            .map(|bytes| f64::from(f32::from_le_bytes(*bytes)))
            .collect(),
        Dtype::I32 => fours
            .map(|bytes| f64::from(i32::from_le_bytes(*bytes)))
            .collect(),
        _ => tensor.data().iter().map(|byte| f64::from(*byte)).collect(),
    }
}
