//! `dlmc predict`: a saved model on new inputs.

mod generate;
mod input;
mod model;

use std::path::PathBuf;

use clap::Args;
use dlm_runtime::checkpoint;

use crate::arguments::Shared;
use crate::failure::Failure;
use crate::stages::Stages;
use generate::Sampling;
use model::Model;

const EXAMPLES: &str = "\
Examples:
  dlmc predict runs/lenet three.png five.png               the class of each image
  dlmc predict runs/iris flowers.csv --out classes.safetensors
  dlmc predict runs/gpt --generate 200 --temperature 0.8 --top-k 20 \"Once upon\"

The folder is what `dlmc run` wrote; the program's file is not needed. Inputs are PNG or JPEG images, CSV, NPY
or safetensors files (the tensor `x`, or the only one; axis 0 is the samples). They go through the stages that
the run's evaluation has for its data.";

/// Use a model that a run has saved.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct PredictArguments {
    /// The run's folder, or the model.safetensors in it
    model: PathBuf,
    /// Files to be predicted from; with --generate the prompt
    #[arg(required = true)]
    inputs: Vec<String>,
    /// Which net of the run, where it has several
    #[arg(long, value_name = "NAME")]
    net: Option<String>,
    /// Also write all results as the tensor `out`
    #[arg(long, value_name = "R.safetensors")]
    out: Option<PathBuf>,
    /// Go on with the prompt by so many characters
    #[arg(long, value_name = "N")]
    generate: Option<usize>,
    /// Divide logits by this before one is drawn; 0 takes the likeliest
    #[arg(long, value_name = "T", default_value_t = 1.0, requires = "generate", allow_hyphen_values = true, value_parser = temperature)]
    temperature: f32,
    /// Draw from the K likeliest only
    #[arg(long, value_name = "K", requires = "generate", value_parser = clap::value_parser!(u64).range(1..))]
    top_k: Option<u64>,
    /// The seed of what is drawn
    #[arg(long, value_name = "SEED", default_value_t = 0, requires = "generate")]
    seed: u64,
}

/// A number that logits can be divided by, or 0.
fn temperature(text: &str) -> Result<f32, String> {
    let number = text.parse::<f32>().ok();
    let number = number.filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "a temperature is a number, at least 0".to_string())
}

/// Compiles the net for inference and runs it on the inputs.
pub fn run(arguments: &PredictArguments, shared: &Shared) -> Result<(), Failure> {
    let mut stages = Stages::new(shared.verbose);
    let model = Model::load(
        &arguments.model,
        arguments.net.as_deref(),
        shared,
        &mut stages,
    )?;
    let team = shared.team().map_err(Failure::run)?;
    if let Some(count) = arguments.generate {
        let sampling = Sampling {
            count,
            temperature: arguments.temperature,
            top_k: arguments.top_k.map(|count| count as usize),
            seed: arguments.seed,
        };
        let text = generate::generate(&model, &team, &arguments.inputs.join(" "), &sampling)?;
        return crate::terminal::print(&format!("{text}\n"));
    }
    let (names, samples) = input::read(&model, &arguments.inputs)?;
    let results = model.run(&team, samples)?;
    stages.show();
    crate::terminal::print(&input::lines(&names, &results))?;
    match &arguments.out {
        Some(path) => checkpoint::write(path, [("out", &results)]).map_err(Failure::run),
        None => Ok(()),
    }
}
