//! From a file to a running program; what all commands share.

pub mod catalog;
pub mod folder;
pub mod frontend;
pub mod lower;
pub mod machine;
pub mod mapping;
pub mod overrides;
pub mod saved;
pub mod source;
pub mod threads;
pub mod tuned;
