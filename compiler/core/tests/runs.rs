//! Runs: values from the command line, imports, data side by side, averages, choices that the run makes.

mod programs;

use dlm_core::elaborate::program::{MetricKind, PathBase, StateOwner};
use dlm_core::elaborate::{self, Settings, Source, SourceLoader, TrainProgram, World};
use dlm_core::graph::eval::{self, Tensor};
use dlm_core::passes;
use dlm_grammar::SourceMap;

const HEAD: &str = "data numbers = mnist[\"\"]
block Net(x: f32[B, 1, 28, 28]) -> f32 {
  param w: f32 = constant[2]
  return w
}
";

/// One step from the initial values, at `iter`.
fn step(program: &TrainProgram, iter: f64) -> Vec<(String, Tensor)> {
    let mut values = eval::Inputs::new();
    for (name, value) in [
        ("seed", 0.0),
        ("counter", iter),
        ("iter", iter),
        ("epoch", 0.0),
        ("steps", 9.0),
    ] {
        values.insert(name.to_owned(), Tensor::scalar(value));
    }
    let initial = eval::evaluate(&program.init, 2, &values).expect("initial values");
    values.extend(initial);
    values.insert("x".into(), Tensor::new(&[2, 1, 28, 28], vec![0.5; 2 * 784]));
    let graph = passes::run_passes(&program.step, passes::PASSES, |_, _| {}).expect("passes");
    eval::evaluate(&graph, 2, &values).expect("a step")
}

fn value(outputs: &[(String, Tensor)], wanted: &str) -> Option<f64> {
    outputs
        .iter()
        .find(|(name, _)| name == wanted)
        .map(|(_, value)| value.data[0])
}

#[test]
fn an_if_on_iter_is_decided_by_the_run() {
    let text = format!(
        "{HEAD}train run[steps=9] {{
          let net = Net
          let opt = sgd[lr=0.25](net)
          step (x, _) in numbers.train |> batch[2] {{
            let scale = 1.0
            if iter % 2 == 0 {{
              scale = 3.0
              minimize net(x) ^ 2 with opt
            }}
            report scale, w = net(x)
          }}
        }}"
    );
    let program = programs::train_ok("run.dlm", &text);
    let (even, odd) = (step(&program, 4.0), step(&program, 5.0));
    assert_eq!(
        (
            value(&even, "scale"),
            value(&even, "w"),
            value(&even, "opt.t")
        ),
        (Some(3.0), Some(1.0), Some(1.0))
    );
    assert_eq!(
        (value(&odd, "scale"), value(&odd, "w"), value(&odd, "opt.t")),
        (Some(1.0), Some(2.0), Some(0.0))
    );
}

#[test]
fn the_command_line_changes_constants_statics_and_data() {
    let text = format!(
        "let rate = 0.25\n{HEAD}train run[steps=9, seed=1, scale: float = 1] {{
          let net = Net
          let opt = sgd[lr=rate * scale](net)
          step (x, _) in numbers.train |> batch[2] {{ minimize net(x) ^ 2 with opt }}
        }}"
    );
    let settings = Settings {
        values: vec![
            ("rate".into(), "0.5".into()),
            ("run.scale".into(), "1 / 2".into()),
            ("run.steps".into(), "3".into()),
        ],
        data: vec![("numbers".into(), "digits[] |> resize[28, 28]".into())],
        earlier: 0,
    };
    let (elaborated, rendered) = programs::train("run.dlm", &text, &settings);
    assert_eq!(rendered, "");
    let program = elaborated.value.expect("a program");
    assert_eq!(
        (program.settings.steps, program.settings.seed),
        (Some(3), 1)
    );
    assert_eq!(program.datasets[0].source.name, "digits");
    assert_eq!(program.datasets[0].source.base, PathBase::CommandLine);
    assert_eq!(value(&step(&program, 0.0), "net.w"), Some(1.0));
}

