//! Fitting `y = w x` by hand-written kernels: the whole path from data to files.

use std::sync::Mutex;

use super::*;
use crate::data::{Field, Split, Values};
use crate::program::{
    Arg, Call, Dimension, Group, KernelIndex, Layout, Phase, Program, Report, ReportKind,
    ScalarArg, Space, Tasks, Zero,
};
use crate::tensor::{DataType, Tensor};

const LANES: u32 = 4;
const MAX_BATCH: u64 = 16;
/// Where things are in the arena.
const X: u64 = 0;
const Y: u64 = 64;
const PARTIALS: u64 = 128;
const LOSS: u64 = 384;
const RATE: u64 = 448;
const COUNT: u64 = 512;
const ERRORS: u64 = 576;
const ARENA: u64 = 640;

/// The slots of a call as floats: `slot(n)` points to the n-th argument.
unsafe fn slots<'a, const N: usize>(arguments: *const u64) -> &'a [u64; N] {
    // SAFETY: kernels here are called with as many slots as they ask for.
    unsafe { &*arguments.cast::<[u64; N]>() }
}

/// Of a block: `partial += (sum of e^2, sum of 2 e x)` where `e = w x - y`; also writes e: (x, y, w, partial, errors, valid).
unsafe extern "C" fn block(arguments: *const u64) {
    // SAFETY: x, y and errors have four floats, w one, partial two.
    unsafe {
        let slots = slots::<6>(arguments);
        let (w, partial) = (*(slots[2] as *const f32), slots[3] as *mut f32);
        for lane in 0..slots[5] as usize {
            let (x, y) = (
                *(slots[0] as *const f32).add(lane),
                *(slots[1] as *const f32).add(lane),
            );
            let error = w * x - y;
            *(slots[4] as *mut f32).add(lane) = error;
            *partial += error * error;
            *partial.add(1) += 2.0 * error * x;
        }
    }
}

/// `loss = mean`, `w -= rate * gradient` (no update if the rate's address is 0): (partials, count, batch, w, loss, epoch).
unsafe extern "C" fn update(arguments: *const u64) {
    // SAFETY: partials are 64 bytes apart, two floats each; the others are single.
    unsafe {
        let slots = slots::<6>(arguments);
        let sum = |index: usize| -> f32 {
            (0..slots[1])
                .map(|task| *((slots[0] + task * 64) as *const f32).add(index))
                .sum::<f32>()
                / slots[2] as f32
        };
        *(slots[4] as *mut f32) = sum(0);
        let epoch = *(slots[5] as *const f32);
        if epoch >= 0.0 {
            *(slots[3] as *mut f32) -= 0.01 * 0.5f32.powf(epoch) * sum(1);
        }
    }
}

/// `count = batch`, as an integer: (count, batch).
unsafe extern "C" fn count(arguments: *const u64) {
    // SAFETY: count is one integer.
    unsafe {
        let slots = slots::<2>(arguments);
        *(slots[0] as *mut i32) = slots[1] as i32;
    }
}

/// Like `update`, with the update left out: (partials, count, batch, loss).
unsafe extern "C" fn loss_only(arguments: *const u64) {
    // SAFETY: as in `update`.
    unsafe {
        let slots = slots::<4>(arguments);
        let sum: f32 = (0..slots[1])
            .map(|task| *((slots[0] + task * 64) as *const f32))
            .sum();
        *(slots[3] as *mut f32) = sum / slots[2] as f32;
    }
}

/// The largest of n numbers: (values, n, result).
unsafe extern "C" fn largest(arguments: *const u64) {
    // SAFETY: there are n values and one result.
    unsafe {
        let slots = slots::<3>(arguments);
        let values = std::slice::from_raw_parts(slots[0] as *const f32, slots[1] as usize);
        *(slots[2] as *mut f32) = values
            .iter()
            .fold(f32::MIN, |largest, value| largest.max(value.abs()));
    }
}

fn at(space: Space, offset_bytes: u64, task_stride_bytes: u64, block_stride_bytes: u64) -> Arg {
    Arg::Pointer {
        space,
        offset_bytes,
        task_stride_bytes,
        block_stride_bytes,
    }
}

fn slot(name: &str, space: Space, offset_bytes: u64, shape: &[Dimension], layout: Layout) -> Slot {
    Slot {
        name: name.to_string(),
        dtype: DataType::F32,
        shape: shape.to_vec(),
        layout,
        space,
        offset_bytes,
    }
}

fn group(name: &str, tasks: Tasks, kernel: u32, args: Vec<Arg>) -> Group {
    Group {
        name: name.to_string(),
        tasks,
        prologue: vec![],
        calls: vec![Call {
            kernel: KernelIndex(kernel),
            args,
        }],
    }
}

fn blocks() -> Group {
    let args = vec![
        at(Space::Arena, X, 0, 16),
        at(Space::Arena, Y, 0, 16),
        at(Space::Persistent, 0, 0, 0),
        at(Space::Arena, PARTIALS, 64, 0),
        at(Space::Arena, ERRORS, 0, 16),
        Arg::Scalar(ScalarArg::LanesValid),
    ];
    let zero = Zero {
        space: Space::Arena,
        offset_bytes: PARTIALS,
        task_stride_bytes: 64,
        bytes: 8,
    };
    Group {
        prologue: vec![zero],
        ..group(
            "block",
            Tasks::Blocks {
                lanes: LANES,
                max_tasks: 3,
            },
            0,
            args,
        )
    }
}

