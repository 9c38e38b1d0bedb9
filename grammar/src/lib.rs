//! The language's grammar, its syntax tree with spans, its diagnostics and its formatter.
//!
//! Absent here: tensors, shapes, types, files (sources arrive as text).
#![forbid(unsafe_code)]

pub mod ast;
pub mod codes;
mod diagnostic;
pub mod format;
mod lexer;
mod parse;
mod placement;
mod source_map;
mod span;
mod suggest;
mod windows;

pub use diagnostic::{Code, Diagnostic, Label, Severity};
pub use format::format;
pub use lexer::KEYWORDS;
pub use parse::{Broken, MAX_FILE_SIZE, Readable, parse, parse_expression, parse_readable};
pub use source_map::{Position, SourceMap};
pub use span::{FileId, Span};
pub use suggest::suggest;

/// How deep a program may nest: brackets, operators, bodies. Deeper ones are a diagnostic, so that
/// whatever walks the tree may recurse.
pub const MAX_NESTING: usize = 256;

/// After this many errors in a file no further ones are looked for.
pub const MOST_DIAGNOSTICS: usize = 50;
