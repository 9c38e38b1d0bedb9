//! Gradients of convolutions with enough channels for vectors: the plan against the graph, for blocks that are full and
//! one that is not, and for every kind of border.

use std::collections::BTreeMap;

use dlm_core::elaborate::Callable;
use dlm_core::graph::{DType, Dim, TensorType};
use dlm_core::loops::Kernel;
use dlm_core::plan::{Plan, PlanBuffer};
use dlm_core::schedule::Target;

#[path = "programs/library.rs"]
mod library;

/// Bodies over `x: f32[B, 16, 8, 9]`, and whether a weight gradient is a sum of outer products with AVX2.
const BODIES: &[(&str, bool)] = &[
    ("x |> Conv2d[8, 3, pad=1]", true),
    ("x |> Conv2d[6, 3, pad=1, stride=2] |> relu", true),
    ("x |> Conv2d[24, 2, stride=2]", true),
    ("x |> Conv2d[5, 3, pad=2, dilation=2]", true),
    ("x |> Conv2d[8, 1, stride=2]", false),
    (
        "x |> ConvTranspose2d[8, 3, stride=2, pad=1, output_pad=1]",
        false,
    ),
    ("x |> relu |> max_pool2d[2] |> Conv2d[12, 2, pad=1]", true),
    ("x |> Conv2d[16, 3, groups=16]", false),
    ("x |> Conv2d[24, 1] |> relu |> Conv2d[8, 3]", true),
    // Weights that are copied for the order of their sums.
    ("x |> Conv2d[128, 3]", true),
];

fn callable(body: &str, samples: i64) -> Result<Callable, String> {
    callable_of(body, [samples, 16, 8, 9])
}

fn callable_of(body: &str, shape: [i64; 4]) -> Result<Callable, String> {
    let [_, channels, height, width] = shape;
    let text = format!("block Case(x: f32[B, {channels}, {height}, {width}]) {{ return {body} }}");
    let dims = shape.map(Dim::fixed);
    let x = TensorType::new(DType::F32, dims.to_vec());
    library::with_gradients(&text, "Case", BTreeMap::from([("x".to_owned(), x)]))
}

fn planned(body: &str, samples: i64, target: &Target) -> Result<Plan, String> {
    library::planned(&callable(body, samples)?, &[samples, 16, 8, 9], target)
}

fn has(plan: &Plan, name: &str) -> bool {
    plan.kernels
        .values()
        .any(|kernel| kernel.name.starts_with(name))
}

