//! Products that come with values which read one another's are kernels that wait for one another, unless one value stands by itself.

mod programs;

use dlm_core::schedule::{PersistentLayout, Target, schedule};
use programs::{agrees, step};

/// A convolution's gradient is summed over both of its calls; the net is called several times.
const TWICE: &str = r#"
data images = mnist[]
block Net(x: f32[B, 1, 28, 28]) -> f32[B, 33] {
  let convolution = Conv2d[4, 5, pad=2, bias=false]
  param scale: f32[4, 1, 1] = uniform[0.9]
  let scaled = (convolution(x) + convolution(x |> flip[-1])) * scale
  return scaled |> PReLU |> flatten |> Linear[33] |> PReLU
}
train t[epochs=1] {
  let net = Net
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[33] {
    let loss = cross_entropy(net(x), y) + cross_entropy(net(x |> flip[-1]), y) + cross_entropy(net(x), y) + mean(net(x ^ 2) ^ 2)
    minimize loss with opt
    report loss
  }
}
"#;

#[test]
fn a_value_that_would_close_a_cycle_has_a_kernel_of_its_own() {
    let graph = step(TWICE);
    for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
        let plan = schedule(&graph, &target, 33, &PersistentLayout::of(&graph)).expect("a plan");
        assert!(agrees(&graph, &plan, 3) > 5);
    }
}
