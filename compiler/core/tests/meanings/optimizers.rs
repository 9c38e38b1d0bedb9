//! Optimizers: their updates over some steps against their formulas, and what every one takes beside its own statics.

use crate::support::{HEAD, Run, agree, run_of, run_refused, train_text};

/// The parameter after each of six steps, whose gradients are 2 w, from w = 2.
#[track_caller]
fn path(optimizer: &str) -> Vec<f64> {
    let mut run = run_of(&format!("{optimizer}(net)"), "minimize net(x) ^ 2 with opt");
    (0..6)
        .map(|iter| {
            run.step(iter);
            run.value("net.w")
        })
        .collect()
}

/// Fails unless an optimizer goes the way of `rule`, which gives the next parameter from the parameter, its gradient and
/// the count of updates, and may keep states.
#[track_caller]
fn goes(optimizer: &str, mut rule: impl FnMut(f64, f64, i32) -> f64) {
    let mut w = 2.0;
    let expected: Vec<f64> = (1..=6)
        .map(|t| {
            w = rule(w, 2.0 * w, t);
            w
        })
        .collect();
    agree(optimizer, &path(optimizer), &expected);
}

/// PyTorch's SGD: momentum, Nesterov's, `decay` as L2 added to the gradient.
#[test]
fn sgd_is_pytorchs() {
    goes("sgd", |p, g, _| p - 1e-3 * g);
    goes("sgd[lr=0.1]", |p, g, _| p - 0.1 * g);
    let mut v = 0.0;
    goes("sgd[lr=0.1, momentum=0.9]", |p, g, _| {
        v = 0.9 * v + g;
        p - 0.1 * v
    });
    let mut v = 0.0;
    goes(
        "sgd[lr=0.1, momentum=0.9, nesterov=true, decay=0.5]",
        |p, g, _| {
            let g = g + 0.5 * p;
            v = 0.9 * v + g;
            p - 0.1 * (g + 0.9 * v)
        },
    );
}

#[test]
fn adagrad_is_pytorchs() {
    let mut s = 0.0;
    goes("adagrad[lr=0.1, decay=0.2]", |p, g, _| {
        let g = g + 0.2 * p;
        s += g * g;
        p - 0.1 * g / (s.sqrt() + 1e-10)
    });
}

#[test]
fn rmsprop_is_pytorchs() {
    let mut s = 0.0;
    goes("rmsprop", |p, g, _| {
        s = 0.99 * s + 0.01 * g * g;
        p - 0.01 * g / (s.sqrt() + 1e-8)
    });
    let (mut s, mut m, mut v) = (0.0, 0.0, 0.0);
    goes(
        "rmsprop[lr=0.05, alpha=0.8, momentum=0.5, centered=true]",
        |p, g, _| {
            s = 0.8 * s + 0.2 * g * g;
            m = 0.8 * m + 0.2 * g;
            v = 0.5 * v + g / ((s - m * m).sqrt() + 1e-8);
            p - 0.05 * v
        },
    );
}

/// Adam's moments without their bias.
fn moments(state: &mut (f64, f64), g: f64, t: i32) -> (f64, f64) {
    *state = (0.9 * state.0 + 0.1 * g, 0.999 * state.1 + 0.001 * g * g);
    (
        state.0 / (1.0 - 0.9_f64.powi(t)),
        state.1 / (1.0 - 0.999_f64.powi(t)),
    )
}

/// "`decay` is L2 added to the gradient; in `adamw` (default 0.01) … it is `p * (1 - lr * decay)`."
#[test]
fn adam_and_adamw_differ_in_their_decay() {
    let mut state = (0.0, 0.0);
    goes("adam[lr=0.1, decay=0.3]", |p, g, t| {
        let (m, v) = moments(&mut state, g + 0.3 * p, t);
        p - 0.1 * m / (v.sqrt() + 1e-8)
    });
    let mut state = (0.0, 0.0);
    goes("adam", |p, g, t| {
        let (m, v) = moments(&mut state, g, t);
        p - 1e-3 * m / (v.sqrt() + 1e-8)
    });
    for (optimizer, decay) in [("adamw[lr=0.1]", 0.01), ("adamw[lr=0.1, decay=0.3]", 0.3)] {
        let mut state = (0.0, 0.0);
        goes(optimizer, |p, g, t| {
            let (m, v) = moments(&mut state, g, t);
            p * (1.0 - 0.1 * decay) - 0.1 * m / (v.sqrt() + 1e-8)
        });
    }
}

