//! Views: operations that only move elements.

use super::super::{AxisIndex, DType, Dim, Graph, NodeId, Op, RandomOp, Scalar, TypeError, View};
use dlm_grammar::Span;

impl Graph {
    /// An affine view; the node itself where the view is the identity.
    ///
    /// # Errors
    /// Where an axis or variable does not exist.
    pub fn view(&mut self, a: NodeId, view: View, span: Span) -> Result<NodeId, TypeError> {
        let identity = view.shape == self.nodes[a].ty.shape
            && view
                .index
                .iter()
                .enumerate()
                .all(|(axis, index)| index.as_variable() == Some(axis));
        if identity {
            Ok(a)
        } else {
            self.add(Op::View(view), &[a], span)
        }
    }

    /// Axes in another order: axis `order[i]` of the operand becomes axis i.
    ///
    /// # Errors
    /// Where `order` is no permutation of the axes.
    pub fn permute(&mut self, a: NodeId, order: &[usize], span: Span) -> Result<NodeId, TypeError> {
        let shape = self.nodes[a].ty.shape.clone();
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..shape.len()) {
            return Err(TypeError(format!(
                "{order:?} is no order of the {} axes",
                shape.len()
            )));
        }
        let place = |axis: usize| order.iter().position(|&from| from == axis).unwrap_or(axis);
        let index = (0..shape.len())
            .map(|axis| AxisIndex::variable(place(axis)))
            .collect();
        let moved = order.iter().map(|&axis| shape[axis]).collect();
        self.view(
            a,
            View {
                shape: moved,
                index,
                fill: self.zero_of(a),
            },
            span,
        )
    }

    /// Along each axis `length` elements from `begin` on, `step` (not 0) apart.
    ///
    /// # Errors
    /// Where the number of axes differs, or an element is not on its axis.
    pub fn slice(
        &mut self,
        a: NodeId,
        axes: &[(i64, Dim, i64)],
        span: Span,
    ) -> Result<NodeId, TypeError> {
        if axes.len() != self.nodes[a].ty.rank() {
            return Err(TypeError(format!(
                "{} axes sliced of {}",
                axes.len(),
                self.nodes[a].ty
            )));
        }
        let shape: Vec<Dim> = axes.iter().map(|axis| axis.1).collect();
        let mut index = Vec::with_capacity(axes.len());
        for (axis, &(begin, length, step)) in axes.iter().enumerate() {
            let position = AxisIndex::affine(&[(axis, step)], begin, 1);
            let extent = self.nodes[a].ty.shape[axis];
            if length != Dim::fixed(0) && !position.always_valid(&shape, extent) {
                return Err(TypeError(format!(
                    "{length} elements from {begin} on in steps of {step} are not all on an axis of {extent}"
                )));
            }
            index.push(position);
        }
        let fill = self.zero_of(a);
        self.view(a, View { shape, index, fill }, span)
    }

    /// The operand at one position of an axis, which vanishes.
    ///
    /// # Errors
    /// Where the axis or the position on it does not exist.
    pub fn at(
        &mut self,
        a: NodeId,
        axis: usize,
        position: i64,
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let shape = self.nodes[a].ty.shape.clone();
        if axis >= shape.len() {
            return Err(TypeError(format!("axis {axis} of {}", self.nodes[a].ty)));
        }
        if !AxisIndex::constant(position).always_valid(&[], shape[axis]) {
            return Err(TypeError(format!(
                "position {position} is not on an axis of {}",
                shape[axis]
            )));
        }
        let index = (0..shape.len()).map(|own| match own.cmp(&axis) {
            std::cmp::Ordering::Less => AxisIndex::variable(own),
            std::cmp::Ordering::Equal => AxisIndex::constant(position),
            std::cmp::Ordering::Greater => AxisIndex::variable(own - 1),
        });
        let index = index.collect();
        let rest = shape
            .iter()
            .enumerate()
            .filter(|&(own, _)| own != axis)
            .map(|(_, &dim)| dim)
            .collect();
        self.view(
            a,
            View {
                shape: rest,
                index,
                fill: self.zero_of(a),
            },
            span,
        )
    }

    /// `before` and `after` elements of `fill` around each axis.
    ///
    /// # Errors
    /// Where the number of axes differs.
    pub fn pad(
        &mut self,
        a: NodeId,
        axes: &[(i64, i64)],
        fill: Scalar,
        span: Span,
    ) -> Result<NodeId, TypeError> {
        let shape = self.nodes[a].ty.shape.clone();
        if axes.len() != shape.len() {
            return Err(TypeError(format!(
                "{} axes padded of {}",
                axes.len(),
                self.nodes[a].ty
            )));
        }
        let index = axes
            .iter()
            .enumerate()
            .map(|(axis, pad)| AxisIndex::affine(&[(axis, 1)], -pad.0, 1));
        let index = index.collect();
        let grown = |(dim, pad): (&Dim, &(i64, i64))| Dim {
            fixed: dim.fixed + pad.0 + pad.1,
            ..*dim
        };
        let shape = shape.iter().zip(axes).map(grown).collect();
        self.view(a, View { shape, index, fill }, span)
    }

    /// The operand with the elements of an axis in reverse.
    ///
    /// # Errors
    /// Where the axis does not exist or its extent is not known.
    pub fn flip(&mut self, a: NodeId, axis: usize, span: Span) -> Result<NodeId, TypeError> {
        let shape = self.nodes[a].ty.shape.clone();
        let Some(extent) = shape.get(axis).and_then(|dim| dim.known()) else {
            return Err(TypeError(format!("axis {axis} of {}", self.nodes[a].ty)));
        };
        let index = (0..shape.len()).map(|own| match own == axis {
            true => AxisIndex::affine(&[(own, -1)], extent - 1, 1),
            false => AxisIndex::variable(own),
        });
        let index = index.collect();
        self.view(
            a,
            View {
                shape,
                index,
                fill: self.zero_of(a),
            },
            span,
        )
    }

    /// The same elements in row-major order under another shape.
    ///
    /// # Errors
    /// Where the number of elements differs.
    pub fn reshape(&mut self, a: NodeId, shape: &[Dim], span: Span) -> Result<NodeId, TypeError> {
        if self.nodes[a].ty.shape == shape {
            return Ok(a);
        }
        self.add(
            Op::Reshape {
                shape: shape.to_vec(),
            },
            &[a],
            span,
        )
    }

    /// Operands joined along an axis.
    ///
    /// # Errors
    /// Where the other axes or the element types differ.
    pub fn concat(
        &mut self,
        operands: &[NodeId],
        axis: usize,
        span: Span,
    ) -> Result<NodeId, TypeError> {
        match operands {
            [one] => Ok(*one),
            _ => self.add(Op::Concat { axis }, operands, span),
        }
    }

    /// Rows of axis 0 of `table`.
    ///
    /// # Errors
    /// Where the ids are no i32.
    pub fn gather(&mut self, table: NodeId, ids: NodeId, span: Span) -> Result<NodeId, TypeError> {
        self.add(Op::Gather, &[table, ids], span)
    }

    /// Inclusive prefix sums along an axis.
    ///
    /// # Errors
    /// Where the axis does not exist.
    pub fn cumulative_sum(
        &mut self,
        a: NodeId,
        axis: usize,
        span: Span,
    ) -> Result<NodeId, TypeError> {
        self.add(
            Op::CumulativeSum {
                axis,
                reverse: false,
            },
            &[a],
            span,
        )
    }

    /// 1.0 where the id is the position along a new last axis of extent `classes`, else 0.0.
    ///
    /// # Errors
    /// Where the ids are no i32.
    pub fn one_hot(&mut self, ids: NodeId, classes: Dim, span: Span) -> Result<NodeId, TypeError> {
        let mut shape = self.nodes[ids].ty.shape.clone();
        let axis = shape.len();
        shape.push(classes);
        let wide = self.restore_axes(ids, &shape, &[axis], span)?;
        let position = self.iota(&shape, axis, span)?;
        let equal = self.binary(super::super::BinaryOp::Eq, wide, position, span)?;
        self.cast(equal, DType::F32, span)
    }

    /// Random values of a shape; `place` tells one use from another.
    ///
    /// # Errors
    /// Where seed and step are no i32 scalars.
    pub fn random(
        &mut self,
        op: RandomOp,
        place: u32,
        shape: &[Dim],
        (seed, step): (NodeId, NodeId),
        span: Span,
    ) -> Result<NodeId, TypeError> {
        self.add(
            Op::Random {
                op,
                place,
                shape: shape.to_vec(),
            },
            &[seed, step],
            span,
        )
    }
}
