//! Nodes of the graph under construction. The callers have checked types and shapes; here results get theirs.

use crate::graph::{
    AxisIndex, BinaryOp, Contraction, DType, Dim, Graph, InputKind, Node, NodeId, Op, RandomOp,
    ReduceOp, Scalar, TensorType, UnaryOp, View,
};
use dlm_grammar::Span;
use indexmap::IndexMap;
use smallvec::SmallVec;

/// A graph under construction: equal operations on equal inputs are one node.
#[derive(Debug, Default)]
pub(super) struct Emitter {
    /// What is there so far.
    pub graph: Graph,
    /// The place in the source that new nodes come from.
    pub span: Span,
    interned: IndexMap<(Op, SmallVec<[NodeId; 3]>), NodeId>,
}

impl Emitter {
    /// An empty graph of that name.
    pub fn new(name: &str) -> Emitter {
        let graph = Graph {
            name: name.to_owned(),
            ..Graph::default()
        };
        Emitter {
            graph,
            ..Emitter::default()
        }
    }

    /// A node's type.
    pub fn ty(&self, node: NodeId) -> &TensorType {
        &self.graph.nodes[node].ty
    }

    /// A node's shape.
    pub fn shape(&self, node: NodeId) -> Vec<Dim> {
        self.ty(node).shape.clone()
    }

    /// A node's element type.
    pub fn dtype(&self, node: NodeId) -> DType {
        self.ty(node).dtype
    }

    fn add(&mut self, op: Op, inputs: &[NodeId], ty: TensorType) -> NodeId {
        let key = (op, SmallVec::from_slice(inputs));
        if let Some(&node) = self.interned.get(&key) {
            return node;
        }
        let node = self.graph.nodes.push(Node {
            op: key.0.clone(),
            inputs: key.1.clone(),
            ty,
            span: self.span,
        });
        self.interned.insert(key, node);
        node
    }

    /// An input of the graph.
    pub fn input(&mut self, kind: InputKind, name: &str, ty: TensorType) -> NodeId {
        let op = Op::Input {
            kind,
            name: name.to_owned(),
            ty: ty.clone(),
        };
        self.add(op, &[], ty)
    }

    /// A scalar constant.
    pub fn constant(&mut self, scalar: Scalar) -> NodeId {
        let dtype = match scalar {
            Scalar::F32(_) => DType::F32,
            Scalar::I32(_) => DType::I32,
            Scalar::Bool(_) => DType::Bool,
        };
        self.add(Op::Constant(scalar), &[], TensorType::scalar(dtype))
    }

    /// An f32 constant.
    pub fn float(&mut self, value: f64) -> NodeId {
        self.constant(Scalar::F32(value as f32))
    }

    /// The positions along an axis, as i32.
    pub fn iota(&mut self, shape: Vec<Dim>, axis: usize) -> NodeId {
        let ty = TensorType::new(DType::I32, shape.clone());
        self.add(Op::Iota { shape, axis }, &[], ty)
    }

    /// A dimension as an f32 scalar.
    pub fn extent(&mut self, dim: Dim) -> NodeId {
        if let Some(known) = dim.known() {
            return self.float(known as f64);
        }
        let batch = self.add(Op::BatchSize, &[], TensorType::scalar(DType::F32));
        let mut node = batch;
        if dim.batch != 1 {
            let factor = self.float(dim.batch as f64);
            node = self.binary(BinaryOp::Mul, node, factor);
        }
        if dim.fixed != 0 {
            let offset = self.float(dim.fixed as f64);
            node = self.binary(BinaryOp::Add, node, offset);
        }
        node
    }

    /// An elementwise function of one operand.
    pub fn unary(&mut self, op: UnaryOp, x: NodeId) -> NodeId {
        let ty = self.ty(x).clone();
        self.add(Op::Unary(op), &[x], ty)
    }

    /// An elementwise function of two operands of one type and shape.
    pub fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> NodeId {
        let mut ty = self.ty(a).clone();
        if is_comparison(op) {
            ty.dtype = DType::Bool;
        }
        self.add(Op::Binary(op), &[a, b], ty)
    }

