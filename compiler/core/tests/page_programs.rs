//! The programs of the language's page elaborate, and their parts have the names that it fixes.

mod programs;

use dlm_core::elaborate::TrainProgram;
use dlm_core::elaborate::program::MetricKind;
use dlm_core::graph::Op;
use dlm_core::passes;
use std::fmt::Write;
use std::path::Path;

/// What a run says of itself, as text.
fn summary(program: &TrainProgram) -> String {
    let mut text = String::new();
    let mut line = |part: std::fmt::Arguments<'_>| {
        writeln!(text, "{part}").expect("writing to a string");
    };
    line(format_args!(
        "train {} {:?}",
        program.name, program.settings
    ));
    for data in &program.datasets {
        let stages: Vec<&str> = data
            .stages
            .iter()
            .map(|stage| stage.name.as_str())
            .collect();
        line(format_args!(
            "data {} = {} |> {stages:?}",
            data.name, data.source.name
        ));
    }
    for (what, feeds) in std::iter::once(("step", &program.feeds)).chain(
        program
            .evals
            .iter()
            .map(|eval| (eval.split.as_str(), &eval.feeds)),
    ) {
        for feed in feeds {
            let stages: Vec<&str> = feed
                .stages
                .iter()
                .map(|stage| stage.name.as_str())
                .collect();
            line(format_args!(
                "{what} from data {} .{} {stages:?} batch {}",
                feed.dataset, feed.split, feed.batch
            ));
            for input in &feed.inputs {
                let below = input.bound.map(|bound| bound.below.fixed);
                line(format_args!(
                    "  part {} {}: {} below {below:?}",
                    input.part, input.name, input.ty
                ));
            }
        }
    }
    for parameter in &program.parameters {
        let optimizer = parameter.optimizer.as_deref().unwrap_or("none");
        line(format_args!(
            "param {}: {} by {optimizer}",
            parameter.path, parameter.ty
        ));
    }
    for state in &program.states {
        line(format_args!(
            "state {}: {} {:?}",
            state.path, state.ty, state.owner
        ));
    }
    for (what, metrics) in std::iter::once(("step", &program.metrics)).chain(
        program
            .evals
            .iter()
            .map(|eval| (eval.split.as_str(), &eval.metrics)),
    ) {
        for metric in metrics {
            let kind = match metric.kind {
                MetricKind::Mean => "mean",
                MetricKind::Sum => "sum",
                MetricKind::Joined { .. } => "joined",
                MetricKind::Picture => "picture",
            };
            line(format_args!(
                "{what} reports {}: {} {kind}",
                metric.name, metric.ty
            ));
        }
    }
    text
}

/// Every graph of a run takes all passes, which leave no gradient.
fn expand(program: &TrainProgram) {
    let evals = program.evals.iter().map(|eval| &eval.graph);
    for graph in [&program.step, &program.init].into_iter().chain(evals) {
        let expanded = passes::run_passes(graph, passes::PASSES, |_, _| {});
        let expanded = expanded.unwrap_or_else(|error| panic!("{}: {error}", graph.name));
        assert!(expanded.nodes.values().all(|node| node.op != Op::Gradient));
    }
}

#[test]
fn lenet() {
    let program = programs::train_ok("lenet.dlm", include_str!("../../../models/lenet.dlm"));
    expand(&program);
    insta::assert_snapshot!(summary(&program));
}

#[test]
fn resnet() {
    let program = programs::train_ok("resnet.dlm", include_str!("programs/resnet.dlm"));
    expand(&program);
    insta::assert_snapshot!(summary(&program));
}

#[test]
fn gpt() {
    let program = programs::train_ok("gpt.dlm", include_str!("programs/gpt.dlm"));
    expand(&program);
    insta::assert_snapshot!(summary(&program));
}

#[test]
fn gan() {
    let program = programs::train_ok("gan.dlm", include_str!("programs/gan.dlm"));
    expand(&program);
    insta::assert_snapshot!(summary(&program));
}

#[test]
fn a_file_may_hold_its_own_layers_and_optimizers() {
    let text = include_str!("programs/own_library.dlm");
    let program = programs::train_ok("own_library.dlm", text);
    expand(&program);
    insta::assert_snapshot!(summary(&program));
}

#[test]
fn reference_trainings_elaborate() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/reference/training"
    );
    let Ok(entries) = std::fs::read_dir(Path::new(folder)) else {
        println!("skipped: no reference trainings beside the project");
        return;
    };
    let mut count = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "dlm") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("the program is readable");
        let program = programs::train_ok(&path.to_string_lossy(), &text);
        expand(&program);
        assert_eq!(program.parameters.len(), 10);
        count += 1;
    }
    assert_eq!(count, 7, "all seven trainings are there");
}
