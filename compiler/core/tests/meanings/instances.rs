//! **Instances.** What makes one, what it is named, what is shared.

use crate::support::{HEAD, X, check, good, paths, refused, run_refused};
use dlm_core::graph::Op;

/// "`let a = b` is an alias."
#[test]
fn a_let_of_an_instance_is_an_alias() {
    let text = "block Case(x: f32[2, 3]) { let own = Linear[3, bias=false]\n let alias = own\n return x |> own |> alias }";
    assert_eq!(paths(text), ["own.weight"]);
}

/// "A block passed as a static is a recipe: each mention is a fresh instance named after the recipe's block; an instance
/// passed is shared and keeps its path."
#[test]
fn a_block_passed_is_a_recipe_and_an_instance_passed_is_shared() {
    let text = "block Twice[act: block](x: f32[..]) -> f32[..] { return x |> act |> act }
    block Case(x: f32[2, 3]) -> f32[..] {
      let own = PReLU
      let shared = Twice[own]
      return x |> Twice[PReLU] |> shared |> Twice[Linear[3, bias=false]]
    }";
    let expected = [
        "twice_1.prelu_1.weight",
        "twice_1.prelu_2.weight",
        "own.weight",
        "twice_2.linear_1.weight",
        "twice_2.linear_2.weight",
    ];
    assert_eq!(paths(text), expected);
}

/// "`fn`, `step` and `eval` make no instances."
#[test]
fn functions_steps_and_evals_make_no_instances() {
    refused(
        "fn case(x: f32[2, 3]) { return x |> Linear[3] }",
        &[X],
        &["case.dlm:1:", "`fn`", "Linear"],
    );
    let text = format!(
        "{HEAD}train run {{
          let net = Net
          let opt = sgd(net)
          step (x, y) in numbers.train |> batch[2] {{
            let z = net(x)
            minimize z with opt
          }}
          eval (x, y) in numbers.test |> batch[2] {{
            report w = net(x)
          }}
        }}"
    );
    run_refused(
        &text.replace("z = net(x)", "z = x |> Net"),
        &["run.dlm:10:", "`step`", "Net"],
    );
    run_refused(
        &text.replace("w = net(x)", "w = Net(x)"),
        &["run.dlm:14:", "`eval`", "Net"],
    );
}

/// "An instance's dimensions are fixed by its first call."
#[test]
fn dimensions_are_fixed_by_the_first_call() {
    refused(
        "block Case(x: f32[2, 3]) {\n let f = Linear[4]\n let a = f(x)\n return f(a)\n}",
        &[X],
        &["case.dlm:4:", "case.dlm", "3", "4"],
    );
    // Other dimensions may differ.
    check(
        "block Case(x: f32[2, 3]) { let f = Linear[1, init=ones, bias=false]\n return concat(f(x)[:, 0], f(x[0])) }",
        &[X],
        &[2.0, -5.0, 2.0],
    );
}

/// "Sites are counted in textual order over the whole definition, nested bodies and branches not taken included."
#[test]
fn unnamed_instances_are_counted_in_textual_order_branches_not_taken_included() {
    let text = "block Case(x: f32[2, 3]) -> f32[..] {
      let fc = Linear[3, bias=false]
      let h = if len(x) == 7 { x |> Linear[3, bias=false] } else { x |> Linear[4, bias=false] |> Linear[3, bias=false] }
      for i in 0..2 { h = h |> fc |> Linear[3, bias=false] }
      return h
    }";
    let expected = [
        "linear_2.weight",
        "linear_3.weight",
        "fc.weight",
        "linear_4.0.weight",
        "linear_4.1.weight",
    ];
    assert_eq!(paths(text), expected);
    let text = "block Case(x: f32[2, 3]) -> f32[..] {
      if len(x) == 7 { return x |> Linear[3, bias=false] }
      return PReLU(x |> Linear[5, bias=false]) |> PReLU
    }";
    assert_eq!(
        paths(text),
        ["linear_2.weight", "prelu_1.weight", "prelu_2.weight"]
    );
}

/// "Each enclosing `for` appends its round, outermost first: `res_2.0.1.conv2d_1.weight`."
#[test]
fn each_enclosing_loop_appends_its_round() {
    let text = "block Res(x: f32[..]) { return x |> Linear[3, bias=false] }
    block Case(x: f32[2, 3]) {
      let h = x |> Res
      for i in 0..2 { for j in [5, 7] { h = h |> Res
          let own = Res
          h = own(h) } }
      return h
    }";
    let rounds = ["0.0", "0.1", "1.0", "1.1"];
    let inner = rounds.iter().flat_map(|round| {
        [
            format!("res_2.{round}.linear_1.weight"),
            format!("own.{round}.linear_1.weight"),
        ]
    });
    let expected: Vec<String> = std::iter::once("res_1.linear_1.weight".to_owned())
        .chain(inner)
        .collect();
    assert_eq!(paths(text), expected);
}

