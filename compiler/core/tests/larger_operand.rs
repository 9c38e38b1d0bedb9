//! The weight gradient of a dense layer over a sequence goes over the larger operand once, where the turned one would not stay in
//! the first cache for its tiles.

mod programs;

use dlm_core::graph::Graph;
use dlm_core::plan::Plan;
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use programs::{agrees, step};

fn net(positions: i64, [inner, outer]: [i64; 2]) -> Graph {
    let width = 784 / positions;
    step(&format!(
        r#"
data images = mnist[]
block Net(x: f32[B, 1, 28, 28]) -> f32[B, 10] {{
  let h = x |> reshape[B, {positions}, {width}] |> Linear[{inner}] |> gelu |> Linear[{outer}] |> relu
  return h |> mean[axis=1] |> Linear[10]
}}
train pictures[steps=1] {{
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

/// The loops over outputs of the part that has several vectors and is summed over positions, from the outermost inwards.
fn loops(plan: &Plan) -> Vec<String> {
    let kernels = plan.kernels.values();
    let parts = kernels.filter(|kernel| kernel.name.ends_with("_part"));
    let mut texts = parts.map(|kernel| kernel.to_string());
    let text = texts.find(|text| text.contains("\"vector\"") && text.contains("\"r1\""));
    let text = text.unwrap_or_default();
    let lines = text.lines().filter(|line| line.ends_with("domain {"));
    let names = lines.filter_map(|line| line.split('"').nth(1));
    names.take(2).map(String::from).collect()
}

fn planned(graph: &Graph) -> Plan {
    schedule(graph, &Target::avx512(), 32, &PersistentLayout::of(graph)).expect("a plan")
}

#[test]
fn the_larger_operand_is_gone_through_once() {
    for (positions, sizes, wanted) in [
        (49, [96, 256], ["i0", "vector"]),
        // None is larger.
        (49, [96, 96], ["vector", "i1"]),
    ] {
        let plan = planned(&net(positions, sizes));
        assert_eq!(loops(&plan), wanted, "{positions}\n{plan}");
    }
}

#[test]
fn its_values_are_those_of_the_graph() {
    let graph = net(49, [96, 256]);
    assert!(agrees(&graph, &planned(&graph), 3) > 4);
}
