//! Loop IR: kernels with explicit loops, vectors, buffers and addresses.
//!
//! A kernel is structured SSA: a block of statements, where a loop or a condition owns nested blocks and carries
//! values. The width of vectors is a parameter: `f32x1` is a scalar, and an emitter may split `f32x8` as its machine
//! needs. An accumulator tile is loop-carried vectors.

mod kernel;

pub use kernel::{
    Access, Address, Block, Buffer, BufferDecl, Carried, Comparison, Conditional, Element,
    Instruction, IntOp, Kernel, LoadKind, LoopKind, LoopStatement, MathOp, Statement, Type, Value,
    VectorBinary, VectorUnary,
};
