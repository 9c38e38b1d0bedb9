//! Wrong input: a clear message, the right exit code, no panic's text, nothing half-written.

mod common;

use common::{Outcome, Place, SMALL, floats, tensors};

fn check(text: &str) -> Outcome {
    Place::new().with("p.dlm", text).dlmc(&["check", "p.dlm"])
}

/// The message names the file, and the line that stands in `at` as `LINE:COLUMN`.
fn says(outcome: &Outcome, parts: &[&str]) {
    for part in parts {
        assert!(
            outcome.stderr.contains(part),
            "no {part:?} in:\n{}",
            outcome.stderr
        );
    }
}

#[test]
fn wrong_shapes_are_shown_where_they_stand() {
    let text = "fn f(a: f32[2, 3], b: f32[4, 5]) -> f32[2, 5] {\n  return a @ b\n}\n";
    says(&check(text).bad(1), &["p.dlm:2:", "return a @ b", "3", "4"]);
}

#[test]
fn an_unknown_name_gets_a_near_one() {
    let text = SMALL.replace("relu", "rellu");
    says(
        &check(&text).bad(1),
        &["p.dlm:4:", "rellu", "did you mean `relu`?"],
    );
}

#[test]
fn several_errors_come_at_once() {
    let text = SMALL.replace("relu", "rellu").replace("sgd", "sdg");
    let outcome = check(&text).bad(1);
    says(&outcome, &["rellu", "sdg", "2 errors in p.dlm"]);
}

#[test]
fn every_file_is_checked_where_one_is_wrong() {
    let place = Place::new()
        .with("a.dlm", SMALL.replace("relu", "rellu"))
        .with("b.dlm", SMALL.replace("sgd", "sdg"));
    says(
        &place.dlmc(&["check", "a.dlm", "b.dlm"]).bad(1),
        &["rellu", "sdg"],
    );
}

#[test]
fn an_empty_file_has_nothing_to_run() {
    let place = Place::new().with("p.dlm", "");
    let outcome = place.dlmc(&["run", "p.dlm"]).bad(1);
    says(&outcome, &["p.dlm", "train"]);
    assert_eq!(place.files(), ["p.dlm"]);
}

#[test]
fn ten_thousand_parentheses_are_an_error_and_no_crash() {
    for (open, close) in [("(", ")"), ("[", "]"), ("-", ""), ("not ", "")] {
        let text = format!("let a = {}1{}\n", open.repeat(10_000), close.repeat(10_000));
        says(&check(&text).bad(1), &["p.dlm:1:"]);
    }
    let text = format!(
        "fn f(x: f32) -> f32 {{ return {}x{} }}",
        "(".repeat(10_000),
        ")".repeat(10_000)
    );
    says(&check(&text).bad(1), &["nest"]);
}

#[test]
fn bytes_that_are_no_text_are_an_error() {
    let place = Place::new().with("p.dlm", [0xff, 0xfe, 0x00, 0x80]);
    says(&place.dlmc(&["check", "p.dlm"]).bad(1), &["not text"]);
}

#[test]
fn a_folder_is_no_program() {
    let place = Place::new().with("folder/p.dlm", SMALL);
    for command in [
        vec!["run", "folder"],
        vec!["check", "folder"],
        vec!["fmt", "folder"],
    ] {
        says(&place.dlmc(&command).bad(2), &["folder", "cannot read"]);
    }
}

#[test]
fn a_missing_file_is_named() {
    says(
        &Place::new().dlmc(&["run", "none.dlm"]).bad(2),
        &["none.dlm", "no such file"],
    );
}

#[test]
fn unknown_commands_options_and_passes_get_near_ones() {
    let place = Place::new().with("p.dlm", SMALL);
    says(&place.dlmc(&["rum", "p.dlm"]).bad(2), &["rum", "run"]);
    says(
        &place.dlmc(&["run", "p.dlm", "--sed", "a=1"]).bad(2),
        &["--sed", "--set"],
    );
    says(
        &place.dlmc(&["run", "p.dlm", "--set", "a"]).bad(2),
        &["--set"],
    );
    says(
        &place
            .dlmc(&["run", "p.dlm", "--set", "smal.epochs=2"])
            .bad(2),
        &["smal"],
    );
    says(
        &place.dlmc(&["run", "p.dlm", "smal"]).bad(2),
        &["smal", "small"],
    );
    says(
        &place.dlmc(&["dump", "p.dlm", "--emit", "grap"]).bad(2),
        &["grap"],
    );
    says(
        &place.dlmc(&["opt", "p.dlm", "--passes", "simplfy"]).bad(2),
        &["simplify"],
    );
    says(
        &place.dlmc(&["run", "p.dlm", "--threads", "0"]).bad(2),
        &["--threads"],
    );
}

