//! Graph IR as text, and back.
//!
//! ```text
//! graph step {
//!   %0 = input : f32[B, 4] {kind=data, name="x"}
//!   %1 = input : f32[3, 4] {kind=parameter, name="w"}
//!   %2 = contract %0, %1 : f32[B, 3] {index=["v0, v2", "v1, v2"], reduced=[4]}
//!   output result "out" = %2
//! }
//! ```
//! Attributes are sorted by key; `#` begins a comment. Types are checked against what the operation gives.

mod attributes;
mod lexer;
mod parse;
mod print;
#[cfg(test)]
mod tests;

pub use parse::{TextError, parse};
