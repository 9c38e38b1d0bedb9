//! What stands before a first convolution's weight and bias gradients is read a few channels at a time, samples in lanes: its
//! pixels lie apart in memory where they would begin in few sets of the first cache.

mod programs;

use dlm_core::graph::Graph;
use dlm_core::plan::Plan;
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use programs::{agrees, classifier};

fn net(layers: &str) -> Graph {
    let images = "concat[axis=1](x, x, x)";
    classifier(
        &format!("return {images} |> {layers} |> flatten |> Linear[10]"),
        64,
    )
}

/// What makes the first convolution's gradient.
const SECOND: &str = " |> Conv2d[16, 3, pad=1] |> relu";

fn planned(graph: &Graph, target: &Target) -> Plan {
    schedule(graph, target, 64, &PersistentLayout::of(graph)).expect("a plan")
}

fn pixels_apart(plan: &Plan) -> usize {
    let decisions = plan.decisions.iter();
    decisions
        .filter(|text| text.ends_with("pixels apart"))
        .count()
}

#[test]
fn pixels_of_a_kilobyte_that_only_sums_read_are_kept_apart() {
    for (first, wanted) in [
        ("Conv2d[16, 3, pad=1] |> relu", 1),
        // Pixels of other lengths; a gradient that is made where it is turned.
        ("Conv2d[6, 3, pad=1] |> relu", 0),
        ("Conv2d[16, 3, pad=1, bias=false] |> BatchNorm |> relu", 0),
    ] {
        let layers = format!("{first}{SECOND}");
        for target in [Target::avx2(), Target::avx512()] {
            let plan = planned(&net(&layers), &target);
            assert_eq!(
                pixels_apart(&plan),
                wanted,
                "{layers}, {}\n{plan}",
                target.name
            );
        }
    }
}

#[test]
fn their_values_are_those_of_the_graph() {
    let graph = net(&format!("Conv2d[16, 3, pad=1] |> relu{SECOND}"));
    for target in [Target::avx2(), Target::avx512()] {
        let plan = planned(&graph, &target);
        assert_eq!(pixels_apart(&plan), 1, "{plan}");
        assert!(agrees(&graph, &plan, 3) > 4);
    }
}
