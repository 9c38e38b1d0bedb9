//! Files, their items, and signatures.

use super::{Body, Expr, Ident, Type};
use crate::Span;

/// One source file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// The items in textual order.
    pub items: Vec<Item>,
    /// The whole file.
    pub span: Span,
}

/// One item of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Which item it is.
    pub kind: ItemKind,
    /// From its keyword to its last token.
    pub span: Span,
}

/// The kinds of items.
#[derive(Clone, Debug, PartialEq)]
pub enum ItemKind {
    /// `let NAME = expr`: a constant.
    Let {
        /// The constant's name.
        name: Ident,
        /// Its value.
        value: Expr,
    },
    /// `fn`, `block` or `optimizer`: a body with a signature.
    Definition(Definition),
    /// `data NAME = source |> stages`: a data set.
    Data {
        /// The data set's name.
        name: Ident,
        /// Source and stages, usually an [`super::ExprKind::Pipe`].
        value: Expr,
    },
    /// `train NAME[statics] { … }`: a training run.
    Train(Train),
    /// `import "path" as NAME`: another file's items.
    Import {
        /// The path as written, relative to this file.
        path: StringLiteral,
        /// The name under which its items are reached.
        name: Ident,
    },
}

/// A function, block or optimizer: `KIND name[statics](params) -> results { body }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Which of the three it is.
    pub kind: DefinitionKind,
    /// Its name.
    pub name: Ident,
    /// The compile-time parameters in square brackets; empty where there are none.
    pub statics: Vec<StaticParam>,
    /// The tensor parameters in parentheses; empty where there are none, whether or not `()` stands there
    /// (a `fn` that returns a schedule has no parentheses).
    pub params: Vec<Param>,
    /// The declared result types after `->`; empty where they are left to inference.
    pub results: Vec<Type>,
    /// What it does.
    pub body: Body,
}

/// What a [`Definition`] defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefinitionKind {
    /// `fn`: a pure function.
    Function,
    /// `block`: a function with parameters and state.
    Block,
    /// `optimizer`: one update rule for a parameter and its gradient.
    Optimizer,
}

impl DefinitionKind {
    /// The keyword in programs.
    pub fn word(self) -> &'static str {
        match self {
            DefinitionKind::Function => "fn",
            DefinitionKind::Block => "block",
            DefinitionKind::Optimizer => "optimizer",
        }
    }
}

/// A training run: `train NAME[statics] { body }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Train {
    /// Its name, which serves only the command line.
    pub name: Ident,
    /// Settings such as `epochs=5` (no type) and own statics such as `width: int = 64`.
    pub statics: Vec<StaticParam>,
    /// `let`s, one `step`, any `eval`s.
    pub body: Body,
}

/// One entry of a signature's square brackets: `name: type = default`.
#[derive(Clone, Debug, PartialEq)]
pub struct StaticParam {
    /// The parameter's name.
    pub name: Ident,
    /// Its type; none takes anything.
    pub ty: Option<Type>,
    /// Its value where the caller gives none.
    pub default: Option<Expr>,
    /// The whole entry.
    pub span: Span,
}

/// One entry of a signature's parentheses: `name: type = none`.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// The parameter's name.
    pub name: Ident,
    /// Its type; none takes anything (and an optimizer's `p`, `g` have none).
    pub ty: Option<Type>,
    /// `none` makes the argument optional; whether others may stand here is for the elaborator to say.
    pub default: Option<Expr>,
    /// The whole entry.
    pub span: Span,
}

/// A string where it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct StringLiteral {
    /// The text with its escapes resolved.
    pub value: String,
    /// From quote to quote.
    pub span: Span,
}
