//! Collects diagnostics: each once, and at the place in the user's program that caused it.

use dlm_grammar::{Code, Diagnostic, FileId, Span};

/// A mistake that has been reported; whatever depends on it is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Poison;

/// What may have failed with a report.
pub(super) type Checked<T> = Result<T, Poison>;

/// The diagnostics found so far.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    found: Vec<Diagnostic>,
    /// Files of the library: a mistake there is shown at the call that led to it.
    library: Vec<FileId>,
}

impl Reporter {
    /// Notes that a file belongs to the library.
    pub fn add_library_file(&mut self, file: FileId) {
        self.library.push(file);
    }

    /// Whether a place is in the library.
    pub fn is_library(&self, file: FileId) -> bool {
        self.library.contains(&file)
    }

    /// Records a diagnostic. `calls` are the places of the calls that are under way, outermost first: a mistake
    /// inside the library is the fault of the innermost call outside it.
    pub fn report(&mut self, mut diagnostic: Diagnostic, calls: &[Span]) -> Poison {
        if self.is_library(diagnostic.span().file) {
            let outside = calls.iter().rev().find(|call| !self.is_library(call.file));
            if let Some(&call) = outside {
                self.relocate(&mut diagnostic, call);
            }
        }
        let known = self
            .found
            .iter()
            .any(|earlier| earlier.span() == diagnostic.span() && earlier.code == diagnostic.code);
        if !known {
            self.found.push(diagnostic);
        }
        Poison
    }

    /// Moves the primary place to `call`; labels at the call itself merge into it, those inside the library go.
    fn relocate(&self, diagnostic: &mut Diagnostic, call: Span) {
        let message = std::mem::take(&mut diagnostic.labels[0].message);
        let labels = std::mem::take(&mut diagnostic.labels);
        let mut kept = Diagnostic::error(diagnostic.code, call, String::new()).here(message);
        for label in labels.into_iter().skip(1) {
            if !self.is_library(label.span.file) {
                kept = kept.label(label.span, label.message);
            }
        }
        diagnostic.labels = kept.labels;
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// Takes what has been found out of the way of a try.
    pub fn set_aside(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.found)
    }

    /// Puts back what was set aside; gives what the try has found.
    pub fn take_back(&mut self, before: Vec<Diagnostic>) -> Vec<Diagnostic> {
        std::mem::replace(&mut self.found, before)
    }

    /// Forgets all but the first `count`: what follows from them was only tried.
    pub fn forget(&mut self, count: usize) {
        self.found.truncate(count);
    }

    /// Whether any error was found.
    pub fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// How many errors were found.
    pub fn errors(&self) -> usize {
        self.found.iter().filter(|each| each.is_error()).count()
    }

    /// Every diagnostic, by file and place; errors that follow from nothing else come in textual order.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(Diagnostic::span);
        self.found
    }
}

/// A diagnostic of elaboration: an error at a place.
pub(super) fn error(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(code, span, message)
}