#[test]
fn gradients_accumulate_over_steps() {
    let text = format!(
        "{HEAD}train run[steps=9] {{
          let net = Net
          let opt = sgd[lr=0.25, momentum=0.5, accumulate=2](net)
          step (x, _) in numbers.train |> batch[2] {{ minimize net(x) ^ 2 with opt }}
        }}"
    );
    let program = programs::train_ok("run.dlm", &text);
    let graph = passes::run_passes(&program.step, passes::PASSES, |_, _| {}).expect("passes");
    let mut values =
        eval::evaluate(&program.init, 2, &eval::Inputs::new()).expect("initial values");
    values.push(("x".into(), Tensor::new(&[2, 1, 28, 28], vec![0.5; 2 * 784])));
    let mut inputs: eval::Inputs = values.into_iter().collect();
    let mut seen = Vec::new();
    for _ in 0..4 {
        let outputs = eval::evaluate(&graph, 2, &inputs).expect("a step");
        inputs.extend(outputs);
        let names = [
            "net.w",
            "opt.t",
            "opt.net.w.velocity",
            "opt.net.w.accumulated",
        ];
        seen.push(names.map(|name| inputs[name].data[0]));
    }
    // Gradients are 2 w: 4 in the first two steps, whose mean moves w from 2 to 1, then 2 in the next two.
    let expected = [
        [2.0, 0.0, 0.0, 4.0],
        [1.0, 1.0, 4.0, 0.0],
        [1.0, 1.0, 4.0, 2.0],
        [0.0, 2.0, 4.0, 0.0],
    ];
    assert_eq!(seen, expected);
}

#[test]
fn averages_are_states_that_evaluations_read() {
    let text = format!(
        "{HEAD}train run[steps=9] {{
          let net = Net
          let opt = sgd[lr=0.25, ema=0.75](net)
          step (x, _) in numbers.train |> batch[2] {{ minimize net(x) ^ 2 with opt }}
          eval (x, _) in numbers.test |> batch[2] {{ report w = net(x) }}
        }}"
    );
    let program = programs::train_ok("run.dlm", &text);
    assert!(
        program
            .states
            .iter()
            .any(|state| state.path == "ema.net.w" && state.owner == StateOwner::Average)
    );
    assert_eq!(
        value(&step(&program, 0.0), "ema.net.w"),
        Some(0.75 * 2.0 + 0.25 * 1.0)
    );
    let mut values = eval::Inputs::new();
    values.insert("ema.net.w".into(), Tensor::scalar(7.0));
    let outputs = eval::evaluate(&program.evals[0].graph, 2, &values).expect("an evaluation");
    assert_eq!(value(&outputs, "w"), Some(7.0));
}

#[test]
fn data_side_by_side_has_a_feed_for_each() {
    let text = format!(
        "{HEAD}train run {{
          let net = Net
          let opt = sgd(net)
          step ((a, _), (b, y)) in zip(numbers.train |> batch[2], numbers.test |> shuffle |> batch[6]) {{
            let loss = net(a) ^ 2 + mean(b) + mean(f32(y)) / B
            minimize loss with opt
          }}
        }}"
    );
    let program = programs::train_ok("run.dlm", &text);
    let shown: Vec<String> = program
        .feeds
        .iter()
        .flat_map(|feed| {
            feed.inputs
                .iter()
                .map(|input| format!("{} {}: {}", feed.split, input.name, input.ty))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "train a: f32[B, 1, 28, 28]",
            "test b: f32[6, 1, 28, 28]",
            "test y: i32[6]"
        ]
    );
}

#[test]
fn whole_set_metrics_have_a_graph_over_all_batches() {
    let text = "data numbers = mnist[\"\"]
    block Net(x: f32[B, 1, 28, 28]) -> f32[B, 10] { return x |> flatten |> Linear[10] }
    train run {
      let net = Net
      let opt = sgd(net)
      step (x, y) in numbers.train |> batch[2] { minimize cross_entropy(net(x), y) with opt }
      eval (x, y) in numbers.test |> batch[2] { report f1(net(x), y), share = accuracy(net(x), y) }
    }";
    let program = programs::train_ok("run.dlm", text);
    let metric = &program.evals[0].metrics[0];
    let MetricKind::Joined { arguments, graph } = &metric.kind else {
        panic!("f1 is of the whole set");
    };
    assert_eq!((metric.name.as_str(), arguments.len()), ("f1", 2));
    let mut values = eval::Inputs::new();
    // Three of four are right; class 1 is twice right and once called wrongly so.
    let logits = Tensor::from_fn(&[4, 10], |at| {
        f64::from(u8::from([1, 1, 1, 3][at[0] as usize] == at[1]))
    });
    values.insert(arguments[0].clone(), logits);
    values.insert(
        arguments[1].clone(),
        Tensor::new(&[4], vec![1.0, 1.0, 2.0, 3.0]),
    );
    let outputs = eval::evaluate(graph, 4, &values).expect("a metric");
    let expected = (2.0 * 2.0 / 5.0 + 1.0) / 3.0;
    assert!(
        (outputs[0].1.data[0] - expected).abs() < 1e-6,
        "{outputs:?}"
    );
}

