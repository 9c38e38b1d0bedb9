//! Tensors made of nothing: constants, positions, random values; and compile-time helpers of the library.

use super::super::codes;
use super::super::context::Elaborator;
use super::super::diagnose::{Checked, error};
use super::super::value::{GivenStatic, Value};
use super::shapes::numbers;
use super::{Arguments, Intrinsic};
use crate::graph::{DType, Dim, NodeId, RandomOp, Scalar};

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic::new("zeros", &[], &[], |e, a| filled(e, a, 0, 0.0))
        .open()
        .making(),
    Intrinsic::new("ones", &[], &[], |e, a| filled(e, a, 0, 1.0))
        .open()
        .making(),
    Intrinsic::new("full", &[], &[], full).open().making(),
    Intrinsic::new("arange", &[], &[], arange).open().making(),
    Intrinsic::new("rand", &[], &[], |e, a| random(e, a, RandomOp::Uniform))
        .open()
        .making(),
    Intrinsic::new("randn", &[], &[], |e, a| random(e, a, RandomOp::Normal))
        .open()
        .making(),
    Intrinsic::new("_rand_like", &[], &["x"], |e, a| {
        let x = a.tensor(e, 0)?;
        let shape = e.emit().shape(x);
        Ok(drawn(e, RandomOp::Uniform, shape))
    }),
    Intrinsic::new("zip", &[], &["data*"], |e, a| {
        let values = (0..a.tensors.len()).map(|index| (a.value(index).clone(), a.place(index)));
        e.zip(values.collect(), a.span)
    }),
    Intrinsic::new("_each", &["k", "n"], &[], each).making(),
    Intrinsic::new("_joined", &[], &[], joined).open().making(),
    Intrinsic::new("_positions", &["axis"], &["x"], positions),
];

/// The shape that the statics from `skip` on spell.
fn shape(e: &mut Elaborator<'_>, a: &Arguments, skip: usize) -> Checked<Vec<Dim>> {
    let given: Vec<&GivenStatic> = a.positional().skip(skip).collect();
    let mut shape = Vec::new();
    for (value, span) in numbers(&given) {
        shape.push(e.size_of(&value, span)?);
    }
    e.fits(&shape, a.span)?;
    Ok(shape)
}

fn filled(e: &mut Elaborator<'_>, a: &Arguments, skip: usize, value: f64) -> Checked<Value> {
    let shape = shape(e, a, skip)?;
    let node = e.emit().full(Scalar::F32(value as f32), &shape);
    Ok(e.tensor(node))
}

/// `full[value, sizes…]`
fn full(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let Some(value) = a.positional().next().cloned() else {
        let message = "`full` needs a value: `full[v, 3, 4]`";
        return Err(e.report(error(codes::MISSING_STATIC, a.span, message)));
    };
    let shape = shape(e, a, 1)?;
    let scalar = e.tensor_of(&value.value, value.span)?;
    let node = e.emit().broadcast(scalar, &shape);
    Ok(e.tensor(node))
}

/// `arange[n]`: i32 from 0 to n - 1; `arange[start, end]`.
fn arange(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let given: Vec<&GivenStatic> = a.positional().collect();
    if let [Some(size)] = given
        .iter()
        .map(|given| given.value.as_dim())
        .collect::<Vec<_>>()[..]
        && size.is_dynamic()
    {
        let node = e.emit().iota(vec![size], 0);
        return Ok(e.tensor(node));
    }
    let bounds: Vec<i64> = given
        .iter()
        .filter_map(|given| given.value.as_int())
        .collect();
    let (start, end) = match bounds.as_slice() {
        [end] => (0, *end),
        [start, end] => (*start, *end),
        _ => {
            let message =
                "`arange[n]` takes a whole number that is known when the program is compiled";
            return Err(e.report(error(codes::NOT_COMPILE_TIME, a.span, message)));
        }
    };
    let shape = vec![Dim::fixed(end.saturating_sub(start).max(0))];
    e.fits(&shape, a.span)?;
    let mut node = e.emit().iota(shape.clone(), 0);
    if start != 0 {
        let Ok(start) = i32::try_from(start) else {
            return Err(e.report(error(codes::LARGE, a.span, "the start does not fit i32")));
        };
        let offset = e.emit().full(Scalar::I32(start), &shape);
        node = e.emit().binary(crate::graph::BinaryOp::Add, node, offset);
    }
    Ok(e.tensor(node))
}

fn random(e: &mut Elaborator<'_>, a: &Arguments, op: RandomOp) -> Checked<Value> {
    let shape = shape(e, a, 0)?;
    Ok(drawn(e, op, shape))
}

/// Random values at the next place of the body's owner.
fn drawn(e: &mut Elaborator<'_>, op: RandomOp, shape: Vec<Dim>) -> Value {
    let place = e.next_place();
    let seed = e.run_scalar("seed", DType::I32);
    let step = counter(e);
    let node = e.emit().random(op, place, shape, seed, step);
    e.tensor(node)
}

/// The count of the step; initial values depend on none.
fn counter(e: &mut Elaborator<'_>) -> NodeId {
    if e.unit.number == e.init_number {
        return e.emit().constant(Scalar::I32(0));
    }
    e.run_scalar("counter", DType::I32)
}

/// `_each[k, n]`: a tuple as it is, an int n times.
fn each(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let count = a.int(e, "n", None)?.clamp(0, 8);
    let Some(given) = a.given_static("k").cloned() else {
        return Ok(Value::None);
    };
    match given.value.as_elements() {
        Some(items)
            if items.len() as i64 == count && items.iter().all(|item| item.as_int().is_some()) =>
        {
            Ok(given.value)
        }
        None if given.value.as_int().is_some() => {
            Ok(Value::Tuple(vec![given.value; count as usize].into()))
        }
        _ => {
            let message = format!(
                "an int or a tuple of {count} ints is needed, this is {}",
                given.value.kind()
            );
            Err(e.report(error(codes::STATIC_TYPE, given.span, message)))
        }
    }
}

/// `_joined["_l", 1]`: texts and whole numbers as one text.
fn joined(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let mut text = String::new();
    for given in a.positional() {
        match (given.value.as_text(), given.value.as_int()) {
            (Some(part), _) => text.push_str(part),
            (None, Some(number)) => text.push_str(&number.to_string()),
            (None, None) => {
                let message = format!("a text or an int is needed, this is {}", given.value.kind());
                return Err(e.report(error(codes::STATIC_TYPE, given.span, message)));
            }
        }
    }
    Ok(Value::text(&text))
}

/// `_positions[axis](x)`: i32 of the shape of `x`, the position along an axis.
fn positions(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let shape = e.emit().shape(x);
    let axis = super::reductions::one_axis(e, a, "axis", -1, shape.len())?;
    let node = e.emit().iota(shape, axis);
    Ok(e.tensor(node))
}
