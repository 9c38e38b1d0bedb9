//! The command line as a whole; each command's own arguments stand in its file.

use clap::{Args, Parser, Subcommand};
use dlm_runtime::team::{RunError, Team};

use crate::commands::{bench, call, check, dump, eval, fmt, opt, predict, run, tune};
use crate::pipeline::machine::TargetFeatures;
use crate::terminal::ColorChoice;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the program or its data is wrong
  2  the command line is wrong
  3  the run failed (NaN, disk full)";

/// A compiler for deep learning: it turns a .dlm program into machine code and trains it.
#[derive(Debug, Parser)]
#[command(name = "dlmc", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub shared: Shared,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
pub struct Shared {
    /// When to colour messages
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,
    /// How many threads work; results do not depend on it [default: one per core, or one where steps are so small that it
    /// is faster]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Make code for these vectors [default: the widest that the processor has]
    #[arg(long, global = true, value_enum, value_name = "SET")]
    pub target_features: Option<TargetFeatures>,
    /// Print how long each stage took, to standard error
    #[arg(long, global = true)]
    pub verbose: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train and evaluate
    Run(run::RunArguments),
    /// Show every error at once; then each block's shapes, parameters, FLOPs and memory
    Check(check::CheckArguments),
    /// Run one function or block on given tensors
    Call(call::CallArguments),
    /// Print a stage of the compilation
    Dump(dump::DumpArguments),
    /// Run passes over textual graph IR
    Opt(opt::OptArguments),
    /// Measure the compiled program's step
    Bench(bench::BenchArguments),
    /// Look for faster tiles on this machine
    Tune(tune::TuneArguments),
    /// Evaluate what a run has saved
    Eval(eval::EvalArguments),
    /// Use a model that a run has saved
    Predict(predict::PredictArguments),
    /// Bring files into the one layout
    Fmt(fmt::FmtArguments),
}

impl Shared {
    /// The number of threads to use.
    pub fn workers(&self) -> usize {
        match self.threads {
            Some(count) => usize::from(count),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// Threads to run programs with: as many as asked for, or as many as are worth it of one per core.
    pub fn team(&self) -> Result<Team, RunError> {
        match self.threads {
            Some(count) => Team::new(usize::from(count)),
            None => Team::of_machine(),
        }
    }
}

/// What the process was called with; ends it with exit code 2 and a message where that has no meaning.
pub fn parse() -> Arguments {
    Arguments::parse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself_with_an_example() {
        for command in Arguments::command().get_subcommands_mut() {
            let name = command.get_name().to_string();
            let help = command.render_long_help().to_string();
            assert!(help.contains(&format!("dlmc {name}")), "{name}:\n{help}");
            assert!(help.contains("Examples:"), "{name}:\n{help}");
        }
    }
}
