//! **Training.** What a step is, what `minimize` does, and a run's settings.

use crate::programs;
use crate::support::{HEAD, Run, run_of, run_refused, train_text};
use dlm_core::elaborate::Settings;

/// "`epoch` and `iter` (executions of `step`) count from 0 and have the values of the step being run."
#[test]
fn epoch_and_iter_have_the_values_of_the_step_being_run() {
    let mut run = run_of(
        "sgd(net)",
        "minimize net(x) with opt\n report i = iter, e = epoch, s = steps, es = epochs",
    );
    for iter in 0..5 {
        let outputs = run.step(iter);
        let value = |name: &str| outputs[name].data[0];
        assert_eq!([value("i"), value("e")], [iter as f64, (iter / 3) as f64]);
        assert_eq!([value("s"), value("es")], [12.0, 4.0]);
    }
}

/// "`minimize L with opt`: L is a scalar."
#[test]
fn a_loss_is_a_scalar() {
    for (loss, what) in [
        ("x", "f32[B, 1, 28, 28]"),
        ("y", "i32[B]"),
        ("sum(y)", "i32"),
    ] {
        run_refused(
            &train_text("sgd(net)", &format!("minimize {loss} with opt")),
            &["run.dlm:10:", "a loss is a scalar f32", what],
        );
    }
}

/// "`minimize L with opt` is the only update." "Values computed before a `minimize` keep the old parameters; calls after
/// it see the new ones."
#[test]
fn values_before_a_minimize_keep_the_old_parameters() {
    // w = 2 and w^2: sgd with rate 0.25 halves it; the second loss sees the new value.
    let body = "let before = net(x) ^ 2
      minimize before with opt
      let after = net(x) ^ 2
      let again = before
      minimize after with opt
      report before, after, again";
    let mut run = run_of("sgd[lr=0.25](net)", body);
    let outputs = run.step(0);
    let value = |name: &str| outputs[name].data[0];
    assert_eq!(
        [value("before"), value("after"), value("again")],
        [4.0, 1.0, 4.0]
    );
    assert_eq!([run.value("net.w"), run.value("opt.t")], [0.5, 2.0]);
}

/// "Gradients are of the graph as computed, for `opt`'s parameters only, so two `minimize`s of one L are a joint update."
#[test]
fn two_minimizes_of_one_loss_are_a_joint_update() {
    let text = format!(
        "{HEAD}train run[steps=12] {{
          let a = Net
          let b = Net
          let oa = sgd[lr=0.25](a)
          let ob = sgd[lr=0.5](b)
          step (x, y) in numbers.train |> batch[2] {{
            let l = a(x) * b(x)
            minimize l with oa
            minimize l with ob
          }}
        }}"
    );
    let mut run = Run::new(&text);
    run.step(0);
    // Each gradient is the other's old value, 2.
    assert_eq!([run.value("a.w"), run.value("b.w")], [1.5, 1.0]);
}

/// "`stop_grad(x)` cuts" the gradient, "`grad(loss, x)` is the gradient as a tensor, and can be differentiated again."
#[test]
fn gradients_can_be_cut_and_differentiated_again() {
    let mut run = run_of(
        "sgd[lr=0.25](net)",
        "minimize net(x) * stop_grad(net(x)) with opt",
    );
    run.step(0);
    assert_eq!(run.value("net.w"), 1.5);
    // The gradient of w^3 is 3 w^2 = 12, and its own is 6 w = 12.
    let body = "let w = net(x)\n let g = grad(w ^ 3, w)\n minimize g with opt\n report g";
    let mut run = run_of("sgd[lr=0.125](net)", body);
    let outputs = run.step(0);
    assert_eq!((outputs["g"].data[0], run.value("net.w")), (12.0, 0.5));
}

/// "`ema` is saved as `ema.PATH`; `eval` … use it."
#[test]
fn averages_are_saved_by_path_and_evaluations_use_them() {
    let text = train_text(
        "sgd[lr=0.25, ema=0.75](net)",
        "minimize net(x) ^ 2 with opt",
    );
    let last = text.rfind('}').expect("the train's end");
    let text = format!(
        "{} eval (x, y) in numbers.test |> batch[2] {{ report w = net(x) }} }}",
        &text[..last]
    );
    let mut run = Run::new(&text);
    run.step(0);
    assert_eq!([run.value("net.w"), run.value("ema.net.w")], [1.0, 1.75]);
    let found = dlm_core::graph::eval::evaluate(&run.program.evals[0].graph, 2, &run.values);
    assert_eq!(found.expect("an evaluation")[0].1.data, [1.75]);
}

