//! The language's grammar, its syntax tree with spans, its diagnostics and its formatter.
//!
//! Absent here: tensors, shapes, types, files (sources arrive as text).
#![forbid(unsafe_code)]

mod span;

pub use span::{FileId, Span};
