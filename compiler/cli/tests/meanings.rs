//! What only a whole run shows of the sentences that fix what is meant; the others are tested in `compiler/core`.

mod common;

use common::{Place, floats, tensors};
use safetensors::SafeTensors;

/// A net that is one number, which is 2 at first, and a line of numbers to learn from.
const HEAD: &str = "\
data line = csv[\"line.csv\"]
block Net(x: f32[B, n]) -> f32 {
  param w: f32 = constant[2]
  return w
}
";

/// Ten samples: the value is the sample's number, the class its parity.
const LINE: &str = "x,y\n0,0\n1,1\n2,0\n3,1\n4,0\n5,1\n6,0\n7,1\n8,0\n9,1\n";

fn place(program: &str) -> Place {
    Place::new()
        .with("p.dlm", format!("{HEAD}{program}"))
        .with("line.csv", LINE)
}

/// A row of `metrics.csv` without the value, and the value.
type Row = (String, f64);

#[track_caller]
fn rows_of(place: &Place, folder: &str) -> Vec<Row> {
    let text = std::fs::read_to_string(place.path(folder).join("metrics.csv"));
    let text = text.expect("metrics were written");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("epoch,iter,split,metric,value"));
    let row = |line: &str| {
        let (rest, value) = line.rsplit_once(',').expect("five columns");
        assert_eq!(rest.splitn(4, ',').count(), 4, "{line}");
        // A name with a comma is quoted, as CSV has it.
        let rest = rest.replace('"', "");
        (rest, value.parse().expect("a number"))
    };
    lines.map(row).collect()
}

/// Runs the program and gives its metrics.
#[track_caller]
fn run(place: &Place, more: &[&str]) -> Vec<Row> {
    let arguments = [&["run", "p.dlm", "--out", "out", "--quiet"], more].concat();
    place.dlmc(&arguments).good();
    rows_of(place, "out")
}

fn named(rows: &[Row], ending: &str) -> Vec<f64> {
    let found = rows.iter().filter(|(row, _)| row.ends_with(ending));
    found.map(|(_, value)| *value).collect()
}

fn near(got: f64, want: f64) -> bool {
    (got - want).abs() <= 1e-5 * want.abs().max(1.0)
}

fn saved(place: &Place, file: &str, key: &str) -> Vec<f32> {
    floats(
        &std::fs::read(place.path(file)).expect("it was written"),
        key,
    )
}

const COUNTS: &str = "train t[epochs=3] {
  let net = Net
  let opt = sgd[lr=0.01](net)
  step (x, y) in line.train |> batch[4] {
    minimize net(x) with opt
    report i = iter, e = epoch, s = steps, es = epochs, n = B
  }
}
";

