//! The threads that kernels are lowered and compiled on.

use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::OnceLock;
use std::thread::Builder;

/// A pool of one thread where rayon's own could not start; none where it has.
static ALONE: OnceLock<Option<ThreadPool>> = OnceLock::new();

/// Has the threads start while the program is read: it takes them milliseconds.
pub fn start() {
    // Where the system gives no thread for it, the first who needs them waits.
    let _ = Builder::new().spawn(alone);
}

/// Does work of the compiler with the help of a thread for each processor. All of its work that is divided goes through here,
/// as rayon's own pool is made once only.
pub fn on_threads<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match alone() {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Stacks are as large as the main thread's, as what is done recurses along what programs nest.
fn alone() -> Option<&'static ThreadPool> {
    let pool = || ThreadPoolBuilder::new().stack_size(crate::STACK_BYTES);
    let started = || match pool().build_global() {
        Ok(()) => None,
        // Rayon does not try again. Where there is not even one thread, it says so at the first use.
        Err(_) => pool().num_threads(1).build().ok(),
    };
    ALONE.get_or_init(started).as_ref()
}
