//! The `dlmc` command.
#![forbid(unsafe_code)]

fn main() {}
