//! The weight gradient of a dense layer over a sequence goes over the larger operand once, where the turned one would not stay in
//! the first cache for its tiles. That of a 1 x 1 convolution goes through its image in parts, where neither would stay in the second.

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

/// A 1 x 1 convolution of stride 2 of 32 channels to 64, with 14 x 14 pixels. Of a block of 16 samples the 400 KB of the image
/// that are read are turned, and their gradient is 800 KB.
fn image() -> Graph {
    let layers = "Conv2d[32, 3, pad=1] |> relu |> Conv2d[64, 1, stride=2] |> relu";
    classifier(
        &format!("return x |> {layers} |> global_avg_pool |> Linear[10]"),
        32,
    )
}

/// Planned for a second cache of so many kilobytes, all blocks of a batch in one task.
fn planned_within(graph: &Graph, kilobytes: i64) -> Plan {
    let target = Target {
        second_cache: kilobytes << 10,
        block_tasks: 1,
        ..Target::avx2()
    };
    schedule(graph, &target, 32, &PersistentLayout::of(graph)).expect("a plan")
}

/// How many parts of rows the kernels have that go by the other operand's tiles.
fn parts_of_rows(plan: &Plan) -> Vec<String> {
    let texts = plan.kernels.values().map(|kernel| kernel.to_string());
    let parts = texts.filter(|text| {
        let names = text.lines().filter(|line| line.ends_with("domain {"));
        let names: Vec<_> = names.filter_map(|line| line.split('"').nth(1)).collect();
        matches!(names.as_slice(), ["rows", "i0" | "i1", "vector", ..])
    });
    parts.filter_map(|text| rounds(&text, "rows")).collect()
}

/// The number that a loop of a kernel ends at.
fn rounds(text: &str, name: &str) -> Option<String> {
    let line = text
        .lines()
        .find(|line| line.contains(&format!("\"{name}\"")))?;
    let end = line.split("..").nth(1)?.split_whitespace().next()?;
    let mut lines = text.lines();
    let constant = lines.find(|line| line.trim().starts_with(&format!("{end}: ")))?;
    constant.rsplit(' ').next().map(String::from)
}

#[test]
fn an_image_of_which_nothing_stays_near_is_summed_in_parts() {
    let graph = image();
    // Of rows of 28 KB half of 256 KB holds four, and two divide 14. One is too few, and where what is read of the image stays,
    // as many rows as leave a tile's vectors there.
    for (kilobytes, wanted) in [(256, "7"), (96, "2"), (1024, "2")] {
        let plan = planned_within(&graph, kilobytes);
        assert_eq!(parts_of_rows(&plan), [wanted], "{plan}");
    }
    // Two blocks, of which the second adds to what the first has stored.
    assert!(agrees(&graph, &planned_within(&graph, 256), 20) > 4);
}
