//! Files as messages show them: of a line that is too long only a part around the place.

use crate::source_map::LONGEST_LINE;
use codespan_reporting::files::{Error, Files, SimpleFiles, line_starts};
use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes that are shown before a place and after its beginning, in a line that is too long.
const BEFORE: usize = 50;
const AFTER: usize = 100;

/// Stands for what is left out.
const CUT: &str = "…";

/// Files with windows in their long lines; all else is as it is.
pub(crate) struct Windows<'a> {
    files: &'a SimpleFiles<String, String>,
    /// The files that have windows.
    cut: BTreeMap<usize, CutFile>,
}

/// A file of whose long lines parts are left out.
#[derive(Default)]
struct CutFile {
    /// The part of each long line that is shown, as a range of the whole text.
    windows: BTreeMap<usize, Range<usize>>,
    text: String,
    /// Where the lines of `text` begin.
    starts: Vec<usize>,
}

impl<'a> Windows<'a> {
    /// No windows yet.
    pub fn new(files: &'a SimpleFiles<String, String>) -> Windows<'a> {
        Windows {
            files,
            cut: BTreeMap::new(),
        }
    }

    /// Opens a window around the beginning of a range and, where it ends in another line, around its end.
    pub fn open(&mut self, file: usize, range: Range<usize>) {
        let opened = [range.start, range.end].map(|offset| self.open_at(file, offset));
        if opened.contains(&Some(true)) {
            self.write(file);
        }
    }

    /// Whether a window was opened; a line has one.
    fn open_at(&mut self, file: usize, offset: usize) -> Option<bool> {
        let line = self.files.line_index(file, offset).ok()?;
        let whole = self.files.line_range(file, line).ok()?;
        let known = self
            .cut
            .get(&file)
            .is_some_and(|cut| cut.windows.contains_key(&line));
        if whole.len() <= LONGEST_LINE || known {
            return Some(false);
        }
        let text = self.files.source(file).ok()?;
        let end = whole.start + text[whole.clone()].trim_end_matches(['\n', '\r']).len();
        let from = text.ceil_char_boundary(offset.saturating_sub(BEFORE).max(whole.start));
        let to = text.floor_char_boundary((offset + AFTER).min(end));
        let cut = self.cut.entry(file).or_default();
        cut.windows.insert(line, from..to.max(from));
        Some(true)
    }

    /// The text with what is left out.
    fn write(&mut self, file: usize) {
        let (Ok(text), Some(cut)) = (self.files.source(file), self.cut.get_mut(&file)) else {
            return;
        };
        let mut lines: Vec<String> = Vec::new();
        let mut begin = 0;
        for (line, whole) in text.split_inclusive('\n').enumerate() {
            lines.push(match (cut.windows.get(&line), whole.ends_with('\n')) {
                (None, _) => whole.to_owned(),
                (Some(window), newline) => {
                    let tail = if newline { "\n" } else { "" };
                    let shown = &text[window.clone()];
                    format!("{}{shown}{CUT}{tail}", head(window, begin))
                }
            });
            begin += whole.len();
        }
        cut.text = lines.concat();
        cut.starts = line_starts(&cut.text).collect();
    }

    /// Where a range of a file's text is shown, as far as it is; none where it begins in what is left out.
    pub fn place(&self, file: usize, range: Range<usize>) -> Option<Range<usize>> {
        let Some(cut) = self.cut.get(&file) else {
            return Some(range);
        };
        if self.is_beyond(cut, file, range.start) {
            return None;
        }
        let start = self.moved(cut, file, range.start)?;
        let end = self.moved(cut, file, range.end).unwrap_or(start);
        Some(start..end.max(start))
    }

    /// Whether an offset lies after the window of its line.
    fn is_beyond(&self, cut: &CutFile, file: usize, offset: usize) -> bool {
        let line = self.files.line_index(file, offset).ok();
        let window = line.and_then(|line| cut.windows.get(&line));
        window.is_some_and(|window| offset > window.end)
    }

    /// An offset in the text with windows; beyond a window's end it is that end.
    fn moved(&self, cut: &CutFile, file: usize, offset: usize) -> Option<usize> {
        let line = self.files.line_index(file, offset).ok()?;
        let whole = self.files.line_range(file, line).ok()?;
        let start = *cut.starts.get(line)?;
        match cut.windows.get(&line) {
            None => Some(start + (offset - whole.start)),
            Some(window) if offset < window.start => None,
            Some(window) => {
                let before = head(window, whole.start).len();
                Some(start + before + offset.min(window.end) - window.start)
            }
        }
    }
}

/// What stands before a window in a line that begins there.
fn head(window: &Range<usize>, line: usize) -> &'static str {
    if window.start > line { CUT } else { "" }
}

impl<'a> Files<'a> for Windows<'_> {
    type FileId = usize;
    type Name = String;
    type Source = &'a str;

    fn name(&'a self, file: usize) -> Result<String, Error> {
        self.files.name(file)
    }

    fn source(&'a self, file: usize) -> Result<&'a str, Error> {
        match self.cut.get(&file) {
            Some(cut) => Ok(&cut.text),
            None => self.files.source(file),
        }
    }

    fn line_index(&'a self, file: usize, offset: usize) -> Result<usize, Error> {
        match self.cut.get(&file) {
            Some(cut) => Ok(cut
                .starts
                .partition_point(|start| *start <= offset)
                .saturating_sub(1)),
            None => self.files.line_index(file, offset),
        }
    }

    fn line_range(&'a self, file: usize, line: usize) -> Result<Range<usize>, Error> {
        let Some(cut) = self.cut.get(&file) else {
            return self.files.line_range(file, line);
        };
        let max = cut.starts.len();
        let start = cut.starts.get(line).copied();
        let start = start.ok_or(Error::LineTooLarge { given: line, max })?;
        let end = cut.starts.get(line + 1).copied();
        Ok(start..end.unwrap_or(cut.text.len()))
    }

    /// The column in the whole line.
    fn column_number(&'a self, file: usize, line: usize, offset: usize) -> Result<usize, Error> {
        let Some(window) = self
            .cut
            .get(&file)
            .and_then(|cut| Some((cut, cut.windows.get(&line)?)))
        else {
            let line = self.line_range(file, line)?;
            let text = self.source(file)?;
            return Ok(text[line.start..offset.clamp(line.start, line.end)]
                .chars()
                .count()
                + 1);
        };
        let (cut, window) = window;
        let whole = self.files.line_range(file, line)?;
        let before = cut.starts[line] + head(window, whole.start).len();
        let within = offset.saturating_sub(before);
        let text = self.files.source(file)?;
        let end = text.floor_char_boundary((window.start + within).min(window.end));
        Ok(text[whole.start..end.max(whole.start)].chars().count() + 1)
    }
}
