//! A program's text, and what is said about it.

use std::path::{Path, PathBuf};

use dlm_core::elaborate::program::IndexCheck;
use dlm_grammar::{Diagnostic, SourceMap, Span};
use dlm_runtime::data::DataError;
use dlm_runtime::indices::BadIndex;

use crate::failure::Failure;

dlm_grammar::codes! {
    BAD_DATA = "bad-data", "data that cannot be read, or that the program cannot use";
    BAD_INDEX = "bad-index", "an index that a run computed and that is out of range";
}

/// A program's file with all texts that its diagnostics can point into.
pub struct Source {
    /// Every text of the compilation.
    pub map: SourceMap,
    /// The program's file as the command line names it.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    coloured: bool,
}

impl Source {
    /// Reads a program's file.
    ///
    /// # Errors
    /// Where there is no such file, or it is no text.
    pub fn read(path: &Path, coloured: bool) -> Result<Source, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => not_text(path),
            _ => Failure::unreadable(path, &error),
        })?;
        Ok(Source {
            map: SourceMap::new(),
            path: path.to_path_buf(),
            text,
            coloured,
        })
    }

    /// A program whose text is at hand, as a saved run's is.
    pub fn of_text(path: PathBuf, text: String, coloured: bool) -> Source {
        Source {
            map: SourceMap::new(),
            path,
            text,
            coloured,
        }
    }

    /// What messages call the file.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The folder that the program's paths are relative to.
    pub fn folder(&self) -> PathBuf {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        }
    }

    /// Diagnostics as the user sees them.
    pub fn render(&self, diagnostics: &[Diagnostic]) -> String {
        let render = |each: &Diagnostic| match self.coloured {
            true => self.map.render_coloured(each),
            false => self.map.render(each),
        };
        let texts: Vec<String> = diagnostics.iter().map(render).collect();
        texts.concat()
    }

    /// The diagnostics, and how many errors there are.
    pub fn summary(&self, diagnostics: &[Diagnostic]) -> String {
        let errors = diagnostics.iter().filter(|each| each.is_error()).count();
        let name = self.name();
        let count = match errors {
            1 => format!("1 error in {name}\n"),
            count => format!("{count} errors in {name}\n"),
        };
        self.render(diagnostics) + &count
    }

    /// The end of a command whose program computed an index that is out of range; `place` says when (`in epoch 0, iter
    /// 7`).
    pub fn bad_index(&self, bad: &BadIndex, checks: &[IndexCheck], place: &str) -> Failure {
        let Some(check) = checks.iter().find(|check| check.name == bad.name) else {
            return Failure::data(bad);
        };
        let (value, sample) = (bad.value, bad.sample);
        let message =
            format!("the index {value} is out of range, in sample {sample} of the batch{place}");
        let diagnostic = Diagnostic::error(BAD_INDEX, check.bound.span, message);
        let range = format!("takes 0..{}", check.bound.below);
        let help = "`clamp[lo, hi]` keeps a computed index in range";
        Failure::program(self.render(&[diagnostic.here(range).help(help)]))
    }

    /// The end of a command whose data is wrong; `span` is where the program names what led to it.
    pub fn bad_data(&self, error: impl std::fmt::Display, span: Span) -> Failure {
        let diagnostic = Diagnostic::error(BAD_DATA, span, error.to_string());
        Failure::program(self.render(&[diagnostic]))
    }

    /// The end of a command whose data has a class or row that is out of range.
    pub fn bad_class(&self, error: &DataError, below: i64, bound: Span, feed: Span) -> Failure {
        let diagnostic = Diagnostic::error(BAD_INDEX, bound, error.to_string())
            .here(format!("takes 0..{below}"))
            .label(feed, "from this data");
        Failure::program(self.render(&[diagnostic]))
    }

    /// The end of a command whose program has these errors.
    pub fn failure(&self, diagnostics: &[Diagnostic]) -> Failure {
        Failure::program(self.summary(diagnostics))
    }
}

/// The file is there, but its content is no program.
fn not_text(path: &Path) -> Failure {
    Failure::data(format!("`{}` is not text (UTF-8)", path.display()))
}
