//! The net of a saved run, compiled for inference.

use std::collections::BTreeMap;
use std::path::Path;

use dlm_core::elaborate::program::{Feed, SourceSpec, StageSpec};
use dlm_core::elaborate::{CallRequest, TrainProgram};
use dlm_core::graph::{Dim, TensorType};
use dlm_core::schedule::PersistentLayout;
use dlm_grammar::ast::{File, ItemKind, StmtKind, Train};
use dlm_runtime::call::{CallError, call};
use dlm_runtime::checkpoint::{self, Tensors};
use dlm_runtime::data::{Argument, Value};
use dlm_runtime::program::Executable;
use dlm_runtime::team::Team;
use dlm_runtime::tensor::Tensor;

use crate::arguments::Shared;
use crate::failure::Failure;
use crate::pipeline::catalog::source_invocation;
use crate::pipeline::frontend::Frontend;
use crate::pipeline::lower::{link, optimise, plan};
use crate::pipeline::mapping::Mappings;
use crate::pipeline::saved::{MODEL, Saved, run_folder};
use crate::stages::Stages;

/// The block that is added to the program: the run's net with its data.
const ENTRY: &str = "PredictedNet";
/// Samples in a batch.
const BATCH: usize = 16;

/// A net with its parameters and what its inputs go through.
pub struct Model {
    program: Executable,
    parameters: Tensors,
    /// The input's type; axis 0 is the batch.
    pub input: TensorType,
    /// What is done to it, in order.
    pub stages: Vec<StageSpec>,
    /// The functions that stages `map` run.
    pub mappings: Mappings,
    /// The shape of the source's samples, before any stage.
    pub source_shape: Vec<i64>,
    /// The column that the run's table had its labels in, where it said so.
    pub label: Option<Value>,
    /// The characters of a text by their numbers; empty for other data.
    pub vocabulary: Vec<char>,
}

impl Model {
    /// Reads a run's folder, which the path names itself or by its model's file, and compiles its net.
    ///
    /// # Errors
    /// Where the folder is no run's, or its nets are several and none is named.
    pub fn load(
        model: &Path,
        net: Option<&str>,
        shared: &Shared,
        stages: &mut Stages,
    ) -> Result<Model, Failure> {
        let folder = run_folder(model)?;
        let saved = Saved::read(&folder)?;
        let mut frontend = Frontend::saved(&saved, "", Vec::new(), shared)?;
        let train = frontend.train(Some(&saved.train), stages)?;
        let tree = frontend.tree()?;
        let net = net_name(&train, net)?;
        let more = entry(&tree, &train, &net, &saved)?;
        let feed = train.evals.first().map_or(&train.feeds, |eval| &eval.feeds);
        let feed = feed.first();
        let feed = feed.ok_or_else(|| Failure::data("the run has no data, so no inputs"))?;
        let input = input_type(feed)?;
        let mut parameters = checkpoint::read(&folder.join(MODEL))
            .map_err(|error| crate::commands::call::read_failure(&error))?;
        use_averages(&mut parameters);
        let mut with_entry = Frontend::saved(&saved, &more, Vec::new(), shared)?;
        let mappings = Mappings::compile(&train.maps, &frontend, stages)?;
        let program = compile(&mut with_entry, &input, stages)?;
        let dataset = &train.datasets[feed.dataset];
        let described =
            dlm_core::elaborate::DataCatalog::describe(&frontend.catalog, &dataset.source)
                .map_err(Failure::data)?;
        Ok(Model {
            program,
            parameters,
            mappings,
            input,
            stages: dataset.stages.iter().chain(&feed.stages).cloned().collect(),
            source_shape: described
                .parts
                .first()
                .map(|part| part.shape.clone())
                .unwrap_or_default(),
            label: label(&dataset.source),
            vocabulary: saved.vocabulary(),
        })
    }

    /// The results of samples, axis 0 of a tensor.
    ///
    /// # Errors
    /// When the samples have another type or shape than the net takes.
    pub fn run(&self, team: &Team, samples: Tensor) -> Result<Tensor, Failure> {
        let wrong = |error: &dyn std::fmt::Display| Failure::data(error.to_string());
        let count = samples.shape().first().copied().unwrap_or(0) as usize;
        let size = samples.bytes().len() / count.max(1);
        let mut given = self.parameters.clone();
        let (mut bytes, mut shape) = (Vec::new(), Vec::new());
        let mut dtype = samples.dtype();
        for begin in (0..count).step_by(BATCH) {
            let end = (begin + BATCH).min(count);
            let mut part = samples.shape().to_vec();
            part[0] = (end - begin) as u64;
            let batch = samples.bytes()[begin * size..end * size].to_vec();
            let batch = Tensor::new(samples.dtype(), part, batch).map_err(|error| wrong(&error))?;
            given.insert("x".to_string(), batch);
            let results = call(team, &self.program, &given).map_err(|error| match error {
                CallError::Run(error) => Failure::run(error),
                error => Failure::data(error),
            })?;
            let result = results
                .get("out")
                .ok_or_else(|| Failure::data("the net has several results"))?;
            dtype = result.dtype();
            shape = result.shape().to_vec();
            bytes.extend_from_slice(result.bytes());
        }
        if let Some(first) = shape.first_mut() {
            *first = count as u64;
        }
        Tensor::new(dtype, shape, bytes).map_err(|error| wrong(&error))
    }
}

