//! A plan is the same whether its kernels are lowered in their turn, by one thread side by side, or by several.

mod programs;

use dlm_core::plan::print_with_kernels;
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use programs::classifier;
use rayon::ThreadPoolBuilder;

/// The plan's text, with its kernels, as a pool of so many threads makes it; and how many kernels that are.
fn planned(layers: usize, threads: usize) -> (String, usize) {
    let hidden = " |> Linear[16] |> LayerNorm |> gelu".repeat(layers);
    let graph = classifier(&format!("return x |> flatten{hidden} |> Linear[10]"), 32);
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    let plan = pool
        .expect("threads")
        .install(|| schedule(&graph, &Target::avx2(), 32, &PersistentLayout::of(&graph)));
    let plan = plan.expect("a plan");
    (print_with_kernels(&plan), plan.kernels.len())
}

#[test]
fn a_large_plan_is_the_same_at_any_number_of_threads() {
    let (alone, kernels) = planned(8, 1);
    assert!(kernels > 64, "{kernels} kernels are lowered in their turn");
    assert_eq!(alone, planned(8, 4).0);
}

#[test]
fn a_small_plan_is_the_same_at_any_number_of_threads() {
    let (alone, kernels) = planned(1, 1);
    assert!(kernels < 64, "{kernels} kernels are lowered side by side");
    assert_eq!(alone, planned(1, 4).0);
}
