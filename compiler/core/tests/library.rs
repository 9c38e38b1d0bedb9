//! Every name of the library is used by a program here, which elaborates and computes finite values.

mod programs;

use dlm_core::elaborate::{self, CallRequest, NoWorld, Settings, Source, World};
use dlm_core::graph::eval::{self, Tensor};
use dlm_core::graph::{DType, Dim, TensorType};
use dlm_core::passes;
use dlm_grammar::SourceMap;

use programs::library::{BLOCKS, EXPRESSIONS};

const OPTIMIZERS: &[&str] = &[
    "sgd[lr=plateau[\"mean\"]]",
    "sgd[lr=0.1 * staircase[every=2], momentum=0.9, nesterov=true, decay=0.1]",
    "adagrad[lr=0.1 * multistep[at=[2, 4]]]",
    "rmsprop[lr=0.1 * exponential[gamma=0.9], momentum=0.5, centered=true]",
    "adam[lr=0.1 * inverse[gamma=0.1], clip_norm=1]",
    "adamw[lr=0.1 * polynomial[power=2], no_decay=[\"*.bias\"]]",
    "adadelta[lr=cosine[total=10], clip_value=0.5]",
    "adamax[lr=0.1 * cosine_restarts[period=3]]",
    "nadam[lr=0.1 * warmup[5] * one_cycle[total=20]]",
    "lion[lr=0.1 * cosine[per=\"epoch\"], decay=0.1, ema=0.9]",
];

fn value_of(name: &str, shape: &[i64]) -> Tensor {
    let mut state = 17.0_f64;
    Tensor::from_fn(shape, |_| {
        state = (state * 1103.0 + 12345.0) % 65536.0;
        match name {
            "y" => (state % 6.0).floor(),
            "c" => {
                if state > 30000.0 {
                    1.0
                } else {
                    0.0
                }
            }
            "p" => 0.01 + 0.98 * state / 65536.0,
            _ => state / 16384.0 - 2.0,
        }
    })
}

/// Evaluates a program's `case`; gives the reason why it cannot be.
fn run(text: &str, entry: &str) -> Result<(), String> {
    let shapes: [(&str, DType, &[i64]); 6] = [
        ("x", DType::F32, &[2, 4, 6]),
        ("p", DType::F32, &[2, 4, 6]),
        ("y", DType::I32, &[2, 4]),
        ("i", DType::F32, &[2, 4, 6, 6]),
        ("s", DType::F32, &[2]),
        ("c", DType::I32, &[2]),
    ];
    let types = shapes.iter().map(|(name, dtype, shape)| {
        let shape: Vec<Dim> = shape.iter().map(|&extent| Dim::fixed(extent)).collect();
        ((*name).to_owned(), TensorType::new(*dtype, shape))
    });
    let request = CallRequest {
        arguments: types.collect(),
        training: true,
        gradients: true,
    };
    let settings = Settings::default();
    let world = World {
        loader: &NoWorld,
        catalog: &NoWorld,
        settings: &settings,
    };
    let mut sources = SourceMap::new();
    let main = Source {
        name: "case.dlm",
        text,
    };
    let elaborated = elaborate::callable(&mut sources, main, world, entry, &request);
    let Some(callable) = elaborated.value else {
        return Err(sources.render_all(&elaborated.diagnostics));
    };
    let mut values = eval::Inputs::new();
    values.insert("seed".into(), Tensor::scalar(0.0));
    values.insert("counter".into(), Tensor::scalar(0.0));
    let initial = eval::evaluate(&callable.init, 1, &values).map_err(|error| error.to_string())?;
    values.extend(initial);
    for (name, _, shape) in shapes {
        values.insert(name.to_owned(), value_of(name, shape));
    }
    if let Some(result) = callable.results.first() {
        let shape: Vec<i64> = result.shape.iter().map(|dim| dim.at(1)).collect();
        values.insert("cotangent".to_owned(), value_of("x", &shape));
    }
    let graph = passes::run_passes(&callable.graph, passes::PASSES, |_, _| {})
        .map_err(|error| error.to_string())?;
    let outputs = eval::evaluate_single(&graph, 1, &values).map_err(|error| error.to_string())?;
    let finite = |tensor: &Tensor| tensor.data.iter().all(|value| value.is_finite());
    match outputs.iter().find(|(_, value)| !finite(value)) {
        Some((name, value)) => Err(format!("`{name}` is {:?}", value.data)),
        None if outputs.is_empty() => Err("no outputs".to_owned()),
        None => Ok(()),
    }
}

