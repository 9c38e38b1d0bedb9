//! Where two readers of a program could differ: one test for each sentence that fixes what is meant.

mod programs;

use dlm_core::elaborate::{self, CallRequest, Callable, NoWorld, Settings, Source, World};
use dlm_core::graph::eval::{self, Tensor};
use dlm_core::graph::{DType, Dim, TensorType};
use dlm_core::passes;
use dlm_grammar::SourceMap;

/// An input: its name, element type, shape and elements.
type Given<'a> = (&'a str, DType, &'a [i64], &'a [f64]);

const X: Given<'static> = ("x", DType::F32, &[2, 3], &[1.0, -2.0, 3.0, -4.0, 5.0, -6.0]);

fn callable(text: &str, inputs: &[Given<'_>], training: bool) -> Result<Callable, String> {
    let types = inputs.iter().map(|(name, dtype, shape, _)| {
        let shape: Vec<Dim> = shape.iter().map(|&extent| Dim::fixed(extent)).collect();
        ((*name).to_owned(), TensorType::new(*dtype, shape))
    });
    let request = CallRequest {
        arguments: types.collect(),
        training,
        gradients: false,
    };
    let settings = Settings::default();
    let world = World {
        loader: &NoWorld,
        catalog: &NoWorld,
        settings: &settings,
    };
    let entry = if text.contains("block Case") {
        "Case"
    } else {
        "case"
    };
    let mut sources = SourceMap::new();
    let main = Source {
        name: "case.dlm",
        text,
    };
    let elaborated = elaborate::callable(&mut sources, main, world, entry, &request);
    elaborated
        .value
        .ok_or_else(|| sources.render_all(&elaborated.diagnostics))
}

/// The outputs of `case` or `Case`, its parameters and states having their initial values.
fn outputs(text: &str, inputs: &[Given<'_>], training: bool) -> Vec<(String, Tensor)> {
    let callable =
        callable(text, inputs, training).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    let mut values = eval::Inputs::new();
    values.insert("seed".into(), Tensor::scalar(0.0));
    values.insert("counter".into(), Tensor::scalar(0.0));
    let initial = eval::evaluate(&callable.init, 1, &values).expect("initial values");
    values.extend(initial);
    for (name, _, shape, data) in inputs {
        values.insert((*name).to_owned(), Tensor::new(shape, data.to_vec()));
    }
    let graph = passes::run_passes(&callable.graph, passes::PASSES, |_, _| {}).expect("passes");
    eval::evaluate(&graph, 1, &values).expect("an evaluation")
}

#[track_caller]
fn check(text: &str, inputs: &[Given<'_>], expected: &[f64]) {
    let outputs = outputs(text, inputs, true);
    let (_, out) = outputs
        .iter()
        .find(|(name, _)| name == "out")
        .expect("a result");
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
    let equal = out.data.len() == expected.len() && out.data.iter().zip(expected).all(near);
    assert!(equal, "{text}\ngives {:?}, not {expected:?}", out.data);
}

/// The paths of all parameters and states of `Case`.
fn paths(text: &str) -> Vec<String> {
    let callable = callable(text, &[X], true).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    let parameters = callable
        .parameters
        .iter()
        .map(|parameter| parameter.path.clone());
    parameters
        .chain(callable.states.iter().map(|state| state.path.clone()))
        .collect()
}

#[test]
fn operators_bind_as_the_page_says() {
    check("fn case() { return -3 ^ 2 }", &[], &[-9.0]);
    check("fn case() { return 2 ^ 3 ^ 2 }", &[], &[512.0]);
    check(
        "fn case(x: f32[2, 3]) { return -x[0] ^ 2 }",
        &[X],
        &[-1.0, -4.0, -9.0],
    );
    check(
        "fn case(x: f32[2, 3]) { return x[0] + 1 |> relu }",
        &[X],
        &[2.0, 0.0, 4.0],
    );
    check("fn case() { return -7 % 3 }", &[], &[2.0]);
    check(
        "fn case(x: f32[2, 3]) { return x[0] % 4 }",
        &[X],
        &[1.0, 2.0, 3.0],
    );
}

#[test]
fn compile_time_division_is_exact_and_whole_results_serve_as_ints() {
    check(
        "fn case() { return zeros[7 / 2 * 2 - 5] }",
        &[],
        &[0.0, 0.0],
    );
    check(
        "fn case() { return ones[floor(7 / 2)] }",
        &[],
        &[1.0, 1.0, 1.0],
    );
    check("fn case() { return 7 / 2 }", &[], &[3.5]);
    check(
        "fn half(n) { return n / 2 }\nfn case() { return ones[half(4)] }",
        &[],
        &[1.0, 1.0],
    );
    check("fn case() { return 6 / [1, 2, 3] }", &[], &[6.0, 3.0, 2.0]);
}

#[test]
fn a_definition_does_not_see_itself_and_hides_the_library() {
    check(
        "fn relu(x: f32[..]) { return relu(x) * 2 }\nfn case(x: f32[2, 3]) { return relu(x[0]) }",
        &[X],
        &[2.0, 0.0, 6.0],
    );
    check(
        "let k = 2\nfn case(x: f32[2, 3]) { let k = k + 1\n return x[0] * k }",
        &[X],
        &[3.0, -6.0, 9.0],
    );
}

#[test]
fn slices_are_pythons() {
    check(
        "fn case(x: f32[2, 3]) { return x[:, -1] }",
        &[X],
        &[3.0, -6.0],
    );
    check(
        "fn case(x: f32[2, 3]) { return x[.., 0] }",
        &[X],
        &[1.0, -4.0],
    );
    check(
        "fn case(x: f32[2, 3]) { return x[0, ::2] }",
        &[X],
        &[1.0, 3.0],
    );
    check(
        "fn case(x: f32[2, 3]) { return x[0, ::-1] }",
        &[X],
        &[3.0, -2.0, 1.0],
    );
    check(
        "fn case(x: f32[2, 3]) { return x[1, 1:100] }",
        &[X],
        &[5.0, -6.0],
    );
}

#[test]
fn let_takes_results_or_unpacks_axis_0() {
    check(
        "fn two(x: f32[..]) -> f32[..], f32[..] { return x, -x }\nfn case(x: f32[2, 3]) { let a, b = two(x[0])\n return a - b }",
        &[X],
        &[2.0, -4.0, 6.0],
    );
    check(
        "fn case(x: f32[2, 3]) { let a, b = x\n return a + b }",
        &[X],
        &[-3.0, 3.0, -3.0],
    );
}

#[test]
fn lists_of_tensors_have_a_compile_time_length() {
    check(
        "fn case(x: f32[2, 3]) { let xs = []\n for i in 0..2 { xs = xs + [x[i]] }\n return stack(xs) }",
        &[X],
        X.3,
    );
    check(
        "fn case(x: f32[2, 3]) { let xs = [x[0]]\n xs = xs + [x[1]]\n return xs[-1] }",
        &[X],
        &[-4.0, 5.0, -6.0],
    );
    check(
        "fn case(x: f32[2, 3]) { return concat([x[0], x[1]]) }",
        &[X],
        X.3,
    );
}

#[test]
fn optional_arguments_are_known_to_be_absent() {
    let text = "fn scaled(x: f32[..], by: f32[..] = none) { if by == none { return x }\n return x * by }\n";
    check(
        &format!("{text}fn case(x: f32[2, 3]) {{ return scaled(x[0]) }}"),
        &[X],
        &[1.0, -2.0, 3.0],
    );
    check(
        &format!("{text}fn case(x: f32[2, 3]) {{ return scaled(x[0], by=x[0]) }}"),
        &[X],
        &[1.0, 4.0, 9.0],
    );
}

#[test]
fn literals_take_the_type_of_what_they_meet() {
    let n: Given<'_> = ("n", DType::I32, &[2], &[3.0, 4.0]);
    check(
        "fn case(n: i32[2]) -> i32[2] { return n * 2 + 1 }",
        &[n],
        &[7.0, 9.0],
    );
    check(
        "fn case(n: i32[2]) -> f32[2] { return f32(n) * 0.5 }",
        &[n],
        &[1.5, 2.0],
    );
    assert!(callable("fn case(n: i32[2]) { return n * 0.5 }", &[n], true).is_err());
    assert!(callable("fn case(x: f32[2, 3]) { return mse(x, x[0]) }", &[X], true).is_err());
}

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
}

#[test]
fn a_block_passed_is_a_recipe_and_an_instance_passed_is_shared() {
    let text = "block Twice[act: block](x: f32[..]) -> f32[..] { return x |> act |> act }
    block Case(x: f32[2, 3]) -> f32[..] {
      let own = PReLU
      let shared = Twice[own]
      let alias = own
      return x |> Twice[PReLU] |> shared |> alias
    }";
    let expected = [
        "twice_1.prelu_1.weight",
        "twice_1.prelu_2.weight",
        "own.weight",
    ];
    assert_eq!(paths(text), expected);
}

#[test]
fn a_let_between_blocks_names_the_instance() {
    let text = "block Case[wide: bool = true](x: f32[2, 3]) -> f32[..] {
      let layer = if wide { Linear[5, bias=false] } else { PReLU }
      return layer(x)
    }";
    assert_eq!(paths(text), ["layer.weight"]);
}

#[test]
fn reading_a_state_after_its_update_gives_the_new_value() {
    let text = "block Count(x: f32[..]) -> f32[..] {
      state n: f32 = zeros
      n <- n + 1
      return x * n
    }
    block Case(x: f32[2, 3]) -> f32[..] { let count = Count\n return count(x[0]) + count(x[0]) }";
    check(text, &[X], &[3.0, -6.0, 9.0]);
    let trained = outputs(text, &[X], true);
    assert!(
        trained
            .iter()
            .any(|(name, value)| name == "count.n" && value.data == [2.0])
    );
    let evaluated = outputs(text, &[X], false);
    assert!(
        evaluated.iter().all(|(name, _)| name != "count.n"),
        "nothing is stored"
    );
    let frozen = text.replace(
        "count(x[0]) + count(x[0])",
        "count(x[0]) + count[training=false](x[0])",
    );
    let outputs = outputs(&frozen, &[X], true);
    assert!(
        outputs
            .iter()
            .any(|(name, value)| name == "count.n" && value.data == [1.0])
    );
}

