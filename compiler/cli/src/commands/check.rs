//! `dlmc check`: every error at once, then shapes, parameters, arithmetic and memory. Runs nothing.

use std::path::{Path, PathBuf};

use clap::Args;
use dlm_core::elaborate::{Callable, SizedDefinition, TrainProgram};
use dlm_core::graph::Graph;
use dlm_core::passes::{PASSES, run_passes, trained};
use dlm_core::schedule::{PersistentLayout, schedule};
use serde_json::{Value, json};

use crate::arguments::Shared;
use crate::failure::Failure;
use crate::pipeline::frontend::{Frontend, Part, persistent_layout};
use crate::pipeline::lower::{optimise, plan};
use crate::pipeline::overrides::Overrides;
use crate::pipeline::threads::on_threads;
use crate::report::layers::{Layer, layers};
use crate::report::table::{Table, bytes, grouped};
use crate::stages::Stages;
use crate::terminal;

/// Samples of a block's training step where the file has no run.
const ALONE: usize = 32;

const EXAMPLES: &str = "\
Examples:
  dlmc check models/lenet.dlm            errors, or a table of layers for each block and run
  dlmc check a.dlm b.dlm                 several files; every error of all of them
  dlmc check models/lenet.dlm --json     the same for scripts";

/// Show every error at once.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CheckArguments {
    /// The programs
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    overrides: Overrides,
}

/// Checks every file, also after one with errors.
pub fn run(arguments: &CheckArguments, shared: &Shared) -> Result<(), Failure> {
    let mut errors = Vec::new();
    let mut results = Vec::new();
    for path in &arguments.files {
        match check(path, arguments, shared) {
            Ok(result) => results.push(result),
            Err(Failure::Program(text)) => errors.push(text),
            Err(other) => return Err(other),
        }
    }
    match arguments.json {
        true => terminal::print(&format!(
            "{}\n",
            json!(results.iter().map(|each| &each.1).collect::<Vec<_>>())
        ))?,
        false => terminal::print(
            &results
                .iter()
                .map(|each| each.0.as_str())
                .collect::<String>(),
        )?,
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::Program(errors.concat()))
    }
}

/// A file's tables, and the same as JSON.
fn check(
    path: &Path,
    arguments: &CheckArguments,
    shared: &Shared,
) -> Result<(String, Value), Failure> {
    let mut stages = Stages::new(shared.verbose);
    let mut frontend = Frontend::load(path, &arguments.overrides, shared)?;
    let report = frontend.check(&mut stages)?;
    let mut text = format!("{}\n", path.display());
    let mut items = Vec::new();
    let batch = report
        .trains
        .first()
        .map_or(ALONE, |train| Part::step(train).batch);
    for definition in &report.definitions {
        let (mut table, mut value) = of_definition(definition, &frontend);
        if let Some(peak) = memory(&definition.callable, &frontend, batch, shared) {
            value["peak_bytes"] = json!(peak);
            value["batch"] = json!(batch);
            table += &format!(
                "  a training step of {batch} samples takes {}\n",
                bytes(peak as u64)
            );
        }
        text += &table;
        items.push(value);
    }
    for (name, reason) in &report.unsized_definitions {
        text += &format!("\n{name}\n  not elaborated: {reason}\n");
        items.push(json!({ "name": name, "not_elaborated": reason }));
    }
    for train in &report.trains {
        let (table, value) = of_train(train, &frontend, shared, &mut stages)?;
        text += &table;
        items.push(value);
    }
    stages.show();
    Ok((
        text,
        json!({ "file": path.display().to_string(), "items": items }),
    ))
}

fn of_definition(definition: &SizedDefinition, frontend: &Frontend) -> (String, Value) {
    let graph = &definition.callable.graph;
    let rows = layers(graph, &frontend.source.map, &definition.callable.parameters);
    let (name, sizes) = (&graph.name, &definition.sizes);
    let mut value = json!({ "name": name, "layers": rows_json(&rows) });
    if !sizes.is_empty() {
        value["sizes"] = json!(sizes.trim_start_matches(", "));
    }
    (format!("\n{name}{sizes}\n{}", table(&rows)), value)
}

