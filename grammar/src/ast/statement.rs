//! Statements and the bodies they stand in.

use super::{Expr, Ident, Type};
use crate::Span;

/// Statements in braces.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// The statements in textual order.
    pub statements: Vec<Stmt>,
    /// From brace to brace.
    pub span: Span,
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Stmt {
    /// Which statement it is.
    pub kind: StmtKind,
    /// From its first to its last token.
    pub span: Span,
}

/// The kinds of statements. Which may stand where is checked after parsing, so a tree that
/// [`crate::parse`] returned has `step` only in a `train`, `minimize` only in a `step`, and so on.
#[derive(Clone, Debug, PartialEq)]
pub enum StmtKind {
    /// `let a = expr`, `let a, b = expr`.
    Let {
        /// One name, or several that unpack the value.
        names: Vec<Ident>,
        /// What is bound.
        value: Expr,
    },
    /// `a = expr`, `a, b = expr`: gives names of earlier `let`s new values.
    Rebind {
        /// One name, or several that unpack the value.
        names: Vec<Ident>,
        /// What they now mean.
        value: Expr,
    },
    /// `param name: type = init`.
    Param {
        /// The parameter's name.
        name: Ident,
        /// Its type.
        ty: Type,
        /// An init or a constant tensor expression.
        init: Expr,
    },
    /// `state name: type = init`.
    State {
        /// The state's name.
        name: Ident,
        /// Its type; absent in an optimizer, whose states have their parameter's type.
        ty: Option<Type>,
        /// An init or a constant tensor expression.
        init: Expr,
    },
    /// `name <- expr`: a state's next value, or an optimizer's parameter's.
    Update {
        /// The state (or `p`).
        name: Ident,
        /// Its next value.
        value: Expr,
    },
    /// `return a, b`; never empty.
    Return {
        /// The results.
        values: Vec<Expr>,
    },
    /// `for a, b in range or list { … }`.
    For {
        /// One name, or several that unpack each element.
        names: Vec<Ident>,
        /// A range or a list.
        iterable: Expr,
        /// What each round does.
        body: Body,
    },
    /// `if c { … } else if d { … } else { … }`.
    If {
        /// The conditions in order with their bodies; never empty.
        branches: Vec<BranchBody>,
        /// The last `else`.
        otherwise: Option<Body>,
    },
    /// `step (x, y) in data { … }`.
    Step {
        /// What each batch is bound to.
        pattern: Pattern,
        /// The data.
        source: Expr,
        /// The training step.
        body: Body,
    },
    /// `eval (x, y) in data { … }`, `eval valid (x, y) in data { … }`.
    Eval {
        /// The name that reports carry as their split.
        split: Option<Ident>,
        /// What each batch is bound to.
        pattern: Pattern,
        /// The data.
        source: Expr,
        /// What is computed of each batch.
        body: Body,
    },
    /// `minimize loss with optimizer`.
    Minimize {
        /// The scalar to make small.
        loss: Expr,
        /// The optimizer that updates its parameters.
        optimizer: Expr,
    },
    /// `report a, name = b`; never empty.
    Report {
        /// What is reported.
        entries: Vec<ReportEntry>,
    },
}

/// One arm of a statement `if`.
#[derive(Clone, Debug, PartialEq)]
pub struct BranchBody {
    /// When it is taken.
    pub condition: Expr,
    /// What is then done.
    pub body: Body,
}

/// One value of a `report`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportEntry {
    /// The metric's name where the program gives it: `report top5 = …`.
    pub name: Option<Ident>,
    /// The value.
    pub value: Expr,
    /// The whole entry.
    pub span: Span,
}

/// What a `step` or `eval` binds a batch to.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// A name or names in parentheses.
    pub kind: PatternKind,
    /// The whole pattern.
    pub span: Span,
}

/// The kinds of [`Pattern`].
#[derive(Clone, Debug, PartialEq)]
pub enum PatternKind {
    /// One name; `_` ignores the value.
    Name(Ident),
    /// `(a, (b, c))`: the parts of a batch, nested for data made by `zip`. Never empty.
    Tuple(Vec<Pattern>),
}
