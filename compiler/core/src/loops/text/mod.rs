//! Loop IR as text.
//!
//! ```text
//! kernel "scale" {
//!   note "8 lanes"
//!   span 0:12..40
//!   buffer b0 "x": f32 read
//!   buffer b1 "y": f32 write
//!   scalar v0 "n"
//!   v1: index = const 0
//!   v2: f32x8 = const 0.5
//!   for v3 "i" in v1..v0 step 8 domain {
//!     v4: f32x8 = load b0[v3]
//!     v5: f32x8 = mul v4, v2
//!     store b1[v3], v5
//!   }
//! }
//! ```
//!
//! A loop that carries values, and a condition that gives some:
//!
//! ```text
//!   for v3 "k" in v1..v0 step 1 reduction carry v4: f32x8 = v2 {
//!     v5: f32x8 = load_splat b0[v3 * 4 + 2]
//!     if v0 {
//!       v6: f32x8 = neg v5
//!     } give v7: f32x8 = v6 else v5
//!     v8: f32x8 = add v4, v7
//!     next v8
//!   } give v9
//! ```
//!
//! A line that is asked for before it is read, `prefetch b0[v3 * 4 + 256]`, changes nothing. Buffers are `read`, `write`,
//! `read_write`, or `write_read` where a kernel loads only what it has stored itself.
//!
//! What is printed parses to an equal kernel.

mod lexer;
mod parse;
mod print;

pub use parse::{ParseError, parse_kernels};
pub(super) use print::statement_line;

#[cfg(test)]
mod tests;
