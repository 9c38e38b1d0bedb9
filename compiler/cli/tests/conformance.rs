//! Every operation, layer and loss of the shared reference cases against PyTorch's values.
//!
//! Cases whose operations are not there yet are listed by name and do not fail the test; a case that runs must agree.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{Place, shared};
use safetensors::{Dtype, SafeTensors};

/// Cases that must pass, so that what once worked cannot silently become unsupported.
const MUST_PASS: &[&str] = &[];

/// What a case came to.
enum Verdict {
    Pass,
    Unsupported(String),
    Wrong(String),
}

#[test]
fn cases_agree_with_the_reference() {
    check_cases(&[]);
}

#[test]
fn cases_agree_with_128_bit_vectors() {
    check_cases(&["--target-features", "vector128"]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn cases_agree_with_avx2() {
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        check_cases(&["--target-features", "avx2"]);
    } else {
        eprintln!("skipped: this machine has no AVX2");
    }
}

/// The code for AVX-512 by a processor in software, so that it is held to the reference on every machine.
#[test]
#[cfg(target_arch = "x86_64")]
fn cases_agree_with_avx512_in_software() {
    check_cases(&["--target-features", "avx512-interpreted"]);
}

fn check_cases(options: &[&str]) {
    let Some(folder) = shared("reference/cases") else {
        return;
    };
    let mut passed = Vec::new();
    let (mut unsupported, mut wrong) = (Vec::new(), Vec::new());
    for name in case_names(&folder) {
        match check_case(&folder, &name, options) {
            Verdict::Pass => passed.push(name),
            Verdict::Unsupported(reason) => unsupported.push(format!("{name}: {reason}")),
            Verdict::Wrong(reason) => wrong.push(format!("{name}: {reason}")),
        }
    }
    println!("{} cases agree: {}", passed.len(), passed.join(" "));
    println!(
        "{} are not supported yet:\n  {}",
        unsupported.len(),
        unsupported.join("\n  ")
    );
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n  {}",
        wrong.len(),
        wrong.join("\n  ")
    );
    let lost: Vec<_> = MUST_PASS
        .iter()
        .filter(|name| !passed.iter().any(|p| p == *name))
        .collect();
    assert!(lost.is_empty(), "these no longer pass: {lost:?}");
    assert!(!passed.is_empty(), "no case was compared at all");
}

fn case_names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let names = entries.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        name.strip_suffix(".dlm").map(str::to_string)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn check_case(folder: &Path, name: &str, options: &[&str]) -> Verdict {
    let program = folder.join(format!("{name}.dlm"));
    let given = folder.join(format!("{name}.safetensors"));
    let text = std::fs::read_to_string(&program).expect("the case can be read");
    let entry = if text.contains("block Case") {
        "Case"
    } else {
        "case"
    };
    let bytes = std::fs::read(&given).expect("the case can be read");
    let metadata = metadata(&bytes);
    let place = Place::new();
    let (program, given) = (program.display().to_string(), given.display().to_string());
    let mut arguments = vec![
        "call",
        &program,
        entry,
        "--in",
        &given,
        "--out",
        "r.safetensors",
    ];
    arguments.push("--grad");
    arguments.extend(options);
    if metadata.get("mode").map(String::as_str) == Some("eval") {
        arguments.push("--eval");
    }
    let outcome = place.dlmc(&arguments);
    match outcome.code {
        Some(0) => compare(&bytes, &place, &metadata),
        Some(1) => Verdict::Unsupported(first_error(&outcome.stderr)),
        code => Verdict::Wrong(format!(
            "exit code {code:?}: {}",
            first_error(&outcome.stderr)
        )),
    }
}

fn first_error(text: &str) -> String {
    let line = text.lines().find(|line| line.contains("error"));
    line.or(text.lines().next())
        .unwrap_or("no message")
        .to_string()
}

fn metadata(bytes: &[u8]) -> BTreeMap<String, String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).expect("a safetensors file");
    metadata
        .metadata()
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect()
}

