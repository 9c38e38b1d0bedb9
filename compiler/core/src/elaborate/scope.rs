//! Names inside one body.

use super::diagnose::Checked;
use super::value::Value;
use dlm_grammar::Span;

/// What a name is bound to.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    /// The name.
    pub name: String,
    /// Its value, unless computing it failed.
    pub value: Checked<Value>,
    /// What made the binding.
    pub kind: BindingKind,
    /// Where.
    pub span: Span,
}

/// What made a binding, which decides what may be done with it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum BindingKind {
    /// A tensor argument.
    Argument,
    /// A static.
    Static,
    /// A dimension variable of a signature.
    Dimension,
    /// A `let`, which `=` may rebind.
    Let,
    /// The counter of a `for`.
    Counter,
    /// A parameter; reading the name gives its newest version.
    Parameter { path: String },
    /// A state; as a parameter, and `<-` may give it a next value.
    State { path: String },
    /// The parameter that an optimizer updates.
    Updated,
}

/// The bindings of a body, innermost last.
#[derive(Clone, Debug, Default)]
pub(super) struct Scopes {
    bindings: Vec<Binding>,
}

impl Scopes {
    /// Adds a binding, which hides earlier ones of the same name.
    pub fn bind(&mut self, name: &str, value: Checked<Value>, kind: BindingKind, span: Span) {
        self.bindings.push(Binding {
            name: name.to_owned(),
            value,
            kind,
            span,
        });
    }

    /// The innermost binding of a name.
    pub fn find(&self, name: &str) -> Option<&Binding> {
        self.bindings
            .iter()
            .rev()
            .find(|binding| binding.name == name)
    }

    /// The innermost binding of a name, to be changed.
    pub fn find_mut(&mut self, name: &str) -> Option<&mut Binding> {
        self.bindings
            .iter_mut()
            .rev()
            .find(|binding| binding.name == name)
    }

    /// A mark to return to when an inner body ends.
    pub fn mark(&self) -> usize {
        self.bindings.len()
    }

    /// Forgets what was bound since the mark.
    pub fn release(&mut self, mark: usize) {
        self.bindings.truncate(mark);
    }

    /// Every binding, outermost first.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Every binding, to be changed.
    pub fn bindings_mut(&mut self) -> &mut [Binding] {
        &mut self.bindings
    }

    /// The names in scope, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.bindings
            .iter()
            .rev()
            .map(|binding| binding.name.as_str())
    }
}