    /// `a` where the condition holds, else `b`; all of one shape.
    pub fn select(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> NodeId {
        let ty = self.ty(a).clone();
        self.add(Op::Select, &[condition, a, b], ty)
    }

    /// A conversion of the elements; none where they have that type.
    pub fn cast(&mut self, x: NodeId, dtype: DType) -> NodeId {
        if self.dtype(x) == dtype {
            return x;
        }
        let ty = TensorType::new(dtype, self.shape(x));
        self.add(Op::Cast(dtype), &[x], ty)
    }

    /// A reduction over `axes`, ascending; none where there are none.
    pub fn reduce(&mut self, op: ReduceOp, x: NodeId, axes: &[usize]) -> NodeId {
        if axes.is_empty() && !matches!(op, ReduceOp::ArgMax | ReduceOp::ArgMin) {
            return x;
        }
        let mut ty = self.ty(x).clone();
        let mut axis = 0;
        ty.shape.retain(|_| {
            axis += 1;
            !axes.contains(&(axis - 1))
        });
        if matches!(op, ReduceOp::ArgMax | ReduceOp::ArgMin) {
            ty.dtype = DType::I32;
        }
        let axes = axes.to_vec();
        self.add(Op::Reduce { op, axes }, &[x], ty)
    }

    /// A sum of products.
    pub fn contract(&mut self, contraction: Contraction, operands: &[NodeId]) -> NodeId {
        let ty = TensorType::new(self.dtype(operands[0]), contraction.shape.clone());
        self.add(Op::Contract(contraction), operands, ty)
    }

    /// An affine view with zero as fill.
    pub fn view(&mut self, x: NodeId, shape: Vec<Dim>, index: Vec<AxisIndex>) -> NodeId {
        let fill = zero_of(self.dtype(x));
        self.view_filled(x, shape, index, fill)
    }

    /// An affine view; none where it changes nothing.
    pub fn view_filled(
        &mut self,
        x: NodeId,
        shape: Vec<Dim>,
        index: Vec<AxisIndex>,
        fill: Scalar,
    ) -> NodeId {
        let identity = index
            .iter()
            .enumerate()
            .all(|(axis, index)| index.as_variable() == Some(axis));
        if identity && self.ty(x).shape == shape {
            return x;
        }
        let ty = TensorType::new(self.dtype(x), shape.clone());
        self.add(Op::View(View { shape, index, fill }), &[x], ty)
    }

    /// The same elements under another shape.
    pub fn reshape(&mut self, x: NodeId, shape: Vec<Dim>) -> NodeId {
        if self.ty(x).shape == shape {
            return x;
        }
        let ty = TensorType::new(self.dtype(x), shape.clone());
        self.add(Op::Reshape { shape }, &[x], ty)
    }

    /// Operands joined along an axis.
    pub fn concat(&mut self, axis: usize, operands: &[NodeId]) -> NodeId {
        if let [only] = operands {
            return *only;
        }
        let mut ty = self.ty(operands[0]).clone();
        for &operand in &operands[1..] {
            let more = self.ty(operand).shape[axis];
            ty.shape[axis].batch += more.batch;
            ty.shape[axis].fixed += more.fixed;
        }
        self.add(Op::Concat { axis }, operands, ty)
    }

    /// Rows of a table.
    pub fn gather(&mut self, table: NodeId, ids: NodeId) -> NodeId {
        let mut shape = self.shape(ids);
        shape.extend_from_slice(&self.ty(table).shape[1..]);
        let ty = TensorType::new(self.dtype(table), shape);
        self.add(Op::Gather, &[table, ids], ty)
    }

    /// Inclusive prefix sums.
    pub fn cumulative_sum(&mut self, x: NodeId, axis: usize) -> NodeId {
        let ty = self.ty(x).clone();
        let reverse = false;
        self.add(Op::CumulativeSum { axis, reverse }, &[x], ty)
    }

    /// Random values; `seed` and `step` are i32 scalars.
    pub fn random(
        &mut self,
        op: RandomOp,
        place: u32,
        shape: Vec<Dim>,
        seed: NodeId,
        step: NodeId,
    ) -> NodeId {
        let ty = TensorType::new(DType::F32, shape.clone());
        self.add(Op::Random { op, place, shape }, &[seed, step], ty)
    }

    /// The identity, without gradient.
    pub fn stop_gradient(&mut self, x: NodeId) -> NodeId {
        let ty = self.ty(x).clone();
        self.add(Op::StopGradient, &[x], ty)
    }

    /// The gradient of a scalar.
    pub fn gradient(&mut self, loss: NodeId, x: NodeId) -> NodeId {
        let ty = self.ty(x).clone();
        self.add(Op::Gradient, &[loss, x], ty)
    }

    /// The value repeated to a shape that it broadcasts to, by NumPy's rule.
    pub fn broadcast(&mut self, x: NodeId, shape: &[Dim]) -> NodeId {
        let own = self.shape(x);
        let skipped = shape.len() - own.len();
        let index = own
            .iter()
            .enumerate()
            .map(|(axis, &dim)| match dim == shape[axis + skipped] {
                true => AxisIndex::variable(axis + skipped),
                false => AxisIndex::constant(0),
            })
            .collect();
        self.view(x, shape.to_vec(), index)
    }

    /// The axes in another order.
    pub fn permute(&mut self, x: NodeId, order: &[usize]) -> NodeId {
        let own = self.shape(x);
        let shape = order.iter().map(|&axis| own[axis]).collect();
        let mut index = vec![AxisIndex::constant(0); own.len()];
        for (position, &axis) in order.iter().enumerate() {
            index[axis] = AxisIndex::variable(position);
        }
        self.view(x, shape, index)
    }

    /// A scalar repeated to a shape.
    pub fn full(&mut self, scalar: Scalar, shape: &[Dim]) -> NodeId {
        let node = self.constant(scalar);
        self.broadcast(node, shape)
    }
}

/// Whether the operation's result is a truth value whatever the operands are.
pub(super) fn is_comparison(op: BinaryOp) -> bool {
    use BinaryOp::*;
    matches!(op, Eq | Ne | Lt | Le | Gt | Ge)
}

/// Zero of an element type.
pub(super) fn zero_of(dtype: DType) -> Scalar {
    match dtype {
        DType::Bool => Scalar::Bool(false),
        DType::I32 | DType::I64 | DType::U8 => Scalar::I32(0),
        DType::F32 | DType::Bf16 => Scalar::F32(0.0),
    }
}
