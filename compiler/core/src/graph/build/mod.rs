//! Building graphs: every constructor infers the type and finds the node that is already there.

mod arithmetic;
mod convolution;
mod einsum;
mod placed;
mod shape;
#[cfg(test)]
mod tests;

pub use convolution::{ConvolutionShape, WindowAxis};
pub(crate) use placed::{Builder, Built};

use super::ops::infer;
use super::{
    BinaryOp, DType, Dim, Graph, InputKind, Node, NodeId, Op, Output, OutputKind, ReduceOp, Scalar,
    TensorType, TypeError, UnaryOp,
};
use dlm_grammar::Span;
use smallvec::SmallVec;

impl Graph {
    /// A graph without nodes.
    pub fn new(name: impl Into<String>) -> Graph {
        Graph {
            name: name.into(),
            ..Graph::default()
        }
    }

    /// The node of `op` applied to `inputs`: the one that is there, or a new one.
    ///
    /// # Errors
    /// Where the operands do not fit, in words for the user.
    pub fn add(&mut self, op: Op, inputs: &[NodeId], span: Span) -> Result<NodeId, TypeError> {
        let ty = {
            let types: SmallVec<[&TensorType; 3]> =
                inputs.iter().map(|&input| &self.nodes[input].ty).collect();
            infer(&op, &types)?
        };
        let key = (op, SmallVec::from_slice(inputs));
        if let Some(&node) = self.numbered.get(&key) {
            return Ok(node);
        }
        let node = self.nodes.push(Node {
            op: key.0.clone(),
            inputs: key.1.clone(),
            ty,
            span,
        });
        self.numbered.insert(key, node);
        Ok(node)
    }

    /// The type of a node.
    pub fn ty(&self, node: NodeId) -> &TensorType {
        &self.nodes[node].ty
    }

    /// The shape of a node.
    pub fn shape(&self, node: NodeId) -> &[Dim] {
        &self.nodes[node].ty.shape
    }

    /// Names a result.
    pub fn output(&mut self, kind: OutputKind, name: impl Into<String>, node: NodeId) {
        self.outputs.push(Output {
            kind,
            name: name.into(),
            node,
        });
    }

    /// A value from outside.
    ///
    /// # Errors
    /// Never for a new name; the signature is that of all constructors.
    pub fn input(
        &mut self,
        kind: InputKind,
        name: impl Into<String>,
        ty: TensorType,
        span: Span,
    ) -> Result<NodeId, TypeError> {
        self.add(
            Op::Input {
                kind,
                name: name.into(),
                ty,
            },
            &[],
            span,
        )
    }

    /// A constant scalar.
    ///
    /// # Errors
    /// None in truth.
    pub fn constant(&mut self, scalar: Scalar, span: Span) -> Result<NodeId, TypeError> {
        self.add(Op::Constant(scalar), &[], span)
    }

    /// A number as a scalar of an element type; fractions are lost in integers.
    ///
    /// # Errors
    /// Where the element type has no constants.
    pub fn number(&mut self, value: f64, dtype: DType, span: Span) -> Result<NodeId, TypeError> {
        match dtype {
            DType::F32 => self.constant(Scalar::F32(value as f32), span),
            DType::I32 => self.constant(Scalar::I32(value as i32), span),
            DType::Bool => self.constant(Scalar::Bool(value != 0.0), span),
            other => {
                let float = self.constant(Scalar::F32(value as f32), span)?;
                self.add(Op::Cast(other), &[float], span)
            }
        }
    }

    /// A tensor that holds one number everywhere.
    ///
    /// # Errors
    /// Where the element type has no constants.
    pub fn full(
        &mut self,
        value: f64,
        dtype: DType,
        shape: &[Dim],
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let scalar = self.number(value, dtype, span)?;
        self.broadcast_to(scalar, shape, span)
    }

    /// The position along `axis` of a tensor of that shape, as i32.
    ///
    /// # Errors
    /// Where the axis does not exist.
    pub fn iota(&mut self, shape: &[Dim], axis: usize, span: Span) -> Result<NodeId, TypeError> {
        self.add(
            Op::Iota {
                shape: shape.to_vec(),
                axis,
            },
            &[],
            span,
        )
    }

    /// An elementwise function.
    ///
    /// # Errors
    /// Where the operand's element type does not fit.
    pub fn unary(&mut self, op: UnaryOp, a: NodeId, span: Span) -> Result<NodeId, TypeError> {
        self.add(Op::Unary(op), &[a], span)
    }

    /// An elementwise function of two operands, broadcast as NumPy does.
    ///
    /// # Errors
    /// Where element types differ or shapes do not broadcast.
    pub fn binary(
        &mut self,
        op: BinaryOp,
        a: NodeId,
        b: NodeId,
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let (a, b) = self.broadcast_pair(a, b, span)?;
        self.add(Op::Binary(op), &[a, b], span)
    }

    /// `a` where the condition holds, else `b`; all three broadcast.
    ///
    /// # Errors
    /// Where types differ or shapes do not broadcast.
    pub fn select(
        &mut self,
        condition: NodeId,
        a: NodeId,
        b: NodeId,
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let (a, b) = self.broadcast_pair(a, b, span)?;
        let (condition, a) = self.broadcast_pair(condition, a, span)?;
        let (_, b) = self.broadcast_pair(condition, b, span)?;
        self.add(Op::Select, &[condition, a, b], span)
    }

    /// A conversion; none where the type is that already.
    ///
    /// # Errors
    /// None in truth.
    pub fn cast(&mut self, a: NodeId, to: DType, span: Span) -> Result<NodeId, TypeError> {
        if self.nodes[a].ty.dtype == to {
            return Ok(a);
        }
        self.add(Op::Cast(to), &[a], span)
    }

    /// A reduction over axes in any order; over none it is the identity (for positions: zeros).
    ///
    /// # Errors
    /// Where an axis does not exist.
    pub fn reduce(
        &mut self,
        op: ReduceOp,
        a: NodeId,
        axes: &[usize],
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let mut axes = axes.to_vec();
        axes.sort_unstable();
        axes.dedup();
        if axes.is_empty() && !matches!(op, ReduceOp::ArgMax | ReduceOp::ArgMin) {
            return Ok(a);
        }
        self.add(Op::Reduce { op, axes }, &[a], span)
    }

    /// The identity, with no gradient.
    ///
    /// # Errors
    /// None in truth.
    pub fn stop_gradient(&mut self, a: NodeId, span: Span) -> Result<NodeId, TypeError> {
        self.add(Op::StopGradient, &[a], span)
    }

    /// The gradient of a scalar, to be expanded by the `autodiff` pass.
    ///
    /// # Errors
    /// Where `loss` is no float scalar or `x` no float tensor.
    pub fn gradient(&mut self, loss: NodeId, x: NodeId, span: Span) -> Result<NodeId, TypeError> {
        self.add(Op::Gradient, &[loss, x], span)
    }
}
