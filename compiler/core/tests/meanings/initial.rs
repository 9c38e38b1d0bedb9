//! **Inits.** Ranges and spreads, brackets, tensors as initial values, and inits of one's own.

use crate::support::{X, agree, check, good, initial, refused};
use dlm_core::graph::eval::Tensor;

/// The first values of `p: f32[64, 4, 8]` with that init.
#[track_caller]
fn first(init: &str) -> Tensor {
    let text = format!(
        "block Case(x: f32[2, 3]) {{ param p: f32[64, 4, 8] = {init}\n return x * sum(p) }}"
    );
    initial(&good(&text, &[X], true).init, 3.0)["p"].clone()
}

fn mean_and_deviation(data: &[f64]) -> (f64, f64) {
    let mean = data.iter().sum::<f64>() / data.len() as f64;
    let square = data.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, (square / data.len() as f64).sqrt())
}

/// Uniform between -bound and bound: nothing beyond, and spread as such values are.
#[track_caller]
fn uniform(init: &str, bound: f64) {
    let data = first(init).data;
    let largest = data
        .iter()
        .fold(0.0_f64, |largest, value| largest.max(value.abs()));
    assert!(
        largest <= bound && largest > 0.98 * bound,
        "{init}: {largest}, not {bound}"
    );
    let (mean, deviation) = mean_and_deviation(&data);
    let wanted = bound / 3.0_f64.sqrt();
    assert!(
        mean.abs() < 0.06 * bound && (deviation / wanted - 1.0).abs() < 0.05,
        "{init}: {mean}, {deviation}"
    );
}

/// Normal of that deviation.
#[track_caller]
fn normal(init: &str, wanted: f64) {
    let data = first(init).data;
    let (mean, deviation) = mean_and_deviation(&data);
    assert!(
        mean.abs() < 0.1 * wanted && (deviation / wanted - 1.0).abs() < 0.06,
        "{init}: {mean}, {deviation}"
    );
    let beyond = data
        .iter()
        .filter(|value| value.abs() > 2.0 * wanted)
        .count() as f64;
    assert!(
        (0.02..0.08).contains(&(beyond / data.len() as f64)),
        "{init}: {beyond} beyond two deviations"
    );
}

/// "`fan_in` is the product of all dimensions but the first." Of `f32[64, 4, 8]` it is 32, and `fan_out` 64 * 8.
#[test]
fn fan_in_is_the_product_of_all_dimensions_but_the_first() {
    uniform("fan_in_uniform", 1.0 / 32.0_f64.sqrt());
    uniform("lecun_uniform", (3.0 / 32.0_f64).sqrt());
    normal("lecun_normal", (1.0 / 32.0_f64).sqrt());
    uniform("xavier_uniform", (6.0 / (32.0 + 512.0_f64)).sqrt());
    normal("xavier_normal", (2.0 / (32.0 + 512.0_f64)).sqrt());
    normal("normal[0.02]", 0.02);
    uniform("uniform[0.3]", 0.3);
    agree("constant", &first("constant[0.5]").data, &[0.5; 64 * 32]);
}

/// "`kaiming_*` have gain sqrt 2."
#[test]
fn kaiming_inits_have_gain_sqrt_2() {
    uniform("kaiming_uniform", 2.0_f64.sqrt() * (3.0 / 32.0_f64).sqrt());
    normal("kaiming_normal", 2.0_f64.sqrt() / 32.0_f64.sqrt());
}

/// `trunc_normal` has nothing beyond two deviations, `orthogonal` has rows or columns at right angles.
#[test]
fn cut_and_orthogonal_inits_are_what_their_names_say() {
    let data = first("trunc_normal[0.5]").data;
    assert!(data.iter().all(|value| value.abs() <= 1.0));
    assert!(data.iter().any(|value| value.abs() > 0.8));
    let w = first("orthogonal").data;
    for a in 0..32 {
        for b in 0..=a {
            let product: f64 = (0..64).map(|row| w[row * 32 + a] * w[row * 32 + b]).sum();
            let wanted = f64::from(u8::from(a == b));
            assert!(
                (product - wanted).abs() < 1e-4,
                "columns {a} and {b}: {product}"
            );
        }
    }
}

