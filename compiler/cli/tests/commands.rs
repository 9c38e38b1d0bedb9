//! The command line that tools rely on: each command, each option, each exit code, each file that a run leaves.

mod common;

use common::{Outcome, Place, SMALL, floats, tensors};
use safetensors::SafeTensors;
use serde_json::Value;

fn small() -> Place {
    Place::new().with("p.dlm", SMALL)
}

#[track_caller]
fn says(outcome: &Outcome, parts: &[&str]) {
    let text = format!("{}{}", outcome.stdout, outcome.stderr);
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

fn read(place: &Place, file: &str) -> Vec<u8> {
    std::fs::read(place.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn metrics(place: &Place, folder: &str) -> String {
    String::from_utf8(read(place, &format!("{folder}/metrics.csv"))).expect("text")
}

/// Two runs in one file: the first is the default, the other is named.
const PAIR: &str = "\
let rate = 0.5
data points = synthetic[8, \"f32[4]\", \"i32 0..2\"]
block Net(x: f32[B, 4]) -> f32 {
  param w: f32 = constant[2]
  return w
}
train one[epochs=1] {
  let net = Net
  let opt = sgd[lr=rate](net)
  step (x, y) in points.train |> batch[4] {
    let loss = net(x)
    minimize loss with opt
    report loss
  }
}
train two[steps=3, scale: float = 1] {
  let net = Net
  let opt = sgd[lr=rate * scale](net)
  step (x, y) in points.train |> batch[4] {
    let loss = net(x)
    minimize loss with opt
    report loss
  }
}
";

/// "`dlmc run FILE [TRAIN]` trains and evaluates", "`--out DIR` (default `runs/TRAIN`)"; "`DIR/metrics.csv` has the columns
/// `epoch,iter,split,metric,value`, … `DIR/model.safetensors` the parameters and states by path."
#[test]
fn run_takes_the_first_train_or_the_one_named() {
    let place = Place::new().with("p.dlm", PAIR);
    place.dlmc(&["run", "p.dlm"]).good();
    let expected = "epoch,iter,split,metric,value\n0,0,train,loss,2\n0,1,train,loss,1.5\n";
    assert_eq!(metrics(&place, "runs/one"), expected);
    assert_eq!(
        floats(&read(&place, "runs/one/model.safetensors"), "net.w"),
        [1.0]
    );
    assert!(!place.path("runs/two").exists());
    place.dlmc(&["run", "p.dlm", "two"]).good();
    let expected =
        "epoch,iter,split,metric,value\n0,0,train,loss,2\n0,1,train,loss,1.5\n1,2,train,loss,1\n";
    assert_eq!(metrics(&place, "runs/two"), expected);
    place
        .dlmc(&["run", "p.dlm", "two", "--out", "else/where"])
        .good();
    assert_eq!(metrics(&place, "else/where"), expected);
    says(&place.dlmc(&["run", "p.dlm", "three"]).bad(2), &["three"]);
}

/// "`--set NAME=V` (a top-level `let`, or a static of a train: `lenet.epochs=2`)."
#[test]
fn set_gives_constants_and_statics_other_values() {
    let place = Place::new().with("p.dlm", PAIR);
    let weight = |more: &[&str]| {
        let arguments = [&["run", "p.dlm", "two", "--out", "out", "--quiet"], more].concat();
        place.dlmc(&arguments).good();
        floats(&read(&place, "out/model.safetensors"), "net.w")[0]
    };
    assert_eq!(weight(&[]), 0.5);
    assert_eq!(weight(&["--set", "rate=0.25"]), 1.25);
    assert_eq!(weight(&["--set", "two.steps=2"]), 1.0);
    assert_eq!(
        weight(&["--set", "two.scale=1 / 2", "--set", "rate=2 ^ -1"]),
        1.25
    );
    for (set, part) in [
        ("raet=1", "`rate`"),
        ("two.step=1", "`two.steps`"),
        ("two.steps=0", "at least 1"),
    ] {
        let outcome = place.dlmc(&["run", "p.dlm", "two", "--set", set]);
        assert!(
            matches!(outcome.code, Some(1 | 2)),
            "{set}: {:?}",
            outcome.code
        );
        says(&outcome, &[part]);
    }
}

/// "`--data NAME='SOURCE…'`." "Paths in a program are relative to its file, paths on the command line to the working
/// directory."
#[test]
fn paths_are_relative_to_the_file_and_on_the_command_line_to_the_working_directory() {
    let program = PAIR.replace("synthetic[8, \"f32[4]\", \"i32 0..2\"]", "csv[\"d.csv\"]");
    let program = program
        .replace("f32[B, 4]", "f32[B, n]")
        .replace("report loss", "report loss, total = sum(x)");
    let place = Place::new()
        .with("inner/p.dlm", program)
        .with("inner/d.csv", "x,y\n1,0\n2,1\n")
        .with("d.csv", "x,y\n10,0\n20,1\n30,0\n");
    place
        .dlmc(&["run", "inner/p.dlm", "--out", "own", "--quiet"])
        .good();
    assert!(metrics(&place, "own").contains("0,0,train,total,3\n"));
    place
        .dlmc(&[
            "run",
            "inner/p.dlm",
            "--out",
            "other",
            "--quiet",
            "--data",
            "points=csv[\"d.csv\"]",
        ])
        .good();
    assert!(metrics(&place, "other").contains("0,0,train,total,60\n"));
    let data = "points=csv[\"d.csv\"] |> scale[2, 0] |> take[2]";
    place
        .dlmc(&[
            "run",
            "inner/p.dlm",
            "--out",
            "staged",
            "--quiet",
            "--data",
            data,
        ])
        .good();
    assert!(
        metrics(&place, "staged").contains("0,0,train,total,60\n"),
        "{}",
        metrics(&place, "staged")
    );
    let outcome = place.dlmc(&["run", "inner/p.dlm", "--data", "pionts=digits[]"]);
    assert!(matches!(outcome.code, Some(1 | 2)));
    says(&outcome, &["`points`"]);
}

/// "`--resume`, `--threads N`, `--log-every N`, `--quiet`."
#[test]
fn quiet_prints_nothing_and_threads_change_nothing() {
    let place = small();
    let quiet = place
        .dlmc(&["run", "p.dlm", "--quiet", "--out", "a"])
        .good();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let loud = place
        .dlmc(&["run", "p.dlm", "--out", "b", "--threads", "2"])
        .good();
    assert!(loud.stdout.contains("model.safetensors"), "{}", loud.stdout);
    assert_eq!(
        read(&place, "a/model.safetensors"),
        read(&place, "b/model.safetensors")
    );
    place
        .dlmc(&["run", "p.dlm", "--quiet", "--out", "c", "--log-every", "3"])
        .good();
    let iters: Vec<String> = metrics(&place, "c")
        .lines()
        .skip(1)
        .map(|row| row[..4].to_string())
        .collect();
    assert_eq!(iters, ["0,0,", "0,3,"]);
    place
        .dlmc(&[
            "run",
            "p.dlm",
            "--resume",
            "--out",
            "a",
            "--quiet",
            "--set",
            "small.epochs=2",
        ])
        .good();
    assert_eq!(metrics(&place, "a").lines().count(), 1 + 8);
}

/// "`dlmc check FILE…`: every error at once, and for each block: shapes, parameters, FLOPs, peak memory of a training step.
/// Runs nothing."
#[test]
fn check_shows_shapes_parameters_flops_and_memory() {
    let place = small().with("q.dlm", PAIR);
    let outcome = place.dlmc(&["check", "p.dlm", "q.dlm"]).good();
    // 8 * 16 + 16, and 16 * 3 + 3; two operations for each multiply-add.
    says(
        &outcome,
        &[
            "p.dlm",
            "q.dlm",
            "Net",
            "Linear[16]",
            "f32[B, 16]",
            "144",
            "256",
            "Linear[3]",
            "51",
            "96",
            "195",
            "352",
        ],
    );
    says(
        &outcome,
        &[
            "train small",
            "195 parameters",
            "a step of 16 samples takes",
            "train one",
            "train two",
        ],
    );
    assert_eq!(place.files(), ["p.dlm", "q.dlm"], "nothing is written");
    let json: Value =
        serde_json::from_str(&place.dlmc(&["check", "p.dlm", "--json"]).good().stdout)
            .expect("JSON");
    let items = json[0]["items"].as_array().expect("items");
    let train = items
        .iter()
        .find(|item| item["train"] == "small")
        .expect("the run");
    assert_eq!(
        (&train["parameters"], &train["batch"]),
        (&Value::from(195), &Value::from(16))
    );
    assert!(train["peak_bytes"].as_u64().expect("bytes") > 4 * 195);
}

/// "… every error at once": also those of constants and data that nothing uses.
#[test]
fn check_finds_what_nothing_uses() {
    let text = format!(
        "let a = nothing\ndata d = digits[] |> flipp\n{SMALL}block Other(x: f32[B, n]) {{ return x |> Liner[2] }}\n"
    );
    let outcome = Place::new()
        .with("p.dlm", text)
        .dlmc(&["check", "p.dlm"])
        .bad(1);
    says(
        &outcome,
        &[
            "p.dlm:1:9",
            "`nothing`",
            "p.dlm:2:22",
            "`flipp`",
            "`Liner`",
            "3 errors",
        ],
    );
}

/// FLOPs of a recurrence count each round.
#[test]
fn check_counts_each_round_of_a_recurrence() {
    let text = "block Net(x: f32[1, 6, 4]) -> f32[1, 6, 5] { return x |> Rnn[5] }\n";
    let place = Place::new().with("p.dlm", text);
    let json: Value =
        serde_json::from_str(&place.dlmc(&["check", "p.dlm", "--json"]).good().stdout)
            .expect("JSON");
    let layers = json[0]["items"][0]["layers"].as_array().expect("layers");
    let sum = |key: &str| {
        layers
            .iter()
            .map(|layer| layer[key].as_i64().expect("a number"))
            .sum::<i64>()
    };
    assert_eq!(sum("parameters"), 5 * 4 + 5 * 5 + 5 + 5);
    assert_eq!(sum("flops"), 2 * 6 * (5 * 4 + 5 * 5));
}

/// "`dlmc call FILE NAME --in T.safetensors --out R.safetensors [--grad] [--eval]` runs one `fn` or `block` on given tensors;
/// keys as in `reference/README.md`."
#[test]
fn call_has_the_keys_of_the_reference() {
    let program = "fn both(a: f32[2], b: f32[2]) -> f32[2], f32 { return a * b, sum(a) }
block Layer(x: f32[2]) -> f32[2] {
  param w: f32[2] = ones
  state n: f32 = zeros
  n <- n + 1
  return x * w * n
}
";
    let given = tensors(&[
        ("in.a", &[2], &[2.0, 3.0]),
        ("in.b", &[2], &[5.0, 7.0]),
        ("in.x", &[2], &[1.0, -2.0]),
        ("param.w", &[2], &[3.0, 4.0]),
        ("state.n", &[], &[9.0]),
        ("cotangent", &[2], &[1.0, 10.0]),
        ("more", &[1], &[0.0]),
    ]);
    let place = Place::new()
        .with("p.dlm", program)
        .with("t.safetensors", given);
    let call = |name: &str, more: &[&str]| {
        let arguments = [
            "call",
            "p.dlm",
            name,
            "--in",
            "t.safetensors",
            "--out",
            "r.safetensors",
        ];
        place.dlmc(&[&arguments, more].concat()).good();
        let file = read(&place, "r.safetensors");
        let mut keys: Vec<String> = SafeTensors::deserialize(&file)
            .expect("a safetensors file")
            .names()
            .into_iter()
            .map(str::to_string)
            .collect();
        keys.sort();
        (file, keys)
    };
    let (file, keys) = call("both", &[]);
    assert_eq!(keys, ["out.0", "out.1"]);
    assert_eq!(
        (floats(&file, "out.0"), floats(&file, "out.1")),
        (vec![10.0, 21.0], vec![5.0])
    );
    let (file, keys) = call("both", &["--grad"]);
    assert_eq!(keys, ["grad.a", "grad.b", "out.0", "out.1"]);
    assert_eq!(
        (floats(&file, "grad.a"), floats(&file, "grad.b")),
        (vec![5.0, 70.0], vec![2.0, 30.0])
    );
    let (file, keys) = call("Layer", &["--grad"]);
    assert_eq!(keys, ["grad.w", "grad.x", "out", "state_out.n"]);
    assert_eq!(
        (floats(&file, "out"), floats(&file, "state_out.n")),
        (vec![30.0, -80.0], vec![10.0])
    );
    assert_eq!(
        (floats(&file, "grad.w"), floats(&file, "grad.x")),
        (vec![10.0, -200.0], vec![30.0, 400.0])
    );
    let (_, keys) = call("Layer", &["--eval"]);
    assert_eq!(keys, ["out"]);
    let missing = place.dlmc(&[
        "call",
        "p.dlm",
        "Lajer",
        "--in",
        "t.safetensors",
        "--out",
        "x",
    ]);
    assert!(matches!(missing.code, Some(1 | 2)));
    says(&missing, &["`Layer`"]);
}

/// "`dlmc dump FILE [TRAIN] --emit ast|graph|loops|plan|clif|asm` prints a stage; `--print-after PASS|all|changed`,
/// `--kernel NAME`."
#[test]
fn dump_prints_each_stage() {
    let place = small();
    let dump = |more: &[&str]| {
        place
            .dlmc(&[&["dump", "p.dlm"], more].concat())
            .good()
            .stdout
    };
    for (stage, part) in [
        ("ast", "small"),
        ("graph", "net.linear_1.weight"),
        ("loops", "kernel"),
        ("plan", "phase"),
        ("clif", "function"),
        ("asm", "ret"),
    ] {
        let text = dump(&["small", "--emit", stage, "--target-features", "vector128"]);
        assert!(text.contains(part), "{stage} has no {part:?}:\n{text}");
    }
    let plan = dump(&["--emit", "plan"]);
    let name = plan
        .split("kernel k")
        .nth(1)
        .and_then(|rest| rest.split('"').nth(1))
        .expect("a kernel");
    let one = dump(&["--emit", "loops", "--kernel", name]);
    assert!(
        one.contains(name) && one.len() < dump(&["--emit", "loops"]).len(),
        "{one}"
    );
    says(
        &place
            .dlmc(&["dump", "p.dlm", "--emit", "loops", "--kernel", "none"])
            .bad(2),
        &["none"],
    );
    let all = dump(&["--print-after", "all"]);
    let changed = dump(&["--print-after", "changed"]);
    let simplified = dump(&["--print-after", "simplify"]);
    assert!(all.contains("# simplify") && all.contains("(no change)"));
    assert!(
        changed.contains("# ") && !changed.contains("(no change)") && changed.len() < all.len()
    );
    assert!(simplified.contains("# simplify") && simplified.len() < all.len());
    says(
        &place
            .dlmc(&["dump", "p.dlm", "--print-after", "simplfy"])
            .bad(2),
        &["simplify"],
    );
}

/// "`dlmc opt FILE.ir --passes a,b,c` runs passes over textual IR."
#[test]
fn opt_runs_passes_over_text() {
    let place = small();
    let before = place
        .dlmc(&["dump", "p.dlm", "--print-after", "elaborate"])
        .good()
        .stdout;
    let after = place
        .dlmc(&["dump", "p.dlm", "--emit", "graph"])
        .good()
        .stdout;
    let graph = before.split_once('\n').expect("a heading").1;
    let place = place.with("step.ir", graph);
    let out = |passes: &str| {
        place
            .dlmc(&["opt", "step.ir", "--passes", passes])
            .good()
            .stdout
    };
    assert_eq!(out("all"), after, "the whole table makes what is compiled");
    assert_ne!(out("simplify,dead-code"), out("dead-code"));
    let place = place.with("after.ir", after);
    place
        .dlmc(&["opt", "after.ir", "--passes", "simplify,dead-code"])
        .good();
    says(
        &place
            .dlmc(&["dump", "p.dlm", "--print-after", "none"])
            .bad(2),
        &["elaborate, all, changed, "],
    );
    let place = place.with("bad.ir", "graph {");
    says(
        &place.dlmc(&["opt", "bad.ir", "--passes", "all"]).bad(1),
        &["bad.ir"],
    );
}

/// "`dlmc bench FILE [TRAIN] [--steps N] [--infer] [--json]`: step time of the compiled program on data in memory: min,
/// median, GFLOP/s, share of the machine's measured peak, per-kernel table."
#[test]
fn bench_measures_the_step() {
    let place = Place::new().with("p.dlm", format!("{}  eval (x, y) in points.train |> batch[8] {{ report cross_entropy(net(x), y) }}\n}}\n", SMALL.trim_end().trim_end_matches('}')));
    let table = place
        .dlmc(&["bench", "p.dlm", "small", "--steps", "20"])
        .good();
    says(
        &table,
        &[
            "p.dlm small",
            "batch 16",
            "of 20 steps",
            "takes ",
            "parameters and states",
            "median",
            "min",
            "GFLOP/s",
            "% of the peak",
            "predicted step",
            "kernel",
            "us",
        ],
    );
    let json = |more: &[&str]| -> Value {
        let arguments = [&["bench", "p.dlm", "--json", "--steps", "20"], more].concat();
        serde_json::from_str(&place.dlmc(&arguments).good().stdout).expect("JSON")
    };
    let (train, infer) = (json(&[]), json(&["--infer"]));
    for key in [
        "ms_min",
        "ms_median",
        "gflops",
        "peak_gflops",
        "peak_share",
        "predicted_ms",
    ] {
        let value = train[key].as_f64().expect(key);
        assert!(value > 0.0 && value.is_finite(), "{key} is {value}");
    }
    assert!(train["ms_min"].as_f64() <= train["ms_median"].as_f64());
    let bytes = |key: &str| train["memory"][key].as_u64().expect(key);
    let shared = bytes("persistent_bytes") + bytes("arena_bytes");
    let threads = train["threads"].as_u64().expect("a number");
    assert!(bytes("persistent_bytes") >= 4 * 195 && bytes("partial_bytes") <= bytes("arena_bytes"));
    assert_eq!(bytes("bytes"), shared + threads * bytes("scratch_bytes"));
    assert!(train["kernels"].as_array().expect("a table").len() > 3);
    assert_eq!(train["flops"].as_f64(), Some(3.0 * 16.0 * 352.0));
    assert_eq!(
        (infer["flops"].as_f64(), infer["batch"].as_i64()),
        (Some(8.0 * 352.0), Some(8))
    );
    assert_eq!(place.files(), ["p.dlm"], "nothing is written");
}

#[test]
fn bench_shows_products_with_their_gradients() {
    let place = Place::new().with("p.dlm", SMALL);
    let arguments = ["bench", "p.dlm", "--products", "--steps", "20"];
    let table = place.dlmc(&arguments).good();
    says(
        &table,
        &[
            "product",
            "of forward",
            "net.linear_1.weight",
            "GFLOP/s a thread",
            "the range",
        ],
    );
    let json = place.dlmc(&[&arguments[..], &["--json"]].concat()).good();
    let products: Value = serde_json::from_str(&json.stdout).expect("JSON");
    let products = products.as_array().expect("a list");
    assert!(products.len() > 1, "{}", json.stdout);
    for product in products {
        assert!(product["product"].is_string(), "{product}");
        for key in ["forward", "weight_gradient"] {
            let speed = product[key]["gflops"].as_f64().expect(key);
            assert!(speed > 0.0 && speed.is_finite(), "{key} of {product}");
        }
    }
    assert!(products[0]["input_gradient"].is_null(), "{}", products[0]);
    let part = |key: &str| products[1]["input_gradient"][key].as_f64().expect(key);
    let [min, median, max] = ["of_forward_min", "of_forward", "of_forward_max"].map(part);
    assert!(
        0.0 < min && min <= median && median <= max,
        "{}",
        products[1]
    );
    assert!(
        products[1]["measurements"].as_u64() > Some(1),
        "{}",
        products[1]
    );
    let other = place.dlmc(&[&arguments[..], &["--roofline", "a.svg"]].concat());
    says(&other.bad(2), &["--products", "--roofline"]);
    for (repeat, steps) in [("0", 20), ("5", 4), ("100", 1)] {
        let bench = [
            "bench", "p.dlm", "--steps", "20", "--repeat", repeat, "--json",
        ];
        let json = place.dlmc(&bench).good().stdout;
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["repeat"].to_string(), repeat);
        assert_eq!(json["timed_steps"].as_u64(), Some(steps));
        let times = json["kernels"].as_array().expect("a table").iter();
        let sum: f64 = times.filter_map(|own| own["microseconds"].as_f64()).sum();
        // A mean of repetitions, not their sum: of a step that takes microseconds.
        assert!(sum > 0.0 && sum < 1e6, "{json}");
    }
    let repeated = place.dlmc(&[&arguments[..], &["--repeat", "5"]].concat());
    says(&repeated.good(), &["Each call is made 5 times more"]);
    let repeated = place.dlmc(&[&arguments[..], &["--repeat", "5", "--json"]].concat());
    let repeated: Value = serde_json::from_str(&repeated.good().stdout).expect("JSON");
    assert_eq!(repeated[0]["repeat"], 5);
    let more = place.dlmc(&["bench", "p.dlm", "--repeat", "101"]);
    says(&more.bad(2), &["--repeat", "101"]);
    let compared = place.dlmc(&["bench", "p.dlm", "--repeat", "5", "--roofline", "a.svg"]);
    says(&compared.bad(2), &["--repeat", "--roofline"]);
    // What was measured can be read: a product's kernel has no update in it.
    let plan = |more: &[&str]| {
        let dump = [&["dump", "p.dlm", "--emit", "plan"], more].concat();
        place.dlmc(&dump).good().stdout
    };
    let kernels = |plan: &str| plan.matches("\n  kernel k").count();
    assert!(kernels(&plan(&["--products"])) > kernels(&plan(&[])));
}

/// "`dlmc predict MODEL INPUT…` and `dlmc eval`: inference from a run's own output, with no source file."
#[test]
fn predict_and_eval_need_no_source() {
    let program = "\
data points = csv[\"d.csv\"]
block Sign(x: f32[B, 1]) -> f32[B, 2] {
  param w: f32[1, 2] = [[-1, 1]]
  return x @ w
}
train t[steps=1] {
  let net = Sign
  let opt = sgd[lr=0](net)
  step (x, y) in points.train |> batch[4] { minimize mean(net(x)) with opt }
  eval (x, y) in points.train |> batch[3] { report accuracy(net(x), y) }
}
";
    let place = Place::new()
        .with("p.dlm", program)
        .with("d.csv", "x,y\n-1,0\n2,1\n3,1\n-4,1\n");
    place
        .dlmc(&["run", "p.dlm", "--out", "run", "--quiet"])
        .good();
    std::fs::remove_file(place.path("p.dlm")).expect("it is there");
    assert_eq!(
        place.dlmc(&["eval", "run"]).good().stdout,
        "eval accuracy 0.75\n"
    );
    let place = place
        .with("new.csv", "x\n5\n-5\n")
        .with("more.csv", "x\n0.5\n");
    let text = place
        .dlmc(&[
            "predict",
            "run",
            "new.csv",
            "more.csv",
            "--out",
            "r.safetensors",
        ])
        .good()
        .stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("new.csv[0]  class 1") && lines[1].starts_with("new.csv[1]  class 0"),
        "{text}"
    );
    assert!(
        lines[2].starts_with("more.csv  class 1  probability 0.7311"),
        "{text}"
    );
    assert_eq!(
        floats(&read(&place, "r.safetensors"), "out"),
        [-5.0, 5.0, 5.0, -5.0, -0.5, 0.5]
    );
}

/// "Paths on the command line [are relative] to the working directory": of `eval` to its own, not to the run's.
#[test]
fn eval_takes_data_from_where_it_is_called() {
    let program = PAIR
        .replace("synthetic[8, \"f32[4]\", \"i32 0..2\"]", "csv[\"d.csv\"]")
        .replace("f32[B, 4]", "f32[B, n]");
    let program = program.split("train two").next().expect("a first train");
    let end = program.rfind('}').expect("a train");
    let eval = "eval (x, y) in points.train |> batch[4] { report total = i32(sum(x)) }\n}\n";
    let program = program[..end].to_string() + eval;
    let place = Place::new()
        .with("inner/p.dlm", program)
        .with("inner/d.csv", "x,y\n1,0\n2,1\n")
        .with("d.csv", "x,y\n10,0\n20,1\n30,0\n")
        .with("inner/other/d.csv", "x,y\n100,0\n200,1\n");
    let data = ["--data", "points=csv[\"d.csv\"]"];
    let run = ["run", "inner/p.dlm", "--out", "inner/run", "--quiet"];
    place.dlmc(&[&run[..], &data].concat()).good();
    let eval = |folder: &str, more: &[&str]| {
        let model = place.path("inner/run").display().to_string();
        place
            .dlmc_in(folder, &[&["eval", &model][..], more].concat())
            .good()
            .stdout
    };
    for folder in ["", "inner", "inner/other"] {
        assert_eq!(eval(folder, &[]), "eval total 60\n", "{folder}");
    }
    assert_eq!(eval("inner/other", &data), "eval total 300\n");
    assert_eq!(eval("inner", &data), "eval total 3\n");
    assert_eq!(eval("", &data), "eval total 60\n");
}

/// "Paths in a program are relative to its file", which may be an imported one.
#[test]
fn data_of_an_imported_file_stands_beside_it() {
    let program = PAIR
        .replace(
            "data points = synthetic[8, \"f32[4]\", \"i32 0..2\"]",
            "import \"sub/o.dlm\" as o\ndata own = csv[\"d.csv\"]",
        )
        .replace("points.train", "o.points.train")
        .replace("f32[B, 4]", "f32[B, n]")
        .replace("report loss", "report loss, total = sum(x)");
    let place = Place::new()
        .with("p.dlm", program)
        .with("d.csv", "x,y\n1,0\n2,1\n")
        .with("sub/o.dlm", "data points = csv[\"d.csv\"]\n")
        .with("sub/d.csv", "x,y\n10,0\n20,1\n");
    place
        .dlmc(&["run", "p.dlm", "--out", "own", "--quiet"])
        .good();
    assert!(metrics(&place, "own").contains("0,0,train,total,30\n"));
}

/// "`dlmc fmt FILE…`: the one layout; `--check`."
#[test]
fn fmt_brings_files_into_the_one_layout() {
    let place = small().with("q.dlm", "let   a=1+2 # three\n");
    let outcome = place.dlmc(&["fmt", "--check", "p.dlm", "q.dlm"]).bad(1);
    assert_eq!(outcome.stdout, "q.dlm\n");
    assert_eq!(
        read(&place, "q.dlm"),
        b"let   a=1+2 # three\n",
        "nothing is changed"
    );
    place.dlmc(&["fmt", "p.dlm", "q.dlm"]).good();
    let text = String::from_utf8(read(&place, "q.dlm")).expect("text");
    assert!(
        text.starts_with("let a = 1 + 2") && text.contains("# three"),
        "{text}"
    );
    assert_eq!(read(&place, "p.dlm"), SMALL.as_bytes());
    place.dlmc(&["fmt", "--check", "p.dlm", "q.dlm"]).good();
}

/// "Exit codes: 0 done, 1 the program or its data is wrong, 2 the command line is wrong, 3 the run failed (NaN, disk full)."
#[test]
fn exit_codes_say_what_is_wrong() {
    let place = small();
    place.dlmc(&["run", "p.dlm", "--quiet"]).good();
    let wrong = small().with("q.dlm", SMALL.replace("relu", "rellu")).with(
        "r.dlm",
        SMALL.replace(
            "synthetic[64, \"f32[8]\", \"i32 0..3\"]",
            "csv[\"none.csv\"]",
        ),
    );
    for command in ["run", "check", "dump", "bench"] {
        let emit: &[&str] = if command == "dump" {
            &["--emit", "plan"]
        } else {
            &[]
        };
        wrong.dlmc(&[&[command, "q.dlm"], emit].concat()).bad(1);
        wrong.dlmc(&[&[command, "r.dlm"], emit].concat()).bad(1);
        wrong
            .dlmc(&[&[command, "p.dlm", "--no-such-option"], emit].concat())
            .bad(2);
        wrong.dlmc(&[&[command, "none.dlm"], emit].concat()).bad(2);
        wrong.dlmc(&[command]).bad(2);
    }
    let nan = Place::new().with(
        "p.dlm",
        PAIR.replace("constant[2]", "constant[-1]")
            .replace("let loss = net(x)", "let loss = log(net(x))"),
    );
    says(&nan.dlmc(&["run", "p.dlm"]).bad(3), &["loss", "NaN"]);
}

/// A disk that takes no more: a failed run, and no model that is half there. Files may have a few blocks, which `metrics.csv` exceeds.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_a_failed_run() {
    let place = small();
    let command = format!(
        "trap '' XFSZ; ulimit -f 2; exec {} run p.dlm --quiet --out out",
        env!("CARGO_BIN_EXE_dlmc")
    );
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", &command]).current_dir(place.path(""));
    let output = output.output().expect("a shell");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(
        errors.contains("cannot be written") || errors.contains("cannot write"),
        "{errors}"
    );
    assert!(!place.path("out/model.safetensors").exists());
}

/// "Every error of a program names file, line and column, shows the source, and says what would be right."
#[test]
fn errors_name_their_place_show_the_source_and_say_what_is_right() {
    let text = SMALL.replace("Linear[16]", "Linaer[16]");
    let outcome = Place::new()
        .with("p.dlm", text)
        .dlmc(&["run", "p.dlm"])
        .bad(1);
    says(
        &outcome,
        &[
            "p.dlm:4:15",
            "return x |> Linaer[16] |> relu",
            "^^^^^^",
            "did you mean `Linear`?",
        ],
    );
}

/// "`import` … another file's items, relative to this file and never outside its folder tree"; a circle is an error.
#[test]
fn imports_are_relative_and_stay_inside() {
    let place = Place::new()
        .with("out.dlm", "let a = 1\n")
        .with(
            "in/p.dlm",
            "import \"parts/b.dlm\" as b\nfn case(x: f32[2]) -> f32[2] { return b.twice(x) }\n",
        )
        .with(
            "in/parts/b.dlm",
            "import \"c.dlm\" as c\nfn twice(x: f32[..]) -> f32[..] { return x * c.two }\n",
        )
        .with("in/parts/c.dlm", "let two = 2\n")
        .with(
            "in/circle.dlm",
            "import \"round.dlm\" as other\nlet one = other.two\n",
        )
        .with(
            "in/round.dlm",
            "import \"circle.dlm\" as other\nlet two = other.one\n",
        )
        .with(
            "in/outside.dlm",
            "import \"../out.dlm\" as o\nlet one = o.a\n",
        )
        .with(
            "in/absolute.dlm",
            "import \"/etc/out.dlm\" as o\nlet one = o.a\n",
        )
        .with(
            "in/missing.dlm",
            "import \"none.dlm\" as o\nlet one = o.a\n",
        )
        .with("t.safetensors", tensors(&[("in.x", &[2], &[1.0, 3.0])]));
    place
        .dlmc(&[
            "call",
            "in/p.dlm",
            "case",
            "--in",
            "t.safetensors",
            "--out",
            "r.safetensors",
        ])
        .good();
    assert_eq!(floats(&read(&place, "r.safetensors"), "out"), [2.0, 6.0]);
    for (file, parts) in [
        (
            "circle",
            [
                "circle.dlm:1:8",
                "round.dlm imports circle.dlm imports round.dlm",
            ],
        ),
        ("outside", ["outside.dlm:1:8", "../out.dlm"]),
        ("absolute", ["absolute.dlm:1:8", "/etc/out.dlm"]),
        ("missing", ["missing.dlm:1:8", "none.dlm"]),
    ] {
        says(
            &place.dlmc(&["check", &format!("in/{file}.dlm")]).bad(1),
            &parts,
        );
    }
}
