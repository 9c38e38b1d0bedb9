//! Whole plans: machine code on the worker team against the plan's slow evaluator, bit for bit.

mod running;

use dlm_core::plan::{Order, Plan, parse_plan};
use dlm_jit::{LinkError, Options, link};
use dlm_runtime::program::Executable;
use running::{by_evaluator, by_team};

/// Every kind of group, layout, space and scalar.
const SMALL: &str = include_str!("../../core/src/plan/interpret/small.plan");

fn parsed(text: &str) -> Plan {
    parse_plan(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn one_two_and_three_workers_give_the_evaluators_bits() {
    let plan = parsed(SMALL);
    let batches = [20, 9, 1, 16];
    let expected = by_evaluator(&plan, &batches, Order::Forward);
    assert_eq!(expected.len(), 5 * batches.len());
    let relu = &expected[2];
    assert!(relu.0 == "relu" && relu.1.len() == 80);
    assert!(relu.1.iter().any(|&bits| f32::from_bits(bits) > 0.1));
    assert_eq!(by_evaluator(&plan, &batches, Order::Backward), expected);
    for workers in 1..=3 {
        assert_eq!(
            by_team(&plan, &batches, workers, &Options::default()),
            expected,
            "{workers} workers"
        );
    }
}

#[test]
fn plans_of_one_run_share_code() {
    let plan = parsed(SMALL);
    let programs = link(&[&plan, &plan], &Options::default()).expect("links");
    let entries = |program: &Executable| {
        program
            .kernels
            .iter()
            .map(|kernel| kernel.1 as usize)
            .collect::<Vec<_>>()
    };
    assert_eq!(entries(&programs[0]), entries(&programs[1]));
}

#[test]
fn what_cannot_be_linked_is_told() {
    let error = |text: &str| match link(&[&parsed(text)], &Options::default()) {
        Err(error) => error,
        Ok(_) => panic!("links"),
    };
    let faulty = error(&SMALL.replace("zero m5", "zero m7"));
    assert!(
        matches!(&faulty, LinkError::Plan { plan, .. } if plan == "small.step"),
        "{faulty}"
    );
    let shape = error(&SMALL.replace(
        "gradient\": f32[4] plain in arena at 704, 16",
        "gradient\": f32[B-16] plain in arena at 704, 16",
    ));
    assert!(
        matches!(&shape, LinkError::Shape { name, .. } if name == "gradient"),
        "{shape}"
    );
}
