//! The syntax tree: what a file says, with the place of every node, and nothing of what it means.
//!
//! Nodes are plain enums and structs that own their children. Comments are not part of the tree; the
//! formatter takes them from the text. Chains that a program may make long (`|>` stages, `else if`) are
//! flat lists; all other nesting is bounded by [`crate::MAX_NESTING`], so consumers may recurse freely.
//!
//! Equality of nodes includes spans; [`File::dump`] is text without them, by which structure is compared.

mod dump;
mod expr;
mod item;
mod statement;
mod types;

pub use expr::{
    Argument, BinaryOp, BracketItem, BracketKind, Expr, ExprBranch, ExprKind, Operator, UnaryOp,
};
pub use item::{
    Definition, DefinitionKind, File, Item, ItemKind, Param, StaticParam, StringLiteral, Train,
};
pub use statement::{Body, BranchBody, Pattern, PatternKind, ReportEntry, Stmt, StmtKind};
pub use types::{DType, Dim, DimKind, StaticType, Type, TypeKind};

use crate::Span;

/// A name where it is written. `_` is an ordinary name here.
#[derive(Clone, Debug, PartialEq)]
pub struct Ident {
    /// The word itself.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}