#[test]
fn adadelta_is_pytorchs() {
    let (mut s, mut d) = (0.0_f64, 0.0_f64);
    goes("adadelta", |p, g, _| {
        s = 0.9 * s + 0.1 * g * g;
        let change = (d + 1e-6).sqrt() / (s + 1e-6).sqrt() * g;
        d = 0.9 * d + 0.1 * change * change;
        p - change
    });
}

#[test]
fn adamax_is_pytorchs() {
    let (mut m, mut u) = (0.0, 0.0_f64);
    goes("adamax[lr=0.05]", |p, g, t| {
        m = 0.9 * m + 0.1 * g;
        u = (0.999 * u).max(g.abs() + 1e-8);
        p - 0.05 / (1.0 - 0.9_f64.powi(t)) * m / u
    });
}

#[test]
fn nadam_is_pytorchs() {
    let (mut m, mut v, mut product) = (0.0, 0.0, 1.0);
    goes("nadam[lr=0.05]", |p, g, t| {
        let momentum = |t: i32| 0.9 * (1.0 - 0.5 * 0.96_f64.powf(f64::from(t) * 0.004));
        product *= momentum(t);
        m = 0.9 * m + 0.1 * g;
        v = 0.999 * v + 0.001 * g * g;
        let spread = (v / (1.0 - 0.999_f64.powi(t))).sqrt() + 1e-8;
        let own = 0.05 * (1.0 - momentum(t)) / (1.0 - product) * g / spread;
        p - own - 0.05 * momentum(t + 1) / (1.0 - product * momentum(t + 1)) * m / spread
    });
}

/// "… and `lion` it is `p * (1 - lr * decay)`."
#[test]
fn lion_takes_the_sign() {
    let mut m = 0.0;
    goes("lion[lr=0.1, decay=0.5]", |p, g, _| {
        let direction = (0.9 * m + 0.1 * g).signum();
        m = 0.99 * m + 0.01 * g;
        p * (1.0 - 0.1 * 0.5) - 0.1 * direction
    });
}

/// A net of two parts with a weight and a bias each: `net.a.weight` is 2, `net.a.bias` 1, `net.b.weight` 3, `net.b.bias` 4.
const PARTS: &str = "data numbers = mnist[\"\"]
block Part[w: float, b: float](x: f32[..]) -> f32 {
  param weight: f32 = constant[w]
  param bias: f32 = constant[b]
  return weight ^ 2 / 2 + bias ^ 2 / 2
}
block Net(x: f32[..]) -> f32 {
  let a = Part[2, 1]
  let b = Part[3, 4]
  return a(x) + b(x)
}
";

const NAMES: [&str; 4] = ["net.a.weight", "net.a.bias", "net.b.weight", "net.b.bias"];

fn parts_text(optimizers: &str, body: &str) -> String {
    format!(
        "{PARTS}train run[steps=12] {{
          let net = Net
          {optimizers}
          step (x, y) in numbers.train |> batch[2] {{ {body} }}
        }}"
    )
}

/// What one step makes of the four parameters, whose gradients are themselves.
#[track_caller]
fn after(optimizer: &str, steps: usize) -> Vec<f64> {
    let text = parts_text(
        &format!("let opt = {optimizer}"),
        "minimize net(x) with opt",
    );
    let mut run = Run::new(&text);
    (0..steps).for_each(|iter| {
        run.step(iter);
    });
    NAMES.map(|name| run.value(name)).to_vec()
}