#[test]
fn imports_stay_in_the_folder() {
    let place = Place::new()
        .with("secret.dlm", "let a = 1")
        .with("inner/p.dlm", "import \"../secret.dlm\" as secret\n");
    says(
        &place.dlmc(&["check", "inner/p.dlm"]).bad(1),
        &["p.dlm:1:", "../secret.dlm"],
    );
}

/// An IDX file: magic number, sizes, bytes.
fn idx(sizes: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    for size in sizes {
        file.extend(size.to_be_bytes());
    }
    file.extend(bytes);
    file
}

const MNIST: &str = "\
data images = mnist[\"data\"]

train t[epochs=1] {
  let net = Linear[10]
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[4] {
    let loss = cross_entropy(net(x |> flatten), y)
    minimize loss with opt
    report loss
  }
}
";

/// A folder like MNIST's of eight small images, with these training labels.
fn mnist(labels: &[u8]) -> Place {
    let images = idx(&[8, 4, 4], &[7; 128]);
    Place::new()
        .with("p.dlm", MNIST)
        .with("data/train-images-idx3-ubyte", &images)
        .with(
            "data/train-labels-idx1-ubyte",
            idx(&[labels.len() as u32], labels),
        )
        .with("data/t10k-images-idx3-ubyte", &images)
        .with("data/t10k-labels-idx1-ubyte", idx(&[8], &[1; 8]))
}

fn fails_without_results(place: &Place, code: i32, parts: &[&str]) {
    let before = place.files();
    says(&place.dlmc(&["run", "p.dlm"]).bad(code), parts);
    assert_eq!(place.files(), before, "nothing is written");
}

#[test]
fn small_idx_files_train() {
    let place = mnist(&[0, 1, 2, 3, 4, 5, 6, 7]);
    place.dlmc(&["run", "p.dlm"]).good();
    assert!(place.path("runs/t/model.safetensors").exists());
}

#[test]
fn missing_idx_files_are_named() {
    let place = Place::new().with("p.dlm", MNIST);
    fails_without_results(&place, 1, &["data", "p.dlm:1:"]);
    let place = mnist(&[1; 8]);
    std::fs::remove_file(place.path("data/train-labels-idx1-ubyte")).expect("it is there");
    fails_without_results(&place, 1, &["train-labels-idx1-ubyte"]);
}

#[test]
fn truncated_idx_files_are_named() {
    let place = mnist(&[1; 8]);
    let path = place.path("data/train-images-idx3-ubyte");
    let whole = std::fs::read(&path).expect("it is there");
    for length in [0, 3, 9, 16, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).expect("it can be written");
        fails_without_results(&place, 1, &["train-images-idx3-ubyte"]);
    }
}

#[test]
fn a_label_out_of_range_is_named() {
    let place = mnist(&[1, 2, 3, 200, 1, 1, 1, 1]);
    fails_without_results(&place, 1, &["200", "train-labels-idx1-ubyte"]);
}

#[test]
fn files_of_different_length_are_named() {
    fails_without_results(&mnist(&[1; 7]), 1, &["7", "8"]);
}

#[test]
fn a_loss_that_is_not_a_number_ends_the_run() {
    let place = Place::new().with("p.dlm", SMALL.replace("lr=0.1", "lr=1e38"));
    let outcome = place
        .dlmc(&["run", "p.dlm", "--set", "small.epochs=20"])
        .bad(3);
    says(&outcome, &["loss", "NaN", "iter"]);
    assert!(!place.path("runs/small/model.safetensors").exists());
}

/// A run of one parameter: its step's loss, how long, and what else it has.
fn of_one(loss: &str, settings: &str, more: &str) -> Place {
    let program = format!(
        "data points = synthetic[8, \"f32[2]\"]
block Net(x: f32[B, 2]) -> f32[B, 2] {{ param w: f32[2] = ones return x * w }}
train small[{settings}] {{
  let net = Net
  let opt = sgd[lr=0.1](net)
  step (x) in points.train |> batch[8] {{
    let h = net(x)
    let loss = {loss}
    minimize loss with opt
  }}
  {more}
}}
"
    );
    Place::new().with("p.dlm", program)
}

