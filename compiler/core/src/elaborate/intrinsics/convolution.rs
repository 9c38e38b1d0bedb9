//! Windows and convolutions of any rank.

use super::super::codes;
use super::super::context::Elaborator;
use super::super::diagnose::{Checked, error};
use super::super::value::Value;
use super::{Arguments, Intrinsic, wrong_static};
use crate::graph::{ConvolutionShape, Scalar, WindowAxis};

const WINDOW: &[&str] = &["k", "stride", "pad", "dilation", "fill"];

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic::new("_windows", WINDOW, &["x"], windows),
    Intrinsic::new(
        "_convolve",
        &["stride", "pad", "dilation", "groups"],
        &["x", "weight"],
        convolve,
    ),
    Intrinsic::new(
        "_convolve_transposed",
        &["stride", "pad", "output_pad", "dilation", "groups"],
        &["x", "weight"],
        convolve_transposed,
    ),
];

/// A static that is an int or a tuple, one for each spatial axis.
fn each(
    e: &mut Elaborator<'_>,
    a: &Arguments,
    name: &str,
    rank: usize,
    default: i64,
    least: i64,
) -> Checked<Vec<i64>> {
    let Some(given) = a.given_static(name).cloned() else {
        return Ok(vec![default; rank]);
    };
    let numbers: Option<Vec<i64>> = match given.value.as_elements() {
        Some(items) if items.len() == rank => items.iter().map(Value::as_int).collect(),
        Some(_) => None,
        None => given.value.as_int().map(|number| vec![number; rank]),
    };
    let Some(numbers) = numbers else {
        return Err(wrong_static(
            e,
            &given,
            name,
            &format!("an int or a tuple of {rank} ints"),
        ));
    };
    if numbers
        .iter()
        .any(|number| !(least..=1 << 24).contains(number))
    {
        let message = format!("`{name}` must be at least {least}");
        return Err(e.report(error(codes::SHAPE, given.span, message)));
    }
    Ok(numbers)
}

/// The windows of a call over the last `rank` axes.
fn axes(e: &mut Elaborator<'_>, a: &Arguments, kernel: &[i64]) -> Checked<Vec<WindowAxis>> {
    let rank = kernel.len();
    let stride = each(e, a, "stride", rank, 1, 1)?;
    let dilation = each(e, a, "dilation", rank, 1, 1)?;
    let same = a
        .given_static("pad")
        .is_some_and(|given| given.value.as_text() == Some("same"));
    let pads: Vec<(i64, i64)> = if same {
        let reach = |axis: usize| dilation[axis] * (kernel[axis] - 1);
        (0..rank)
            .map(|axis| (reach(axis) / 2, reach(axis) - reach(axis) / 2))
            .collect()
    } else {
        each(e, a, "pad", rank, 0, 0)?
            .into_iter()
            .map(|pad| (pad, pad))
            .collect()
    };
    if same && stride.iter().any(|&stride| stride != 1) {
        let message = "`pad=\"same\"` goes with stride 1";
        return Err(e.report(error(codes::SHAPE, a.span, message)));
    }
    let axis = |axis: usize| WindowAxis {
        kernel: kernel[axis],
        stride: stride[axis],
        dilation: dilation[axis],
        pad: pads[axis],
    };
    Ok((0..rank).map(axis).collect())
}

/// `_windows[k, stride, pad, dilation, fill](x)`: the windows over the last axes, then their elements. `k` is a
/// tuple with an entry for each of these axes.
fn windows(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let kernel = a
        .given_static("k")
        .and_then(|given| given.value.as_elements().map(<[Value]>::len));
    let rank = kernel.unwrap_or(1);
    let kernel = each(e, a, "k", rank, 1, 1)?;
    let axes = axes(e, a, &kernel)?;
    no_window_of_padding(e, a, &axes)?;
    let fill = a
        .given_static("fill")
        .and_then(|given| given.value.as_float())
        .unwrap_or(0.0);
    let place = e.unit.emitter.span;
    let built = e
        .emit()
        .graph
        .window(x, &axes, Scalar::F32(fill as f32), place);
    let node = e.built(built, codes::SHAPE, a.span)?;
    Ok(e.tensor(node))
}

/// A window that lies in the padding alone would have no element, and a maximum of minus infinity.
fn no_window_of_padding(e: &mut Elaborator<'_>, a: &Arguments, axes: &[WindowAxis]) -> Checked<()> {
    let Some(axis) = axes.iter().find(|axis| 2 * axis.pad.0 > axis.kernel) else {
        return Ok(());
    };
    let span = a.given_static("pad").map_or(a.span, |given| given.span);
    let message = format!(
        "`pad` is at most half of the window: {} is too much for {}",
        axis.pad.0, axis.kernel
    );
    Err(e.report(error(codes::STATIC_RANGE, span, message)))
}

/// The windows and groups of a convolution with that weight.
fn shape(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<ConvolutionShape> {
    let weight = a.tensor(e, 1)?;
    let kernel: Option<Vec<i64>> = e
        .type_of(weight)
        .shape
        .iter()
        .skip(2)
        .map(|dim| dim.known())
        .collect();
    let kernel = kernel.unwrap_or_default();
    let axes = axes(e, a, &kernel)?;
    let groups = a.int(e, "groups", Some(1))?;
    if !(1..=1 << 24).contains(&groups) {
        let message = format!("{groups} groups");
        return Err(e.report(error(codes::SHAPE, a.span, message)));
    }
    Ok(ConvolutionShape { axes, groups })
}

fn convolve(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let (x, weight) = (a.tensor(e, 0)?, a.tensor(e, 1)?);
    let shape = shape(e, a)?;
    let place = e.unit.emitter.span;
    let built = e.emit().graph.convolution(x, weight, &shape, place);
    let node = e.built(built, codes::SHAPE, a.span)?;
    Ok(e.tensor(node))
}

fn convolve_transposed(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let (x, weight) = (a.tensor(e, 0)?, a.tensor(e, 1)?);
    let shape = shape(e, a)?;
    let output_pad = each(e, a, "output_pad", shape.axes.len(), 0, 0)?;
    let wide = |(&pad, axis): (&i64, &WindowAxis)| pad >= axis.stride.max(axis.dilation);
    if output_pad.iter().zip(&shape.axes).any(wide) {
        let span = a
            .given_static("output_pad")
            .map_or(a.span, |given| given.span);
        let message = "`output_pad` is smaller than the stride or the dilation";
        return Err(e.report(error(codes::STATIC_RANGE, span, message)));
    }
    let place = e.unit.emitter.span;
    let built = e
        .emit()
        .graph
        .transposed_convolution(x, weight, &shape, &output_pad, place);
    let node = e.built(built, codes::SHAPE, a.span)?;
    Ok(e.tensor(node))
}
