//! The slow, obvious evaluator: every value as f64, every operation by its definition. The oracle of all tests.

mod elementwise;
mod reduce;
mod tensor;
mod threefry;

pub use tensor::Tensor;
pub use threefry::threefry;

use super::{AxisIndex, Contraction, Dim, Graph, NodeId, Op, RandomOp, Scalar, View};
use cranelift_entity::SecondaryMap;
use std::collections::BTreeMap;

/// Why a graph could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// An input has no value.
    #[error("no value for input `{0}`")]
    Missing(String),
    /// An input's value has another shape.
    #[error("input `{name}` has shape {got:?}, wanted {wanted:?}")]
    Shape {
        /// The input.
        name: String,
        /// The value's shape.
        got: Vec<i64>,
        /// The graph's.
        wanted: Vec<i64>,
    },
    /// A gradient has not been expanded by the `autodiff` pass.
    #[error("a gradient that is not expanded")]
    Gradient,
}

/// The outputs of a graph, in order, for a batch size and values of all inputs by name.
///
/// # Errors
/// Where an input is missing or misshapen, or a gradient is not expanded.
pub fn evaluate(
    graph: &Graph,
    batch: i64,
    inputs: &BTreeMap<String, Tensor>,
) -> Result<Vec<(String, Tensor)>, EvalError> {
    let mut values: SecondaryMap<NodeId, Option<Tensor>> = SecondaryMap::new();
    for (id, node) in graph.nodes.iter() {
        let shape: Vec<i64> = node.ty.shape.iter().map(|dim| dim.at(batch)).collect();
        let operands: Vec<&Tensor> = node
            .inputs
            .iter()
            .filter_map(|&input| values[input].as_ref())
            .collect();
        let value = match &node.op {
            Op::Input { name, .. } => input(inputs, name, &shape)?,
            Op::Gradient => return Err(EvalError::Gradient),
            op => operation(op, &operands, &shape, batch),
        };
        values[id] = Some(value);
    }
    let outputs = graph.outputs.iter();
    Ok(outputs
        .filter_map(|output| Some((output.name.clone(), values[output.node].clone()?)))
        .collect())
}

fn input(
    inputs: &BTreeMap<String, Tensor>,
    name: &str,
    shape: &[i64],
) -> Result<Tensor, EvalError> {
    let value = inputs
        .get(name)
        .ok_or_else(|| EvalError::Missing(name.into()))?;
    if value.shape != shape {
        return Err(EvalError::Shape {
            name: name.into(),
            got: value.shape.clone(),
            wanted: shape.to_vec(),
        });
    }
    Ok(value.clone())
}

fn operation(op: &Op, operands: &[&Tensor], shape: &[i64], batch: i64) -> Tensor {
    match op {
        Op::Constant(scalar) => Tensor::new(shape, vec![number(*scalar)]),
        Op::BatchSize => Tensor::new(shape, vec![batch as f64]),
        Op::Iota { axis, .. } => Tensor::from_fn(shape, |index| index[*axis] as f64),
        Op::Unary(op) => elementwise::unary(*op, operands[0]),
        Op::Binary(op) => elementwise::binary(*op, operands[0], operands[1]),
        Op::Select => Tensor::from_fn(shape, |index| {
            let chosen = if operands[0].at(index) != 0.0 { 1 } else { 2 };
            operands[chosen].at(index)
        }),
        Op::Cast(to) => elementwise::cast(*to, operands[0]),
        Op::Reduce { op, axes } => reduce::reduce(*op, axes, operands[0], shape),
        Op::Contract(contraction) => contract(contraction, operands, shape, batch),
        Op::View(view) => self::view(view, operands[0], shape),
        Op::Reshape { .. } => Tensor::new(shape, operands[0].data.clone()),
        Op::Concat { axis } => concat(*axis, operands, shape),
        Op::Gather => gather(operands[0], operands[1], shape),
        Op::ScatterAdd { .. } => scatter_add(operands[0], operands[1], shape),
        Op::CumulativeSum { axis, reverse } => reduce::cumulative_sum(*axis, *reverse, operands[0]),
        Op::Random { op, place, .. } => random(*op, *place, operands, shape),
        Op::StopGradient => operands[0].clone(),
        Op::Input { .. } | Op::Gradient => Tensor::new(
            shape,
            vec![f64::NAN; shape.iter().product::<i64>() as usize],
        ),
    }
}

