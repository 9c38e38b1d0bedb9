//! The whole path from data to files, on a small program.

mod line;

use std::sync::Mutex;

use super::*;
use crate::tensor::Tensor;
use line::{init, plan, split, step};

fn weight(session: &Session<'_>) -> f32 {
    session.model()["net.w"].to_f32()[0]
}

/// The same training by a plain loop.
fn reference(epochs: u64) -> f32 {
    let (split, mut w) = (split(true), 0.0f32);
    for epoch in 0..epochs {
        for rows in split.order(5, epoch as u32).chunks(8) {
            let gradient = |row: &u32| {
                let (x, y) = (
                    split.fields[0].sample(*row as usize)[0],
                    split.fields[1].sample(*row as usize)[0],
                );
                2.0 * (w * x - y) * x
            };
            let sum: f32 = rows.iter().map(gradient).sum();
            w -= 0.01 * 0.5f32.powi(epoch as i32) * sum / rows.len() as f32;
        }
    }
    w
}

#[test]
fn training_is_what_a_plain_loop_does() {
    for workers in [1, 2, 5] {
        let team = Team::new(workers).expect("a team");
        let mut session = Session::new(&team, plan(3)).expect("fits");
        let summary = session.run(&mut Silent).expect("trains");
        assert_eq!((summary.iter, summary.epochs), (9, 3));
        let (found, expected) = (weight(&session), reference(3));
        assert!(
            expected > 0.05 && (found - expected).abs() < 1e-6,
            "{found} for {expected}"
        );
        let evaluation = &summary.evaluations[0];
        let squares = (0..22)
            .map(|row| split(false).fields[0].sample(row)[0].powi(2))
            .sum::<f32>()
            / 22.0;
        let loss = f64::from(squares * (3.0 - found).powi(2));
        let [
            (loss_name, found_loss),
            (count_name, count),
            (largest_name, largest),
        ] = &evaluation.values[..]
        else {
            panic!("three values")
        };
        assert_eq!(
            (
                loss_name.as_str(),
                count_name.as_str(),
                largest_name.as_str()
            ),
            ("loss", "count", "largest")
        );
        assert!(
            (found_loss - loss).abs() < 1e-5 * loss,
            "{found_loss} for {loss}"
        );
        assert_eq!((*count, evaluation.samples), (22.0, 22));
        assert!((largest - f64::from(3.0 - found)).abs() < 1e-5, "{largest}");
    }
}

#[test]
fn a_run_writes_its_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let out = directory.path().join("runs/line");
    let team = Team::new(2).expect("a team");
    let settings = Settings {
        epochs: Some(9),
        steps: Some(4),
        seed: 5,
        log_every: 2,
    };
    let mut session = Session::new(
        &team,
        Plan {
            directory: Some(out.clone()),
            settings,
            ..plan(1)
        },
    )
    .expect("fits");
    session.run(&mut Silent).expect("trains");
    let text = std::fs::read_to_string(out.join("metrics.csv")).expect("reads");
    let columns: Vec<String> = text
        .lines()
        .map(|line| {
            line.rsplit_once(',')
                .map_or(line, |(columns, _)| columns)
                .to_string()
        })
        .collect();
    insta::assert_snapshot!(columns.join("\n"), @"
    epoch,iter,split,metric
    0,0,train,loss
    0,2,train,loss
    0,2,eval,loss
    0,2,eval,count
    0,2,eval,largest
    1,3,eval,loss
    1,3,eval,count
    1,3,eval,largest
    ");
    let model = checkpoint::read(&out.join("model.safetensors")).expect("reads");
    assert_eq!(model["net.w"].to_f32(), [weight(&session)]);
}

/// What an observer was told.
#[derive(Default)]
struct Recorder(Mutex<Vec<(u64, u64, f64)>>);

impl Observer for Recorder {
    fn stepped(&mut self, progress: Progress<'_>) {
        let told = self.0.get_mut().expect("no panic");
        told.push((progress.clock.iter, progress.samples, progress.reports[0].1));
    }
}

#[test]
fn an_interrupted_run_goes_on_with_the_same_bits() {
    let team = Team::new(2).expect("a team");
    let mut whole = Session::new(&team, plan(4)).expect("fits");
    let mut recorder = Recorder::default();
    whole.run(&mut recorder).expect("trains");
    let told = recorder.0.into_inner().expect("no panic");
    assert_eq!(
        told.iter()
            .map(|(_, samples, _)| *samples)
            .collect::<Vec<_>>(),
        [8, 8, 6].repeat(4)
    );
    for stop in 0..3 {
        let mut first = Session::new(&team, plan(4)).expect("fits");
        first.run_steps(stop, &mut Silent).expect("trains");
        let state = first.state();
        let mut second = Session::new(&team, plan(4)).expect("fits");
        second.restore(&state).expect("is of the same run");
        let mut recorder = Recorder::default();
        second.run(&mut recorder).expect("trains");
        assert_eq!(
            recorder.0.into_inner().expect("no panic"),
            told[stop as usize..]
        );
        assert_eq!(second.state(), whole.state());
    }
}

