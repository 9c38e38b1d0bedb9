//! Shapes: views of the same elements, and joins.

use super::super::batch_axis::Positions;
use super::super::codes;
use super::super::context::Elaborator;
use super::super::diagnose::{Checked, error};
use super::super::value::{GivenStatic, Value};
use super::reductions::one_axis;
use super::{Arguments, Intrinsic, wrong_static};
use crate::graph::{AxisIndex, Dim, NodeId};

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic::new("reshape", &[], &["x"], reshape).open(),
    Intrinsic::new("flatten", &[], &["x"], flatten),
    Intrinsic::new("permute", &[], &["x"], permute).open(),
    Intrinsic::new("transpose", &["a", "b"], &["x"], transpose),
    Intrinsic::new("squeeze", &["axis"], &["x"], squeeze),
    Intrinsic::new("unsqueeze", &["axis"], &["x"], unsqueeze),
    Intrinsic::new("expand", &[], &["x"], expand).open(),
    Intrinsic::new("concat", &["axis"], &["xs*"], concat),
    Intrinsic::new("stack", &["axis"], &["xs*"], stack),
    Intrinsic::new("split", &["axis", "sizes"], &["x"], split),
    Intrinsic::new("pad", &["value"], &["x"], pad).open(),
    Intrinsic::new("flip", &["axis"], &["x"], flip),
    Intrinsic::new("roll", &["shift", "axis"], &["x"], roll),
    Intrinsic::new("repeat", &["count", "axis"], &["x"], repeat),
    Intrinsic::new("_join", &["axis"], &["x"], join),
    Intrinsic::new("len", &[], &["xs"], length),
];

fn view(
    e: &mut Elaborator<'_>,
    x: NodeId,
    shape: Vec<Dim>,
    index: Vec<AxisIndex>,
) -> Checked<Value> {
    let node = e.emit().view(x, shape, index);
    Ok(e.tensor(node))
}

/// Numbers among the statics, lists and tuples among them spread.
pub(super) fn numbers(given: &[&GivenStatic]) -> Vec<(Value, dlm_grammar::Span)> {
    let mut all = Vec::new();
    for one in given {
        match one.value.as_elements() {
            Some(items) => all.extend(items.iter().map(|item| (item.clone(), one.span))),
            None => all.push((one.value.clone(), one.span)),
        }
    }
    all
}

/// A shape among the statics; `-1` stands for what is left of `of`.
fn shape_of(e: &mut Elaborator<'_>, a: &Arguments, of: &[Dim]) -> Checked<Vec<Dim>> {
    let given: Vec<&GivenStatic> = a.positional().collect();
    let mut shape = Vec::new();
    let mut open = None;
    for (value, span) in numbers(&given) {
        if value.as_int() == Some(-1) && open.is_none() {
            open = Some(shape.len());
            shape.push(Dim::fixed(1));
            continue;
        }
        shape.push(e.size_of(&value, span)?);
    }
    e.fits(&shape, a.span)?;
    if let Some(open) = open {
        let rest = quotient(of, &shape);
        let Some(rest) = rest else {
            let from = crate::graph::TensorType::new(crate::graph::DType::F32, of);
            let from = from.to_string().trim_start_matches("f32").to_owned();
            let message =
                format!("the other sizes do not divide {from}, so that `-1` stands for no size");
            return Err(e.report(error(codes::SHAPE, a.span, message)));
        };
        shape[open] = rest;
    }
    Ok(shape)
}

/// The extent that makes `shape` have as many elements as `of`.
fn quotient(of: &[Dim], shape: &[Dim]) -> Option<Dim> {
    let product = |dims: &[Dim], batch: i64| dims.iter().map(|dim| dim.at(batch)).product::<i64>();
    let at = |batch: i64| {
        let (all, part) = (product(of, batch), product(shape, batch));
        (part > 0 && all % part == 0).then(|| all / part)
    };
    // The quotient is affine in the batch size, or it has no type.
    let (one, two, five) = (at(1)?, at(2)?, at(5)?);
    let batch = two - one;
    (one + 4 * batch == five).then_some(Dim {
        batch,
        fixed: one - batch,
    })
}

fn reshape(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let own = e.emit().shape(x);
    let shape = shape_of(e, a, &own)?;
    let same = [1, 2, 3, 5].iter().all(|&batch| {
        let product = |dims: &[Dim]| dims.iter().map(|dim| dim.at(batch)).product::<i64>();
        product(&shape) == product(&own)
    });
    if !same {
        let wanted = crate::graph::TensorType::new(e.emit().dtype(x), shape);
        let message = format!(
            "{} has another number of elements than {wanted}",
            e.type_of(x)
        );
        return Err(e.report(error(codes::SHAPE, a.span, message)));
    }
    let node = e.emit().reshape(x, shape);
    Ok(e.tensor(node))
}