#[test]
fn a_loss_that_no_report_shows_is_looked_at_too() {
    let place = of_one("log(0 * sum(h) - 1)", "epochs=3", "");
    says(
        &place.dlmc(&["run", "p.dlm"]).bad(3),
        &["`loss` is NaN", "epoch 0, iter 0"],
    );
    assert!(!place.path("runs/small/model.safetensors").exists());
    let branch = of_one("sum(h)", "epochs=3", "").with(
        "q.dlm",
        "data points = synthetic[8, \"f32[2]\"]
train small[epochs=3] {
  let net = Linear[1]
  let opt = sgd[lr=0.1](net)
  step (x) in points.train |> batch[8] {
    let loss = mean(net(x))
    if iter == 1 { minimize log(0 * loss - 1) with opt }
    if iter > 5 { minimize log(0 * loss - 2) with opt }
  }
}
",
    );
    says(
        &branch.dlmc(&["run", "q.dlm"]).bad(3),
        &["`log` is NaN", "iter 1"],
    );
}

#[test]
fn a_parameter_that_is_not_a_number_is_not_saved() {
    for settings in ["steps=1", "epochs=5"] {
        let place = of_one("sqrt(0 * sum(h))", settings, "");
        let outcome = place.dlmc(&["run", "p.dlm"]).bad(3);
        says(&outcome, &["NaN", "iter"]);
        assert!(!place.path("runs/small/model.safetensors").exists());
    }
    let place = of_one(
        "sum(h) + sqrt(floor(iter / 2) * 0 + 1 - minimum(iter, 1) + 0 * sum(h))",
        "epochs=2",
        "",
    );
    says(
        &place.dlmc(&["run", "p.dlm"]).bad(3),
        &["`net.w` is NaN after epoch 1, iter 1"],
    );
    let kept = std::fs::read(place.path("runs/small/model.safetensors")).expect("of epoch 0");
    assert!(floats(&kept, "net.w").iter().all(|value| value.is_finite()));
}

#[test]
fn a_metric_that_is_not_a_number_ends_the_run() {
    let eval = "eval (x) in points.test |> batch[8] { report q = log(-1 + 0 * sum(x)) }";
    let place = of_one("sum(h)", "epochs=2", eval);
    let outcome = place.dlmc(&["run", "p.dlm"]).bad(3);
    says(&outcome, &["`q` of `eval` is NaN", "epoch 0"]);
    let rows = std::fs::read_to_string(place.path("runs/small/metrics.csv")).expect("written");
    assert!(rows.contains("0,0,eval,q,NaN"), "{rows}");
}

#[test]
fn results_that_cannot_be_written_are_a_failed_run() {
    let place = Place::new().with("p.dlm", SMALL).with("out", "a file");
    says(
        &place.dlmc(&["run", "p.dlm", "--out", "out"]).bad(3),
        &["out"],
    );
    assert_eq!(place.files(), ["out", "p.dlm"]);
}

#[test]
fn initial_values_that_do_not_fit_are_named() {
    let place = Place::new()
        .with("p.dlm", SMALL)
        .with("w.safetensors", "no tensors at all");
    let run = |place: &Place| place.dlmc(&["run", "p.dlm", "--init", "w.safetensors"]);
    says(&run(&place).bad(1), &["w.safetensors"]);
    let place = Place::new().with("p.dlm", SMALL);
    says(&run(&place).bad(2), &["w.safetensors", "no such file"]);
}

/// A run on this data: what `check` says of it.
fn said_of(data: &str, stages: &str) -> String {
    let text = format!(
        "data d = {data}
train t[steps=1] {{
  let net = Linear[1]
  let opt = sgd[lr=0.1](net)
  step (x, y) in {stages} {{ minimize mean(net(f32(x))) with opt }}
}}
"
    );
    let place = Place::new()
        .with("p.dlm", text)
        .with("semicolons.csv", "a;b;label\n1;2;0\n3;4;1\n")
        .with("twice.csv", "a,a,b\n1,2,0\n3,4,1\n")
        .with("text.csv", "It was a dark night\nand it rained\n")
        .with("short.txt", "abc")
        .with("long.txt", "abcdefghijklmnopqrstuvwxyz".repeat(4));
    place.dlmc(&["run", "p.dlm"]).bad(1).stderr
}

