//! Elementwise functions, choices, conversions, and the gradient.

use super::super::codes;
use super::super::context::Elaborator;
use super::super::diagnose::{Checked, error};
use super::super::value::Value;
use super::{Arguments, Intrinsic};
use crate::graph::{BinaryOp, DType, UnaryOp};
use dlm_grammar::ast;

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic::new("exp", &[], &["x"], |e, a| {
        float(e, a, UnaryOp::Exp, f64::exp)
    }),
    Intrinsic::new("log", &[], &["x"], |e, a| {
        float(e, a, UnaryOp::Log, f64::ln)
    }),
    Intrinsic::new("sqrt", &[], &["x"], |e, a| {
        float(e, a, UnaryOp::Sqrt, f64::sqrt)
    }),
    Intrinsic::new("rsqrt", &[], &["x"], |e, a| {
        float(e, a, UnaryOp::Rsqrt, |x| 1.0 / x.sqrt())
    }),
    Intrinsic::new("sin", &[], &["x"], |e, a| {
        float(e, a, UnaryOp::Sin, f64::sin)
    }),
    Intrinsic::new("cos", &[], &["x"], |e, a| {
        float(e, a, UnaryOp::Cos, f64::cos)
    }),
    Intrinsic::new("tanh", &[], &["x"], |e, a| {
        float(e, a, UnaryOp::Tanh, f64::tanh)
    }),
    Intrinsic::new("erf", &[], &["x"], erf),
    Intrinsic::new("abs", &[], &["x"], |e, a| {
        signed(e, a, UnaryOp::Abs, f64::abs)
    }),
    Intrinsic::new("sign", &[], &["x"], |e, a| {
        signed(e, a, UnaryOp::Sign, sign)
    }),
    Intrinsic::new("floor", &[], &["x"], |e, a| {
        rounded(e, a, UnaryOp::Floor, f64::floor)
    }),
    Intrinsic::new("ceil", &[], &["x"], |e, a| {
        rounded(e, a, UnaryOp::Ceil, f64::ceil)
    }),
    Intrinsic::new("round", &[], &["x"], |e, a| {
        rounded(e, a, UnaryOp::Round, f64::round_ties_even)
    }),
    Intrinsic::new("maximum", &[], &["a", "b"], |e, a| {
        extreme(e, a, BinaryOp::Max, f64::max)
    }),
    Intrinsic::new("minimum", &[], &["a", "b"], |e, a| {
        extreme(e, a, BinaryOp::Min, f64::min)
    }),
    Intrinsic::new("pow", &[], &["a", "b"], |e, a| {
        let spans = [a.place(0), a.place(1)];
        e.operate(ast::BinaryOp::Power, a.value(0), a.value(1), spans, a.span)
    }),
    Intrinsic::new("where", &[], &["condition", "a", "b"], choose),
    Intrinsic::new("isnan", &[], &["x"], |e, a| {
        if a.value(0).is_number() {
            return Ok(Value::Bool(false));
        }
        let x = a.tensor(e, 0)?;
        let node = e.emit().binary(BinaryOp::Ne, x, x);
        Ok(e.tensor(node))
    }),
    Intrinsic::new("f32", &[], &["x"], |e, a| cast(e, a, DType::F32)),
    Intrinsic::new("bf16", &[], &["x"], |e, a| cast(e, a, DType::Bf16)),
    Intrinsic::new("i32", &[], &["x"], |e, a| cast(e, a, DType::I32)),
    Intrinsic::new("u8", &[], &["x"], |e, a| cast(e, a, DType::U8)),
    Intrinsic::new("bool", &[], &["x"], |e, a| cast(e, a, DType::Bool)),
    Intrinsic::new("stop_grad", &[], &["x"], |e, a| {
        if a.value(0).is_number() {
            return Ok(a.value(0).clone());
        }
        let x = a.tensor(e, 0)?;
        let node = e.emit().stop_gradient(x);
        Ok(e.tensor(node))
    }),
    Intrinsic::new("grad", &[], &["loss", "x"], gradient),
    Intrinsic::new("_like", &[], &["x", "y"], like),
    Intrinsic::new("_is_float", &[], &["x"], |e, a| {
        let x = a.tensor(e, 0)?;
        Ok(Value::Bool(e.emit().dtype(x).is_float()))
    }),
];

