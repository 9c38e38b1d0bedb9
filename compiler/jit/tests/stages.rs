//! Programs of the language through every stage: what the graph says, what the plan does, and what machine code does,
//! for each instruction set's schedule and each emitter that this machine can run.

mod running;

use std::collections::BTreeMap;

use dlm_core::elaborate::program::SourceSpec;
use dlm_core::elaborate::world::{PartDescription, SourceDescription, SplitDescription};
use dlm_core::elaborate::{DataCatalog, NoWorld, Settings, Source, World, train};
use dlm_core::graph::{DType, Graph, OutputKind, eval};
use dlm_core::loops::Element;
use dlm_core::passes::{OPTIONAL, PASSES, Pass, run_passes};
use dlm_core::plan::{Order, Plan, Space, interpret, parse_plan, print_with_kernels};
use dlm_core::schedule::{Budget, PersistentLayout, Target, schedule};
use dlm_grammar::SourceMap;
use dlm_jit::{Backend, Options};
use running::{by_evaluator, by_team, value};

/// Small images with ten classes, and short texts of small words.
struct Catalog;

impl DataCatalog for Catalog {
    fn describe(&self, source: &SourceSpec) -> Result<SourceDescription, String> {
        let part = |dtype, shape: &[i64]| PartDescription {
            dtype,
            shape: shape.to_vec(),
            classes: Some(10),
        };
        let parts = match source.name.as_str() {
            "digits" => vec![part(DType::F32, &[1, 8, 8]), part(DType::I32, &[])],
            _ => vec![part(DType::I32, &[6]), part(DType::I32, &[6])],
        };
        let split = |name: &str| SplitDescription {
            name: name.into(),
            count: 100,
            class_counts: vec![10; 10],
            vocab: Some(10),
        };
        Ok(SourceDescription {
            parts,
            splits: vec![split("train"), split("test")],
        })
    }
}

/// A program with that data, whose run trains a net.
fn program_text(data: &str, blocks: &str, net: &str, optimizer: &str) -> String {
    format!(
        "data d = {data}\n{blocks}\ntrain t[epochs=1, seed=1] {{\n  let net = {net}\n  let opt = {optimizer}(net)\n  \
         step (x, y) in d.train |> batch[20] {{\n    let loss = cross_entropy(net(x), y)\n    \
         minimize loss with opt\n    report loss, labels = sum(y), least = min(y) - 77\n  }}\n  eval (x, y) in d.test |> batch[20] {{\n    \
         report cross_entropy(net(x), y)\n  }}\n}}\n"
    )
}

/// The step and the evaluations of a program's run.
fn elaborated(text: &str) -> Vec<Graph> {
    let (mut sources, settings) = (SourceMap::new(), Settings::default());
    let world = World {
        loader: &NoWorld,
        catalog: &Catalog,
        settings: &settings,
    };
    let main = Source {
        name: "test.dlm",
        text,
    };
    let elaborated = train(&mut sources, main, world, None);
    let program = elaborated
        .value
        .unwrap_or_else(|| panic!("{:?}\n{text}", elaborated.diagnostics));
    let evals = program.evals.into_iter().map(|eval| eval.graph);
    std::iter::once(program.step).chain(evals).collect()
}

fn passed<'p>(graph: &Graph, passes: impl IntoIterator<Item = &'p Pass>) -> Graph {
    run_passes(graph, passes, |_, _| {}).unwrap_or_else(|error| panic!("{error}"))
}

/// The step and evaluation of a net in a program with that data, ready to be scheduled.
fn program(data: &str, blocks: &str, net: &str, optimizer: &str) -> Vec<Graph> {
    let graphs = elaborated(&program_text(data, blocks, net, optimizer));
    graphs.iter().map(|graph| passed(graph, PASSES)).collect()
}

fn check_plan(graph: &Graph, plan: &Plan, batch: usize, tolerance: f64, what: &str) {
    let ports = plan.inputs.iter().enumerate();
    let inputs: BTreeMap<_, _> = ports
        .map(|(number, port)| {
            (
                (port.kind, port.name.clone()),
                value(plan, port, batch, number),
            )
        })
        .collect();
    let by_name = inputs
        .iter()
        .map(|((_, name), value)| (name.clone(), value.clone()))
        .collect();
    let wanted = eval::evaluate_single(graph, batch as i64, &by_name)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = interpret(plan, batch, &inputs).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(wanted.len(), found.len(), "{what}");
    for ((name, wanted), ((_, _), found)) in wanted.iter().zip(&found) {
        assert_eq!(wanted.shape, found.shape, "{what}: {name}");
        assert_eq!(wanted.data.len(), found.data.len(), "{what}: {name}");
        assert!(
            wanted.data.iter().any(|element| *element != 0.0),
            "{what}: {name} is zero"
        );
        for (place, (wanted, found)) in wanted.data.iter().zip(&found.data).enumerate() {
            let near = (wanted - found).abs() <= tolerance * (1.0 + wanted.abs());
            assert!(
                near,
                "{what}: {name}[{place}] is {found}, the graph says {wanted}"
            );
        }
    }
}