fn executable(last: Group, scalars: Vec<Slot>, extra: Vec<Report>) -> Executable {
    let lanes = Layout::Lanes {
        lanes: LANES,
        axis: 0,
    };
    let (batch, arena) = ([Dimension::Batch], Space::Arena);
    let counting = vec![at(arena, COUNT, 0, 0), Arg::Scalar(ScalarArg::Batch)];
    let loss = Report {
        slot: slot("loss", arena, LOSS, &[], Layout::Plain),
        kind: ReportKind::Mean,
    };
    let program = Program {
        kernels: vec![
            ("block".to_string(), block),
            ("update".to_string(), update),
            ("count".to_string(), count),
            ("loss_only".to_string(), loss_only),
        ],
        keep_alive: Arc::new(()),
        phases: vec![
            Phase {
                groups: vec![blocks()],
            },
            Phase {
                groups: vec![last, group("count", Tasks::Once, 2, counting)],
            },
        ],
        persistent_bytes: 64,
        arena_bytes: ARENA,
        scratch_bytes: 0,
        max_batch: MAX_BATCH,
        persistent: vec![slot("net.w", Space::Persistent, 0, &[], Layout::Plain)],
        inputs: vec![
            slot("x", arena, X, &batch, lanes),
            slot("y", arena, Y, &batch, lanes),
        ],
        outputs: vec![],
        scalars,
        reports: [vec![loss], extra].concat(),
        constants: vec![],
    };
    // SAFETY: the kernels keep to their comments; each block writes its own errors, each task its own partial, and the second
    // phase's two tasks different slots.
    unsafe { Executable::new(program) }.expect("a good program")
}

fn block_tasks() -> Arg {
    Arg::Scalar(ScalarArg::BlockTasks {
        lanes: LANES,
        max_tasks: 3,
    })
}

fn step() -> Executable {
    let args = vec![
        at(Space::Arena, PARTIALS, 0, 0),
        block_tasks(),
        Arg::Scalar(ScalarArg::Batch),
        at(Space::Persistent, 0, 0, 0),
        at(Space::Arena, LOSS, 0, 0),
        at(Space::Arena, RATE, 0, 0),
    ];
    let epoch = slot("epoch", Space::Arena, RATE, &[], Layout::Plain);
    executable(group("update", Tasks::Once, 1, args), vec![epoch], vec![])
}

fn evaluation() -> Executable {
    let args = vec![
        at(Space::Arena, PARTIALS, 0, 0),
        block_tasks(),
        Arg::Scalar(ScalarArg::Batch),
        at(Space::Arena, LOSS, 0, 0),
    ];
    let mut counted = slot("count", Space::Arena, COUNT, &[], Layout::Plain);
    counted.dtype = DataType::I32;
    let lanes = Layout::Lanes {
        lanes: LANES,
        axis: 0,
    };
    let errors = slot("errors", Space::Arena, ERRORS, &[Dimension::Batch], lanes);
    let extra = vec![
        Report {
            slot: counted,
            kind: ReportKind::Sum,
        },
        Report {
            slot: errors,
            kind: ReportKind::Join,
        },
    ];
    executable(group("loss", Tasks::Once, 3, args), vec![], extra)
}

/// The largest error of the whole set.
fn largest_error() -> JoinedMetric {
    let args = vec![
        at(Space::Arena, 0, 0, 0),
        Arg::Scalar(ScalarArg::Batch),
        at(Space::Arena, 192, 0, 0),
    ];
    let program = Program {
        kernels: vec![("largest".to_string(), largest)],
        keep_alive: Arc::new(()),
        phases: vec![Phase {
            groups: vec![group("largest", Tasks::Once, 0, args)],
        }],
        persistent_bytes: 0,
        arena_bytes: 256,
        scratch_bytes: 0,
        max_batch: 48,
        persistent: vec![],
        inputs: vec![slot(
            "errors",
            Space::Arena,
            0,
            &[Dimension::Batch],
            Layout::Plain,
        )],
        outputs: vec![slot("value", Space::Arena, 192, &[], Layout::Plain)],
        scalars: vec![],
        reports: vec![],
        constants: vec![],
    };
    // SAFETY: one call, which reads its input and writes its output.
    let program = unsafe { Executable::new(program) }.expect("a good program");
    JoinedMetric {
        name: "largest".to_string(),
        program,
    }
}

/// `y = 3 x` for 22 values of x.
fn split(shuffled: bool) -> Split {
    let x: Vec<f32> = (0..22).map(|index| index as f32 / 11.0 - 1.0).collect();
    let y = x.iter().map(|x| 3.0 * x).collect::<Vec<_>>();
    let field = |values: Vec<f32>| Field {
        shape: vec![],
        values: Values::Floats(values.into()),
        classes: None,
        origin: "line".to_string(),
    };
    Split {
        shuffled,
        ..Split::new(vec![field(x), field(y)])
    }
}

fn feed(shuffled: bool, batch: u64) -> Feed {
    let input = |part, name: &str| FeedInput {
        part,
        name: name.to_string(),
        bound: None,
    };
    Feed {
        split: split(shuffled),
        batch,
        drop_last: false,
        inputs: vec![input(0, "x"), input(1, "y")],
    }
}

fn plan(epochs: u64) -> Plan {
    let evaluation = EvaluationPlan {
        split: "eval".to_string(),
        program: evaluation(),
        feeds: vec![feed(false, 16)],
        joined: vec![largest_error()],
    };
    let start = Tensor::from_f32(vec![], &[0.0]).expect("one");
    Plan {
        steps: vec![step()],
        choice: None,
        feeds: vec![feed(true, 8)],
        evaluations: vec![evaluation],
        initial: [("net.w".to_string(), start)].into_iter().collect(),
        model: vec!["net.w".to_string()],
        settings: Settings {
            epochs: Some(epochs),
            steps: None,
            seed: 5,
            log_every: 1,
        },
        directory: None,
    }
}

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
