//! The runtime of dlmc: it runs compiled programs, loads data and holds the training session.
//!
//! It knows no language, no graph and no layer. What it runs is a [`program::Program`]: machine code as
//! function pointers, and a description of which arguments each call gets and what may run at once.
//!
//! | module | is |
//! |---|---|
//! | [`program`] | the executable program, as plain data |
//! | [`memory`] | the buffers that programs run in |
//! | [`team`] | the worker team that runs the steps of a program |
//! | [`call`] | running a program once on plain tensors |
//! | [`checkpoint`] | tensors in files |
//! | [`data`] | data sets: sources, stages, gathering of batches |
//! | [`indices`] | computed indices that were out of range |
//! | [`metrics`] | the file of reported values |
//! | [`random`] | counter-based random numbers |
//! | [`session`] | a training session |
//! | [`tensor`] | a plain tensor in memory, and its element types |

pub mod call;
pub mod checkpoint;
pub mod data;
mod half;
pub mod indices;
pub mod memory;
pub mod metrics;
pub mod program;
pub mod random;
pub mod session;
pub mod team;
pub mod tensor;