fn check(graphs: &[Graph]) {
    check_within(graphs, 1e-4);
}

fn check_within(graphs: &[Graph], tolerance: f64) {
    let targets = [Target::vector128(), Target::avx2(), Target::avx512()];
    check_for(graphs, &targets, tolerance);
}

fn check_for(graphs: &[Graph], targets: &[Target], tolerance: f64) {
    let each = graphs
        .iter()
        .flat_map(|graph| targets.iter().map(move |target| (graph, target)));
    for (graph, target) in each {
        let what = format!("{} for {}", graph.name, target.name);
        let layout = PersistentLayout::of(graph);
        let plan =
            schedule(graph, target, 20, &layout).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(
            parse_plan(&print_with_kernels(&plan)).as_ref() == Ok(&plan),
            "{what}: does not read back"
        );
        check_plan(graph, &plan, 20, tolerance, &what);
        check_plan(graph, &plan, 3, tolerance, &what);
        let batches = [11, 20];
        let expected = by_evaluator(&plan, &batches, Order::Backward);
        for backend in Backend::available() {
            let options = Options {
                backend: Some(backend),
                ..Options::default()
            };
            for workers in [1, 3] {
                let found = by_team(&plan, &batches, workers, &options);
                assert_eq!(expected.len(), found.len());
                for (expected, found) in expected.iter().zip(&found) {
                    assert_eq!(
                        expected, found,
                        "{what} by {backend:?} with {workers} workers"
                    );
                }
            }
        }
    }
}

#[test]
fn dense_layers_with_adam() {
    let block = "block Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] {\n  return x |> flatten |> Linear[24] |> tanh |> Linear[10]\n}";
    check(&program(
        "digits[]",
        block,
        "Net",
        "adam[lr=1e-2, decay=1e-3]",
    ));
}

#[test]
fn convolutions_with_momentum() {
    let block = "block Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] {\n  return x |> Conv2d[6, 3] |> relu |> max_pool2d[2] \
                 |> Conv2d[5, 3, pad=1, stride=2] |> relu |> flatten |> Linear[10]\n}";
    check(&program(
        "digits[]",
        block,
        "Net",
        "sgd[lr=0.1, momentum=0.9]",
    ));
}

#[test]
fn batch_normalisation() {
    let block = "block Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] {\n  return x |> Conv2d[4, 3, bias=false] |> BatchNorm |> relu \
                 |> global_avg_pool |> Linear[10]\n}";
    check(&program("digits[]", block, "Net", "sgd[lr=0.1]"));
}

#[test]
fn dropout() {
    let block = "block Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] {\n  return x |> flatten |> Linear[12] |> relu |> dropout[0.25] |> Linear[10]\n}";
    check(&program("digits[]", block, "Net", "sgd[lr=0.1]"));
}

#[test]
fn embeddings_and_attention() {
    let block = "block Net(ids: i32[B, T]) -> f32[B, T, 10] {\n  return ids |> Embedding[10, 8] |> TransformerLayer[2, causal=true] |> Linear[10]\n}";
    check(&program("synthetic[]", block, "Net", "adam[lr=1e-2]"));
}

#[test]
fn recurrent_layers() {
    let block = "block Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] {
  let t = x |> rearrange[\"b c t n -> b t (c n)\"]
                   return (t |> Lstm[6])[:, 7] |> Linear[10]
}";
    check(&program("digits[]", block, "Net", "sgd[lr=0.1]"));
}

#[test]
fn other_recurrent_layers() {
    let block = "block Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] {
  let t = x |> rearrange[\"b c t n -> b t (c n)\"]
  let y, h = t |> Gru[5, states=true]
  return concat[1]((y |> Rnn[7])[:, 3], h) |> Linear[10]
}";
    check(&program("digits[]", block, "Net", "sgd[lr=0.1]"));
}