/// "`steps` and `epochs` are the run's totals, each computed from the other where not given"; "`epoch` and `iter` count from
/// 0"; "a smaller last batch is kept".
#[test]
fn steps_follow_from_epochs() {
    let rows = run(&place(COUNTS), &[]);
    let values = |name: &str| named(&rows, &format!(",train,{name}"));
    assert_eq!(values("i"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    assert_eq!(values("e"), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    assert_eq!(values("n"), [4.0, 4.0, 2.0, 4.0, 4.0, 2.0, 4.0, 4.0, 2.0]);
    assert_eq!((values("s"), values("es")), (vec![9.0; 9], vec![3.0; 9]));
    assert_eq!(rows[0].0, "0,0,train,i");
}

const NEIGHBOURS: &str = "train t[epochs=2] {
  let net = Net
  let opt = sgd[lr=0](net)
  step (x, y) in line.train |> batch[4] {
    let v = reshape[B](x)
    let loss = net(x) * sum(v * flip[0](v))
    minimize loss with opt
    report loss = loss / 2, ends = v[-1] - v[0], jumps = sum((v[1:] - v[:-1]) ^ 2)
  }
  eval (x, y) in line.train |> batch[4] {
    let v = reshape[B](x)
    report ends = v[-1] - v[0], rolled = max(v - roll[1, axis=0](v)), first = mean(v[:2])
  }
}
";

/// "Slices are Python's", along the batch too, and a smaller last batch "counts exactly": samples that read one another
/// read those of their own batch alone.
#[test]
fn samples_read_those_of_their_batch() {
    let rows = run(&place(NEIGHBOURS), &["--threads", "2"]);
    let values = |name: &str| named(&rows, &format!(",{name}"));
    let twice = |values: [f64; 3]| [values, values].concat();
    assert_eq!(values("train,loss"), twice([4.0, 116.0, 144.0]));
    assert_eq!(values("train,ends"), twice([3.0, 3.0, 1.0]));
    assert_eq!(values("train,jumps"), twice([3.0, 3.0, 1.0]));
    // Means weighted by samples, of 4, 4 and 2.
    for (name, wanted) in [("ends", 2.6), ("rolled", 1.0), ("first", 3.7)] {
        let found = values(&format!("eval,{name}"));
        assert_eq!(found.len(), 2, "{name}");
        assert!(
            found.iter().all(|value| near(*value, wanted)),
            "{name}: {found:?}"
        );
    }
}

/// An index that a batch is too small for ends the run before it begins; a slice of more than it has is all of it.
#[test]
fn an_index_beyond_the_last_batch_is_an_error() {
    let clipped = NEIGHBOURS.replace("v[:2]", "v[:3]");
    run(&place(&clipped), &[]);
    let program = NEIGHBOURS.replace("v[:2]", "v[2]");
    let place = place(&program);
    let failed = place.dlmc(&["run", "p.dlm", "--out", "out"]).bad(1).stderr;
    assert!(
        failed.contains("this needs 3 samples, and the last batch has 2"),
        "{failed}"
    );
    assert!(failed.contains("p.dlm:17:86"), "{failed}");
}

/// The rows of a batch are as many as its samples: an index beyond them ends the run.
#[test]
fn an_index_beyond_the_batch_ends_the_run() {
    let program = NEIGHBOURS.replace("v[-1] - v[0], jumps", "sum(gather(v, i32(v))), jumps");
    let failed = place(&program)
        .dlmc(&["run", "p.dlm", "--out", "out"])
        .bad(1)
        .stderr;
    let wanted = "the index 4 is out of range, in sample 0 of the batch, in epoch 0, iter 1";
    assert!(failed.contains(wanted), "{failed}");
    assert!(failed.contains("takes 0..B"), "{failed}");
}

/// "`if / else` … in `step` also on `iter` and `epoch`": what a branch reports is a row of the steps that take it, and what the
/// others would report may be anything.
#[test]
fn a_branch_reports_in_the_steps_that_take_it() {
    let program = "train t[epochs=1] {
  let net = Net
  let opt = sgd[lr=0](net)
  step (x, y) in line.train |> batch[2] {
    minimize net(x) with opt
    if iter % 2 == 0 { report half = iter / 2, inverse = 1 / (1 - iter % 2) }
    else if iter == 3 { report half = 100, late = mean(x) }
  }
}
";
    let rows = run(&place(program), &[]);
    let values = |name: &str| named(&rows, &format!(",train,{name}"));
    assert_eq!(values("half"), [0.0, 1.0, 100.0, 2.0]);
    assert_eq!(values("inverse"), [1.0, 1.0, 1.0]);
    assert_eq!(values("late"), [6.5]);
    let late = rows.iter().find(|(row, _)| row.ends_with("late"));
    assert_eq!(late.map(|(row, _)| row.as_str()), Some("0,3,train,late"));
}

/// "… each computed from the other where not given."
#[test]
fn epochs_follow_from_steps() {
    let rows = run(&place(&COUNTS.replace("epochs=3", "steps=7")), &[]);
    let values = |name: &str| named(&rows, &format!(",train,{name}"));
    assert_eq!(values("i").len(), 7);
    assert_eq!((values("s"), values("es")), (vec![7.0; 7], vec![3.0; 7]));
}

/// "Where both are, `steps` ends the run."
#[test]
fn steps_end_the_run_where_both_are_given() {
    for (statics, steps) in [("epochs=3, steps=5", 5), ("epochs=1, steps=5", 5)] {
        let rows = run(&place(&COUNTS.replace("epochs=3", statics)), &[]);
        let values = |name: &str| named(&rows, &format!(",train,{name}"));
        assert_eq!(values("i").len(), steps, "{statics}");
        assert_eq!(values("s"), vec![5.0; steps], "{statics}");
    }
}

/// "`batch[n, drop=true]` drops it."
#[test]
fn a_smaller_last_batch_can_be_dropped() {
    let rows = run(
        &place(&COUNTS.replace("batch[4]", "batch[4, drop=true]")),
        &[],
    );
    assert_eq!(named(&rows, ",train,n"), [4.0; 6]);
    assert_eq!(named(&rows, ",train,s"), [6.0; 6]);
}

const EVALS: &str = "train t[epochs=2] {
  let net = Net
  let opt = sgd[lr=0.5](net)
  step (x, y) in line.train |> batch[5] {
    let loss = net(x)
    minimize loss with opt
    report loss
  }
  eval (x, y) in line.train |> batch[4] {
    report mean(x), w = net(x), even = i32(sum(f32(y == 0))), confusion(concat[-1](0 * x, x - 4.5), y),
           rmse(x[:, 0], 0)
  }
  eval valid (x, y) in line.train |> batch[10] { report w = net(x) }
}
";

