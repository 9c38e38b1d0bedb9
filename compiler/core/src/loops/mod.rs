//! Loop IR: kernels with explicit loops, vectors, buffers and addresses.
//!
//! A kernel is structured SSA: a block of statements, where a loop or a condition owns nested blocks and carries
//! values. The width of vectors is a parameter: `f32x1` is a scalar, and an emitter may split `f32x8` as its machine
//! needs. An accumulator tile is loop-carried vectors.
//!
//! [`KernelBuilder`] makes kernels, [`types`] infers types, [`lanes`] says what each instruction does to a lane.

mod affine;
mod build;
mod columns;
mod expand_math;
mod interpret;
mod kernel;
pub mod lanes;
mod names;
mod next_tile;
mod ranges;
mod rows;
pub mod text;
mod tidy;
pub mod types;
mod verify;
mod visit;

pub use affine::Affine;
pub use build::{BuildError, KernelBuilder};
pub use columns::{Columns, TILE, columns, turned_from};
pub use expand_math::{expand_math, expand_pairs};
pub use interpret::{InterpretError, Touch, interpret, interpret_observed};
pub use kernel::{
    Access, Address, Block, Buffer, BufferDecl, Carried, Comparison, Conditional, Element, Float,
    Instruction, IntOp, Kernel, LoadKind, LoopKind, LoopStatement, MathOp, Statement, Type, Value,
    VectorBinary, VectorUnary,
};
pub use next_tile::{Memory, Streams, ask_for_next_tile};
pub use ranges::Range;
pub use rows::{Side, ask_for_rows, join_rows};
pub use tidy::tidy;
pub use verify::{VerifyError, verify, verify_emittable};