fn float(
    e: &mut Elaborator<'_>,
    a: &Arguments,
    op: UnaryOp,
    fold: fn(f64) -> f64,
) -> Checked<Value> {
    if let Some(number) = a.value(0).as_float() {
        let folded = fold(number);
        if folded.is_nan() {
            let message = format!("`{}` of {number} is not a number", a.intrinsic.name);
            return Err(e.report(error(codes::ARITHMETIC, a.span, message)));
        }
        return Ok(Value::Float(folded));
    }
    let x = a.tensor(e, 0)?;
    if !e.emit().dtype(x).is_float() {
        let message = format!(
            "`{}` takes floats, this is {}",
            a.intrinsic.name,
            e.type_of(x)
        );
        return Err(
            e.report(error(codes::ELEMENT_TYPE, a.place(0), message).help("`f32(…)` converts"))
        );
    }
    let node = e.emit().unary(op, x);
    Ok(e.tensor(node))
}

/// As `float`.
fn erf(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    if let Some(number) = a.value(0).as_float() {
        return Ok(Value::Float(libm::erf(number)));
    }
    let x = a.tensor(e, 0)?;
    let node = e.emit().unary(UnaryOp::Erf, x);
    Ok(e.tensor(node))
}

fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}

/// Functions that whole numbers have too.
fn signed(
    e: &mut Elaborator<'_>,
    a: &Arguments,
    op: UnaryOp,
    fold: fn(f64) -> f64,
) -> Checked<Value> {
    match a.value(0) {
        Value::Int(number) => Ok(Value::Int(fold(*number as f64) as i64)),
        Value::Ratio(above, below) if matches!(op, UnaryOp::Abs) => {
            Ok(Value::Ratio(above.saturating_abs(), *below))
        }
        Value::Ratio(..) | Value::Float(_) => {
            let number = a.value(0).as_float().unwrap_or(f64::NAN);
            Ok(Value::Float(fold(number)))
        }
        _ => {
            let x = a.tensor(e, 0)?;
            let node = e.emit().unary(op, x);
            Ok(e.tensor(node))
        }
    }
}

/// `floor`, `ceil` and `round` of compile-time numbers give ints.
fn rounded(
    e: &mut Elaborator<'_>,
    a: &Arguments,
    op: UnaryOp,
    fold: fn(f64) -> f64,
) -> Checked<Value> {
    match a.value(0).as_float() {
        Some(number) => Ok(Value::Int(fold(number) as i64)),
        None => float(e, a, op, fold),
    }
}

fn extreme(
    e: &mut Elaborator<'_>,
    a: &Arguments,
    op: BinaryOp,
    fold: fn(f64, f64) -> f64,
) -> Checked<Value> {
    match (a.value(0), a.value(1)) {
        (Value::Int(x), Value::Int(y)) => Ok(Value::Int(fold(*x as f64, *y as f64) as i64)),
        (x, y) => {
            if let (Some(first), Some(second)) = (x.as_float(), y.as_float()) {
                let taken = if fold(first, second) == first { x } else { y };
                return Ok(taken.clone());
            }
            let (x, y) = e.aligned(x, y, [a.place(0), a.place(1)])?;
            let node = e.emit().binary(op, x, y);
            Ok(e.tensor(node))
        }
    }
}

fn choose(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    if let Some(known) = a.value(0).as_bool() {
        return Ok(a.value(if known { 1 } else { 2 }).clone());
    }
    let condition = a.tensor(e, 0)?;
    if e.emit().dtype(condition) != DType::Bool {
        let message = format!(
            "the condition must be bool, this is {}",
            e.type_of(condition)
        );
        return Err(e.report(error(codes::ELEMENT_TYPE, a.place(0), message)));
    }
    let (x, y) = e.aligned(a.value(1), a.value(2), [a.place(1), a.place(2)])?;
    let (outer, inner) = (e.type_of(condition).clone(), e.type_of(x).clone());
    let Ok(shape) = crate::graph::Graph::broadcast_shape(&outer.shape, &inner.shape) else {
        let message = format!("{outer} and {inner} do not broadcast");
        return Err(e.report(
            error(codes::BROADCAST, a.span, message)
                .label(a.place(0), outer.to_string())
                .label(a.place(1), inner.to_string()),
        ));
    };
    let condition = e.emit().broadcast(condition, &shape);
    let x = e.emit().broadcast(x, &shape);
    let y = e.emit().broadcast(y, &shape);
    let node = e.emit().select(condition, x, y);
    Ok(e.tensor(node))
}

