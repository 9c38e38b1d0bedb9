//! The `dlmc` command: arguments, files and printing. What it does is done by the other crates.
#![forbid(unsafe_code)]

mod arguments;
mod commands;
mod crash;
mod failure;
mod files;
mod peak;
mod pipeline;
mod report;
mod stages;
mod terminal;

use std::process::ExitCode;

/// Compiling makes many small, short-lived values: a fifth of its time would go to the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Programs may nest 256 deep, and what walks them recurses; an unoptimised build needs more than a main thread's
/// stack for that.
const STACK_BYTES: usize = 256 << 20;

fn main() -> ExitCode {
    stages::start();
    crash::install();
    let work = || crash::guard(|| commands::run(arguments::parse()));
    let worker = std::thread::Builder::new()
        .name("dlmc".into())
        .stack_size(STACK_BYTES)
        .spawn(work);
    match worker.map(|thread| thread.join()) {
        Ok(Ok(code)) => code,
        _ => crash::report("the main thread did not end as it should"),
    }
}
