//! Text in, numbers out: functions, blocks and training steps by the slow evaluator.

use std::collections::BTreeMap;

use dlm_core::elaborate::{
    self, CallRequest, Callable, NoWorld, Settings, Source, TrainProgram, World,
};
use dlm_core::graph::eval::{self, Tensor};
use dlm_core::graph::{DType, Dim, Graph, TensorType};
use dlm_core::passes;
use dlm_grammar::SourceMap;

use crate::programs;

/// An input: its name, element type, shape and elements.
pub type Given<'a> = (&'a str, DType, &'a [i64], &'a [f64]);

/// What most cases are given.
pub const X: Given<'static> = ("x", DType::F32, &[2, 3], &[1.0, -2.0, 3.0, -4.0, 5.0, -6.0]);

/// The file's `case` or `Case`, or what is said of its mistakes.
pub fn callable(text: &str, inputs: &[Given<'_>], training: bool) -> Result<Callable, String> {
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

/// The file's `case` or `Case`, which has no mistakes.
#[track_caller]
pub fn good(text: &str, inputs: &[Given<'_>], training: bool) -> Callable {
    callable(text, inputs, training).unwrap_or_else(|errors| panic!("{text}\n{errors}"))
}

/// The graph as it is compiled.
pub fn passed(graph: &Graph) -> Graph {
    passes::run_passes(graph, passes::PASSES, |_, _| {}).expect("passes")
}

/// The initial values of parameters and states, with the seed.
pub fn initial(init: &Graph, seed: f64) -> eval::Inputs {
    let mut values = eval::Inputs::new();
    values.insert("seed".into(), Tensor::scalar(seed));
    values.insert("counter".into(), Tensor::scalar(0.0));
    let made = eval::evaluate(init, 1, &values).expect("initial values");
    values.extend(made);
    values
}

/// The outputs of `case` or `Case`, its parameters and states having their initial values.
#[track_caller]
pub fn outputs(text: &str, inputs: &[Given<'_>], training: bool) -> BTreeMap<String, Tensor> {
    let callable = good(text, inputs, training);
    let mut values = initial(&callable.init, 0.0);
    for (name, _, shape, data) in inputs {
        values.insert((*name).to_owned(), Tensor::new(shape, data.to_vec()));
    }
    let found = eval::evaluate(&passed(&callable.graph), 1, &values).expect("an evaluation");
    found.into_iter().collect()
}

/// Fails unless the numbers agree; NaN agrees with nothing.
#[track_caller]
pub fn agree(what: &str, got: &[f64], expected: &[f64]) {
    let near = |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= 1e-6 * b.abs().max(1.0);
    let equal = got.len() == expected.len() && got.iter().zip(expected).all(near);
    assert!(equal, "{what}\ngives {got:?}, not {expected:?}");
}

/// Fails unless the result of `case` or `Case`, as a step calls it, has these elements.
#[track_caller]
pub fn check(text: &str, inputs: &[Given<'_>], expected: &[f64]) {
    let outputs = outputs(text, inputs, true);
    let out = outputs.get("out").expect("a result");
    agree(text, &out.data, expected);
}

/// Fails unless an expression over `x` has these elements.
#[track_caller]
pub fn gives(expr: &str, expected: &[f64]) {
    check(
        &format!("fn case(x: f32[2, 3]) {{ return {expr} }}"),
        &[X],
        expected,
    );
}

/// The shape of the result.
#[track_caller]
pub fn shape(text: &str, inputs: &[Given<'_>]) -> Vec<i64> {
    outputs(text, inputs, true)["out"].shape.clone()
}

/// Fails unless the program is refused with a message that has these parts.
#[track_caller]
pub fn refused(text: &str, inputs: &[Given<'_>], parts: &[&str]) {
    match callable(text, inputs, true) {
        Ok(_) => panic!("{text}\nis taken"),
        Err(message) => says(text, &message, parts),
    }
}

#[track_caller]
fn says(text: &str, message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{text}\nno {part:?} in:\n{message}");
    }
}

/// The paths of all parameters and states of `Case`, in the order of first use.
#[track_caller]
pub fn paths(text: &str) -> Vec<String> {
    let callable = good(text, &[X], true);
    let parameters = callable.parameters.iter().map(|each| each.path.clone());
    let states = callable.states.iter().map(|each| each.path.clone());
    parameters.chain(states).collect()
}

/// Images of 28 by 28 and a net whose result is its only parameter, which is 2 at first.
pub const HEAD: &str = "data numbers = mnist[\"\"]
block Net(x: f32[B, 1, 28, 28]) -> f32 {
  param w: f32 = constant[2]
  return w
}
";

/// A run, a step at a time.
pub struct Run {
    /// What was elaborated.
    pub program: TrainProgram,
    /// All inputs: parameters, states, scalars, data.
    pub values: eval::Inputs,
    step: Graph,
}

impl Run {
    /// A run at its start, with batches of two samples.
    #[track_caller]
    pub fn new(text: &str) -> Run {
        let program = programs::train_ok("run.dlm", text);
        let mut values = initial(&program.init, program.settings.seed as f64);
        for (name, value) in [
            ("iter", 0.0),
            ("epoch", 0.0),
            ("steps", 12.0),
            ("epochs", 4.0),
        ] {
            values.insert(name.to_owned(), Tensor::scalar(value));
        }
        values.insert("x".into(), Tensor::new(&[2, 1, 28, 28], vec![0.5; 2 * 784]));
        values.insert("y".into(), Tensor::new(&[2], vec![1.0, 3.0]));
        let step = passed(&program.step);
        Run {
            program,
            values,
            step,
        }
    }

    /// Gives an input another value.
    pub fn set(&mut self, name: &str, value: f64) {
        self.values.insert(name.to_owned(), Tensor::scalar(value));
    }

    /// Executes the step of that `iter`; three make an epoch. Parameters and states move on.
    pub fn step(&mut self, iter: usize) -> BTreeMap<String, Tensor> {
        self.set("iter", iter as f64);
        self.set("counter", iter as f64);
        self.set("epoch", (iter / 3) as f64);
        let outputs = eval::evaluate(&self.step, 2, &self.values).expect("a step");
        self.values.extend(outputs.clone());
        outputs.into_iter().collect()
    }

    /// A scalar that the last step left, or that was there before it.
    #[track_caller]
    pub fn value(&self, name: &str) -> f64 {
        let tensor = self.values.get(name);
        tensor.unwrap_or_else(|| panic!("no `{name}`")).data[0]
    }
}

/// A run of `Net` with that optimizer and body of its step.
#[track_caller]
pub fn run_of(optimizer: &str, body: &str) -> Run {
    Run::new(&train_text(optimizer, body))
}

/// Its text.
pub fn train_text(optimizer: &str, body: &str) -> String {
    format!(
        "{HEAD}train run[steps=12] {{
  let net = Net
  let opt = {optimizer}
  step (x, y) in numbers.train |> batch[2] {{
    {body}
  }}
}}"
    )
}

/// Fails unless the run is refused with a message that has these parts.
#[track_caller]
pub fn run_refused(text: &str, parts: &[&str]) {
    let (elaborated, message) = programs::train("run.dlm", text, &Settings::default());
    assert!(elaborated.value.is_none(), "{text}\nis taken");
    says(text, &message, parts);
}