#[test]
fn initial_values_depend_on_seed_and_path_alone() {
    let alone = "block Case(x: f32[2, 3]) -> f32[..] { let fc = Linear[4]\n return fc(x) }";
    let among = "block Case(x: f32[2, 3]) -> f32[..] { let other = Linear[3]\n let fc = Linear[4]\n return fc(other(x)) }";
    let initial = |text: &str| {
        let callable = callable(text, &[X], true).expect("a program without errors");
        let mut values = eval::Inputs::new();
        values.insert("seed".into(), Tensor::scalar(7.0));
        let outputs = eval::evaluate(&callable.init, 1, &values).expect("initial values");
        outputs
            .into_iter()
            .find(|(name, _)| name == "fc.weight")
            .expect("its weight")
            .1
            .data
    };
    assert_eq!(initial(alone), initial(among));
    let bound = 1.0 / 3.0_f64.sqrt();
    assert!(
        initial(alone).iter().all(|value| value.abs() <= bound),
        "U(-1/sqrt(fan_in), 1/sqrt(fan_in))"
    );
    assert!(
        initial(alone).windows(2).any(|pair| pair[0] != pair[1]),
        "not all the same"
    );
}

#[test]
fn random_values_have_places_of_their_own() {
    let text = "fn case() { return stack(rand[4], rand[4]) }";
    let outputs = outputs(text, &[], true);
    let data = &outputs[0].1.data;
    assert!(data.iter().all(|value| (0.0..1.0).contains(value)));
    assert_ne!(data[..4], data[4..]);
}

