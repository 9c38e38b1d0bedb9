//! Names, types and shapes: from syntax tree to graphs.
//!
//! Absent here: files (they come through [`world`]), passes over graphs, and anything about speed.

pub mod program;
pub mod world;
