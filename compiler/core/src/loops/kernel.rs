//! The data structures of loop IR.

use cranelift_entity::{PrimaryMap, entity_impl};
use dlm_grammar::Span;

/// An SSA value of a kernel. Printed as `v7`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(u32);
entity_impl!(Value, "v");

/// A buffer argument of a kernel. Printed as `b2`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Buffer(u32);
entity_impl!(Buffer, "b");

/// A float constant. Identity is by bits: a NaN equals itself, and -0 differs from 0.
#[derive(Clone, Copy, Debug)]
pub struct Float(pub f32);

impl From<f32> for Float {
    fn from(value: f32) -> Float {
        Float(value)
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Float) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}
impl Eq for Float {}
impl std::hash::Hash for Float {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// The type of a value. The number is how many lanes; 1 is a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    /// A 64-bit integer that counts, indexes or bounds. Printed `index`.
    Index,
    /// Floats. Printed `f32x8`.
    F32(u8),
    /// 32-bit integers, wrapping. Printed `i32x8`.
    I32(u8),
    /// Per lane all ones or all zeros. Printed `maskx8`.
    Mask(u8),
}

/// The type of a buffer's elements in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Element {
    /// Loads as `F32`.
    F32,
    /// Loads as `I32`.
    I32,
    /// Loads as `I32`, zero-extended; stores the low byte.
    U8,
    /// The upper half of an f32's bits; loads as `I32`, zero-extended, and stores the low two bytes.
    Bf16,
    /// One byte, 0 or 1; loads and stores as `Mask`.
    Bool,
}

/// How a kernel uses a buffer. Two buffers of one call never overlap, except that a call may bind one address to a
/// `ReadWrite` buffer only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Only loads.
    Read,
    /// Only stores.
    Write,
    /// Loads and stores.
    ReadWrite,
    /// Stores, and loads what it has stored itself.
    WriteRead,
}

/// A buffer argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BufferDecl {
    /// For dumps.
    pub name: String,
    /// Of the elements.
    pub element: Element,
    /// What the kernel may do.
    pub access: Access,
}

/// A place in a buffer, in elements: `sum of value * coefficient + offset`. Values are of type `Index`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Which buffer.
    pub buffer: Buffer,
    /// Sorted by value, coefficients nonzero.
    pub terms: Vec<(Value, i64)>,
    /// The constant part.
    pub offset: i64,
}

/// How a load fills its lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoadKind {
    /// Lane l from element `address + l`.
    Contiguous,
    /// Every lane from the element at `address`.
    Splat,
    /// Lane l from element `address + l * stride`.
    Strided(i64),
    /// Every lane from the two elements of two bytes at `address` and after it: the first in the lane's low half, the
    /// second in its high half.
    SplatPair,
}

/// Integer arithmetic on `Index` values; a condition is an `Index` that is 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the operation of its name")]
pub enum IntOp {
    Add,
    Sub,
    Mul,
    Min,
    Max,
    /// Floor division; the divisor is a positive constant.
    DivFloor,
    /// Its remainder, not negative.
    ModFloor,
    /// Conditions, 0 or 1.
    Less,
    LessEqual,
    Equal,
    And,
}

/// One vector operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the operation of its name")]
pub enum VectorUnary {
    Neg,
    Abs,
    Sqrt,
    Floor,
    Ceil,
    /// To nearest, ties to even.
    Round,
    /// Masks only.
    Not,
    /// f32 to i32, towards zero, saturating, NaN to 0.
    ToInt,
    /// i32 to f32.
    ToFloat,
    /// The same bits as f32.
    BitsToFloat,
    /// The same bits as i32.
    FloatToBits,
    /// mask to i32: 1 where set.
    MaskToInt,
    /// i32 to mask: set where not 0.
    IntToMask,
}

/// Two vector operands of one type. Float unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the operation of its name")]
pub enum VectorBinary {
    Add,
    Sub,
    Mul,
    Div,
    /// `a < b ? a : b`: b where either is NaN (x86's minps).
    MinSelect,
    /// `a > b ? a : b`: b where either is NaN.
    MaxSelect,
    /// NaN where either is; b where they are equal (zeros of either sign are).
    MinNan,
    /// NaN where either is; b where they are equal (zeros of either sign are).
    MaxNan,
    /// On i32: wrapping.
    IntAdd,
    IntSub,
    IntMul,
    IntAnd,
    IntOr,
    IntXor,
    /// On i32: signed minimum and maximum.
    IntMin,
    IntMax,
    /// On masks.
    MaskAnd,
    MaskOr,
    MaskXor,
}

/// Comparisons of f32 (ordered but for `Ne`, as in IEEE 754) or signed i32 lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the operation of its name")]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// Functions that `expand_math` rewrites into the others, with the project's own polynomials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the function of its name")]
pub enum MathOp {
    Exp,
    Log,
    Tanh,
    Erf,
    Sin,
    Cos,
    /// Two operands.
    Pow,
    /// Python's `%` on f32, two operands.
    Rem,
    /// `Rem` on i32; the divisor 0 gives 0.
    IntRem,
    /// i32 division towards zero; the divisor 0 gives 0.
    IntDiv,
    /// (index: i32, step: i32, seed: i32, place: i32) to the first word of Threefry-2x32-20.
    Threefry0,
    /// To the second word.
    Threefry1,
}

