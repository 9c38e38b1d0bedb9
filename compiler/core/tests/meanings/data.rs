//! **Data.** Sets side by side, what is known of a split when the program is compiled, and labels.

use crate::programs;
use crate::support::{HEAD, Run, run_refused, train_text};
use dlm_core::graph::eval;

/// "`zip(a.train |> batch[32], b.train |> shuffle |> batch[96])` gives two sets side by side; the first sets the epoch,
/// the other cycles."
#[test]
fn zip_gives_sets_side_by_side() {
    let text = format!(
        "{HEAD}train run {{
          let net = Net
          let opt = sgd(net)
          step ((a, _), (b, y)) in zip(numbers.train |> batch[2], numbers.test |> shuffle |> batch[6]) {{
            minimize net(a) + mean(b) + mean(f32(y)) / B with opt
          }}
        }}"
    );
    let program = programs::train_ok("run.dlm", &text);
    let shown: Vec<String> = program
        .feeds
        .iter()
        .flat_map(|feed| {
            let stages: Vec<&str> = feed
                .stages
                .iter()
                .map(|stage| stage.name.as_str())
                .collect();
            let inputs = feed.inputs.iter();
            inputs.map(move |input| {
                format!(
                    "{} {} {stages:?} {}: {}",
                    feed.split, feed.batch, input.name, input.ty
                )
            })
        })
        .collect();
    assert_eq!(
        shown,
        [
            "train 2 [] a: f32[B, 1, 28, 28]",
            "test 6 [\"shuffle\"] b: f32[6, 1, 28, 28]",
            "test 6 [\"shuffle\"] y: i32[6]"
        ]
    );
}

/// "`d.train.count .classes .class_counts .shape .vocab` are compile-time."
#[test]
fn what_is_known_of_a_split_is_compile_time() {
    let body = "minimize net(x) with opt
    report count = sum(ones[numbers.train.count]), classes = sum(ones[numbers.test.classes]),
           side = sum(ones[numbers.train.shape[1]]), rank = len(numbers.train.shape), vocab = sum(ones[numbers.train.vocab]),
           third = numbers.train.class_counts[3], tests = numbers.test.count";
    let outputs = Run::new(&train_text("sgd(net)", body)).step(0);
    let value = |name: &str| outputs[name].data[0];
    assert_eq!(
        ["count", "classes", "side", "rank", "vocab"].map(value),
        [6000.0, 10.0, 28.0, 3.0, 65.0]
    );
    assert_eq!(["third", "tests"].map(value), [600.0, 1000.0]);
    run_refused(
        &train_text("sgd(net)", "minimize net(x) * numbers.train.size with opt"),
        &["run.dlm:10:", "size"],
    );
}

/// "`cross_entropy[weight=1 / d.train.class_counts]`; lists allow elementwise arithmetic."
#[test]
fn lists_allow_elementwise_arithmetic() {
    use crate::support::check;
    check(
        "fn case() { return 12 / [1, 2, 3] - [1, 1, 1] * 2 }",
        &[],
        &[10.0, 4.0, 2.0],
    );
    check(
        "fn case() { let a = -[1, 2] ^ 2\n return sum(a) }",
        &[],
        &[-5.0],
    );
    let body = "let logits = x[:, 0, 0, :10] * net(x)
    let loss = cross_entropy[weight=1 / numbers.train.class_counts](logits, y)
    minimize loss with opt
    report loss";
    let outputs = Run::new(&train_text("sgd(net)", body)).step(0);
    // All logits are equal, and all weights: the mean of -log(1/10).
    assert!((outputs["loss"].data[0] - 10.0_f64.ln()).abs() < 1e-6);
}