#[test]
fn gradients_of_convolutions_are_those_of_the_graph() {
    let mut failures = Vec::new();
    for &(body, turned) in BODIES {
        for target in [Target::avx2(), Target::vector128()] {
            match planned(body, 19, &target) {
                Ok(plan) if target == Target::avx2() && has(&plan, "turned") != turned => {
                    failures.push(format!("{body}: turned is not {turned}"));
                }
                Ok(_) => {}
                Err(reason) => failures.push(format!("{body}, {}: {reason}", target.name)),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Bodies over `x: f32[B, 16, 6, 12]`, whose rows hold several tiles: those at both ends have code of their own, and the
/// weight gradients' images slide from tap to tap.
const ROWS: &[&str] = &[
    "x |> Conv2d[16, 3, pad=1]",
    "x |> Conv2d[48, 3, pad=1] |> relu",
    "x |> Conv2d[16, 5]",
    "x |> Conv2d[16, 5, pad=2] |> Conv2d[16, 3, pad=1]",
    "x |> Conv2d[16, 3, pad=1] |> relu |> max_pool2d[2]",
    "x |> Conv2d[16, 3, pad=2]",
    "x |> Conv2d[16, 3, pad=2, dilation=2]",
];

/// Images, bodies and batches whose weight gradients slide along taps of a stride, while another axis ends at borders at
/// constant places; and axes of two elements that are spread over vectors of several.
const STRIDED: &[([i64; 4], &str)] = &[
    (
        [16, 64, 9, 10],
        "x |> Conv2d[16, (3, 2), stride=(1, 2), pad=4]",
    ),
    ([40, 64, 3, 10], "x |> Conv2d[16, 3, stride=(3, 2), pad=3]"),
    ([19, 16, 7, 9], "x |> Conv2d[16, 5, stride=2, pad=2]"),
    (
        [19, 3, 3, 2],
        "x |> Conv2d[3, 3, pad=1] |> tanh |> Conv2d[63, 1, stride=2]",
    ),
    (
        [5, 16, 2, 2],
        "x |> Conv2d[32, 3, pad=1] |> relu |> Conv2d[16, 1, stride=2]",
    ),
];

#[test]
fn strides_with_borders_are_those_of_the_graph() {
    let targets = [Target::avx512(), Target::avx2(), Target::vector128()];
    let mut failures = Vec::new();
    for (shape, body) in STRIDED {
        for target in &targets {
            let plan =
                callable_of(body, *shape).and_then(|own| library::planned(&own, shape, target));
            if let Err(reason) = plan {
                failures.push(format!("{body}, {}: {reason}", target.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A batch of one block: tasks share a product's elements, and each kernel does those that it is told.
#[test]
fn tasks_do_the_elements_of_their_range_only() {
    let shape = [8, 16, 6, 48];
    let body = "x |> Conv2d[16, 3, pad=1] |> Conv2d[16, 3, pad=1]";
    for target in [Target::avx512(), Target::avx2()] {
        let own = callable_of(body, shape).expect("a program");
        let plan = library::planned(&own, &shape, &target).expect("the graph's values");
        let told = |kernel: &&Kernel| kernel.scalars.iter().any(|own| own.1 == "begin");
        for kernel in plan.kernels.values().filter(told) {
            let begin = kernel.scalars.iter().find(|own| own.1 == "begin");
            let value = begin.map_or_else(String::new, |own| own.0.to_string());
            let text = kernel.to_string();
            let words = text.split(|c: char| !c.is_alphanumeric());
            let uses = words.filter(|word| *word == value).count();
            assert!(uses > 1, "{} is told its range: {text}", kernel.name);
        }
    }
}

#[test]
fn rows_of_several_tiles_are_those_of_the_graph() {
    let targets = [Target::avx512(), Target::avx2(), Target::vector128()];
    let mut failures = Vec::new();
    let (mut tiled, mut sliding) = (false, false);
    for body in ROWS {
        for target in &targets {
            let shape = [19, 16, 6, 12];
            let plan =
                callable_of(body, shape).and_then(|own| library::planned(&own, &shape, target));
            match plan {
                Ok(plan) => {
                    let text = plan.to_string();
                    tiled |= text.contains(", 1, 2]: ") || text.contains(", 1, 4]: ");
                    sliding |= text.contains(", 1, 3]: ") && text.contains("turned");
                }
                Err(reason) => failures.push(format!("{body}, {}: {reason}", target.name)),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(tiled && sliding, "no such tile is chosen");
}

/// More blocks than tasks: the first block of a task stores its sums, those that follow add to them. Rows of a kilobyte lie
/// apart.
#[test]
fn blocks_that_follow_add_to_the_first_ones_sums() {
    let shape = [300, 16, 6, 8];
    let body = "x |> Conv2d[16, 4, pad=1]";
    for target in [Target::avx512(), Target::avx2()] {
        let own = callable_of(body, shape).expect("a program");
        let plan = library::planned(&own, &shape, &target).expect("the graph's values");
        let text = plan.to_string();
        assert!(
            text.contains("; follows") || text.contains(", follows"),
            "{text}"
        );
        let apart = 16 * (16 * 4 * 4 + 16) * 4;
        let mut buffers = plan.buffers.values();
        let partial =
            |own: &PlanBuffer| own.name.starts_with("partial") && own.task_stride == apart;
        assert!(buffers.any(partial), "{text}");
    }
}

#[test]
fn a_gradient_of_stride_two_tests_no_tap() {
    let plan = planned("x |> Conv2d[8, 3, pad=1, stride=2]", 19, &Target::avx2()).expect("a plan");
    for kernel in plan
        .kernels
        .values()
        .filter(|kernel| kernel.name.starts_with("product") && !kernel.name.ends_with("_part"))
    {
        assert!(!kernel.to_string().contains("if v"), "{kernel}");
    }
}

#[test]
fn two_workers_share_a_batch_of_sixteen() {
    let target = Target::avx2();
    for (batch, block) in [
        (1, 1),
        (4, 4),
        (8, 8),
        (16, 8),
        (31, 8),
        (32, 16),
        (256, 16),
    ] {
        assert_eq!(target.block_lanes(batch), block, "batch {batch}");
    }
}
