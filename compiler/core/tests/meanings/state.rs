//! **State.** What a state is after its update, when it is stored, and what `training` is.

use crate::support::{Given, HEAD, Run, X, check, initial, outputs, passed, refused};
use dlm_core::graph::DType;
use dlm_core::graph::eval::{self, Tensor};

const COUNT: &str = "block Count(x: f32[..]) -> f32[..] {
  state n: f32 = zeros
  n <- n + 1
  return x * n
}
";

/// "After `s <- e`, reading `s` gives `e`." "States change in program order: a block called twice in a step updates twice."
#[test]
fn states_change_in_program_order() {
    let text = format!(
        "{COUNT}block Case(x: f32[2, 3]) {{ let count = Count\n return count(x[0]) + count(x[0]) }}"
    );
    check(&text, &[X], &[3.0, -6.0, 9.0]);
    assert_eq!(outputs(&text, &[X], true)["count.n"].data, [2.0]);
    let text = "block Case(x: f32[2, 3]) {
      state s: f32 = constant[5]
      let before = s
      s <- 10 * s
      let between = s
      s <- s + 1
      return [before, between, s]
    }";
    check(text, &[X], &[5.0, 50.0, 51.0]);
    refused(
        "block Case(x: f32[2, 3]) {\n let s = 1\n s <- 2\n return x\n}",
        &[X],
        &["case.dlm:3:", "`s`", "not a state"],
    );
}

/// "Where `training` is false nothing is stored." The new value is read all the same.
#[test]
fn nothing_is_stored_where_training_is_false() {
    let text = format!(
        "{COUNT}block Case(x: f32[2, 3]) {{ let count = Count\n return count(x[0]) + count(x[0]) }}"
    );
    let evaluated = outputs(&text, &[X], false);
    assert_eq!(evaluated["out"].data, [2.0, -4.0, 6.0]);
    assert!(!evaluated.contains_key("count.n"));
}

/// "`training` is true in `step`, false in `eval`."
#[test]
fn training_is_true_in_step_and_false_in_eval() {
    let text = format!(
        "{HEAD}block Mode(x: f32[..]) -> f32 {{
          state n: f32 = zeros
          n <- n + 1
          return if training {{ n }} else {{ -1 - n }}
        }}
        fn mode() {{ return if training {{ 1 }} else {{ 2 }} }}
        train run[steps=12] {{
          let net = Net
          let probe = Mode
          let opt = sgd(net)
          step (x, y) in numbers.train |> batch[2] {{
            minimize net(x) with opt
            report mode = probe(x), own = mode()
          }}
          eval (x, y) in numbers.test |> batch[2] {{ report mode = probe(x), own = mode() }}
        }}"
    );
    let mut run = Run::new(&text);
    for iter in 0..3 {
        let outputs = run.step(iter);
        assert_eq!(outputs["mode"].data, [iter as f64 + 1.0]);
        assert_eq!(outputs["own"].data, [1.0]);
    }
    let found = eval::evaluate(&run.program.evals[0].graph, 2, &run.values).expect("an evaluation");
    let found: Vec<(&str, f64)> = found
        .iter()
        .map(|(name, value)| (name.as_str(), value.data[0]))
        .collect();
    assert_eq!(
        found,
        [("mode", -5.0), ("own", 2.0)],
        "n is 3, read as 4, and not stored"
    );
}

/// "`net[training=false](x)` overrides it for one call (frozen BatchNorm, teacher nets)", and for what is called inside.
#[test]
fn training_may_be_overridden_for_one_call() {
    let text = format!(
        "{COUNT}block Outer(x: f32[..]) {{ let count = Count\n return count(x) }}
        block Case(x: f32[2, 3]) {{ let o = Outer\n return o[training=false](x[0]) + o(x[0]) + o[training=false](x[0]) }}"
    );
    let trained = outputs(&text, &[X], true);
    assert_eq!(trained["out"].data, [4.0, -8.0, 12.0], "1, 1 and 2");
    assert_eq!(trained["o.count.n"].data, [1.0]);
    let drop = "block Drop(x: f32[..]) { return x |> dropout[1.0] }
    block Case(x: f32[2, 3]) { let d = Drop\n return d[training=false](x) }";
    check(drop, &[X], X.3);
}

/// What `BatchNorm` makes of one column, and the statistics that it stores.
fn batch_norm(column: &[f64], training: bool) -> [Vec<f64>; 3] {
    let shape = [column.len() as i64, 1];
    let given: Given<'_> = ("x", DType::F32, &shape, column);
    let text = format!(
        "block Case(x: f32[{}, 1]) {{ return x |> BatchNorm }}",
        column.len()
    );
    let mut found = outputs(&text, &[given], training);
    [
        "out",
        "batch_norm_1.running_mean",
        "batch_norm_1.running_var",
    ]
    .map(|name| found.remove(name).map_or(Vec::new(), |tensor| tensor.data))
}

/// "BatchNorm follows PyTorch (stored variance unbiased; over a single value, biased)."
#[test]
fn batch_norm_stores_the_unbiased_variance() {
    let [out, mean, variance] = batch_norm(&[1.0, 2.0, 6.0], true);
    let deviation = (14.0_f64 / 3.0 + 1e-5).sqrt();
    crate::support::agree(
        "normalized",
        &out,
        &[-2.0 / deviation, -1.0 / deviation, 3.0 / deviation],
    );
    crate::support::agree("mean", &mean, &[0.1 * 3.0]);
    crate::support::agree("variance", &variance, &[0.9 + 0.1 * 7.0]);
    let [out, mean, variance] = batch_norm(&[4.0], true);
    crate::support::agree("a single value", &out, &[0.0]);
    crate::support::agree("its mean", &mean, &[0.4]);
    crate::support::agree("its variance", &variance, &[0.9]);
    let [out, mean, variance] = batch_norm(&[1.0, 2.0, 6.0], false);
    let factor = 1.0 / (1.0_f64 + 1e-5).sqrt();
    crate::support::agree(
        "with what is stored",
        &out,
        &[factor, 2.0 * factor, 6.0 * factor],
    );
    assert!(mean.is_empty() && variance.is_empty());
}

/// A state's first value is its init's.
#[test]
fn states_begin_with_their_init() {
    let text =
        "block Case(x: f32[2, 3]) { state s: f32[3] = constant[4]\n s <- s + x[0]\n return s }";
    let callable = crate::support::good(text, &[X], true);
    let mut values = initial(&callable.init, 0.0);
    assert_eq!(values["s"].data, [4.0; 3]);
    values.insert("x".into(), Tensor::new(X.2, X.3.to_vec()));
    let found = eval::evaluate(&passed(&callable.graph), 1, &values).expect("an evaluation");
    let stored = found
        .iter()
        .find(|(name, _)| name == "s")
        .expect("it is stored");
    assert_eq!(stored.1.data, [5.0, 2.0, 7.0]);
}
