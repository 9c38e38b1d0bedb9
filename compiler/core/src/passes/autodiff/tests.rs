//! Derivatives of every operation, to second order, against finite differences; and what the rewritten graph says.

use super::case::{Case, NOWHERE};
use super::examples::{EXAMPLES, NETS};
use super::scan_examples::SCANS;
use crate::graph::ops::{BINARY, KINDS, UNARY};
use crate::graph::{BinaryOp, DType, Dim, UnaryOp};
use std::collections::BTreeSet;

/// How many random graphs for each example.
const SEEDS: u32 = 12;

#[test]
fn derivatives_of_every_kind() {
    for (what, build) in EXAMPLES.iter().chain(NETS).chain(SCANS) {
        for seed in 0..SEEDS {
            let mut case = Case::new(seed);
            let y = build(&mut case);
            case.check(y, what);
        }
    }
}

#[test]
fn derivatives_of_unary_functions() {
    for row in UNARY.iter().filter(|row| row.op != UnaryOp::Not) {
        for seed in 0..4 {
            let mut case = Case::new(seed);
            let positive = matches!(row.op, UnaryOp::Log | UnaryOp::Sqrt | UnaryOp::Rsqrt);
            let shape = [Dim::BATCH, case.extent().into()];
            let x = case.float(&shape, if positive { 0.3 } else { -2.0 }, 2.0);
            let y = case.graph.unary(row.op, x, NOWHERE).unwrap();
            case.check(y, row.name);
        }
    }
}

#[test]
fn derivatives_of_binary_functions() {
    for row in &BINARY {
        if matches!(row.op, BinaryOp::And | BinaryOp::Or) {
            continue;
        }
        for seed in 0..4 {
            let mut case = Case::new(seed);
            let positive = matches!(row.op, BinaryOp::Div | BinaryOp::Pow | BinaryOp::Rem);
            let low = if positive { 0.4 } else { -2.0 };
            let (rows, columns) = (Dim::BATCH, Dim::from(case.extent()));
            let a = case.float(&[rows, columns], low, 2.0);
            let b = case.float(&[columns], low, 2.0);
            let y = case.graph.binary(row.op, a, b, NOWHERE).unwrap();
            case.check(y, row.name);
        }
    }
}

#[test]
fn powers_with_constant_exponents() {
    for exponent in [-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 2.5] {
        let mut case = Case::new(3);
        let whole = f64::fract(exponent) == 0.0;
        let x = case.float(&[Dim::BATCH, 5.into()], if whole { -2.0 } else { 0.4 }, 2.0);
        let exponent_node = case.graph.number(exponent, DType::F32, NOWHERE).unwrap();
        let y = case
            .graph
            .binary(BinaryOp::Pow, x, exponent_node, NOWHERE)
            .unwrap();
        case.check(y, &format!("x ^ {exponent}"));
    }
}