/// "A `train` has one `step`."
#[test]
fn a_train_has_one_step() {
    let text = train_text("sgd(net)", "minimize net(x) with opt");
    let step = "step (x, y) in numbers.train |> batch[2] { minimize net(x) with opt }";
    let last = text.rfind('}').expect("the train's end");
    run_refused(
        &format!("{}{step}\n}}", &text[..last]),
        &["run.dlm:12:", "step"],
    );
    let without = format!("{HEAD}train run {{\n let net = Net\n}}");
    run_refused(&without, &["run.dlm:6:", "step"]);
}

/// "Its statics are `epochs`, `steps`, `seed` (default 0), `keep`, `patience`, `precision`, `memory` and those it declares
/// (`width: int = 64`)."
#[test]
fn a_trains_statics_are_its_settings_and_those_it_declares() {
    let text = |statics: &str| {
        train_text("sgd[lr=rate](net)", "minimize net(x) with opt").replace("steps=12", statics)
    };
    let settings = programs::train_ok("run.dlm", &text("rate: float = 0.5")).settings;
    assert_eq!(
        (settings.seed, settings.epochs, settings.steps),
        (0, Some(1), None)
    );
    let all = "epochs=3, steps=7, seed=-5, keep=2, patience=4, memory=1000, rate: float = 0.5";
    let eval = "eval (x, _) in numbers.test |> batch[2] { report net(x) }\n step";
    let with_eval = text(all).replacen("step (", &format!("{eval} ("), 1);
    let settings = programs::train_ok("run.dlm", &with_eval).settings;
    assert_eq!(
        (settings.epochs, settings.steps, settings.seed),
        (Some(3), Some(7), -5)
    );
    assert_eq!(
        (settings.keep, settings.patience, settings.memory),
        (Some(2), Some(4), Some(1000))
    );
    let mut run = Run::new(&text("steps=12, rate: float = 0.5"));
    run.step(0);
    assert_eq!(run.value("net.w"), 1.5);
    for (statics, part) in [
        ("epoch=3, rate: float = 0.5", "did you mean `epochs`?"),
        ("epochs=0, rate: float = 0.5", "at least 1"),
        ("epochs=1.5, rate: float = 0.5", "1.5"),
        ("rate: int = 0.5", "`rate` is an int"),
    ] {
        run_refused(&text(statics), &["run.dlm:6:", part]);
    }
}

/// "`--set NAME=V` (a top-level `let`, or a static of a train: `lenet.epochs=2`)."
#[test]
fn the_command_line_sets_constants_and_statics() {
    let text = format!(
        "let rate = 0.25\n{}",
        train_text("sgd[lr=rate](net)", "minimize net(x) with opt")
    );
    let set = |name: &str, value: &str| {
        let settings = Settings {
            values: vec![(name.into(), value.into())],
            ..Settings::default()
        };
        programs::train("run.dlm", &text, &settings)
    };
    let (elaborated, _) = set("run.steps", "3 + 4");
    assert_eq!(elaborated.value.expect("a program").settings.steps, Some(7));
    assert!(set("rate", "0.5").0.value.is_some());
    let (elaborated, message) = set("raet", "0.5");
    assert!(
        elaborated.value.is_none() && message.contains("did you mean `rate`?"),
        "{message}"
    );
}

/// "A smaller last batch is kept (`batch[n, drop=true]` drops it)."
#[test]
fn a_smaller_last_batch_is_kept_unless_dropped() {
    let text = train_text("sgd(net)", "minimize net(x) with opt");
    let kept = programs::train_ok("run.dlm", &text);
    let dropped = programs::train_ok("run.dlm", &text.replace("batch[2]", "batch[2, drop=true]"));
    assert_eq!((kept.feeds[0].batch, kept.feeds[0].drop_last), (2, false));
    assert_eq!(
        (dropped.feeds[0].batch, dropped.feeds[0].drop_last),
        (2, true)
    );
}
