//! Elementwise functions of two operands of one type and shape.

use super::super::super::Built;
use super::super::super::error::ensure;
use super::super::super::eval::{Evaluation, Tensor};
use super::super::super::{
    BinaryOp, Builder, DType, NodeId, Scalar, TensorType, TypeError, UnaryOp,
};
use super::super::Derivative;

/// A function of two numbers.
pub struct BinaryRow {
    /// Which.
    pub op: BinaryOp,
    /// Its name in text.
    pub name: &'static str,
    /// Its value on floats; comparisons give 0 or 1.
    pub value: fn(f64, f64) -> f64,
    /// Its value on integers, wrapping; powers are of floats only.
    pub integer: fn(i64, i64) -> i64,
    /// Whether the operands may change places.
    pub commutes: bool,
}

const fn row(
    op: BinaryOp,
    name: &'static str,
    value: fn(f64, f64) -> f64,
    integer: fn(i64, i64) -> i64,
    commutes: bool,
) -> BinaryRow {
    BinaryRow {
        op,
        name,
        value,
        integer,
        commutes,
    }
}

/// Every binary function, in the order of [`BinaryOp`].
pub const BINARY: [BinaryRow; 16] = [
    row(BinaryOp::Add, "add", |a, b| a + b, i64::wrapping_add, true),
    row(BinaryOp::Sub, "sub", |a, b| a - b, i64::wrapping_sub, false),
    row(BinaryOp::Mul, "mul", |a, b| a * b, i64::wrapping_mul, true),
    row(
        BinaryOp::Div,
        "div",
        |a, b| a / b,
        |a, b| a.checked_div(b).unwrap_or(0),
        false,
    ),
    row(BinaryOp::Rem, "rem", remainder, integer_remainder, false),
    row(BinaryOp::Pow, "pow", f64::powf, |_, _| 0, false),
    row(
        BinaryOp::Max,
        "max",
        |a, b| nan_or(a, b, f64::max),
        Ord::max,
        true,
    ),
    row(
        BinaryOp::Min,
        "min",
        |a, b| nan_or(a, b, f64::min),
        Ord::min,
        true,
    ),
    row(
        BinaryOp::Eq,
        "eq",
        |a, b| truth(a == b),
        |a, b| i64::from(a == b),
        true,
    ),
    row(
        BinaryOp::Ne,
        "ne",
        |a, b| truth(a != b),
        |a, b| i64::from(a != b),
        true,
    ),
    row(
        BinaryOp::Lt,
        "lt",
        |a, b| truth(a < b),
        |a, b| i64::from(a < b),
        false,
    ),
    row(
        BinaryOp::Le,
        "le",
        |a, b| truth(a <= b),
        |a, b| i64::from(a <= b),
        false,
    ),
    row(
        BinaryOp::Gt,
        "gt",
        |a, b| truth(a > b),
        |a, b| i64::from(a > b),
        false,
    ),
    row(
        BinaryOp::Ge,
        "ge",
        |a, b| truth(a >= b),
        |a, b| i64::from(a >= b),
        false,
    ),
    row(BinaryOp::And, "and", |a, b| a.min(b), |a, b| a & b, true),
    row(BinaryOp::Or, "or", |a, b| a.max(b), |a, b| a | b, true),
];

pub(in super::super) const BINARY_NAMES: [&str; BINARY.len()] = {
    let mut names = [""; BINARY.len()];
    let mut number = 0;
    while number < names.len() {
        names[number] = BINARY[number].name;
        number += 1;
    }
    names
};

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn nan_or(a: f64, b: f64, function: fn(f64, f64) -> f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        function(a, b)
    }
}

/// Python's `%`: the sign is the divisor's.
fn remainder(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
        rest + b
    } else {
        rest
    }
}

fn integer_remainder(a: i64, b: i64) -> i64 {
    match a.checked_rem(b) {
        Some(rest) if rest != 0 && (rest < 0) != (b < 0) => rest + b,
        Some(rest) => rest,
        None => 0,
    }
}

impl BinaryOp {
    /// The function's row in [`BINARY`].
    pub fn row(self) -> &'static BinaryRow {
        &BINARY[self as usize]
    }

    /// Its name in text.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The function of that name.
    pub fn from_name(name: &str) -> Option<BinaryOp> {
        BINARY.iter().find(|row| row.name == name).map(|row| row.op)
    }

    /// Whether the result is a truth value whatever the operands are.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge
        )
    }
}

pub(in super::super) fn infer_binary(
    op: BinaryOp,
    a: &TensorType,
    b: &TensorType,
) -> Result<TensorType, TypeError> {
    ensure(a.dtype == b.dtype, || {
        format!(
            "`{}` takes operands of one type, not {} and {}",
            op.name(),
            a.dtype,
            b.dtype
        )
    })?;
    ensure(a.shape == b.shape, || {
        format!(
            "`{}` takes operands of one shape, not {a} and {b}",
            op.name()
        )
    })?;
    let suits = match (op, a.dtype) {
        (BinaryOp::And | BinaryOp::Or, dtype) => dtype == DType::Bool,
        (BinaryOp::Eq | BinaryOp::Ne, _) => true,
        (_, dtype) if op.is_comparison() => dtype != DType::Bool,
        (BinaryOp::Pow, dtype) => dtype.is_float(),
        (_, dtype) => dtype != DType::Bool,
    };
    ensure(suits, || {
        format!("`{}` does not apply to {}", op.name(), a.dtype)
    })?;
    let dtype = if op.is_comparison() {
        DType::Bool
    } else {
        a.dtype
    };
    Ok(TensorType::new(dtype, a.shape.clone()))
}

