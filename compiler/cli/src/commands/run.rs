//! `dlmc run`: trains and evaluates.

mod observe;
pub mod prepare;

use std::path::{Path, PathBuf};

use clap::Args;
use dlm_core::elaborate::TrainProgram;
use dlm_core::schedule::Choices;
use dlm_runtime::call::CallError;
use dlm_runtime::data::DataError;
use dlm_runtime::program::Executable;
use dlm_runtime::session::{Session, SessionError};

use crate::arguments::Shared;
use crate::failure::Failure;
use crate::pipeline::frontend::Frontend;
use crate::pipeline::overrides::Overrides;
use crate::pipeline::tuned;
use crate::report::table::bytes;
use crate::stages::Stages;
use observe::Display;

const EXAMPLES: &str = "\
Examples:
  dlmc run models/lenet.dlm                                train the file's first `train`
  dlmc run models/lenet.dlm lenet --set lenet.epochs=2     that one, for two epochs
  dlmc run models/lenet.dlm --data 'images=mnist[\"mnist\"] |> normalize[0.1307, 0.3081]'
  dlmc run models/lenet.dlm --resume                       go on where it was interrupted
  dlmc run models/lenet.dlm --init runs/lenet/model.safetensors --out runs/more

The folder (runs/TRAIN unless --out names another) then holds metrics.csv, model.safetensors and what --resume needs.";

/// Train and evaluate.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RunArguments {
    /// The program
    file: PathBuf,
    /// Which `train` of the file [default: the first]
    train: Option<String>,
    /// Start from these parameters; `W.safetensors,GLOB` takes only the paths that match
    #[arg(long, value_name = "W.safetensors[,GLOB]")]
    init: Option<String>,
    /// The folder for metrics.csv and model.safetensors [default: runs/TRAIN]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write what every N-th step reports [default: the program's, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    log_every: Option<u64>,
    /// Go on with the run that was interrupted, from what it left in its folder: to the bit as if it had not been
    #[arg(long, conflicts_with = "init")]
    resume: bool,
    /// Save what `--resume` needs after every N-th step [default: each epoch, and every half minute]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    save_every: Option<u64>,
    /// Take tiles from a plan's text (`dlmc dump FILE --emit plan`), which may have been edited
    #[arg(long, value_name = "PLAN")]
    plan: Option<PathBuf>,
    /// Print only errors
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    overrides: Overrides,
}

/// Compiles, loads the data, trains.
pub fn run(arguments: &RunArguments, shared: &Shared) -> Result<(), Failure> {
    let mut stages = Stages::new(shared.verbose);
    let mut frontend = Frontend::load(&arguments.file, &arguments.overrides, shared)?;
    frontend.take_plan(arguments.plan.as_deref())?;
    let train = frontend.train(arguments.train.as_deref(), &mut stages)?;
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from("runs").join(&train.name));
    if arguments.plan.is_none() {
        take_tuned(&mut frontend, &train, arguments.resume.then_some(&out));
    }
    let mut plan = prepare::plan(
        &train,
        &frontend,
        arguments.log_every,
        out.clone(),
        &mut stages,
    )?;
    if let Some(init) = &arguments.init {
        plan.initial = prepare::initial(init, &train)?;
    }
    (plan.resume, plan.save_every) = (arguments.resume, arguments.save_every);
    let team = shared.team().map_err(Failure::run)?;
    check_memory(&train, &plan.steps, team.workers())?;
    let mut session = stages
        .time("start", || Session::new(&team, plan))
        .map_err(|error| failure(error, &frontend, &train))?;
    if arguments.resume {
        session
            .resume()
            .map_err(|error| unresumed(error, &frontend, &train, &out))?;
    }
    frontend.to_save(&train).write(&out)?;
    save_tiles(&frontend, &out)?;
    let total = prepare::total_steps(&train, &session);
    let mut display = Display::new(arguments.quiet, shared.verbose, total);
    let result = match train.trains() {
        true => session.run(&mut display).map(|_| ()),
        false => session.evaluate_once(&mut display),
    };
    display.finish();
    stages.show();
    display.show_start();
    result.map_err(|error| failure(error, &frontend, &train))?;
    if !arguments.quiet {
        crate::terminal::print(&format!(
            "saved {}\n",
            out.join("model.safetensors").display()
        ))?;
    }
    Ok(())
}