#[test]
fn a_state_of_another_run_is_an_error() {
    let team = Team::new(1).expect("a team");
    let mut session = Session::new(&team, plan(1)).expect("fits");
    let state = session.state();
    for name in ["iter", "feed.0.position"] {
        let mut damaged = state.clone();
        damaged.counts.insert(name.to_string(), 1_000);
        let error = session
            .restore(&damaged)
            .expect_err("too large")
            .to_string();
        assert_eq!(
            error,
            format!("the state has no `{name}` that fits this run")
        );
    }
}

#[test]
fn a_value_that_is_not_finite_ends_the_run() {
    let directory = tempfile::tempdir().expect("a directory");
    let team = Team::new(2).expect("a team");
    let mut plan = Plan {
        directory: Some(directory.path().to_path_buf()),
        ..plan(3)
    };
    plan.initial["net.w"] = Tensor::from_f32(vec![], &[f32::MAX]).expect("one");
    let mut session = Session::new(&team, plan).expect("fits");
    let error = session.run(&mut Silent).expect_err("overflows");
    assert_eq!(error.to_string(), "`loss` is inf in epoch 0, iter 0");
    let text = std::fs::read_to_string(directory.path().join("metrics.csv")).expect("reads");
    assert_eq!(text, "epoch,iter,split,metric,value\n0,0,train,loss,inf\n");
    assert!(!directory.path().join("model.safetensors").exists());
}

#[test]
fn variants_are_chosen_by_the_clock() {
    let team = Team::new(2).expect("a team");
    let mut session = Session::new(&team, plan(3)).expect("fits");
    session.run(&mut Silent).expect("trains");
    let choice: Choice = Arc::new(|clock| (clock.iter % 2) as usize);
    let both = Plan {
        steps: vec![step(), step()],
        choice: Some(choice),
        ..plan(3)
    };
    let mut alternating = Session::new(&team, both).expect("fits");
    alternating.run(&mut Silent).expect("trains");
    assert_eq!(alternating.state(), session.state());
}

#[test]
fn what_does_not_fit_is_an_error() {
    let team = Team::new(1).expect("a team");
    let error = |change: &dyn Fn(&mut Plan)| {
        let mut plan = plan(1);
        change(&mut plan);
        Session::new(&team, plan)
            .err()
            .expect("does not fit")
            .to_string()
    };
    let lines = [
        error(&|plan| plan.settings.epochs = None),
        error(&|plan| plan.feeds[0].batch = 0),
        error(&|plan| (plan.feeds[0].batch, plan.feeds[0].drop_last) = (30, true)),
        error(&|plan| plan.feeds[0].inputs[0].name = "z".to_string()),
        error(&|plan| plan.feeds[0].inputs.truncate(1)),
        error(&|plan| plan.feeds[0].inputs[1].part = 2),
        error(&|plan| plan.feeds[0].split.fields[0].shape = vec![2]),
        error(&|plan| plan.initial.clear()),
        error(&|plan| plan.initial["net.w"] = Tensor::from_f32(vec![1], &[0.0]).expect("one")),
        error(&|plan| plan.model.push("net.b".to_string())),
        error(&|plan| {
            plan.initial
                .insert("net.b".to_string(), plan.initial["net.w"].clone());
        }),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn steps_and_evaluations_are_measured() {
    let team = Team::new(2).expect("a team");
    let mut session = Session::new(&team, plan(1)).expect("fits");
    for (subject, samples, kernels) in [
        (
            Subject::Step(0),
            [8, 8, 6, 8, 8],
            ["block", "update", "count"],
        ),
        (
            Subject::Evaluation(0),
            [16, 6, 16, 6, 16],
            ["block", "loss_only", "count"],
        ),
    ] {
        let measurement = session.measure(subject, 5).expect("runs");
        assert_eq!(measurement.samples, samples);
        assert!(
            measurement.nanoseconds.len() == 5
                && measurement.nanoseconds.iter().all(|time| *time > 0)
        );
        let calls = &measurement.timing.calls;
        assert_eq!(
            calls
                .iter()
                .map(|call| call.kernel.as_str())
                .collect::<Vec<_>>(),
            kernels
        );
        assert!(calls.iter().all(|call| call.calls >= 5));
    }
    assert_eq!(session.clock().iter, 0);
    assert!(session.measure(Subject::Step(1), 1).is_err());
}

#[test]
fn a_plan_without_steps_evaluates() {
    let team = Team::new(2).expect("a team");
    let mut only = plan(1);
    (only.steps, only.feeds, only.settings.epochs) = (vec![], vec![], None);
    only.initial["net.w"] = Tensor::from_f32(vec![], &[3.0]).expect("one");
    let mut session = Session::new(&team, only).expect("fits");
    let evaluations = session.evaluate(&mut Silent).expect("runs");
    assert_eq!(
        evaluations[0].values,
        [("loss", 0.0), ("count", 22.0), ("largest", 0.0)]
            .map(|(name, value)| (name.to_string(), value))
    );
}

#[test]
fn a_program_sets_the_start_and_given_values_replace_it() {
    let team = Team::new(2).expect("a team");
    let begin = |initial: Tensors| {
        let session = Session::new(
            &team,
            Plan {
                init: Some(init()),
                initial,
                ..plan(1)
            },
        )
        .expect("fits");
        weight(&session)
    };
    assert_eq!(begin(Tensors::new()), 5.0);
    assert_eq!(begin(plan(1).initial), 0.0);
}
