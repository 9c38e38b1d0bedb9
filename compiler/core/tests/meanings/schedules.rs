//! Schedules: their values over a run, against their formulas written out here.

use std::f64::consts::PI;

use crate::support::{Run, agree, run_of, run_refused, train_text};

/// What a schedule's rate comes to at each of the twelve steps of four epochs: with a constant gradient of 1, plain sgd
/// moves by just that.
#[track_caller]
fn rates(schedule: &str) -> Vec<f64> {
    let mut run = run_of(
        &format!("sgd[lr={schedule}](net)"),
        "minimize net(x) with opt",
    );
    rates_of(&mut run)
}

fn rates_of(run: &mut Run) -> Vec<f64> {
    let mut rates = Vec::new();
    for iter in 0..12 {
        let before = run.value("net.w");
        run.step(iter);
        rates.push(before - run.value("net.w"));
    }
    rates
}

/// Fails unless the schedule is that function of `iter` and `epoch`.
#[track_caller]
fn follows(schedule: &str, formula: impl Fn(f64, f64) -> f64) {
    let expected: Vec<f64> = (0..12)
        .map(|iter| formula(f64::from(iter), f64::from(iter / 3)))
        .collect();
    // A difference of parameters near 2 has half the digits of its terms.
    for (iter, (got, want)) in rates(schedule).iter().zip(&expected).enumerate() {
        assert!(
            (got - want).abs() <= 2e-6,
            "{schedule} at {iter} is {got}, not {want}"
        );
    }
}

/// "A `schedule` is any scalar expression over `epoch`, `iter`, `epochs`, `steps`, evaluated at every update";
/// "`epoch` and `iter` count from 0 and have the values of the step being run."
#[test]
fn a_schedule_is_any_scalar_expression() {
    follows("0.5", |_, _| 0.5);
    follows("0.01 * (iter + 1) + epoch", |n, e| 0.01 * (n + 1.0) + e);
    follows("1 / steps + epochs", |_, _| 1.0 / 12.0 + 4.0);
    follows("0.1 * 0.5 ^ floor(epoch / 2)", |_, e| {
        0.1 * 0.5_f64.powf((e / 2.0).floor())
    });
    follows(
        "0.5 * warmup[4] * exponential[0.5, per=\"epoch\"]",
        |n, e| 0.5 * ((n + 1.0) / 4.0).min(1.0) * 0.5_f64.powf(e),
    );
}

/// "An init, schedule or whole-set metric is a `fn` that returns one."
#[test]
fn a_schedule_of_ones_own_is_a_function_that_returns_one() {
    let text = train_text(
        "sgd[lr=0.5 * halves[every=2]](net)",
        "minimize net(x) with opt",
    );
    let text =
        format!("{text}\nfn halves[every: int] -> schedule {{ return 0.5 ^ floor(iter / every) }}");
    let expected: Vec<f64> = (0..12).map(|n| 0.5 * 0.5_f64.powi(n / 2)).collect();
    agree("halves", &rates_of(&mut Run::new(&text)), &expected);
}

/// "Library schedules count in `iter` …"
#[test]
fn library_schedules_count_in_iter() {
    follows("staircase[every=5, gamma=0.5]", |n, _| {
        0.5_f64.powf((n / 5.0).floor())
    });
    follows("staircase[every=5]", |n, _| 0.1_f64.powf((n / 5.0).floor()));
    follows("multistep[at=[2, 7], gamma=0.5]", |n, _| {
        0.5_f64.powi(i32::from(n >= 2.0) + i32::from(n >= 7.0))
    });
    follows("exponential[gamma=0.9]", |n, _| 0.9_f64.powf(n));
    follows("inverse[gamma=0.5]", |n, _| 1.0 / (1.0 + 0.5 * n));
    follows("inverse[gamma=0.5, power=2]", |n, _| {
        (1.0 + 0.5 * n).powi(-2)
    });
    follows("polynomial[power=2, total=8]", |n, _| {
        (1.0 - n / 8.0).max(0.0).powi(2)
    });
    follows("cosine[total=8]", |n, _| {
        0.5 * (1.0 + (PI * (n / 8.0).min(1.0)).cos())
    });
    follows("cosine_restarts[period=5]", |n, _| {
        0.5 * (1.0 + (PI * (n % 5.0) / 5.0).cos())
    });
    follows("warmup[5]", |n, _| ((n + 1.0) / 5.0).min(1.0));
    follows("one_cycle[total=10]", |n, _| ONE_CYCLE[n as usize]);
    follows("one_cycle[total=20]", |n, _| ONE_CYCLE_OF_20[n as usize]);
}

/// PyTorch's formula: two phases, the first to the step `0.3 total - 1`, the second to the last.
fn one_cycle(n: f64, total: f64) -> f64 {
    let top = 0.3 * total - 1.0;
    let anneal = |from: f64, to: f64, at: f64| to + (from - to) / 2.0 * (1.0 + (PI * at).cos());
    match n <= top {
        true => anneal(0.04, 1.0, n / top),
        false => anneal(1.0, 4e-6, ((n - top) / (total - 1.0 - top)).min(1.0)),
    }
}

