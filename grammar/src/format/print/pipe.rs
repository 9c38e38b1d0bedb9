//! Chains of `|>`.

use super::super::document::Doc;
use super::Printer;
use crate::ast::Expr;

/// Columns further apart than this were not aligned on purpose.
const WIDEST_GAP: usize = 12;

/// One stage of a chain.
struct Stage {
    /// `|> f`.
    doc: Doc,
    /// Its width on one line; none if it takes several.
    width: Option<usize>,
    /// Whether the author began a line with it.
    breaks: bool,
    /// The author's blanks before it.
    gap: usize,
}

impl Printer<'_> {
    /// The author's line breaks stay; lines begin below the first `|>`, or below the source if the first
    /// `|>` begins a line.
    pub(super) fn pipe(&self, source: &Expr, stages: &[Expr]) -> Doc {
        let mut before = source.span.end as usize;
        let mut chain: Vec<Stage> = Vec::new();
        for stage in stages {
            chain.push(self.stage(before, stage));
            before = stage.span.end as usize;
        }
        let spaces = aligned_spaces(&chain);
        let first_breaks = chain.first().is_some_and(|first| first.breaks);
        let mut docs = Vec::new();
        for (index, (stage, spaces)) in chain.into_iter().zip(spaces).enumerate() {
            match (index, stage.breaks) {
                (_, true) => docs.extend([Doc::HardLine, stage.doc]),
                (0, false) => docs.push(stage.doc),
                (_, false) => docs.push(Doc::fill(spaces, stage.doc)),
            }
        }
        let source = self.grouped_source(source);
        match first_breaks {
            true => {
                docs.insert(0, source);
                Doc::align(Doc::Concat(docs))
            }
            false => Doc::align(Doc::Concat(vec![
                source,
                Doc::fill(1, Doc::align(Doc::Concat(docs))),
            ])),
        }
    }

    fn grouped_source(&self, source: &Expr) -> Doc {
        Doc::group(self.expr(source))
    }

    fn stage(&self, before: usize, stage: &Expr) -> Stage {
        let at = self.text.find("|>", before);
        // A comma cannot stand between a value and its `|>`, so this is the value's end.
        let end = self.text.end_of_token_before(at);
        let doc = Doc::Concat(vec![Doc::word("|> ", at), self.expr(stage)]);
        Stage {
            width: doc.flat_width(),
            doc,
            breaks: self.text.has_line_end(end, at),
            gap: at - end,
        }
    }
}

/// The spaces before each stage: one, or as many as bring its `|>` below or above another one where the author
/// left more than one.
fn aligned_spaces(chain: &[Stage]) -> Vec<usize> {
    let mut spaces = vec![1; chain.len()];
    let mut lines: Vec<Vec<usize>> = Vec::new();
    for (index, stage) in chain.iter().enumerate() {
        match lines.last_mut() {
            Some(line) if !stage.breaks => line.push(index),
            _ => lines.push(vec![index]),
        }
    }
    let longest = lines.iter().map(Vec::len).max().unwrap_or(0);
    // The column of each line's stage that is being aligned; none behind a stage of several lines.
    let mut columns: Vec<Option<usize>> = vec![Some(0); lines.len()];
    for position in 1..longest {
        let natural: Vec<Option<usize>> = (0..lines.len())
            .map(|line| {
                let before = *lines[line].get(position - 1)?;
                lines[line].get(position)?;
                Some(columns[line]? + chain[before].width? + 1)
            })
            .collect();
        for (line, stages) in lines.iter().enumerate() {
            columns[line] = natural[line];
            let (Some(column), Some(&stage)) = (natural[line], stages.get(position)) else {
                continue;
            };
            let above = line.checked_sub(1).and_then(|above| natural[above]);
            let below = natural.get(line + 1).copied().flatten();
            let target = above.max(below).unwrap_or(0);
            let missing = target.saturating_sub(column);
            if chain[stage].gap > 1 && missing <= WIDEST_GAP {
                spaces[stage] += missing;
                columns[line] = Some(column + missing);
            }
        }
    }
    spaces
}
