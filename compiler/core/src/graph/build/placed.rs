//! Building nodes that all come from one place in the source: for derivatives and rewriting rules.

use super::super::{
    AxisIndex, BinaryOp, DType, Dim, Graph, NodeId, Op, ReduceOp, Scalar, TensorType, TypeError,
    UnaryOp, View,
};
use dlm_grammar::Span;

/// What every constructor gives.
pub(crate) type Built = Result<NodeId, TypeError>;

/// A graph, and the place that new nodes come from.
pub(crate) struct Builder<'g> {
    pub graph: &'g mut Graph,
    pub span: Span,
}

/// The constructors of [`Graph`], without the place.
impl Builder<'_> {
    pub fn add(&mut self, op: Op, inputs: &[NodeId]) -> Built {
        self.graph.add(op, inputs, self.span)
    }

    pub fn ty(&self, node: NodeId) -> TensorType {
        self.graph.ty(node).clone()
    }

    pub fn shape(&self, node: NodeId) -> Vec<Dim> {
        self.graph.shape(node).to_vec()
    }

    pub fn unary(&mut self, op: UnaryOp, x: NodeId) -> Built {
        self.add(Op::Unary(op), &[x])
    }

    pub fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> Built {
        self.add(Op::Binary(op), &[a, b])
    }

    pub fn select(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> Built {
        self.add(Op::Select, &[condition, a, b])
    }

    pub fn cast(&mut self, x: NodeId, dtype: DType) -> Built {
        self.graph.cast(x, dtype, self.span)
    }

    pub fn reduce(&mut self, op: ReduceOp, x: NodeId, axes: &[usize]) -> Built {
        self.graph.reduce(op, x, axes, self.span)
    }

    pub fn view(&mut self, x: NodeId, view: View) -> Built {
        self.graph.view(x, view, self.span)
    }

    pub fn reshape(&mut self, x: NodeId, shape: &[Dim]) -> Built {
        self.graph.reshape(x, shape, self.span)
    }

    pub fn broadcast_to(&mut self, x: NodeId, shape: &[Dim]) -> Built {
        self.graph.broadcast_to(x, shape, self.span)
    }

    pub fn iota(&mut self, shape: &[Dim], axis: usize) -> Built {
        self.graph.iota(shape, axis, self.span)
    }

    pub fn gather(&mut self, table: NodeId, ids: NodeId) -> Built {
        self.graph.gather(table, ids, self.span)
    }

    /// A reduced value repeated over the axes that a reduction removed from `shape`.
    pub fn spread(&mut self, x: NodeId, shape: &[Dim], axes: &[usize]) -> Built {
        self.graph.restore_axes(x, shape, axes, self.span)
    }

    pub fn full(&mut self, value: Scalar, shape: &[Dim]) -> Built {
        let scalar = self.graph.constant(value, self.span)?;
        self.broadcast_to(scalar, shape)
    }

    /// A tensor of that type with every element the number.
    pub fn full_of(&mut self, value: f32, ty: &TensorType) -> Built {
        self.graph
            .full(f64::from(value), ty.dtype, &ty.shape, self.span)
    }

    /// A tensor like another with every element the number.
    pub fn full_like(&mut self, value: f32, like: NodeId) -> Built {
        let ty = self.ty(like);
        self.full_of(value, &ty)
    }

    /// A float tensor times a number.
    pub fn scaled(&mut self, x: NodeId, factor: f32) -> Built {
        let factor = self.full_like(factor, x)?;
        self.binary(BinaryOp::Mul, x, factor)
    }

    /// `before` and `after` zeros around each axis.
    pub fn pad(&mut self, x: NodeId, amounts: &[(i64, i64)]) -> Built {
        let fill = Scalar::zero(self.graph.ty(x).dtype);
        self.graph.pad(x, amounts, fill, self.span)
    }

    /// `length` positions of an axis from `begin` on.
    pub fn section(&mut self, x: NodeId, axis: usize, begin: i64, length: Dim) -> Built {
        let mut view = View {
            shape: self.shape(x),
            index: (0..self.graph.ty(x).rank())
                .map(AxisIndex::variable)
                .collect(),
            fill: Scalar::zero(self.graph.ty(x).dtype),
        };
        view.shape[axis] = length;
        view.index[axis] = AxisIndex::affine(&[(axis, 1)], begin, 1);
        self.view(x, view)
    }
}
