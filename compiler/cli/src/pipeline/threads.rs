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

fn alone() -> Option<&'static ThreadPool> {
    // As large as the main thread's, as what is done recurses along what programs nest.
    ALONE.get_or_init(|| started(crate::STACK_BYTES)).as_ref()
}

/// Starts rayon's own pool with stacks of so many bytes; else gives one thread, with a stack as large as rayon's where there
/// is no room even for one such.
fn started(stack: usize) -> Option<ThreadPool> {
    let pool = || ThreadPoolBuilder::new().stack_size(stack);
    let one = |pool: ThreadPoolBuilder| pool.num_threads(1).build();
    match pool().build_global() {
        Ok(()) => None,
        // Rayon does not try again.
        Err(_) => one(pool()).or_else(|_| one(ThreadPoolBuilder::new())).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::started;
    use rayon::prelude::*;

    #[test]
    fn one_thread_works_where_there_is_no_room_for_such_stacks() {
        let pool = started(1 << 60).expect("a pool of one thread");
        let (threads, sum) = pool.install(|| {
            let sum: u64 = (0..100u64).into_par_iter().sum();
            (rayon::current_num_threads(), sum)
        });
        assert_eq!((threads, sum), (1, 4950));
    }
}
