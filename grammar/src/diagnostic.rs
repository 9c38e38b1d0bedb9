//! What is wrong with a program, as data: the parser and the elaborator make diagnostics, and
//! [`crate::SourceMap`] turns them into text.

use crate::Span;

/// A kind of diagnostic. Every kind is declared once, in a table made by [`crate::codes!`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// A short name in kebab case, unique over all crates' tables.
    pub name: &'static str,
    /// What it means, in one line.
    pub meaning: &'static str,
}

/// Declares a table of diagnostic codes: a constant for each, and `ALL` with every one of them in order.
///
/// ```
/// mod codes {
///     dlm_grammar::codes! {
///         UNKNOWN_NAME = "unknown-name", "a name that nothing in scope has";
///     }
/// }
/// assert_eq!(codes::ALL[0], codes::UNKNOWN_NAME);
/// ```
#[macro_export]
macro_rules! codes {
    ($($constant:ident = $name:literal, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: $crate::Code = $crate::Code { name: $name, meaning: $meaning };
        )*
        /// Every code of this table.
        pub const ALL: &[$crate::Code] = &[$($constant),*];
    };
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The program has no meaning.
    Error,
    /// The program has a meaning, though perhaps not the one intended.
    Warning,
}

/// A place in the source with what is to be said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What is said there; may be empty.
    pub message: String,
    /// Whether this is the place of the error itself, not one that explains it.
    pub primary: bool,
}

/// One error or warning.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// Its kind.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The one line that says what is wrong.
    pub message: String,
    /// The places it concerns; the first is the primary one.
    pub labels: Vec<Label>,
    /// Further facts, a line or more each.
    pub notes: Vec<String>,
    /// What would be right, a line or more each.
    pub helps: Vec<String>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, Severity::Error, span, message.into())
    }

    /// A warning at `span`.
    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, Severity::Warning, span, message.into())
    }

    fn new(code: Code, severity: Severity, span: Span, message: String) -> Diagnostic {
        let primary = Label {
            span,
            message: String::new(),
            primary: true,
        };
        Diagnostic {
            code,
            severity,
            message,
            labels: vec![primary],
            notes: Vec::new(),
            helps: Vec::new(),
        }
    }

    /// Says `message` at the primary place.
    pub fn here(mut self, message: impl Into<String>) -> Diagnostic {
        self.labels[0].message = message.into();
        self
    }

    /// Adds a second place that explains the first.
    pub fn label(mut self, span: Span, message: impl Into<String>) -> Diagnostic {
        self.labels.push(Label {
            span,
            message: message.into(),
            primary: false,
        });
        self
    }

    /// Adds a fact.
    pub fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.notes.push(note.into());
        self
    }

    /// Adds what would be right.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.helps.push(help.into());
        self
    }

    /// Adds “did you mean” if `suggestion` is some name, as [`crate::suggest`] returns it.
    pub fn did_you_mean(self, suggestion: Option<&str>) -> Diagnostic {
        match suggestion {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    /// The primary place.
    pub fn span(&self) -> Span {
        self.labels[0].span
    }

    /// Whether this is an error.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
