//! The type of an operation's result: one rule for each kind of operation.

use super::{BinaryOp, Contraction, DType, Dim, Op, ReduceOp, Scalar, TensorType, UnaryOp, View};

/// Operands that do not fit an operation, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TypeError(pub String);

fn wrong<T>(message: impl Into<String>) -> Result<T, TypeError> {
    Err(TypeError(message.into()))
}

/// The type of `op` applied to operands of the given types.
///
/// # Errors
/// Where the number of operands, their element types or their shapes do not fit.
pub fn infer(op: &Op, inputs: &[&TensorType]) -> Result<TensorType, TypeError> {
    let wanted = arity(op);
    if wanted.is_some_and(|wanted| wanted != inputs.len())
        || (wanted.is_none() && inputs.is_empty())
    {
        return wrong(format!(
            "{} operands given, {} wanted",
            inputs.len(),
            wanted.unwrap_or(1)
        ));
    }
    match op {
        Op::Input { ty, .. } => Ok(ty.clone()),
        Op::Constant(Scalar::F32(_)) | Op::BatchSize => Ok(TensorType::scalar(DType::F32)),
        Op::Constant(Scalar::I32(_)) => Ok(TensorType::scalar(DType::I32)),
        Op::Constant(Scalar::Bool(_)) => Ok(TensorType::scalar(DType::Bool)),
        Op::Iota { shape, axis } if *axis < shape.len() => {
            Ok(TensorType::new(DType::I32, shape.clone()))
        }
        Op::Iota { .. } => wrong("an axis beyond the shape"),
        Op::Unary(op) => unary(*op, inputs[0]),
        Op::Binary(op) => binary(*op, inputs[0], inputs[1]),
        Op::Select => select(inputs),
        Op::Cast(to) => Ok(TensorType::new(*to, inputs[0].shape.clone())),
        Op::Reduce { op, axes } => reduce(*op, axes, inputs[0]),
        Op::Contract(contraction) => contract(contraction, inputs),
        Op::View(view) => view_type(view, inputs[0]),
        Op::Reshape { shape } => reshape(shape, inputs[0]),
        Op::Concat { axis } => concat(*axis, inputs),
        Op::Gather => gather(inputs[0], inputs[1]),
        Op::ScatterAdd { rows } => scatter(*rows, inputs[0], inputs[1]),
        Op::CumulativeSum { axis, .. } if *axis < inputs[0].rank() => Ok(inputs[0].clone()),
        Op::CumulativeSum { .. } => wrong("an axis beyond the shape"),
        Op::Random { shape, .. } => random(shape, inputs),
        Op::StopGradient => Ok(inputs[0].clone()),
        Op::Gradient => gradient(inputs[0], inputs[1]),
    }
}

/// How many operands an operation takes; `None` is one or more.
pub fn arity(op: &Op) -> Option<usize> {
    match op {
        Op::Input { .. } | Op::Constant(_) | Op::Iota { .. } | Op::BatchSize => Some(0),
        Op::Unary(_)
        | Op::Cast(_)
        | Op::Reduce { .. }
        | Op::View(_)
        | Op::Reshape { .. }
        | Op::CumulativeSum { .. }
        | Op::StopGradient => Some(1),
        Op::Binary(_) | Op::Gather | Op::ScatterAdd { .. } | Op::Random { .. } | Op::Gradient => {
            Some(2)
        }
        Op::Select => Some(3),
        Op::Contract(contraction) => Some(contraction.operands.len()),
        Op::Concat { .. } => None,
    }
}

fn unary(op: UnaryOp, a: &TensorType) -> Result<TensorType, TypeError> {
    let integers = matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Sign);
    let fits = match a.dtype {
        DType::Bool => op == UnaryOp::Not,
        DType::I32 | DType::I64 => integers,
        DType::U8 => false,
        DType::F32 | DType::Bf16 => op != UnaryOp::Not,
    };
    if fits {
        Ok(a.clone())
    } else {
        wrong(format!("this function does not take {}", a.dtype))
    }
}

fn binary(op: BinaryOp, a: &TensorType, b: &TensorType) -> Result<TensorType, TypeError> {
    if a.dtype != b.dtype {
        return wrong(format!(
            "{} and {} do not mix; cast one of them",
            a.dtype, b.dtype
        ));
    }
    if a.shape != b.shape {
        return wrong(format!("shapes differ: {a} and {b}"));
    }
    match op {
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge => {
            Ok(TensorType::new(DType::Bool, a.shape.clone()))
        }
        BinaryOp::And | BinaryOp::Or if a.dtype == DType::Bool => Ok(a.clone()),
        BinaryOp::And | BinaryOp::Or => wrong(format!("truth values wanted, {} given", a.dtype)),
        BinaryOp::Pow if !a.dtype.is_float() => wrong("powers are of floats; cast first"),
        _ if a.dtype == DType::Bool => wrong("arithmetic on truth values; cast first"),
        _ => Ok(a.clone()),
    }
}

fn select(inputs: &[&TensorType]) -> Result<TensorType, TypeError> {
    let [condition, a, b] = inputs else {
        return wrong("three operands wanted");
    };
    if condition.dtype != DType::Bool {
        return wrong(format!("the condition is {}, not bool", condition.dtype));
    }
    if a != b || condition.shape != a.shape {
        return wrong(format!("types differ: {condition}, {a} and {b}"));
    }
    Ok((*a).clone())
}

