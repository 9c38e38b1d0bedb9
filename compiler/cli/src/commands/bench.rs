//! `dlmc bench`: how long the compiled program's step takes.

mod compare;
pub mod measure;
mod products;
mod roofline;
mod show;

use std::path::PathBuf;

use clap::Args;
use dlm_core::elaborate::TrainProgram;
use dlm_core::plan::Plan;
use dlm_core::plan::cost::Ports;
use dlm_core::schedule::{PersistentLayout, Product};
use dlm_grammar::SourceMap;
use dlm_runtime::program::{Executable, Way};
use dlm_runtime::team::Team;
use serde_json::Value;

use crate::arguments::Shared;
use crate::failure::Failure;
use crate::peak;
use crate::pipeline::frontend::{Frontend, Part, persistent_layout};
use crate::pipeline::lower::{link, optimise, plan, plan_apart};
use crate::pipeline::overrides::Overrides;
use crate::report::layers::total_flops;
use crate::stages::Stages;
use crate::terminal;
use measure::{Bench, Measured};
use products::Done;
use roofline::Roofline;

const EXAMPLES: &str = "\
Examples:
  dlmc bench models/lenet.dlm                     a table for people
  dlmc bench models/bench/lenet_b64.dlm --json    one object: ms_min, ms_median, gflops and more
  dlmc bench models/lenet.dlm --infer             the forward pass of the evaluation
  dlmc bench models/lenet.dlm --roofline a.svg    a picture of what bounds each kernel
  dlmc bench models/lenet.dlm --compare old.json  and what has changed since old.json was printed
  dlmc bench models/lenet.dlm --products          each product by itself, with its gradients beside it
  dlmc bench models/lenet.dlm --repeat 5          kernels with their operands as near as caches hold them

GFLOP/s are nominal: two for each multiply-add of the forward pass's products; a training step counts
three forward passes. The peaks are those of fused multiply-adds in registers and of reading memory
in order, by all threads, measured in the same run. `of roof` is a kernel's part of what they allow a
thread, if each of its buffers moves once. `predicted` is what a model of the machine says, of the step
and of each kernel, at the clock that the peak shows. Data are random numbers of the program's types, made ahead.";

/// Measure the compiled program's step.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct BenchArguments {
    /// The program
    file: PathBuf,
    /// Which `train` of the file [default: the first]
    train: Option<String>,
    /// Steps of one measurement [default: as many as take about 0.15 s]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Measure the forward pass of the first `eval` instead of the training step
    #[arg(long)]
    infer: bool,
    /// Take tiles from a plan's text (`dlmc dump FILE --emit plan`), which may have been edited
    #[arg(long, value_name = "PLAN")]
    plan: Option<PathBuf>,
    /// Draw each kernel under the machine's roofline, as an SVG picture
    #[arg(long, value_name = "FILE.svg")]
    roofline: Option<PathBuf>,
    /// Put each product in a kernel of its own, and show how fast it and its gradients are, medians of 15 measurements; products
    /// within loops over time are left out, and `--plan` takes the text of `dlmc dump FILE --emit plan --products`
    #[arg(long, conflicts_with_all = ["compare", "roofline"])]
    products: bool,
    /// Make each call of a kernel so many times more, and take these as its time: how fast its code is with its operands as near
    /// as caches hold them, whatever the step leaves there. Of a measurement's steps one in N is done so, one at least
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, value_parser = clap::value_parser!(u32).range(..=100),
          conflicts_with_all = ["compare", "roofline"])]
    repeat: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Show what has changed since an earlier measurement, of which FILE holds the JSON object
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    compare: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
}