#[test]
fn gradients_go_to_an_optimizers_own_parameters_and_see_updates() {
    // One parameter w = 2, loss w^2: sgd with rate 0.25 halves it; the second loss sees the new value.
    let text = "data numbers = mnist[\"\"]
    block Net(x: f32[B, 1, 28, 28]) -> f32 {
      param w: f32 = constant[2]
      return w
    }
    train run[steps=1] {
      let net = Net
      let opt = sgd[lr=0.25](net)
      step (x, _) in numbers.train |> batch[2] {
        let before = net(x) ^ 2
        minimize before with opt
        let after = net(x) ^ 2
        minimize after with opt
        report before, after
      }
    }";
    let program = programs::train_ok("run.dlm", text);
    let graph = passes::run_passes(&program.step, passes::PASSES, |_, _| {}).expect("passes");
    let mut values = eval::Inputs::new();
    values.insert("net.w".into(), Tensor::scalar(2.0));
    values.insert("opt.t".into(), Tensor::scalar(0.0));
    values.insert("x".into(), Tensor::new(&[2, 1, 28, 28], vec![0.0; 2 * 784]));
    let outputs = eval::evaluate(&graph, 2, &values).expect("a step");
    let value = |wanted: &str| {
        outputs
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.data[0])
    };
    assert_eq!(value("before"), Some(4.0));
    assert_eq!(value("after"), Some(1.0));
    assert_eq!(value("net.w"), Some(0.5));
    assert_eq!(value("opt.t"), Some(2.0));
}
