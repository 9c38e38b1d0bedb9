//! Loop IR to machine code, with Cranelift or, on x86-64, the wide emitter ([`wide`]). The only crate that knows
//! Cranelift's code generator.
//!
//! [`link()`] makes executable programs of plans. [`compile()`] turns kernels into [`Code`]: for each an entry point
//! that takes a block of pointers and integers. Cranelift's vectors are split into parts of 128 bits, which every
//! supported machine has; see `emit` for what is done to make
//! the inner loops tight.

mod backend;
mod code;
mod compile;
mod distinct;
mod emit;
mod error;
mod link;
pub mod processor;
mod target;
pub mod wide;

pub use backend::Backend;
pub use code::{Code, Entry, Listing};
pub use compile::{Options, compile};
pub use distinct::distinct;
pub use error::JitError;
pub use link::{LinkError, link};
pub use target::{Effort, Target};
