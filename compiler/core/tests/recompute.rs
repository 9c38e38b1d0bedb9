//! Steps that keep to a budget compute what they compute without one, to the bit.

mod programs;

use std::collections::BTreeMap;

use dlm_core::graph::eval::{Tensor, threefry};
use dlm_core::graph::{DType, Graph, InputKind, Op, OutputKind};
use dlm_core::passes::{PASSES, run_passes};
use dlm_core::plan::{Plan, interpret, verify};
use dlm_core::schedule::{Budget, PersistentLayout, Target, schedule};

const BATCH: usize = 19;
const WORKERS: usize = 2;

/// Attention, normalised layers and dropout.
const SEQUENCES: &str = r#"
data words = synthetic[64]
block Net(ids: i32[B, T]) -> f32[B, T, 65] {
  let h = ids |> Embedding[65, 16]
  for i in 0..3 { h = h |> TransformerLayer[2, ff=32, dropout=0.2, causal=true] }
  return h |> LayerNorm |> Linear[65]
}
train sequences[steps=1] {
  let net = Net
  let opt = adamw[lr=1e-3](net)
  step (x, y) in words.train |> batch[19] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
"#;

/// Convolutions, statistics of the batch, a skip and a pool.
const IMAGES: &str = r#"
data images = digits[]
block Net(x: f32[B, 1, 16, 16]) -> f32[B, 10] {
  let a = x |> Conv2d[8, 3, pad=1] |> BatchNorm |> relu |> max_pool2d[2]
  let b = a |> Conv2d[8, 3, pad=1] |> BatchNorm |> gelu |> Conv2d[8, 3, pad=1] |> BatchNorm
            |> gelu |> Conv2d[8, 3, pad=1] |> gelu |> Conv2d[8, 3, pad=1] |> gelu
  return relu(a + b) |> global_avg_pool |> dropout[0.1] |> Linear[10]
}
train pictures[steps=1] {
  let net = Net
  let opt = sgd[lr=0.1, momentum=0.9](net)
  step (x, y) in images.train |> batch[19] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
"#;

fn step(text: &str) -> Graph {
    let train = programs::train_ok("a.dlm", text);
    run_passes(&train.step, PASSES, |_, _| {}).expect("passes")
}

fn planned(graph: &Graph, target: &Target, bytes: Option<usize>) -> Plan {
    let budget = bytes.map(|bytes| Budget {
        bytes,
        workers: WORKERS,
    });
    let target = Target {
        budget,
        ..target.clone()
    };
    let plan = schedule(graph, &target, BATCH, &PersistentLayout::of(graph)).expect("a plan");
    assert_eq!(verify(&plan), Ok(()));
    plan
}

fn inputs(graph: &Graph) -> BTreeMap<(InputKind, String), Tensor> {
    let given = graph.nodes.iter().filter_map(|(id, node)| {
        let Op::Input { kind, name, ty } = &node.op else {
            return None;
        };
        let shape: Vec<i64> = ty.shape.iter().map(|dim| dim.at(BATCH as i64)).collect();
        let mut place = 0;
        let value = Tensor::from_fn(&shape, |_| {
            place += 1;
            let random = threefry([id.as_u32(), 5], [place, 0])[0];
            match ty.dtype {
                DType::F32 => 0.1 + f64::from(random as f32 / u32::MAX as f32),
                _ => f64::from(random % 10),
            }
        });
        Some(((*kind, name.clone()), value))
    });
    given.collect()
}

type Results = Vec<((OutputKind, String), Vec<u64>)>;

fn results(graph: &Graph, plan: &Plan) -> Results {
    let found = interpret(plan, BATCH, &inputs(graph)).expect("runs");
    let bits = |value: &Tensor| value.data.iter().map(|value| value.to_bits()).collect();
    found
        .iter()
        .map(|(name, value)| (name.clone(), bits(value)))
        .collect()
}

fn runs_again(plan: &Plan) -> usize {
    let again = plan.decisions.iter();
    again
        .filter(|text| text.contains(": computed again in phase "))
        .count()
}

fn check(text: &str, target: &Target) {
    let graph = step(text);
    let whole = planned(&graph, target, None);
    let wanted = results(&graph, &whole);
    assert!(
        wanted
            .iter()
            .all(|(_, bits)| bits.iter().any(|bits| *bits != 0))
    );
    let bytes = whole.memory().total(WORKERS);
    let within = bytes - whole.memory().persistent;
    let mut fitting = 0;
    for part in [15, 10, 0] {
        let budget = whole.memory().persistent + within / 16 * part;
        let plan = planned(&graph, target, Some(budget));
        let taken = plan.memory().total(WORKERS);
        assert!(
            taken < bytes && runs_again(&plan) > 0,
            "{part}: {taken} of {bytes}"
        );
        assert_eq!(plan.decisions_on_memory().count(), 1);
        fitting += usize::from(taken <= budget);
        assert!(
            results(&graph, &plan) == wanted,
            "{part} of {}",
            target.name
        );
    }
    assert!(fitting > 0, "none fits");
}

#[test]
fn steps_over_sequences_have_the_same_bits_within_a_budget() {
    check(SEQUENCES, &Target::vector128());
    check(SEQUENCES, &Target::avx2());
}

#[test]
fn steps_over_images_have_the_same_bits_within_a_budget() {
    check(IMAGES, &Target::vector128());
    check(IMAGES, &Target::avx2());
}

#[test]
fn a_budget_that_is_kept_to_anyhow_changes_nothing() {
    let graph = step(SEQUENCES);
    let whole = planned(&graph, &Target::avx2(), None);
    let enough = Some(whole.memory().total(WORKERS));
    assert_eq!(planned(&graph, &Target::avx2(), enough), whole);
}
