//! Steps of one sample, whose vectors run along the rows of its images: the plan against the graph, for rows that fill
//! vectors, leave a rest, or fill none.

use std::collections::BTreeMap;

use dlm_core::elaborate::Callable;
use dlm_core::graph::{DType, Dim, TensorType};
use dlm_core::plan::Plan;
use dlm_core::schedule::Target;

#[path = "programs/library.rs"]
mod library;

/// Bodies over `x: f32[B, 3, 6, W]`.
const BODIES: &[&str] = &[
    "x |> Conv2d[4, 3, pad=1] |> relu |> Conv2d[2, 3, pad=1]",
    "x |> Conv2d[4, 3] |> relu |> max_pool2d[2]",
    "x |> Conv2d[4, 3, pad=1] |> relu |> max_pool2d[2] |> Conv2d[3, 3, pad=1]",
    "(x |> Conv2d[3, 3, pad=1] |> relu) + (x |> Conv2d[3, 1] |> relu |> Conv2d[3, 3, pad=1])",
    "x |> Conv2d[6, 5, pad=2, stride=2]",
    "x |> Conv2d[3, 3, pad=1, groups=3] |> BatchNorm |> relu",
    "x |> Conv2d[2, 3, pad=2, dilation=2] |> avg_pool2d[2]",
    "x |> ConvTranspose2d[2, 3, stride=2, pad=1, output_pad=1]",
    "x |> max_pool2d[3, 1, 1] |> upsample[2]",
    "x |> Conv2d[4, 1] |> global_avg_pool |> Linear[20] |> softmax",
    "x |> Conv2d[4, 3, pad=1] |> dropout[0.5]",
    "upsample[(1, 2)](x) |> Conv2d[4, 1]",
    "x |> ConvTranspose2d[2, (1, 3), stride=(1, 2)]",
    "x |> Conv2d[5, (1, 3), stride=(1, 2), pad=(0, 1)] |> relu",
    "where((x |> Conv2d[3, 1]) > 0, x |> Conv2d[3, 3, pad=1], flip[-1](x))",
    "x |> Conv2d[4, 3, pad=1] |> causal_mask |> relu",
    "x |> LayerNorm |> flatten |> Linear[9]",
    "flip[-1](x) * x + roll[2, axis=-1](x)",
    "pad[(1, 2), (3, 0)](x) |> cumsum",
    "x[:, :, ::2, 1:] * rsqrt(x[:, :, 1::2, :-1] ^ 2 + 1)",
];

fn callable(body: &str, [rows, width]: [i64; 2]) -> Result<Callable, String> {
    let text = format!("block Case(x: f32[B, 3, {rows}, {width}]) {{ return {body} }}");
    let dims = [1, 3, rows, width].map(Dim::fixed);
    let x = TensorType::new(DType::F32, dims.to_vec());
    library::with_gradients(&text, "Case", BTreeMap::from([("x".to_owned(), x)]))
}

fn planned(body: &str, [rows, width]: [i64; 2], target: &Target) -> Result<Plan, String> {
    library::planned(
        &callable(body, [rows, width])?,
        &[1, 3, rows, width],
        target,
    )
}

fn check(body: &str, shape: [i64; 2], target: &Target) -> Result<(), String> {
    planned(body, shape, target).map(drop)
}

/// Images of 16 rows and more are divided by rows.
#[test]
fn the_rows_of_one_sample_are_divided() {
    let mut failures = Vec::new();
    for body in BODIES {
        for rows in [16, 18, 34] {
            for target in [Target::avx2(), Target::avx512()] {
                if let Err(reason) = check(body, [rows, 16], &target) {
                    failures.push(format!("{body}, {rows} rows, {}: {reason}", target.name));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What an operand larger than the first cache's half has at the ends of its rows, behind the last whole vector.
#[test]
fn rows_at_borders_are_by_themselves_in_narrower_vectors_too() {
    for body in [
        "x |> Conv2d[8, (3, 1), stride=(2, 1)]",
        "x |> Conv2d[8, (3, 1), pad=(1, 0)]",
        "x |> Conv2d[8, 3] |> relu |> max_pool2d[2]",
    ] {
        for target in [Target::avx2(), Target::avx512(), Target::vector128()] {
            let found = check(body, [48, 36], &target);
            assert_eq!(found, Ok(()), "{body}, {}", target.name);
        }
    }
}

#[test]
fn one_sample_is_planned_along_its_rows() {
    let mut failures = Vec::new();
    for body in BODIES {
        for width in [4, 6, 8, 12, 16, 18, 34] {
            for target in [Target::avx2(), Target::avx512(), Target::vector128()] {
                if let Err(reason) = check(body, [6, width], &target) {
                    failures.push(format!("{body}, {width} wide, {}: {reason}", target.name));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The forward pass alone.
fn forward(body: &str, [rows, width]: [i64; 2], target: &Target) -> Plan {
    let text = format!("block Case(x: f32[B, 3, {rows}, {width}]) {{ return {body} }}");
    let shape = [1, 3, rows, width];
    let x = TensorType::new(DType::F32, shape.map(Dim::fixed).to_vec());
    let callable = library::compiled(&text, "Case", BTreeMap::from([("x".to_owned(), x)]), false);
    let plan = callable.and_then(|callable| library::planned(&callable, &shape, target));
    plan.unwrap_or_else(|reason| panic!("{body}: {reason}"))
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.kernels
        .values()
        .map(|kernel| &kernel.name[..])
        .collect()
}

#[test]
fn images_are_stored_with_their_border() {
    let body =
        "x |> Conv2d[4, 3, pad=1] |> relu |> Conv2d[4, 3, pad=1] |> relu |> Conv2d[2, 3, pad=1]";
    let plan = forward(body, [8, 16], &Target::avx2());
    let cleared = plan.buffers.values().filter(|buffer| buffer.cleared);
    let shapes: Vec<_> = cleared.map(|buffer| buffer.shape.clone()).collect();
    let bordered = [1, 4, 10, 18].map(Dim::fixed).to_vec();
    assert_eq!(shapes, [bordered.clone(), bordered], "{plan}");
    let maps = names(&plan)
        .iter()
        .filter(|name| name.starts_with("map"))
        .count();
    assert_eq!(maps, 1, "the border of what comes from outside: {plan}");
}

#[test]
fn products_fill_vectors_before_a_pool_where_its_rows_do_not() {
    let body = "x |> Conv2d[4, 3, pad=1] |> relu |> max_pool2d[2]";
    let apart = |width, target: &Target| {
        let plan = forward(body, [8, width], target);
        let wide = |name: &&&str| name.starts_with("map") && !name.contains("view");
        names(&plan).iter().filter(wide).count()
    };
    let lone = |width, target: &Target| apart(width, target) > apart(64, target);
    assert!(lone(8, &Target::avx2()), "rows of 8 before, of 4 after");
    assert!(!lone(8, &Target::vector128()), "both fill vectors of 4");
}

#[test]
fn short_rows_are_joined() {
    let plan = forward(
        "x |> Conv2d[4, 3, pad=1] |> relu",
        [8, 8],
        &Target::avx512(),
    );
    let product = plan
        .decisions
        .iter()
        .find(|line| line.starts_with("product"));
    let product = product.expect("a product");
    assert!(product.contains("lanes 16"), "{product}");
}