/// The column of a table's labels, as its source says it.
fn label(source: &SourceSpec) -> Option<Value> {
    let source = source_invocation(source);
    let named = |argument: &&Argument| argument.name.as_deref() == Some("label");
    let given = source.arguments.iter().find(named);
    let unnamed = || {
        source
            .arguments
            .iter()
            .filter(|each| each.name.is_none())
            .nth(1)
    };
    given
        .or_else(unnamed)
        .map(|argument| argument.value.clone())
}

fn compile(
    frontend: &mut Frontend,
    input: &TensorType,
    stages: &mut Stages,
) -> Result<Executable, Failure> {
    let request = CallRequest {
        arguments: BTreeMap::from([("x".to_string(), input.clone())]),
        training: false,
        gradients: false,
    };
    let callable = frontend.callable(ENTRY, &request, stages)?;
    let parameters = callable
        .parameters
        .iter()
        .map(|each| (each.path.as_str(), &each.ty));
    let states = callable
        .states
        .iter()
        .map(|each| (each.path.as_str(), &each.ty));
    let layout = PersistentLayout::new(parameters.chain(states));
    let graph = optimise(&callable.graph, stages, |_, _| {})?;
    let place = (&frontend.machine, &frontend.source);
    let plan = plan(&graph, BATCH, &layout, place, stages)?;
    let programs = link(&[&plan], &frontend.machine, stages)?;
    let program = programs.into_iter().next();
    program.ok_or_else(|| Failure::internal("one plan gave no program"))
}

/// Averages stand in the place of what they are averages of.
fn use_averages(parameters: &mut Tensors) {
    let averages: Vec<(String, Tensor)> = parameters
        .iter()
        .filter_map(|(path, tensor)| Some((path.strip_prefix("ema.")?.to_string(), tensor.clone())))
        .collect();
    parameters.extend(averages);
}

/// The net that was asked for, or the only one.
fn net_name(train: &TrainProgram, asked: Option<&str>) -> Result<String, Failure> {
    let mut nets: Vec<&str> = Vec::new();
    for parameter in &train.parameters {
        let net = parameter.path.split('.').next().unwrap_or_default();
        if !nets.contains(&net) {
            nets.push(net);
        }
    }
    match (asked, &nets[..]) {
        (Some(asked), _) if nets.contains(&asked) => Ok(asked.to_string()),
        (None, [only]) => Ok((*only).to_string()),
        _ => Err(Failure::command_line(format!(
            "the run's nets are {}; name one with --net",
            nets.join(", ")
        ))),
    }
}

fn input_type(feed: &Feed) -> Result<TensorType, Failure> {
    let input = feed.inputs.iter().find(|input| input.part == 0);
    let input = input.ok_or_else(|| Failure::data("the run's evaluation ignores its data"))?;
    let mut ty = input.ty.clone();
    ty.shape[0] = Dim::BATCH;
    Ok(ty)
}

/// The text of a block that has the run's `let`s, but no optimizers, and applies the net.
fn entry(tree: &File, train: &TrainProgram, net: &str, saved: &Saved) -> Result<String, Failure> {
    let find = tree.items.iter().find_map(|item| match &item.kind {
        ItemKind::Train(own) if own.name.name == train.name => Some(own),
        _ => None,
    });
    let own: &Train = find.ok_or_else(|| Failure::internal("the saved run is not in its file"))?;
    let text = |span: dlm_grammar::Span| &saved.text[span.start as usize..span.end as usize];
    let mut lines = String::new();
    for param in &own.statics {
        let setting = format!("{}.{}", train.name, param.name.name);
        let given = saved.values.iter().rev().find(|(name, _)| *name == setting);
        let value = given.map(|(_, value)| value.as_str());
        let value = value.or_else(|| param.default.as_ref().map(|value| text(value.span)));
        if let (Some(_), Some(value)) = (&param.ty, value) {
            lines.push_str(&format!("  let {} = {value}\n", param.name.name));
        }
    }
    for statement in &own.body.statements {
        let StmtKind::Let { names, .. } = &statement.kind else {
            continue;
        };
        let is_optimizer = |name: &str| train.optimizers.iter().any(|each| each.name == name);
        if !names.iter().any(|name| is_optimizer(&name.name)) {
            lines.push_str(&format!("  {}\n", text(statement.span)));
        }
    }
    Ok(format!(
        "\n\nblock {ENTRY}(x) {{\n{lines}  return {net}(x)\n}}\n"
    ))
}
