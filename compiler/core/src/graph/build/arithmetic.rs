//! Broadcasting, and reductions that are composed of others.

use super::super::{BinaryOp, DType, Dim, Graph, NodeId, Op, ReduceOp, Scalar, TypeError, View};
use crate::graph::AxisIndex;
use dlm_grammar::Span;

impl Graph {
    /// The shape that two shapes broadcast to, by NumPy's rules.
    ///
    /// # Errors
    /// Where two extents differ and neither is 1.
    pub fn broadcast_shape(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, TypeError> {
        let rank = a.len().max(b.len());
        let at = |shape: &[Dim], axis: usize| {
            (axis + shape.len())
                .checked_sub(rank)
                .map(|axis| shape[axis])
        };
        (0..rank)
            .map(|axis| match (at(a, axis), at(b, axis)) {
                (Some(x), Some(y)) if x == y || y == Dim::fixed(1) => Ok(x),
                (Some(x), Some(y)) if x == Dim::fixed(1) => Ok(y),
                (Some(x), None) | (None, Some(x)) => Ok(x),
                (Some(x), Some(y)) => Err(TypeError(format!("extents differ: {x} and {y}"))),
                (None, None) => Ok(Dim::fixed(1)),
            })
            .collect()
    }

    /// Repeats a value along axes of extent 1 and new leading axes.
    ///
    /// # Errors
    /// Where the shape does not broadcast to `shape`.
    pub fn broadcast_to(
        &mut self,
        a: NodeId,
        shape: &[Dim],
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let own = self.nodes[a].ty.shape.clone();
        if own == shape {
            return Ok(a);
        }
        if Graph::broadcast_shape(&own, shape)? != shape {
            return Err(TypeError(format!(
                "{} does not broadcast to that shape",
                self.nodes[a].ty
            )));
        }
        let first = shape.len() - own.len();
        let index = own
            .iter()
            .enumerate()
            .map(|(axis, dim)| match *dim == shape[first + axis] {
                true => AxisIndex::variable(first + axis),
                false => AxisIndex::constant(0),
            });
        let index = index.collect();
        self.view(
            a,
            View {
                shape: shape.to_vec(),
                index,
                fill: self.zero_of(a),
            },
            span,
        )
    }

    pub(super) fn broadcast_pair(
        &mut self,
        a: NodeId,
        b: NodeId,
        span: Span,
    ) -> Result<(NodeId, NodeId), TypeError> {
        let shape = Graph::broadcast_shape(&self.nodes[a].ty.shape, &self.nodes[b].ty.shape)?;
        Ok((
            self.broadcast_to(a, &shape, span)?,
            self.broadcast_to(b, &shape, span)?,
        ))
    }

    /// Zero in the element type of a node.
    pub(crate) fn zero_of(&self, a: NodeId) -> Scalar {
        match self.nodes[a].ty.dtype {
            DType::F32 | DType::Bf16 => Scalar::F32(0.0),
            DType::Bool => Scalar::Bool(false),
            _ => Scalar::I32(0),
        }
    }

    /// A value repeated along axes that a reduction removed: the inverse of its change of shape.
    ///
    /// # Errors
    /// Where the shapes do not correspond.
    pub fn restore_axes(
        &mut self,
        a: NodeId,
        shape: &[Dim],
        axes: &[usize],
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let kept = (0..shape.len())
            .filter(|axis| !axes.contains(axis))
            .map(AxisIndex::variable);
        let view = View {
            shape: shape.to_vec(),
            index: kept.collect(),
            fill: self.zero_of(a),
        };
        self.view(a, view, span)
    }

    /// An extent as a f32 scalar, at run time where it depends on the batch size.
    ///
    /// # Errors
    /// None in truth.
    pub fn extent(&mut self, dim: Dim, span: Span) -> Result<NodeId, TypeError> {
        let fixed = self.number(dim.fixed as f64, DType::F32, span)?;
        if !dim.is_dynamic() {
            return Ok(fixed);
        }
        let mut extent = self.add(Op::BatchSize, &[], span)?;
        if dim.batch != 1 {
            let factor = self.number(dim.batch as f64, DType::F32, span)?;
            extent = self.binary(BinaryOp::Mul, extent, factor, span)?;
        }
        match dim.fixed {
            0 => Ok(extent),
            _ => self.binary(BinaryOp::Add, extent, fixed, span),
        }
    }

    /// The number of elements along axes, as a f32 scalar.
    ///
    /// # Errors
    /// Where an axis mixes the batch size with other extents.
    pub fn count(&mut self, a: NodeId, axes: &[usize], span: Span) -> Result<NodeId, TypeError> {
        let shape = self.nodes[a].ty.shape.clone();
        let mut fixed = 1.0;
        let mut count: Option<NodeId> = None;
        for &axis in axes {
            let dim = shape[axis];
            let Some(extent) = dim.known() else {
                let term = self.extent(dim, span)?;
                count = Some(match count {
                    None => term,
                    Some(count) => self.binary(BinaryOp::Mul, count, term, span)?,
                });
                continue;
            };
            fixed *= extent as f64;
        }
        let fixed_node = self.number(fixed, DType::F32, span)?;
        match count {
            None => Ok(fixed_node),
            Some(count) if fixed == 1.0 => Ok(count),
            Some(count) => self.binary(BinaryOp::Mul, count, fixed_node, span),
        }
    }

    /// The mean over axes.
    ///
    /// # Errors
    /// Where an axis does not exist or the elements are no floats.
    pub fn mean(&mut self, a: NodeId, axes: &[usize], span: Span) -> Result<NodeId, TypeError> {
        let sum = self.reduce(ReduceOp::Sum, a, axes, span)?;
        let count = self.count(a, axes, span)?;
        self.binary(BinaryOp::Div, sum, count, span)
    }
}
