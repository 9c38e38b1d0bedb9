//! Sums of channels in vectors: a block's part of a convolution's weight gradient.

mod programs;

use dlm_core::plan::Plan;
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use programs::{agrees, classifier, descent};

/// The texts of kernels that add a block's part of a product.
fn parts_of_products(plan: &Plan) -> Vec<String> {
    let kernels = plan.kernels.values();
    let parts =
        kernels.filter(|own| own.name.starts_with("product") && own.name.ends_with("_part"));
    parts.map(ToString::to_string).collect()
}

#[test]
fn a_tile_is_added_to_its_partial_under_one_condition() {
    let layers = "Conv2d[32, 3] |> relu |> Conv2d[34, 1] |> relu |> global_avg_pool |> Linear[10]";
    let graph = classifier(&format!("return x |> {layers}"), 48);
    let layout = PersistentLayout::of(&graph);
    let plan = schedule(&graph, &Target::avx2(), 48, &layout).expect("a plan");
    let parts = parts_of_products(&plan);
    let part = parts.iter().find(|part| part.contains("tile [6, 1, 1, 1]"));
    let part = part.unwrap_or_else(|| panic!("no such tile\n{plan}"));
    // Thirty-four outputs are tiles of six and one of four: each stored where it is the first, or added.
    let tiles = part.matches("\"sample\"").count();
    assert_eq!((tiles, part.matches("if v").count()), (2, 4), "{part}");
    // Nothing that is added waits for another sum: it is stored next.
    let added = part.split("if v").nth(2).expect("a condition");
    let kinds = added.lines().filter_map(|line| {
        let line = line.trim();
        let kinds = [("store", 's'), (": f32x16 = add", 'a')];
        kinds
            .into_iter()
            .find(|kind| line.contains(kind.0))
            .map(|kind| kind.1)
    });
    let kinds: String = kinds.collect();
    assert!(kinds.starts_with("asasasasasas"), "{kinds}\n{part}");
}

/// A first convolution of three channels, whose output is normalised: its weight gradient slides over pixels, three taps of one
/// vector of channels.
const OF_FEW_CHANNELS: &str = "block Net(x: f32[B, 3, 32, 32]) -> f32[B, 10] {
  return x |> Conv2d[16, 3, pad=1, bias=false] |> BatchNorm |> relu |> global_avg_pool |> Linear[10]
}";

#[test]
fn few_sums_that_slide_are_those_of_every_other_pixel() {
    let graph = descent("cifar10[\"cifar\"]", OF_FEW_CHANNELS);
    let layout = PersistentLayout::of(&graph);
    let plan = schedule(&graph, &Target::avx2(), 32, &layout).expect("a plan");
    let parts = parts_of_products(&plan);
    let part = parts.iter().find(|part| part.contains("tile [1, 1, 1, 3]"));
    let part = part.unwrap_or_else(|| panic!("no such tile\n{plan}"));
    // Three sums of two registers each, twice.
    let loops = part.lines().filter(|line| line.contains("\"sample\""));
    let carried = loops.map(|line| line.matches(": f32x16 =").count());
    let carried: Vec<usize> = carried.collect();
    assert!(!carried.is_empty(), "{part}");
    assert!(carried.iter().all(|&own| own == 6), "{carried:?}\n{part}");
    assert!(agrees(&graph, &plan, 21) > 4);
}
