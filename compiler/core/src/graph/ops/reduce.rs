//! Reductions over axes.

use super::super::Built;
use super::super::error::ensure;
use super::super::eval::{Evaluation, Tensor, each_index};
use super::super::{
    AxisIndex, BinaryOp, Builder, DType, Dim, NodeId, ReduceOp, Scalar, TensorType, TypeError, View,
};
use super::Derivative;

/// In the order of [`ReduceOp`].
pub(super) const NAMES: [&str; 6] = [
    "reduce_sum",
    "reduce_max",
    "reduce_min",
    "reduce_prod",
    "argmax",
    "argmin",
];

impl ReduceOp {
    /// The reductions in the order of the enumeration.
    pub const ALL: [ReduceOp; 6] = [
        ReduceOp::Sum,
        ReduceOp::Max,
        ReduceOp::Min,
        ReduceOp::Prod,
        ReduceOp::ArgMax,
        ReduceOp::ArgMin,
    ];

    /// Its name in text.
    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// The reduction of that name.
    pub fn from_name(name: &str) -> Option<ReduceOp> {
        ReduceOp::ALL.into_iter().find(|op| op.name() == name)
    }

    fn is_position(self) -> bool {
        matches!(self, ReduceOp::ArgMax | ReduceOp::ArgMin)
    }
}

pub(super) fn infer(op: ReduceOp, axes: &[usize], x: &TensorType) -> Result<TensorType, TypeError> {
    let name = op.name();
    ensure(axes.windows(2).all(|pair| pair[0] < pair[1]), || {
        format!("the axes of `{name}` must ascend")
    })?;
    ensure(axes.iter().all(|&axis| axis < x.rank()), || {
        format!(
            "`{name}` over axes {axes:?} of a tensor that has {} axes",
            x.rank()
        )
    })?;
    let truth = matches!(op, ReduceOp::Max | ReduceOp::Min);
    ensure(x.dtype != DType::Bool || truth, || {
        format!("`{name}` does not apply to {}", x.dtype)
    })?;
    let shape: Vec<Dim> = (0..x.rank())
        .filter(|axis| !axes.contains(axis))
        .map(|axis| x.shape[axis])
        .collect();
    let dtype = if op.is_position() {
        DType::I32
    } else {
        x.dtype
    };
    Ok(TensorType::new(dtype, shape))
}

/// The elements that each result is made of, in row-major order of the reduced axes.
fn fibres(axes: &[usize], at: &Evaluation<'_>) -> Vec<Vec<f64>> {
    let x = at.operands[0];
    let mut fibres = vec![Vec::new(); at.shape.iter().product::<i64>().max(0) as usize];
    let mut elements = x.data.iter();
    each_index(&x.shape, |index| {
        let kept = index
            .iter()
            .zip(&x.shape)
            .enumerate()
            .filter(|(axis, _)| !axes.contains(axis));
        let result = kept.fold(0, |place, (_, (position, extent))| {
            place * extent + position
        });
        fibres[result as usize].extend(elements.next());
    });
    fibres
}

pub(super) fn evaluate(op: ReduceOp, axes: &[usize], at: &Evaluation<'_>) -> Tensor {
    let fibres = fibres(axes, at);
    let results = fibres.into_iter().map(|fibre| match op.is_position() {
        true => first_extremum(op, &fibre),
        false => fold(op, &fibre),
    });
    Tensor::new(at.shape, results.collect())
}

fn fold(op: ReduceOp, fibre: &[f64]) -> f64 {
    let elements = fibre.iter().copied();
    match op {
        ReduceOp::Sum => elements.sum(),
        ReduceOp::Prod => elements.product(),
        ReduceOp::Min | ReduceOp::ArgMin => elements.fold(f64::INFINITY, BinaryOp::Min.row().value),
        ReduceOp::Max | ReduceOp::ArgMax => {
            elements.fold(f64::NEG_INFINITY, BinaryOp::Max.row().value)
        }
    }
}

/// The position of the first extremum; a NaN counts as beyond everything.
fn first_extremum(op: ReduceOp, fibre: &[f64]) -> f64 {
    let sign = if op == ReduceOp::ArgMin { -1.0 } else { 1.0 };
    let mut best = (0, f64::NEG_INFINITY);
    for (position, &element) in fibre.iter().enumerate() {
        let better = sign * element > best.1 || element.is_nan() && !best.1.is_nan();
        if position == 0 || better {
            best = (position, sign * element);
        }
    }
    best.0 as f64
}

