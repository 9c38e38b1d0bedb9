//! What whole vectors leave of a weight gradient's columns is summed in narrower ones, for more rows at a time.

mod programs;

use dlm_core::graph::Graph;
use dlm_core::plan::Plan;
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use programs::{agrees, classifier};

/// A net whose second layer has weights of so many rows and columns.
fn net(rows: usize, columns: usize) -> Graph {
    let layers = format!("Linear[{columns}] |> relu |> Linear[{rows}] |> relu");
    classifier(
        &format!("return x |> flatten |> {layers} |> Linear[10]"),
        256,
    )
}

fn planned(graph: &Graph, target: &Target) -> Plan {
    schedule(graph, target, 256, &PersistentLayout::of(graph)).expect("a plan")
}

/// The loops over rows of the second layer's weights: how wide their vectors are, and how many rows a round has.
fn loops_over_rows(plan: &Plan) -> Vec<String> {
    let kernels = plan.kernels.values().map(|kernel| kernel.to_string());
    let mut own = kernels.filter(|text| text.contains("_net.linear_2.weight\""));
    let text = own.next().expect("a kernel");
    let loops = text.split("\"i0\" in ").skip(1);
    let described = loops.map(|rest| {
        let step = rest.split_once(" step ").map(|(_, step)| step);
        let step = step.and_then(|step| step.split(' ').next());
        let carried = rest.split_once(": f32").map(|(_, ty)| ty);
        let carried = carried.and_then(|ty| ty.split(' ').next());
        format!("{} of {}", step.expect("a step"), carried.expect("sums"))
    });
    described.collect()
}

#[test]
fn narrower_vectors_sum_for_so_many_rows_that_sums_do_not_wait() {
    for (rows, columns, target, wanted) in [
        (10, 84, Target::avx2(), &["5 of x16", "10 of x4"][..]),
        (12, 88, Target::avx2(), &["6 of x16", "12 of x8"]),
        (12, 80, Target::avx2(), &["6 of x16"]),
        // One task of two would be left of a larger product.
        (24, 88, Target::avx2(), &["6 of x16", "6 of x8"]),
        // No tile divides the rows: what they leave is summed by itself.
        (
            7,
            84,
            Target::avx2(),
            &["4 of x16", "1 of x16", "4 of x4", "1 of x4"],
        ),
    ] {
        let plan = planned(&net(rows, columns), &target);
        assert_eq!(
            loops_over_rows(&plan),
            wanted,
            "{rows} x {columns}, {}",
            target.name
        );
    }
}

#[test]
fn what_narrower_vectors_sum_is_that_of_the_graph() {
    for (rows, columns) in [(10, 84), (12, 88), (7, 84), (30, 17), (25, 50), (96, 20)] {
        let graph = net(rows, columns);
        for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
            let plan = planned(&graph, &target);
            for batch in [5, 37] {
                let found = agrees(&graph, &plan, batch);
                assert!(found > 6, "{rows} x {columns}, {}", target.name);
            }
        }
    }
}