#[test]
fn data_that_cannot_be_used_says_what_was_found() {
    let batch = "d.train |> batch[1]";
    for (data, stages, parts) in [
        (
            "csv[\"semicolons.csv\"]",
            batch,
            &["`,` between", "';'"][..],
        ),
        ("csv[\"text.csv\"]", batch, &["one column, of text"]),
        (
            "csv[\"twice.csv\", label=\"a\"]",
            batch,
            &["several columns are called `a`"],
        ),
        (
            "text[\"short.txt\"] |> chars |> window[8]",
            batch,
            &["more than 8 elements", "`train`"],
        ),
        (
            "text[\"long.txt\"] |> chars |> window[8] |> split[0.9]",
            batch,
            &["`split`", "before `window`"],
        ),
        (
            "digits[]",
            "d.train |> take[0] |> batch[1]",
            &["at least 1"],
        ),
        (
            "synthetic[8, \"f32[4]\"]",
            batch,
            &["a sample has 1 part\n"],
        ),
    ] {
        let said = said_of(data, stages);
        for part in parts {
            assert!(said.contains(part), "{data}: {part}\n{said}");
        }
    }
    let said = said_of("digits[]", "zip(d.train, d.test) |> batch[4]");
    assert!(said.contains("`batch` after `zip`"), "{said}");
    assert!(!said.contains("nothing is named"), "{said}");
}

#[test]
fn a_value_of_the_command_line_is_wrong_once() {
    let program = SMALL.replace("seed=3]", "seed=3, width: int = 16]");
    let program = program.trim_end().trim_end_matches('}').to_string()
        + "  eval (x, y) in points.train |> batch[8] { report accuracy(net(x), y) }\n}\n";
    let place = Place::new().with("p.dlm", program);
    let said = place
        .dlmc(&["run", "p.dlm", "--set", "small.width=2.5"])
        .bad(1)
        .stderr;
    assert_eq!(said.matches("`width` is an int").count(), 1, "{said}");
}

#[test]
fn a_changed_program_does_not_go_on() {
    let place = Place::new()
        .with("p.dlm", SMALL)
        .with("q.dlm", SMALL.replace("Linear[16]", "Linear[17]"));
    place.dlmc(&["run", "p.dlm", "--quiet"]).good();
    let more = ["--resume", "--set", "small.epochs=2"];
    let outcome = place.dlmc(&[&["run", "q.dlm"][..], &more].concat()).bad(1);
    says(&outcome, &["the program has changed since", "linear_1"]);
    place.dlmc(&[&["run", "p.dlm"][..], &more].concat()).good();
}

#[test]
fn predict_says_which_tensors_a_file_has() {
    let place = Place::new().with("p.dlm", SMALL);
    place.dlmc(&["run", "p.dlm", "--quiet"]).good();
    let row: (&[usize], &[f32]) = (&[1, 8], &[1.0; 8]);
    let place = place
        .with(
            "two.safetensors",
            tensors(&[("zz", row.0, row.1), ("aa", row.0, row.1)]),
        )
        .with(
            "x.safetensors",
            tensors(&[("a", &[1], &[0.0]), ("x", row.0, row.1)]),
        )
        .with("one.safetensors", tensors(&[("zz", row.0, row.1)]));
    let predict = |file: &str| place.dlmc(&["predict", "runs/small", file]);
    says(
        &predict("two.safetensors").bad(1),
        &["aa, zz", "tensor `x`"],
    );
    predict("x.safetensors").good();
    predict("one.safetensors").good();
    let cold = [
        "predict",
        "runs/small",
        "--generate",
        "3",
        "--temperature",
        "-1",
        "a",
    ];
    says(&place.dlmc(&cold).bad(2), &["at least 0"]);
}

#[test]
fn a_closed_pipe_is_no_error() {
    use std::process::{Command, Stdio};
    let place = Place::new().with("p.dlm", SMALL);
    let mut child = Command::new(env!("CARGO_BIN_EXE_dlmc"))
        .args(["dump", "p.dlm", "--emit", "plan"])
        .current_dir(place.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.as_ref()), (Some(0), ""));
}

#[test]
fn a_run_goes_on_when_nobody_reads_what_it_prints() {
    let place = Place::new().with("p.dlm", SMALL);
    let outcome = place.dlmc_unheard(&["run", "p.dlm", "--out", "out"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert!(place.path("out/model.safetensors").exists());
}
