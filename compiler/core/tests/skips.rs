//! The weight gradient of a 1 x 1 convolution that leaves pixels out sums over those that it reads alone.

mod programs;

use dlm_core::graph::Dim;
use dlm_core::schedule::{PersistentLayout, Target, schedule};
use programs::{agrees, classifier};

#[test]
fn the_pixels_that_are_read_are_turned_where_they_have_fewer_channels() {
    let layers =
        "Conv2d[16, 3, pad=1] |> relu |> Conv2d[32, 1, stride=2] |> relu |> global_avg_pool";
    let graph = classifier(&format!("return x |> {layers} |> Linear[10]"), 48);
    for target in [Target::avx2(), Target::avx512()] {
        let layout = PersistentLayout::of(&graph);
        let plan = schedule(&graph, &target, 48, &layout).expect("a plan");
        let buffers = plan.buffers.values();
        let turned = buffers.filter(|buffer| buffer.name.starts_with("turned"));
        let shapes: Vec<&[Dim]> = turned.map(|buffer| &buffer.shape[1..]).collect();
        // 16 channels of 14 x 14 pixels, of 28 x 28.
        let read = [16, 14, 14].map(Dim::fixed);
        assert!(shapes.contains(&&read[..]), "{}: {shapes:?}", target.name);
        for batch in [1, 16, 37] {
            assert!(agrees(&graph, &plan, batch) > 4, "batch {batch}");
        }
    }
}

#[test]
fn steps_of_every_kind_give_what_the_graph_gives() {
    for layers in [
        "Conv2d[8, 3] |> relu |> Conv2d[12, 1, stride=3]",
        "Conv2d[8, 3] |> relu |> Conv2d[4, 1, stride=2, pad=1]",
        "Conv2d[8, 2, stride=2] |> relu |> Conv2d[16, 2, stride=2]",
    ] {
        let graph = classifier(
            &format!("return x |> {layers} |> relu |> global_avg_pool |> Linear[10]"),
            32,
        );
        for target in [Target::vector128(), Target::avx2(), Target::avx512()] {
            let layout = PersistentLayout::of(&graph);
            let plan = schedule(&graph, &target, 32, &layout).expect("a plan");
            for batch in [3, 32] {
                let found = agrees(&graph, &plan, batch);
                assert!(found > 4, "{layers}, {}, batch {batch}", target.name);
            }
        }
    }
}
