//! Text to syntax tree.
//!
//! The steps: tokens ([`crate::lexer`]), limits on nesting, then item by item the grammar `dlm.pest` and the
//! tree ([`tree`]), at last which statement may stand where ([`crate::placement`]). An error in an item
//! ends that item only; the next one is looked for at the beginning of a line.

mod expectation;
mod hints;
mod limits;
mod message;
mod recovery;
mod tree;

use crate::ast::{Expr, File, Item, ItemKind};
use crate::lexer::{Lexed, lex};
use crate::{Diagnostic, FileId, MOST_DIAGNOSTICS, Span, placement};
use message::Trouble;
use pest::Parser;
use std::num::NonZeroUsize;

/// The parser that pest makes of the grammar.
#[derive(pest_derive::Parser)]
#[grammar = "dlm.pest"]
struct Grammar;

/// The largest file, in bytes.
pub const MAX_FILE_SIZE: usize = 16 << 20;

/// How many rules pest may try for one item. A program takes about fifty for each byte.
const CALL_LIMIT: NonZeroUsize = NonZeroUsize::new(2_000_000_000).expect("not zero");

/// One file as a program sees it while it is parsed.
pub(crate) struct Source<'a> {
    /// The whole text.
    pub text: &'a str,
    /// Which file it is.
    pub file: FileId,
    /// Its tokens.
    pub lexed: Lexed,
}

/// Parses a file's text.
///
/// # Errors
///
/// Every error that the text's form has: of characters, of syntax, of statements that stand where they have
/// no meaning. At least one is an error; in textual order.
pub fn parse(text: &str, file: FileId) -> Result<File, Vec<Diagnostic>> {
    let readable = parse_readable(text, file)?;
    match readable.diagnostics.is_empty() {
        true => Ok(readable.file),
        false => Err(readable.diagnostics),
    }
}

/// What can be read of a file that may have errors.
#[derive(Clone, Debug)]
pub struct Readable {
    /// The items without errors.
    pub file: File,
    /// The others.
    pub broken: Broken,
    /// Every error that the text's form has, as of [`parse`]; none where nothing is broken.
    pub diagnostics: Vec<Diagnostic>,
}

/// The names of items that have errors.
#[derive(Clone, Debug, Default)]
pub struct Broken {
    /// Those that an expression may name.
    pub names: Vec<String>,
    /// Those of runs, which nothing names.
    pub trains: Vec<String>,
}

impl Broken {
    fn add(&mut self, item: &Item) {
        match &item.kind {
            ItemKind::Train(train) => self.trains.push(train.name.name.clone()),
            ItemKind::Definition(definition) => self.names.push(definition.name.name.clone()),
            ItemKind::Let { name, .. }
            | ItemKind::Data { name, .. }
            | ItemKind::Import { name, .. } => self.names.push(name.name.clone()),
        }
    }
}

/// As [`parse`], but an error in one item does not keep the others from being read.
///
/// # Errors
///
/// Where a limit is exceeded, so that nothing is read.
pub fn parse_readable(text: &str, file: FileId) -> Result<Readable, Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let Some(source) = prepare(text, file, &mut diagnostics) else {
        return Err(diagnostics);
    };
    let (items, mut broken) = parse_items(&source, &mut diagnostics);
    let mut file = File {
        items,
        span: Span::new(file, 0, text.len()),
    };
    let mut misplaced = Vec::new();
    placement::check(&file, &mut misplaced);
    remove_misplaced(&mut file, &misplaced, &mut broken);
    diagnostics.append(&mut misplaced);
    diagnostics.sort_by_key(|diagnostic| diagnostic.span().start);
    diagnostics.truncate(MOST_DIAGNOSTICS);
    Ok(Readable {
        file,
        broken,
        diagnostics,
    })
}

/// Takes the items out that have statements in the wrong place.
fn remove_misplaced(file: &mut File, misplaced: &[Diagnostic], broken: &mut Broken) {
    let mut places: Vec<u32> = misplaced.iter().map(|each| each.span().start).collect();
    places.sort_unstable();
    file.items.retain(|item| {
        let before = |end: u32| places.partition_point(|place| *place < end);
        let is_right = before(item.span.start) == before(item.span.end);
        if !is_right {
            broken.add(item);
        }
        is_right
    });
}