/// "`eval`s run after each epoch and at the end." "`eval valid (x, y) in …` sets `split`."
#[test]
fn evaluations_run_after_each_epoch_and_at_the_end() {
    let rows = run(&place(EVALS), &[]);
    assert_eq!(named(&rows, ",train,loss"), [2.0, 1.5, 1.0, 0.5]);
    assert_eq!(named(&rows, ",eval,w"), [1.0, 0.0]);
    assert_eq!(named(&rows, ",valid,w"), [1.0, 0.0]);
    // Half an epoch more: the end is not an epoch's.
    let rows = run(&place(&EVALS.replace("epochs=2", "steps=3")), &[]);
    assert_eq!(named(&rows, ",eval,w"), [1.0, 0.5]);
    let rows = run(&place(&EVALS.replace("epochs=2", "steps=1")), &[]);
    assert_eq!(named(&rows, ",valid,w"), [1.5]);
}

/// "In `eval` scalars are means weighted by samples, metrics whole-set. Tensors give rows `confusion[0,1]`": batches of 4,
/// 4 and 2 samples.
#[test]
fn evaluations_count_every_sample_once() {
    let rows = run(&place(&EVALS.replace("epochs=2", "epochs=1")), &[]);
    let value = |name: &str| named(&rows, &format!(",eval,{name}"));
    assert_eq!(value("mean"), [4.5]);
    assert_eq!(value("even"), [5.0]);
    let cells = [
        "confusion[0,0]",
        "confusion[0,1]",
        "confusion[1,0]",
        "confusion[1,1]",
    ];
    assert_eq!(cells.map(|name| value(name)[0]), [3.0, 2.0, 2.0, 3.0]);
    assert!(
        near(value("rmse")[0], (285.0_f64 / 10.0).sqrt()),
        "{rows:?}"
    );
}

/// "`--log-every` defaults to 1 in the file": the command line's wins.
#[test]
fn log_every_is_the_command_lines_else_the_files_else_1() {
    let iters = |program: &str, more: &[&str]| {
        let rows = run(&place(program), more);
        named(&rows, ",train,i")
    };
    assert_eq!(iters(COUNTS, &[]).len(), 9);
    let in_file = COUNTS.replace("epochs=3", "epochs=3, log_every=4");
    assert_eq!(iters(&in_file, &[]), [0.0, 4.0, 8.0]);
    assert_eq!(iters(&in_file, &["--log-every", "3"]), [0.0, 3.0, 6.0]);
    assert_eq!(iters(COUNTS, &["--log-every", "5"]), [0.0, 5.0]);
}

