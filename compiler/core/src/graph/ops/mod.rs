//! What each operation means: one file per operation or kind, and one table of them all.
//!
//! A file gives the shape rule (`infer`), the slow evaluation (`evaluate`), the derivative in one input (`gradient`)
//! and, in its tests, what the property tests run it on.

mod concat;
mod contract;
mod cumulative;
mod elementwise;
mod gather;
mod iota;
mod random;
mod reduce;
mod reshape;
pub(super) mod scan;
mod scatter;
mod view;

pub use elementwise::{BINARY, UNARY};
pub use random::threefry;

use super::Built;
use super::error::ensure;
use super::eval::{EvalError, Evaluation, Tensor};
use super::{Builder, DType, NodeId, Op, ReduceOp, TensorType, TypeError};

/// A row of the table of operations.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The name in text of every operation of the kind.
    pub names: &'static [&'static str],
    /// What it computes, in a line.
    pub summary: &'static str,
}

/// Every kind of operation, in the order of [`Op`]'s variants.
pub const KINDS: [Kind; 21] = [
    kind(&["input"], "a value from outside"),
    kind(&["constant"], "a scalar known at compile time"),
    kind(&["iota"], "the position along an axis"),
    kind(&["batch_size"], "the run-time batch size as a float"),
    kind(
        &elementwise::UNARY_NAMES,
        "elementwise functions of one operand",
    ),
    kind(
        &elementwise::BINARY_NAMES,
        "elementwise functions of two operands",
    ),
    kind(&["select"], "elementwise choice by a truth value"),
    kind(&["cast"], "conversion to another element type"),
    kind(&reduce::NAMES, "reductions over axes"),
    kind(&["contract"], "a sum of products with affine indices"),
    kind(&["view"], "elements at affine positions, or a fill"),
    kind(&["reshape"], "the same elements under another shape"),
    kind(&["concat"], "operands joined along an axis"),
    kind(&["gather"], "rows of a table"),
    kind(&["scatter_add"], "rows added into a zero table"),
    kind(&["cumulative_sum"], "prefix sums along an axis"),
    kind(&random::NAMES, "counter-based random values"),
    kind(&["stop_gradient"], "the identity, with no gradient"),
    kind(
        &["gradient"],
        "the gradient of a scalar, until it is expanded",
    ),
    kind(&["argument"], "what a round of a body begins with"),
    kind(&["scan"], "one result of a loop over rounds"),
];

const fn kind(names: &'static [&'static str], summary: &'static str) -> Kind {
    Kind { names, summary }
}

impl Op {
    /// The row of [`KINDS`] that describes the operation.
    pub fn kind(&self) -> &'static Kind {
        &KINDS[self.kind_number()]
    }

    fn kind_number(&self) -> usize {
        match self {
            Op::Input { .. } => 0,
            Op::Constant(_) => 1,
            Op::Iota { .. } => 2,
            Op::BatchSize => 3,
            Op::Unary(_) => 4,
            Op::Binary(_) => 5,
            Op::Select => 6,
            Op::Cast(_) => 7,
            Op::Reduce { .. } => 8,
            Op::Contract(_) => 9,
            Op::View(_) => 10,
            Op::Reshape { .. } => 11,
            Op::Concat { .. } => 12,
            Op::Gather => 13,
            Op::ScatterAdd { .. } => 14,
            Op::CumulativeSum { .. } => 15,
            Op::Random { .. } => 16,
            Op::StopGradient => 17,
            Op::Gradient => 18,
            Op::Argument { .. } => 19,
            Op::Scan(_) => 20,
        }
    }

    /// The operation's name in text: `add`, `contract`, `sum`.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Unary(op) => op.name(),
            Op::Binary(op) => op.name(),
            Op::Reduce { op, .. } => op.name(),
            Op::Random { op, .. } => op.name(),
            _ => self.kind().names[0],
        }
    }

    /// How many inputs the operation takes; `None` where any number above none will do.
    fn arity(&self) -> Option<usize> {
        match self {
            Op::Input { .. }
            | Op::Constant(_)
            | Op::Iota { .. }
            | Op::BatchSize
            | Op::Argument { .. } => Some(0),
            Op::Unary(_) | Op::Cast(_) | Op::Reduce { .. } | Op::View(_) | Op::Reshape { .. } => {
                Some(1)
            }
            Op::CumulativeSum { .. } | Op::StopGradient => Some(1),
            Op::Binary(_)
            | Op::Gather
            | Op::ScatterAdd { .. }
            | Op::Random { .. }
            | Op::Gradient => Some(2),
            Op::Select => Some(3),
            Op::Contract(contraction) => Some(contraction.operands.len()),
            Op::Concat { .. } | Op::Scan(_) => None,
        }
    }
}