/// Files that a program imports.
struct Files;

impl SourceLoader for Files {
    fn load(&self, path: &str) -> Result<String, String> {
        match path {
            "nets/small.dlm" => Ok("import \"parts.dlm\" as parts\nlet width = 3\nblock Small(x: f32[..]) -> f32[..] { return x |> parts.Dense[width] }".into()),
            "nets/parts.dlm" => Ok("block Dense[n: int](x: f32[.., k]) -> f32[.., n] { return x |> Linear[n] }".into()),
            other => Err(format!("there is no `{other}`")),
        }
    }
}

#[test]
fn imported_items_are_reached_by_the_files_name() {
    let text = "import \"nets/small.dlm\" as nets
    data numbers = mnist[\"\"]
    train run {
      let net = nets.Small
      let opt = sgd[lr=0.1 / nets.width](net)
      step (x, _) in numbers.train |> batch[2] { minimize mean(net(x)) with opt }
    }";
    let settings = Settings::default();
    let world = World {
        loader: &Files,
        catalog: &programs::Catalog,
        settings: &settings,
    };
    let mut sources = SourceMap::new();
    let elaborated = elaborate::train(
        &mut sources,
        Source {
            name: "run.dlm",
            text,
        },
        world,
        None,
    );
    assert_eq!(sources.render_all(&elaborated.diagnostics), "");
    let program = elaborated.value.expect("a program");
    let paths: Vec<&str> = program
        .parameters
        .iter()
        .map(|parameter| parameter.path.as_str())
        .collect();
    assert_eq!(
        paths,
        ["net.dense_1.linear_1.weight", "net.dense_1.linear_1.bias"]
    );
}

#[test]
fn elaboration_is_quick_and_repeats_itself() {
    let text = include_str!("../../../models/lenet.dlm");
    let start = std::time::Instant::now();
    let first = programs::train_ok("lenet.dlm", text);
    println!("LeNet in {:?}", start.elapsed());
    let second = programs::train_ok("lenet.dlm", text);
    assert_eq!(first.step.nodes.len(), second.step.nodes.len());
    assert!(
        first
            .step
            .nodes
            .values()
            .zip(second.step.nodes.values())
            .all(|(a, b)| a.op == b.op && a.inputs == b.inputs)
    );
}

#[test]
fn a_parameter_that_no_loss_reaches_is_a_warning_and_is_not_touched() {
    let text = format!(
        "{HEAD}block Pair(x: f32[B, 1, 28, 28]) -> f32, f32 {{
          let a = Net
          let b = Net
          return a(x), b(x)
        }}
        train run[steps=9] {{
          let net = Pair
          let opt = sgd[lr=0.25](net)
          step (x, _) in numbers.train |> batch[2] {{
            let a, b = net(x)
            minimize a ^ 2 + stop_grad(b) with opt
          }}
        }}"
    );
    let (elaborated, rendered) = programs::train("run.dlm", &text, &Settings::default());
    assert!(
        rendered.starts_with("warning: no loss reaches `net.b.w`"),
        "{rendered}"
    );
    let program = elaborated.value.expect("a warning leaves a program");
    let outputs = step(&program, 0.0);
    assert_eq!(
        (value(&outputs, "net.a.w"), value(&outputs, "net.b.w")),
        (Some(1.0), None)
    );
    let (_, rendered) = programs::train(
        "run.dlm",
        &text.replace("sgd[lr=0.25]", "sgd[lr=0.25, freeze=[\"*.b.*\"]]"),
        &Settings::default(),
    );
    assert_eq!(rendered, "");
}
