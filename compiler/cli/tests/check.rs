//! What `dlmc check` says of blocks whose signatures leave sizes open, and of the mistakes of data.

mod common;

use common::Place;

/// What `check` prints of a program, and how it ends.
fn checked(text: &str) -> String {
    // Memory depends on both.
    let machine = ["--target-features", "vector128", "--threads", "2"];
    let arguments = [&["check", "p.dlm"], &machine[..]].concat();
    let outcome = Place::new().with("p.dlm", text).dlmc(&arguments);
    format!(
        "{text}\n-----\n{}{}exit code {:?}\n",
        outcome.stderr, outcome.stdout, outcome.code
    )
}

/// A block that nothing calls has sizes that fit it; one that is called has those of its call.
#[test]
fn open_sizes_are_found() {
    insta::assert_snapshot!(checked(
        "\
block Attention[heads: int](x: f32[B, T, D]) -> f32[B, T, D] {
  let q, k, v = x |> Linear[3 * D, bias=false]
                  |> rearrange[\"b t (n h d) -> n b h t d\", n=3, h=heads]
  let a = einsum[\"b h i d, b h j d -> b h i j\"](q, k) / sqrt(D / heads)
          |> causal_mask |> softmax[axis=-1] |> dropout[0.1]
  return einsum[\"b h i j, b h j d -> b i h d\"](a, v) |> rearrange[\"b t h d -> b t (h d)\"] |> Linear[D]
}
block Gpt[vocab: int, ctx: int, d: int = 128, layers: int = 2](ids: i32[B, T]) -> f32[B, T, vocab] {
  let tok = Embedding[vocab, d]
  param pos: f32[ctx, d] = normal[0.02]
  let h = tok(ids) + pos[0:T]
  for i in 0..layers { h = h |> TransformerLayer[4, causal=true] }
  return einsum[\"b t d, v d -> b t v\"](h |> LayerNorm, tok.weight)
}
block Res[c: int, stride: int = 1](x: f32[B, cin, h, w]) -> f32[B, c, ..] {
  let y = x |> Conv2d[c, 3, stride=stride, pad=1, bias=false] |> BatchNorm
  return relu(y)
}
block Images(x: f32[B, 3, 32, 32]) -> f32[B, 16] { return x |> Res[16, stride=2] |> global_avg_pool }
block Digits(x: f32[B, n]) -> f32[B, 28, 28] { return x |> reshape[B, 28, 28] }
block Wrapped[inner: block](x: f32[B, n]) -> f32[B, n] { return inner(x) }
"
    ));
}

/// What no sizes can cause is an error, each once; what sizes may cause is none.
#[test]
fn mistakes_of_blocks_with_open_sizes_are_found() {
    insta::assert_snapshot!(checked(
        "\
block Called(x: f32[B, T, D]) { return x |> Linear[D, biass=false] }
block Unused(x: f32[B, T, D]) { return x |> Called |> Linear[D, init=3] }
block Mixed(x: f32[B, T, D], ids: i32[B, T]) { return x * unsqueeze[-1](ids) }
block Wide(x: f32[B, T, D]) -> f32[B, T, D] { return x |> Linear[D + 1] }
fn far(x: f32[n], y: f32[m]) -> f32[n] { return x + y }
"
    ));
}

/// An item that cannot be read hides no mistake of another, and what names it is no mistake.
#[test]
fn every_mistake_is_said_at_once() {
    insta::assert_snapshot!(checked(
        "\
fn broken(x: f33[B, 3]) -> f32[B, 3] { return x }
fn cut(x: f32[B; 3]) -> f32[B, 3] { return x }
let width = 3 +
data images = digits[] |> resize[
fn right(x: f32[B, width]) -> f32[B, 3] { return broken(x) + cut(x) + nothing }
block Short(x: f32[B, 3]) -> f32[B, 4] { return x |> Linear[5] }
train t[steps=1, sed=3] {
  let net = Short
  let opt = sgd[lr=-1](net)
  step (x, y) in images.train |> batch[8] { minimize mean(net(x)) with opt }
}
train u[steps=] { let net = Short }
"
    ));
}

/// Sizes cannot cause two things of one path.
#[test]
fn equal_paths_of_an_unused_block_are_an_error() {
    insta::assert_snapshot!(checked(
        "\
block Twice(x: f32[B, n]) -> f32[B, n] {
  let a = Linear[n]
  let a = Linear[n]
  return a(x)
}
block Thrice(x: f32[B, n]) -> f32[B, n] {
  param w: f32[n] = zeros
  param w: f32[n] = ones
  return x * w
}
"
    ));
}

const RUN: &str = "
block Net(x: f32[B, 1, 8, 8]) -> f32[B, CLASSES] { return x |> flatten |> Linear[CLASSES] }
train t[steps=1] {
  let net = Net
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[8] { minimize cross_entropy(net(x), y) with opt }
}
";

/// The error that a command ends with, which must be the same of `check` and `run`.
fn of_data(data: &str, classes: &str) -> String {
    let text = format!("data images = {data}{}", RUN.replace("CLASSES", classes));
    let place = Place::new().with("p.dlm", text);
    let checked = place.dlmc(&["check", "p.dlm"]).bad(1).stderr;
    assert_eq!(checked, place.dlmc(&["run", "p.dlm"]).bad(1).stderr);
    checked
}

#[test]
fn an_epoch_without_a_batch_is_an_error() {
    for (data, stages) in [
        (
            "synthetic[20, \"f32[8]\", \"i32 0..3\"]",
            "shuffle |> batch[50, drop=true]",
        ),
        (
            "digits[] |> filter_class[3]",
            "take[20] |> batch[50, drop=true]",
        ),
    ] {
        let text = format!(
            "data d = {data}
train t[epochs=1] {{
  let net = Linear[3]
  let opt = sgd[lr=0.1](net)
  step (x, y) in d.train |> {stages} {{ minimize mean(net(x)) with opt }}
}}
"
        );
        let place = Place::new().with("p.dlm", text);
        for command in ["check", "run"] {
            let outcome = place.dlmc(&[command, "p.dlm"]).bad(1);
            let said = outcome.stderr;
            assert!(
                said.contains("p.dlm:5:18") && said.contains("no batch"),
                "{said}"
            );
        }
    }
}

#[test]
fn settings_that_come_to_nothing_are_said() {
    let run = |statics: &str, optimizer: &str| {
        let text = format!(
            "data d = synthetic[20, \"f32[8]\"]
train t[{statics}] {{
  let net = Linear[3]
  let opt = sgd[lr=0.1{optimizer}](net)
  step (x) in d.train |> batch[10] {{ minimize mean(net(x)) with opt }}
}}
"
        );
        Place::new().with("p.dlm", text).dlmc(&["check", "p.dlm"])
    };
    for setting in ["keep", "patience"] {
        let outcome = run(&format!("epochs=1, {setting}=2"), "").bad(1);
        assert!(outcome.stderr.contains("p.dlm:2:"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("no `eval`"), "{}", outcome.stderr);
    }
    for statics in ["steps=2", "epochs=1", "steps=3, epochs=9"] {
        let said = run(statics, ", accumulate=4").good().stderr;
        assert!(said.contains("warning: `opt` updates nothing"), "{said}");
        assert!(said.contains("p.dlm:4:"), "{said}");
    }
    for statics in ["steps=4", "epochs=2"] {
        assert_eq!(run(statics, ", accumulate=4").good().stderr, "");
    }
}

#[test]
fn data_that_does_not_take_its_arguments_is_shown() {
    let stages = [
        "brightness",
        "affine[rotate=10]",
        "filter_class[classes=[1, 2]]",
        "filter_class[\"a\"]",
        "rotate[\"a\"]",
        "noise[-1]",
        "shuffle[3]",
        "normalize[[0.1, 0.2, 0.3], 1]",
    ];
    let stages = stages.map(|stage| of_data(&format!("digits[] |> {stage}"), "10"));
    let sources = [
        "csv[\"x.csv\", labl=\"y\"]",
        "csv[3]",
        "idx[]",
        "synthetic[\"f32[2]\"]",
    ];
    let sources = sources.map(|source| of_data(source, "10"));
    let classes = of_data("digits[]", "9");
    insta::assert_snapshot!([stages.concat(), sources.concat(), classes].concat());
}

/// What only the data itself shows has a place too.
#[test]
fn data_that_does_not_fit_the_run_is_shown() {
    let rows = "a,y\n1,0\n2,3\n";
    let text = "\
data rows = csv[\"d.csv\"]
train t[steps=1] {
  let net = Linear[2]
  let opt = sgd[lr=0.1](net)
  step (x, y) in rows.train |> STAGES batch[2] { minimize cross_entropy(net(x), y) with opt }
}
";
    let said = ["map[shifted] |>", "filter_class[7] |>"].map(|stages| {
        let text = text.replace("STAGES", stages);
        let text = format!("{text}fn shifted(x: f32[1], y: i32) {{ return x, y + 1 }}\n");
        let place = Place::new().with("p.dlm", text).with("d.csv", rows);
        place.dlmc(&["run", "p.dlm"]).bad(1).stderr
    });
    insta::assert_snapshot!(said.concat());
}

/// An error in an imported file names a path that can be opened from where the command runs.
#[test]
fn imported_files_are_named_as_they_can_be_opened() {
    let place = Place::new()
        .with(
            "in/p.dlm",
            "import \"parts/q.dlm\" as q\nblock M(x: f32[B, 4]) { return x |> q.Part }\n",
        )
        .with(
            "in/parts/q.dlm",
            "block Part(x: f32[B, 4]) -> f32[B, 5] { return x |> Linear[4] }\n",
        );
    let said = place.dlmc(&["check", "in/p.dlm"]).bad(1).stderr;
    assert!(said.contains("in/parts/q.dlm:1:"), "{said}");
}

#[test]
fn a_model_is_named_by_its_folder_or_its_file() {
    let program = "\
data points = csv[\"d.csv\"]
train t[steps=1] {
  let net = Linear[2]
  let opt = sgd[lr=0](net)
  step (x, y) in points.train |> batch[4] { minimize mean(net(x)) with opt }
  eval (x, y) in points.train |> batch[3] { report size = mean(net(x) * 0) }
}
";
    let place = Place::new()
        .with("p.dlm", program)
        .with("d.csv", "x,y\n-1,0\n2,1\n")
        .with("new.csv", "x\n5\n");
    place
        .dlmc(&["run", "p.dlm", "--out", "run", "--quiet"])
        .good();
    let file = "run/model.safetensors";
    for (command, inputs) in [("eval", None), ("predict", Some("new.csv"))] {
        let of = |model: &str| {
            let arguments = [command, model].into_iter().chain(inputs);
            place.dlmc(&arguments.collect::<Vec<_>>())
        };
        assert_eq!(of("run").good().stdout, of(file).good().stdout);
        let said = of("run/metrics.csv").bad(1).stderr;
        assert!(said.contains("`run/metrics.csv` is a file"), "{said}");
    }
}
