//! The one layout of programs.
//!
//! The tree becomes a document ([`document`]) whose words know where they stand in the source, and the
//! renderer ([`render`]) lays it out in lines and puts each comment back beside the word it stood at.
//!
//! - Indents are two spaces; lines have at most [`WIDTH`] characters where they can be broken.
//! - A chain of `|>` is broken where the author broke it, below its first `|>`, and where it must be. Columns of
//!   `|>` that the author aligned by hand stay aligned.
//! - A body stays on one line if the author wrote it on one, it has at most one statement, and it fits.
//! - Other line breaks follow from the width alone. What is broken gets a trailing comma.
//! - One empty line stays where the author left one or more; items that take several lines stand apart.
//! - Comments stay where they are: on their own lines, or behind what they stood behind, at the same distance.

mod comments;
mod document;
mod print;
mod render;

use crate::{Diagnostic, FileId, parse};

/// The longest line, in characters, where a line can be broken at all.
pub const WIDTH: usize = 100;

/// A layout settles after so many rounds at most.
const MOST_ROUNDS: usize = 8;

/// The program in the one layout. It means the same, and formatting it again changes nothing.
///
/// # Errors
///
/// Those of [`parse`]: what cannot be parsed is not laid out.
pub fn format(source: &str) -> Result<String, Vec<Diagnostic>> {
    let mut text = laid_out(source)?;
    // Where a comment breaks a line only the layout tells, and the author's line breaks and columns of `|>` count.
    for _ in 0..MOST_ROUNDS {
        let again = laid_out(&text)?;
        if again == text {
            break;
        }
        text = again;
    }
    Ok(text)
}

fn laid_out(source: &str) -> Result<String, Vec<Diagnostic>> {
    let file = FileId(0);
    let tree = parse(source, file)?;
    let text = comments::Text::new(source, file);
    let document = print::Printer::new(&text).file(&tree);
    Ok(render::render(&document, &text))
}