fn number(scalar: Scalar) -> f64 {
    match scalar {
        Scalar::F32(value) => f64::from(value),
        Scalar::I32(value) => f64::from(value),
        Scalar::Bool(value) => f64::from(u8::from(value)),
    }
}

/// The element of an operand at an index, or `None` where a position is invalid.
fn indexed(operand: &Tensor, axes: &[AxisIndex], variables: &[i64]) -> Option<f64> {
    let mut place = Vec::with_capacity(axes.len());
    for (axis, &extent) in axes.iter().zip(&operand.shape) {
        let position = axis.at(variables)?;
        if !(0..extent).contains(&position) {
            return None;
        }
        place.push(position);
    }
    Some(operand.at(&place))
}

fn contract(contraction: &Contraction, operands: &[&Tensor], shape: &[i64], batch: i64) -> Tensor {
    let reduced: Vec<i64> = contraction
        .reduced
        .iter()
        .map(|dim: &Dim| dim.at(batch))
        .collect();
    Tensor::from_fn(shape, |index| {
        let mut sum = 0.0;
        tensor::each_index(&reduced, |inner| {
            let variables: Vec<i64> = index.iter().chain(inner).copied().collect();
            let mut product = 1.0;
            for (axes, operand) in contraction.operands.iter().zip(operands) {
                match indexed(operand, axes, &variables) {
                    Some(factor) => product *= factor,
                    None => return,
                }
            }
            sum += product;
        });
        sum
    })
}

fn view(view: &View, operand: &Tensor, shape: &[i64]) -> Tensor {
    Tensor::from_fn(shape, |index| {
        indexed(operand, &view.index, index).unwrap_or(number(view.fill))
    })
}

fn concat(axis: usize, operands: &[&Tensor], shape: &[i64]) -> Tensor {
    Tensor::from_fn(shape, |index| {
        let mut index = index.to_vec();
        for operand in operands {
            if index[axis] < operand.shape[axis] {
                return operand.at(&index);
            }
            index[axis] -= operand.shape[axis];
        }
        f64::NAN
    })
}

/// The row that an id names; one out of range is clamped.
fn row(id: f64, rows: i64) -> i64 {
    (id as i64).clamp(0, (rows - 1).max(0))
}

fn gather(table: &Tensor, ids: &Tensor, shape: &[i64]) -> Tensor {
    let rank = ids.shape.len();
    Tensor::from_fn(shape, |index| {
        let mut place = vec![row(ids.at(&index[..rank]), table.shape[0])];
        place.extend_from_slice(&index[rank..]);
        table.at(&place)
    })
}

fn scatter_add(ids: &Tensor, updates: &Tensor, shape: &[i64]) -> Tensor {
    let mut result = Tensor::from_fn(shape, |_| 0.0);
    let rank = ids.shape.len();
    tensor::each_index(&updates.shape.clone(), |index| {
        let mut place = vec![row(ids.at(&index[..rank]), shape[0])];
        place.extend_from_slice(&index[rank..]);
        *result.at_mut(&place) += updates.at(index);
    });
    result
}

fn random(op: RandomOp, place: u32, operands: &[&Tensor], shape: &[i64]) -> Tensor {
    let (seed, step) = (
        operands[0].data[0] as i64 as u32,
        operands[1].data[0] as i64 as u32,
    );
    let mut number = 0u32;
    let mut next = || {
        let words = threefry([seed, place], [number, step]);
        number = number.wrapping_add(1);
        words
    };
    let unit = 1.0 / 16_777_216.0;
    let data = (0..shape.iter().product::<i64>()).map(|_| {
        let [a, b] = next().map(|word| f64::from(word >> 8));
        match op {
            RandomOp::Uniform => a * unit,
            RandomOp::Normal => {
                (-2.0 * ((a + 1.0) * unit).ln()).sqrt() * (std::f64::consts::TAU * b * unit).cos()
            }
        }
    });
    Tensor::new(shape, data.collect())
}