/// "Every optimizer, a user's too, takes `no_decay clip_value clip_norm freeze accumulate ema`; `decay` it declares."
/// "Patterns are globs on full paths, `*` crosses dots."
#[test]
fn every_optimizer_takes_the_common_statics() {
    let rule = "sgd[lr=0.5";
    let p = [2.0, 1.0, 3.0, 4.0];
    agree(
        "plain",
        &after(&format!("{rule}](net)"), 1),
        &p.map(|p| p * 0.5),
    );
    let decayed = after(
        &format!("{rule}, decay=0.2, no_decay=[\"*.bias\"]](net)"),
        1,
    );
    agree("no_decay", &decayed, &[2.0 * 0.4, 0.5, 3.0 * 0.4, 2.0]);
    let by_place = after("sgd[0.5, 0, false, 0.2, no_decay=[\"*.bias\"]](net)", 1);
    agree("no_decay of a positional decay", &by_place, &decayed);
    agree(
        "clip_value",
        &after(&format!("{rule}, clip_value=1.5](net)"), 1),
        &[1.25, 0.5, 2.25, 3.25],
    );
    let frozen = after(&format!("{rule}, freeze=[\"net.a*\"]](net)"), 1);
    agree("freeze", &frozen, &[2.0, 1.0, 1.5, 2.0]);
    let frozen = after(
        &format!("{rule}, freeze=[\"*.weight\", \"net.b.bias\"]](net)"),
        1,
    );
    agree("freeze", &frozen, &[2.0, 0.5, 3.0, 4.0]);
    let frozen = after(&format!("{rule}, freeze=[\"n*s\"]](net)"), 1);
    agree("a star crosses dots", &frozen, &[1.0, 1.0, 1.5, 4.0]);
}

/// "… `clip_norm` (over all its parameters together)."
#[test]
fn clip_norm_is_over_all_parameters_together() {
    let norm = 30.0_f64.sqrt();
    let factor = 1.0 - 0.5 / norm;
    let clipped = after("sgd[lr=0.5, clip_norm=1](net)", 1);
    agree(
        "clip_norm",
        &clipped,
        &[2.0 * factor, factor, 3.0 * factor, 4.0 * factor],
    );
    agree(
        "a smaller norm stays",
        &after("sgd[lr=0.5, clip_norm=6](net)", 1),
        &[1.0, 0.5, 1.5, 2.0],
    );
}

const OWN: &str = "optimizer plain[lr: schedule = 0.5, decay: float = 0](p, g) { p <- p - lr * (g + decay * p) }\n";

/// The common statics for an optimizer of one's own.
#[test]
fn a_users_optimizer_takes_them_too() {
    let own = |statics: &str| {
        let optimizer = format!("let opt = plain[{statics}](net)");
        let text = parts_text(&optimizer, "minimize net(x) with opt");
        let mut run = Run::new(&format!("{OWN}{text}"));
        run.step(0);
        run.step(1);
        (NAMES.map(|name| run.value(name)).to_vec(), run)
    };
    agree(
        "clip_value",
        &own("clip_value=0.5").0,
        &[1.5, 0.5, 2.5, 3.5],
    );
    agree(
        "freeze",
        &own("freeze=[\"*.a.*\"]").0,
        &[2.0, 1.0, 0.75, 1.0],
    );
    agree("accumulate", &own("accumulate=2").0, &[1.0, 0.5, 1.5, 2.0]);
    agree(
        "no_decay",
        &own("decay=0.2, no_decay=[\"*.b.*\"]").0,
        &[0.32, 0.16, 0.75, 1.0],
    );
    let (_, run) = own("ema=0.5");
    agree(
        "ema",
        &[run.value("ema.net.a.weight")],
        &[0.5 * (0.5 * 2.0 + 0.5 * 1.0) + 0.5 * 0.5],
    );
    let factor = 1.0 - 0.5 / 30.0_f64.sqrt();
    let second = factor * (1.0 - 0.5 / (30.0_f64.sqrt() * factor));
    agree(
        "clip_norm",
        &own("clip_norm=1").0,
        &[2.0, 1.0, 3.0, 4.0].map(|p| p * second),
    );
    let undeclared = OWN
        .replace(", decay: float = 0", "")
        .replace("(g + decay * p)", "g");
    let text = parts_text(
        "let opt = plain[decay=0.1](net)",
        "minimize net(x) with opt",
    );
    run_refused(&format!("{undeclared}{text}"), &["run.dlm", "`decay`"]);
}