/// "`Linear` and convolutions default to `fan_in_uniform`, U(-1/sqrt(fan_in), 1/sqrt(fan_in)); a rank-1 parameter gives
/// it: `fan_in_uniform[n]`."
#[test]
fn linear_and_convolutions_begin_as_pytorchs_do() {
    let text = "block Case(x: f32[2, 3]) {
      let fc = Linear[200]
      let conv = Conv1d[100, 3]
      return sum(fc(x)) + sum(conv(unsqueeze[1](x)))
    }";
    let values = initial(&good(text, &[X], true).init, 0.0);
    for name in ["fc.weight", "fc.bias", "conv.weight", "conv.bias"] {
        let bound = 1.0 / 3.0_f64.sqrt();
        let data = &values[name].data;
        let largest = data
            .iter()
            .fold(0.0_f64, |largest, value| largest.max(value.abs()));
        assert!(
            largest <= bound && largest > 0.95 * bound,
            "{name}: {largest}"
        );
    }
}

/// "`zeros`, `ones`, `full`, `arange`, `rand`, `randn` with brackets make tensors (`zeros[]` a scalar)."
#[test]
fn with_brackets_they_make_tensors() {
    check("fn case() { return zeros[2] }", &[], &[0.0, 0.0]);
    check("fn case() { return ones[2, 2] }", &[], &[1.0; 4]);
    check("fn case() { return full[2.5, 2] }", &[], &[2.5, 2.5]);
    check("fn case() { return arange[3] }", &[], &[0.0, 1.0, 2.0]);
    check("fn case() { return zeros[] + 4 }", &[], &[4.0]);
    for random in ["rand[5]", "randn[5]"] {
        assert_eq!(
            crate::support::shape(&format!("fn case() {{ return {random} }}"), &[]),
            [5]
        );
    }
}

/// "`zeros`, `ones` without are inits, other inits never make tensors."
#[test]
fn without_brackets_they_are_inits_and_other_inits_never_make_tensors() {
    agree("zeros", &first("zeros").data, &[0.0; 2048]);
    agree("ones", &first("ones").data, &[1.0; 2048]);
    for init in [
        "normal[0.1]",
        "constant[2]",
        "uniform[1]",
        "fan_in_uniform",
        "zeros",
    ] {
        refused(
            &format!("fn case(x: f32[2, 3]) {{ return x + {init} }}"),
            &[X],
            &["case.dlm:1:", "init"],
        );
    }
}

/// "After `param … =` any constant tensor expression may stand."
#[test]
fn any_constant_tensor_expression_may_begin_a_parameter() {
    let text = "block Case(x: f32[2, 3]) { param p: f32[3] = 2 * f32(arange[3]) - ones[3]\n return x[0] * p }";
    check(text, &[X], &[-1.0, -2.0, 9.0]);
    let text = "block Case(x: f32[2, 3]) { param p: f32[3] = [5, 6, 7]\n return p }";
    check(text, &[X], &[5.0, 6.0, 7.0]);
    let text = "block Case(x: f32[2, 3]) { param p: f32[2] = 1.5\n return p }";
    check(text, &[X], &[1.5, 1.5]);
    refused(
        "block Case(x: f32[2, 3]) {\n param p: f32[3] = x[0]\n return p\n}",
        &[X],
        &["case.dlm:2:"],
    );
    refused(
        "block Case(x: f32[2, 3]) {\n param p: f32[3] = ones[4]\n return p\n}",
        &[X],
        &["case.dlm:2:", "3", "4"],
    );
}

/// "An init … is a `fn` that returns one"; "`-> init` sees `shape`, `fan_in`, `fan_out`."
#[test]
fn an_init_is_a_function_that_sees_shape_and_fans() {
    let text = "fn sizes[a: float] -> init { return a * fan_in + 0.001 * fan_out + zeros[shape] }
    block Case(x: f32[2, 3]) { param p: f32[2, 3, 5] = sizes[10]\n return p[0, 0] }";
    check(text, &[X], &[150.01; 5]);
    let text = "fn ends -> init { return full[shape[0] + shape[1], shape] }
    block Case(x: f32[2, 3]) { let f = Linear[2, bias=false, init=ends]\n return f(ones[1, 3]) }";
    check(text, &[X], &[15.0, 15.0]);
}
