//! Names, types and shapes: from syntax tree to graphs.
//!
//! Elaboration runs the program's bodies with tensors that have types and no values: statics are numbers, calls are
//! written out, and what is left is a graph. Every value is known, is a node, or is a mistake that has been reported.
//!
//! Absent here: files (they come through [`SourceLoader`] and [`DataCatalog`]), passes over graphs, and anything
//! about speed.

mod accumulate;
mod around;
mod batch_axis;
mod batches;
mod call;
mod callable;
mod check;
pub mod codes;
mod context;
mod convert;
mod counts;
mod data;
mod decision;
mod diagnose;
mod emit;
mod expr;
mod feeds;
mod files;
mod foreign;
pub mod glob;
pub mod guard;
mod guesses;
mod half;
mod index;
mod init;
mod instance;
mod intrinsics;
mod library;
mod literals;
mod lookup;
mod mapping;
mod merge;
mod name_case;
mod numbers;
mod operators;
mod optimizer;
mod owners;
pub mod program;
mod ranges;
mod reach;
mod recurrence;
mod report;
mod report_if;
mod resolve;
mod scope;
mod settings;
mod signature;
mod sites;
mod sizing;
mod stages;
mod statement;
mod training;
mod value;
mod watched;
pub mod world;

pub use callable::CallRequest;
pub use check::FileReport;
pub use context::Settings;
pub use program::{Callable, TrainProgram};
pub use sizing::SizedDefinition;
pub use world::{DataCatalog, NoWorld, SourceLoader};

use context::Elaborator;
use dlm_grammar::{Diagnostic, SourceMap};

/// A program's main file.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What messages call it.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// What a program is elaborated in: files, data, and what the command line changes.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// Gives imported files.
    pub loader: &'a dyn SourceLoader,
    /// Describes data.
    pub catalog: &'a dyn DataCatalog,
    /// What the command line changes.
    pub settings: &'a Settings,
}

/// The result of an elaboration: a value unless there were errors, and every error and warning.
#[derive(Debug)]
pub struct Elaborated<T> {
    /// What was asked for; absent where a diagnostic is an error.
    pub value: Option<T>,
    /// Errors and warnings, in textual order.
    pub diagnostics: Vec<Diagnostic>,
}

/// Elaborates the run of that name, or the file's first.
pub fn train(
    sources: &mut SourceMap,
    main: Source<'_>,
    world: World<'_>,
    name: Option<&str>,
) -> Elaborated<TrainProgram> {
    elaborate(sources, main, world, |elaborator| {
        let program = elaborator.train_program(name);
        elaborator.resolve_unreached();
        program
    })
}

/// Elaborates one function or block to be called alone.
pub fn callable(
    sources: &mut SourceMap,
    main: Source<'_>,
    world: World<'_>,
    name: &str,
    request: &CallRequest,
) -> Elaborated<Callable> {
    elaborate(sources, main, world, |elaborator| {
        elaborator.callable(name, request)
    })
}

/// Elaborates everything in a file that can be, for all its errors at once.
pub fn check(
    sources: &mut SourceMap,
    main: Source<'_>,
    world: World<'_>,
) -> Elaborated<FileReport> {
    elaborate(sources, main, world, |elaborator| elaborator.check_file())
}

/// Every name that the library gives to programs: items written in the language, then primitive operations.
pub fn library_names() -> Vec<&'static str> {
    let library = library::Library::new();
    let written = library.names().filter(|name| !name.starts_with('_'));
    written.chain(intrinsics::public_names()).collect()
}

fn elaborate<T>(
    sources: &mut SourceMap,
    main: Source<'_>,
    world: World<'_>,
    action: impl FnOnce(&mut Elaborator<'_>) -> diagnose::Checked<T>,
) -> Elaborated<T> {
    let mut elaborator = Elaborator::new(sources, world.loader, world.catalog, world.settings);
    elaborator.shown_folder = files::folder_of(main.name);
    elaborator.add_file(main.name, String::new(), main.text, false);
    elaborator.check_overrides();
    // What follows from imports and names that mean nothing would only hide why.
    let value = match elaborator.reporter.errors() > elaborator.unreadable {
        true => None,
        false => action(&mut elaborator).ok(),
    };
    let failed = elaborator.reporter.has_errors();
    let diagnostics = elaborator.reporter.into_sorted();
    let value = value.filter(|_| !failed);
    Elaborated { value, diagnostics }
}
