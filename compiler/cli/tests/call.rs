//! `dlmc call` at sizes where a dimension of a parameter, a block of samples or a vector could be taken for another.

mod common;

use common::Place;
use safetensors::tensor::{Dtype, TensorView};

/// Batch, inputs, outputs: equal to each other, one less or more than vectors, and single.
const SIZES: [(usize, usize, usize); 7] = [
    (9, 30, 17),
    (17, 30, 17),
    (5, 16, 5),
    (16, 16, 16),
    (1, 3, 1),
    (33, 33, 7),
    (2, 40, 33),
];

/// Numbers in -1 to 1 without a pattern.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

struct Case {
    x: Vec<f32>,
    weight: Vec<f32>,
    cotangent: Vec<f32>,
}

#[test]
fn dense_layers_of_any_size_have_the_products_of_the_definition() {
    for (batch, inputs, outputs) in SIZES {
        let case = Case {
            x: numbers(batch * inputs, 1),
            weight: numbers(outputs * inputs, 2),
            cotangent: numbers(batch * outputs, 3),
        };
        let results = call((batch, inputs, outputs), &case);
        let (x, w, c) = (&case.x, &case.weight, &case.cotangent);
        let expected = [
            (
                "out",
                product(batch, outputs, inputs, |b, o, i| {
                    x[b * inputs + i] * w[o * inputs + i]
                }),
            ),
            (
                "grad.x",
                product(batch, inputs, outputs, |b, i, o| {
                    c[b * outputs + o] * w[o * inputs + i]
                }),
            ),
            (
                "grad.fc.weight",
                product(outputs, inputs, batch, |o, i, b| {
                    c[b * outputs + o] * x[b * inputs + i]
                }),
            ),
        ];
        for (key, want) in expected {
            let got = &results[key];
            assert_eq!(got.len(), want.len(), "{key}");
            for (place, (got, want)) in got.iter().zip(&want).enumerate() {
                let error = (f64::from(*got) - want).abs();
                assert!(
                    error <= 1e-5,
                    "{batch}x{inputs}x{outputs}, {key}[{place}]: {got}, not {want}"
                );
            }
        }
    }
}

/// `out[a, b] = sum over r of term(a, b, r)`.
fn product(
    rows: usize,
    columns: usize,
    reduced: usize,
    term: impl Fn(usize, usize, usize) -> f32,
) -> Vec<f64> {
    let element = |at: usize| {
        (0..reduced)
            .map(|r| f64::from(term(at / columns, at % columns, r)))
            .sum()
    };
    (0..rows * columns).map(element).collect()
}

fn call(
    (batch, inputs, outputs): (usize, usize, usize),
    case: &Case,
) -> std::collections::BTreeMap<String, Vec<f32>> {
    let program = format!(
        "block Case(x: f32[{batch}, {inputs}]) -> f32[{batch}, {outputs}] {{\n  let fc = Linear[{outputs}, bias=false]\n  return fc(x)\n}}\n"
    );
    let bytes = |values: &[f32]| -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    };
    let given = [
        ("in.x", vec![batch, inputs], bytes(&case.x)),
        (
            "param.fc.weight",
            vec![outputs, inputs],
            bytes(&case.weight),
        ),
        ("cotangent", vec![batch, outputs], bytes(&case.cotangent)),
    ];
    let views = given.iter().map(|(key, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes)
            .expect("as many bytes as the shape says");
        (*key, view)
    });
    let file = safetensors::serialize(views, None).expect("tensors can be written");
    let place = Place::new()
        .with("p.dlm", program)
        .with("t.safetensors", file);
    let arguments = [
        "call",
        "p.dlm",
        "Case",
        "--in",
        "t.safetensors",
        "--out",
        "r.safetensors",
        "--grad",
    ];
    place.dlmc(&arguments).good();
    let bytes = std::fs::read(place.path("r.safetensors")).expect("the results were written");
    let results = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let floats = |tensor: TensorView<'_>| -> Vec<f32> {
        let words = tensor.data().chunks_exact(4);
        words
            .map(|word| f32::from_le_bytes(word.try_into().expect("four")))
            .collect()
    };
    results
        .tensors()
        .into_iter()
        .map(|(key, tensor)| (key, floats(tensor)))
        .collect()
}