fn reduce(op: ReduceOp, axes: &[usize], a: &TensorType) -> Result<TensorType, TypeError> {
    let ascending = axes.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || axes.iter().any(|&axis| axis >= a.rank()) {
        return wrong(format!("axes {axes:?} of {a}"));
    }
    if a.dtype == DType::Bool && !matches!(op, ReduceOp::Max | ReduceOp::Min) {
        return wrong("a reduction of truth values; cast first");
    }
    let rest = a
        .shape
        .iter()
        .enumerate()
        .filter(|(axis, _)| !axes.contains(axis))
        .map(|(_, &dim)| dim);
    let dtype = match op {
        ReduceOp::ArgMax | ReduceOp::ArgMin => DType::I32,
        _ => a.dtype,
    };
    Ok(TensorType::new(dtype, rest.collect::<Vec<Dim>>()))
}

fn contract(contraction: &Contraction, inputs: &[&TensorType]) -> Result<TensorType, TypeError> {
    let variables = contraction.shape.len() + contraction.reduced.len();
    for (axes, input) in contraction.operands.iter().zip(inputs) {
        if !input.dtype.is_float() {
            return wrong(format!("a product of {}; cast first", input.dtype));
        }
        if axes.len() != input.rank() {
            return wrong(format!("{} axes addressed of {input}", axes.len()));
        }
        if axes
            .iter()
            .flat_map(|axis| &axis.terms)
            .any(|term| term.0 >= variables)
        {
            return wrong("a variable that does not exist");
        }
    }
    Ok(TensorType::new(inputs[0].dtype, contraction.shape.clone()))
}

fn view_type(view: &View, a: &TensorType) -> Result<TensorType, TypeError> {
    if view.index.len() != a.rank() {
        return wrong(format!("{} axes addressed of {a}", view.index.len()));
    }
    if view
        .index
        .iter()
        .flat_map(|axis| &axis.terms)
        .any(|term| term.0 >= view.shape.len())
    {
        return wrong("a variable that does not exist");
    }
    Ok(TensorType::new(a.dtype, view.shape.clone()))
}

fn reshape(shape: &[Dim], a: &TensorType) -> Result<TensorType, TypeError> {
    let fits = [1, 2, 3, 5].iter().all(|&batch| {
        let product = |dims: &[Dim]| dims.iter().map(|dim| dim.at(batch)).product::<i64>();
        product(shape) == product(&a.shape)
    });
    let to = TensorType::new(a.dtype, shape);
    if fits {
        Ok(to)
    } else {
        wrong(format!("{a} has another number of elements than {to}"))
    }
}

fn concat(axis: usize, inputs: &[&TensorType]) -> Result<TensorType, TypeError> {
    let first = inputs[0];
    if axis >= first.rank() {
        return wrong(format!("axis {axis} of {first}"));
    }
    let mut shape = first.shape.clone();
    for input in &inputs[1..] {
        let same = input.rank() == first.rank()
            && input.dtype == first.dtype
            && (0..first.rank())
                .all(|other| other == axis || input.shape[other] == first.shape[other]);
        if !same {
            return wrong(format!("{first} and {input} do not join along axis {axis}"));
        }
        shape[axis].batch += input.shape[axis].batch;
        shape[axis].fixed += input.shape[axis].fixed;
    }
    Ok(TensorType::new(first.dtype, shape))
}

fn gather(table: &TensorType, ids: &TensorType) -> Result<TensorType, TypeError> {
    if ids.dtype != DType::I32 || table.rank() == 0 {
        return wrong(format!(
            "rows of {table} by {ids}: the ids are i32, the table has rows"
        ));
    }
    let mut shape = ids.shape.clone();
    shape.extend_from_slice(&table.shape[1..]);
    Ok(TensorType::new(table.dtype, shape))
}

fn scatter(rows: Dim, ids: &TensorType, updates: &TensorType) -> Result<TensorType, TypeError> {
    let prefix = updates.shape.get(..ids.rank());
    if ids.dtype != DType::I32 || prefix != Some(&ids.shape[..]) {
        return wrong(format!("rows of {updates} by {ids}"));
    }
    let mut shape = vec![rows];
    shape.extend_from_slice(&updates.shape[ids.rank()..]);
    Ok(TensorType::new(updates.dtype, shape))
}

fn random(shape: &[Dim], inputs: &[&TensorType]) -> Result<TensorType, TypeError> {
    let scalar = TensorType::scalar(DType::I32);
    if inputs.iter().any(|input| **input != scalar) {
        return wrong("seed and step are i32 scalars");
    }
    Ok(TensorType::new(DType::F32, shape))
}

fn gradient(loss: &TensorType, x: &TensorType) -> Result<TensorType, TypeError> {
    if loss.rank() != 0 || !loss.dtype.is_float() {
        return wrong(format!("a gradient is of a float scalar, not of {loss}"));
    }
    if !x.dtype.is_float() {
        return wrong(format!("there is no gradient with respect to {}", x.dtype));
    }
    Ok(x.clone())
}
