//! What a run leaves in its folder, and what can be done with it: resume, evaluate, predict, go on with a text.

mod common;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Outcome, Place};
use serde_json::Value;

const PROGRAM: &str = "\
data d = digits[]
block Net[k: int](x: f32[B, 1, h, w]) -> f32[B, k] { return x |> flatten |> dropout[0.1] |> Linear[k] }
train a[epochs=4, seed=3, keep=2, width: int = 10] {
  let net = Net[width]
  let opt = adam[lr=0.003, ema=0.9](net)
  step (x, y) in d.train |> random_crop[1] |> shuffle |> batch[64] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
  eval (x, y) in d.test |> batch[100] {
    let logits = net(x)
    report cross_entropy(logits, y), accuracy(logits, y), f1(logits, y), auc(logits[:, 0], i32(y == 0))
  }
}
";

/// The values of an evaluation by name.
fn evaluated(place: &Place, run: &str) -> Vec<(String, f64)> {
    let text = place.dlmc(&["eval", run]).good().stdout;
    let value = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        (words[1].to_string(), words[2].parse().expect("a number"))
    };
    text.lines().map(value).collect()
}

#[test]
fn an_interrupted_run_goes_on_to_the_bit() {
    let place = Place::new().with("a.dlm", PROGRAM);
    place
        .dlmc(&["run", "a.dlm", "--quiet", "--out", "whole"])
        .good();
    let mut child = Command::new(env!("CARGO_BIN_EXE_dlmc"))
        .args([
            "run",
            "a.dlm",
            "--quiet",
            "--out",
            "part",
            "--save-every",
            "1",
        ])
        .current_dir(place.path(""))
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary can be started");
    let begin = Instant::now();
    while !place.path("part/state.safetensors").exists()
        && begin.elapsed() < Duration::from_secs(60)
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("it can be ended");
    child.wait().expect("it ends");
    place
        .dlmc(&[
            "run",
            "a.dlm",
            "--quiet",
            "--out",
            "part",
            "--resume",
            "--threads",
            "3",
        ])
        .good();
    for file in ["metrics.csv", "model.safetensors", "state.safetensors"] {
        let read = |run: &str| std::fs::read(place.path(run).join(file)).expect("it was written");
        assert!(
            read("whole").len() > 100 && read("whole") == read("part"),
            "{file}"
        );
    }
    let kept: Vec<String> = place
        .files()
        .into_iter()
        .filter(|name| name.starts_with("whole/best/"))
        .collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    place
        .dlmc(&["run", "a.dlm", "--out", "none", "--resume"])
        .bad(2);
}

#[test]
fn a_saved_run_needs_no_source() {
    let place = Place::new().with("a.dlm", PROGRAM);
    place
        .dlmc(&[
            "run",
            "a.dlm",
            "--quiet",
            "--out",
            "run",
            "--set",
            "a.epochs=2",
        ])
        .good();
    std::fs::remove_file(place.path("a.dlm")).expect("it is there");
    let metrics = std::fs::read_to_string(place.path("run/metrics.csv")).expect("it was written");
    let last = |name: &str| {
        let row = metrics
            .lines()
            .rfind(|row| row.contains(&format!(",eval,{name},")));
        let value = row.and_then(|row| row.rsplit(',').next());
        value.expect("a row").parse::<f64>().expect("a number")
    };
    let values = evaluated(&place, "run");
    assert_eq!(values.len(), 4);
    for (name, value) in &values {
        assert!(
            (value - last(name)).abs() < 1e-6,
            "{name}: {value}, not {}",
            last(name)
        );
    }
    assert!(last("accuracy") > 0.4, "{}", last("accuracy"));
    place.dlmc(&["predict", "run", "none.png"]).bad(1);
    place.dlmc(&["predict", "run", "none.docx"]).bad(2);
    place
        .dlmc(&["predict", "run", "--generate", "3", "a"])
        .bad(1);
    place.dlmc(&["predict", "nowhere", "none.png"]).bad(2);
}

#[test]
fn partial_batches_count_exactly() {
    let place = Place::new().with("a.dlm", PROGRAM);
    let run = |batch: &str| {
        let program = PROGRAM.replace("batch[100]", &format!("batch[{batch}]"));
        std::fs::write(place.path("a.dlm"), program).expect("it can be written");
        place
            .dlmc(&[
                "run",
                "a.dlm",
                "--quiet",
                "--out",
                batch,
                "--set",
                "a.epochs=1",
            ])
            .good();
        evaluated(&place, batch)
    };
    let whole = run("360");
    for batch in ["1", "7", "64", "359"] {
        for ((name, value), (_, want)) in run(batch).iter().zip(&whole) {
            assert!(
                (value - want).abs() < 1e-6,
                "{name} in batches of {batch}: {value}, not {want}"
            );
        }
    }
}

