//! With four samples in a batch weight gradients are sums of outer products, as with more: sums whose lanes are samples would be
//! added up across them, for a few pixels each.

mod programs;

use dlm_core::graph::Graph;
use dlm_core::plan::Plan;
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use programs::{agrees, classifier};

fn net() -> Graph {
    let convolutions = "Conv2d[6, 5] |> relu |> max_pool2d[2] |> Conv2d[16, 5] |> relu";
    classifier(
        &format!("return x |> {convolutions} |> max_pool2d[2] |> flatten |> Linear[10]"),
        4,
    )
}

fn planned(target: &Target) -> Plan {
    schedule(&net(), target, 4, &PersistentLayout::of(&net())).expect("a plan")
}

fn turned(plan: &Plan) -> usize {
    let kernels = plan.kernels.values();
    let own = kernels.filter(|kernel| kernel.name.starts_with("turned"));
    own.count()
}

#[test]
fn operands_that_fill_vectors_are_turned() {
    for target in [Target::avx2(), Target::avx512()] {
        let plan = planned(&target);
        // The second convolution's 16 channels; six fill no vector.
        assert_eq!(turned(&plan), 1, "{}\n{plan}", target.name);
    }
}

#[test]
fn their_values_are_those_of_the_graph() {
    for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
        let plan = planned(&target);
        for batch in [1, 3, 4] {
            assert!(agrees(&net(), &plan, batch) > 4, "batch {batch}");
        }
    }
}
