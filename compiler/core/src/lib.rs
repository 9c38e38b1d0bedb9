//! From syntax tree to plan: names and types, graph IR, passes, schedule, loop IR.
//!
//! Pure: no files, no threads, no machine code. Modules stand in the order that data takes:
//! `elaborate -> graph -> passes -> schedule -> loops`, and `plan` joins them for the run.
#![forbid(unsafe_code)]

pub mod elaborate;
pub mod graph;
pub mod loops;
pub mod passes;
pub mod plan;
pub mod schedule;
