//! Why a command did not succeed, and the exit code for it.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// The end of a command that did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// The program or its data is wrong: exit code 1. The text says what, and is printed as it is.
    Program(String),
    /// The command line is wrong: exit code 2.
    CommandLine(String),
    /// The run failed (NaN, disk full): exit code 3.
    Run(String),
    /// The compiler failed: exit code 70.
    Internal(String),
    /// Whoever read the output has gone (`dlmc … | head`): nothing to say, exit code 0.
    OutputClosed,
}

impl Failure {
    /// Diagnostics that have been rendered, source and all.
    pub fn program(text: impl Into<String>) -> Failure {
        Failure::Program(text.into())
    }

    /// One sentence about the program's data.
    pub fn data(error: impl Display) -> Failure {
        Failure::Program(line(error))
    }

    /// One sentence about an argument.
    pub fn command_line(error: impl Display) -> Failure {
        Failure::CommandLine(line(error))
    }

    /// One sentence about what went wrong at run time.
    pub fn run(error: impl Display) -> Failure {
        Failure::Run(line(error))
    }

    /// What the compiler could not do though it should.
    pub fn internal(error: impl Display) -> Failure {
        Failure::Internal(error.to_string())
    }

    /// A file that the command line names cannot be read.
    pub fn unreadable(path: &Path, error: &io::Error) -> Failure {
        Failure::command_line(format!(
            "cannot read `{}`: {}",
            path.display(),
            reason(error)
        ))
    }

    /// A result cannot be written.
    pub fn unwritable(path: &Path, error: &io::Error) -> Failure {
        Failure::run(format!(
            "cannot write `{}`: {}",
            path.display(),
            reason(error)
        ))
    }

    /// Tells the user, and gives the exit code.
    pub fn report(self) -> ExitCode {
        let (code, text) = match self {
            Failure::Program(text) => (1, text),
            Failure::CommandLine(text) => (2, text),
            Failure::Run(text) => (3, text),
            Failure::Internal(text) => return crate::crash::report(&text),
            Failure::OutputClosed => (0, String::new()),
        };
        crate::terminal::complain(&text);
        ExitCode::from(code)
    }
}

fn line(error: impl Display) -> String {
    format!("error: {error}\n")
}

/// What the system says of a file, in words without its error number.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::IsADirectory => "it is a folder, not a file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::InvalidData => "it is not text (UTF-8)".into(),
        _ => error.to_string(),
    }
}