/// Parses an expression that stands by itself, such as a value on the command line.
///
/// # Errors
///
/// Every error that the text's form has; at least one.
pub fn parse_expression(text: &str, file: FileId) -> Result<Expr, Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let Some(source) = prepare(text, file, &mut diagnostics) else {
        return Err(diagnostics);
    };
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    pest::set_call_limit(Some(CALL_LIMIT));
    let parsed = Grammar::parse(Rule::lone_expression, text);
    let mut pairs = parsed.map_err(|error| {
        let failure = Failure::new(&error, 0);
        vec![Trouble::new(&source, 0, &failure).diagnose()]
    })?;
    let pair = pairs.next().expect("the rule makes one pair");
    let (expr, diagnostics) = tree::build_expression(&source, pair);
    match diagnostics.is_empty() {
        true => Ok(expr),
        false => Err(diagnostics),
    }
}

/// The text with its tokens, unless it exceeds a limit. Diagnostics of tokens may be added all the same.
fn prepare<'a>(
    text: &'a str,
    file: FileId,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Source<'a>> {
    if let Some(diagnostic) = limits::check_size(text, file) {
        diagnostics.push(diagnostic);
        return None;
    }
    let mut source = Source {
        text,
        file,
        lexed: lex(text, file),
    };
    diagnostics.append(&mut source.lexed.diagnostics);
    if let Some(diagnostic) = limits::check_nesting(&source) {
        diagnostics.push(diagnostic);
        return None;
    }
    Some(source)
}

/// Parses item after item; after an error goes on with the next one that begins a line.
/// Also gives the names of those with errors.
fn parse_items(source: &Source, diagnostics: &mut Vec<Diagnostic>) -> (Vec<Item>, Broken) {
    pest::set_call_limit(Some(CALL_LIMIT));
    let (mut items, mut broken) = (Vec::new(), Broken::default());
    let mut next = 0;
    while let Some(token) = source.lexed.tokens.get(next) {
        let first = next;
        if diagnostics.len() >= MOST_DIAGNOSTICS {
            recovery::add_names(source, first..source.lexed.tokens.len(), &mut broken);
            break;
        }
        let end = recovery::extent(source, first);
        if let Some(at) = recovery::invalid_token(source, first, end) {
            next = recovery::next_item(source, first, at);
            recovery::add_names(source, first..next, &mut broken);
            continue;
        }
        match parse_item(source, token.start, end) {
            Ok((item, found)) => {
                next = recovery::token_at(source, item.span.end as usize);
                match found.is_empty() {
                    true => items.push(item),
                    false => broken.add(&item),
                }
                diagnostics.extend(found);
            }
            Err(failure) => {
                diagnostics.push(Trouble::new(source, first, &failure).diagnose());
                next = recovery::next_item(source, first, failure.at);
                recovery::add_names(source, first..next, &mut broken);
            }
        }
    }
    (items, broken)
}

/// Parses the item that begins at the byte `start` and has ended before `end`. The diagnostics are those of
/// its tree.
fn parse_item(
    source: &Source,
    start: usize,
    end: usize,
) -> Result<(Item, Vec<Diagnostic>), Failure> {
    let parsed = Grammar::parse(Rule::lone_item, &source.text[start..end]);
    let mut pairs = parsed.map_err(|error| Failure::new(&error, start))?;
    let pair = pairs.next().expect("the rule makes one pair");
    Ok(tree::build(source, start, pair))
}

/// Where the grammar could not go on, and what it tried there.
struct Failure {
    /// The byte in the whole text.
    at: usize,
    /// The rules that were tried; empty where a limit was reached.
    tried: Vec<Rule>,
}

impl Failure {
    fn new(error: &pest::error::Error<Rule>, start: usize) -> Failure {
        use pest::error::{ErrorVariant, InputLocation};
        let at = match error.location {
            InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
        };
        let tried = match &error.variant {
            ErrorVariant::ParsingError { positives, .. } => positives.clone(),
            ErrorVariant::CustomError { .. } => Vec::new(),
        };
        Failure {
            at: start + at,
            tried,
        }
    }
}