/// "`ema` is saved as `ema.PATH`; `eval` and `predict` use it."
#[test]
fn averages_are_saved_and_used() {
    let program = "block Scale(x: f32[B, n]) -> f32[B, n] {
  param w: f32 = constant[2]
  return w * x
}
train t[epochs=1] {
  let net = Scale
  let opt = sgd[lr=0.5, ema=0.75](net)
  step (x, y) in line.train |> batch[10] { minimize net.w with opt }
  eval (x, y) in line.train |> batch[10] { report w = mean(net(x)) / 4.5 }
}
";
    let place = place(&program.replace("minimize net.w", "let z = net(x)\n minimize net.w"));
    let rows = run(&place, &[]);
    assert_eq!(saved(&place, "out/model.safetensors", "net.w"), [1.5]);
    assert_eq!(saved(&place, "out/model.safetensors", "ema.net.w"), [1.875]);
    assert_eq!(named(&rows, ",eval,w"), [1.875]);
    assert_eq!(place.dlmc(&["eval", "out"]).good().stdout, "eval w 1.875\n");
    // An average of a loaded parameter begins at what was loaded: 0.75 * 4 + 0.25 * 3.5.
    let place = place.with("w.safetensors", tensors(&[("net.w", &[], &[4.0])]));
    let rows = run(&place, &["--init", "w.safetensors"]);
    assert_eq!(named(&rows, ",eval,w"), [3.875]);
    run(&place, &[]);
    let place = place.with("new.csv", "x\n2\n");
    let predicted = place.dlmc(&["predict", "out", "new.csv"]).good().stdout;
    assert!(predicted.trim_end().ends_with(" 3.75"), "{predicted}");
}

/// "`zip(…)` gives two sets side by side; the first sets the epoch, the other cycles."
#[test]
fn the_first_set_of_a_zip_sets_the_epoch_and_the_other_cycles() {
    let program = "data other = csv[\"other.csv\"]
train t[epochs=2] {
  let net = Net
  let opt = sgd(net)
  step ((x, _), (z, _)) in zip(line.train |> batch[5], other.train |> batch[3]) {
    minimize net(x) with opt
    report a = sum(x), b = sum(z), n = len(z), e = epoch
  }
}
";
    let place = place(program).with("other.csv", "z,y\n1,0\n10,0\n100,0\n1000,0\n");
    let rows = run(&place, &[]);
    let values = |name: &str| named(&rows, &format!(",train,{name}"));
    assert_eq!(values("a"), [10.0, 35.0, 10.0, 35.0]);
    assert_eq!(values("e"), [0.0, 0.0, 1.0, 1.0]);
    assert_eq!(values("n"), [3.0; 4], "its batches are always full");
    assert_eq!(values("b"), [111.0, 1011.0, 1101.0, 1110.0]);
}

/// "Labels are `i32`; `mixup` makes them `f32` over classes": of each sample they sum to 1.
#[test]
fn mixed_labels_are_shares_of_classes() {
    let program = "train t[epochs=1] {
  let net = Net
  let opt = sgd(net)
  step (x, y) in line.train |> mixup[1.0] |> batch[10] {
    minimize net(x) with opt
    report least = min(y), total = sum(y), classes = y.shape[1], spread = mean(y[:, 0] * y[:, 1])
  }
}
";
    let rows = run(&place(program), &[]);
    let value = |name: &str| named(&rows, &format!(",train,{name}"))[0];
    assert!(
        value("least") >= 0.0 && near(value("total"), 10.0),
        "{rows:?}"
    );
    assert!(value("classes") == 2.0 && value("spread") > 0.0, "{rows:?}");
}

const TWO: &str = "train t[epochs=1] {
  let enc = Linear[1]
  let norm = BatchNorm
  let opt = sgd[lr=0](enc, norm)
  step (x, y) in line.train |> batch[10] {
    let loss = mean(x |> enc |> norm)
    minimize loss with opt
  }
}
";