fn compare(want: &[u8], place: &Place, metadata: &BTreeMap<String, String>) -> Verdict {
    let got = std::fs::read(place.path("r.safetensors")).expect("the results were written");
    let want = SafeTensors::deserialize(want).expect("a safetensors file");
    let got = SafeTensors::deserialize(&got).expect("a safetensors file");
    let tolerance = |key: &str| -> f64 { metadata[key].parse().expect("a number") };
    let (relative, absolute) = (tolerance("rtol"), tolerance("atol"));
    let mut compared = 0;
    for (key, expected) in want.tensors() {
        if !["out", "state_out", "grad"].contains(&key.split('.').next().unwrap_or("")) {
            continue;
        }
        let Ok(found) = got.tensor(&key) else {
            return Verdict::Wrong(format!("no `{key}` in the results"));
        };
        if found.shape() != expected.shape() {
            return Verdict::Wrong(format!(
                "`{key}` is {:?}, not {:?}",
                found.shape(),
                expected.shape()
            ));
        }
        let (found, expected) = (numbers(&found), numbers(&expected));
        if expected.iter().all(|value| *value == 0.0) && found.iter().all(|value| *value == 0.0) {
            // A gradient may be zero everywhere; what shows nothing does not count as a comparison.
            continue;
        }
        if let Some(reason) = difference(&found, &expected, relative, absolute) {
            return Verdict::Wrong(format!("`{key}`{reason}"));
        }
        compared += 1;
    }
    match compared {
        0 => Verdict::Wrong("nothing but zeros was compared".into()),
        _ => Verdict::Pass,
    }
}

/// The worst element that is not within tolerance. NaN is never within it; infinities must be equal.
fn difference(found: &[f64], expected: &[f64], relative: f64, absolute: f64) -> Option<String> {
    let mut worst: Option<(f64, String)> = None;
    for (index, (got, want)) in found.iter().zip(expected).enumerate() {
        let excess = match got == want {
            true => 0.0,
            false => (got - want).abs() / (absolute + relative * want.abs()),
        };
        let is_worse = worst.as_ref().is_none_or(|(known, _)| excess > *known);
        if excess.is_nan() || (excess > 1.0 && is_worse) {
            worst = Some((excess, format!("[{index}] is {got}, not {want}")));
        }
    }
    worst.map(|(_, text)| text)
}

fn numbers(tensor: &safetensors::tensor::TensorView<'_>) -> Vec<f64> {
    let data = tensor.data();
    let words = |size: usize| data.chunks_exact(size);
    match tensor.dtype() {
        Dtype::F32 => words(4)
            .map(|b| f64::from(f32::from_le_bytes(b.try_into().expect("four"))))
            .collect(),
        Dtype::F64 => words(8)
            .map(|b| f64::from_le_bytes(b.try_into().expect("eight")))
            .collect(),
        Dtype::I32 => words(4)
            .map(|b| f64::from(i32::from_le_bytes(b.try_into().expect("four"))))
            .collect(),
        Dtype::I64 => words(8)
            .map(|b| i64::from_le_bytes(b.try_into().expect("eight")) as f64)
            .collect(),
        Dtype::U8 | Dtype::BOOL => data.iter().map(|byte| f64::from(*byte)).collect(),
        other => panic!("no case has {other:?}"),
    }
}

#[test]
fn the_comparison_refuses_what_proves_nothing() {
    assert!(difference(&[f64::NAN], &[f64::NAN], 1.0, 1.0).is_some());
    assert!(difference(&[f64::NAN], &[1.0], 1.0, 1.0).is_some());
    assert!(difference(&[1.0], &[f64::NAN], 1.0, 1.0).is_some());
    assert!(difference(&[f64::INFINITY], &[f64::NEG_INFINITY], 1.0, 1.0).is_some());
    assert!(difference(&[f64::INFINITY], &[f64::INFINITY], 0.0, 0.0).is_none());
    assert!(difference(&[1.0, 2.0], &[1.0, 2.1], 1e-3, 1e-3).is_some());
    assert!(difference(&[1.0, 2.0], &[1.0, 2.001], 1e-3, 1e-3).is_none());
}
