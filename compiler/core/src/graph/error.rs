//! Why an operation cannot be built.

use super::Dim;

/// Operands that do not fit an operation, in words for the user: what is wrong and what would be right, without a
/// place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TypeError(pub String);

impl TypeError {
    /// An error with that text.
    pub fn new(message: impl Into<String>) -> TypeError {
        TypeError(message.into())
    }
}

/// `Err` unless the condition holds.
pub(crate) fn ensure(condition: bool, message: impl FnOnce() -> String) -> Result<(), TypeError> {
    if condition {
        Ok(())
    } else {
        Err(TypeError(message()))
    }
}

/// A shape as text: `[B, 3]`.
pub(crate) fn shape_text(shape: &[Dim]) -> String {
    let extents: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("[{}]", extents.join(", "))
}