/// "`--init W[,GLOB]` loads the paths that GLOB matches (default all); a missing, unknown or misshapen one is an error."
#[test]
fn init_loads_what_its_glob_matches() {
    let all: [(&str, &[usize], &[f32]); 6] = [
        ("enc.weight", &[1, 1], &[3.0]),
        ("enc.bias", &[1], &[4.0]),
        ("norm.weight", &[1], &[5.0]),
        ("norm.bias", &[1], &[6.0]),
        ("norm.running_mean", &[1], &[7.0]),
        ("norm.running_var", &[1], &[8.0]),
    ];
    let with =
        |given: &[(&str, &[usize], &[f32])]| place(TWO).with("w.safetensors", tensors(given));
    let try_ = |place: &Place, init: &str| {
        place.dlmc(&["run", "p.dlm", "--out", "out", "--quiet", "--init", init])
    };
    let place = with(&all);
    try_(&place, "w.safetensors").good();
    let model = |key: &str| saved(&place, "out/model.safetensors", key);
    assert_eq!(
        (model("enc.weight"), model("enc.bias")),
        (vec![3.0], vec![4.0])
    );
    assert_eq!(
        (model("norm.weight"), model("norm.bias")),
        (vec![5.0], vec![6.0])
    );
    try_(&place, "w.safetensors,enc.*").good();
    assert_eq!(
        (model("enc.weight"), model("norm.weight")),
        (vec![3.0], vec![1.0])
    );
    let outcome = try_(&place, "w.safetensors,dec.*").bad(2);
    assert!(outcome.stderr.contains("dec.*"), "{}", outcome.stderr);

    let missing = with(&all[1..]);
    let outcome = try_(&missing, "w.safetensors").bad(1);
    assert!(outcome.stderr.contains("enc.weight"), "{}", outcome.stderr);
    try_(&missing, "w.safetensors,norm.*").good();
    let no_state = with(&all[..5]);
    let outcome = try_(&no_state, "w.safetensors").bad(1);
    assert!(
        outcome.stderr.contains("norm.running_var"),
        "{}",
        outcome.stderr
    );

    let unknown = [&all[..], &[("enc.gain", &[1], &[1.0])]].concat();
    let outcome = try_(&with(&unknown), "w.safetensors").bad(1);
    assert!(outcome.stderr.contains("enc.gain"), "{}", outcome.stderr);
    try_(&with(&unknown), "w.safetensors,norm.*").good();

    let mut misshapen = all;
    misshapen[1] = ("enc.bias", &[2], &[1.0, 2.0]);
    let outcome = try_(&with(&misshapen), "w.safetensors").bad(1);
    assert!(outcome.stderr.contains("enc.bias"), "{}", outcome.stderr);
}

/// "`dlmc call` is a `step` unless `--eval`"; "`dlmc call` uses seed 0, step 0."
#[test]
fn a_call_is_a_step_of_seed_0() {
    let program = "fn noise(x: f32[4]) -> f32[4] { return x + rand[4] }
block Mode(x: f32[4]) -> f32[4] {
  state n: f32 = zeros
  n <- n + 1
  return x + (if training { 10 } else { 20 }) + n
}
train t[steps=1] {
  let net = Net
  let opt = sgd(net)
  step (x, y) in line.train |> batch[4] { minimize net(x) with opt }
}
";
    let place = place(program).with("in.safetensors", tensors(&[("in.x", &[4], &[0.0; 4])]));
    let call = |name: &str, more: &[&str]| {
        let arguments = [
            "call",
            "p.dlm",
            name,
            "--in",
            "in.safetensors",
            "--out",
            "r.safetensors",
        ];
        place.dlmc(&[&arguments, more].concat()).good();
        std::fs::read(place.path("r.safetensors")).expect("it was written")
    };
    let trained = call("Mode", &[]);
    assert_eq!(floats(&trained, "out"), [11.0; 4]);
    assert_eq!(floats(&trained, "state_out.n"), [1.0]);
    let evaluated = call("Mode", &["--eval"]);
    assert_eq!(floats(&evaluated, "out"), [21.0; 4]);
    let file = SafeTensors::deserialize(&evaluated).expect("a safetensors file");
    assert!(file.tensor("state_out.n").is_err(), "nothing is stored");
    // Seed and step have no other value to take: the same each time, on any number of threads.
    let noise = call("noise", &[]);
    assert_eq!(noise, call("noise", &["--threads", "3"]));
    assert!(floats(&noise, "out").iter().all(|x| (0.0..1.0).contains(x)));
}

/// "`keep`" keeps the best by the first value of the first `eval`, "`patience`" ends a run that gets no better.
#[test]
fn keep_and_patience_look_at_the_first_value_of_the_first_eval() {
    // The loss is w^2 with a rate that makes it grow from the third step on.
    let program = "train t[epochs=9, keep=2, patience=2] {
  let net = Net
  let opt = sgd[lr=where(iter < 2, 0.25, -0.25)](net)
  step (x, y) in line.train |> batch[10] { minimize net(x) ^ 2 with opt }
  eval (x, y) in line.train |> batch[10] { report loss = net(x) ^ 2 }
}
";
    let place = place(program);
    let rows = run(&place, &[]);
    assert_eq!(named(&rows, ",eval,loss"), [1.0, 0.25, 0.5625, 1.265625]);
    let kept: Vec<String> = place
        .files()
        .into_iter()
        .filter(|name| name.contains("best/"))
        .collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    let mut weights: Vec<f32> = kept
        .iter()
        .map(|file| saved(&place, file, "net.w")[0])
        .collect();
    weights.sort_by(f32::total_cmp);
    assert_eq!(weights, [0.5, 0.75]);
}

