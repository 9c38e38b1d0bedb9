//! Printing: colours or none, and quiet ends of closed pipes.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// Where standard error is a terminal and NO_COLOR is not set.
    #[default]
    Auto,
    /// Also in files and pipes.
    Always,
    /// Nowhere.
    Never,
}

impl ColorChoice {
    /// Whether diagnostics get colours.
    pub fn applies(self) -> bool {
        match self {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
                !unwanted && !dumb && io::stderr().is_terminal()
            }
        }
    }
}

/// Prints to standard output.
///
/// # Errors
/// Where standard output is closed or full.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    let written = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::run(format!("cannot write to standard output: {error}")),
    })
}

/// Prints a line of news to standard output; where that is closed, the work goes on unheard.
pub fn say(line: &str) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

/// Prints to standard error; where that is closed, nobody can be told.
pub fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
