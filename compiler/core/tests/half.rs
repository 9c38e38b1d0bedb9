//! The library on bf16: each row of the table of programs, given bf16 and given f32 of the same values.

mod programs;

use std::collections::BTreeMap;

use dlm_core::elaborate::Callable;
use dlm_core::graph::DType;
use dlm_core::graph::eval::{self, Tensor};
use dlm_core::passes;

use programs::library;

/// A row that jumps where its operand, which is rounded, is a little less: it has no tolerance.
const JUMPS: &str = "(x + 2.5) % p";

/// Values that bf16 has, and the outputs for them.
fn outputs(callable: &Callable) -> Result<BTreeMap<String, Tensor>, String> {
    let inputs = library::rounded(library::inputs(callable, 2, 1));
    let graph = passes::run_passes(&callable.graph, passes::PASSES, |_, _| {});
    let graph = graph.map_err(|error| error.to_string())?;
    let found = eval::evaluate_single(&graph, 2, &inputs).map_err(|error| error.to_string())?;
    Ok(found.into_iter().collect())
}

/// The largest distance, as a part of the largest element.
fn distance(got: &Tensor, want: &Tensor) -> f64 {
    let largest = want.data.iter().fold(1e-2, |a: f64, x| a.max(x.abs()));
    let far = got.data.iter().zip(&want.data).map(|(a, b)| {
        let same = a == b || (a.is_nan() && b.is_nan());
        if same { 0.0 } else { (a - b).abs() / largest }
    });
    far.fold(0.0, f64::max)
}

/// What is wrong with a row's values in bf16.
fn compare(text: &str, entry: &str) -> Result<(), String> {
    let half = outputs(&library::elaborated(
        &library::halved(text),
        entry,
        2,
        DType::Bf16,
    )?)?;
    let single = outputs(&library::elaborated(text, entry, 2, DType::F32)?)?;
    for (name, want) in &single {
        let got = half.get(name).ok_or(format!("no {name}"))?;
        let distance = distance(got, want);
        if distance.is_nan() || distance > 0.04 {
            return Err(format!(
                "{name} is off by {distance}\n{:?}\n{:?}",
                got.data, want.data
            ));
        }
    }
    Ok(())
}

#[test]
fn every_row_of_the_library_takes_bf16() {
    let mut failures = Vec::new();
    let rows = library::cases(2).into_iter();
    for (text, entry) in rows.filter(|(text, _)| !text.contains(JUMPS)) {
        let mixed = library::MIXED.iter().any(|row| text.contains(row));
        match (compare(&text, entry), mixed) {
            (Ok(()), false) => {}
            (Err(reason), true) if reason.contains("do not mix") => {}
            (outcome, _) => failures.push(format!("{text}\n{outcome:?}")),
        }
    }
    assert!(
        failures.is_empty(),
        "{} rows\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// What a program is told that mixes bf16 and f32.
#[test]
fn bf16_and_f32_do_not_mix_without_a_cast() {
    let mut told = String::new();
    for expr in [
        "x + rand[2, 4, 6]",
        "mse(x, rand[2, 4, 6])",
        "concat(x, rand[2, 4, 6])",
        "einsum[\"a b c, d b c -> a d\"](x, rand[2, 4, 6])",
        "own(x)",
    ] {
        let text = format!(
            "fn own(x: f32[..]) {{ return x }}\nfn case(x: bf16[2, 4, 6]) {{ return {expr} }}"
        );
        told += &library::elaborated(&text, "case", 2, DType::Bf16).expect_err("it is refused");
        told += "\n";
    }
    insta::assert_snapshot!(told);
}
