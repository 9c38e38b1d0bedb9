//! Graph IR: tensors and operations, one node per value, typed.
//!
//! A step is a pure function from inputs to named outputs. Nodes are hash-consed: building an operation that exists
//! with the same inputs gives the node that is there.

mod adjoint;
mod build;
mod error;
pub mod eval;
mod index;
mod op;
pub mod ops;
pub mod scan;
pub mod text;
mod types;
pub mod verify;

pub(crate) use build::{Builder, Built};
pub use build::{ConvolutionShape, WindowAxis};
pub use error::TypeError;
pub use index::AxisIndex;
pub use op::{BinaryOp, Contraction, InputKind, Op, RandomOp, ReduceOp, Scalar, UnaryOp, View};
pub use scan::{Region, Scan};
pub use types::{DType, Dim, TensorType};

use cranelift_entity::{EntitySet, PrimaryMap, SecondaryMap, entity_impl};
use dlm_grammar::Span;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

/// A node, and the one value it computes. Printed as `%7`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);
entity_impl!(NodeId, "%");

/// An operation applied to inputs.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// From what; inputs stand before the node.
    pub inputs: SmallVec<[NodeId; 3]>,
    /// The result's type.
    pub ty: TensorType,
    /// The place in the source that it came from; gradients and rewritten nodes keep their origin's.
    pub span: Span,
}

/// What an output of a graph is to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutputKind {
    /// The next value of the parameter of that name.
    Parameter,
    /// The next value of the state of that name.
    State,
    /// A value shown to the user: in `eval` a scalar is averaged over the batches by samples.
    Report,
    /// A result of a function or block that is called directly.
    Result,
    /// `i32[2]`, which tells of indices out of range: a sample and the index.
    Check,
}

/// A named result.
#[derive(Clone, Debug)]
pub struct Output {
    /// What it is for.
    pub kind: OutputKind,
    /// Its path or metric name.
    pub name: String,
    /// The value.
    pub node: NodeId,
}

/// A pure function of named inputs.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The function's name, for dumps.
    pub name: String,
    /// Every node, inputs before users.
    pub nodes: PrimaryMap<NodeId, Node>,
    /// The results, in the order of the program.
    pub outputs: Vec<Output>,
    /// The node of each operation with its inputs.
    numbered: IndexMap<(Op, SmallVec<[NodeId; 3]>), NodeId, FxBuildHasher>,
}

impl Graph {
    /// The scalar that every element of a value is known to be: a constant, or a view that repeats one.
    pub fn constant_value(&self, node: NodeId) -> Option<Scalar> {
        match &self.nodes[node].op {
            Op::Constant(value) => Some(*value),
            Op::View(view) if view.index.is_empty() => {
                self.constant_value(self.nodes[node].inputs[0])
            }
            _ => None,
        }
    }

    /// The live nodes that exactly one operand or output names.
    pub fn used_once(&self) -> EntitySet<NodeId> {
        let live = self.live_nodes();
        let mut counts: SecondaryMap<NodeId, u32> = SecondaryMap::new();
        for (_, node) in self.nodes.iter().filter(|(id, _)| live.contains(*id)) {
            node.inputs.iter().for_each(|&input| counts[input] += 1);
        }
        self.outputs
            .iter()
            .for_each(|output| counts[output.node] += 1);
        let mut once = EntitySet::new();
        for id in live.keys().filter(|&id| counts[id] == 1) {
            once.insert(id);
        }
        once
    }

    /// The nodes that some output is computed from.
    pub fn live_nodes(&self) -> EntitySet<NodeId> {
        let mut live = EntitySet::new();
        let mut pending: Vec<NodeId> = self.outputs.iter().map(|output| output.node).collect();
        while let Some(node) = pending.pop() {
            if live.insert(node) {
                pending.extend(&self.nodes[node].inputs);
            }
        }
        live
    }
}
