//! Values that can be checked by hand.

use super::*;
use crate::graph::text::parse;

/// The only output of a graph of one data input `x`.
fn value(body: &str, batch: i64, x: Tensor) -> Tensor {
    let graph = parse(&format!("graph g {{\n{body}\n}}\n")).unwrap();
    evaluate_single(&graph, batch, &[("x".to_string(), x)].into())
        .unwrap()
        .remove(0)
        .1
}

fn check(body: &str, batch: i64, x: (&[i64], &[f64]), result: (&[i64], &[f64])) {
    let got = value(body, batch, Tensor::new(x.0, x.1.to_vec()));
    let same = got
        .data
        .iter()
        .zip(result.1)
        .all(|(a, b)| a == b || a.is_nan() && b.is_nan());
    let whole = got.shape == result.0 && got.data.len() == result.1.len();
    assert!(same && whole, "{body}\ngave {got:?}, wanted {result:?}");
}

/// An elementwise function on a vector.
fn function(name: &str, x: &[f64], result: &[f64]) {
    let n = x.len() as i64;
    let body = format!(
        "%0 = input : f32[{n}] {{kind=data, name=\"x\"}}\n%1 = {name} %0 : f32[{n}]\noutput result \"y\" = %1"
    );
    check(&body, 1, (&[n], x), (&[n], result));
}

/// A function of two operands, of an element type.
fn pairs(name: &str, dtype: &str, result_type: &str, a: &[f64], b: &[f64], result: &[f64]) {
    let n = a.len() as i64;
    let body = format!(
        "%0 = input : {dtype}[2, {n}] {{kind=data, name=\"x\"}}\n%1 = view %0 : {dtype}[{n}] {{fill=0, index=\"0, v0\"}}\n\
         %2 = view %0 : {dtype}[{n}] {{fill=0, index=\"1, v0\"}}\n%3 = {name} %1, %2 : {result_type}[{n}]\noutput result \"y\" = %3"
    );
    check(&body, 1, (&[2, n], &[a, b].concat()), (&[n], result));
}

const NAN: f64 = f64::NAN;
const INFINITY: f64 = f64::INFINITY;

#[test]
fn rounding_and_signs() {
    function("round", &[0.5, 1.5, -0.5, -2.5], &[0.0, 2.0, 0.0, -2.0]);
    function("sign", &[-3.0, 0.0, 2.0, NAN], &[-1.0, 0.0, 1.0, NAN]);
    function("floor", &[-0.5, 1.9], &[-1.0, 1.0]);
    function("rsqrt", &[4.0, 0.0], &[0.5, INFINITY]);
    function("erf", &[0.0, 1.0], &[0.0, f64::from(0.842_700_8_f32)]);
}

#[test]
fn results_round_to_f32() {
    pairs(
        "add",
        "f32",
        "f32",
        &[16_777_216.0],
        &[1.0],
        &[16_777_216.0],
    );
    pairs(
        "div",
        "f32",
        "f32",
        &[1.0],
        &[3.0],
        &[f64::from(1.0_f32 / 3.0)],
    );
}

#[test]
fn remainders_are_pythons() {
    pairs(
        "rem",
        "f32",
        "f32",
        &[-1.0, 5.5, 1.0, -6.0],
        &[3.0, -2.0, 0.0, 3.0],
        &[2.0, -0.5, NAN, 0.0],
    );
    pairs(
        "rem",
        "i32",
        "i32",
        &[-1.0, 7.0, 1.0],
        &[3.0, -2.0, 0.0],
        &[2.0, -1.0, 0.0],
    );
}

#[test]
fn integers_wrap_and_divide_towards_zero() {
    let most = f64::from(i32::MAX);
    pairs("add", "i32", "i32", &[most], &[1.0], &[f64::from(i32::MIN)]);
    pairs("mul", "i32", "i32", &[most], &[most], &[1.0]);
    pairs(
        "div",
        "i32",
        "i32",
        &[-7.0, 7.0, f64::from(i32::MIN)],
        &[2.0, 0.0, -1.0],
        &[-3.0, 0.0, f64::from(i32::MIN)],
    );
}

#[test]
fn extrema_carry_nan_and_comparisons_deny_it() {
    pairs(
        "max",
        "f32",
        "f32",
        &[NAN, 1.0, 1.0],
        &[1.0, NAN, 2.0],
        &[NAN, NAN, 2.0],
    );
    pairs("eq", "f32", "bool", &[NAN, 1.0], &[NAN, 1.0], &[0.0, 1.0]);
    pairs("ne", "f32", "bool", &[NAN, 1.0], &[NAN, 1.0], &[1.0, 0.0]);
}

