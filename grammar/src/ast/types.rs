//! Types as written in signatures, parameters and states.

use super::Expr;
use crate::Span;

/// A type.
#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    /// Which type it is.
    pub kind: TypeKind,
    /// The whole type.
    pub span: Span,
}

/// The kinds of types.
#[derive(Clone, Debug, PartialEq)]
pub enum TypeKind {
    /// `f32[B, n]`; `f32` alone is a scalar. `bool` without brackets is this kind among tensors
    /// (parameters, results, `param`, `state`) and [`StaticType::Bool`] in a signature's square brackets.
    Tensor {
        /// The element type.
        dtype: DType,
        /// The shape; none where no brackets stand.
        dims: Option<Vec<Dim>>,
    },
    /// A compile-time value such as `int` or `schedule`.
    Static(StaticType),
    /// `[int]`: a list of any length.
    List(Box<Type>),
    /// `(int, int)`.
    Tuple(Vec<Type>),
}

/// The element types of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// 16-bit float with 8 exponent bits.
    Bf16,
    /// 32-bit signed integer.
    I32,
    /// 8-bit unsigned integer.
    U8,
    /// True or false.
    Bool,
}

impl DType {
    /// All element types with the words that stand for them.
    pub const ALL: [(DType, &'static str); 5] = [
        (DType::F32, "f32"),
        (DType::Bf16, "bf16"),
        (DType::I32, "i32"),
        (DType::U8, "u8"),
        (DType::Bool, "bool"),
    ];

    /// The word in programs.
    pub fn word(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::Bf16 => "bf16",
            DType::I32 => "i32",
            DType::U8 => "u8",
            DType::Bool => "bool",
        }
    }
}

/// The types of compile-time values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StaticType {
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// True or false.
    Bool,
    /// Text.
    Str,
    /// A function.
    Fn,
    /// A block or an instance of one.
    Block,
    /// An initializer: a function of shape and fans.
    Init,
    /// A scalar expression over `epoch`, `iter`, `epochs`, `steps`.
    Schedule,
    /// A value of a whole evaluation set.
    Metric,
}

impl StaticType {
    /// All static types with the words that stand for them.
    pub const ALL: [(StaticType, &'static str); 9] = [
        (StaticType::Int, "int"),
        (StaticType::Float, "float"),
        (StaticType::Bool, "bool"),
        (StaticType::Str, "str"),
        (StaticType::Fn, "fn"),
        (StaticType::Block, "block"),
        (StaticType::Init, "init"),
        (StaticType::Schedule, "schedule"),
        (StaticType::Metric, "metric"),
    ];

    /// The word in programs.
    pub fn word(self) -> &'static str {
        match self {
            StaticType::Int => "int",
            StaticType::Float => "float",
            StaticType::Bool => "bool",
            StaticType::Str => "str",
            StaticType::Fn => "fn",
            StaticType::Block => "block",
            StaticType::Init => "init",
            StaticType::Schedule => "schedule",
            StaticType::Metric => "metric",
        }
    }
}

/// One entry of a tensor type's brackets.
#[derive(Clone, Debug, PartialEq)]
pub struct Dim {
    /// A size or `..`.
    pub kind: DimKind,
    /// The whole entry.
    pub span: Span,
}

/// The kinds of [`Dim`].
#[derive(Clone, Debug, PartialEq)]
pub enum DimKind {
    /// `..`: any further dimensions.
    Rest,
    /// A size: a number, a name (bound, or a dimension variable), or an expression over such.
    Size(Expr),
}