/// Keeps axis 0 and joins all others.
fn flatten(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let own = e.emit().shape(x);
    let Some((&first, rest)) = own.split_first() else {
        let message = "`flatten` keeps axis 0, and a scalar has none";
        return Err(e.report(error(codes::RANK, a.span, message)));
    };
    let Some(rest) = rest.iter().map(|dim| dim.known()).product::<Option<i64>>() else {
        let message = "`flatten` of axes whose sizes only the run knows";
        return Err(e.report(error(codes::BATCH_DEPENDENT, a.span, message)));
    };
    let node = e.emit().reshape(x, vec![first, Dim::fixed(rest)]);
    Ok(e.tensor(node))
}

fn permute(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let rank = e.type_of(x).rank();
    let given: Vec<&GivenStatic> = a.positional().collect();
    let mut order = Vec::new();
    for (value, span) in numbers(&given) {
        let Some(number) = value.as_int() else {
            let message = format!("an axis must be an int, this is {}", value.kind());
            return Err(e.report(error(codes::STATIC_TYPE, span, message)));
        };
        order.push(e.axis(number, rank, span)?);
    }
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted != (0..rank).collect::<Vec<usize>>() {
        let message = format!("`permute` names each of the {rank} axes once");
        return Err(e.report(error(codes::AXIS, a.span, message)));
    }
    let node = e.emit().permute(x, &order);
    Ok(e.tensor(node))
}

fn transpose(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let rank = e.type_of(x).rank();
    let first = one_axis(e, a, "a", -2, rank)?;
    let second = one_axis(e, a, "b", -1, rank)?;
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(first, second);
    let node = e.emit().permute(x, &order);
    Ok(e.tensor(node))
}

fn squeeze(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let own = e.emit().shape(x);
    let axes: Vec<usize> = match a.given_static("axis") {
        Some(_) => vec![one_axis(e, a, "axis", 0, own.len())?],
        None => (0..own.len())
            .filter(|&axis| own[axis] == Dim::fixed(1))
            .collect(),
    };
    let mut node = x;
    for &axis in axes.iter().rev() {
        if own[axis] != Dim::fixed(1) {
            let message = format!("axis {axis} of {} is not 1", e.type_of(x));
            return Err(e.report(error(codes::SHAPE, a.span, message)));
        }
        node = e.emit().remove_axis(node, axis);
    }
    Ok(e.tensor(node))
}

fn unsqueeze(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let rank = e.type_of(x).rank();
    a.int(e, "axis", None)?;
    let axis = one_axis(e, a, "axis", 0, rank + 1)?;
    let node = e.emit().insert_axis(x, axis);
    Ok(e.tensor(node))
}

/// Repeats axes of extent 1 and new leading axes; `-1` keeps an axis.
fn expand(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let own = e.emit().shape(x);
    let given: Vec<&GivenStatic> = a.positional().collect();
    let wanted = numbers(&given);
    let mut shape = Vec::new();
    for (position, (value, span)) in wanted.iter().enumerate() {
        let axis = (position + own.len()).checked_sub(wanted.len());
        match (value.as_int(), axis) {
            (Some(-1), Some(axis)) => shape.push(own[axis]),
            _ => shape.push(e.size_of(value, *span)?),
        }
    }
    e.fits(&shape, a.span)?;
    let fits = crate::graph::Graph::broadcast_shape(&own, &shape);
    if fits.as_ref() != Ok(&shape) {
        let wanted = crate::graph::TensorType::new(e.emit().dtype(x), shape);
        let message = format!("{} does not expand to {wanted}", e.type_of(x));
        return Err(e.report(error(codes::BROADCAST, a.span, message)));
    }
    let node = e.emit().broadcast(x, &shape);
    Ok(e.tensor(node))
}

