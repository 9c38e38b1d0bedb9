//! What expressions mean at compile time.

use super::data::DataValue;
use super::files::DefinitionHandle;
use super::intrinsics::Intrinsic;
use super::recurrence::{Counter, Growing};
use crate::graph::{Dim, NodeId};
use dlm_grammar::Span;
use std::rc::Rc;

/// The value of an expression while a program is elaborated.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// `none`
    None,
    /// `true`, `false`, and what is known when the program is compiled.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A quotient of whole numbers that is not whole: in lowest terms, the divisor positive.
    Ratio(i64, i64),
    /// A number; a whole one serves as an int.
    Float(f64),
    /// Text.
    Text(Rc<str>),
    /// A whole number that depends on the run-time batch size.
    Extent(Dim),
    /// A value of a graph.
    Tensor(Tensor),
    /// `[a, b]`: of numbers, tensors, or anything else.
    List(Rc<Vec<Value>>),
    /// `(a, b)`
    Tuple(Rc<Vec<Value>>),
    /// The results of a call that returns several.
    Results(Rc<Vec<Value>>),
    /// A function of the program or the library, with the statics given so far.
    Function(Rc<Applied>),
    /// A primitive operation, with the statics given so far.
    Intrinsic(Rc<Primitive>),
    /// A block that is not yet an instance.
    Recipe(Rc<Applied>),
    /// An instance of a block.
    Instance(InstanceRef),
    /// An optimizer's rule, with the statics given so far.
    Rule(Rc<Applied>),
    /// An optimizer with its parameters: an index into the optimizers of the run.
    Optimizer(usize),
    /// A data set, a split of one, or a pipeline over one.
    Data(Rc<DataValue>),
    /// An imported file: an index into the files.
    Module(usize),
    /// The counter of a loop that is elaborated once for all rounds.
    Counter(Counter),
    /// A list that such a loop appends to.
    Growing(Growing),
}

/// A node, and the graph that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    /// The node.
    pub node: NodeId,
    /// The graph's number; a tensor is of use only in its own graph.
    pub graph: u32,
}

/// A definition and the statics given to it.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    /// What is applied.
    pub definition: DefinitionHandle,
    /// The statics, in the order of the program.
    pub statics: Vec<GivenStatic>,
}

/// A primitive operation and the statics given to it.
#[derive(Clone, Debug)]
pub(super) struct Primitive {
    /// The operation.
    pub intrinsic: &'static Intrinsic,
    /// The statics, in the order of the program.
    pub statics: Vec<GivenStatic>,
    /// Whether brackets stood after the name, even empty ones: `zeros[]` is a tensor, `zeros` an init.
    pub bracketed: bool,
}

/// One value given in square brackets.
#[derive(Clone, Debug)]
pub(super) struct GivenStatic {
    /// The name, where it is given by name.
    pub name: Option<String>,
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub span: Span,
}

/// An instance of a block, as an expression names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InstanceRef {
    /// An index into the instances.
    pub id: usize,
    /// `net[training=false]` overrides the mode of one call.
    pub training: Option<bool>,
}

impl Value {
    /// A text.
    pub fn text(text: &str) -> Value {
        Value::Text(Rc::from(text))
    }

    /// A list.
    pub fn list(values: Vec<Value>) -> Value {
        Value::List(Rc::new(values))
    }

    /// A list of whole numbers.
    pub fn ints(values: &[i64]) -> Value {
        Value::list(values.iter().map(|&value| Value::Int(value)).collect())
    }

    /// A dimension as a number.
    pub fn dimension(dim: Dim) -> Value {
        dim.known().map_or(Value::Extent(dim), Value::Int)
    }

    /// The whole number that this is, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match *self {
            Value::Int(value) => Some(value),
            Value::Float(value) if value.fract() == 0.0 && value.abs() < 9.0e15 => {
                Some(value as i64)
            }
            _ => None,
        }
    }

    /// The dimension that this is, if it is a whole number, known or in terms of the batch size.
    pub fn as_dim(&self) -> Option<Dim> {
        match self {
            Value::Extent(dim) => Some(*dim),
            other => other.as_int().map(Dim::fixed),
        }
    }

    /// The number that this is, if it is one.
    pub fn as_float(&self) -> Option<f64> {
        match *self {
            Value::Int(value) => Some(value as f64),
            Value::Ratio(above, below) => Some(above as f64 / below as f64),
            Value::Float(value) => Some(value),
            _ => None,
        }
    }

    /// Whether this is a number that is known when the program is compiled.
    pub fn is_number(&self) -> bool {
        matches!(self, Value::Int(_) | Value::Ratio(..) | Value::Float(_))
    }

    /// Whether this is a number, a text, a truth value or nothing, or made of such: no tensor, function or instance.
    pub fn is_plain(&self) -> bool {
        match self {
            Value::None
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Ratio(..)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Extent(_) => true,
            Value::List(items) | Value::Tuple(items) => items.iter().all(Value::is_plain),
            _ => false,
        }
    }

    /// Whether this is certainly the same number as another.
    pub fn same_number(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Ratio(a, b), Value::Ratio(c, d)) => (a, b) == (c, d),
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            _ => false,
        }
    }

    /// What this is, for messages: a number itself, else its kind.
    pub fn described(&self) -> String {
        self.as_float()
            .map_or_else(|| self.kind().to_owned(), |number| number.to_string())
    }

    /// The truth value that this is, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The text that this is, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list or tuple.
    pub fn as_elements(&self) -> Option<&[Value]> {
        match self {
            Value::List(values) | Value::Tuple(values) => Some(values),
            _ => None,
        }
    }

    /// Whether this is `none`.
    pub fn is_none(&self) -> bool {
        matches!(self, Value::None)
    }

    /// Whether this is, or holds, a tensor.
    pub fn holds_tensor(&self) -> bool {
        match self {
            Value::Tensor(_) => true,
            Value::List(values) | Value::Tuple(values) | Value::Results(values) => {
                values.iter().any(Value::holds_tensor)
            }
            Value::Function(applied) | Value::Recipe(applied) | Value::Rule(applied) => applied
                .statics
                .iter()
                .any(|given| given.value.holds_tensor()),
            Value::Intrinsic(primitive) => primitive
                .statics
                .iter()
                .any(|given| given.value.holds_tensor()),
            _ => false,
        }
    }

    /// What kind of value this is, for messages: "an int", "a tensor".
    pub fn kind(&self) -> &'static str {
        match self {
            Value::None => "none",
            Value::Bool(_) => "a bool",
            Value::Int(_) => "an int",
            Value::Ratio(..) | Value::Float(_) => "a float",
            Value::Text(_) => "a str",
            Value::Extent(_) => "an int that depends on the batch size",
            Value::Tensor(_) => "a tensor",
            Value::List(_) => "a list",
            Value::Tuple(_) => "a tuple",
            Value::Results(_) => "several results",
            Value::Function(_) => "a function",
            Value::Intrinsic(_) => "a function",
            Value::Recipe(_) => "a block",
            Value::Instance(_) => "an instance of a block",
            Value::Rule(_) => "an optimizer without parameters",
            Value::Optimizer(_) => "an optimizer",
            Value::Data(_) => "data",
            Value::Module(_) => "an imported file",
            Value::Counter(_) => "a recurrence's counter",
            Value::Growing(_) => "a list that a recurrence appends to",
        }
    }
}