/// Compiles, measures and prints.
pub fn run(arguments: &BenchArguments, shared: &Shared) -> Result<(), Failure> {
    let earlier = arguments
        .compare
        .as_deref()
        .map(compare::read)
        .transpose()?;
    let mut stages = Stages::new(shared.verbose);
    let mut frontend = Frontend::load(&arguments.file, &arguments.overrides, shared)?;
    frontend.take_plan(arguments.plan.as_deref())?;
    let train = frontend.train(arguments.train.as_deref(), &mut stages)?;
    let part = part(&train, arguments.infer)?;
    let compiled = compiled(arguments, &train, &part, &frontend, &mut stages)?;
    let step_plan = &compiled.plan;
    let [step, init, peak_program] = &compiled.programs[..] else {
        return Err(Failure::internal(
            "three plans gave other than three programs",
        ));
    };
    let lanes = frontend.machine.target().register_lanes;
    let team = shared.team().map_err(Failure::run)?;
    let mut bench = Bench::new(&team, step, init, &part, train.settings.seed)?;
    let timings = match arguments.products {
        true => products::MEASUREMENTS,
        false => 1,
    };
    let measured: Measured = stages.time("measure", || {
        bench.measure(arguments.steps, arguments.repeat, timings)
    })?;
    let working = working(&team, step);
    // What follows takes memory of its own, which is not the step's.
    drop(bench);
    let peak = stages.time("measure the peak", || {
        measure::peak(&team, peak_program, lanes)
    })?;
    let threads = team.workers();
    let gigabytes = stages.time("measure the bandwidth", || roofline::bandwidth(threads));
    let passes = if arguments.infer || !train.trains() {
        1.0
    } else {
        3.0
    };
    let flops = passes * total_flops(part.graph, part.batch as i64) as f64;
    let roof = Roofline {
        gflops: peak,
        gigabytes,
        threads,
    };
    let ports = Ports {
        register_lanes: lanes,
        fma_instructions: frontend.machine.target().fma_instructions,
    };
    let prediction = stages.time("predict", || {
        show::prediction(step_plan, part.batch, (&roof, working), ports)
    });
    let result = show::BenchResult {
        name: frontend.source.name(),
        train: train.name.clone(),
        batch: part.batch,
        flops,
        roof,
        working,
        measured,
        ports,
        prediction,
    };
    stages.show();
    if arguments.products {
        let done = result.done(step_plan);
        return told_products(&compiled.products, &done, arguments, &frontend.source.map);
    }
    told(&result, step_plan, arguments, earlier)
}

/// What is measured.
struct Compiled {
    /// Of the step.
    plan: Plan,
    /// Those that it has kernels of their own for, where that was asked for.
    products: Vec<Product>,
    /// The step, what gives parameters their first values, and the machine's peak.
    programs: Vec<Executable>,
}

fn compiled(
    arguments: &BenchArguments,
    train: &TrainProgram,
    part: &Part<'_>,
    frontend: &Frontend,
    stages: &mut Stages,
) -> Result<Compiled, Failure> {
    let layout: PersistentLayout = persistent_layout(train);
    let graph = optimise(part.graph, stages, |_, _| {})?;
    let init = optimise(&train.init, stages, |_, _| {})?;
    let place = (&frontend.machine, &frontend.source);
    let (step, products) = match arguments.products {
        false => (plan(&graph, part.batch, &layout, place, stages)?, vec![]),
        true => plan_apart(&graph, part.batch, &layout, place, stages)?,
    };
    let init = plan(&init, 1, &layout, place, stages)?;
    let lanes = frontend.machine.target().register_lanes;
    let peak = peak::plan(lanes).map_err(Failure::internal)?;
    let programs = link(&[&step, &init, &peak], &frontend.machine, stages)?;
    Ok(Compiled {
        plan: step,
        products,
        programs,
    })
}

/// The threads that do the steps.
fn working(team: &Team, step: &Executable) -> usize {
    match team.way(step) {
        Some(Way::Alone) => 1,
        Some(Way::Together) | None => team.workers(),
    }
}

/// Writes the picture, and prints the object or the text.
fn told(
    result: &show::BenchResult,
    plan: &Plan,
    arguments: &BenchArguments,
    earlier: Option<Value>,
) -> Result<(), Failure> {
    let json = result.json(plan);
    if let Some(path) = &arguments.roofline {
        crate::files::replace(path, result.picture(plan).as_bytes())?;
    }
    match (arguments.json, earlier) {
        (true, _) => terminal::print(&format!("{json}\n")),
        (false, None) => terminal::print(&result.table(plan)),
        (false, Some(earlier)) => {
            let compared = compare::text(&earlier, &json);
            terminal::print(&(result.table(plan) + &compared))
        }
    }
}

fn told_products(
    products: &[Product],
    done: &[Vec<Done>],
    arguments: &BenchArguments,
    sources: &SourceMap,
) -> Result<(), Failure> {
    let products = (products, arguments.repeat);
    match arguments.json {
        true => terminal::print(&format!("{}\n", products::json(products, done, sources))),
        false => terminal::print(&products::table(products, done, sources)),
    }
}

fn part(train: &TrainProgram, infer: bool) -> Result<Part<'_>, Failure> {
    if !infer {
        return Ok(Part::step(train));
    }
    match train.evals.first() {
        Some(eval) => Part::find(train, &eval.split),
        None => {
            let name = &train.name;
            Err(Failure::command_line(format!(
                "`train {name}` has no `eval` to measure"
            )))
        }
    }
}
