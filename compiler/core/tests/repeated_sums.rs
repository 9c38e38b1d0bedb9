//! Sums of which an update reads every element many times: their own axes are loops, and the others are not summed along.

mod programs;

use dlm_core::schedule::{PersistentLayout, Target, schedule};
use programs::{agrees, descent, step};

const PENALTY: &str = r#"
data images = mnist[]
block Net(x: f32[B, 1, 28, 28]) -> f32[B, 10] {
  return x |> relu |> dropout[0.1] |> flatten |> Linear[10]
}
train t[steps=1] {
  let net = Net
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[32] {
    let slope = grad(sum(net(x)), x)
    let loss = cross_entropy(net(x), y) + mean(slope ^ 2)
    minimize loss with opt
    report loss
  }
}
"#;

#[test]
fn a_part_of_a_sum_that_is_repeated_is_a_loop() {
    let graph = step(PENALTY);
    for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
        let plan = schedule(&graph, &target, 32, &PersistentLayout::of(&graph)).expect("a plan");
        let parts = plan.kernels.values();
        let parts: Vec<_> = parts
            .filter(|kernel| kernel.name.ends_with("_part"))
            .collect();
        assert!(!parts.is_empty(), "{plan}");
        for kernel in parts {
            let lines = kernel.to_string().lines().count();
            assert!(lines < 400, "{lines} lines of {}", kernel.name);
        }
        assert!(agrees(&graph, &plan, 19) >= 2);
    }
}

/// A gradient of 16 x 784 sums, each of which updates four weights: their axis is the last, along which vectors run.
const WEIGHTS: &str = "block Net(x: f32[B, 1, 28, 28]) -> f32[B, 16] {
  param weight: f32[16, 784, 4] = uniform[0.1]
  return einsum[\"b i, o i -> b o\"](x |> flatten, sum[axis=2](weight))
}";

#[test]
fn a_sum_that_is_repeated_along_vectors_is_summed_once() {
    let graph = descent("mnist[]", WEIGHTS);
    for target in [Target::avx2(), Target::avx512()] {
        let plan = schedule(&graph, &target, 32, &PersistentLayout::of(&graph)).expect("a plan");
        let decision = |text: &&String| text.starts_with("product") && text.contains(" tile [");
        assert!(
            plan.decisions.iter().filter(decision).count() >= 2,
            "{plan}"
        );
        assert!(agrees(&graph, &plan, 19) >= 2);
    }
}