/// Carries that change places, rows from the end on, the round's number, a stack, and a loop without samples.
#[test]
fn loops_over_rounds() {
    let block = "block Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] {
  param p: f32[5, 8] = normal[1]
  let t = x |> rearrange[\"b c t n -> b t (c n)\"]
  let bias = 0
  for i in 0..5 { bias = tanh(0.5 * bias + p[i]) }
  let a = t[:, 1]
  let b = zeros[B, 8]
  let all = []
  for i in 0..6 {
    let old = a
    a = tanh(b + bias)
    b = old * 0.5 + t[:, 7 - i] / (i + 1)
    all = all + [a * b]
  }
  return concat[1](a, sum[axis=1](stack[axis=1](all))) |> Linear[10]
}";
    check(&program("digits[]", block, "Net", "sgd[lr=0.1]"));
}

/// Bodies that the schedule has no loop for: one that mixes samples, and one with a loop inside.
#[test]
fn loops_that_are_written_out() {
    let block = "block Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] {
  let t = x |> rearrange[\"b c t n -> b t (c n)\"]
  let h = zeros[B, 8]
  for i in 0..3 { h = tanh(h - mean[axis=0](h) + t[:, i]) }
  for i in 0..3 {
    for j in 0..4 { h = tanh(h + t[:, j]) }
  }
  return h |> Linear[10]
}";
    check(&program("digits[]", block, "Net", "sgd[lr=0.1]"));
}

#[test]
fn attention_over_rows() {
    let block = "block Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] {
  return x |> rearrange[\"b c t n -> b t (c n)\"]
                   |> TransformerLayer[2, causal=true] |> flatten |> Linear[10]
}";
    check(&program("digits[]", block, "Net", "adam[lr=1e-2]"));
}

/// Indices that the program computes, with the output that tells of those out of range.
#[test]
fn computed_indices() {
    let block = "block Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] {
  return x |> mean[axis=(1, 2)] |> i32 |> Embedding[3, 4] |> flatten |> Linear[10]
}";
    let graphs = program("digits[]", block, "Net", "sgd[lr=0.1]");
    let checks = |graph: &Graph| {
        let outputs = graph.outputs.iter();
        outputs
            .filter(|output| output.kind == OutputKind::Check)
            .count()
    };
    assert_eq!(graphs.iter().map(checks).collect::<Vec<_>>(), [1, 1]);
    check(&graphs);
}

/// Products of bf16: in memory, too, operands and what products leave are bf16, and parameters f32.
#[test]
fn products_in_half_precision() {
    let block = "block Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] {
  let y = x |> Conv2d[4, 3] |> BatchNorm |> relu |> max_pool2d[2] |> flatten |> Linear[8] |> tanh
  let h = zeros[B, 8]
  let p = Linear[8]
  for i in 0..4 { h = tanh(p(h) + y) }
  return h |> Linear[10]
}";
    let text = program_text("digits[]", block, "Net", "sgd[lr=0.1]");
    let graphs: Vec<Graph> = elaborated(&text)
        .iter()
        .map(|graph| passed(graph, OPTIONAL.iter().chain(PASSES)))
        .collect();
    let target = Target::avx2();
    let layout = PersistentLayout::of(&graphs[0]);
    let plan = schedule(&graphs[0], &target, 20, &layout).expect("a plan");
    let bytes = |element: Element| -> usize {
        let buffers = plan
            .buffers
            .values()
            .filter(|buffer| buffer.element == element);
        buffers.map(|buffer| buffer.bytes).sum()
    };
    assert!(
        bytes(Element::Bf16) > 20 * 4 * 36 * 2,
        "{}",
        bytes(Element::Bf16)
    );
    let persistent = plan
        .buffers
        .values()
        .filter(|buffer| buffer.space == Space::Persistent);
    assert!(
        persistent
            .into_iter()
            .all(|buffer| buffer.element == Element::F32)
    );
    // A sum in another order rounds to a neighbour now and then: bf16 has 8 bits.
    check_within(&graphs, 0.03);
    check_for(&graphs, &[Target::avx512bf16()], 0.03);
}

/// The kernels of a plan that multiply pairs of bf16, and the bytes of the step's own values in bf16.
fn halves(plan: &Plan) -> (Vec<&str>, usize) {
    let kernels = plan.kernels.values();
    let pairs = kernels.filter(|kernel| kernel.to_string().contains("dot_pairs"));
    let buffers = plan.buffers.values();
    let own = buffers.filter(|buffer| buffer.element == Element::Bf16);
    (
        pairs.map(|kernel| kernel.name.as_str()).collect(),
        own.map(|buffer| buffer.bytes).sum(),
    )
}

