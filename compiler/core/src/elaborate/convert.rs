//! Values as tensors: a number takes the type of what it meets.

use super::codes;
use super::context::Elaborator;
use super::diagnose::{Checked, Poison, error};
use super::value::Value;
use crate::graph::{DType, NodeId, Scalar, TensorType};
use dlm_grammar::Span;

impl Elaborator<'_> {
    /// A value as a node; a number alone is f32, a list of numbers or tensors is stacked.
    pub fn tensor_of(&mut self, value: &Value, at: Span) -> Checked<NodeId> {
        match value {
            Value::Tensor(tensor) if tensor.graph == self.unit.number => Ok(tensor.node),
            Value::Tensor(_) => {
                let message = "this tensor is not a constant";
                Err(self.report(
                    error(codes::INIT, at, message)
                        .help("an initial value is an init or is made of constants alone"),
                ))
            }
            Value::Bool(value) => Ok(self.emit().constant(Scalar::Bool(*value))),
            Value::Int(_) | Value::Ratio(..) | Value::Float(_) => {
                self.tensor_like(value, DType::F32, at)
            }
            Value::Extent(_) | Value::Counter(_) => self.tensor_like(value, DType::F32, at),
            Value::List(items) if !items.is_empty() => self.stacked(items, at),
            other => Err(self.no_tensor(other, at)),
        }
    }

    fn no_tensor(&mut self, value: &Value, at: Span) -> Poison {
        let message = format!("a tensor is needed, and this is {}", self.kind(value));
        let mut diagnostic = error(codes::NOT_A_TENSOR, at, message);
        if matches!(
            value,
            Value::Function(_) | Value::Intrinsic(_) | Value::Instance(_)
        ) {
            diagnostic = diagnostic.help("call it: `f(x)` or `x |> f`");
        }
        self.report(diagnostic)
    }

    /// A value as a node of that element type, where it has none of its own.
    pub fn tensor_like(&mut self, value: &Value, dtype: DType, at: Span) -> Checked<NodeId> {
        match value {
            Value::Int(number) => self.number_as(*number as f64, dtype, at),
            Value::Ratio(above, below) => self.number_as(*above as f64 / *below as f64, dtype, at),
            Value::Float(number) => self.number_as(*number, dtype, at),
            Value::Extent(dim) => {
                let node = self.emit().extent(*dim);
                match dtype {
                    DType::Bool => Err(self.no_tensor(value, at)),
                    _ => Ok(self.emit().cast(node, dtype)),
                }
            }
            Value::Counter(counter) if dtype != DType::Bool => {
                let node = self.counter_value(*counter, dtype);
                node.ok_or_else(|| self.no_tensor(value, at))
            }
            Value::Counter(_) => Err(self.no_tensor(value, at)),
            Value::List(items) if !items.is_empty() && !value.holds_tensor() => {
                let mut rows = Vec::new();
                for item in items.iter() {
                    rows.push(self.tensor_like(item, dtype, at)?);
                }
                self.stack_nodes(&rows, 0, at)
            }
            _ => self.tensor_of(value, at),
        }
    }

    fn number_as(&mut self, number: f64, dtype: DType, at: Span) -> Checked<NodeId> {
        match dtype {
            DType::F32 => Ok(self.emit().float(number)),
            DType::Bf16 => {
                let node = self.emit().float(number);
                Ok(self.emit().cast(node, dtype))
            }
            DType::Bool => {
                let message = "a number meets truth values";
                Err(self.report(
                    error(codes::MIXED_TYPES, at, message)
                        .help("`f32(…)` makes numbers of truth values"),
                ))
            }
            _ if number.fract() != 0.0 => {
                let message = format!("{number} meets whole numbers ({dtype})");
                Err(self.report(
                    error(codes::FRACTION, at, message).help("`f32(…)` converts the tensor"),
                ))
            }
            _ if i32::try_from(number as i64).is_err() => {
                let message = format!("{number} does not fit {dtype}");
                Err(self.report(error(codes::LARGE, at, message)))
            }
            _ => {
                let node = self.emit().constant(Scalar::I32(number as i32));
                Ok(self.emit().cast(node, dtype))
            }
        }
    }

    fn stacked(&mut self, items: &[Value], at: Span) -> Checked<NodeId> {
        let mut rows = Vec::new();
        for item in items {
            rows.push(self.tensor_of(item, at)?);
        }
        self.stack_nodes(&rows, 0, at)
    }

    /// Nodes of one type joined along a new axis.
    pub fn stack_nodes(&mut self, nodes: &[NodeId], axis: usize, at: Span) -> Checked<NodeId> {
        self.one_type(nodes, &[at])?;
        let first = self.type_of(nodes[0]).clone();
        for &node in &nodes[1..] {
            let other = self.type_of(node).clone();
            if other != first {
                let message = format!("{first} and {other} do not stack");
                return Err(self.report(error(codes::SHAPE, at, message)));
            }
        }
        if let Some(stack) = self.emit().all_rows(nodes) {
            return Ok(self.emit().move_first_axis(stack, axis));
        }
        let rows: Vec<NodeId> = nodes
            .iter()
            .map(|&node| self.emit().insert_axis(node, axis))
            .collect();
        Ok(self.emit().concat(axis, &rows))
    }

    /// Two values as nodes of one element type.
    pub fn common(&mut self, a: &Value, b: &Value, spans: [Span; 2]) -> Checked<(NodeId, NodeId)> {
        let typed = |value: &Value| {
            matches!(value, Value::Tensor(_) | Value::Bool(_)) || value.holds_tensor()
        };
        let (a, b) = match (typed(a), typed(b)) {
            (true, false) => {
                let a = self.tensor_of(a, spans[0])?;
                let dtype = self.emit().dtype(a);
                (a, self.tensor_like(b, dtype, spans[1])?)
            }
            (false, true) => {
                let b = self.tensor_of(b, spans[1])?;
                let dtype = self.emit().dtype(b);
                (self.tensor_like(a, dtype, spans[0])?, b)
            }
            _ => {
                let a = self.tensor_of(a, spans[0]);
                let b = self.tensor_of(b, spans[1]);
                (a?, b?)
            }
        };
        self.one_type(&[a, b], &spans)?;
        Ok((a, b))
    }

    /// An error where operands have not one element type; `spans` are theirs, or their call's alone.
    pub fn one_type(&mut self, nodes: &[NodeId], spans: &[Span]) -> Checked<()> {
        let first = self.type_of(nodes[0]).clone();
        let mut types = nodes.iter().map(|&node| self.type_of(node).clone());
        let Some(position) = types.position(|own| own.dtype != first.dtype) else {
            return Ok(());
        };
        let other = self.type_of(nodes[position]).clone();
        let message = format!("{} and {} do not mix", first.dtype, other.dtype);
        let help = format!("`{}(…)` and `{}(…)` convert", first.dtype, other.dtype);
        let report = match (spans.first(), spans.get(position)) {
            (Some(&own), Some(&odd)) if own != odd => {
                error(codes::MIXED_TYPES, own.to(odd), message)
                    .label(own, first.to_string())
                    .label(odd, other.to_string())
            }
            (own, _) => {
                let own = own.copied().unwrap_or_default();
                error(codes::MIXED_TYPES, own, message)
                    .note(format!("the operands are {first} and {other}"))
            }
        };
        Err(self.report(report.help(help)))
    }

    /// Two values as nodes of one type, by NumPy's broadcasting.
    pub fn aligned(&mut self, a: &Value, b: &Value, spans: [Span; 2]) -> Checked<(NodeId, NodeId)> {
        let (a, b) = self.common(a, b, spans)?;
        let (left, right) = (self.type_of(a).clone(), self.type_of(b).clone());
        match crate::graph::Graph::broadcast_shape(&left.shape, &right.shape) {
            Ok(shape) => {
                let a = self.emit().broadcast(a, &shape);
                Ok((a, self.emit().broadcast(b, &shape)))
            }
            Err(_) => {
                let message = format!("{left} and {right} do not broadcast");
                Err(self.report(
                    error(codes::BROADCAST, spans[0].to(spans[1]), message)
                        .label(spans[0], left.to_string())
                        .label(spans[1], right.to_string())
                        .note("sizes are compared from the last axis on: equal, or one of them 1"),
                ))
            }
        }
    }

    /// A value as the next one of something stored, whose type it must have.
    pub fn as_stored(&mut self, value: &Value, ty: &TensorType, at: Span) -> Checked<NodeId> {
        let node = self.tensor_like(value, ty.dtype, at)?;
        let found = self.type_of(node).clone();
        if found == *ty {
            return Ok(node);
        }
        if found.rank() == 0 && found.dtype == ty.dtype {
            return Ok(self.emit().broadcast(node, &ty.shape));
        }
        let message = format!("{ty} is stored here, and this is {found}");
        Err(self.report(error(codes::DIMENSION, at, message)))
    }

    /// A condition that the run decides: a scalar truth value.
    pub fn scalar_condition(&mut self, value: Value, at: Span) -> Checked<NodeId> {
        let fits = match &value {
            Value::Tensor(tensor) if tensor.graph == self.unit.number => {
                *self.type_of(tensor.node) == TensorType::scalar(DType::Bool)
            }
            _ => false,
        };
        if fits {
            return self.tensor_of(&value, at);
        }
        let message = format!("a condition must be a bool, this is {}", value.kind());
        Err(self.report(
            error(codes::CONDITION, at, message)
                .help("`where(condition, a, b)` chooses between tensors, element by element"),
        ))
    }
}
