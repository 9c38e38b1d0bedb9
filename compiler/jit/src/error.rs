//! What can go wrong.

/// Machine code could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JitError {
    /// The machine lacks instructions that the emitter relies on.
    #[error("this machine has no {missing}, which generated code needs")]
    Machine {
        /// The names of the missing instruction sets.
        missing: String,
    },
    /// The kernel holds something the emitter has no code for; the verifier refuses such kernels.
    #[error("kernel `{kernel}`: {message}")]
    Kernel {
        /// Its name.
        kernel: String,
        /// What it holds.
        message: String,
    },
    /// The code generator refused a function, or failed.
    #[error("kernel `{kernel}`: the code generator failed: {message}")]
    Generator {
        /// The kernel's name.
        kernel: String,
        /// The generator's words.
        message: String,
    },
    /// Memory for code was refused.
    #[error("code could not be placed in memory: {0}")]
    Placement(String),
}