#[test]
fn a_model_of_text_goes_on_with_a_prompt() {
    let text = "the quick brown fox jumps over the lazy dog. ".repeat(60);
    let program = "\
data t = text[\"t.txt\"] |> chars |> window[16]
block Model[v: int](ids: i32[B, T]) -> f32[B, T, v] {
  return ids |> Embedding[v, 16] |> Gru[32] |> Linear[v]
}
train a[steps=120] {
  let net = Model[t.train.vocab]
  let opt = adam[lr=0.02](net)
  step (x, y) in t.train |> shuffle |> batch[16] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
  }
  eval (x, y) in t.test |> batch[16] { report perplexity(net(x), y) }
}
";
    let place = Place::new().with("t.txt", &text).with("a.dlm", program);
    place
        .dlmc(&["run", "a.dlm", "--quiet", "--out", "run"])
        .good();
    for file in ["t.txt", "a.dlm"] {
        std::fs::remove_file(place.path(file)).expect("it is there");
    }
    let went_on = |seed: &str| {
        place
            .dlmc(&[
                "predict",
                "run",
                "--generate",
                "30",
                "--temperature",
                "0.1",
                "--top-k",
                "3",
                "--seed",
                seed,
                "the qu",
            ])
            .good()
            .stdout
    };
    assert_eq!(went_on("1"), went_on("1"));
    assert!(text.contains(went_on("1").trim_end()), "{}", went_on("1"));
    place
        .dlmc(&["predict", "run", "--generate", "3", "THE"])
        .bad(1);
}

#[test]
fn every_stage_trains() {
    const STAGES: &[&str] = &[
        "rotate[20]",
        "affine[10, 0.1, 0.1, 5]",
        "brightness[0.2]",
        "contrast[0.2]",
        "erase[0.3]",
        "noise[0.1]",
        "mixup[0.4]",
        "cutmix",
        "balance",
        "filter_class[1, 7]",
        "random_crop[2]",
        "flip_horizontal",
        "brightness[0.1] |> normalize[0.5, 0.5] |> random_crop[1]",
        "one_hot",
        "one_hot |> mixup",
        "take[70]",
        "standardize",
        "scale[2, 1]",
        "resize[8, 8]",
        "grayscale",
        "map[relu]",
        "map[spread] |> normalize[0.5, 0.5] |> random_crop[1]",
    ];
    let place = Place::new();
    for stage in STAGES {
        let program = format!(
            "data d = digits[]
fn spread(x: f32[..]) -> f32[..] {{ return 2 * x }}
train a[epochs=1] {{
  let net = Linear[10]
  let opt = adam[lr=0.01](net)
  step (x, y) in d.train |> {stage} |> shuffle |> batch[32] {{
    let loss = cross_entropy(net(flatten(x)), y)
    minimize loss with opt
    report loss
  }}
}}
"
        );
        std::fs::write(place.path("a.dlm"), program).expect("it can be written");
        let outcome = place.dlmc(&["run", "a.dlm", "--quiet", "--out", "run"]);
        assert_eq!(outcome.code, Some(0), "{stage}: {}", outcome.stderr);
    }
}

#[test]
fn an_index_out_of_range_ends_the_run_before_it_is_read() {
    let program = "\
data d = csv[\"a.csv\", label=1]
train a[epochs=1] {
  let net = Linear[3]
  let opt = sgd(net)
  step (x, y) in d.train |> batch[2] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
  }
}
";
    let place = Place::new()
        .with("a.dlm", program)
        .with("a.csv", "0.5,1\n0.1,2\n0.2,7\n");
    let outcome = place.dlmc(&["run", "a.dlm"]).bad(1);
    for part in ["a.dlm:6:", "class 7", "0..3", "1 sample"] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
}

/// A run whose ids are computed; `ids` is an expression of `x`, whose rows are 0.5, 2.5, 3.0 and 7.5.
fn computed_ids(ids: &str) -> Outcome {
    let program = format!(
        "\
data d = csv[\"a.csv\", label=1]
train a[epochs=1] {{
  let e = Embedding[4, 3]
  let opt = sgd(e)
  step (x, y) in d.train |> batch[3] {{
    let loss = cross_entropy(e({ids}), y)
    minimize loss with opt
  }}
  eval (x, y) in d.train |> batch[3] {{ report accuracy(e({ids}), y) }}
}}
"
    );
    let place = Place::new()
        .with("a.dlm", program)
        .with("a.csv", "0.5,1\n2.5,2\n3,0\n7.5,0\n");
    place.dlmc(&["run", "a.dlm", "--quiet"])
}