#[test]
fn casts_saturate() {
    let body = |to: &str| {
        format!(
            "%0 = input : f32[5] {{kind=data, name=\"x\"}}\n%1 = cast %0 : {to}[5]\noutput result \"y\" = %1"
        )
    };
    let x: (&[i64], &[f64]) = (&[5], &[-1.7, 300.9, NAN, 1e20, 0.0]);
    check(
        &body("i32"),
        1,
        x,
        (&[5], &[-1.0, 300.0, 0.0, f64::from(i32::MAX), 0.0]),
    );
    check(&body("u8"), 1, x, (&[5], &[0.0, 255.0, 0.0, 255.0, 0.0]));
    check(&body("bool"), 1, x, (&[5], &[1.0, 1.0, 1.0, 1.0, 0.0]));
    check(
        &body("bf16"),
        1,
        x,
        (
            &[5],
            &[
                -1.703_125,
                300.0,
                NAN,
                f64::from(f32::from_bits(0x60ad_0000)),
                0.0,
            ],
        ),
    );
}

#[test]
fn the_first_maximum_counts_row_by_row() {
    let body = "%0 = input : f32[B, 2, 3] {kind=data, name=\"x\"}\n%1 = argmax %0 : i32[B] {axes=[1, 2]}\noutput result \"y\" = %1";
    let x = [1.0, 5.0, 0.0, 5.0, 2.0, 5.0, 0.0, 0.0, 0.0, NAN, 9.0, NAN];
    check(body, 2, (&[2, 2, 3], &x), (&[2], &[1.0, 3.0]));
}

#[test]
fn a_view_fills_and_a_divisor_skips() {
    let body = "%0 = input : f32[3] {kind=data, name=\"x\"}\n%1 = view %0 : f32[8] {fill=9.0, index=\"(v0-1)/2\"}\noutput result \"y\" = %1";
    check(
        body,
        1,
        (&[3], &[1.0, 2.0, 3.0]),
        (&[8], &[9.0, 1.0, 9.0, 2.0, 9.0, 3.0, 9.0, 9.0]),
    );
}

#[test]
fn an_invalid_position_makes_a_term_zero() {
    let body = "%0 = input : f32[3] {kind=data, name=\"x\"}\n%1 = contract %0, %0 : f32[2] {index=[\"v0+v1\", \"v1\"], reduced=[3]}\noutput result \"y\" = %1";
    check(
        body,
        1,
        (&[3], &[1.0, 10.0, INFINITY]),
        (&[2], &[INFINITY, INFINITY]),
    );
    check(
        body,
        1,
        (&[3], &[1.0, 10.0, 100.0]),
        (&[2], &[10101.0, 1010.0]),
    );
}

#[test]
fn ids_out_of_range_are_clamped() {
    let body = "%0 = input : i32[4] {kind=data, name=\"x\"}\n%1 = iota : i32[2, 2] {axis=0}\n%2 = gather %1, %0 : i32[4, 2]\noutput result \"y\" = %2";
    check(
        body,
        1,
        (&[4], &[0.0, 1.0, 5.0, -3.0]),
        (&[4, 2], &[0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]),
    );
}

#[test]
fn uniform_values_are_of_their_interval_and_depend_on_every_key() {
    let draw = |place: u32, step: i32| {
        let body = format!(
            "%0 = input : i32 {{kind=data, name=\"x\"}}\n%1 = constant : i32 {{value={step}}}\n\
             %2 = random_uniform %0, %1 : f32[B, 100] {{place={place}}}\noutput result \"y\" = %2"
        );
        value(&body, 3, Tensor::scalar(5.0)).data
    };
    let first = draw(0, 0);
    assert!(first.iter().all(|value| (0.0..1.0).contains(value)));
    let mean = first.iter().sum::<f64>() / 300.0;
    assert!((mean - 0.5).abs() < 0.06, "{mean}");
    assert_ne!(first, draw(1, 0));
    assert_ne!(first, draw(0, 1));
    assert_eq!(first, draw(0, 0));
}

#[test]
fn missing_and_misshapen_inputs_are_errors() {
    let graph = parse(
        "graph g {\n%0 = input : f32[B] {kind=data, name=\"x\"}\noutput result \"y\" = %0\n}",
    )
    .unwrap();
    let error = evaluate(&graph, 2, &Inputs::new()).unwrap_err();
    assert_eq!(error.to_string(), "no value for input `x`");
    let inputs = [("x".to_string(), Tensor::new(&[3], vec![0.0; 3]))].into();
    let error = evaluate(&graph, 2, &inputs).unwrap_err();
    assert_eq!(error.to_string(), "input `x` has shape [3], wanted [2]");
}
