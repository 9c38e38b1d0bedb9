//! Elementwise functions of one operand.

use super::super::super::error::ensure;
use super::super::super::eval::{Evaluation, Tensor};
use super::super::super::{BinaryOp, Builder, DType, NodeId, TensorType, TypeError, UnaryOp};
use super::super::Derivative;

/// A function of one number.
pub struct UnaryRow {
    /// Which.
    pub op: UnaryOp,
    /// Its name in text.
    pub name: &'static str,
    /// Its value.
    pub value: fn(f64) -> f64,
    /// Whether greater arguments never give smaller values.
    pub nondecreasing: bool,
}

const fn row(
    op: UnaryOp,
    name: &'static str,
    value: fn(f64) -> f64,
    nondecreasing: bool,
) -> UnaryRow {
    UnaryRow {
        op,
        name,
        value,
        nondecreasing,
    }
}

/// Every unary function, in the order of [`UnaryOp`].
pub const UNARY: [UnaryRow; 15] = [
    row(UnaryOp::Neg, "neg", |x| -x, false),
    row(UnaryOp::Abs, "abs", f64::abs, false),
    row(UnaryOp::Sign, "sign", sign, true),
    row(UnaryOp::Exp, "exp", f64::exp, true),
    row(UnaryOp::Log, "log", f64::ln, false),
    row(UnaryOp::Sqrt, "sqrt", f64::sqrt, false),
    row(UnaryOp::Rsqrt, "rsqrt", |x| 1.0 / x.sqrt(), false),
    row(UnaryOp::Sin, "sin", f64::sin, false),
    row(UnaryOp::Cos, "cos", f64::cos, false),
    row(UnaryOp::Tanh, "tanh", f64::tanh, true),
    row(UnaryOp::Erf, "erf", libm::erf, true),
    row(UnaryOp::Floor, "floor", f64::floor, true),
    row(UnaryOp::Ceil, "ceil", f64::ceil, true),
    row(UnaryOp::Round, "round", f64::round_ties_even, true),
    row(
        UnaryOp::Not,
        "not",
        |x| f64::from(u8::from(x == 0.0)),
        false,
    ),
];

pub(in super::super) const UNARY_NAMES: [&str; UNARY.len()] = {
    let mut names = [""; UNARY.len()];
    let mut number = 0;
    while number < names.len() {
        names[number] = UNARY[number].name;
        number += 1;
    }
    names
};

fn sign(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() {
        x
    } else {
        x.signum()
    }
}

impl UnaryOp {
    /// The function's row in [`UNARY`].
    pub fn row(self) -> &'static UnaryRow {
        &UNARY[self as usize]
    }

    /// Its name in text.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The function of that name.
    pub fn from_name(name: &str) -> Option<UnaryOp> {
        UNARY.iter().find(|row| row.name == name).map(|row| row.op)
    }
}

pub(in super::super) fn infer_unary(op: UnaryOp, x: &TensorType) -> Result<TensorType, TypeError> {
    let integers = matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Sign);
    let suits = match x.dtype {
        DType::F32 | DType::Bf16 => op != UnaryOp::Not,
        DType::I32 | DType::I64 => integers,
        DType::Bool => op == UnaryOp::Not,
        DType::U8 => false,
    };
    ensure(suits, || {
        format!("`{}` does not apply to {}", op.name(), x.dtype)
    })?;
    Ok(x.clone())
}

pub(in super::super) fn evaluate_unary(op: UnaryOp, at: &Evaluation<'_>) -> Tensor {
    let elements = at.operands[0]
        .data
        .iter()
        .map(|&value| (op.row().value)(value));
    Tensor::new(at.shape, elements.collect())
}

/// From the result where that serves, so that the operand need not be kept.
pub(in super::super) fn gradient(
    builder: &mut Builder<'_>,
    op: UnaryOp,
    at: &Derivative<'_>,
) -> Result<Option<NodeId>, TypeError> {
    let (x, y, g) = (at.inputs[0], at.result, at.g);
    let factor = match op {
        UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Not => {
            return Ok(None);
        }
        UnaryOp::Neg => return builder.unary(UnaryOp::Neg, g).map(Some),
        UnaryOp::Log => return builder.binary(BinaryOp::Div, g, x).map(Some),
        UnaryOp::Sqrt => {
            let half = builder.scaled(g, 0.5)?;
            return builder.binary(BinaryOp::Div, half, y).map(Some);
        }
        UnaryOp::Abs => builder.unary(UnaryOp::Sign, x)?,
        UnaryOp::Exp => y,
        UnaryOp::Rsqrt => {
            let square = builder.binary(BinaryOp::Mul, y, y)?;
            let cube = builder.binary(BinaryOp::Mul, square, y)?;
            builder.scaled(cube, -0.5)?
        }
        UnaryOp::Sin => builder.unary(UnaryOp::Cos, x)?,
        UnaryOp::Cos => {
            let sine = builder.unary(UnaryOp::Sin, x)?;
            builder.unary(UnaryOp::Neg, sine)?
        }
        UnaryOp::Tanh => {
            let square = builder.binary(BinaryOp::Mul, y, y)?;
            let one = builder.full_like(1.0, y)?;
            builder.binary(BinaryOp::Sub, one, square)?
        }
        UnaryOp::Erf => {
            let square = builder.binary(BinaryOp::Mul, x, x)?;
            let negative = builder.unary(UnaryOp::Neg, square)?;
            let bell = builder.unary(UnaryOp::Exp, negative)?;
            builder.scaled(bell, std::f32::consts::FRAC_2_SQRT_PI)?
        }
    };
    builder.binary(BinaryOp::Mul, g, factor).map(Some)
}
