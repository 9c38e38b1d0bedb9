//! The commands, one a file.

pub mod bench;
pub mod call;
pub mod check;
pub mod dump;
pub mod eval;
pub mod fmt;
pub mod opt;
pub mod predict;
pub mod run;
pub mod tune;

use std::process::ExitCode;

use crate::arguments::{Arguments, Command};

/// Does what the command line says.
pub fn run(arguments: Arguments) -> ExitCode {
    let shared = &arguments.shared;
    let result = match &arguments.command {
        Command::Run(arguments) => run::run(arguments, shared),
        Command::Check(arguments) => check::run(arguments, shared),
        Command::Call(arguments) => call::run(arguments, shared),
        Command::Dump(arguments) => dump::run(arguments, shared),
        Command::Opt(arguments) => opt::run(arguments, shared),
        Command::Bench(arguments) => bench::run(arguments, shared),
        Command::Tune(arguments) => tune::run(arguments, shared),
        Command::Eval(arguments) => eval::run(arguments, shared),
        Command::Predict(arguments) => predict::run(arguments, shared),
        Command::Fmt(arguments) => fmt::run(arguments, shared),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
