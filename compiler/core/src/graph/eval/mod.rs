//! The slow, obvious evaluator: every value as f64, every operation by its definition. The oracle of all tests.
//!
//! Integers wrap to their type. [`evaluate`] does not round floats, so that finite differences make sense;
//! [`evaluate_single`] rounds each result to its type, which for `+ - * / sqrt` is exactly f32 arithmetic, while sums
//! and contractions still accumulate in f64.

mod tensor;
#[cfg(test)]
mod tests;

pub use super::ops::threefry;
pub use tensor::Tensor;
pub(super) use tensor::each_index;

use super::{DType, Graph, NodeId, Op, TensorType, ops};
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

/// Values of inputs by name.
pub type Inputs = BTreeMap<String, Tensor>;

/// An operation at work.
pub(super) struct Evaluation<'e> {
    /// The operands' values.
    pub operands: &'e [&'e Tensor],
    /// The first operand's element type, if there is one.
    pub dtype: DType,
    /// The result's extents.
    pub shape: &'e [i64],
    /// The batch size.
    pub batch: i64,
}

/// The outputs of a graph, in order, for a batch size and values of all inputs by name. Floats are not rounded.
///
/// # Errors
/// Where an input is missing or misshapen, or a gradient is not expanded.
pub fn evaluate(
    graph: &Graph,
    batch: i64,
    inputs: &Inputs,
) -> Result<Vec<(String, Tensor)>, EvalError> {
    let values = run(graph, batch, &Given::Inputs(inputs), false)?;
    Ok(named(graph, values))
}

/// [`evaluate`] with every float rounded to its type.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_single(
    graph: &Graph,
    batch: i64,
    inputs: &Inputs,
) -> Result<Vec<(String, Tensor)>, EvalError> {
    let values = run(graph, batch, &Given::Inputs(inputs), true)?;
    Ok(named(graph, values))
}

/// The outputs of a scan's body for given arguments.
pub(super) fn run_body(
    body: &Graph,
    batch: i64,
    arguments: &[Tensor],
    single: bool,
) -> Result<Vec<Tensor>, EvalError> {
    run(body, batch, &Given::Arguments(arguments), single)
}

fn named(graph: &Graph, values: Vec<Tensor>) -> Vec<(String, Tensor)> {
    let names = graph.outputs.iter().map(|output| output.name.clone());
    names.zip(values).collect()
}

/// What a graph or body is given.
enum Given<'g> {
    Inputs(&'g Inputs),
    Arguments(&'g [Tensor]),
}

impl Given<'_> {
    fn value(&self, op: &Op, shape: &[i64]) -> Result<Option<Tensor>, EvalError> {
        match (op, self) {
            (Op::Input { name, .. }, Given::Inputs(inputs)) => input(inputs, name, shape).map(Some),
            (Op::Argument { number, .. }, Given::Arguments(arguments)) => {
                let missing = || EvalError::Missing(format!("argument {number}"));
                arguments
                    .get(*number)
                    .cloned()
                    .ok_or_else(missing)
                    .map(Some)
            }
            _ => Ok(None),
        }
    }
}

fn run(
    graph: &Graph,
    batch: i64,
    given: &Given<'_>,
    single: bool,
) -> Result<Vec<Tensor>, EvalError> {
    let live = graph.live_nodes();
    let mut values: SecondaryMap<NodeId, Option<Tensor>> = SecondaryMap::new();
    for (id, node) in graph.nodes.iter().filter(|(id, _)| live.contains(*id)) {
        let operands: Vec<&Tensor> = node
            .inputs
            .iter()
            .filter_map(|&input| values[input].as_ref())
            .collect();
        let evaluation = Evaluation {
            operands: &operands,
            dtype: node
                .inputs
                .first()
                .map_or(node.ty.dtype, |&input| graph.ty(input).dtype),
            shape: &extents(&node.ty, batch),
            batch,
        };
        let value = match (given.value(&node.op, evaluation.shape)?, &node.op) {
            (Some(value), _) => value,
            (None, Op::Scan(scan)) => ops::scan::evaluate(scan, &evaluation, single)?,
            (None, op) => ops::evaluate(op, &evaluation)?,
        };
        values[id] = Some(settled(value, node.ty.dtype, single));
    }
    let outputs = graph.outputs.iter();
    Ok(outputs
        .filter_map(|output| values[output.node].clone())
        .collect())
}

fn extents(ty: &TensorType, batch: i64) -> Vec<i64> {
    ty.shape.iter().map(|dim| dim.at(batch)).collect()
}

fn input(inputs: &Inputs, name: &str, shape: &[i64]) -> Result<Tensor, EvalError> {
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

/// The elements as the type holds them.
fn settled(mut value: Tensor, dtype: DType, single: bool) -> Tensor {
    let settle: fn(f64) -> f64 = match dtype {
        DType::F32 if single => |value| f64::from(value as f32),
        DType::Bf16 if single => |value| f64::from(round_bf16(value as f32)),
        DType::I32 => |value| f64::from(value as i64 as i32),
        DType::U8 => |value| f64::from(value as i64 as u8),
        _ => return value,
    };
    value
        .data
        .iter_mut()
        .for_each(|element| *element = settle(*element));
    value
}

/// To nearest, ties to even, in the upper half of the bits.
pub fn round_bf16(value: f32) -> f32 {
    if value.is_nan() {
        return value;
    }
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    f32::from_bits(rounded & 0xffff_0000)
}
