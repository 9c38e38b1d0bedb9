//! What shares a place in memory, and in which order the groups of a phase begin, so that what is read next is near.

mod programs;

use dlm_core::graph::Graph;
use dlm_core::plan::{BufferId, Phase, Plan, PlanBuffer, Space, TaskGroup, Tasks, verify};
use dlm_core::schedule::{PersistentLayout, Target, schedule, schedule_apart};
use programs::{agrees, classifier};
use std::collections::BTreeSet;

/// A net whose last layer reads what nothing else does.
const POOLED: &str =
    "return x |> Conv2d[16, 3, stride=2] |> BatchNorm |> relu |> global_avg_pool |> Linear[10]";

fn planned(graph: &Graph, target: &Target, batch: usize) -> Plan {
    schedule(graph, target, batch, &PersistentLayout::of(graph)).expect("a plan")
}

/// The groups of blocks.
fn of_blocks(plan: &Plan) -> impl Iterator<Item = &TaskGroup> {
    let groups = plan.phases.iter().flat_map(|phase| &phase.groups);
    groups.filter(|own| matches!(own.tasks, Tasks::Blocks { .. }))
}

/// The names of buffers of the arena that share memory though the same blocks use both, with the group.
fn sharing(plan: &Plan) -> Vec<(&str, &str, &TaskGroup)> {
    let mut found = Vec::new();
    for group in of_blocks(plan) {
        let bound = group.calls.iter().flat_map(|call| &call.buffers);
        let bound: BTreeSet<BufferId> = bound.copied().collect();
        let own: Vec<&PlanBuffer> = bound.iter().map(|&id| &plan.buffers[id]).collect();
        let own: Vec<&PlanBuffer> = own
            .into_iter()
            .filter(|own| own.space == Space::Arena)
            .collect();
        for (number, one) in own.iter().enumerate() {
            let meets = |other: &&&PlanBuffer| {
                one.offset < other.offset + other.bytes && other.offset < one.offset + one.bytes
            };
            let others = own[number + 1..].iter().filter(meets);
            found.extend(others.map(|other| (one.name.as_str(), other.name.as_str(), group)));
        }
    }
    found
}

/// The numbers of a group's calls that a buffer is bound to.
fn calls_with(group: &TaskGroup, plan: &Plan, name: &str) -> Vec<usize> {
    let calls = group.calls.iter().enumerate();
    let with = calls.filter(|(_, call)| {
        call.buffers
            .iter()
            .any(|&own| plan.buffers[own].name == name)
    });
    with.map(|(number, _)| number).collect()
}

#[test]
fn the_input_gradient_of_the_last_layer_lies_where_its_input_was() {
    let graph = classifier(POOLED, 19);
    for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
        let apart = schedule_apart(&graph, &target, 19, &PersistentLayout::of(&graph));
        for plan in [planned(&graph, &target, 19), apart.expect("a plan").0] {
            assert_eq!(verify(&plan), Ok(()));
            let shared = sharing(&plan);
            let [(input, gradient, own)] = shared[..] else {
                panic!("{}: {plan}", shared.len());
            };
            let (read, made) = (
                calls_with(own, &plan, input),
                calls_with(own, &plan, gradient),
            );
            assert!(read.last() < made.first() && !read.is_empty(), "{plan}");
            for samples in [19, 11, 3] {
                agrees(&graph, &plan, samples);
            }
        }
    }
}

/// What is read behind the product is not over, whatever reads it.
#[test]
fn what_is_read_again_keeps_its_place() {
    let net = "let p = x |> Conv2d[10, 3, stride=2] |> BatchNorm |> relu |> global_avg_pool
               return (p |> Linear[10]) * p";
    for target in [Target::avx2(), Target::avx512()] {
        let plan = planned(&classifier(net, 19), &target, 19);
        assert!(sharing(&plan).is_empty(), "{plan}");
    }
}