/// A new operation without an example fails here.
#[test]
fn no_operation_is_without_a_property() {
    let tested: BTreeSet<&str> = EXAMPLES
        .iter()
        .chain(SCANS)
        .map(|(what, _)| what.split(':').next().unwrap_or(what))
        .collect();
    let elementwise = UNARY
        .iter()
        .map(|row| row.name)
        .chain(BINARY.iter().map(|row| row.name));
    // Without operands or derivatives, expanded by the pass under test, or a part of scans.
    let exempt = ["input", "constant", "gradient", "argument"];
    let known: BTreeSet<&str> = tested
        .into_iter()
        .chain(elementwise)
        .chain(exempt)
        .collect();
    let missing: Vec<&str> = KINDS
        .iter()
        .flat_map(|kind| kind.names)
        .copied()
        .filter(|name| !known.contains(name))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

/// What the pass makes of a body, without the algebra that follows.
fn differentiated(body: &str) -> String {
    let before = crate::graph::text::parse(&format!("graph g {{\n{body}\n}}\n")).unwrap();
    let after = crate::passes::run_named(&before, &["autodiff", "dead-code"]).unwrap();
    format!("{before}---\n{after}")
}

#[test]
fn a_layer() {
    insta::assert_snapshot!(differentiated(
        r#"  %0 = input : f32[B, 4] {kind=data, name="x"}
  %1 = input : f32[3, 4] {kind=parameter, name="w"}
  %2 = contract %0, %1 : f32[B, 3] {index=["v0, v2", "v1, v2"], reduced=[4]}
  %3 = tanh %2 : f32[B, 3]
  %4 = reduce_sum %3 : f32 {axes=[0, 1]}
  %5 = gradient %4, %0 : f32[B, 4]
  %6 = gradient %4, %1 : f32[3, 4]
  output result "x" = %5
  output result "w" = %6"#
    ));
}

#[test]
fn a_strided_convolution() {
    insta::assert_snapshot!(differentiated(
        r#"  %0 = input : f32[B, 3, 9, 9] {kind=data, name="x"}
  %1 = input : f32[8, 3, 3, 3] {kind=parameter, name="w"}
  %2 = contract %0, %1 : f32[B, 8, 5, 5] {index=["v0, v4, 2*v2+v5-1, 2*v3+v6-1", "v1, v4, v5, v6"], reduced=[3, 3, 3]}
  %3 = reduce_sum %2 : f32 {axes=[0, 1, 2, 3]}
  %4 = gradient %3, %0 : f32[B, 3, 9, 9]
  %5 = gradient %3, %1 : f32[8, 3, 3, 3]
  output result "x" = %4
  output result "w" = %5"#
    ));
}

#[test]
fn tiles_are_undone_by_a_permutation() {
    insta::assert_snapshot!(differentiated(
        r#"  %0 = input : f32[B, 7] {kind=data, name="x"}
  %1 = view %0 : f32[B, 3, 2] {fill=-inf, index="v0, 2*v1+v2"}
  %2 = reduce_max %1 : f32[B, 3] {axes=[2]}
  %3 = reduce_sum %2 : f32 {axes=[0, 1]}
  %4 = gradient %3, %0 : f32[B, 7]
  output result "x" = %4"#
    ));
}

#[test]
fn a_loss_that_does_not_depend_gives_zeros() {
    insta::assert_snapshot!(differentiated(
        r#"  %0 = input : f32[B] {kind=data, name="x"}
  %1 = stop_gradient %0 : f32[B]
  %2 = reduce_sum %1 : f32 {axes=[0]}
  %3 = gradient %2, %0 : f32[B]
  output result "x" = %3"#
    ));
}

#[test]
fn ties_go_to_the_first_maximum_and_relu_is_flat_at_zero() {
    let text = r#"graph g {
  %0 = input : f32[4] {kind=data, name="x"}
  %1 = reduce_max %0 : f32 {axes=[0]}
  %2 = gradient %1, %0 : f32[4]
  %3 = constant : f32 {value=0.0}
  %4 = view %3 : f32[4] {fill=0.0, index=""}
  %5 = max %0, %4 : f32[4]
  %6 = abs %0 : f32[4]
  %7 = add %5, %6 : f32[4]
  %8 = reduce_sum %7 : f32 {axes=[0]}
  %9 = gradient %8, %0 : f32[4]
  output result "first" = %2
  output result "flat" = %9
}
"#;
    let graph = crate::graph::text::parse(text).unwrap();
    let graph = crate::passes::run_named(&graph, &["simplify", "autodiff"]).unwrap();
    let x = crate::graph::eval::Tensor::new(&[4], vec![-1.0, 2.0, 2.0, 0.0]);
    let outputs = crate::graph::eval::evaluate(&graph, 1, &[("x".to_string(), x)].into()).unwrap();
    assert_eq!(outputs[0].1.data, vec![0.0, 1.0, 0.0, 0.0]);
    assert_eq!(outputs[1].1.data, vec![-1.0, 2.0, 2.0, 0.0]);
}
