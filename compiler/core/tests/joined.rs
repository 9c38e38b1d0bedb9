//! Batches of fewer samples than a register has lanes, whose vectors hold several elements of an axis: the plan against
//! the graph, for axes that fill vectors, leave a rest, or fill none, and blocks that are not full.

use std::collections::BTreeMap;

use dlm_core::elaborate::Callable;
use dlm_core::graph::{DType, Dim, TensorType};
use dlm_core::plan::Plan;
use dlm_core::schedule::Target;

#[path = "programs/library.rs"]
mod library;

/// Bodies over `x: f32[B, T, D]`.
const BODIES: &[&str] = &[
    "x |> Linear[12] |> gelu |> Linear[5]",
    "x |> LayerNorm |> Linear[6] |> softmax",
    "einsum[\"b i d, b j d -> b i j\"](x, x) |> causal_mask |> softmax[axis=-1]",
    "einsum[\"b i d, b j d -> b i j\"](x, 2 * x)[:, 1:, ::2] |> mean[axis=2]",
    "x |> dropout[0.5] |> flatten |> Linear[9]",
    "where(x > 0.3, x, roll[1, axis=-1](x)) * cumsum(x)",
    "max[axis=2](x) + f32(argmax[axis=2](x))",
    "x[:, :, 1:] * rsqrt(x[:, :, :-1] ^ 2 + 1)",
    "pad[(1, 2)](x) |> transpose[1, 2]",
    "reshape[B, 1, T, D](x) |> Conv2d[4, 3] |> relu |> max_pool2d[2]",
    "reshape[B, 1, T, D](x) |> Conv2d[4, 3] |> relu |> max_pool2d[2] |> Conv2d[3, (1, 2)]",
    "reshape[B, 1, T, D](x) |> Conv2d[4, 3] |> relu |> Conv2d[3, 3, pad=2]",
    "reshape[B, 1, T, D](x) |> Conv2d[4, 3] |> gelu |> Conv2d[2, (1, 3)]",
    "reshape[B, 1, T, D](x) |> Conv2d[4, 3, pad=1, stride=2] |> BatchNorm |> relu",
];

fn planned(body: &str, shape: [i64; 3], target: &Target) -> Result<Plan, String> {
    let [_, rows, columns] = shape;
    let body = body.replace('T', &rows.to_string());
    let body = body.replace('D', &columns.to_string());
    let text = format!("block Case(x: f32[B, {rows}, {columns}]) {{ return {body} }}");
    let x = TensorType::new(DType::F32, shape.map(Dim::fixed).to_vec());
    let callable: Callable =
        library::with_gradients(&text, "Case", BTreeMap::from([("x".to_owned(), x)]))?;
    library::planned(&callable, &shape, target)
}

#[test]
fn elements_are_joined_as_the_graph_says() {
    let mut failures = Vec::new();
    for body in BODIES {
        for (samples, target) in [
            (3, Target::avx2()),
            (3, Target::avx512()),
            (7, Target::avx512()),
            (13, Target::avx512()),
        ] {
            for [rows, columns] in [[8, 8], [7, 9], [5, 6]] {
                if let Err(reason) = planned(body, [samples, rows, columns], &target) {
                    let of = format!("{body}, {samples} of {rows} x {columns}, {}", target.name);
                    failures.push(format!("{of}: {reason}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The decision about a plan's first product.
fn first_product(plan: &Plan) -> &str {
    let mut decisions = plan.decisions.iter();
    let first = decisions.find(|text| text.starts_with("product") && text.contains(", tile"));
    first.expect("a product")
}

#[test]
fn a_block_of_half_a_register_takes_two_rows_and_a_full_one_takes_one() {
    let tile = |samples: i64, target: &Target| {
        let plan = planned(BODIES[0], [samples, 8, 8], target).expect("a plan");
        let decision = first_product(&plan);
        decision.split(": ").nth(1).expect("a tile").to_owned()
    };
    let tiles = [
        tile(3, &Target::avx2()),
        tile(7, &Target::avx2()),
        tile(7, &Target::avx512()),
        tile(3, &Target::avx512()),
        tile(3, &Target::vector128()),
    ];
    insta::assert_snapshot!(tiles.join("\n"));
}

#[test]
fn gradients_behind_a_pool_lie_as_images() {
    let body = "reshape[B, 1, T, D](x) |> Conv2d[4, 3] |> relu |> max_pool2d[2] |> Conv2d[2, 2] |> relu |> max_pool2d[2] |> flatten |> Linear[3]";
    let images = |samples: i64, target: &Target| {
        let plan = planned(body, [samples, 12, 12], target).expect("a plan");
        let image = |text: &&String| text.ends_with("windows in the order of their image");
        plan.decisions.iter().filter(image).count()
    };
    assert_eq!(images(3, &Target::avx2()), 2);
    assert_eq!(images(7, &Target::avx512()), 2);
    // Where samples fill a register, nothing is joined.
    assert_eq!(images(33, &Target::avx512()), 0);
}
