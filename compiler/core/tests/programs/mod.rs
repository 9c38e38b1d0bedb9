//! Programs of the language's page, and the world they are elaborated in.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::collections::BTreeMap;

use dlm_core::elaborate::program::SourceSpec;
use dlm_core::elaborate::world::{PartDescription, SourceDescription, SplitDescription};
use dlm_core::elaborate::{
    self, DataCatalog, Elaborated, NoWorld, Settings, Source, TrainProgram, World,
};
use dlm_core::graph::eval::{self, Inputs, Tensor};
use dlm_core::graph::{DType, Graph, InputKind, Op};
use dlm_core::passes::{PASSES, run_passes};
use dlm_core::plan::{Plan, interpret};
use dlm_grammar::SourceMap;

pub mod library;

/// Sources of data that need no files.
pub struct Catalog;

fn part(dtype: DType, shape: &[i64], classes: Option<i64>) -> PartDescription {
    PartDescription {
        dtype,
        shape: shape.to_vec(),
        classes,
    }
}

fn split(name: &str, count: i64) -> SplitDescription {
    SplitDescription {
        name: name.to_owned(),
        count,
        class_counts: vec![count / 10; 10],
        vocab: Some(65),
    }
}

impl DataCatalog for Catalog {
    fn describe(&self, source: &SourceSpec) -> Result<SourceDescription, String> {
        let parts = match source.name.as_str() {
            "digits" => vec![
                part(DType::F32, &[1, 16, 16], None),
                part(DType::I32, &[], Some(10)),
            ],
            "mnist" => vec![
                part(DType::F32, &[1, 28, 28], None),
                part(DType::I32, &[], Some(10)),
            ],
            "cifar10" => vec![
                part(DType::F32, &[3, 32, 32], None),
                part(DType::I32, &[], Some(10)),
            ],
            "synthetic" => vec![
                part(DType::I32, &[8], Some(65)),
                part(DType::I32, &[8], Some(65)),
            ],
            other => return Err(format!("no `{other}` in this test")),
        };
        Ok(SourceDescription {
            parts,
            splits: vec![split("train", 6000), split("test", 1000)],
        })
    }
}

/// Elaborates a file's run; the diagnostics are rendered.
pub fn train(name: &str, text: &str, settings: &Settings) -> (Elaborated<TrainProgram>, String) {
    let mut sources = SourceMap::new();
    let world = World {
        loader: &NoWorld,
        catalog: &Catalog,
        settings,
    };
    let elaborated = elaborate::train(&mut sources, Source { name, text }, world, None);
    let rendered = sources.render_all(&elaborated.diagnostics);
    (elaborated, rendered)
}

/// Elaborates a file's run that has no errors and no warnings.
pub fn train_ok(name: &str, text: &str) -> TrainProgram {
    let (elaborated, rendered) = train(name, text, &Settings::default());
    assert_eq!(rendered, "", "{name}");
    elaborated
        .value
        .expect("a program without errors has a value")
}

/// The training step of the first `train`, after all passes.
pub fn step(text: &str) -> Graph {
    let train = train_ok("a.dlm", text);
    run_passes(&train.step, PASSES, |_, _| {}).expect("passes")
}

/// The training step of a net on digits, whose block has this body.
pub fn classifier(body: &str, batch: i64) -> Graph {
    step(&format!(
        r#"
data images = mnist[]
block Net(x: f32[B, 1, 28, 28]) -> f32[B, 10] {{
  {body}
}}
train pictures[steps=1] {{
  let net = Net
  let opt = sgd[lr=0.1, momentum=0.9](net)
  step (x, y) in images.train |> batch[{batch}] {{
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }}
}}
"#
    ))
}

/// The training step of a block `Net` on batches of 32 images of that source, by plain gradient descent.
pub fn descent(images: &str, net: &str) -> Graph {
    step(&format!(
        r#"
data images = {images}
{net}
train t[steps=1] {{
  let net = Net
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[32] {{
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }}
}}
"#
    ))
}

/// What a plan gives for so many samples is what the graph says; how many values that are.
pub fn agrees(graph: &Graph, plan: &Plan, samples: i64) -> usize {
    let mut given = Inputs::new();
    let mut inputs: BTreeMap<(InputKind, String), Tensor> = BTreeMap::new();
    for (seed, node) in graph.nodes.values().enumerate() {
        let Op::Input { kind, name, ty } = &node.op else {
            continue;
        };
        let shape: Vec<i64> = ty.shape.iter().map(|dim| dim.at(samples)).collect();
        let value = library::values(name, &shape, seed as u64);
        given.insert(name.clone(), value.clone());
        inputs.insert((*kind, name.clone()), value);
    }
    let wanted = eval::evaluate(graph, samples, &given).expect("values");
    let found = interpret(plan, samples as usize, &inputs).expect("values");
    assert_eq!(wanted.len(), found.len());
    for ((name, want), (_, got)) in wanted.iter().zip(&found) {
        library::agree(name, &got.data, &want.data).expect("equal");
    }
    wanted.len()
}