/// What is returned or reported may be a parameter or state: it has the value of its place in the program, before or after
/// an update.
#[test]
fn what_is_returned_has_the_value_of_its_place() {
    let program = "block Places(x: f32[2]) -> f32[2], f32[2], f32[2] {
  param w: f32[2] = constant[4]
  state n: f32[2] = ones
  let before = n
  n <- n + x
  return before, n, w
}
train t[steps=2] {
  let net = Net
  let opt = sgd[lr=0.5](net)
  step (x, y) in line.train |> batch[10] {
    let before = net(x)
    minimize before with opt
    report before, after = net(x), kept = net.w
  }
}
";
    let place = place(program).with("in.safetensors", tensors(&[("in.x", &[2], &[2.0, 3.0])]));
    let arguments = [
        "call",
        "p.dlm",
        "Places",
        "--in",
        "in.safetensors",
        "--out",
        "r.safetensors",
    ];
    place.dlmc(&arguments).good();
    let result = |key: &str| saved(&place, "r.safetensors", key);
    assert_eq!(
        (result("out.0"), result("out.1")),
        (vec![1.0, 1.0], vec![3.0, 4.0])
    );
    assert_eq!(
        (result("out.2"), result("state_out.n")),
        (vec![4.0, 4.0], vec![3.0, 4.0])
    );
    let rows = run(&place, &[]);
    let values = |name: &str| named(&rows, &format!(",train,{name}"));
    assert_eq!(
        (values("before"), values("after")),
        (vec![2.0, 1.5], vec![1.5, 1.0])
    );
    assert_eq!(values("kept"), [1.5, 1.0]);
}

/// `pixel_shuffle` of a batch of images, down to one channel.
#[test]
fn a_batch_can_be_shuffled_to_one_channel() {
    let program = "\
data images = digits[]
block Net(x: f32[B, 1, h, w]) -> f32[B, 1, ..] {
  return x |> Conv2d[4, 3, pad=1] |> pixel_shuffle[2] |> Conv2d[1, 3, pad=1]
}
train t[steps=30] {
  let net = Net
  let opt = adam[lr=0.01](net)
  step (x, y) in images.train |> batch[32] {
    let loss = mse(net(x), upsample[2](x))
    minimize loss with opt
    report loss
  }
}
";
    let place = Place::new().with("p.dlm", program);
    let losses = named(&run(&place, &[]), ",train,loss");
    assert!(losses[29] < 0.5 * losses[0], "{losses:?}");
}

/// "`d.train.count .classes .class_counts .shape .vocab` are compile-time": counts are those of the samples that the run
/// reads, whatever has chosen them.
#[test]
fn counts_are_those_of_the_samples_that_are_read() {
    for stages in [
        "split[0.8]",
        "take[700]",
        "split[0.3, seed=5] |> take[200]",
        "filter_class[3, 5] |> split[0.5]",
        "split[0.5] |> filter_class[3, 4, 5] |> balance",
        "split[0.8] |> one_hot |> noise[1]",
        "take[500] |> split[0.6]",
    ] {
        let label = if stages.contains("one_hot") {
            "y[:, 3]"
        } else {
            "y == 3"
        };
        let program = format!(
            "data d = digits[] |> {stages}
train t[steps=1] {{
  let net = Net
  let opt = sgd[lr=0.01](net)
  let part = d.train |> take[150]
  step (x, y) in d.train |> batch[64] {{
    minimize net(flatten(x)) / d.train.class_counts[3] with opt
  }}
  eval all (x, y) in d.train |> batch[2000] {{
    report off = sum(f32({label})) - d.train.class_counts[3], less = B - d.train.count + 0 * mean(x)
  }}
  eval part (x, y) in part |> batch[2000] {{
    report off = sum(f32({label})) - part.class_counts[3], less = B - part.count + 0 * mean(x)
  }}
}}"
        );
        let place = place(&program);
        let rows = run(&place, &[]);
        for name in [",all,off", ",all,less", ",part,off", ",part,less"] {
            assert_eq!(named(&rows, name), [0.0], "{stages}{name}");
        }
        // The folder of the run knows them too.
        assert!(
            place
                .dlmc(&["eval", "out"])
                .good()
                .stdout
                .contains("all off 0\n")
        );
    }
}