#[test]
fn a_computed_index_out_of_range_ends_the_run() {
    for (ids, value) in [("i32(x[:, 0])", "7"), ("i32(x[:, 0]) - 4", "-4")] {
        let outcome = computed_ids(ids).bad(1);
        let sample = if value == "7" { "iter 1" } else { "iter 0" };
        for part in [
            "a.dlm:6:",
            value,
            "sample 0 of the batch",
            sample,
            "takes 0..4",
        ] {
            assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
        }
    }
    assert_eq!(computed_ids("clamp[0, 3](i32(x[:, 0]))").code, Some(0));
    assert_eq!(computed_ids("i32(x[:, 0]) % 4").code, Some(0));
}

#[test]
fn columns_of_ids_have_ranges_of_their_own() {
    let program = "\
data d = csv[\"a.csv\", label=2]
train a[epochs=1] {
  let small = Embedding[2, 3]
  let large = Embedding[10, 3]
  let opt = sgd(small, large)
  step (x, y) in d.train |> batch[2] {
    let ids = i32(x)
    let loss = cross_entropy(small(ids[:, 0]) + large(ids[:, 1]), y)
    minimize loss with opt
  }
}
";
    let place = |rows: &str| Place::new().with("a.dlm", program).with("a.csv", rows);
    let good = place("0,9,1\n1,3,2\n1,0,0\n");
    assert_eq!(good.dlmc(&["run", "a.dlm", "--quiet"]).code, Some(0));
    let bad = place("0,9,1\n9,3,2\n1,0,0\n");
    let outcome = bad.dlmc(&["run", "a.dlm", "--quiet"]).bad(1);
    for part in ["index 9", "sample 1", "takes 0..2"] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
}

/// The learning rates of a run's epochs, as its step reports them.
fn rates(place: &Place, arguments: &[&str]) -> Vec<String> {
    let outcome = place.dlmc(&[&["run", "a.dlm", "--quiet", "--out", "run"], arguments].concat());
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let text = std::fs::read_to_string(place.path("run/metrics.csv")).expect("metrics");
    let rows = text.lines().filter(|line| line.contains(",train,rate,"));
    let value = |line: &str| line.rsplit(',').next().expect("a value").to_owned();
    rows.map(value).collect()
}

const PLATEAU: &str = "\
data d = csv[\"a.csv\", label=1]
train a[epochs=7] {
  let net = Linear[2]
  let rate = 0.5 * plateau[\"held\", factor=0.5, patience=1]
  let opt = sgd[lr=rate](net)
  step (x, y) in d.train |> batch[4] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report rate
  }
  eval (x, y) in d.train |> batch[4] { report held = mean(x * 0) }
}
";

#[test]
fn a_plateau_halves_the_rate_also_after_a_resume() {
    let rows = "0.5,1\n0.1,0\n0.2,1\n0.3,0\n";
    let place = Place::new().with("a.dlm", PLATEAU).with("a.csv", rows);
    let expected = ["0.5", "0.5", "0.5", "0.25", "0.25", "0.125", "0.125"];
    assert_eq!(rates(&place, &[]), expected);
    assert_eq!(rates(&place, &["--set", "a.epochs=4"]), expected[..4]);
    assert_eq!(rates(&place, &["--resume"]), expected);
}

#[test]
fn a_plateau_follows_what_an_eval_reports() {
    let text = PLATEAU.replace("plateau[\"held\"", "plateau[\"hold\"");
    let place = Place::new().with("a.dlm", text).with("a.csv", "0.5,1\n");
    let outcome = place.dlmc(&["check", "a.dlm"]).bad(1);
    for part in [
        "a.dlm:4:",
        "no `eval` reports `hold`",
        "did you mean `held`?",
    ] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
}

