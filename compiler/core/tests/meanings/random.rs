//! **Random.** What a random value depends on: seed, place, step and index, and nothing else.

use std::collections::BTreeMap;

use crate::support::{Run, X, good, initial, outputs, passed, train_text};
use dlm_core::graph::eval::{self, Tensor};

/// The result for that seed and step.
fn drawn(text: &str, seed: f64, counter: f64) -> Vec<f64> {
    let callable = good(text, &[X], true);
    let mut values = initial(&callable.init, 0.0);
    values.insert("seed".into(), Tensor::scalar(seed));
    values.insert("counter".into(), Tensor::scalar(counter));
    values.insert("x".into(), Tensor::new(X.2, X.3.to_vec()));
    let found = eval::evaluate(&passed(&callable.graph), 1, &values).expect("an evaluation");
    let found: BTreeMap<String, Tensor> = found.into_iter().collect();
    found["out"].data.clone()
}

const NOISE: &str = "block Noise(x: f32[..]) { return rand[4] }\n";

/// "The place of a random call is its instance path and its count within it, never the line."
#[test]
fn the_place_of_a_random_call_is_its_path_and_count() {
    let case = |body: &str| format!("{NOISE}block Case(x: f32[2, 3]) {{ {body} }}");
    let alone = drawn(&case("let a = Noise\n return a(x)"), 0.0, 0.0);
    let moved = drawn(
        &format!(
            "# a line\n\n\n{}",
            case("let b = Noise\n\n let y = b(x)\n let a = Noise\n return a(x) + 0 * y")
        ),
        0.0,
        0.0,
    );
    assert_eq!(alone, moved, "neither lines nor other instances matter");
    let other = drawn(&case("let b = Noise\n return b(x)"), 0.0, 0.0);
    assert!(
        alone.iter().zip(&other).all(|(a, b)| a != b),
        "another path"
    );
    let two = drawn(
        "fn case(x: f32[2, 3]) { return stack(rand[4], rand[4]) }",
        0.0,
        0.0,
    );
    assert!(
        two[..4].iter().zip(&two[4..]).all(|(a, b)| a != b),
        "another count"
    );
    let nested = drawn(
        "fn one() { return rand[4] }\nfn case(x: f32[2, 3]) { return stack(one(), one()) }",
        0.0,
        0.0,
    );
    assert_eq!(two, nested, "a function is no place of its own");
}

/// "Counter-based, from the run's seed, so that a value depends on nothing but seed, place, step and index."
#[test]
fn values_depend_on_seed_and_step() {
    let text = "fn case(x: f32[2, 3]) { return rand[4] }";
    let first = drawn(text, 0.0, 0.0);
    assert_eq!(first, drawn(text, 0.0, 0.0));
    for (seed, step) in [(1.0, 0.0), (0.0, 1.0)] {
        assert!(
            first
                .iter()
                .zip(&drawn(text, seed, step))
                .all(|(a, b)| a != b),
            "{seed} {step}"
        );
    }
    // An element's value does not depend on how many there are.
    assert_eq!(
        first,
        drawn("fn case(x: f32[2, 3]) { return rand[9][:4] }", 0.0, 0.0)
    );
    assert!(first.iter().all(|value| (0.0..1.0).contains(value)));
}

/// A step draws anew each time, and the same again in another run of that seed.
#[test]
fn steps_draw_anew_and_runs_repeat() {
    let text = train_text(
        "sgd(net)",
        "minimize net(x) with opt\n report noise = sum(randn[3])",
    );
    let seen = |text: &str| {
        let mut run = Run::new(text);
        let draw = |iter| run.step(iter)["noise"].data[0];
        (0..3).map(draw).collect::<Vec<f64>>()
    };
    let first = seen(&text);
    assert_eq!(first, seen(&text));
    assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
    let other = seen(&text.replace("steps=12", "steps=12, seed=1"));
    assert!(first.iter().zip(&other).all(|(a, b)| a != b));
}

/// "Initial values depend on seed and path alone."
#[test]
fn initial_values_depend_on_seed_and_path_alone() {
    let alone = "block Case(x: f32[2, 3]) -> f32[..] { let fc = Linear[4]\n return fc(x) }";
    let among = "block Case(x: f32[2, 3]) -> f32[..] { let other = Linear[3]\n let fc = Linear[4]\n return fc(other(x + rand[3])) }";
    let named = "block Case(x: f32[2, 3]) -> f32[..] { let fd = Linear[4]\n return fd(x) }";
    let weight = |text: &str, seed: f64, name: &str| {
        initial(&good(text, &[X], true).init, seed)[name]
            .data
            .clone()
    };
    let first = weight(alone, 7.0, "fc.weight");
    assert_eq!(first, weight(among, 7.0, "fc.weight"));
    assert_ne!(first, weight(alone, 8.0, "fc.weight"));
    assert_ne!(first, weight(named, 7.0, "fd.weight"));
    assert!(
        first.windows(2).all(|pair| pair[0] != pair[1]),
        "not all the same"
    );
}

/// `rand` is uniform in 0 to 1, `randn` normal, `dropout` drops its share and scales the rest, `categorical` draws by the
/// softmax.
#[test]
fn random_values_are_distributed_as_they_should() {
    let mean =
        |expr: &str| outputs(&format!("fn case() {{ return {expr} }}"), &[], true)["out"].data[0];
    let near = |expr: &str, wanted: f64, tolerance: f64| {
        let got = mean(expr);
        assert!(
            (got - wanted).abs() < tolerance,
            "{expr} is {got}, not {wanted}"
        );
    };
    near("mean(rand[20000])", 0.5, 0.01);
    near("var(rand[20000])", 1.0 / 12.0, 0.003);
    near("mean(randn[20000])", 0.0, 0.03);
    near("var(randn[20000])", 1.0, 0.04);
    near("mean(dropout[0.25](ones[20000]))", 1.0, 0.02);
    near("max(dropout[0.25](ones[20000]))", 4.0 / 3.0, 1e-6);
    near("mean(f32(dropout[0.25](ones[20000]) == 0))", 0.25, 0.02);
    near(
        "mean(f32(categorical(zeros[9000, 3]) == 2))",
        1.0 / 3.0,
        0.02,
    );
    near(
        "mean(f32(categorical(zeros[9000, 2] + log(full[1, 2] * [1, 3])) == 1))",
        0.75,
        0.02,
    );
    // Whole channels.
    near(
        "mean(f32(sum[(2, 3)](dropout2d[0.5](ones[50, 40, 2, 2])) == 0))",
        0.5,
        0.04,
    );
}