const SIGNATURE: &str =
    "(x: f32[2, 4, 6], p: f32[2, 4, 6], y: i32[2, 4], i: f32[2, 4, 6, 6], s: f32[2], c: i32[2])";

#[test]
fn functions_and_blocks() {
    let functions = EXPRESSIONS
        .iter()
        .map(|expr| (format!("fn case{SIGNATURE} {{ return {expr} }}"), "case"));
    let blocks = BLOCKS
        .iter()
        .map(|body| (format!("block Case{SIGNATURE} {{ {body} }}"), "Case"));
    let failures: Vec<String> = functions
        .chain(blocks)
        .filter_map(|(text, entry)| {
            run(&text, entry)
                .err()
                .map(|reason| format!("{text}\n{reason}"))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn optimizers_and_schedules() {
    for optimizer in OPTIMIZERS {
        let text = format!(
            "data numbers = mnist[\"\"]
            block Net(x: f32[B, 1, 28, 28]) -> f32[B, 3] {{ return x |> flatten |> Linear[3] }}
            train run[steps=20] {{
              let net = Net
              let opt = {optimizer}(net)
              step (x, y) in numbers.train |> batch[2] {{
                let loss = mean(net(x) ^ 2)
                minimize loss with opt
              }}
              eval (x, y) in numbers.test |> batch[2] {{ report mean(net(x)) }}
            }}"
        );
        let program = programs::train_ok(optimizer, &text);
        let mut values = eval::Inputs::new();
        for (name, value) in [
            ("seed", 0.0),
            ("counter", 3.0),
            ("iter", 3.0),
            ("epoch", 1.0),
            ("steps", 20.0),
            ("epochs", 2.0),
            ("plateau.0", 0.5),
        ] {
            values.insert(name.to_owned(), Tensor::scalar(value));
        }
        let initial = eval::evaluate(&program.init, 2, &values).expect("initial values");
        values.extend(initial);
        values.insert("x".to_owned(), value_of("x", &[2, 1, 28, 28]));
        let graph = passes::run_passes(&program.step, passes::PASSES, |_, _| {}).expect("passes");
        let outputs = eval::evaluate_single(&graph, 2, &values).expect("a step");
        for (name, value) in &outputs {
            assert!(
                value.data.iter().all(|value| value.is_finite()),
                "{optimizer}: {name} is not finite"
            );
        }
        let weight = outputs
            .iter()
            .find(|(name, _)| name == "net.linear_1.weight")
            .expect("an update");
        assert_ne!(
            weight.1, values["net.linear_1.weight"],
            "{optimizer} changes the weight"
        );
    }
}

#[test]
fn every_name_of_the_library_is_used_here() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/std");
    let used = [EXPRESSIONS, BLOCKS, OPTIMIZERS].concat().join("\n");
    let words: Vec<&str> = used
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    let mut names = 0;
    for entry in std::fs::read_dir(folder).expect("the library's folder") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        for line in text.lines() {
            let definition = ["fn ", "block ", "optimizer "]
                .iter()
                .find_map(|word| line.strip_prefix(word));
            let name = definition
                .and_then(|rest| rest.split(['[', '(', ' ']).next())
                .unwrap_or("_");
            assert!(
                name.starts_with('_') || words.contains(&name),
                "`{name}` is not used"
            );
            names += usize::from(!name.starts_with('_'));
        }
    }
    assert!(names > 80, "the library has more than {names} names");
}
