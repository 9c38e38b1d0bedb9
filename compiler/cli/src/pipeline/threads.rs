//! The threads that kernels are lowered and compiled on.

use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::OnceLock;

static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();

/// Does work of the compiler on a thread for each processor, with stacks as large as the main thread's, as it recurses along what
/// programs nest; on one thread where the system gives no more.
pub fn on_threads<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let build = || {
        let pool = || ThreadPoolBuilder::new().stack_size(crate::STACK_BYTES);
        let one = || pool().num_threads(1).build();
        pool().build().or_else(|_| one()).ok()
    };
    match POOL.get_or_init(build) {
        Some(pool) => pool.install(work),
        None => work(),
    }
}