/// The gradient of the pool's values is as large as the hidden layer, which is over later than they are.
#[test]
fn what_a_product_makes_keeps_its_scratch() {
    let graph = classifier(&POOLED.replace("|> Linear", "|> Linear[16] |> Linear"), 19);
    let plan = planned(&graph, &Target::avx2(), 19);
    let shared = sharing(&plan);
    let [(input, _, group)] = shared[..] else {
        panic!("{}: {plan}", shared.len());
    };
    let maker = &group.calls[calls_with(group, &plan, input)[0]];
    assert!(
        plan.kernels[maker.kernel].name.starts_with("reduce"),
        "{plan}"
    );
    agrees(&graph, &plan, 19);
}

/// For each phase with blocks: the names of the groups that begin before them.
fn before_blocks(plan: &Plan) -> Vec<Vec<&str>> {
    let is_blocks = |own: &TaskGroup| matches!(own.tasks, Tasks::Blocks { .. });
    let before = plan.phases.iter().filter_map(|Phase { serial, groups }| {
        let blocks = groups.iter().position(is_blocks).filter(|_| !serial)?;
        let names = groups[..blocks].iter().map(|own| own.name.as_str());
        Some(names.collect())
    });
    before.collect()
}

/// A copy of weights that a second cache does not hold would throw out of it what the last layer's weights are summed from.
#[test]
fn large_copies_go_before_the_blocks_that_a_short_product_follows() {
    let net = "let a = x |> Conv2d[128, 3, stride=2, pad=1] |> BatchNorm |> relu
               let b = a |> Conv2d[128, 3, pad=1] |> BatchNorm |> relu
               let c = b |> Conv2d[128, 3, pad=1] |> BatchNorm
               return relu(a + c) |> global_avg_pool |> Linear[10]";
    let graph = classifier(net, 19);
    let copies = |target: &Target| {
        let plan = planned(&graph, target, 19);
        let names = before_blocks(&plan).concat();
        let kind = |name: &&str| name.split(char::is_numeric).next().map(String::from);
        names.iter().filter_map(kind).collect::<Vec<String>>()
    };
    // 576 kilobytes of weights, and the ten outputs' in the phase behind them.
    assert_eq!(copies(&Target::avx2()), ["map", "product"]);
    assert_eq!(copies(&Target::avx512()), ["product"]);
}

/// What follows are sums over rows of pixels, and ten outputs of 6272 inputs: more than a small product.
#[test]
fn large_copies_fill_the_time_behind_the_blocks_where_no_small_product_follows() {
    let net = "let a = x |> Conv2d[128, 3, stride=2, pad=1] |> BatchNorm |> relu
               let b = a |> Conv2d[128, 3, stride=2, pad=1] |> BatchNorm |> relu
               let c = b |> Conv2d[128, 3, pad=1] |> BatchNorm
               return relu(b + c) |> flatten |> Linear[10]";
    let plan = planned(&classifier(net, 19), &Target::avx2(), 19);
    let copies = plan.phases.iter().flat_map(|phase| &phase.groups);
    assert!(
        copies.filter(|own| own.name.starts_with("map")).count() > 2,
        "{plan}"
    );
    assert!(before_blocks(&plan).concat().is_empty(), "{plan}");
}

/// Ten outputs of 25088 inputs are one task as well, and almost five times as long as what is short.
#[test]
fn long_products_go_behind_the_blocks() {
    let net = "return x |> Conv2d[32, 3, pad=1] |> BatchNorm |> relu |> flatten |> Linear[10]";
    let plan = planned(&classifier(net, 19), &Target::avx512(), 19);
    let groups = plan.phases.iter().flat_map(|phase| &phase.groups);
    let mut ranges = groups.filter(|own| own.name.starts_with("product"));
    let one =
        |own: &TaskGroup| matches!(own.tasks, Tasks::Ranges { extent: 10, chunk } if chunk >= 10);
    assert!(ranges.any(one), "{plan}");
    assert!(before_blocks(&plan).concat().is_empty(), "{plan}");
}
