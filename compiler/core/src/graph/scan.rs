//! Loops over rounds: a body that is a graph of its own, applied to carried values.
//!
//! ```text
//! carry = initial
//! for t in 0..rounds, or from the last to the first where `reverse`:
//!     carry, parts = body(captures, carry, stacked[t], t)
//!     stack[t] = parts
//! ```
//!
//! A scan has several results, and a node has one value: each result that is used is a node, and the nodes of one scan
//! differ in `result` alone.

use super::{DType, Dim, Graph, NodeId, Op, TensorType, TypeError};
use dlm_grammar::Span;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A graph within an operation. Two are equal where they compute the same in the same way.
#[derive(Clone, Debug)]
pub struct Region(Arc<Graph>);

impl Region {
    /// A graph as the body of an operation.
    pub fn new(graph: Graph) -> Region {
        Region(Arc::new(graph))
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.0
    }

    fn results(&self) -> impl Iterator<Item = NodeId> {
        self.0.outputs.iter().map(|output| output.node)
    }
}

impl PartialEq for Region {
    fn eq(&self, other: &Region) -> bool {
        let same = |(a, b): (&super::Node, &super::Node)| a.op == b.op && a.inputs == b.inputs;
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.nodes.len() == other.0.nodes.len()
                && self.results().eq(other.results())
                && self.0.nodes.values().zip(other.0.nodes.values()).all(same))
    }
}
impl Eq for Region {}
impl Hash for Region {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for node in self.0.nodes.values() {
            (&node.op, &node.inputs).hash(state);
        }
        self.results().for_each(|node| node.hash(state));
    }
}

/// One result of a loop. The node's inputs are the captures, the initial values of the carries, and the stacked values,
/// whose axis 0 counts the rounds.
///
/// In the body, argument `i` is what input `i` is to a round (a carry's present value, a row of a stacked value), and
/// the argument after the last is the round's number, an i32. The body's outputs are the next values of the carries,
/// then what each round leaves of the stacks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scan {
    /// One round.
    pub body: Region,
    /// How many rounds, at least 1.
    pub rounds: i64,
    /// From the last round to the first.
    pub reverse: bool,
    /// How many inputs are the same in each round.
    pub captures: usize,
    /// How many inputs are carried from round to round.
    pub carries: usize,
    /// Which result: the last value of a carry, or (from `carries` on) a stack of what the rounds leave.
    pub result: usize,
}

/// What an argument of a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The same in each round.
    Capture,
    /// A carry's present value; its number among the carries.
    Carry(usize),
    /// The round's row of a stacked value.
    Row,
    /// The round's number.
    Round,
}

impl Scan {
    /// What argument `number` is, in a scan with so many inputs.
    pub fn role(&self, number: usize, inputs: usize) -> Role {
        match number {
            _ if number < self.captures => Role::Capture,
            _ if number < self.captures + self.carries => Role::Carry(number - self.captures),
            _ if number < inputs => Role::Row,
            _ => Role::Round,
        }
    }

    /// Another result of the same scan.
    pub fn with_result(&self, result: usize) -> Scan {
        Scan {
            result,
            ..self.clone()
        }
    }

    /// How many results there are.
    pub fn results(&self) -> usize {
        self.body.graph().outputs.len()
    }

    /// Whether a node is a result of the same scan.
    pub fn is_result(&self, op: &Op) -> bool {
        matches!(op, Op::Scan(other) if other.with_result(self.result) == *self)
    }
}

/// The arguments of a body that it reads: number and node, in the order of the body.
pub fn arguments(body: &Graph) -> impl Iterator<Item = (usize, NodeId)> {
    body.nodes.iter().filter_map(|(id, node)| match node.op {
        Op::Argument { number, .. } => Some((number, id)),
        _ => None,
    })
}

/// The type of a row of a stacked value.
pub fn row_type(stacked: &TensorType) -> TensorType {
    TensorType::new(stacked.dtype, stacked.shape.get(1..).unwrap_or_default())
}

/// The type of so many values of a type as rows of one.
pub fn stacked_type(row: &TensorType, rounds: i64) -> TensorType {
    let mut shape = vec![Dim::fixed(rounds)];
    shape.extend(&row.shape);
    TensorType::new(row.dtype, shape)
}

impl Graph {
    /// The value of that number that a body's round begins with.
    ///
    /// # Errors
    /// None in truth.
    pub fn argument(
        &mut self,
        number: usize,
        ty: TensorType,
        span: Span,
    ) -> Result<NodeId, TypeError> {
        self.add(Op::Argument { number, ty }, &[], span)
    }

    /// All results of a scan, in order.
    ///
    /// # Errors
    /// Where inputs do not suit the body.
    pub fn scan(
        &mut self,
        scan: &Scan,
        inputs: &[NodeId],
        span: Span,
    ) -> Result<Vec<NodeId>, TypeError> {
        let results = 0..scan.results();
        results
            .map(|result| self.add(Op::Scan(scan.with_result(result)), inputs, span))
            .collect()
    }

    /// The scans among the nodes, by their first result that is there: the node, and its operation.
    pub fn scans(&self) -> Vec<(NodeId, &Scan)> {
        let mut known: indexmap::IndexMap<(Scan, &[NodeId]), NodeId> = indexmap::IndexMap::new();
        let mut found = Vec::new();
        for (id, node) in self.nodes.iter() {
            if let Op::Scan(scan) = &node.op
                && known
                    .insert((scan.with_result(0), &node.inputs), id)
                    .is_none()
            {
                found.push((id, scan));
            }
        }
        found
    }

    /// The nodes of the scan that a node is a result of, with their results' numbers.
    pub fn results_of(&self, scan: NodeId) -> Vec<(usize, NodeId)> {
        let Op::Scan(own) = &self.nodes[scan].op else {
            return Vec::new();
        };
        let same = |node: &super::Node| node.inputs == self.nodes[scan].inputs;
        let results = self.nodes.iter().filter_map(|(id, node)| match &node.op {
            Op::Scan(other) if same(node) && own.is_result(&node.op) => Some((other.result, id)),
            _ => None,
        });
        results.collect()
    }
}

/// The number of the round, as a body's argument.
pub fn round_type() -> TensorType {
    TensorType::scalar(DType::I32)
}
