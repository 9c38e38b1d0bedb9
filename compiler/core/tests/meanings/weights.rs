//! "Weight layouts and names inside standard blocks are PyTorch's."

use std::fmt::Write as _;

use dlm_core::graph::DType;

use crate::support::{Given, good, initial};

/// What `pytorch/make_names.py` has written.
const NAMES: &str = include_str!("../pytorch/names.txt");

/// A block, how it is called, and the names and shapes of PyTorch's module.
struct Row<'a> {
    block: &'a str,
    arguments: &'a str,
    call: &'a str,
    theirs: Vec<String>,
}

fn rows() -> Vec<Row<'static>> {
    let mut rows: Vec<Row<'static>> = Vec::new();
    for line in NAMES.lines() {
        let parts: Vec<&str> = line.split(" | ").collect();
        match (&parts[..], rows.last_mut()) {
            ([block, arguments, call], _) => rows.push(Row {
                block,
                arguments,
                call,
                theirs: Vec::new(),
            }),
            (_, Some(row)) => row.theirs.push(line.trim().to_owned()),
            _ => panic!("{line:?} belongs to no block"),
        }
    }
    rows
}

/// Name, element type and shape of each argument.
fn arguments(text: &str) -> Vec<(&str, DType, Vec<i64>)> {
    let each = text.split("], ").map(|argument| {
        let (name, ty) = argument.split_once(": ").expect("a type");
        let (dtype, shape) = ty.split_once('[').expect("a shape");
        let dtype = if dtype == "i32" {
            DType::I32
        } else {
            DType::F32
        };
        let sizes = shape.trim_end_matches(']').split(", ");
        (
            name,
            dtype,
            sizes.map(|size| size.parse().expect("a size")).collect(),
        )
    });
    each.collect()
}

/// Names and shapes of the block's parameters and states.
fn ours(row: &Row<'_>) -> Vec<String> {
    let text = format!(
        "block Case({}) {{ let f = {}\n return {} }}",
        row.arguments, row.block, row.call
    );
    let given = arguments(row.arguments);
    let given: Vec<Given<'_>> = given
        .iter()
        .map(|(name, dtype, shape)| (*name, *dtype, &shape[..], &[][..]))
        .collect();
    let callable = good(&text, &given, true);
    let parameters = callable
        .parameters
        .iter()
        .map(|each| (&each.path, &each.ty));
    let states = callable.states.iter().map(|each| (&each.path, &each.ty));
    let each = parameters.chain(states);
    each.map(|(path, ty)| format!("{} {ty}", path.trim_start_matches("f.")))
        .collect()
}

#[test]
fn names_and_shapes_of_weights_are_pytorchs() {
    let mut table = String::new();
    let mut differing = Vec::new();
    for row in rows() {
        let (mut ours, mut theirs) = (ours(&row), row.theirs.clone());
        ours.sort();
        theirs.sort();
        if ours != theirs {
            differing.push(row.block);
        }
        writeln!(table, "{} {}", row.block, row.call).expect("a string");
        for place in 0..ours.len().max(theirs.len()) {
            let of = |side: &[String]| side.get(place).cloned().unwrap_or_default();
            writeln!(table, "  {:<44}{}", of(&ours), of(&theirs)).expect("a string");
        }
    }
    insta::assert_snapshot!(table);
    assert_eq!(differing, Vec::<&str>::new(), "\n{table}");
}

/// As PyTorch's, the biases of attention begin at zero, and its weights within xavier's bounds of the three together.
#[test]
fn attention_begins_as_pytorchs_does() {
    let text = "block Case(x: f32[1, 2, 4]) { let f = MultiHeadAttention[2]\n return f(x, x, x) }";
    let callable = good(text, &[("x", DType::F32, &[1, 2, 4], &[])], true);
    let values = initial(&callable.init, 0.0);
    for bias in ["f.in_proj_bias", "f.out_proj.bias"] {
        assert!(values[bias].data.iter().all(|&x| x == 0.0), "{bias}");
    }
    let bound = (6.0_f64 / (4.0 + 12.0)).sqrt();
    let largest = values["f.in_proj_weight"].data.iter();
    let largest = largest.fold(0.0, |a: f64, x| a.max(x.abs()));
    assert!(largest <= bound && largest > 0.8 * bound, "{largest}");
}
