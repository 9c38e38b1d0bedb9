//! `dlmc fmt`: the one layout.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::arguments::Shared;
use crate::failure::Failure;
use crate::pipeline::source::Source;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  dlmc fmt models/lenet.dlm          rewrite the file in place
  dlmc fmt --check models/*.dlm      name the files that are laid out otherwise, and change nothing";

/// Bring files into the one layout.
///
/// Comments stay where they are, and formatting twice changes nothing. A file with a syntax error is left as it is.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct FmtArguments {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only name the files that would change; exit code 1 if there are any
    #[arg(long)]
    check: bool,
}

/// Formats the files; all of them are looked at even where one is wrong.
pub fn run(arguments: &FmtArguments, shared: &Shared) -> Result<(), Failure> {
    let mut first_failure = None;
    let mut unformatted = Vec::new();
    for path in &arguments.files {
        match format_file(path, arguments.check, shared) {
            Ok(changed) if changed && arguments.check => unformatted.push(path),
            Ok(_) => {}
            Err(failure) if first_failure.is_none() => first_failure = Some(failure),
            Err(failure) => {
                failure.report();
            }
        }
    }
    for path in &unformatted {
        terminal::print(&format!("{}\n", path.display()))?;
    }
    match (first_failure, unformatted.len()) {
        (Some(failure), _) => Err(failure),
        (None, 0) => Ok(()),
        (None, count) => Err(Failure::data(format!(
            "{count} of {} files are not in the one layout; `dlmc fmt` without --check rewrites them",
            arguments.files.len()
        ))),
    }
}

/// Whether the file was not in the one layout; rewrites it unless only asked.
fn format_file(path: &Path, only_check: bool, shared: &Shared) -> Result<bool, Failure> {
    let mut source = Source::read(path, shared.color.applies())?;
    source.map.add(source.name(), source.text.as_str());
    let formatted =
        dlm_grammar::format(&source.text).map_err(|diagnostics| source.failure(&diagnostics))?;
    let changed = formatted != source.text;
    if changed && !only_check {
        crate::files::replace(path, formatted.as_bytes())?;
    }
    Ok(changed)
}