/// An error where a step takes more memory than the run's setting allows, with all computed again that can be.
fn check_memory(train: &TrainProgram, steps: &[Executable], workers: usize) -> Result<(), Failure> {
    let limit = train
        .settings
        .memory
        .and_then(|limit| u64::try_from(limit).ok());
    let Some(limit) = limit else {
        return Ok(());
    };
    let taken = |step: &Executable| {
        step.persistent_bytes + step.arena_bytes + step.scratch_bytes * workers as u64
    };
    match steps.iter().map(taken).max() {
        Some(taken) if taken > limit => Err(Failure::data(format!(
            "a step needs {} at least with {workers} threads, {} more than `memory` allows; smaller batches take less",
            bytes(taken),
            bytes(taken - limit)
        ))),
        _ => Ok(()),
    }
}

/// Uses the tiles that `tune` has found for this program, or those of the run that is gone on with.
fn take_tuned(frontend: &mut Frontend, train: &TrainProgram, resumed: Option<&PathBuf>) {
    let file = match resumed {
        Some(folder) => Some(folder.join(tuned::FILE_OF_RUN)),
        None => tuned::file_for(frontend, train),
    };
    if let Some(choices) = file.and_then(|file| tuned::read(&file)) {
        frontend.machine = frontend.machine.clone().with_tuned(choices);
    }
}

/// Leaves the tiles in the run's folder, so that it can be gone on with to the bit.
fn save_tiles(frontend: &Frontend, out: &Path) -> Result<(), Failure> {
    let file = out.join(tuned::FILE_OF_RUN);
    let choices = frontend.machine.choices();
    if *choices != Choices::default() {
        return tuned::write(&file, choices);
    }
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::unwritable(&file, &error))
        }
        _ => Ok(()),
    }
}

/// A session's error by its exit code: wrong data or a wrong program, or a run that failed.
pub fn failure(error: SessionError, frontend: &Frontend, train: &TrainProgram) -> Failure {
    match error {
        SessionError::Data(error) => bad_data(&error, frontend, train),
        SessionError::NoBatches => no_batches(frontend, train),
        error @ SessionError::NothingToResume { .. } => Failure::command_line(error),
        SessionError::Index { bad, epoch, iter } => {
            let place = format!(", in epoch {epoch}, iter {iter}");
            frontend.source.bad_index(&bad, &train.checks, &place)
        }
        SessionError::Value(CallError::Index(bad)) => {
            frontend
                .source
                .bad_index(&bad, &train.checks, " of a metric")
        }
        other => Failure::run(other),
    }
}

/// Why a run is not gone on with: what it left may be of another program.
fn unresumed(
    error: SessionError,
    frontend: &Frontend,
    train: &TrainProgram,
    out: &Path,
) -> Failure {
    match error {
        SessionError::State { .. }
        | SessionError::NoValue { .. }
        | SessionError::NoSuchValue { .. }
        | SessionError::Value(_) => Failure::data(format!(
            "the program has changed since the run in {}, which cannot be gone on with: {error}",
            out.display()
        )),
        other => failure(other, frontend, train),
    }
}

/// Data whose first set has fewer samples than a batch takes, which only reading it has told.
fn no_batches(frontend: &Frontend, train: &TrainProgram) -> Failure {
    match train.feeds.first() {
        Some(feed) => frontend.source.bad_data(SessionError::NoBatches, feed.span),
        None => Failure::data(SessionError::NoBatches),
    }
}

/// Data that a session refuses: where a class is out of range, the program says what takes it.
fn bad_data(error: &DataError, frontend: &Frontend, train: &TrainProgram) -> Failure {
    let DataError::OutOfRange { bound: below, .. } = *error else {
        return Failure::data(error);
    };
    let evals = train.evals.iter().flat_map(|eval| &eval.feeds);
    let inputs = train.feeds.iter().chain(evals).flat_map(|feed| {
        let bounds = feed.inputs.iter().filter_map(|input| input.bound);
        bounds.map(|bound| (bound, feed.span))
    });
    let mut inputs = inputs.filter(|(bound, _)| bound.below.known() == Some(below));
    match inputs.next() {
        Some((bound, feed)) => frontend.source.bad_class(error, below, bound.span, feed),
        None => Failure::data(error),
    }
}
