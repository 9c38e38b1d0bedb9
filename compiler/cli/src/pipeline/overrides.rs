//! What the command line changes of a program: `--set` and `--data`.

use clap::Args;
use dlm_core::elaborate::Settings;

use crate::failure::Failure;

/// Options that change a program without touching its file.
#[derive(Args, Debug, Default)]
pub struct Overrides {
    /// Give a top-level `let`, or a static of a train, another value; may be repeated
    ///
    /// The value is an expression of the language: --set width=128, --set lenet.epochs=2.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Give a `data` item another source; may be repeated
    ///
    /// Paths in it are relative to the working directory:
    /// --data 'images=mnist["data/mnist"] |> normalize[0.1307, 0.3081]'.
    #[arg(long = "data", value_name = "NAME=SOURCE")]
    data: Vec<String>,
}

impl Overrides {
    /// The names and the expressions.
    ///
    /// # Errors
    /// Where an option has no `=` or nothing before it.
    pub fn settings(&self) -> Result<Settings, Failure> {
        Ok(Settings {
            values: pairs("--set", "width=128", &self.set)?,
            data: pairs("--data", "images=digits[]", &self.data)?,
            earlier: 0,
        })
    }
}

fn pairs(option: &str, example: &str, given: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
            Ok((name.trim().to_string(), value.trim().to_string()))
        }
        _ => Err(Failure::command_line(format!(
            "`{option} {text}` has no name and value; write {option} {example}"
        ))),
    };
    given.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_equals_sign_divides() {
        let given = ["data=csv[\"a.csv\", label=2]".to_string()];
        let pairs = pairs("--data", "x=y", &given).expect("a pair");
        assert_eq!(pairs, [("data".into(), "csv[\"a.csv\", label=2]".into())]);
    }

    #[test]
    fn halves_are_errors() {
        for text in ["", "=", "a", "a=", "=b", " = "] {
            assert!(
                pairs("--set", "x=1", &[text.to_string()]).is_err(),
                "{text:?}"
            );
        }
    }
}
