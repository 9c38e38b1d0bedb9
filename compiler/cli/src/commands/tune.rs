//! `dlmc tune`: looks for faster tiles on this machine, and keeps them for `dlmc run`.

mod search;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use crate::arguments::Shared;
use crate::failure::Failure;
use crate::pipeline::frontend::{Frontend, Part};
use crate::pipeline::overrides::Overrides;
use crate::pipeline::tuned;
use crate::stages::Stages;
use crate::terminal;
use search::{Outcome, Tuner};

const EXAMPLES: &str = "\
Examples:
  dlmc tune models/lenet.dlm                     half a minute; `dlmc run models/lenet.dlm` then uses what it found
  dlmc tune models/lenet.dlm --seconds 120       looks longer
  dlmc tune models/lenet.dlm --out lenet.plan    keeps it in a file, for --plan

Kernels are taken in the order of their share of a step. The tiles that the schedule puts next in cost are compiled and run
beside the best so far, in turn; one that is faster takes its place. What is found is kept in the user's cache by program,
processor and version, and a run that uses it keeps it in its folder, so that --resume gives the same bits.";

/// Look for faster tiles on this machine.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct TuneArguments {
    /// The program
    file: PathBuf,
    /// Which `train` of the file [default: the first]
    train: Option<String>,
    /// How long to look
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Write what was found to this file, and not to the cache
    #[arg(long, value_name = "PLAN")]
    out: Option<PathBuf>,
    /// Begin with the tiles of a plan's text
    #[arg(long, value_name = "PLAN")]
    plan: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    overrides: Overrides,
}

/// Searches, tells, and keeps what was found.
pub fn run(arguments: &TuneArguments, shared: &Shared) -> Result<(), Failure> {
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let mut stages = Stages::new(shared.verbose);
    let mut frontend = Frontend::load(&arguments.file, &arguments.overrides, shared)?;
    frontend.take_plan(arguments.plan.as_deref())?;
    let train = frontend.train(arguments.train.as_deref(), &mut stages)?;
    let path = match &arguments.out {
        Some(path) => path.clone(),
        None => tuned::file_for(&frontend, &train).ok_or_else(|| {
            Failure::command_line("there is no cache folder; name a file with --out")
        })?,
    };
    let part = Part::step(&train);
    let mut tuner = Tuner::new(&frontend, &train, &part, shared, &mut stages)?;
    let outcome = tuner.search(end, &mut stages)?;
    stages.show();
    if outcome.changed > 0 {
        tuned::write(&path, &outcome.choices)?;
    }
    match arguments.json {
        true => terminal::print(&format!("{}\n", json(&outcome, &path))),
        false => terminal::print(&text(&outcome, &path)),
    }
}

fn text(outcome: &Outcome, path: &std::path::Path) -> String {
    let (tried, seconds) = (outcome.tried, outcome.seconds);
    if outcome.changed == 0 {
        return format!(
            "the schedule's own tiles stay: none of {tried} was faster ({seconds:.0} s)\n"
        );
    }
    format!(
        "step {:.3} -> {:.3} ms ({:+.1} %): {} of {} kernels, {tried} tiles tried in {seconds:.0} s\nsaved {}\n",
        outcome.before,
        outcome.after,
        100.0 * (outcome.after / outcome.before - 1.0),
        outcome.changed,
        outcome.kernels,
        path.display()
    )
}

fn json(outcome: &Outcome, path: &std::path::Path) -> serde_json::Value {
    serde_json::json!({
        "ms_before": outcome.before,
        "ms_after": outcome.after,
        "kernels": outcome.kernels,
        "changed": outcome.changed,
        "tried": outcome.tried,
        "seconds": outcome.seconds,
        "plan": (outcome.changed > 0).then(|| path.display().to_string()),
    })
}
