//! Attention whose kernels run head by head: they compute what the graph says, and what a head leaves for its next kernel
//! takes the memory of one head.

use std::collections::BTreeMap;

use dlm_core::elaborate::Callable;
use dlm_core::graph::{DType, Dim, TensorType};
use dlm_core::passes::{PASSES, run_passes};
use dlm_core::plan::{Plan, PlanBuffer, Repeat};
use dlm_core::schedule::{Budget, PersistentLayout, Target, schedule};

#[path = "programs/library.rs"]
mod library;

/// Attention of four heads over `x: f32[B, T, 16]`.
const ATTENTION: &str = "block Case(x: f32[B, T, D]) {
  let q, k, v = x |> Linear[48] |> rearrange[\"b t (n h d) -> n b h t d\", n=3, h=4]
  let a = einsum[\"b h i d, b h j d -> b h i j\"](q, k) / 2 |> causal_mask |> softmax[axis=-1]
  return einsum[\"b h i j, b h j d -> b i h d\"](a, v) |> rearrange[\"b t h d -> b t (h d)\"] |> Linear[D]
}";

fn planned(samples: i64, rows: i64) -> Plan {
    planned_for(samples, rows, &Target::avx2())
}

fn planned_for(samples: i64, rows: i64, target: &Target) -> Plan {
    planned_block(ATTENTION, [samples, rows, 16], target)
}

fn planned_block(text: &str, shape: [i64; 3], target: &Target) -> Plan {
    let x = TensorType::new(DType::F32, shape.map(Dim::fixed).to_vec());
    let callable: Callable =
        library::with_gradients(text, "Case", BTreeMap::from([("x".to_owned(), x)]))
            .expect("a program");
    library::planned(&callable, &shape, target).expect("what the graph says")
}

fn repeats(plan: &Plan) -> Vec<Repeat> {
    let groups = plan.phases.iter().flat_map(|phase| &phase.groups);
    groups.flat_map(|group| group.repeats.clone()).collect()
}

/// Scores of the eight samples of a block: 2 MB.
#[test]
fn large_scores_are_done_head_by_head() {
    let plan = planned(9, 128);
    let repeats = repeats(&plan);
    assert!(!repeats.is_empty(), "{plan}");
    for repeat in &repeats {
        assert_eq!(repeat.rounds, 4);
        assert!(repeat.count >= 3, "{repeat:?}");
    }
    let scores = plan.buffers.values().filter(|buffer| {
        let inner = buffer.shape.get(2..);
        inner == Some(&[Dim::fixed(128), Dim::fixed(128)])
    });
    let heads: Vec<Option<i64>> = scores.map(|buffer| buffer.shape[1].known()).collect();
    assert!(heads.contains(&Some(1)), "{plan}");
}

/// A layer of two heads, and another.
const LAYERS: &str = "block Attend(x: f32[B, T, D]) {
  let q, k, v = x |> Linear[96] |> rearrange[\"b t (n h d) -> n b h t d\", n=3, h=2]
  let a = einsum[\"b h i d, b h j d -> b h i j\"](q, k) / 4 |> causal_mask |> softmax[axis=-1]
  return einsum[\"b h i j, b h j d -> b i h d\"](a, v) |> rearrange[\"b t h d -> b t (h d)\"] |> Linear[D]
}
block Layer(x: f32[B, T, D]) {
  let h = x + (x |> LayerNorm |> Attend)
  return h + (h |> LayerNorm |> Linear[128] |> gelu |> Linear[D])
}
block Case(x: f32[B, T, D]) { return x |> Layer |> Layer |> LayerNorm }";

/// With each product in a kernel of its own, parts of a dense layer's weight gradient stand between the gradient of the
/// scores and what reads it. They run before it. Of all heads are the softmax of both layers, which gradients read; no scores
/// and no gradient are.
#[test]
fn parts_of_sums_over_the_batch_do_not_end_a_series() {
    let target = Target {
        apart: true,
        ..Target::avx2()
    };
    let plan = planned_block(LAYERS, [9, 128, 32], &target);
    let scores = [2, 128, 128].map(Dim::fixed);
    let of_all_heads = plan
        .buffers
        .values()
        .filter(|buffer| buffer.shape.get(1..) == Some(&scores[..]));
    let names: Vec<&str> = of_all_heads.map(|buffer| buffer.name.as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?} {plan}");
}

/// A layer of six heads as the GPT among the bench programs has it, and another.
const SIX_HEADS: &str = "block Attend(x: f32[B, T, D]) {
  let q, k, v = x |> Linear[576] |> rearrange[\"b t (n h d) -> n b h t d\", n=3, h=6]
  let a = einsum[\"b h i d, b h j d -> b h i j\"](q, k) / 5 |> causal_mask |> softmax[axis=-1]
  return einsum[\"b h i j, b h j d -> b i h d\"](a, v) |> rearrange[\"b t h d -> b t (h d)\"] |> Linear[D]
}
block Layer(x: f32[B, T, D]) { return x + (x |> LayerNorm |> Attend) }
block Case(x: f32[B, T, D]) { return x |> Layer |> Layer |> LayerNorm }";

/// With each product in a kernel of its own, maps that take nothing from a series stand between its kernels here. Only the first
/// layer's scores are those of all heads, as copies of weights, which no block makes, stand behind them.
#[test]
fn what_takes_nothing_from_a_series_does_not_end_it() {
    let shape = [16, 128, 192];
    let x = TensorType::new(DType::F32, shape.map(Dim::fixed).to_vec());
    let given = BTreeMap::from([("x".to_owned(), x)]);
    let callable = library::with_gradients(SIX_HEADS, "Case", given).expect("a program");
    let graph = run_passes(&callable.graph, PASSES, |_, _| {}).expect("passes");
    let target = Target {
        apart: true,
        ..Target::avx2()
    };
    let plan = schedule(&graph, &target, 1, &PersistentLayout::of(&graph)).expect("a plan");
    let made = |buffer: &PlanBuffer| {
        let all_heads = buffer.shape.get(1..) == Some(&[6, 128, 128].map(Dim::fixed)[..]);
        (all_heads && buffer.name.starts_with("product")).then(|| buffer.name.clone())
    };
    let products: Vec<String> = plan.buffers.values().filter_map(made).collect();
    assert_eq!(products.len(), 1, "{products:?} {plan}");
}

#[test]
fn small_scores_are_done_all_at_once() {
    assert_eq!(repeats(&planned(9, 32)), []);
}

/// What is computed again may be read in other rounds than what was made first.
#[test]
fn scores_that_are_computed_again_are_those_of_all_heads() {
    let whole = planned(9, 128).memory().total(2);
    for part in [8, 7, 6, 5] {
        let target = Target {
            budget: Some(Budget {
                bytes: whole / 8 * part,
                workers: 2,
            }),
            ..Target::avx2()
        };
        planned_for(9, 128, &target);
    }
}
