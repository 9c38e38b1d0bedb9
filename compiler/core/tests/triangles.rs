//! Causal attention with its gradients: products leave out what lies beyond the diagonal, and give what the graph gives.

use std::collections::BTreeMap;

use dlm_core::elaborate::Callable;
use dlm_core::graph::{DType, Dim, TensorType};
use dlm_core::plan::Plan;
use dlm_core::schedule::Target;

#[path = "programs/library.rs"]
mod library;

/// Attention over `x: f32[B, T, 16]` whose scores go through `mask`.
fn attention(mask: &str) -> String {
    format!(
        "block Case(x: f32[B, T, D]) {{
  let q, k, v = x |> Linear[48] |> rearrange[\"b t (n h d) -> n b h t d\", n=3, h=2]
  let a = einsum[\"b h i d, b h j d -> b h i j\"](q, k) / 3 |> {mask} |> softmax[axis=-1]
  return einsum[\"b h i j, b h j d -> b i h d\"](a, v) |> rearrange[\"b t h d -> b t (h d)\"] |> Linear[D]
}}"
    )
}

fn planned(mask: &str, shape: [i64; 3], target: &Target) -> Result<Plan, String> {
    let x = TensorType::new(DType::F32, shape.map(Dim::fixed).to_vec());
    let callable: Callable = library::with_gradients(
        &attention(mask),
        "Case",
        BTreeMap::from([("x".to_owned(), x)]),
    )?;
    library::planned(&callable, &shape, target)
}

#[test]
fn what_is_left_out_was_zero() {
    let mut failures = Vec::new();
    for mask in ["causal_mask", "relu"] {
        for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
            for shape in [[1, 12, 16], [3, 13, 16], [8, 32, 16], [19, 21, 16]] {
                if let Err(reason) = planned(mask, shape, &target) {
                    failures.push(format!("{mask}, {shape:?}, {}: {reason}", target.name));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Whether a kernel's text has a condition, or a reduction whose ends move.
fn is_bounded(kernel: &str) -> bool {
    let is_constant = |end: &str| {
        let given = [format!("  {end}: index = const"), format!("scalar {end} ")];
        given.iter().any(|text| kernel.contains(text))
    };
    let moves = |line: &str| {
        let ends = line
            .split(" in ")
            .nth(1)
            .and_then(|rest| rest.split(" step").next());
        ends.is_some_and(|ends| !ends.split("..").all(is_constant))
    };
    let mut reductions = kernel.lines().filter(|line| line.contains(" reduction"));
    kernel.contains("less_equal") || reductions.any(moves)
}

#[test]
fn six_products_of_causal_attention_are_bounded_by_the_diagonal() {
    let bounded = |mask: &str| {
        let plan = planned(mask, [8, 32, 16], &Target::avx2()).expect("a plan");
        let kernels = plan.kernels.values().map(ToString::to_string);
        kernels.filter(|kernel| is_bounded(kernel)).count()
    };
    assert_eq!(bounded("relu"), 0);
    assert_eq!(bounded("causal_mask"), 6);
}