/// "Order: mean over `accumulate`, `clip_value`, `clip_norm`, body."
#[test]
fn gradients_are_averaged_then_clipped_by_value_then_by_norm() {
    // The gradient is iter - 1: of -1, 0, 1, 8 the mean of four is 2; clipped one by one their mean would be less.
    let text = parts_text(
        "let opt = sgd[lr=1, accumulate=4, clip_value=1.5](net)",
        "minimize net(x) * where(iter == 3, 8, iter - 1) with opt",
    );
    let mut run = Run::new(&text);
    (0..4).for_each(|iter| {
        run.step(iter);
    });
    agree(
        "mean first",
        &NAMES.map(|name| run.value(name)),
        &[0.5, -0.5, 1.5, 2.5],
    );
    // By value 1, 1, 1, 1; by norm then 0.5 each. The other way the smallest would be less.
    let clipped = after("sgd[lr=1, clip_value=1, clip_norm=1](net)", 1);
    agree("value, then norm", &clipped, &[1.5, 0.5, 2.5, 3.5]);
    // L2 comes after: it is the body's.
    let decayed = after("sgd[lr=1, clip_value=1, decay=0.5](net)", 1);
    agree(
        "the body last",
        &decayed,
        &[
            2.0 - 1.0 - 1.0,
            1.0 - 1.0 - 0.5,
            3.0 - 1.0 - 1.5,
            4.0 - 1.0 - 2.0,
        ],
    );
}

/// "`t` counts updates": not steps, and from 1.
#[test]
fn t_counts_updates_from_1() {
    let optimizer = "optimizer count[lr: schedule = 1](p, g) { p <- t }\n";
    let text = train_text("count[accumulate=3](net)", "minimize net(x) with opt");
    let mut run = Run::new(&format!("{optimizer}{text}"));
    let seen: Vec<f64> = (0..7)
        .map(|iter| {
            run.step(iter);
            run.value("net.w")
        })
        .collect();
    assert_eq!(seen, [2.0, 2.0, 1.0, 1.0, 1.0, 2.0, 2.0]);
}

/// "An optimizer takes instances or paths (`adam[…](net.enc, head)`), so groups are several optimizers."
#[test]
fn an_optimizer_takes_instances_or_paths() {
    let text = parts_text(
        "let slow = sgd[lr=0.1](net.a.bias, net.b)\n let fast = sgd[lr=0.5](net.a.weight)",
        "let l = net(x)\n minimize l with slow\n minimize l with fast",
    );
    let mut run = Run::new(&text);
    run.step(0);
    agree(
        "groups",
        &NAMES.map(|name| run.value(name)),
        &[1.0, 0.9, 2.7, 3.6],
    );
    run_refused(
        &parts_text("let opt = sgd(net.c)", "minimize net(x) with opt"),
        &["run.dlm:14:25", "net.c"],
    );
}

/// "A parameter in two is an error."
#[test]
fn a_parameter_in_two_optimizers_is_an_error() {
    let text = parts_text(
        "let one = sgd(net)\n let two = sgd(net.b)",
        "let l = net(x)\n minimize l with one\n minimize l with two",
    );
    run_refused(
        &text,
        &["run.dlm:15:16", "net.b.weight", "two optimizers", "run.dlm"],
    );
}

/// "One that L does not depend on is not touched": no decay, no momentum, and its states stay.
#[test]
fn what_the_loss_does_not_depend_on_is_not_touched() {
    let text = format!(
        "{HEAD}train run[steps=12] {{
          let net = Net
          let other = Net
          let opt = sgd[lr=0.25, momentum=0.5, decay=0.5](net, other)
          step (x, y) in numbers.train |> batch[2] {{
            minimize net(x) ^ 2 with opt
            if iter == 7 {{ minimize other(x) with opt }}
          }}
        }}"
    );
    let mut run = Run::new(&text);
    run.step(0);
    assert_eq!((run.value("net.w"), run.value("other.w")), (0.75, 2.0));
    assert_eq!(run.value("opt.other.w.velocity"), 0.0);
}

