//! Elementwise operations: the tables of unary and binary functions, select and cast.

mod binary;
mod select;
mod unary;

pub use binary::BINARY;
pub(super) use binary::{BINARY_NAMES, evaluate_binary, gradient as binary_gradient, infer_binary};
pub(super) use select::{evaluate_cast, evaluate_select, infer_select, select_gradient};
pub use unary::UNARY;
pub(super) use unary::{UNARY_NAMES, evaluate_unary, gradient as unary_gradient, infer_unary};