/// Dense layers, whose weights lie along what is summed over, with odd extents too: in pairs where the machine multiplies
/// them, else with what is read number by number as f32.
#[test]
fn dense_layers_in_half_precision() {
    let block = "block Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] {
  return x |> flatten |> Linear[37] |> tanh |> Linear[19] |> relu |> Linear[10]
}";
    let text = program_text("digits[]", block, "Net", "sgd[lr=0.1]");
    let graphs: Vec<Graph> = elaborated(&text)
        .iter()
        .map(|graph| passed(graph, OPTIONAL.iter().chain(PASSES)))
        .collect();
    let layout = PersistentLayout::of(&graphs[0]);
    let planned = |target: &Target| schedule(&graphs[0], target, 20, &layout).expect("a plan");
    let (apart, pairs) = (planned(&Target::avx512()), planned(&Target::avx512bf16()));
    let ((none, few), (some, all)) = (halves(&apart), halves(&pairs));
    assert_eq!(none, [""; 0]);
    assert!(some.len() >= 3, "{some:?}");
    assert!(0 < few && few < all, "{few} of {all} bytes");
    // A budget that is no bound: all lies as bf16, and bits stay the same.
    let budget = Some(Budget {
        bytes: 1 << 40,
        workers: 3,
    });
    let short = planned(&Target {
        budget,
        ..Target::avx512()
    });
    assert_eq!(halves(&short).1, all);
    let outputs = |plan: &Plan| by_evaluator(plan, &[11, 20], Order::Forward);
    assert_eq!(outputs(&apart), outputs(&short));
    let targets = [
        Target::vector128(),
        Target::avx2(),
        Target::avx512(),
        Target::avx512bf16(),
    ];
    check_for(&graphs, &targets, 0.03);
}

/// A 1 x 1 convolution of stride 2 whose weight gradient goes through the image four rows at a time, as where a second cache of
/// 128 KB holds neither operand.
#[test]
fn images_in_parts() {
    let block = "block Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] {
  return x |> upsample[4] |> Conv2d[32, 3, pad=1] |> relu |> Conv2d[32, 1, stride=2] |> relu
           |> global_avg_pool |> Linear[10]
}";
    let targets = [Target::avx2(), Target::avx512()].map(|target| Target {
        second_cache: 128 << 10,
        block_tasks: 1,
        ..target
    });
    let graphs = program("digits[]", block, "Net", "sgd[lr=0.1]");
    let layout = PersistentLayout::of(&graphs[0]);
    for target in &targets {
        let plan = schedule(&graphs[0], target, 20, &layout).expect("a plan");
        let mut texts = plan.kernels.values().map(|kernel| kernel.to_string());
        let parts = |text: String| text.contains("turned") && text.contains("\"rows\"");
        assert!(texts.any(parts), "{}: {plan}", target.name);
    }
    check_for(&graphs, &targets, 1e-4);
}

/// Views between a value in lanes and a product over the batch, which reads them as plain rows.
#[test]
fn views_that_products_read() {
    for body in [
        "x |> flatten |> Linear[32] |> flip[-1] |> Linear[10]",
        "flatten(x)[:, 0:32] |> Linear[10]",
        "flatten(x)[:, ::2] |> Linear[10]",
        "x[.., ::2, ::2] |> Conv2d[4, 3] |> flatten |> Linear[10]",
        "x |> pad[(1, 1), (1, 1)] |> flatten |> Linear[10]",
        "x |> upsample[2] |> flatten |> Linear[10]",
        "x |> Conv2d[4, 3] |> transpose[1, 2] |> flatten |> Linear[10]",
        "x |> Conv2d[4, 3, pad=1] |> pixel_shuffle[2] |> flatten |> Linear[10]",
        "x |> squeeze[1] |> Lstm[8] |> flatten |> Linear[10]",
        "x |> squeeze[1] |> Gru[4, layers=2] |> Rnn[6] |> flatten |> Linear[10]",
        "x |> squeeze[1] |> Lstm[4, bidirectional=true] |> mean[axis=1] |> Linear[10]",
        "x |> squeeze[1] |> Gru[4, bidirectional=true, layers=2] |> flatten |> Linear[10]",
    ] {
        let block = format!("block Net(x: f32[B, 1, 8, 8]) -> f32[B, 10] {{ return {body} }}");
        check(&program("digits[]", &block, "Net", "sgd[lr=0.1]"));
    }
}
