//! `dlmc opt`: passes over textual IR.

use std::path::PathBuf;

use clap::Args;
use dlm_core::graph::text::parse;
use dlm_core::passes::{PASSES, Pass, all, find, run_passes};

use crate::arguments::Shared;
use crate::failure::Failure;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  dlmc opt step.ir --passes simplify,dead-code      run two passes and print the result
  dlmc opt step.ir --passes all                     run the whole table, in order
  dlmc dump models/lenet.dlm --emit graph > step.ir    get a graph to begin with";

/// Run passes over textual graph IR.
///
/// The result is printed in the same text, so passes can be tried one at a time.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = long_help())]
pub struct OptArguments {
    /// Graph IR as `dlmc dump --emit graph` prints it
    #[arg(value_name = "FILE.ir")]
    file: PathBuf,
    /// The passes in order, divided by commas; `all` is the whole table
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', required = true)]
    passes: Vec<String>,
}

/// The examples, and every pass with its line.
fn long_help() -> String {
    let rows = all().map(|pass| format!("  {:<20} {}\n", pass.name, pass.summary));
    format!("{EXAMPLES}\n\nPasses:\n{}", rows.collect::<String>())
}

/// Runs the passes and prints what they make.
pub fn run(arguments: &OptArguments, _: &Shared) -> Result<(), Failure> {
    let passes = named_passes(&arguments.passes)?;
    let path = &arguments.file;
    let text = std::fs::read_to_string(path).map_err(|error| Failure::unreadable(path, &error))?;
    let place = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let graph = parse(&text).map_err(|error| Failure::data(place(&error)))?;
    crate::crash::enter_stage("passes over textual IR");
    let graph =
        run_passes(&graph, passes, |_, _| {}).map_err(|error| Failure::data(place(&error)))?;
    terminal::print(&graph.to_string())
}

/// The passes of these names.
///
/// # Errors
/// For a name that no pass has, with the nearest one that some pass has.
pub fn named_passes(names: &[String]) -> Result<Vec<&'static Pass>, Failure> {
    let mut passes = Vec::new();
    for name in names {
        if name == "all" {
            passes.extend(PASSES);
            continue;
        }
        passes.push(find(name).map_err(|_| unknown_pass(name, &["all"]))?);
    }
    Ok(passes)
}

/// The message for a pass that does not exist; `others` are the words that the option takes beside passes.
pub fn unknown_pass(name: &str, others: &[&str]) -> Failure {
    let passes = all().map(|pass| pass.name);
    let known: Vec<&str> = others.iter().copied().chain(passes).collect();
    let hint = match dlm_grammar::suggest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", known.join(", ")),
    };
    Failure::command_line(format!("there is no pass `{name}`; {hint}"))
}