fn cast(e: &mut Elaborator<'_>, a: &Arguments, dtype: DType) -> Checked<Value> {
    let number = a.value(0).as_float();
    match (number, a.value(0), dtype) {
        (Some(number), _, DType::Bool) => return Ok(Value::Bool(number != 0.0)),
        (Some(number), _, DType::F32) => return Ok(Value::Float(number)),
        (Some(number), _, DType::I32) => return Ok(Value::Int(number.trunc() as i64)),
        (None, Value::Bool(flag), DType::F32 | DType::I32) => {
            return Ok(Value::Int(i64::from(*flag)));
        }
        _ => {}
    }
    let x = a.tensor(e, 0)?;
    if dtype == DType::Bool && e.emit().dtype(x) != DType::Bool {
        let zero = super::super::emit::zero_of(e.emit().dtype(x));
        let shape = e.emit().shape(x);
        let zero = e.emit().full(zero, &shape);
        let node = e.emit().binary(BinaryOp::Ne, x, zero);
        return Ok(e.tensor(node));
    }
    let node = e.emit().cast(x, dtype);
    Ok(e.tensor(node))
}

fn gradient(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let loss = a.tensor(e, 0);
    let x = a.tensor(e, 1);
    let (loss, x) = (loss?, x?);
    let (of, by) = (e.type_of(loss).clone(), e.type_of(x).clone());
    if of.rank() != 0 || !of.dtype.is_float() {
        let message = format!("a gradient is of a float scalar, this is {of}");
        return Err(e.report(
            error(codes::GRADIENT, a.place(0), message)
                .help("`sum(…)` or `mean(…)` makes a scalar"),
        ));
    }
    if !by.dtype.is_float() {
        let message = format!("there is no gradient with respect to {by}");
        return Err(e.report(error(codes::GRADIENT, a.place(1), message)));
    }
    if let Some(path) = e.replaced_since(loss, x) {
        let message = format!("the loss does not depend on this `{path}`");
        return Err(e.report(
            error(codes::GRADIENT, a.place(1), message)
                .here("the new values, after a `minimize`")
                .note("a loss computed before a `minimize` depends on the parameters' old values")
                .help("take the gradient before the `minimize`: `let g = grad(…)`"),
        ));
    }
    let node = e.emit().gradient(loss, x);
    Ok(e.tensor(node))
}

/// `y` in the shape of `x`: of equal shape, or a scalar. Losses use it, so that they never broadcast silently.
fn like(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0)?;
    let own = e.type_of(x).clone();
    let y = e.tensor_like(a.value(1), own.dtype, a.place(1))?;
    let other = e.type_of(y).clone();
    if other.dtype != own.dtype {
        let message = format!("{} and {} do not mix", own.dtype, other.dtype);
        return Err(e.report(
            error(codes::MIXED_TYPES, a.place(1), message)
                .note(format!("the two sides are {own} and {other}"))
                .help("`f32(…)` and `i32(…)` convert"),
        ));
    }
    if other.shape == own.shape {
        return Ok(e.tensor(y));
    }
    if other.rank() == 0 {
        let node = e.emit().broadcast(y, &own.shape);
        return Ok(e.tensor(node));
    }
    let message =
        format!("an elementwise loss takes equal shapes or a scalar, these are {own} and {other}");
    let mut diagnostic = error(codes::BROADCAST, a.place(1), message).here(other.to_string());
    if own.elements(7) == other.elements(7) {
        diagnostic = diagnostic.help("`squeeze`, `unsqueeze` or `reshape` make the shapes equal");
    }
    Err(e.report(diagnostic))
}
