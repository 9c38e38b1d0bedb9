//! The weight gradient of a dense layer with few weights is added up block by block, where its operands are still near.

mod programs;

use dlm_core::graph::Graph;
use dlm_core::plan::Plan;
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use programs::{agrees, classifier};

fn net(layers: &str) -> Graph {
    classifier(
        &format!("return x |> flatten |> {layers} |> Linear[10]"),
        48,
    )
}

fn planned(graph: &Graph, target: &Target) -> Plan {
    schedule(graph, target, 48, &PersistentLayout::of(graph)).expect("a plan")
}

/// Sums of dense layers over parts of the blocks, and plain copies for sums over the whole batch.
fn parts_and_copies(plan: &Plan) -> (usize, usize) {
    let names = plan.kernels.values().map(|kernel| kernel.name.as_str());
    let names: Vec<&str> = names.collect();
    let count = |wanted: &dyn Fn(&str) -> bool| names.iter().filter(|name| wanted(name)).count();
    (
        count(&|name| name.starts_with("product") && name.ends_with("_part")),
        count(&|name| name.starts_with("relayout")),
    )
}

#[test]
fn few_weights_are_summed_in_parts_and_many_from_copies() {
    for (layers, target, wanted) in [
        ("Linear[64] |> relu", Target::avx512(), (1, 1)),
        ("Linear[64] |> relu", Target::avx2(), (1, 1)),
        // 5,120 weights, and 10,240.
        ("Linear[512] |> relu", Target::avx512(), (1, 1)),
        ("Linear[1024] |> relu", Target::avx512(), (0, 2)),
        // Inputs that do not fill vectors.
        ("Linear[84] |> relu", Target::avx512(), (0, 2)),
        // 128-bit code stores lane by lane what it turns.
        ("Linear[64] |> relu", Target::vector128(), (0, 2)),
    ] {
        let plan = planned(&net(layers), &target);
        let found = parts_and_copies(&plan);
        assert_eq!(found, wanted, "{layers}, {}\n{plan}", target.name);
    }
}

#[test]
fn their_values_are_those_of_the_graph() {
    let graph = net("Linear[64] |> relu");
    for target in [Target::avx2(), Target::avx512()] {
        let plan = planned(&graph, &target);
        // Two blocks and a part of a third.
        for batch in [1, 16, 37] {
            assert!(agrees(&graph, &plan, batch) > 4, "batch {batch}");
        }
    }
}

/// Multiply-adds of the longest round of a loop with that name.
fn longest_round(plan: &Plan, name: &str) -> usize {
    let name = format!("\"{name}\"");
    let texts = plan.kernels.values().map(|kernel| kernel.to_string());
    let rounds = texts.flat_map(|text| {
        let loops = text.split(&name).skip(1);
        let bodies = loops.map(|rest| rest.split("} give").next().unwrap_or_default().to_owned());
        bodies.collect::<Vec<String>>()
    });
    let multiply_adds = rounds.map(|body| body.matches("= fma ").count());
    multiply_adds.max().unwrap_or(0)
}

#[test]
fn sums_over_the_batch_write_out_as_many_samples_as_other_sums_do_rounds() {
    // Twelve times two sums of four samples each: all sixteen would be more code than is near when the next step comes to it.
    let plan = planned(&net("Linear[1024] |> relu"), &Target::avx512());
    assert_eq!(longest_round(&plan, "samples"), 96, "{plan}");
}

#[test]
fn sums_of_some_samples_at_a_time_give_what_the_graph_gives() {
    let graph = net("Linear[84] |> relu");
    for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
        let plan = planned(&graph, &target);
        for batch in [5, 32, 48] {
            assert!(
                agrees(&graph, &plan, batch) > 4,
                "{}, batch {batch}",
                target.name
            );
        }
    }
}