/// The operands of a join: tensors, or one list of them.
fn joined(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Vec<NodeId>> {
    let mut nodes = Vec::new();
    for position in 0..a.tensors.len() {
        match a.value(position) {
            Value::List(items) | Value::Tuple(items) | Value::Results(items) => {
                for item in items.iter() {
                    nodes.push(e.tensor_of(item, a.place(position))?);
                }
            }
            _ => nodes.push(a.tensor(e, position)?),
        }
    }
    if nodes.is_empty() {
        let message = format!("`{}` of nothing", a.intrinsic.name);
        return Err(e.report(error(codes::MISSING_ARGUMENT, a.span, message)));
    }
    Ok(nodes)
}

/// Where the operands of a join stand, or the join, where they are in lists.
fn operand_places(a: &Arguments) -> Vec<dlm_grammar::Span> {
    let mut positions = 0..a.tensors.len();
    if positions.any(|position| a.value(position).as_elements().is_some()) {
        return vec![a.span];
    }
    (0..a.tensors.len())
        .map(|position| a.place(position))
        .collect()
}

fn concat(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let nodes = joined(e, a)?;
    e.one_type(&nodes, &operand_places(a))?;
    let first = e.type_of(nodes[0]).clone();
    let axis = one_axis(e, a, "axis", 0, first.rank())?;
    for &node in &nodes[1..] {
        let other = e.type_of(node).clone();
        let same = other.rank() == first.rank()
            && (0..first.rank()).all(|own| {
                own == axis || own >= other.rank() || other.shape[own] == first.shape[own]
            });
        if !same {
            let message = format!("{first} and {other} do not join along axis {axis}");
            return Err(e.report(error(codes::SHAPE, a.span, message)));
        }
    }
    let node = e.emit().concat(axis, &nodes);
    Ok(e.tensor(node))
}

fn stack(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let nodes = joined(e, a)?;
    e.one_type(&nodes, &operand_places(a))?;
    let rank = e.type_of(nodes[0]).rank();
    let axis = one_axis(e, a, "axis", 0, rank + 1)?;
    let node = e.stack_nodes(&nodes, axis, a.span)?;
    Ok(e.tensor(node))
}

/// Parts along an axis, of the sizes given, or so many equal ones.
fn split(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let own = e.emit().shape(x);
    let axis = one_axis(e, a, "axis", 0, own.len())?;
    let Some(given) = a.given_static("sizes").cloned() else {
        a.int(e, "sizes", None)?;
        return Ok(Value::None);
    };
    let sizes: Option<Vec<i64>> = match (
        given.value.as_elements(),
        given.value.as_int(),
        own[axis].known(),
    ) {
        (Some(items), _, _) => items.iter().map(Value::as_int).collect(),
        (None, Some(parts), Some(extent)) if parts > 0 && extent % parts == 0 => {
            Some(vec![extent / parts; parts as usize])
        }
        _ => None,
    };
    let sizes = sizes.filter(|sizes| {
        sizes
            .iter()
            .try_fold(0_i64, |sum, &size| sum.checked_add(size.max(0)))
            == own[axis].known()
    });
    let Some(sizes) = sizes else {
        let parts = given
            .value
            .as_int()
            .map(|parts| format!("{parts} equal parts"));
        let parts = parts.unwrap_or_else(|| "parts of these sizes".to_owned());
        let message = format!(
            "axis {axis} of {} does not come apart into {parts}",
            e.type_of(x)
        );
        return Err(e.report(error(codes::SHAPE, given.span, message)));
    };
    let mut start = 0;
    let mut parts = Vec::new();
    for size in sizes {
        let mut shape = own.clone();
        shape[axis] = Dim::fixed(size);
        let mut index: Vec<AxisIndex> = (0..own.len()).map(AxisIndex::variable).collect();
        index[axis] = AxisIndex::affine(&[(axis, 1)], start, 1);
        parts.push(view(e, x, shape, index)?);
        start += size;
    }
    Ok(Value::Results(parts.into()))
}

/// `pad[(before, after), …]`: the pairs are for the last axes, in axis order; `value` fills, 0 by default.
fn pad(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let mut shape = e.emit().shape(x);
    let pairs: Vec<&GivenStatic> = a.positional().collect();
    let Some(first) = shape.len().checked_sub(pairs.len()) else {
        let message = format!("{} pairs for {}", pairs.len(), e.type_of(x));
        return Err(e.report(error(codes::RANK, a.span, message)));
    };
    let mut index: Vec<AxisIndex> = (0..shape.len()).map(AxisIndex::variable).collect();
    for (number, pair) in pairs.iter().enumerate() {
        let ends = match pair.value.as_elements() {
            Some([before, after]) => before.as_int().zip(after.as_int()),
            _ => pair.value.as_int().map(|both| (both, both)),
        };
        let Some((before, after)) = ends else {
            return Err(wrong_static(e, pair, "a padding", "a pair of ints"));
        };
        let most = 1 << 31;
        if before.abs() > most || after.abs() > most {
            let message = "a padding that is too large";
            return Err(e.report(error(codes::LARGE, pair.span, message)));
        }
        let axis = first + number;
        shape[axis].fixed += before + after;
        index[axis] = AxisIndex::affine(&[(axis, 1)], -before, 1);
    }
    let dtype = e.emit().dtype(x);
    let fill = match a
        .given_static("value")
        .and_then(|given| given.value.as_float())
    {
        Some(value) if dtype.is_float() => crate::graph::Scalar::F32(value as f32),
        Some(value) => crate::graph::Scalar::I32(value as i32),
        None => super::super::emit::zero_of(dtype),
    };
    let node = e.emit().view_filled(x, shape, index, fill);
    Ok(e.tensor(node))
}

fn flip(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let own = e.emit().shape(x);
    let axis = one_axis(e, a, "axis", -1, own.len())?;
    let Some(extent) = own[axis].known() else {
        let positions = Positions {
            start: own[axis].plus(-1),
            step: -1,
            extent: own[axis],
        };
        let node = e.batch_rows(x, axis, positions, a.span)?;
        return Ok(e.tensor(node));
    };
    let mut index: Vec<AxisIndex> = (0..own.len()).map(AxisIndex::variable).collect();
    index[axis] = AxisIndex::affine(&[(axis, -1)], extent - 1, 1);
    view(e, x, own, index)
}

/// `roll[shift, axis]`: what leaves at one end enters at the other; without an axis, of all elements in their order.
fn roll(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let own = e.emit().shape(x);
    let shift = a.int(e, "shift", None)?;
    if a.given_static("axis").is_some() {
        let axis = one_axis(e, a, "axis", -1, own.len())?;
        let node = rolled(e, x, axis, shift);
        return Ok(e.tensor(node));
    }
    let Some(count) = quotient(&own, &[]) else {
        let message = format!("`roll` of all elements of {}", e.type_of(x));
        return Err(e.report(
            error(codes::BATCH_DEPENDENT, a.span, message)
                .help("`roll[shift, axis]` rolls one axis"),
        ));
    };
    let flat = e.emit().reshape(x, vec![count]);
    let node = rolled(e, flat, 0, shift);
    let node = e.emit().reshape(node, own);
    Ok(e.tensor(node))
}

fn rolled(e: &mut Elaborator<'_>, x: NodeId, axis: usize, shift: i64) -> NodeId {
    let own = e.emit().shape(x);
    let Some(extent) = own[axis].known() else {
        let shift = shift.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
        return e.batch_roll(x, axis, shift);
    };
    if extent == 0 {
        return x;
    }
    let shift = shift.rem_euclid(extent);
    let mut parts = Vec::new();
    for (start, size) in [(extent - shift, shift), (0, extent - shift)] {
        if size == 0 {
            continue;
        }
        let mut shape = own.clone();
        shape[axis] = Dim::fixed(size);
        let mut index: Vec<AxisIndex> = (0..own.len()).map(AxisIndex::variable).collect();
        index[axis] = AxisIndex::affine(&[(axis, 1)], start, 1);
        parts.push(e.emit().view(x, shape, index));
    }
    e.emit().concat(axis, &parts)
}

/// `repeat[count, axis]`: the tensor so many times, one after the other.
fn repeat(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let rank = e.type_of(x).rank();
    let count = a.int(e, "count", None)?;
    let axis = one_axis(e, a, "axis", 0, rank)?;
    if !(1..=4096).contains(&count) {
        let message = format!("{count} repetitions");
        return Err(e.report(error(codes::LARGE, a.span, message)));
    }
    let mut shape = e.emit().shape(x);
    let node = if shape[axis] == Dim::fixed(1) {
        shape[axis] = Dim::fixed(count);
        e.emit().broadcast(x, &shape)
    } else {
        e.emit().concat(axis, &vec![x; count as usize])
    };
    Ok(e.tensor(node))
}

/// `_join[axis]`: the axis and the one after it as one.
fn join(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let mut shape = e.emit().shape(x);
    let axis = one_axis(e, a, "axis", 0, shape.len().saturating_sub(1))?;
    let next = shape.remove(axis + 1);
    let Some(factor) = next.known() else {
        let message = format!("two axes of {} as one", e.type_of(x));
        return Err(e.report(error(codes::BATCH_DEPENDENT, a.span, message)));
    };
    shape[axis] = Dim {
        batch: shape[axis].batch * factor,
        fixed: shape[axis].fixed * factor,
    };
    e.fits(&shape, a.span)?;
    let node = e.emit().reshape(x, shape);
    Ok(e.tensor(node))
}

/// The number of elements of a list, or the extent of axis 0.
fn length(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    if let Some(items) = a.value(0).as_elements() {
        return Ok(Value::Int(items.len() as i64));
    }
    let x = a.tensor(e, 0)?;
    match e.emit().shape(x).first() {
        Some(&dim) => Ok(Value::dimension(dim)),
        None => {
            let message = "a scalar has no length";
            Err(e.report(error(codes::RANK, a.span, message)))
        }
    }
}