/// A computation without effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Instruction {
    /// An `Index` constant.
    IndexConst(i64),
    /// A float in every lane.
    FloatConst(Float),
    /// An integer in every lane.
    IntConst(i32),
    /// A mask, all set or all clear.
    MaskConst(bool),
    /// Integer arithmetic.
    Int(IntOp, Value, Value),
    /// From memory.
    Load {
        /// Of the first lane.
        address: Address,
        /// Where the other lanes are.
        kind: LoadKind,
    },
    /// Lane-wise.
    Unary(VectorUnary, Value),
    /// Lane-wise.
    Binary(VectorBinary, Value, Value),
    /// `a * b + c`, rounded once.
    Fma(Value, Value, Value),
    /// `(a, b, c)` of i32, i32 and f32: each lane of `a` and `b` holds two numbers of bf16, and their products are added
    /// to the lane of `c`, first those of the high halves, then those of the low. Each product and sum is rounded once,
    /// to nearest even; what is subnormal counts as zero, operands, sums and result alike ([`lanes::dot_pairs`]). It is
    /// x86's `vdpbf16ps` (Intel, "Software Developer's Manual", volume 2).
    ///
    /// [`lanes::dot_pairs`]: super::lanes::dot_pairs
    DotPairs(Value, Value, Value),
    /// Gives a mask.
    Compare(Comparison, Value, Value),
    /// `(mask, a, b)`.
    Select(Value, Value, Value),
    /// i32 lanes shifted left by a constant.
    ShiftLeft(Value, u8),
    /// i32 lanes shifted right, filling with zeros.
    ShiftRight(Value, u8),
    /// A scalar in every lane.
    Splat(Value),
    /// An `Index` as i32 in every lane, wrapping.
    IndexToInt(Value),
    /// i32: the lane's number, from 0.
    LaneIota,
    /// The sum of all lanes, in a balanced tree (0+n/2, …): a one-lane vector.
    ReduceAdd(Value),
    /// One lane as a one-lane vector.
    Extract(Value, u8),
    /// The lanes of the first vector, then those of the second; of f32 or i32, 4 or 8 lanes each.
    Join(Value, Value),
    /// Of 8 or 16 lanes of f32 or i32, the lower half (0) or the upper (1).
    Half(Value, u8),
    /// An i32 scalar as an `Index`, sign-extended.
    IntToIndex(Value),
    /// To be expanded before emission.
    Math(MathOp, Vec<Value>),
}

/// Why a loop is there; for dumps and for the emitters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoopKind {
    /// Iterations over outputs.
    Domain,
    /// Iterations of a reduction.
    Reduction,
}

/// A value that goes round a loop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Carried {
    /// Its value before the first round.
    pub initial: Value,
    /// Its name in the body.
    pub argument: Value,
    /// Its value at the end of a round.
    pub next: Value,
    /// Its name after the loop.
    pub result: Value,
}

/// `for variable in begin..end step step`; no round where begin >= end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoopStatement {
    /// Why.
    pub kind: LoopKind,
    /// For dumps: the axis' name.
    pub name: String,
    /// The counter, of type `Index`.
    pub variable: Value,
    /// First value.
    pub begin: Value,
    /// Bound, excluded.
    pub end: Value,
    /// Positive.
    pub step: i64,
    /// What goes round.
    pub carried: Vec<Carried>,
    /// The round.
    pub body: Block,
}

/// `if condition { body }`: each result is `then` if taken, else `otherwise`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conditional {
    /// An `Index`, 0 or not.
    pub condition: Value,
    /// Where it is not 0.
    pub body: Block,
    /// `(result, then, otherwise)`.
    pub results: Vec<(Value, Value, Value)>,
}

/// A step of a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Statement {
    /// Names a computation.
    Define(Value, Instruction),
    /// Writes lanes to consecutive elements (or, `stride` not 1, to every stride-th).
    Store {
        /// Of the first lane.
        address: Address,
        /// What to write.
        value: Value,
        /// In elements, from lane to lane.
        stride: i64,
    },
    /// Asks for the cache line of that element, which is read later; it may lie outside of the buffer. Changes nothing.
    Prefetch(Address),
    /// A loop.
    Loop(LoopStatement),
    /// A condition, the same for all lanes.
    If(Conditional),
}

/// Statements in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Block {
    /// The statements.
    pub statements: Vec<Statement>,
}

/// A kernel: `fn(*const u64)` whose argument block holds a pointer for each buffer, then the scalars.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// For dumps; kernels that are equal but for names share code.
    pub name: String,
    /// Pointer arguments, in order.
    pub buffers: PrimaryMap<Buffer, BufferDecl>,
    /// `Index` arguments after the pointers: value and name.
    pub scalars: Vec<(Value, String)>,
    /// The type of each value.
    pub values: PrimaryMap<Value, Type>,
    /// What it does.
    pub body: Block,
    /// Lines for the reader: tile, lanes, why.
    pub notes: Vec<String>,
    /// Places in the source that it computes.
    pub spans: Vec<Span>,
}
