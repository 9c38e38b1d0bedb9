//! The weight gradient of a dense layer over a sequence goes over the larger operand once, where the turned one would not stay in
//! the first cache for its tiles.

mod programs;

use dlm_core::graph::Graph;
use dlm_core::plan::Plan;
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use programs::{agrees, classifier};

/// Two dense layers over 49 positions.
fn net([inner, outer]: [i64; 2]) -> Graph {
    let sequence = "x |> reshape[B, 49, 16]";
    let layers = format!("Linear[{inner}] |> gelu |> Linear[{outer}] |> relu");
    classifier(
        &format!("return {sequence} |> {layers} |> mean[axis=1] |> Linear[10]"),
        32,
    )
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
    for (sizes, wanted) in [
        ([96, 256], ["i0", "vector"]),
        // None is larger.
        ([96, 96], ["vector", "i1"]),
    ] {
        let plan = planned(&net(sizes));
        assert_eq!(loops(&plan), wanted, "{plan}");
    }
}

#[test]
fn its_values_are_those_of_the_graph() {
    let graph = net([96, 256]);
    assert!(agrees(&graph, &planned(&graph), 3) > 4);
}
