//! The texts of a compilation, and diagnostics shown in them.

use crate::windows::Windows;
use crate::{Diagnostic, FileId, Label, Severity, Span};
use codespan_reporting::diagnostic as report;
use codespan_reporting::files::SimpleFiles;
use codespan_reporting::term;

/// Of lines longer than this (in bytes) a part is shown.
pub(crate) const LONGEST_LINE: usize = 200;

/// The source files of one compilation, by name and text.
pub struct SourceMap {
    files: SimpleFiles<String, String>,
    /// The texts as they were given; `files` has those with control characters replaced.
    texts: Vec<String>,
}

/// A place as people count: lines and columns from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position<'a> {
    /// The file's name as it was given.
    pub file: &'a str,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Default for SourceMap {
    fn default() -> Self {
        SourceMap::new()
    }
}

impl SourceMap {
    /// No files yet.
    pub fn new() -> SourceMap {
        SourceMap {
            files: SimpleFiles::new(),
            texts: Vec::new(),
        }
    }

    /// Adds a file; `name` is what messages call it.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let text = text.into();
        let id = self.files.add(printable(&name.into()), printable(&text));
        self.texts.push(text);
        FileId(u32::try_from(id).expect("a compilation has fewer than 2^32 files"))
    }

    /// A file's text; empty for an unknown file.
    pub fn text(&self, file: FileId) -> &str {
        self.texts.get(file.0 as usize).map_or("", String::as_str)
    }

    /// A file's name; `?` for an unknown file.
    pub fn name(&self, file: FileId) -> &str {
        self.files
            .get(file.0 as usize)
            .map_or("?", |file| file.name().as_str())
    }

    /// Where `span` begins. A place beyond the text's end is its end.
    pub fn position(&self, span: Span) -> Position<'_> {
        let start = self.clip(span).start;
        let before = &self.text(span.file)[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            file: self.name(span.file),
            line: before.bytes().filter(|&byte| byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// The diagnostic with the source it speaks of, as text without colours.
    pub fn render(&self, diagnostic: &Diagnostic) -> String {
        let (files, shown) = self.shown(diagnostic);
        // Only an unknown file makes this fail; the message must reach the user all the same.
        match term::emit_into_string(&config(), &files, &shown) {
            Ok(text) => text,
            Err(_) => format!(
                "{}: {}\n",
                severity_word(diagnostic.severity),
                shown.message
            ),
        }
    }

    /// As [`SourceMap::render`], with ANSI colours.
    pub fn render_coloured(&self, diagnostic: &Diagnostic) -> String {
        let mut buffer = term::termcolor::Ansi::new(Vec::new());
        let (files, shown) = self.shown(diagnostic);
        match term::emit_to_write_style(&mut buffer, &config(), &files, &shown) {
            Ok(()) => String::from_utf8_lossy(&buffer.into_inner()).into_owned(),
            Err(_) => self.render(diagnostic),
        }
    }

    /// Every diagnostic as [`SourceMap::render`] shows it, an empty line after each.
    pub fn render_all(&self, diagnostics: &[Diagnostic]) -> String {
        let texts: Vec<String> = diagnostics.iter().map(|each| self.render(each)).collect();
        texts.concat()
    }

    /// A diagnostic for the terminal, with the files as far as they are shown.
    fn shown(&self, diagnostic: &Diagnostic) -> (Windows<'_>, report::Diagnostic<usize>) {
        let mut windows = Windows::new(&self.files);
        let labels = diagnostic.labels.iter();
        for label in labels.clone().filter(|label| label.primary) {
            windows.open(label.span.file.0 as usize, self.clip(label.span));
        }
        for label in labels.filter(|label| !label.primary) {
            windows.open(label.span.file.0 as usize, self.clip(label.span));
        }
        let shown = self.to_report(diagnostic, &windows);
        (windows, shown)
    }

    fn to_report(
        &self,
        diagnostic: &Diagnostic,
        windows: &Windows<'_>,
    ) -> report::Diagnostic<usize> {
        let severity = match diagnostic.severity {
            Severity::Error => report::Severity::Error,
            Severity::Warning => report::Severity::Warning,
        };
        let mut labels = Vec::new();
        let mut notes = Vec::new();
        for label in &diagnostic.labels {
            match windows.place(label.span.file.0 as usize, self.clip(label.span)) {
                Some(range) => labels.push(to_report_label(label, range)),
                None => notes.push(self.label_as_note(label)),
            }
        }
        notes.extend(diagnostic.notes.iter().map(|note| printable(note)));
        let helps = diagnostic.helps.iter().map(|help| printable(help));
        notes.extend(helps.map(|help| format!("help: {help}")));
        report::Diagnostic::new(severity)
            .with_message(printable(&diagnostic.message))
            .with_labels(labels)
            .with_notes(notes)
    }

    fn label_as_note(&self, label: &Label) -> String {
        let at = self.position(label.span);
        let place = format!("{}:{}:{}", at.file, at.line, at.column);
        match label.message.as_str() {
            "" => place,
            message => format!("{place}: {}", printable(message)),
        }
    }

    /// The span as a range that lies inside its file and on the bounds of characters.
    fn clip(&self, span: Span) -> std::ops::Range<usize> {
        let text = self.text(span.file);
        let start = text.floor_char_boundary(span.start as usize);
        let end = text.ceil_char_boundary((span.end as usize).max(start));
        start..end
    }
}

fn to_report_label(label: &Label, range: std::ops::Range<usize>) -> report::Label<usize> {
    let style = match label.primary {
        true => report::LabelStyle::Primary,
        false => report::LabelStyle::Secondary,
    };
    report::Label::new(style, label.span.file.0 as usize, range)
        .with_message(printable(&label.message))
}

fn config() -> term::Config {
    term::Config {
        tab_width: 2,
        ..term::Config::default()
    }
}

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// The text with each character that would disturb a terminal replaced by one of as many bytes, so that
/// spans keep their meaning.
fn printable(text: &str) -> String {
    let replace = |character: char| match character {
        '\n' | '\t' => character,
        '\r' => ' ',
        '\0'..='\u{1f}' | '\u{7f}' => '?',
        '\u{80}'..='\u{9f}' => '\u{bf}',
        // Marks that change the direction of text or have no width.
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => '\u{fffd}',
        _ => character,
    };
    text.chars().map(replace).collect()
}