/// The first twelve of twenty.
const ONE_CYCLE_OF_20: [f64; 12] = [
    0.04, 0.13167184, 0.37167184, 0.66832816, 0.90832816, 1.0, 0.98746401, 0.95048463, 0.89091618,
    0.81174565, 0.716943, 0.61126202,
];

/// What PyTorch 2's OneCycleLR with `max_lr=1` and `total_steps=10` gives; it ends there, and the last value stays.
const ONE_CYCLE: [f64; 12] = [
    0.04,
    0.52,
    1.0,
    0.95048463,
    0.81174565,
    0.61126202,
    0.38874198,
    0.18825835,
    0.049519368,
    4e-6,
    4e-6,
    4e-6,
];

/// "… (`per=\"epoch\"` changes that)."
#[test]
fn per_epoch_they_count_epochs() {
    follows("staircase[every=2, gamma=0.5, per=\"epoch\"]", |_, e| {
        0.5_f64.powf((e / 2.0).floor())
    });
    follows("multistep[at=[1, 3], gamma=0.5, per=\"epoch\"]", |_, e| {
        0.5_f64.powi(i32::from(e >= 1.0) + i32::from(e >= 3.0))
    });
    follows("exponential[gamma=0.5, per=\"epoch\"]", |_, e| {
        0.5_f64.powf(e)
    });
    follows("inverse[gamma=1, power=0.5, per=\"epoch\"]", |_, e| {
        (1.0 + e).powf(-0.5)
    });
    follows("polynomial[total=3, per=\"epoch\"]", |_, e| {
        (1.0 - e / 3.0).max(0.0)
    });
    follows("cosine[total=2, per=\"epoch\"]", |_, e| {
        0.5 * (1.0 + (PI * (e / 2.0).min(1.0)).cos())
    });
    follows("cosine_restarts[period=2, per=\"epoch\"]", |_, e| {
        0.5 * (1.0 + (PI * (e % 2.0) / 2.0).cos())
    });
    follows("warmup[3, per=\"epoch\"]", |_, e| {
        ((e + 1.0) / 3.0).min(1.0)
    });
    follows("one_cycle[total=3, per=\"epoch\"]", |_, e| {
        one_cycle(e, 3.0)
    });
}

/// "`total` defaults to `steps`": to `epochs` where epochs are counted.
#[test]
fn total_defaults_to_the_runs() {
    follows("polynomial", |n, _| 1.0 - n / 12.0);
    follows("cosine", |n, _| 0.5 * (1.0 + (PI * n / 12.0).cos()));
    follows("one_cycle", |n, _| one_cycle(n, 12.0));
    follows("polynomial[per=\"epoch\"]", |_, e| 1.0 - e / 4.0);
    follows("cosine[per=\"epoch\"]", |_, e| {
        0.5 * (1.0 + (PI * e / 4.0).cos())
    });
    follows("one_cycle[per=\"epoch\"]", |_, e| one_cycle(e, 4.0));
    follows("cosine[total=steps / 2]", |n, _| {
        0.5 * (1.0 + (PI * (n / 6.0).min(1.0)).cos())
    });
}

/// "Under `accumulate` they are read at the update."
#[test]
fn under_accumulate_they_are_read_at_the_update() {
    let mut run = run_of(
        "sgd[lr=0.01 * (iter + 1), accumulate=3](net)",
        "minimize net(x) with opt",
    );
    let expected: Vec<f64> = (0..12)
        .map(|n| {
            if n % 3 == 2 {
                0.01 * f64::from(n + 1)
            } else {
                0.0
            }
        })
        .collect();
    agree("accumulate", &rates_of(&mut run), &expected);
}

/// Statics of schedules out of range are refused where they stand.
#[test]
fn statics_of_schedules_have_ranges() {
    for (schedule, what) in [
        ("staircase[0, 0.5]", "`every` is at least 1, and this is 0"),
        (
            "staircase[every=2, gamma=-1]",
            "`gamma` is at least 0, and this is -1",
        ),
        ("multistep[[2], gamma=-1]", "`gamma` is at least 0"),
        (
            "exponential[-0.5]",
            "`gamma` is at least 0, and this is -0.5",
        ),
        ("inverse[gamma=-1]", "`gamma` is at least 0"),
        ("polynomial[power=-1]", "`power` is at least 0"),
        ("polynomial[total=0]", "`total` is above 0, and this is 0"),
        ("cosine[total=0]", "`total` is above 0, and this is 0"),
        (
            "cosine[per=\"epochs\"]",
            "`per` is \"iter\" or \"epoch\", and this is \"epochs\"",
        ),
        (
            "cosine_restarts[0]",
            "`period` is at least 1, and this is 0",
        ),
        ("warmup[0]", "`n` is at least 1, and this is 0"),
        ("one_cycle[total=-5]", "`total` is above 0, and this is -5"),
        (
            "plateau[\"loss\", factor=2]",
            "`factor` is above 0 and below 1, and this is 2",
        ),
        ("plateau[\"loss\", patience=-1]", "`patience` is at least 0"),
    ] {
        let text = train_text(
            &format!("sgd[lr=0.1 * {schedule}](net)"),
            "minimize net(x) with opt",
        );
        run_refused(&text, &[what, "run.dlm:8:"]);
    }
}
