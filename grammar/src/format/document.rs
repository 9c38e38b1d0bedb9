//! Documents: text with the places at which it may be broken into lines.

/// A piece of laid-out text. A [`Doc::Group`] is put on one line where it fits, else the breaks directly in it
/// become line ends.
#[derive(Clone, Debug)]
pub(super) enum Doc {
    /// A word.
    Word(Word),
    /// One after the other.
    Concat(Vec<Doc>),
    /// Line ends in it are followed by two spaces more.
    Nest(Box<Doc>),
    /// Line ends in it go to the column where it begins.
    Align(Box<Doc>),
    /// On one line if it fits.
    Group(Box<Doc>),
    /// A space, or a line end.
    Line,
    /// Nothing, or a line end.
    SoftLine,
    /// A line end.
    HardLine,
    /// Spaces and what follows if that fits on the line, else a line end and what follows.
    Fill {
        /// The number of spaces.
        spaces: usize,
        /// What follows.
        next: Box<Doc>,
    },
    /// A word only where the group around it is broken.
    IfBroken(&'static str),
    /// The place of comments that stand before the byte, where no word can carry them.
    Comments(usize),
}

/// A word of a document.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// Its text, without line ends.
    pub text: String,
    /// The byte of the source at which it stands, unless it is punctuation that follows from others.
    pub at: Option<usize>,
    /// Whether an empty line precedes it.
    pub blank: Blank,
}

/// Empty lines before a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blank {
    /// None.
    Never,
    /// One if the source has any.
    Keep,
    /// One.
    Force,
}

impl Doc {
    /// Nothing.
    pub(super) fn empty() -> Doc {
        Doc::Concat(Vec::new())
    }

    /// Punctuation without a place of its own.
    pub(super) fn mark(text: &str) -> Doc {
        Doc::Word(Word {
            text: text.to_owned(),
            at: None,
            blank: Blank::Never,
        })
    }

    /// A word that stands at a byte of the source.
    pub(super) fn word(text: impl Into<String>, at: usize) -> Doc {
        Doc::Word(Word {
            text: text.into(),
            at: Some(at),
            blank: Blank::Never,
        })
    }

    pub(super) fn group(doc: Doc) -> Doc {
        Doc::Group(Box::new(doc))
    }

    pub(super) fn nest(doc: Doc) -> Doc {
        Doc::Nest(Box::new(doc))
    }

    pub(super) fn align(doc: Doc) -> Doc {
        Doc::Align(Box::new(doc))
    }

    pub(super) fn fill(spaces: usize, next: Doc) -> Doc {
        Doc::Fill {
            spaces,
            next: Box::new(next),
        }
    }

    /// The width on one line; none if it cannot be on one.
    pub(super) fn flat_width(&self) -> Option<usize> {
        Some(match self {
            Doc::Word(word) => word.text.chars().count(),
            Doc::Concat(docs) => {
                let widths = docs.iter().map(Doc::flat_width);
                widths.sum::<Option<usize>>()?
            }
            Doc::Nest(doc) | Doc::Align(doc) | Doc::Group(doc) => doc.flat_width()?,
            Doc::Line => 1,
            Doc::Fill { spaces, next } => spaces + next.flat_width()?,
            Doc::SoftLine | Doc::IfBroken(_) | Doc::Comments(_) => 0,
            Doc::HardLine => return None,
        })
    }

    /// Visits the places that can carry comments, in order.
    pub(super) fn places(&self, visit: &mut impl FnMut(usize)) {
        match self {
            Doc::Word(word) => word.at.into_iter().for_each(visit),
            Doc::Comments(at) => visit(*at),
            Doc::Concat(docs) => docs.iter().for_each(|doc| doc.places(visit)),
            Doc::Nest(doc) | Doc::Align(doc) | Doc::Group(doc) => doc.places(visit),
            Doc::Fill { next, .. } => next.places(visit),
            Doc::Line | Doc::SoftLine | Doc::HardLine | Doc::IfBroken(_) => {}
        }
    }
}
