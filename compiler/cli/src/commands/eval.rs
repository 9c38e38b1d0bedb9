//! `dlmc eval`: the evaluations of a run, of the model that it saved.

use std::path::PathBuf;

use clap::Args;
use dlm_runtime::checkpoint;
use dlm_runtime::session::{Evaluation, Observer, Session};

use crate::arguments::Shared;
use crate::commands::run::{failure, prepare};
use crate::failure::Failure;
use crate::pipeline::frontend::Frontend;
use crate::pipeline::overrides::Overrides;
use crate::pipeline::saved::{MODEL, Saved, run_folder};
use crate::stages::Stages;

const EXAMPLES: &str = "\
Examples:
  dlmc eval runs/lenet                                     on the data of the run
  dlmc eval runs/lenet --data 'images=mnist[\"mnist\"]'    on other data

The folder is what `dlmc run` wrote; the program's file is not needed. Prints one line for each value:
its split, its name and the value.";

/// Evaluate what a run has saved.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct EvalArguments {
    /// The run's folder, or the model.safetensors in it
    model: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
}

/// Compiles the run's evaluations again and runs them on its saved parameters.
pub fn run(arguments: &EvalArguments, shared: &Shared) -> Result<(), Failure> {
    let mut stages = Stages::new(shared.verbose);
    let folder = run_folder(&arguments.model)?;
    let mut saved = Saved::read(&folder)?;
    let given = arguments.overrides.settings()?;
    saved.values.extend(given.values);
    // Data that is given anew is described anew.
    let mut frontend = Frontend::saved(&saved, "", given.data, shared)?;
    let train = frontend.train(Some(&saved.train), &mut stages)?;
    let mut plan = prepare::plan(&train, &frontend, None, PathBuf::new(), &mut stages)?;
    plan.directory = None;
    plan.initial = checkpoint::read(&folder.join(MODEL))
        .map_err(|error| crate::commands::call::read_failure(&error))?;
    let team = shared.team().map_err(Failure::run)?;
    let failed = |error| failure(error, &frontend, &train);
    let mut session = Session::new(&team, plan).map_err(failed)?;
    session.evaluate(&mut Print).map_err(failed)?;
    stages.show();
    Ok(())
}

/// A value with the digits that f32 has; a count with all of its own.
fn shown(value: f64) -> String {
    match value.fract() == 0.0 {
        true => value.to_string(),
        false => (value as f32).to_string(),
    }
}

struct Print;

impl Observer for Print {
    fn evaluated(&mut self, evaluation: &Evaluation) {
        for (name, value) in &evaluation.values {
            println!("{} {name} {}", evaluation.split, shown(*value));
        }
    }
}
