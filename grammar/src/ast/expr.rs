//! Expressions.

use super::Ident;
use crate::Span;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Which expression it is.
    pub kind: ExprKind,
    /// From its first to its last token.
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `42`, `1_000`. Never negative: the minus is a [`UnaryOp::Negate`].
    Int(i64),
    /// `0.5`, `5e-4`. Always finite.
    Float(f64),
    /// `true`, `false`.
    Bool(bool),
    /// `"text"`, its escapes resolved.
    String(String),
    /// `none`.
    None,
    /// A name. Names of types (`f32(x)`) are ordinary names here.
    Name(String),
    /// `base.name`. The name may be any word, keywords included.
    Access {
        /// What the name is looked up in.
        base: Box<Expr>,
        /// The name.
        name: Ident,
    },
    /// `callee(a, name=b)`: tensors.
    Call {
        /// What is called.
        callee: Box<Expr>,
        /// The arguments in textual order.
        args: Vec<Argument>,
    },
    /// `base[…]`: statics given to a block or function, or an index or slice of a tensor or list.
    /// Which of them it is depends on what the base means; the elaborator decides.
    Bracket {
        /// What the brackets apply to.
        base: Box<Expr>,
        /// The entries in textual order; empty for `zeros[]`.
        items: Vec<BracketItem>,
    },
    /// `(expr)`: parentheses, kept for the formatter; see [`Expr::unparenthesized`].
    Paren(Box<Expr>),
    /// `()`, `(a,)`, `(a, b)`.
    Tuple(Vec<Expr>),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `if c { a } else if d { b } else { e }`.
    If {
        /// The conditions in order with their values; never empty.
        branches: Vec<ExprBranch>,
        /// The value of the last `else`.
        otherwise: Box<Expr>,
    },
    /// `-a`, `not a`.
    Unary {
        /// The operator.
        op: UnaryOp,
        /// Where the operator stands.
        op_span: Span,
        /// What it is applied to.
        operand: Box<Expr>,
    },
    /// `a + b` and the like.
    Binary {
        /// The operator with its place.
        op: Operator,
        /// The left operand.
        left: Box<Expr>,
        /// The right operand.
        right: Box<Expr>,
    },
    /// `start..end`; the end is excluded.
    Range {
        /// The first value.
        start: Box<Expr>,
        /// One past the last value.
        end: Box<Expr>,
    },
    /// `source |> f |> g`, which means `g(f(source))`.
    Pipe {
        /// What flows into the first stage.
        source: Box<Expr>,
        /// What is called one after the other: postfix expressions, never empty.
        stages: Vec<Expr>,
    },
}

/// One argument of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// The parameter's name where the argument is passed by name.
    pub name: Option<Ident>,
    /// What is passed.
    pub value: Expr,
    /// The whole argument.
    pub span: Span,
}

/// One entry of the brackets of an [`ExprKind::Bracket`].
#[derive(Clone, Debug, PartialEq)]
pub struct BracketItem {
    /// Which entry it is.
    pub kind: BracketKind,
    /// The whole entry.
    pub span: Span,
}

/// The kinds of [`BracketItem`].
#[derive(Clone, Debug, PartialEq)]
pub enum BracketKind {
    /// A value: a static by position, an index, or a list's element.
    Value(Expr),
    /// `name=value`: a static by name.
    Named {
        /// The static's name.
        name: Ident,
        /// Its value.
        value: Expr,
    },
    /// `start:stop:step`, each part optional.
    Slice {
        /// The first index.
        start: Option<Expr>,
        /// One past the last index.
        stop: Option<Expr>,
        /// The distance of indices.
        step: Option<Expr>,
    },
    /// `..`: all dimensions not otherwise given.
    Rest,
}

/// One arm of an `if` expression.
#[derive(Clone, Debug, PartialEq)]
pub struct ExprBranch {
    /// When it is taken.
    pub condition: Expr,
    /// The value then.
    pub value: Expr,
}

/// The operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`
    Negate,
    /// `not`
    Not,
}

impl UnaryOp {
    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        match self {
            UnaryOp::Negate => "-",
            UnaryOp::Not => "not",
        }
    }
}

/// A binary operator where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Which operator.
    pub kind: BinaryOp,
    /// Where it stands.
    pub span: Span,
}

/// The operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BinaryOp {
    /// `or`
    Or,
    /// `and`
    And,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`, Python's: the result has the divisor's sign.
    Remainder,
    /// `@`: the matrix product.
    MatMul,
    /// `^`
    Power,
}

impl BinaryOp {
    /// Every binary operator.
    pub const ALL: [BinaryOp; 15] = [
        BinaryOp::Or,
        BinaryOp::And,
        BinaryOp::Equal,
        BinaryOp::NotEqual,
        BinaryOp::Less,
        BinaryOp::LessEqual,
        BinaryOp::Greater,
        BinaryOp::GreaterEqual,
        BinaryOp::Add,
        BinaryOp::Subtract,
        BinaryOp::Multiply,
        BinaryOp::Divide,
        BinaryOp::Remainder,
        BinaryOp::MatMul,
        BinaryOp::Power,
    ];

    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Or => "or",
            BinaryOp::And => "and",
            BinaryOp::Equal => "==",
            BinaryOp::NotEqual => "!=",
            BinaryOp::Less => "<",
            BinaryOp::LessEqual => "<=",
            BinaryOp::Greater => ">",
            BinaryOp::GreaterEqual => ">=",
            BinaryOp::Add => "+",
            BinaryOp::Subtract => "-",
            BinaryOp::Multiply => "*",
            BinaryOp::Divide => "/",
            BinaryOp::Remainder => "%",
            BinaryOp::MatMul => "@",
            BinaryOp::Power => "^",
        }
    }

    /// Whether the operator compares, which makes a bool and is not chained.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            BinaryOp::Equal
                | BinaryOp::NotEqual
                | BinaryOp::Less
                | BinaryOp::LessEqual
                | BinaryOp::Greater
                | BinaryOp::GreaterEqual
        )
    }
}

impl Expr {
    /// The expression inside any parentheses around it.
    pub fn unparenthesized(&self) -> &Expr {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// The name, if the expression is a name (parentheses ignored).
    pub fn as_name(&self) -> Option<&str> {
        match &self.unparenthesized().kind {
            ExprKind::Name(name) => Some(name),
            _ => None,
        }
    }

    /// The words of a dotted path `a.b.c`, if the expression is one (a single name included).
    pub fn as_path(&self) -> Option<Vec<&str>> {
        match &self.kind {
            ExprKind::Name(name) => Some(vec![name]),
            ExprKind::Access { base, name } => {
                let mut words = base.as_path()?;
                words.push(&name.name);
                Some(words)
            }
            _ => None,
        }
    }
}