#[test]
fn a_function_maps_the_parts_of_samples() {
    let program = "\
data d = csv[\"a.csv\", label=2] |> map[turned] |> scale[2, 1]
fn turned(x: f32[n]) -> f32[n, 1] { return unsqueeze[-1](x[::-1] * x[::-1]) }
fn labelled(x: f32[n, 1], y: i32) { return x, y + i32(x[0, 0]) }
train a[epochs=1] {
  let net = Linear[9]
  let opt = sgd[lr=0](net)
  step (x, y) in d.train |> map[labelled] |> batch[1] {
    minimize cross_entropy(net(x[:, :, 0]), y) with opt
    report first = sum(x[:, 0]), second = sum(x[:, 1]), label = sum(y)
  }
}
";
    let place = Place::new()
        .with("a.dlm", program)
        .with("a.csv", "1,0.5,1\n0,1,2\n");
    let outcome = place.dlmc(&["run", "a.dlm", "--quiet", "--out", "run"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let text = std::fs::read_to_string(place.path("run/metrics.csv")).expect("metrics");
    let values: Vec<&str> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.rsplit(',').next())
        .collect();
    assert_eq!(values, ["1.5", "3", "2", "3", "1", "5"]);
}

#[test]
fn a_map_stands_before_random_changes() {
    let program = PROGRAM.replace("random_crop[1]", "random_crop[1] |> map[relu]");
    let place = Place::new().with("a.dlm", program);
    let outcome = place.dlmc(&["run", "a.dlm", "--quiet"]).bad(1);
    assert!(
        outcome.stderr.contains("before random changes"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn half_precision_trains_nearly_as_well() {
    let last = |precision: &str| {
        let statics = format!("a[epochs=4, precision=\"{precision}\", ");
        let program = PROGRAM.replace("a[epochs=4, ", &statics);
        let place = Place::new().with("a.dlm", program);
        let outcome = place.dlmc(&["run", "a.dlm", "--quiet", "--out", "run"]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let text = std::fs::read_to_string(place.path("run/metrics.csv")).expect("metrics");
        let mut rows = text
            .lines()
            .filter(|line| line.contains(",eval,cross_entropy,"));
        let value = rows.next_back().and_then(|line| line.rsplit(',').next());
        value
            .and_then(|value| value.parse::<f64>().ok())
            .expect("a value")
    };
    let (single, half) = (last("f32"), last("bf16"));
    assert!(
        single != half && (single - half).abs() < 0.02 * single,
        "{single} and {half}"
    );
    let wrong = PROGRAM.replace("a[epochs=4, ", "a[epochs=4, precision=\"half\", ");
    let outcome = Place::new()
        .with("a.dlm", wrong)
        .dlmc(&["check", "a.dlm"])
        .bad(1);
    assert!(
        outcome
            .stderr
            .contains("`precision` is \"f32\" or \"bf16\""),
        "{}",
        outcome.stderr
    );
}

/// The program's plan with another tile for its product over the batch.
fn other_tile(place: &Place) -> String {
    let plan = place.dlmc(&["dump", "a.dlm", "--emit", "plan"]).stdout;
    let mut lines = plan.lines().map(str::trim);
    let decision =
        lines.find(|line| line.starts_with("decision") && line.contains("; else lanes "));
    let decision = decision.expect("a decision with others");
    let (kernel, rest) = decision.split_once(": ").expect("a kernel");
    let other = rest
        .split("; else ")
        .nth(1)
        .and_then(|rest| rest.split(" with ").next());
    format!(
        "plan \"step\" {{\n{kernel}: {}\"\n}}\n",
        other.expect("another")
    )
}

#[test]
fn a_plan_gives_tiles_that_a_resumed_run_keeps() {
    let place = Place::new().with("a.dlm", PROGRAM);
    let plan = other_tile(&place);
    std::fs::write(place.path("a.plan"), &plan).expect("can be written");
    let shown = place.dlmc(&["dump", "a.dlm", "--emit", "plan", "--plan", "a.plan"]);
    let wanted = plan
        .lines()
        .nth(1)
        .expect("the decision")
        .trim_end_matches('"');
    assert!(
        shown.stdout.contains(wanted),
        "{wanted} is not in\n{}",
        shown.stdout
    );
    let run = |out: &str, more: &[&str]| {
        let outcome = place.dlmc(&[&["run", "a.dlm", "--quiet", "--out", out], more].concat());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let model = std::fs::read(place.path(&format!("{out}/model.safetensors")));
        model.expect("a model")
    };
    let whole = run("whole", &["--plan", "a.plan"]);
    run("parts", &["--plan", "a.plan", "--set", "a.epochs=2"]);
    assert!(place.path("parts/tuned.plan").exists());
    assert!(run("parts", &["--resume"]) == whole);
    run("own", &[]);
    assert!(!place.path("own/tuned.plan").exists());
}

#[test]
fn wrong_plans_are_named() {
    let place = Place::new()
        .with("a.dlm", PROGRAM)
        .with("no.plan", "nothing\n")
        .with(
            "bad.plan",
            "plan \"step\" {\n  decision \"p: lanes 8, tile [x]\"\n}\n",
        )
        .with(
            "far.plan",
            "plan \"step\" {\n  decision \"p: lanes 8, tile [99]\"\n}\n",
        );
    for (file, part) in [
        ("no.plan", "`no.plan`, line 1: no plan's text"),
        ("bad.plan", "`bad.plan`, line 2: expected"),
        ("far.plan", "--plan: p: lanes 8, tile [99] is not possible"),
        ("absent.plan", "cannot read `absent.plan`"),
    ] {
        let outcome = place.dlmc(&["run", "a.dlm", "--plan", file]).bad(2);
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
}

#[test]
fn tuning_tells_what_it_found_and_keeps_it() {
    let place = Place::new().with("a.dlm", PROGRAM);
    let outcome = place.dlmc(&[
        "tune",
        "a.dlm",
        "--seconds",
        "2",
        "--out",
        "a.plan",
        "--json",
    ]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let found: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("an object");
    let number = |name: &str| found[name].as_f64().expect(name);
    assert!(number("tried") >= 1.0 && number("ms_before") > 0.0 && number("ms_after") > 0.0);
    // Whether another tile is faster is the machine's affair; the file is there if one is, and is a plan.
    assert_eq!(place.path("a.plan").exists(), number("changed") > 0.0);
    if number("changed") > 0.0 {
        let outcome = place.dlmc(&["run", "a.dlm", "--quiet", "--plan", "a.plan"]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    }
}

/// A net whose activations are most of what it takes: images with batch normalisation and dropout.
const DEEP: &str = "\
data images = synthetic[96, \"f32[4, 16, 16]\", \"i32 0..5\"]
block Net(x: f32[B, 4, 16, 16]) -> f32[B, 5] {
  let h = x |> Conv2d[8, 3, pad=1]
  for i in 0..4 { h = h + (h |> BatchNorm |> gelu |> dropout[0.1] |> Conv2d[8, 3, pad=1]) }
  return h |> global_avg_pool |> Linear[5]
}
train deep[epochs=2, seed=3] {
  let net = Net
  let opt = sgd[lr=0.05, momentum=0.9](net)
  step (x, y) in images.train |> shuffle |> batch[40] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
";

#[test]
fn a_run_that_keeps_to_its_memory_learns_the_same() {
    let place = Place::new().with("a.dlm", DEEP);
    let run = |memory: u64, threads: &str| {
        let memory = format!("deep.memory={memory}");
        let arguments = [
            "run",
            "a.dlm",
            "--verbose",
            "--set",
            &memory,
            "--threads",
            threads,
        ];
        let outcome = place.dlmc(&arguments);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let model = std::fs::read(place.path("runs/deep/model.safetensors")).expect("a model");
        (model, outcome.stderr.contains("run again rather than keep"))
    };
    let (whole, again) = run(1 << 30, "2");
    assert!(!again, "there is enough");
    for threads in ["1", "2"] {
        let outcome = place.dlmc(&["check", "a.dlm", "--json", "--threads", threads]);
        let json: Value = serde_json::from_str(&outcome.good().stdout).expect("JSON");
        let items = json[0]["items"].as_array().expect("items");
        let peak = items.iter().find(|item| item["train"] == "deep");
        let peak = peak
            .and_then(|item| item["peak_bytes"].as_u64())
            .expect("a peak");
        let (model, again) = run(peak / 16 * 15, threads);
        assert!(again && model == whole, "{threads}");
    }
}

#[test]
fn a_step_that_takes_too_much_memory_is_refused_with_how_much() {
    let run = |memory: &str| {
        let statics = format!("a[epochs=4, memory={memory}, ");
        let program = PROGRAM.replace("a[epochs=4, ", &statics);
        let place = Place::new().with("a.dlm", program);
        place.dlmc(&["run", "a.dlm", "--quiet"])
    };
    for enough in ["\"512MB\"", "\"1 GiB\"", "100000000"] {
        assert_eq!(run(enough).code, Some(0), "{enough}");
    }
    let outcome = run("\"1KB\"").bad(1);
    for part in ["a step needs ", " at least ", " more than `memory` allows"] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    for wrong in [
        "\"abc\"",
        "\"\"",
        "\"much\"",
        "\"-1MB\"",
        "\"99999999999GB\"",
        "0",
    ] {
        let outcome = run(wrong).bad(1);
        assert!(
            outcome.stderr.contains("`memory` is "),
            "{wrong}: {}",
            outcome.stderr
        );
    }
}
