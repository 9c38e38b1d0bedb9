//! **Reports.** Names, what a value is in `step` and in `eval`, and the names of evaluations.

use crate::programs;
use crate::support::{HEAD, Run, run_of, run_refused, train_text};
use dlm_core::elaborate::program::MetricKind;
use dlm_core::graph::eval::{self, Tensor};

fn text(report: &str) -> String {
    format!(
        "data numbers = mnist[\"\"]
block Net(x: f32[B, 1, 28, 28]) -> f32[B, 10] {{ return x |> flatten |> Linear[10] }}
train run {{
  let net = Net
  let opt = sgd(net)
  step (x, y) in numbers.train |> batch[2] {{ minimize cross_entropy(net(x), y) with opt }}
  eval (x, y) in numbers.test |> batch[2] {{
    let logits = net(x)
    report {report}
  }}
}}"
    )
}

fn names(report: &str) -> Vec<String> {
    let program = programs::train_ok("run.dlm", &text(report));
    let metrics = program.evals[0].metrics.iter();
    metrics.map(|metric| metric.name.clone()).collect()
}

/// "A metric's name is the variable's or the outermost function's; `report top5 = e` names it."
#[test]
fn a_metrics_name_is_the_variables_or_the_outermost_functions() {
    let report = "cross_entropy(logits, y), top5 = top_k[5](logits, y), top_k[2](logits, y), net(x) |> mean, mse(softmax(logits), 0)";
    assert_eq!(
        names(report),
        ["cross_entropy", "top5", "top_k", "mean", "mse"]
    );
    let mut run = run_of(
        "sgd(net)",
        "let loss = net(x)\n minimize loss with opt\n report loss, twice = 2 * loss",
    );
    let outputs = run.step(0);
    assert_eq!(
        (outputs["loss"].data[0], outputs["twice"].data[0]),
        (2.0, 4.0)
    );
    run_refused(
        &text("1 + mean(logits)"),
        &["run.dlm:9:", "no name", "report NAME"],
    );
}

/// "Two alike are an error."
#[test]
fn two_names_alike_are_an_error() {
    run_refused(
        &text("mean(logits), mean(x)"),
        &["run.dlm:9:", "`mean`", "twice"],
    );
    run_refused(
        &text("a = mean(logits)\n report a = mean(x)"),
        &["run.dlm:10:", "`a`", "twice"],
    );
}

/// "In `step` a value is that step's; in `eval` scalars are means weighted by samples, metrics whole-set."
#[test]
fn in_eval_scalars_are_means_and_metrics_of_the_whole_set() {
    let report = "accuracy(logits, y), confusion(logits, y), f1(logits, y), rmse(logits[:, 0], 0), perplexity(logits, y)";
    let program = programs::train_ok("run.dlm", &text(report));
    let kinds: Vec<&str> = program.evals[0]
        .metrics
        .iter()
        .map(|metric| match metric.kind {
            MetricKind::Mean => "mean",
            MetricKind::Sum => "sum",
            MetricKind::Joined { .. } => "whole",
            MetricKind::Picture => "picture",
        })
        .collect();
    assert_eq!(kinds, ["mean", "sum", "whole", "whole", "whole"]);
    let mut run = run_of(
        "sgd[lr=0.5](net)",
        "let loss = net(x)\n minimize loss with opt\n report loss",
    );
    let seen: Vec<f64> = (0..3).map(|iter| run.step(iter)["loss"].data[0]).collect();
    assert_eq!(seen, [2.0, 1.5, 1.0]);
}

/// "`fn … -> metric` gets, in `eval`, all batches joined."
#[test]
fn a_metric_of_ones_own_gets_all_batches_joined() {
    let own = "fn spread(a: f32[B], y: i32[B]) -> metric { return max(a) - min(a) + B }\n";
    let program = programs::train_ok(
        "run.dlm",
        &format!("{own}{}", text("spread(logits[:, 0], y)")),
    );
    let MetricKind::Joined { arguments, graph } = &program.evals[0].metrics[0].kind else {
        panic!("it is of the whole set");
    };
    let mut values = eval::Inputs::new();
    values.insert(
        arguments[0].clone(),
        Tensor::new(&[5], vec![1.0, 7.0, -2.0, 0.0, 3.0]),
    );
    values.insert(arguments[1].clone(), Tensor::new(&[5], vec![0.0; 5]));
    let found = eval::evaluate(graph, 5, &values).expect("a metric");
    assert_eq!(found[0].1.data, [14.0]);
}

/// "`eval valid (x, y) in …` sets `split`."
#[test]
fn an_evals_name_is_its_split() {
    let one = text("mean(logits)");
    assert_eq!(programs::train_ok("run.dlm", &one).evals[0].split, "eval");
    let named = one.replace("eval (x, y)", "eval valid (x, y)");
    assert_eq!(
        programs::train_ok("run.dlm", &named).evals[0].split,
        "valid"
    );
}

/// "`--log-every` defaults to 1 in the file": `log_every` is a static of the run.
#[test]
fn log_every_defaults_to_1_in_the_file() {
    let text = train_text("sgd(net)", "minimize net(x) with opt");
    assert_eq!(programs::train_ok("run.dlm", &text).settings.log_every, 1);
    let other = text.replace("steps=12", "steps=12, log_every=5");
    assert_eq!(programs::train_ok("run.dlm", &other).settings.log_every, 5);
}

/// `report` stands in `step` and `eval` only.
#[test]
fn a_report_has_its_place() {
    let misplaced = format!(
        "{HEAD}train run {{\n let net = Net\n report a = 1\n step (x, y) in numbers.train |> batch[2] {{ }}\n}}"
    );
    run_refused(&misplaced, &["run.dlm:8:", "report"]);
    assert_eq!(
        Run::new(&train_text("sgd(net)", "minimize net(x) with opt"))
            .program
            .metrics
            .len(),
        0
    );
}
