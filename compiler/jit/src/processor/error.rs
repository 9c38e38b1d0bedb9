//! Why code is not interpreted, or not to its end.

/// An instruction that the processor has no meaning for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{instruction}` at byte {offset} is not interpreted")]
pub struct Unknown {
    /// The instruction in Intel's notation.
    pub instruction: String,
    /// Where it is, from the entry.
    pub offset: usize,
}

/// What code did that no code may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A move that asks for an aligned address got another; a processor would end the process.
    #[error("its address is not aligned")]
    Alignment,
    /// A condition read flags that are undefined there.
    #[error("it reads flags that are undefined")]
    Flags,
    /// Operands of kinds that this instruction is not interpreted with.
    #[error("it is not interpreted with such operands")]
    Operands,
    /// The function returned with another value in a register that belongs to its caller.
    #[error("it returns with a changed {0}")]
    CalleeSaved(&'static str),
    /// The function wrote beside its frame, or returned from the wrong place.
    #[error("it returns with a broken stack")]
    Stack,
}

/// A fault and where it happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{instruction}` at byte {offset}: {fault}")]
pub struct Stopped {
    /// The instruction in Intel's notation.
    pub instruction: String,
    /// Where it is, from the entry.
    pub offset: usize,
    /// What it did.
    pub fault: Fault,
}
