//! How values lie in a sample block, and how the only block is divided among workers: the plan against the graph.

use std::collections::BTreeMap;

use dlm_core::elaborate::Callable;
use dlm_core::graph::{DType, Dim, TensorType};
use dlm_core::plan::{Plan, Tasks};
use dlm_core::schedule::Target;

#[path = "programs/library.rs"]
mod library;

const ATTENTION: &str = "block Case(x: f32[B, 32, 32]) {
  let q, k, v = x |> Linear[96] |> rearrange[\"b t (n h d) -> n b h t d\", n=3, h=2]
  let a = einsum[\"b h i d, b h j d -> b h i j\"](q, k) |> softmax[axis=-1]
  return einsum[\"b h i j, b h j d -> b i h d\"](a, v) |> rearrange[\"b t h d -> b t (h d)\"]
}";

/// The plan of a block with its gradients, which gives what the graph gives.
fn planned(text: &str, shape: &[i64], target: &Target) -> Plan {
    let dims: Vec<Dim> = shape.iter().map(|&extent| Dim::fixed(extent)).collect();
    let x = TensorType::new(DType::F32, dims);
    let callable: Result<Callable, String> =
        library::with_gradients(text, "Case", BTreeMap::from([("x".to_owned(), x)]));
    let plan = callable.and_then(|callable| library::planned(&callable, shape, target));
    plan.unwrap_or_else(|reason| panic!("{text}, {shape:?}, {}: {reason}", target.name))
}

fn decisions_with(plan: &Plan, what: &str) -> usize {
    let with = plan.decisions.iter().filter(|text| text.contains(what));
    with.count()
}

#[test]
fn rows_of_a_kilobyte_are_kept_apart_and_scores_have_their_heads_outermost() {
    for samples in [19, 8] {
        let plan = planned(ATTENTION, &[samples, 32, 32], &Target::avx2());
        // Plain copies are not counted.
        let in_lanes = plan
            .decisions
            .iter()
            .filter(|text| !text.starts_with("rows"));
        let apart = in_lanes.filter(|text| text.contains("rows apart"));
        assert!(apart.count() > 3, "{plan}");
        let scores = [2, 32, 32].map(Dim::fixed);
        let mut scores = plan
            .buffers
            .values()
            .filter(|buffer| buffer.shape.get(1..) == Some(&scores[..]));
        let outermost = |name: &str| decisions_with(&plan, &format!("{name}: rows apart")) == 1;
        assert!(scores.any(|buffer| outermost(&buffer.name)), "{plan}");
        assert!(scores.all(|buffer| outermost(&buffer.name)), "{plan}");
    }
}

/// A copy in plain rows, for a weight gradient over the batch and the positions of a sample, has them apart where they are a
/// multiple of a kilobyte. One of samples alone is in panels, which lie apart whatever their rows are.
#[test]
fn plain_rows_of_a_kilobyte_are_kept_apart() {
    for (features, wanted) in [(256, 1), (264, 0)] {
        let planned = |dims: &str, shape: &[i64]| {
            let text = format!(
                "block Case(x: f32[B, {dims}]) {{
  return x |> Linear[{features}] |> relu |> Linear[200]
}}"
            );
            planned(&text, shape, &Target::vector128())
        };
        let positions = planned("9, 32", &[32, 9, 32]);
        assert!(decisions_with(&positions, "plain rows") > 0, "{positions}");
        let apart = decisions_with(&positions, "plain rows, apart").min(1);
        assert_eq!(apart, wanted, "{positions}");
        let samples = planned("32", &[48, 32]);
        assert_eq!(decisions_with(&samples, "plain rows"), 0, "{samples}");
        assert!(decisions_with(&samples, "panels of 8") > 0, "{samples}");
    }
}

#[test]
fn eight_rows_of_an_image_are_kept_apart_and_four_are_not() {
    for (side, wanted) in [(8, true), (4, false)] {
        let text = format!(
            "block Case(x: f32[B, 16, {side}, {side}]) {{
  return x |> Conv2d[32, 3, pad=1] |> relu |> Conv2d[16, 3, pad=1]
}}"
        );
        let plan = planned(&text, &[32, 16, side, side], &Target::avx512());
        let apart = decisions_with(&plan, "channels beside the lanes, rows apart") > 0;
        assert_eq!(apart, wanted, "{plan}");
    }
}

#[test]
fn rows_that_a_reshape_joins_are_not_kept_apart() {
    let text = "block Case(x: f32[B, 32, 32]) { return x |> Linear[32] |> flatten |> Linear[3] }";
    let plan = planned(text, &[19, 32, 32], &Target::avx2());
    let joined = plan.buffers.values().filter(|buffer| {
        let rows = buffer.shape.get(1) == Some(&Dim::fixed(32));
        rows && buffer.name.starts_with("value")
    });
    for buffer in joined {
        let apart = format!("{}: rows apart", buffer.name);
        assert!(!plan.decisions.contains(&apart), "{apart}");
    }
}

fn divided(plan: &Plan) -> Vec<&str> {
    let groups = plan.phases.iter().flat_map(|phase| &phase.groups);
    let in_lanes = groups.filter(|group| {
        let ranges = matches!(group.tasks, Tasks::Ranges { .. });
        ranges && group.name.starts_with("product") && group.tasks.count(plan.batch) > 1
    });
    in_lanes.map(|group| group.name.as_str()).collect()
}

#[test]
fn products_of_the_only_block_are_divided() {
    let text = "block Case(x: f32[B, 3, 16, 16]) {
  return x |> Conv2d[16, 5, pad=1] |> relu |> max_pool2d[2] |> Conv2d[16, 3]
}";
    for (samples, target) in [
        (4, Target::avx2()),
        (3, Target::avx2()),
        (7, Target::avx2()),
        (4, Target::vector128()),
    ] {
        let plan = planned(text, &[samples, 3, 16, 16], &target);
        assert!(divided(&plan).len() > 3, "{:?}", divided(&plan));
    }
    // With two blocks each worker has one; with less to do, barriers would take longer.
    for (samples, side) in [(19, 16), (4, 8)] {
        let text = text.replace("16, 16]", &format!("{side}, {side}]"));
        let plan = planned(&text, &[samples, 3, side, side], &Target::avx2());
        let parts = divided(&plan)
            .into_iter()
            .filter(|name| name.ends_with("_part"));
        assert_eq!(parts.count(), 0, "{samples} samples");
    }
}

/// What reads the data themselves, and may do so in the phase in which their rows are copied, waits for no copy.
#[test]
fn a_divided_product_of_data_does_not_wait_for_the_copy_of_their_rows() {
    let text = "block Case(x: f32[B, 512]) {
  return mean(transpose[0, 1](x) @ x) + mean((x |> Linear[512]) ^ 2)
}";
    for target in [Target::vector128(), Target::avx2()] {
        let plan = planned(text, &[4, 512], &target);
        let copied = plan
            .kernels
            .values()
            .any(|kernel| kernel.name == "relayout_x");
        assert!(copied && divided(&plan).len() > 1, "{plan}");
    }
}

#[test]
fn gradients_of_queries_keep_their_heads_and_features_in_order() {
    let plan = planned(ATTENTION, &[19, 32, 32], &Target::avx2());
    assert_eq!(decisions_with(&plan, "channels beside"), 0, "{plan}");
}