/// The type of the result, or what is wrong with the inputs.
///
/// # Errors
/// The number or types of the inputs do not suit the operation.
pub fn infer(op: &Op, inputs: &[&TensorType]) -> Result<TensorType, TypeError> {
    let suits = op
        .arity()
        .map_or(!inputs.is_empty(), |arity| arity == inputs.len());
    ensure(suits, || match op.arity() {
        Some(arity) => format!("`{}` takes {arity} inputs, not {}", op.name(), inputs.len()),
        None => format!("`{}` takes at least one input", op.name()),
    })?;
    match op {
        Op::Input { ty, .. } | Op::Argument { ty, .. } => Ok(ty.clone()),
        Op::Constant(value) => Ok(TensorType::scalar(value.dtype())),
        Op::Iota { shape, axis } => iota::infer(shape, *axis),
        Op::BatchSize => Ok(TensorType::scalar(DType::F32)),
        Op::Unary(op) => elementwise::infer_unary(*op, inputs[0]),
        Op::Binary(op) => elementwise::infer_binary(*op, inputs[0], inputs[1]),
        Op::Select => elementwise::infer_select(inputs),
        Op::Cast(dtype) => Ok(TensorType::new(*dtype, inputs[0].shape.clone())),
        Op::Reduce { op, axes } => reduce::infer(*op, axes, inputs[0]),
        Op::Contract(contraction) => contract::infer(contraction, inputs),
        Op::View(view) => view::infer(view, inputs[0]),
        Op::Reshape { shape } => reshape::infer(shape, inputs[0]),
        Op::Concat { axis } => concat::infer(*axis, inputs),
        Op::Gather => gather::infer(inputs[0], inputs[1]),
        Op::ScatterAdd { rows } => scatter::infer(*rows, inputs[0], inputs[1]),
        Op::CumulativeSum { axis, .. } => cumulative::infer(*axis, inputs[0]),
        Op::Random { shape, .. } => random::infer(shape, inputs),
        Op::StopGradient => Ok(inputs[0].clone()),
        Op::Gradient => infer_gradient(inputs[0], inputs[1]),
        Op::Scan(scan) => scan::infer(scan, inputs),
    }
}

/// The value of an operation on given operands.
///
/// # Errors
/// A gradient was not expanded.
pub(super) fn evaluate(op: &Op, at: &Evaluation<'_>) -> Result<Tensor, EvalError> {
    Ok(match op {
        Op::Input { name, .. } => return Err(EvalError::Missing(name.clone())),
        Op::Constant(value) => Tensor::scalar(value.as_f64()),
        Op::Iota { axis, .. } => Tensor::from_fn(at.shape, |index| index[*axis] as f64),
        Op::BatchSize => Tensor::scalar(at.batch as f64),
        Op::Unary(op) => elementwise::evaluate_unary(*op, at),
        Op::Binary(op) => elementwise::evaluate_binary(*op, at),
        Op::Select => elementwise::evaluate_select(at),
        Op::Cast(dtype) => elementwise::evaluate_cast(*dtype, at),
        Op::Reduce { op, axes } => reduce::evaluate(*op, axes, at),
        Op::Contract(contraction) => contract::evaluate(contraction, at),
        Op::View(view) => view::evaluate(view, at),
        Op::Reshape { .. } => Tensor::new(at.shape, at.operands[0].data.clone()),
        Op::Concat { axis } => concat::evaluate(*axis, at),
        Op::Gather => gather::evaluate(at),
        Op::ScatterAdd { .. } => scatter::evaluate(at),
        Op::CumulativeSum { axis, reverse } => cumulative::evaluate(*axis, *reverse, at),
        Op::Random { op, place, .. } => random::evaluate(*op, *place, at),
        Op::StopGradient => at.operands[0].clone(),
        Op::Gradient => return Err(EvalError::Gradient),
        Op::Argument { number, .. } => {
            return Err(EvalError::Missing(format!("argument {number}")));
        }
        Op::Scan(scan) => scan::evaluate(scan, at, false)?,
    })
}

/// A node whose derivative is asked for.
pub(crate) struct Derivative<'d> {
    /// The operation.
    pub op: &'d Op,
    /// Its inputs.
    pub inputs: &'d [NodeId],
    /// Its value.
    pub result: NodeId,
    /// The gradient of its value.
    pub g: NodeId,
}

/// The gradient with respect to input `which` (a float), or `None` where it is zero everywhere.
pub(crate) fn gradient(
    builder: &mut Builder<'_>,
    at: &Derivative<'_>,
    which: usize,
) -> Result<Option<NodeId>, TypeError> {
    let (x, g) = (at.inputs[which], at.g);
    let built: Built = match at.op {
        Op::Input { .. }
        | Op::Constant(_)
        | Op::Iota { .. }
        | Op::BatchSize
        | Op::Random { .. }
        | Op::Argument { .. }
        | Op::StopGradient => {
            return Ok(None);
        }
        Op::Unary(op) => return elementwise::unary_gradient(builder, *op, at),
        Op::Binary(op) => return elementwise::binary_gradient(builder, *op, at, which),
        Op::Select => elementwise::select_gradient(builder, at, which),
        Op::Cast(_) => {
            let dtype = builder.graph.ty(x).dtype;
            builder.cast(g, dtype)
        }
        Op::Reduce {
            op: ReduceOp::ArgMax | ReduceOp::ArgMin,
            ..
        } => return Ok(None),
        Op::Reduce { op, axes } => reduce::gradient(builder, *op, axes, at),
        Op::Contract(contraction) => builder.contraction_adjoint(contraction, at.inputs, which, g),
        Op::View(view) => view::gradient(builder, view, at),
        Op::Reshape { .. } => {
            let shape = builder.shape(x);
            builder.reshape(g, &shape)
        }
        Op::Concat { axis } => concat::gradient(builder, *axis, at, which),
        Op::Gather => gather::gradient(builder, at),
        Op::ScatterAdd { .. } => builder.gather(g, at.inputs[0]),
        Op::CumulativeSum { axis, reverse } => builder.add(
            Op::CumulativeSum {
                axis: *axis,
                reverse: !reverse,
            },
            &[g],
        ),
        Op::Gradient => Err(TypeError::new("a gradient inside was not expanded first")),
        Op::Scan(_) => Err(TypeError::new(
            "a scan's results are differentiated together",
        )),
    };
    built.map(Some)
}

fn infer_gradient(loss: &TensorType, x: &TensorType) -> Result<TensorType, TypeError> {
    ensure(loss.shape.is_empty() && loss.dtype.is_float(), || {
        format!("a gradient is of a float scalar, not of {loss}")
    })?;
    ensure(x.dtype.is_float(), || {
        format!("a gradient is with respect to a float tensor, not {x}")
    })?;
    Ok(x.clone())
}