/// The bytes that a step takes which trains a block alone: parameters and states, what is kept for gradients, each thread's
/// own. `None` for what has no parameters, and where there is no plan for it by itself.
fn memory(
    callable: &Callable,
    frontend: &Frontend,
    batch: usize,
    shared: &Shared,
) -> Option<usize> {
    if callable.parameters.is_empty() {
        return None;
    }
    let parameters = callable.parameters.iter();
    let parameters = parameters.map(|each| (each.path.as_str(), &each.ty));
    let states = callable.states.iter();
    let states = states.map(|each| (each.path.as_str(), &each.ty));
    let layout = PersistentLayout::new(parameters.chain(states));
    let graph = trained(&callable.graph).ok()?;
    let graph = run_passes(&graph, PASSES, |_, _| {}).ok()?;
    let target = frontend.machine.target();
    let plan = on_threads(|| schedule(&graph, &target, batch, &layout)).ok()?;
    Some(plan.memory().total(shared.workers()))
}

fn of_train(
    train: &TrainProgram,
    frontend: &Frontend,
    shared: &Shared,
    stages: &mut Stages,
) -> Result<(String, Value), Failure> {
    let rows = layers(forward(train), &frontend.source.map, &train.parameters);
    let part = Part::step(train);
    let graph = optimise(part.graph, stages, |_, _| {})?;
    let machine = frontend.machine.clone();
    let machine = machine.with_memory_of(train, shared.workers());
    let plan = plan(
        &graph,
        part.batch,
        &persistent_layout(train),
        (&machine, &frontend.source),
        stages,
    )?;
    let peak = plan.memory().total(shared.workers());
    let parameters: i64 = train
        .parameters
        .iter()
        .map(|each| each.ty.elements(1))
        .sum();
    let text = format!(
        "\ntrain {}\n{}  {} parameters; a step of {} samples takes {} with {} threads{}\n",
        train.name,
        table(&rows),
        grouped(parameters),
        part.batch,
        bytes(peak as u64),
        shared.workers(),
        too_much(train, peak)
    );
    let value = json!({
        "train": train.name, "layers": rows_json(&rows), "parameters": parameters,
        "batch": part.batch, "peak_bytes": peak,
    });
    Ok((text, value))
}

/// By how much a step takes more than the run's setting allows.
fn too_much(train: &TrainProgram, peak: usize) -> String {
    let limit = train
        .settings
        .memory
        .and_then(|limit| usize::try_from(limit).ok());
    match limit.and_then(|limit| peak.checked_sub(limit)) {
        None | Some(0) => String::new(),
        Some(more) => format!(", {} more than `memory` allows", bytes(more as u64)),
    }
}

/// An evaluation shows the net without its gradients.
fn forward(train: &TrainProgram) -> &Graph {
    train.evals.first().map_or(&train.step, |eval| &eval.graph)
}

fn table(rows: &[Layer]) -> String {
    let mut table = Table::new(&[
        "<layer",
        "<gives",
        "parameters",
        "FLOPs of products, a sample",
    ]);
    for row in rows {
        table.row([
            row.text.clone(),
            row.output.to_string(),
            or_none(row.parameters),
            or_none(row.flops),
        ]);
    }
    let (parameters, flops) = rows.iter().fold((0, 0), |sum, row| {
        (sum.0 + row.parameters, sum.1 + row.flops)
    });
    table.row([
        "total".into(),
        String::new(),
        grouped(parameters),
        grouped(flops),
    ]);
    table.render()
}

/// A count; a row without any has none, which is not the same as one of little.
fn or_none(count: i64) -> String {
    match count {
        0 => "–".to_owned(),
        count => grouped(count),
    }
}

fn rows_json(rows: &[Layer]) -> Vec<Value> {
    let row = |row: &Layer| {
        json!({
            "layer": row.text, "path": row.path, "gives": row.output.to_string(),
            "parameters": row.parameters, "flops": row.flops,
        })
    };
    rows.iter().map(row).collect()
}