pub(super) fn gradient(
    builder: &mut Builder<'_>,
    op: ReduceOp,
    axes: &[usize],
    at: &Derivative<'_>,
) -> Built {
    let shape = builder.shape(at.inputs[0]);
    let spread = builder.spread(at.g, &shape, axes)?;
    match op {
        ReduceOp::Sum | ReduceOp::ArgMax | ReduceOp::ArgMin => Ok(spread),
        ReduceOp::Max => first_gradient(builder, ReduceOp::ArgMax, axes, at, spread),
        ReduceOp::Min => first_gradient(builder, ReduceOp::ArgMin, axes, at, spread),
        ReduceOp::Prod => product_gradient(builder, axes, at, spread),
    }
}

/// To the first extremum: ties are common after relu.
fn first_gradient(
    builder: &mut Builder<'_>,
    op: ReduceOp,
    axes: &[usize],
    at: &Derivative<'_>,
    spread: NodeId,
) -> Built {
    let shape = builder.shape(at.inputs[0]);
    let first = builder.reduce(op, at.inputs[0], axes)?;
    let first = builder.spread(first, &shape, axes)?;
    let position = builder.linear_position(&shape, axes)?;
    let is_first = builder.binary(BinaryOp::Eq, position, first)?;
    let zero = builder.full_like(0.0, spread)?;
    builder.select(is_first, spread, zero)
}

impl Builder<'_> {
    /// i32: the row-major position among some axes, at every element of a shape.
    pub(crate) fn linear_position(&mut self, shape: &[Dim], axes: &[usize]) -> Built {
        let mut position = None;
        for &axis in axes {
            let iota = self.iota(shape, axis)?;
            position = Some(match position {
                None => iota,
                Some(outer) => {
                    let extent = self.integer_extent(shape[axis])?;
                    let extent = self.broadcast_to(extent, shape)?;
                    let scaled = self.binary(BinaryOp::Mul, outer, extent)?;
                    self.binary(BinaryOp::Add, scaled, iota)?
                }
            });
        }
        match position {
            Some(position) => Ok(position),
            None => self.full(Scalar::I32(0), shape),
        }
    }

    /// An extent as an i32 scalar.
    pub(crate) fn integer_extent(&mut self, dim: Dim) -> Built {
        match dim.known().and_then(|extent| i32::try_from(extent).ok()) {
            Some(extent) => self.graph.constant(Scalar::I32(extent), self.span),
            None => {
                let extent = self.graph.extent(dim, self.span)?;
                self.cast(extent, DType::I32)
            }
        }
    }
}

/// The product of all others, without division, so that zeros do no harm: `prod over j of (j = i ? 1 : x_j)`.
fn product_gradient(
    builder: &mut Builder<'_>,
    axes: &[usize],
    at: &Derivative<'_>,
    spread: NodeId,
) -> Built {
    let x = at.inputs[0];
    let own = builder.shape(x);
    let rank = own.len();
    let mut shape = own.clone();
    shape.extend(axes.iter().map(|&axis| own[axis]));
    let mut index: Vec<AxisIndex> = (0..rank).map(AxisIndex::variable).collect();
    for (number, &axis) in axes.iter().enumerate() {
        index[axis] = AxisIndex::variable(rank + number);
    }
    let fill = Scalar::zero(DType::F32);
    let pairs = builder.view(
        x,
        View {
            shape: shape.clone(),
            index,
            fill,
        },
    )?;
    let mut itself = builder.full(Scalar::Bool(true), &shape)?;
    for (number, &axis) in axes.iter().enumerate() {
        let (one, other) = (
            builder.iota(&shape, axis)?,
            builder.iota(&shape, rank + number)?,
        );
        let equal = builder.binary(BinaryOp::Eq, one, other)?;
        itself = builder.binary(BinaryOp::And, itself, equal)?;
    }
    let one = builder.full_like(1.0, pairs)?;
    let others = builder.select(itself, one, pairs)?;
    let last: Vec<usize> = (rank..shape.len()).collect();
    let product = builder.reduce(ReduceOp::Prod, others, &last)?;
    builder.binary(BinaryOp::Mul, spread, product)
}