/// "Only a `let` whose whole value is a block (or an `if` between blocks) names an instance."
#[test]
fn only_a_let_whose_whole_value_is_a_block_names_an_instance() {
    let text = "block Case[wide: bool = true](x: f32[2, 3]) -> f32[..] {
      let layer = if wide { Linear[5, bias=false] } else { PReLU }
      let y = x |> layer |> Linear[3, bias=false]
      let z = Linear[2, bias=false](y)
      let act = PReLU
      return act(z)
    }";
    assert_eq!(
        paths(text),
        [
            "layer.weight",
            "linear_1.weight",
            "linear_2.weight",
            "act.weight"
        ]
    );
}

/// "Snake case …: `BatchNorm` is `batch_norm`, `RMSNorm` `rms_norm`, `Conv2d` `conv2d`; `PReLU` alone is `prelu`."
#[test]
fn unnamed_instances_are_named_in_snake_case() {
    let text = "block HTTPServer2Go(x: f32[..]) { return x |> PReLU }
    block Case(x: f32[2, 3]) {
      return x |> BatchNorm[affine=false] |> RMSNorm |> unsqueeze[-1] |> unsqueeze[-1] |> Conv2d[3, 1, bias=false] |> PReLU |> HTTPServer2Go
    }";
    let expected = [
        "rms_norm_1.weight",
        "conv2d_1.weight",
        "prelu_1.weight",
        "http_server2_go_1.prelu_1.weight",
        "batch_norm_1.running_mean",
        "batch_norm_1.running_var",
    ];
    assert_eq!(paths(text), expected);
}

/// "Two equal paths are an error."
#[test]
fn two_equal_paths_are_an_error() {
    refused(
        "block Case(x: f32[2, 3]) {\n let a = PReLU\n let b = a(x)\n let a = PReLU\n return a(b)\n}",
        &[X],
        &["case.dlm:4:", "`a`"],
    );
    refused(
        "block Case(x: f32[2, 3]) {\n let prelu_1 = PReLU\n return x |> prelu_1 |> PReLU\n}",
        &[X],
        &["prelu_1"],
    );
    refused(
        "block Case(x: f32[2, 3]) {\n param w: f32[3] = ones\n param w: f32[3] = ones\n return x * w\n}",
        &[X],
        &["case.dlm:3:", "`w`"],
    );
}

/// "A recurrence's counter may index and compute, but sizes no dimension and decides no `if`": both are errors.
#[test]
fn a_recurrences_counter_may_index_and_compute() {
    let scans = |text: &str| {
        let graph = good(text, &[X], true).graph;
        graph
            .nodes
            .values()
            .any(|node| matches!(node.op, Op::Scan(_)))
    };
    let text = "fn case(x: f32[2, 3]) { let s = zeros[2]\n for t in 0..3 { s = s + x[:, t] * t }\n return s }";
    assert!(scans(text));
    check(text, &[X], &[4.0, -7.0]);
    let decides = |rounds: &str, taken: &str| {
        format!(
            "block Case(x: f32[2, 3]) {{ let s = x\n for t in {rounds} {{ if t > 0 {{ s = s {taken} }} }}\n return s }}"
        )
    };
    let parts = &["decides no `if`", "case.dlm:2:", "where(condition, a, b)"];
    refused(&decides("0..3", "+ x * t"), &[X], parts);
    good(&decides("0..3", "|> Linear[3]"), &[X], true);
    good(&decides("[0, 1, 2]", "+ x * t"), &[X], true);
    let text = "fn case(x: f32[2, 3]) { let s = zeros[2, 2]\n for t in 0..2 { s = s * 10 + x[:, t:t + 2] }\n return s }";
    // Rounds are at least three in a recurrence; the fourth column is a copy of the first.
    let longer = text.replace(
        "for t in 0..2",
        "let x = concat[axis=1](x, x[:, 0:1])\n for t in 0..3",
    );
    assert!(scans(&longer));
    let columns = |a: f64, b: f64, c: f64| [a * 100.0 + b * 10.0 + c, b * 100.0 + c * 10.0 + a];
    let wanted = [columns(1.0, -2.0, 3.0), columns(-4.0, 5.0, -6.0)].concat();
    check(&longer, &[X], &wanted);
    check(text, &[X], &[8.0, -17.0, -35.0, 44.0]);
    let parts = &["sizes no dimension", "case.dlm:2:"];
    for sized in ["sum(ones[t + 1]) * x[:, t]", "sum[axis=1](x[:, :t])"] {
        let text = format!(
            "fn case(x: f32[2, 3]) {{ let s = zeros[2]\n for t in 0..3 {{ s = s + {sized} }}\n return s }}"
        );
        refused(&text, &[X], parts);
    }
}