pub(in super::super) fn evaluate_binary(op: BinaryOp, at: &Evaluation<'_>) -> Tensor {
    let pairs = at.operands[0].data.iter().zip(&at.operands[1].data);
    let elements = pairs.map(|(&a, &b)| match at.dtype {
        DType::F32 | DType::Bf16 => (op.row().value)(a, b),
        DType::I64 => (op.row().integer)(a as i64, b as i64) as f64,
        // Wrapped here because a product of two i32 need not fit the 53 bits of a float.
        _ => f64::from((op.row().integer)(a as i64, b as i64) as i32),
    });
    Tensor::new(at.shape, elements.collect())
}

pub(in super::super) fn gradient(
    builder: &mut Builder<'_>,
    op: BinaryOp,
    at: &Derivative<'_>,
    which: usize,
) -> Result<Option<NodeId>, TypeError> {
    let (a, b, y, g) = (at.inputs[0], at.inputs[1], at.result, at.g);
    let built = match (op, which) {
        (BinaryOp::Add, _) | (BinaryOp::Sub | BinaryOp::Rem, 0) => Ok(g),
        (BinaryOp::Sub, _) => builder.unary(UnaryOp::Neg, g),
        (BinaryOp::Mul, _) => builder.binary(BinaryOp::Mul, g, at.inputs[1 - which]),
        (BinaryOp::Div, 0) => builder.binary(BinaryOp::Div, g, b),
        (BinaryOp::Div, _) => {
            let part = builder.binary(BinaryOp::Div, g, b)?;
            let product = builder.binary(BinaryOp::Mul, part, y)?;
            builder.unary(UnaryOp::Neg, product)
        }
        (BinaryOp::Rem, _) => {
            let quotient = builder.binary(BinaryOp::Div, a, b)?;
            let whole = builder.unary(UnaryOp::Floor, quotient)?;
            let product = builder.binary(BinaryOp::Mul, g, whole)?;
            builder.unary(UnaryOp::Neg, product)
        }
        (BinaryOp::Pow, 0) => power_base_gradient(builder, a, b, g),
        (BinaryOp::Pow, _) => power_exponent_gradient(builder, at),
        (BinaryOp::Max | BinaryOp::Min, _) => extremum_gradient(builder, op, at, which),
        _ => return Ok(None),
    };
    built.map(Some)
}

/// `g * b * a^(b - 1)`, and 0 where b is 0.
fn power_base_gradient(builder: &mut Builder<'_>, a: NodeId, b: NodeId, g: NodeId) -> Built {
    let zero = builder.full_like(0.0, b)?;
    let one = builder.full_like(1.0, b)?;
    let lower = builder.binary(BinaryOp::Sub, b, one)?;
    let power = builder.binary(BinaryOp::Pow, a, lower)?;
    let slope = builder.binary(BinaryOp::Mul, b, power)?;
    let product = builder.binary(BinaryOp::Mul, g, slope)?;
    let constant = builder.binary(BinaryOp::Eq, b, zero)?;
    builder.select(constant, zero, product)
}

/// `g * a^b * log(a)`, and 0 where a is 0 and b is not negative.
fn power_exponent_gradient(builder: &mut Builder<'_>, at: &Derivative<'_>) -> Built {
    let (a, b) = (at.inputs[0], at.inputs[1]);
    let zero = builder.full_like(0.0, a)?;
    let logarithm = builder.unary(UnaryOp::Log, a)?;
    let slope = builder.binary(BinaryOp::Mul, at.result, logarithm)?;
    let product = builder.binary(BinaryOp::Mul, at.g, slope)?;
    let at_zero = builder.binary(BinaryOp::Eq, a, zero)?;
    let rising = builder.binary(BinaryOp::Ge, b, zero)?;
    let flat = builder.binary(BinaryOp::And, at_zero, rising)?;
    builder.select(flat, zero, product)
}

/// Against a constant, the gradient flows where the result is beyond it, which needs the result only. Of two
/// tensors, it goes to the winner, and half to each where they tie.
fn extremum_gradient(
    builder: &mut Builder<'_>,
    op: BinaryOp,
    at: &Derivative<'_>,
    which: usize,
) -> Built {
    let beyond = if op == BinaryOp::Max {
        BinaryOp::Gt
    } else {
        BinaryOp::Lt
    };
    let (own, other) = (at.inputs[which], at.inputs[1 - which]);
    let zero = builder.full_like(0.0, at.g)?;
    if matches!(builder.graph.constant_value(other), Some(Scalar::F32(_))) {
        let wins = builder.binary(beyond, at.result, other)?;
        return builder.select(wins, at.g, zero);
    }
    let half = builder.scaled(at.g, 0.5)?;
    let ties = builder.binary(BinaryOp::Eq, own, other)?;
    let wins = builder.binary(beyond, own, other)?;
    let shared = builder.select(ties, half, zero)?;
    builder.select(wins, at.g, shared)
}
