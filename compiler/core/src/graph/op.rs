//! The closed set of operations. What each means is in a file of its own under `ops/`, listed in [`super::ops`].

use super::{AxisIndex, DType, Dim, Scan, TensorType};

/// A compile-time scalar.
#[derive(Clone, Copy, Debug)]
pub enum Scalar {
    /// A float; identity is by bits.
    F32(f32),
    /// An integer.
    I32(i32),
    /// A truth value.
    Bool(bool),
}

impl Scalar {
    /// The type of the value.
    pub fn dtype(self) -> DType {
        match self {
            Scalar::F32(_) => DType::F32,
            Scalar::I32(_) => DType::I32,
            Scalar::Bool(_) => DType::Bool,
        }
    }

    /// The value zero (or false) that fills invalid positions of a tensor of that type.
    pub fn zero(dtype: DType) -> Scalar {
        match dtype {
            DType::F32 | DType::Bf16 => Scalar::F32(0.0),
            DType::I32 | DType::I64 | DType::U8 => Scalar::I32(0),
            DType::Bool => Scalar::Bool(false),
        }
    }

    /// The value as a number; truth values are 0 and 1.
    pub fn as_f64(self) -> f64 {
        match self {
            Scalar::F32(value) => f64::from(value),
            Scalar::I32(value) => f64::from(value),
            Scalar::Bool(value) => f64::from(u8::from(value)),
        }
    }

    /// Whether the value can stand in a tensor of that element type.
    pub fn suits(self, dtype: DType) -> bool {
        self.dtype() == Scalar::zero(dtype).dtype()
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Scalar) -> bool {
        match (self, other) {
            (Scalar::F32(a), Scalar::F32(b)) => a.to_bits() == b.to_bits(),
            (Scalar::I32(a), Scalar::I32(b)) => a == b,
            (Scalar::Bool(a), Scalar::Bool(b)) => a == b,
            _ => false,
        }
    }
}
impl Eq for Scalar {}
impl std::hash::Hash for Scalar {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match *self {
            Scalar::F32(value) => (0u8, value.to_bits()).hash(state),
            Scalar::I32(value) => (1u8, value as u32).hash(state),
            Scalar::Bool(value) => (2u8, u32::from(value)).hash(state),
        }
    }
}

/// What an input of a graph is to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InputKind {
    /// A learned parameter, kept between steps.
    Parameter,
    /// A state of a layer or optimizer, kept between steps.
    State,
    /// A batch of data, new at each step. Its batch axis, if any, is axis 0.
    Data,
    /// A scalar that the run passes to each step (`iter`, `epoch`, `seed`, …).
    Scalar,
}

/// One-argument elementwise functions. Float unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the function of its name")]
pub enum UnaryOp {
    Neg,
    Abs,
    Sign,
    Exp,
    Log,
    Sqrt,
    Rsqrt,
    Sin,
    Cos,
    Tanh,
    Erf,
    Floor,
    Ceil,
    /// To nearest, ties to even.
    Round,
    /// Truth values only.
    Not,
}

/// Two-argument elementwise functions on operands of one type and shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the function of its name")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    /// Python's `%`: the sign is the divisor's.
    Rem,
    Pow,
    /// NaN if either is.
    Max,
    /// NaN if either is.
    Min,
    /// Comparisons give `bool`.
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// Truth values only.
    And,
    Or,
}

/// Reductions that keep the element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the function of its name")]
pub enum ReduceOp {
    Sum,
    Max,
    Min,
    Prod,
    /// i32: the row-major position, among the reduced axes, of the first maximum.
    ArgMax,
    /// i32: as `ArgMax`, of the first minimum.
    ArgMin,
}

/// Counter-based random values: Threefry-2x32-20, key (seed, place), counter (logical index, step).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RandomOp {
    /// f32 in [0, 1): the upper 24 bits of the first word.
    Uniform,
    /// f32 standard normal: Box and Muller's transform `sqrt(-2 ln u) cos(2 pi v)` of the words' upper 24 bits, u in
    /// (0, 1] from the first, v in [0, 1) from the second.
    Normal,
}

/// A sum of products with affine operands: `out[o] = sum over r of the product over k of operand_k[index_k(o, r)]`.
///
/// Variables `0..rank` are the output's axes, the following ones are reduced, with extents `reduced`. One operand
/// gives window sums and the gradients of views, two give every matrix product and convolution.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Contraction {
    /// The output's extents.
    pub shape: Vec<Dim>,
    /// The extents of the reduced variables.
    pub reduced: Vec<Dim>,
    /// For each operand, an index for each of its axes.
    pub operands: Vec<Vec<AxisIndex>>,
}

/// A gather of elements with no arithmetic: `out[o] = in[index(o)]`, or `fill` where a position is invalid.
/// Permutation, slice, flip, pad, broadcast and window are all views.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The output's extents.
    pub shape: Vec<Dim>,
    /// An index for each axis of the input over the output's axes.
    pub index: Vec<AxisIndex>,
    /// Read where a position is invalid.
    pub fill: Scalar,
}

/// An operation with its attributes. Two nodes with equal operation and inputs are one node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant's text explains its fields")]
pub enum Op {
    /// A value from outside; its name is its identity.
    Input {
        kind: InputKind,
        name: String,
        ty: TensorType,
    },
    /// A scalar constant (rank 0).
    Constant(Scalar),
    /// i32: the position along `axis` of a tensor of that shape.
    Iota { shape: Vec<Dim>, axis: usize },
    /// f32 scalar: the run-time batch size.
    BatchSize,
    /// Elementwise, one operand.
    Unary(UnaryOp),
    /// Elementwise, two operands of equal type.
    Binary(BinaryOp),
    /// `(bool, a, b)`, elementwise: a where true, else b.
    Select,
    /// Conversion; f32 to integer truncates towards zero and saturates, NaN gives 0.
    Cast(DType),
    /// Over `axes` (ascending), which vanish from the shape.
    Reduce { op: ReduceOp, axes: Vec<usize> },
    /// A sum of products.
    Contract(Contraction),
    /// An affine view.
    View(View),
    /// The same elements in row-major order under another shape.
    Reshape { shape: Vec<Dim> },
    /// Operands joined along `axis`.
    Concat { axis: usize },
    /// `(table, ids)`: rows of axis 0. An id out of range is clamped, and reported where the run can see it.
    Gather,
    /// `(ids, updates)`: adds rows of updates into a zero tensor with `rows` rows; the gradient of gather.
    ScatterAdd { rows: Dim },
    /// Inclusive prefix sum along `axis`.
    CumulativeSum { axis: usize, reverse: bool },
    /// `(seed: i32, step: i32)`: random values; `place` tells one use from another.
    Random {
        op: RandomOp,
        place: u32,
        shape: Vec<Dim>,
    },
    /// The identity, with no gradient.
    StopGradient,
    /// `(loss, x)`: the gradient of the scalar `loss` with respect to `x`, expanded by the `autodiff` pass.
    Gradient,
    /// A value that a round of a body begins with; only in bodies of scans.
    Argument { number: usize, ty: TensorType },
    /// One result of a loop over rounds.
    Scan(Scan),
}
