//! Steps that keep to a budget compute what they compute without one, to the bit.

mod programs;

use std::collections::BTreeMap;

use dlm_core::graph::eval::{Tensor, threefry};
use dlm_core::graph::{DType, Graph, InputKind, Op, OutputKind};
use dlm_core::plan::{Plan, interpret, verify};
use dlm_core::schedule::{Budget, PersistentLayout, Target, schedule};
use programs::step;

const BATCH: usize = 19;
/// Batches that are run: the largest, and one that fills no block.
const BATCHES: [usize; 2] = [BATCH, 3];
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

/// A loop over time, values that are read after their parameters were updated, and two optimizers.
const TWO: &str = r#"
data words = synthetic[64]
block First(ids: i32[B, T]) -> f32[B, T, 16] {
  return ids |> Embedding[65, 16] |> Linear[16] |> gelu |> LayerNorm |> Lstm[8] |> Linear[16] |> gelu
}
block Second(x: f32[B, T, 16]) -> f32[B, T, 65] {
  return x |> Linear[16] |> gelu |> dropout[0.2] |> LayerNorm |> Linear[65]
}
train two[steps=1] {
  let first = First
  let second = Second
  let a = adam[lr=1e-3](first)
  let b = sgd[lr=0.1](second)
  step (x, y) in words.train |> batch[19] {
    let h = first(x)
    let loss = mean(h ^ 2)
    minimize loss with a
    let other = cross_entropy(second(stop_grad(h) * first(x)), y)
    minimize other with b
    report loss, other
  }
}
"#;

/// One layer in many places.
const SHARED: &str = r#"
data images = digits[]
block Net(x: f32[B, 1, 16, 16]) -> f32[B, 10] {
  let layer = Linear[64]
  let h = x |> flatten |> Linear[64]
  for i in 0..6 { h = h |> layer |> gelu |> LayerNorm }
  return h |> Linear[10]
}
train shared[steps=1] {
  let net = Net
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[19] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
"#;

fn planned(graph: &Graph, target: &Target, budget: Option<Budget>) -> Plan {
    let target = Target {
        budget,
        ..target.clone()
    };
    let plan = schedule(graph, &target, BATCH, &PersistentLayout::of(graph)).expect("a plan");
    assert_eq!(verify(&plan), Ok(()));
    plan
}

fn of_two_workers(bytes: usize) -> Option<Budget> {
    let workers = WORKERS;
    Some(Budget { bytes, workers })
}

fn inputs(graph: &Graph, batch: usize) -> BTreeMap<(InputKind, String), Tensor> {
    let given = graph.nodes.iter().filter_map(|(id, node)| {
        let Op::Input { kind, name, ty } = &node.op else {
            return None;
        };
        let shape: Vec<i64> = ty.shape.iter().map(|dim| dim.at(batch as i64)).collect();
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

fn results(graph: &Graph, plan: &Plan, batch: usize) -> Results {
    let found = interpret(plan, batch, &inputs(graph, batch)).expect("runs");
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
    let wanted = BATCHES.map(|batch| results(&graph, &whole, batch));
    for (name, bits) in wanted.iter().flatten() {
        let mut values = bits.iter().map(|&bits| f64::from_bits(bits));
        assert!(values.clone().all(f64::is_finite), "{name:?}");
        assert!(values.any(|value| value != 0.0), "{name:?}");
    }
    let bytes = whole.memory().total(WORKERS);
    let within = bytes - whole.memory().persistent;
    let mut fitting = 0;
    for part in [31, 20, 0] {
        let budget = whole.memory().persistent + within / 32 * part;
        let plan = planned(&graph, target, of_two_workers(budget));
        let taken = plan.memory().total(WORKERS);
        assert!(
            taken < bytes && runs_again(&plan) > 0,
            "{part}: {taken} of {bytes}"
        );
        assert_eq!(plan.decisions_on_memory().count(), 1);
        fitting += usize::from(taken <= budget);
        for (batch, wanted) in BATCHES.into_iter().zip(&wanted) {
            let found = results(&graph, &plan, batch);
            assert!(found == *wanted, "{part} of {}, batch {batch}", target.name);
        }
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
fn steps_with_loops_and_two_optimizers_have_the_same_bits_within_a_budget() {
    check(TWO, &Target::vector128());
    check(TWO, &Target::avx2());
}

#[test]
fn a_budget_that_is_kept_to_anyhow_changes_nothing() {
    let graph = step(SEQUENCES);
    let whole = planned(&graph, &Target::avx2(), None);
    let enough = of_two_workers(whole.memory().total(WORKERS));
    assert_eq!(planned(&graph, &Target::avx2(), enough), whole);
}

/// With many workers what each has of its own takes most, and another order than that for two takes least.
#[test]
fn the_order_is_that_for_the_workers_of_the_budget() {
    let graph = step(SHARED);
    let whole = planned(&graph, &Target::avx2(), None);
    let (memory, workers) = (whole.memory(), 16);
    let bytes = memory.persistent + (memory.total(workers) - memory.persistent) / 16 * 15;
    let plan = planned(&graph, &Target::avx2(), Some(Budget { bytes, workers }));
    assert!(plan.memory().total(workers) <= bytes);
    assert_eq!(runs_again(&plan), 0);
    assert!(results(&graph, &plan, BATCH) == results(&graph, &whole, BATCH));
}
