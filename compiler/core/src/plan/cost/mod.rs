//! How much a step does, counted in its kernels' loop IR, and how long a model of the processor takes for it.
//!
//! | file | models |
//! |---|---|
//! | `ports.rs` | what a core does in a cycle |
//! | `walk.rs` | a kernel's operations, with all data in the first cache |
//! | `window.rs` | how long code without branches waits for results |
//! | `nest.rs`, `spans.rs`, `footprint.rs` | the lines that a kernel touches, and which of them a cache misses |
//! | `caches.rs` | the caches' sizes and sets |
//! | `recency.rs` | what is still in a worker's caches from earlier calls |
//! | `transfer.rs` | how long missing lines take |
//! | `step.rs` | workers, phases, barriers |

mod caches;
mod footprint;
mod nest;
mod ports;
mod recency;
mod spans;
mod step;
mod transfer;
mod walk;
mod window;

pub use ports::Ports;
pub use step::{Machine, Prediction, predict};
pub use transfer::Transfer;
pub use walk::Cost;

use super::{Call, Plan, ScalarArgument, TaskGroup, Tasks};
