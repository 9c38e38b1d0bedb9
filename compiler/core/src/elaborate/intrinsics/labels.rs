//! Labels beside logits: one class, or one probability for each class, for each place but along the axis of classes.

use super::super::codes;
use super::super::context::Elaborator;
use super::super::diagnose::{Checked, error};
use super::super::value::Value;
use super::reductions::one_axis;
use super::{Arguments, Intrinsic};
use crate::graph::{DType, TensorType};

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic::new("_labels", &["axis"], &["logits", "y"], labels),
    Intrinsic::new("_probabilities", &[], &["logits", "y"], probabilities),
    Intrinsic::new(
        "_class_weights",
        &["axis", "weight", "name", "scalar"],
        &["logits"],
        class_weights,
    ),
];

/// `_labels[axis](logits, y)`: `y`, which has the shape of the logits without the axis of classes. A loss that
/// broadcast them would compare each sample with the classes of all others.
fn labels(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let (logits, y) = (a.tensor(e, 0)?, a.tensor(e, 1)?);
    let logits = e.type_of(logits).clone();
    let axis = one_axis(e, a, "axis", -1, logits.rank())?;
    let mut wanted = TensorType::new(DType::I32, logits.shape.clone());
    wanted.shape.remove(axis);
    let given = e.type_of(y).clone();
    if given.dtype != DType::I32 {
        let message = format!("labels are classes, {wanted}, and these are {given}");
        let report = error(codes::ELEMENT_TYPE, a.place(1), message).help("`i32(…)` converts");
        return Err(e.report(report));
    }
    if given.shape == wanted.shape {
        return Ok(e.tensor(y));
    }
    let message = format!(
        "the labels of {logits} with classes on axis {axis} are {wanted}, and these are {given}"
    );
    let mut report = error(codes::BROADCAST, a.place(1), message).here(given.to_string());
    if given.elements(7) == wanted.elements(7) {
        report = report.help("`squeeze`, `unsqueeze` or `reshape` give them the shape");
    } else if given.rank() == 1 && logits.rank() > 2 && given.shape[..1] == logits.shape[..1] {
        report = report.help("`flatten` before the last layer makes one row of each sample: `x |> flatten |> Linear[10]`");
    } else if given.shape == logits.shape {
        report = report.help("one class for each place: `argmax` makes it of one-hot labels, `f32(…)` makes them probabilities");
    }
    Err(e.report(report))
}

/// `_probabilities(logits, y)`: `y`, which has the shape of the logits.
fn probabilities(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let (logits, y) = (a.tensor(e, 0)?, a.tensor(e, 1)?);
    let (logits, given) = (e.type_of(logits).clone(), e.type_of(y).clone());
    if given.shape == logits.shape {
        return Ok(e.tensor(y));
    }
    let message = format!(
        "labels in floats are probabilities, one for each of {logits}, and these are {given}"
    );
    let report = error(codes::BROADCAST, a.place(1), message)
        .here(given.to_string())
        .help("classes are integers: `i32(…)` converts");
    Err(e.report(report))
}

/// `_class_weights[axis, weight, name, scalar](logits)`: a value for each class, in the shape that broadcasts along the
/// axis of classes; with `scalar` one value may serve all. `name` is what a message calls it.
fn class_weights(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let logits = a.tensor(e, 0)?;
    let own = e.type_of(logits).clone();
    let axis = one_axis(e, a, "axis", -1, own.rank())?;
    let Some(given) = a.given_static("weight").cloned() else {
        return Ok(Value::None);
    };
    let weight = e.tensor_like(&given.value, DType::F32, given.span)?;
    let found = e.type_of(weight).clone();
    let scalar = a.flag(e, "scalar", false)? && found.rank() == 0;
    let each = found.shape == [own.shape[axis]];
    if !found.dtype.is_float() || !(scalar || each) {
        let name = a
            .given_static("name")
            .and_then(|given| given.value.as_text());
        let name = name.unwrap_or("weight");
        let message = format!(
            "`{name}` is one float for each of the {} on axis {axis}, and this is {found}",
            own.shape[axis]
        );
        return Err(e.report(
            error(codes::SHAPE, given.span, message).note(format!("the logits are {own}")),
        ));
    }
    if scalar {
        return Ok(e.tensor(weight));
    }
    let mut node = weight;
    for _ in axis + 1..own.rank() {
        let rank = e.type_of(node).rank();
        node = e.emit().insert_axis(node, rank);
    }
    Ok(e.tensor(node))
}
