//! Whole runs: against PyTorch's losses and weights, and against themselves at other numbers of threads.

mod common;

use common::{Place, shared, workspace};
use safetensors::SafeTensors;

/// The reference runs, one for each way to update.
const RUNS: [&str; 7] = [
    "sgd",
    "adam",
    "adamw",
    "adagrad",
    "rmsprop",
    "staircase",
    "clipped",
];

#[test]
fn runs_agree_with_the_reference() {
    compare_runs(&RUNS, &[]);
}

/// Sums go in another order there, and each order has its own near ties.
#[test]
fn runs_with_narrow_vectors_agree_with_the_reference() {
    compare_runs(&RUNS, &["--target-features", "vector128"]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn runs_with_avx2_agree_with_the_reference() {
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        compare_runs(&RUNS, &["--target-features", "avx2"]);
    } else {
        eprintln!("skipped: this machine has no AVX2");
    }
}

/// One run, as each step takes about a hundred times as long there: the one whose update computes most.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_run_with_avx512_in_software_agrees_with_the_reference() {
    compare_runs(&["adam"], &["--target-features", "avx512-interpreted"]);
}

fn compare_runs(runs: &[&str], options: &[&str]) {
    let Some(folder) = shared("reference/training") else {
        return;
    };
    if shared("data/mnist").is_none() {
        return;
    }
    for name in runs {
        let place = Place::new();
        let program = folder.join(format!("{name}.dlm")).display().to_string();
        let init = folder.join("init.safetensors").display().to_string();
        let mut arguments = vec!["run", &program, "--init", &init, "--out", "out", "--quiet"];
        arguments.extend(options);
        place.dlmc(&arguments).good();
        let want = std::fs::read(folder.join(format!("{name}.safetensors"))).expect("it is there");
        let want = SafeTensors::deserialize(&want).expect("a safetensors file");
        compare_losses(name, &place, &want);
        compare_weights(name, &place, &want);
    }
}

fn compare_losses(name: &str, place: &Place, want: &SafeTensors<'_>) {
    let rows = std::fs::read_to_string(place.path("out/metrics.csv")).expect("it was written");
    let loss = |row: &str| {
        let cells: Vec<&str> = row.split(',').collect();
        (cells[2] == "train" && cells[3] == "loss")
            .then(|| cells[4].parse::<f32>().expect("a number"))
    };
    let got: Vec<f32> = rows.lines().skip(1).filter_map(loss).collect();
    let want = floats(want, "loss");
    assert_eq!(got.len(), want.len(), "{name}");
    for (step, (got, want)) in got.iter().zip(&want).enumerate() {
        let error = (got - want).abs() / want.abs();
        assert!(error <= 1e-3, "{name}, step {step}: loss {got}, not {want}");
    }
}

fn compare_weights(name: &str, place: &Place, want: &SafeTensors<'_>) {
    let got = std::fs::read(place.path("out/model.safetensors")).expect("it was written");
    let got = SafeTensors::deserialize(&got).expect("a safetensors file");
    let mut compared = 0;
    for key in want
        .names()
        .into_iter()
        .filter_map(|key| key.strip_prefix("final."))
    {
        let (got, want) = (floats(&got, key), floats(want, &format!("final.{key}")));
        assert_eq!(got.len(), want.len(), "{name}: {key}");
        for (index, (got, want)) in got.iter().zip(&want).enumerate() {
            assert!(
                (got - want).abs() <= 2e-3,
                "{name}: {key}[{index}] is {got}, not {want}"
            );
        }
        compared += 1;
    }
    assert_eq!(compared, 10, "{name}: every layer's weight and bias");
}

fn floats(file: &SafeTensors<'_>, key: &str) -> Vec<f32> {
    let tensor = file.tensor(key).unwrap_or_else(|_| panic!("no `{key}`"));
    let words = tensor.data().chunks_exact(4);
    words
        .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four")))
        .collect()
}

#[test]
fn results_do_not_depend_on_threads() {
    let program = workspace().join("models/lenet.dlm").display().to_string();
    let mut models = Vec::new();
    for threads in ["1", "2", "3", "4", "7"] {
        let place = Place::new();
        let steps = "lenet.steps=100";
        let arguments = [
            "run",
            &program,
            "--set",
            steps,
            "--out",
            "out",
            "--quiet",
            "--threads",
            threads,
        ];
        place.dlmc(&arguments).good();
        models.push((
            threads,
            std::fs::read(place.path("out/model.safetensors")).expect("it was written"),
        ));
    }
    let first = &models[0].1;
    assert!(first.len() > 100_000, "the model has its parameters");
    for (threads, model) in &models {
        assert!(model == first, "another model at {threads} threads");
    }
}
