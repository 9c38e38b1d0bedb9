//! Plan IR as text.
//!
//! ```text
//! plan "net.step" {
//!   batch 64
//!   space persistent 640 bytes
//!   space arena 16384 bytes
//!   space scratch 0 bytes
//!
//!   buffer m0 "x": f32[B, 16] lanes(0)x8 in arena at 0, 4096 bytes, block 512
//!   buffer m1 "w": f32[4, 16] plain in persistent at 0, 256 bytes
//!   buffer m2 "partial7": f32[4, 16] partials in arena at 8192, 2048 bytes, task 256
//!
//!   input data "x" m0
//!   input parameter "w" m1
//!   output parameter "w" m1
//!
//!   kernel k0 "product7_part"(b0 "x": f32 read, b1 "partial7": f32 read_write; "valid")
//!   kernel k1 "product7"(b0 "partial7": f32 read, b1 "w": f32 read_write; "tasks", "begin", "end")
//!
//!   phase 0 {
//!     blocks of 8, at most 8 tasks "blocks" {
//!       zero m2
//!       call k0(m0, m2; valid)  # product7_part(x, partial7): tile 4x3
//!     }
//!   }
//!   phase 1 {
//!     ranges of 4 by 2 "product7" {
//!       call k1(m2, m1; tasks of 8 most 8, begin, end)  # product7(partial7, w): sums of tasks
//!     }
//!   }
//!
//!   commit m3 -> m4
//!   decision "product7_part: tile 4x3"
//! }
//! ```
//!
//! A plan for no other batch says `batch 64 exactly`. The other forms of a group are `batch ranges by 8` and `once`; the scalars `batch`, `tasks of LANES most TASKS`,
//! `block`, `valid`, `begin` and `end`. Comments are for the reader: a call's kernel, its buffers' names and why the
//! kernel is as it is.
//!
//! [`Plan`]'s `Display` gives this; kernels stand in it by name and signature only. [`print_with_kernels`] adds their
//! loop IR after it, unindented, in the order of their numbers. What that prints parses to an equal plan; a text
//! without kernels parses to a plan whose kernels have signatures but no bodies.

mod lexer;
mod parse;
mod print;

use super::Plan;

pub use parse::parse_plan;

/// Text that is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// The plan, and after it each kernel's loop IR.
pub fn print_with_kernels(plan: &Plan) -> String {
    let mut text = plan.to_string();
    for kernel in plan.kernels.values() {
        text += &format!("\n{kernel}");
    }
    text
}

#[cfg(test)]
mod tests;
