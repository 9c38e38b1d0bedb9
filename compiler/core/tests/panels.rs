//! The weight gradient of a dense layer sums over the batch what is copied in panels of columns.

mod programs;

use dlm_core::graph::Graph;
use dlm_core::plan::Plan;
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use programs::{agrees, classifier};

fn net(layers: &str) -> Graph {
    classifier(&format!("return x |> {layers} |> Linear[10]"), 48)
}

fn planned(graph: &Graph, target: &Target) -> Plan {
    schedule(graph, target, 48, &PersistentLayout::of(graph)).expect("a plan")
}

/// How the last of the copies for sums over the batch lies.
fn last_copy(plan: &Plan) -> Option<&str> {
    let decisions = plan.decisions.iter();
    let mut copies = decisions.filter(|own| own.starts_with("relayout"));
    let text = copies.next_back()?.split_once(": ")?.1;
    Some(text.split_once(',')?.0)
}

#[test]
fn panels_are_as_wide_as_the_widest_vectors() {
    for (layers, target, wanted) in [
        (
            "flatten |> Linear[64] |> relu",
            Target::avx512(),
            "panels of 16 columns",
        ),
        (
            "flatten |> Linear[84] |> relu",
            Target::avx2(),
            "panels of 16 columns",
        ),
        (
            "flatten |> Linear[84] |> relu",
            Target::vector128(),
            "panels of 8 columns",
        ),
        // The channels of all pixels are the columns.
        (
            "Conv2d[4, 3] |> relu |> flatten",
            Target::avx2(),
            "panels of 16 columns",
        ),
        // No vector is whole.
        (
            "flatten |> Linear[12] |> relu",
            Target::avx2(),
            "plain rows",
        ),
    ] {
        let plan = planned(&net(layers), &target);
        assert_eq!(
            last_copy(&plan),
            Some(wanted),
            "{layers}, {}\n{plan}",
            target.name
        );
    }
}

#[test]
fn what_a_convolution_reads_too_is_copied_for_the_dense_layer() {
    let body = "let y = x |> Conv2d[8, 5, stride=4] |> relu
  return (y |> flatten |> Linear[10]) + (y |> Conv2d[10, 1] |> global_avg_pool)";
    let graph = classifier(body, 48);
    let plan = planned(&graph, &Target::avx2());
    assert_eq!(last_copy(&plan), Some("panels of 16 columns"), "{plan}");
    assert!(agrees(&graph, &plan, 37) > 4, "{plan}");
}

#[test]
fn sums_of_panels_are_those_of_the_graph() {
    // What whole vectors leave: vectors of four and of eight, both, single columns, and all.
    for columns in [84, 88, 92, 50, 17, 64] {
        let graph = net(&format!("flatten |> Linear[{columns}] |> relu"));
        for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
            let plan = planned(&graph, &target);
            // A part of a block, two blocks, and a part of a third.
            for batch in [1, 5, 32, 37] {
                let found = agrees(&graph, &plan, batch);
                assert!(found > 4, "{columns}, {}, batch {batch}", target.name);
            }
        }
    }
}

#[test]
fn columns_that_an_update_takes_apart_are_those_of_the_graph() {
    // The update goes over rows that are no multiples of vectors.
    for (features, rows, columns) in [(400, 20, 20), (400, 40, 10), (300, 25, 12), (320, 10, 32)] {
        let body = format!(
            "let h = x |> flatten |> Linear[{features}] |> relu
  param w: f32[10, {rows}, {columns}] = fan_in_uniform[{features}]
  return einsum[\"b i, o i -> b o\"](h, reshape[10, {features}](w))"
        );
        let graph = classifier(&body, 48);
        for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
            let plan = planned(&graph, &target);
            let found = agrees(&graph, &plan, 37);
            assert!(found > 4, "{rows} x {columns}, {}", target.name);
        }
    }
}

#[test]
fn a_product_whose_other_operand_is_a_part_of_the_same_value_reads_it() {
    // Every other row and column of an image, of all samples, with the whole of it.
    let body = "let y = x |> Conv2d[4, 5, stride=4] |> relu
  let s = einsum[\"b i, b j -> i j\"](y[:, :, ::2, ::2] |> flatten, y |> flatten)
  return (y |> flatten |> Linear[10]) + mean(s)";
    let graph = classifier(body, 48);
    for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
        let plan = planned(&graph, &target);
        assert!(agrees(&graph, &plan, 37) > 4, "{}", target.name);
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
    let plan = planned(&net("flatten |> Linear[1024] |> relu"), &Target::avx512());
    assert_eq!(longest_round(&plan, "samples"), 96, "{plan}");
}