/// Statics out of range are refused where they stand, with what is allowed and what was given.
#[test]
fn statics_of_rules_have_ranges() {
    for (optimizer, what) in [
        ("sgd[lr=-0.1]", "`lr` is at least 0, and this is -0.1"),
        ("adam[lr=1e-3 - 1]", "`lr` is at least 0"),
        (
            "sgd[momentum=-1]",
            "`momentum` is at least 0, and this is -1",
        ),
        ("sgd[0.1, -1]", "`momentum` is at least 0, and this is -1"),
        ("sgd[decay=-1]", "`decay` is at least 0, and this is -1"),
        ("sgd[nesterov=true]", "`nesterov` needs `momentum` above 0"),
        (
            "rmsprop[alpha=1]",
            "`alpha` is at least 0 and below 1, and this is 1",
        ),
        (
            "adam[beta1=1.5]",
            "`beta1` is at least 0 and below 1, and this is 1.5",
        ),
        (
            "adamw[beta2=-0.1]",
            "`beta2` is at least 0 and below 1, and this is -0.1",
        ),
        ("adamw[decay=-1]", "`decay` is at least 0"),
        ("adadelta[rho=1]", "`rho` is at least 0 and below 1"),
        ("nadam[momentum_decay=-1]", "`momentum_decay` is at least 0"),
        ("lion[beta1=1]", "`beta1` is at least 0 and below 1"),
        ("adagrad[eps=-1]", "`eps` is at least 0, and this is -1"),
    ] {
        let text = train_text(&format!("{optimizer}(net)"), "minimize net(x) ^ 2 with opt");
        run_refused(&text, &[what, "run.dlm:8:"]);
    }
}

/// So are those that every optimizer takes, whether or not a `minimize` uses it.
#[test]
fn universal_statics_have_ranges() {
    for (given, what) in [
        (
            "clip_norm=0",
            "`clip_norm` is a number above 0, and this is 0",
        ),
        (
            "clip_value=-1",
            "`clip_value` is a number above 0, and this is -1",
        ),
        (
            "ema=1",
            "`ema` is a number above 0 and below 1, and this is 1",
        ),
        (
            "ema=0",
            "`ema` is a number above 0 and below 1, and this is 0",
        ),
        (
            "accumulate=0",
            "`accumulate` is a whole number of steps, at least 1, and this is 0",
        ),
        ("accumulate=2.5", "at least 1, and this is 2.5"),
        ("accumulate=true", "at least 1, and this is a bool"),
    ] {
        let text = train_text(
            &format!("sgd[{given}](net)"),
            "minimize net(x) ^ 2 with opt",
        );
        run_refused(&text, &[what, "run.dlm:8:17"]);
        let unused = train_text(
            &format!("sgd(net)\n  let other = sgd[{given}](net)"),
            "minimize net(x) ^ 2 with opt",
        );
        run_refused(&unused, &[what, "run.dlm:9:19"]);
    }
}

/// A pattern that fits no parameter of its optimizer would silently freeze nothing.
#[test]
fn patterns_fit_a_parameter() {
    for (given, parts) in [
        (
            "freeze=[\"net.c.*\"]",
            vec![
                "no parameter of this optimizer fits \"net.c.*\"",
                "net.a.weight",
            ],
        ),
        (
            "freeze=[\"net.a.wieght\"]",
            vec!["did you mean `net.a.weight`"],
        ),
        (
            "no_decay=\"a.bias\"",
            vec!["`no_decay`", "did you mean `*.a.bias`"],
        ),
        ("freeze=[\"bias\"]", vec!["did you mean `*.bias`"]),
    ] {
        let opt = format!("let opt = sgd[{given}](net)");
        run_refused(&parts_text(&opt, "minimize net(x) with opt"), &parts);
    }
}

/// "A parameter in two is an error", also where no `minimize` uses the second.
#[test]
fn an_unused_optimizer_shares_nothing() {
    let text = parts_text(
        "let one = sgd(net)\n let two = sgd(net.b)",
        "minimize net(x) with one",
    );
    run_refused(
        &text,
        &[
            "run.dlm:15:16",
            "net.b.weight",
            "two optimizers",
            "the other one",
        ],
    );
    let text = parts_text(
        "let one = sgd(net.b)\n let two = sgd(net)\n let three = sgd(net.a)",
        "minimize net(x) with three",
    );
    run_refused(&text, &["run.dlm:15:16", "net.a.weight", "two optimizers"]);
}
