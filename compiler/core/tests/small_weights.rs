//! The weight gradient of a dense layer with few weights is added up block by block, where its operands are still near.

mod programs;

use dlm_core::graph::Graph;
use dlm_core::plan::Plan;
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use programs::{agrees, classifier, step};

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

/// The texts of kernels that add a block's part of a product.
fn parts_of_products(plan: &Plan) -> Vec<String> {
    let kernels = plan.kernels.values();
    let parts =
        kernels.filter(|own| own.name.starts_with("product") && own.name.ends_with("_part"));
    parts.map(ToString::to_string).collect()
}

#[test]
fn a_tile_is_added_to_its_partial_under_one_condition() {
    let plan = planned(&net("Linear[64] |> relu"), &Target::avx2());
    let [part] = &parts_of_products(&plan)[..] else {
        panic!("not one part\n{plan}");
    };
    // Ten outputs are a tile of six and one of four: each stored where it is the first, or added.
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
const OF_FEW_CHANNELS: &str = r#"
data images = cifar10["cifar"]
block Net(x: f32[B, 3, 32, 32]) -> f32[B, 10] {
  return x |> Conv2d[16, 3, pad=1, bias=false] |> BatchNorm |> relu |> global_avg_pool |> Linear[10]
}
train t[epochs=1] {
  let net = Net
  let opt = sgd[lr=0.1](net)
  step (x, y) in images.train |> batch[32] {
    let loss = cross_entropy(net(x), y)
    minimize loss with opt
    report loss
  }
}
"#;

#[test]
fn few_sums_that_slide_are_those_of_every_other_pixel() {
    let graph = step(OF_FEW_CHANNELS);
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