/// "Labels are `i32`; `mixup` makes them `f32` over classes, which `cross_entropy` also takes."
#[test]
fn labels_are_ints_and_mixup_makes_them_floats_over_classes() {
    let text = train_text(
        "sgd(net)",
        "let loss = cross_entropy(x[:, 0, 0, :10] * net(x), y)\n minimize loss with opt\n report loss",
    );
    let types = |text: &str| {
        let program = programs::train_ok("run.dlm", text);
        program.feeds[0]
            .inputs
            .iter()
            .map(|input| input.ty.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(types(&text), ["f32[B, 1, 28, 28]", "i32[B]"]);
    for stage in ["mixup", "cutmix", "one_hot"] {
        let mixed = text.replace("|> batch", &format!("|> {stage} |> batch"));
        assert_eq!(
            types(&mixed),
            ["f32[B, 1, 28, 28]", "f32[B, 10]"],
            "{stage}"
        );
        let mut run = Run::new(&mixed);
        let labels = eval::Tensor::from_fn(&[2, 10], |at| if at[1] < 2 { 0.5 } else { 0.0 });
        run.values.insert("y".into(), labels);
        let loss = run.step(0)["loss"].data[0];
        assert!((loss - 10.0_f64.ln()).abs() < 1e-6, "{stage}: {loss}");
    }
}

/// Augmentation in a `data` item is for training: an `eval` reads samples, and labels, as they are.
#[test]
fn augmentation_is_for_steps() {
    let text = HEAD.replace(
        "mnist[\"\"]",
        "mnist[\"\"] |> noise[5] |> mixup |> cutmix |> scale[2, 0]",
    );
    let text = format!(
        "{text}train run {{
          let net = Net
          let opt = sgd(net)
          step (x, y) in numbers.train |> batch[2] {{ minimize net(x) + mean(y) with opt }}
          eval (x, y) in numbers.test |> batch[2] {{ report mean(x), classes = mean(f32(one_hot[10](y))) }}
          eval own (x, y) in numbers.test |> noise[1] |> mixup |> batch[2] {{ report mean(x), soft = mean(y) }}
        }}"
    );
    let program = programs::train_ok("run.dlm", &text);
    let stages = |feed: &dlm_core::elaborate::program::Feed| -> Vec<String> {
        let whole = program.datasets[feed.dataset].stages.iter();
        whole
            .chain(&feed.stages)
            .map(|stage| stage.name.clone())
            .collect()
    };
    assert_eq!(
        stages(&program.feeds[0]),
        ["noise", "mixup", "cutmix", "scale"]
    );
    assert_eq!(stages(&program.evals[0].feeds[0]), ["scale"]);
    assert_eq!(
        stages(&program.evals[1].feeds[0]),
        ["scale", "noise", "mixup"]
    );
    let types = |feed: &dlm_core::elaborate::program::Feed| feed.inputs[1].ty.to_string();
    assert_eq!(types(&program.feeds[0]), "f32[B, 10]");
    assert_eq!(types(&program.evals[0].feeds[0]), "i32[B]");
    assert_eq!(types(&program.evals[1].feeds[0]), "f32[B, 10]");
}

/// Counts of classes that nobody can tell are refused with the reason.
#[test]
fn counts_that_cannot_be_known_say_why() {
    for (stages, why) in [
        (
            "mixup",
            "`mixup` and `cutmix` make samples that are of several classes",
        ),
        (
            "shuffle |> take[100]",
            "`take` after `shuffle` takes other samples in each epoch",
        ),
        ("map[other]", "`map` may give other labels"),
    ] {
        let head = HEAD.replace("mnist[\"\"]", &format!("mnist[\"\"] |> {stages}"));
        let head = format!(
            "fn other(x: f32[..], y: i32) -> f32[..], i32 {{ return x, (y + 1) % 10 }}\n{head}"
        );
        let text = format!(
            "{head}train run {{
              let net = Net
              let opt = sgd(net)
              step (x, y) in numbers.train |> batch[2] {{
                minimize net(x) * numbers.train.class_counts[0] with opt
              }}
            }}"
        );
        run_refused(&text, &["`.class_counts` of this data is not known", why]);
    }
    // All samples are still all, one hot or not.
    for stages in ["take[100000]", "one_hot", "normalize[0.5, 0.5]", "noise[1]"] {
        let head = HEAD.replace("mnist[\"\"]", &format!("mnist[\"\"] |> {stages}"));
        let body = "minimize net(x) * numbers.train.class_counts[0] with opt";
        programs::train_ok(
            "run.dlm",
            &train_text("sgd(net)", body).replace(HEAD, &head),
        );
    }
}
