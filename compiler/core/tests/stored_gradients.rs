//! A weight gradient that is stored by itself is added up from its parts, whose operands no other phase reads.

mod programs;

use dlm_core::graph::Graph;
use dlm_core::plan::{Layout, Plan, Space};
use dlm_core::schedule::{PersistentLayout, Target, schedule, schedule_apart};
use programs::{agrees, step};

const SAMPLES: usize = 48;

fn convolutions(optimizer: &str) -> Graph {
    step(&format!(
        r#"
data images = mnist[]
block Net(x: f32[B, 1, 28, 28]) -> f32[B, 10] {{
  return x |> Conv2d[6, 5] |> relu |> max_pool2d[2] |> Conv2d[16, 5] |> relu |> max_pool2d[2] |> flatten |> Linear[10]
}}
train pictures[steps=1] {{
  let net = Net
  let opt = {optimizer}(net)
  step (x, y) in images.train |> batch[{SAMPLES}] {{
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }}
}}
"#
    ))
}

/// Images of a block that are in that space, other than the input and copies into rows.
fn images_in(plan: &Plan, space: Space) -> Vec<&str> {
    let buffers = plan.buffers.values();
    let images = buffers.filter(|buffer| {
        let in_lanes = matches!(buffer.layout, Layout::Lanes { .. });
        let made = buffer.name != "x" && !buffer.name.starts_with("rows");
        in_lanes && made && buffer.shape.len() >= 4 && buffer.space == space
    });
    images.map(|buffer| buffer.name.as_str()).collect()
}

#[test]
fn what_convolutions_read_stays_in_the_block_where_their_gradients_are_stored() {
    for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
        // Clipping needs all gradients before the first update.
        let graph = convolutions("sgd[lr=0.1, clip_norm=1.0]");
        let layout = PersistentLayout::of(&graph);
        let plan = schedule(&graph, &target, SAMPLES, &layout).expect("a plan");
        assert_eq!(images_in(&plan, Space::Arena), [""; 0], "{plan}");
        assert!(images_in(&plan, Space::Scratch).len() >= 4, "{plan}");
        assert!(agrees(&graph, &plan, 37) > 4);

        let graph = convolutions("sgd[lr=0.1]");
        let (plan, products) = schedule_apart(&graph, &target, SAMPLES, &layout).expect("a plan");
        assert_eq!(products.len(), 3);
        assert_eq!(images_in(&plan, Space::Arena), [""; 0], "{plan}");
        assert!(images_in(&plan, Space::Scratch).len() >= 6, "{plan}");
        assert!(agrees(&graph, &plan, 37) > 4);
    }
}