/// Slices of the batch are Python's for each size of a batch, in machine code too.
#[test]
fn slices_of_a_batch_are_compiled_for_each_size() {
    let place = place(
        "train t[epochs=1] {
  let net = Net
  let opt = sgd[lr=0.01](net)
  step (x, y) in line.train |> batch[4] {
    let odd = x[1::2]
    minimize net(x) * mean(odd) with opt
    report odd = sum(odd), clipped = sum(x[:3]), back = sum(x[::-3]), w = net.w
  }
  eval (x, y) in line.train |> batch[4] { report sum(x[::2]) }
  eval full (x, y) in line.train |> batch[4, drop=true] { report sum(x[::2]) }
}",
    );
    let rows = run(&place, &[]);
    // Batches 0 1 2 3, 4 5 6 7, 8 9.
    assert_eq!(named(&rows, "train,odd"), [4.0, 12.0, 9.0]);
    assert_eq!(named(&rows, "train,clipped"), [3.0, 15.0, 17.0]);
    assert_eq!(named(&rows, "train,back"), [3.0, 11.0, 9.0]);
    let w = [2.0 - 0.02, 2.0 - 0.08, 2.0 - 0.17];
    for (got, want) in named(&rows, "train,w").into_iter().zip(w) {
        assert!(near(got, want), "{got} {want}");
    }
    // A mean weighted by samples: 2, 10 and 8 of 4, 4 and 2; of full batches alone 2 and 10.
    assert_eq!(named(&rows, "eval,sum"), [6.4]);
    assert_eq!(named(&rows, "full,sum"), [6.0]);
}

/// Gradients go back through them to the samples that they take.
#[test]
fn gradients_go_through_slices_of_a_batch() {
    let place = place(
        "block Scale(x: f32[B, n]) -> f32[B, n] {
  param factor: f32 = constant[1]
  return x * factor
}
train t[epochs=1] {
  let net = Scale
  let opt = sgd[lr=0.001](net)
  step (x, y) in line.train |> batch[4] {
    let z = net(x)
    minimize sum(z[1::2]) + 10 * sum(z[1:]) + 100 * sum(z[::-1][:1]) with opt
    report w = net.factor
  }
}
train u[epochs=1] {
  let net = Scale
  let opt = sgd[lr=0.001](net)
  step (x, y) in line.train |> batch[4] {
    minimize 10 * sum(net(x)[1:]) with opt
    report w = net.factor
  }
}",
    );
    let near_all = |found: Vec<f64>, wanted: [f64; 3]| {
        assert_eq!(found.len(), 3);
        for (got, want) in found.into_iter().zip(wanted) {
            assert!(near(got, want), "{got} {want}");
        }
    };
    let rows = run(&place, &[]);
    near_all(named(&rows, "train,w"), [0.636, -0.256, -1.255]);
    let arguments = ["run", "p.dlm", "u", "--out", "out", "--quiet"];
    place.dlmc(&arguments).good();
    near_all(
        named(&rows_of(&place, "out"), "train,w"),
        [0.94, 0.76, 0.67],
    );
}

/// `predict` takes the table that was learnt from: its labels are left out.
#[test]
fn predict_ignores_the_column_of_labels() {
    let place = place(
        "train t[steps=1] {
  let net = Linear[1]
  let opt = sgd[lr=0.01](net)
  step (x, y) in line.train |> batch[4] { minimize mean(net(x)) with opt }
}",
    )
    .with("new.csv", "x\n0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    run(&place, &[]);
    let numbers = |file: &str| -> Vec<String> {
        let printed = place.dlmc(&["predict", "out", file]).good().stdout;
        let line = |line: &str| line.rsplit(' ').next().unwrap_or("").to_owned();
        printed.lines().map(line).collect()
    };
    assert_eq!(numbers("line.csv").len(), 10);
    assert_eq!(numbers("line.csv"), numbers("new.csv"));
}
