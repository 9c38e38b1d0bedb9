//! The gradient of every function and block of the library, along a random direction, is what central differences give: five
//! sizes and three seeds each, in double precision.

mod programs;

use dlm_core::graph::Graph;
use dlm_core::graph::eval::{self, Inputs, Tensor};
use dlm_core::passes;
use programs::library;

/// Half of the distance between the two points of a difference.
const STEP: f64 = 1e-6;

/// Rows whose derivative is by definition not that of their value: where they cut gradients or jump.
const CUT: &[&str] = &["return round", "return floor"];

#[test]
fn gradients_are_what_differences_give() {
    let mut failures = Vec::new();
    let mut compared = 0;
    for samples in [1, 2, 3, 4, 5] {
        for (text, entry) in library::cases(samples) {
            if CUT.iter().any(|cut| text.contains(cut)) {
                continue;
            }
            let callable = library::callable(&text, entry, samples);
            let graph = passes::run_passes(&callable.graph, passes::PASSES, |_, _| {});
            let graph = graph.expect("passes");
            for seed in 1..=3 {
                let given = library::inputs(&callable, samples, seed);
                match compare(&graph, &given, seed) {
                    Ok(count) => compared += count,
                    Err(reason) => failures.push(format!("{text}, seed {seed}: {reason}")),
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(compared > 2000, "{compared} gradients compared");
}

/// Compares each gradient; how many there were.
fn compare(graph: &Graph, given: &Inputs, seed: u64) -> Result<usize, String> {
    let outputs = eval::evaluate(graph, 1, given).map_err(|error| error.to_string())?;
    let mut compared = 0;
    for (name, gradient) in &outputs {
        let Some(input) = name.strip_prefix("grad.") else {
            continue;
        };
        let direction = library::values("direction", &given[input].shape, seed + 77);
        let value = |sign: f64| loss(graph, given, input, &direction, sign * STEP);
        let difference = (value(1.0)? - value(-1.0)?) / (2.0 * STEP);
        let products = gradient.data.iter().zip(&direction.data);
        let found: f64 = products
            .map(|(gradient, direction)| gradient * direction)
            .sum();
        let error = (found - difference).abs();
        // Not `>`: NaN is wrong too.
        let near = error <= 1e-5 * (1.0 + found.abs().max(difference.abs()));
        if !near {
            return Err(format!("{name} is {found}, differences give {difference}"));
        }
        compared += 1;
    }
    Ok(compared)
}

/// The sum of the first result times the cotangent, with one input moved along a direction.
fn loss(
    graph: &Graph,
    given: &Inputs,
    input: &str,
    direction: &Tensor,
    step: f64,
) -> Result<f64, String> {
    let mut moved = given.clone();
    if let Some(value) = moved.get_mut(input) {
        let pairs = value.data.iter_mut().zip(&direction.data);
        pairs.for_each(|(value, direction)| *value += step * direction);
    }
    let outputs = eval::evaluate(graph, 1, &moved).map_err(|error| error.to_string())?;
    let result = outputs
        .iter()
        .find(|(name, _)| name == "out" || name == "out.0");
    let (_, result) = result.ok_or("no result")?;
    let products = result.data.iter().zip(&given["cotangent"].data);
    Ok(products.map(|(result, cotangent)| result * cotangent).sum())
}
