//! Documents to text: the choice between one line and several, and the comments.

use super::WIDTH;
use super::comments::{Beside, Text};
use super::document::{Blank, Doc, Word};
use crate::lexer::Token;
use std::collections::BTreeMap;

/// A document that is yet to be written.
#[derive(Clone, Copy)]
struct Task<'d> {
    doc: &'d Doc,
    indent: usize,
    flat: bool,
}

/// Lays a document out. The text ends in one line end, or is empty.
pub(super) fn render(document: &Doc, text: &Text) -> String {
    let mut renderer = Renderer {
        text,
        beside: text.place_comments(document),
        output: String::new(),
        column: 0,
        line_ends: 0,
        indent: 0,
        behind: Vec::new(),
    };
    renderer.run(document);
    renderer.finish()
}

struct Renderer<'a> {
    text: &'a Text<'a>,
    /// The comments that are not yet written, by the place of a word.
    beside: BTreeMap<usize, Beside>,
    output: String,
    /// The characters on the current line.
    column: usize,
    /// The line ends to write before the next word.
    line_ends: usize,
    /// The indent after them.
    indent: usize,
    /// Comments to write before the next line end.
    behind: Vec<Token>,
}

impl Renderer<'_> {
    fn run(&mut self, document: &Doc) {
        let mut tasks = vec![Task {
            doc: document,
            indent: 0,
            flat: false,
        }];
        while let Some(task) = tasks.pop() {
            self.step(task, &mut tasks);
        }
    }

    fn step<'d>(&mut self, task: Task<'d>, tasks: &mut Vec<Task<'d>>) {
        let with = |doc| Task { doc, ..task };
        match task.doc {
            Doc::Word(word) => self.word(word, task.indent),
            Doc::Concat(docs) => tasks.extend(docs.iter().rev().map(with)),
            Doc::Nest(doc) => tasks.push(Task {
                indent: task.indent + 2,
                ..with(doc)
            }),
            Doc::Align(doc) => tasks.push(Task {
                indent: self.next_column(),
                ..with(doc)
            }),
            Doc::Group(doc) => {
                let flat = task.flat || self.fits(doc, true, 0, tasks);
                tasks.push(Task { flat, ..with(doc) });
            }
            Doc::Line if task.flat => self.space(1),
            Doc::SoftLine if task.flat => {}
            Doc::Line | Doc::SoftLine | Doc::HardLine => self.line_end(task.indent),
            Doc::Fill { spaces, next } => {
                match task.flat || self.fits(next, false, *spaces, tasks) {
                    true => self.space(*spaces),
                    false => self.line_end(task.indent),
                }
                tasks.push(with(next));
            }
            Doc::IfBroken(mark) if !task.flat => self.write(mark),
            Doc::IfBroken(_) => {}
            Doc::Comments(at) => self.comments_before(*at, Blank::Keep, task.indent),
        }
    }

    /// Whether a document fits on the rest of the line after `spaces`, and after it what follows up to the
    /// next place where a line may end.
    ///
    /// With `whole`, all of the document must fit on the line; else what stands before the first break
    /// outside of its groups.
    fn fits(&self, doc: &Doc, whole: bool, spaces: usize, tasks: &[Task]) -> bool {
        let Some(mut room) = WIDTH.checked_sub(self.next_column() + spaces) else {
            return false;
        };
        let mut first = true;
        let mut behind = !self.behind.is_empty();
        let mut rest = tasks.iter().rev();
        let mut in_document = true;
        let mut measured = vec![(doc, whole)];
        loop {
            let Some((doc, flat)) = measured.pop() else {
                match rest.next() {
                    Some(task) => measured.push((task.doc, task.flat)),
                    None => return true,
                }
                in_document = false;
                continue;
            };
            match doc {
                Doc::Word(word) => {
                    let width = word.text.chars().count();
                    if width > room || self.is_parted(word, first, behind) {
                        return false;
                    }
                    room -= width;
                    let carries = !word.text.is_empty();
                    behind |= carries && word.at.is_some_and(|at| self.has_behind(at));
                    first = first && word.at.is_none();
                }
                Doc::Comments(at) if flat && self.has_before(*at) => return false,
                Doc::Comments(_) => {}
                Doc::Concat(docs) => measured.extend(docs.iter().rev().map(|doc| (doc, flat))),
                Doc::Nest(doc) | Doc::Align(doc) => measured.push((doc, flat)),
                Doc::Group(doc) => measured.push((doc, flat || in_document)),
                Doc::HardLine => return !flat,
                Doc::Line | Doc::SoftLine | Doc::Fill { .. } if !flat => return true,
                Doc::Line if room == 0 => return false,
                Doc::Line => room -= 1,
                Doc::SoftLine | Doc::IfBroken(_) => {}
                Doc::Fill { spaces, next } => {
                    let Some(left) = room.checked_sub(*spaces) else {
                        return false;
                    };
                    room = left;
                    measured.push((next, flat));
                }
            }
        }
    }

    /// Whether a comment keeps a word off the line of the words before it.
    fn is_parted(&self, word: &Word, first: bool, behind: bool) -> bool {
        word.at
            .is_some_and(|at| behind || (!first && self.has_before(at)))
    }

    fn has_before(&self, at: usize) -> bool {
        self.beside
            .get(&at)
            .is_some_and(|beside| !beside.before.is_empty())
    }

    fn has_behind(&self, at: usize) -> bool {
        self.beside
            .get(&at)
            .is_some_and(|beside| !beside.behind.is_empty())
    }

    /// The column at which the next word will stand.
    fn next_column(&self) -> usize {
        match self.line_ends {
            0 => self.column,
            _ => self.indent,
        }
    }

    fn word(&mut self, word: &Word, indent: usize) {
        if let Some(at) = word.at {
            if !self.behind.is_empty() {
                self.line_end(indent);
            }
            self.comments_before(at, word.blank, indent);
            self.write(&word.text);
            // A comment stands behind the text of a place, not behind the word that only carries its empty line.
            if !word.text.is_empty()
                && let Some(beside) = self.beside.remove(&at)
            {
                self.behind.extend(beside.behind);
            }
            return;
        }
        self.write(&word.text);
    }

    /// Writes the comments on their own lines before the place `at`, and prepares its empty line.
    fn comments_before(&mut self, at: usize, blank: Blank, indent: usize) {
        let beside = self.beside.get_mut(&at);
        let comments = beside
            .map(|beside| std::mem::take(&mut beside.before))
            .unwrap_or_default();
        let mut force = blank == Blank::Force;
        for comment in &comments {
            if self.line_ends == 0 {
                self.line_end(indent);
            }
            self.blank_line(force || self.text.has_blank_before(comment.start));
            force = false;
            self.write(comment.text(self.text.source).trim_end());
            self.line_end(self.indent);
        }
        let keep = blank == Blank::Keep || (blank == Blank::Force && !comments.is_empty());
        self.blank_line(force || (keep && self.text.has_blank_before(at)));
    }

    fn blank_line(&mut self, wanted: bool) {
        if wanted && self.line_ends == 1 && !self.output.is_empty() {
            self.line_ends = 2;
        }
    }

    fn space(&mut self, count: usize) {
        if self.line_ends == 0 {
            self.output.extend(std::iter::repeat_n(' ', count));
            self.column += count;
        }
    }

    fn line_end(&mut self, indent: usize) {
        let behind = std::mem::take(&mut self.behind);
        if !behind.is_empty() {
            self.output
                .truncate(self.output.trim_end_matches(' ').len());
        }
        for comment in behind {
            let distance = self.text.distance_before(&comment).max(1);
            self.output.extend(std::iter::repeat_n(' ', distance));
            self.output
                .push_str(comment.text(self.text.source).trim_end());
        }
        self.line_ends = self.line_ends.max(1);
        self.indent = indent;
    }

    fn write(&mut self, text: &str) {
        if self.line_ends > 0 {
            let trimmed = self.output.trim_end_matches(' ').len();
            self.output.truncate(trimmed);
            if !self.output.is_empty() {
                self.output
                    .extend(std::iter::repeat_n('\n', self.line_ends));
            }
            self.output.extend(std::iter::repeat_n(' ', self.indent));
            self.column = self.indent;
            self.line_ends = 0;
        }
        self.output.push_str(text);
        self.column += text.chars().count();
    }

    fn finish(mut self) -> String {
        self.line_end(0);
        let trimmed = self.output.trim_end().len();
        self.output.truncate(trimmed);
        if !self.output.is_empty() {
            self.output.push('\n');
        }
        self.output
    }
}
