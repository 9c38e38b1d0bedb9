//! From an elaborated run to the session's plan: programs, data, settings.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dlm_core::elaborate::TrainProgram;
use dlm_core::elaborate::program::{
    EvalProgram, Feed, FeedInput, MetricKind, PlateauSpec, SourceSpec, StageSpec, StateOwner,
};
use dlm_core::graph::Graph;
use dlm_core::schedule::PersistentLayout;
use dlm_runtime::checkpoint::{self, Tensors};
use dlm_runtime::data::{Dataset, IndexBound, apply_stages, load};
use dlm_runtime::program::{Dimension, Executable, Layout, Slot, Space};
use dlm_runtime::session::{self, EvaluationPlan, JoinedMetric, PlateauPlan, Session, Settings};

use crate::failure::Failure;
use crate::pipeline::catalog::{Catalog, data_type, source_invocation};
use crate::pipeline::frontend::{Frontend, Part, persistent_layout};
use crate::pipeline::lower::{link, optimise, plan as schedule, plan_alone};
use crate::pipeline::mapping::Mappings;
use crate::pipeline::source::Source;
use crate::stages::Stages;

/// Everything that a session needs.
///
/// # Errors
/// Where the program can't be compiled or its data not be read.
pub fn plan(
    train: &TrainProgram,
    frontend: &Frontend,
    log_every: Option<u64>,
    directory: PathBuf,
    stages: &mut Stages,
) -> Result<session::Plan, Failure> {
    let mappings = Mappings::compile(&train.maps, frontend, stages)?;
    let source = &frontend.source;
    let data = Data {
        train,
        mappings,
        source,
    };
    let catalog = &frontend.catalog;
    let layout = persistent_layout(train);
    let (datasets, programs) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| timed(|| data.sets(catalog)));
        let programs = programs(train, frontend, &layout, stages);
        (reader.join(), programs)
    });
    let (datasets, time) = datasets.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    stages.add("data, meanwhile", time);
    let (datasets, mut programs) = (datasets?, programs?);
    let init = programs.remove(0);
    let mut programs = programs.into_iter();
    let steps: Vec<Executable> = programs
        .by_ref()
        .take(usize::from(train.trains()))
        .collect();
    let feeds = data.feeds(&train.feeds, &datasets)?;
    let sizes = Sizes {
        train,
        frontend,
        layout: &layout,
    };
    let steps = sizes.all("step", steps, &feeds, stages)?;
    let mut evaluations = Vec::with_capacity(train.evals.len());
    for eval in &train.evals {
        let program = programs
            .next()
            .ok_or_else(|| Failure::internal("an evaluation has no program"))?;
        let feeds = data.feeds(&eval.feeds, &datasets)?;
        let programs = sizes.all(&eval.split, vec![program], &feeds, stages)?;
        let joined = joined(eval, &feeds, frontend, stages)?;
        evaluations.push(EvaluationPlan {
            split: eval.split.clone(),
            programs,
            feeds,
            joined,
            pictures: pictures(eval),
        });
    }
    Ok(session::Plan {
        steps,
        choice: None,
        feeds,
        evaluations,
        init: Some(init),
        initial: Tensors::default(),
        persistent: slots(&layout),
        model: model_paths(train),
        settings: settings(train, log_every),
        directory: Some(directory),
        resume: false,
        save_every: None,
        keep: train.settings.keep.unwrap_or(0).max(0).unsigned_abs(),
        patience: train
            .settings
            .patience
            .map(|count| count.max(1).unsigned_abs()),
        plateaus: train.plateaus.iter().map(plateau).collect(),
    })
}

fn plateau(spec: &PlateauSpec) -> PlateauPlan {
    PlateauPlan {
        name: spec.name.clone(),
        metric: spec.metric.clone(),
        factor: spec.factor,
        patience: spec.patience.max(0).unsigned_abs(),
        threshold: spec.threshold,
        larger: spec.larger,
    }
}

/// Init, step and evaluations, compiled together so that equal kernels are one.
fn programs(
    train: &TrainProgram,
    frontend: &Frontend,
    layout: &PersistentLayout,
    stages: &mut Stages,
) -> Result<Vec<Executable>, Failure> {
    let mut parts = Vec::new();
    let names: &[&str] = if train.trains() {
        &["init", "step"]
    } else {
        &["init"]
    };
    for name in names {
        let part = Part::find(train, name)?;
        parts.push(first(&part)?);
    }
    for eval in &train.evals {
        let part = Part::find(train, &eval.split)?;
        parts.push(first(&part)?);
    }
    compiled(&parts, frontend, layout, stages)
}

/// The part for its full batches, which are the first of those that it is for one by one.
fn first<'a>(part: &Part<'a>) -> Result<Sized<'a>, Failure> {
    let full = part.sized.first().map(|own| own.batch as usize);
    part.for_size(full.unwrap_or(part.batch))
}

/// A graph, the size of a batch, and whether it is for that size alone.
type Sized<'a> = (&'a Graph, usize, bool);

/// A program of each graph for batches of up to so many samples, or of exactly so many.
fn compiled(
    parts: &[Sized],
    frontend: &Frontend,
    layout: &PersistentLayout,
    stages: &mut Stages,
) -> Result<Vec<Executable>, Failure> {
    let mut plans = Vec::with_capacity(parts.len());
    let place = (&frontend.machine, &frontend.source);
    for &(graph, batch, alone) in parts {
        let graph = optimise(graph, stages, |_, _| {})?;
        let plan = if alone { plan_alone } else { schedule };
        plans.push(plan(&graph, batch, layout, place, stages)?);
    }
    link(&plans.iter().collect::<Vec<_>>(), &frontend.machine, stages)
}

/// What compiles a part of a run again, for other sizes of a batch.
struct Sizes<'a> {
    train: &'a TrainProgram,
    frontend: &'a Frontend,
    layout: &'a PersistentLayout,
}

impl Sizes<'_> {
    /// The part's programs and, where they are for one size of a batch alone, those for the other sizes that the data
    /// have: what is left of an epoch, and all of a set that is smaller than a batch.
    fn all(
        &self,
        name: &str,
        mut programs: Vec<Executable>,
        feeds: &[session::Feed],
        stages: &mut Stages,
    ) -> Result<Vec<Executable>, Failure> {
        let sizes = feeds.first().map_or_else(Vec::new, session::Feed::sizes);
        let is_missing = |size: &u64| {
            !programs.is_empty() && !programs.iter().any(|program| program.takes_batch(*size))
        };
        let missing: Vec<usize> = sizes
            .into_iter()
            .filter(is_missing)
            .map(|size| size as usize)
            .collect();
        if !missing.is_empty() {
            let part = Part::find(self.train, name)?;
            let parts = missing.iter().map(|&size| part.for_size(size));
            let parts = parts.collect::<Result<Vec<Sized>, Failure>>()?;
            programs.extend(compiled(&parts, self.frontend, self.layout, stages)?);
        }
        Ok(programs)
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = Instant::now();
    let result = work();
    (result, begin.elapsed())
}

/// A run's data, with the functions that its stages `map` run.
struct Data<'a> {
    train: &'a TrainProgram,
    mappings: Mappings,
    source: &'a Source,
}

impl Data<'_> {
    fn sets(&self, catalog: &Catalog) -> Result<Vec<Dataset>, Failure> {
        // Data sets of one source share its values.
        let sources = self.train.datasets.iter().map(|spec| &spec.source);
        let mut loaded: Vec<(&SourceSpec, Dataset)> = Vec::new();
        let mut sets = Vec::with_capacity(self.train.datasets.len());
        for spec in &self.train.datasets {
            let known = loaded.iter().find(|(source, _)| **source == spec.source);
            let mut dataset = match known {
                Some((_, dataset)) => dataset.clone(),
                None => {
                    let dataset = self.load(&spec.source, catalog)?;
                    let same = sources.clone().filter(|source| **source == spec.source);
                    if same.count() > 1 {
                        loaded.push((&spec.source, dataset.clone()));
                    }
                    dataset
                }
            };
            self.apply(&mut dataset, &spec.stages)?;
            sets.push(dataset);
        }
        Ok(sets)
    }

    fn load(&self, source: &SourceSpec, catalog: &Catalog) -> Result<Dataset, Failure> {
        let loaded = load(&source_invocation(source), &catalog.base(source));
        loaded.map_err(|error| self.source.bad_data(error, source.span))
    }

    /// Applies stages, each of whose mistakes is shown where it stands.
    fn apply(&self, dataset: &mut Dataset, specs: &[StageSpec]) -> Result<(), Failure> {
        let stages = self.mappings.invocations(specs);
        for (stage, spec) in stages.iter().zip(specs) {
            apply_stages(dataset, std::slice::from_ref(stage))
                .map_err(|error| self.source.bad_data(error, spec.span))?;
        }
        Ok(())
    }

    /// Feeds take one split each, with the stages that follow it.
    fn feeds(&self, feeds: &[Feed], datasets: &[Dataset]) -> Result<Vec<session::Feed>, Failure> {
        feeds.iter().map(|feed| self.feed(feed, datasets)).collect()
    }

    fn feed(&self, feed: &Feed, datasets: &[Dataset]) -> Result<session::Feed, Failure> {
        let mut dataset = datasets[feed.dataset].clone();
        dataset.splits.retain(|name, _| *name == feed.split);
        self.apply(&mut dataset, &feed.stages)?;
        let Some(split) = dataset.splits.get(&feed.split) else {
            let name = &self.train.datasets[feed.dataset].name;
            return Err(Failure::data(format!(
                "`{name}` has no split `{}`",
                feed.split
            )));
        };
        Ok(session::Feed {
            split: split.clone(),
            batch: feed.batch.max(1) as u64,
            drop_last: feed.drop_last,
            inputs: feed.inputs.iter().map(feed_input).collect(),
        })
    }
}

fn feed_input(input: &FeedInput) -> session::FeedInput {
    session::FeedInput {
        part: input.part,
        name: input.name.clone(),
        bound: input.bound.map(|bound| IndexBound {
            below: bound.below.fixed,
            except: bound.except,
        }),
    }
}

/// The metrics of the whole set, each compiled for as many samples as the set has.
fn joined(
    eval: &EvalProgram,
    feeds: &[session::Feed],
    frontend: &Frontend,
    stages: &mut Stages,
) -> Result<Vec<JoinedMetric>, Failure> {
    let samples = feeds.first().map_or(1, |feed| {
        let count = u64::from(feed.split.count());
        match feed.drop_last {
            true => count / feed.batch * feed.batch,
            false => count,
        }
    });
    let samples = usize::try_from(samples).unwrap_or(1).max(1);
    let nothing = PersistentLayout::new(std::iter::empty());
    let mut metrics = Vec::new();
    for metric in &eval.metrics {
        let MetricKind::Joined { graph, .. } = &metric.kind else {
            continue;
        };
        let graph = optimise(graph, stages, |_, _| {})?;
        let place = (&frontend.machine, &frontend.source);
        let plan = schedule(&graph, samples, &nothing, place, stages)?;
        let program = link(&[&plan], &frontend.machine, stages)?
            .pop()
            .ok_or_else(|| Failure::internal("one plan gave no program"))?;
        metrics.push(JoinedMetric {
            name: metric.name.clone(),
            program,
        });
    }
    Ok(metrics)
}

/// The names of what is written as pictures.
fn pictures(eval: &EvalProgram) -> Vec<String> {
    let metrics = eval.metrics.iter();
    let pictures = metrics.filter(|metric| matches!(metric.kind, MetricKind::Picture));
    pictures.map(|metric| metric.name.clone()).collect()
}

/// Where every parameter and state lies, also those that no program reads.
fn slots(layout: &PersistentLayout) -> Vec<Slot> {
    let slot = |(name, offset, ty): (&str, usize, &dlm_core::graph::TensorType)| Slot {
        name: name.into(),
        dtype: data_type(ty.dtype),
        shape: ty
            .shape
            .iter()
            .map(|dim| Dimension::Fixed(dim.at(1).max(0) as u64))
            .collect(),
        layout: Layout::Plain,
        space: Space::Persistent,
        offset_bytes: offset as u64,
    };
    layout.iter().map(slot).collect()
}

fn model_paths(train: &TrainProgram) -> Vec<String> {
    let parameters = train.parameters.iter().map(|each| each.path.clone());
    let states = train
        .states
        .iter()
        .filter(|state| state.owner != StateOwner::Optimizer);
    parameters
        .chain(states.map(|state| state.path.clone()))
        .collect()
}

fn settings(train: &TrainProgram, log_every: Option<u64>) -> Settings {
    let count = |value: Option<i64>| value.map(|value| value.max(0) as u64);
    Settings {
        epochs: count(train.settings.epochs),
        steps: count(train.settings.steps),
        seed: train.settings.seed as u64,
        log_every: log_every.unwrap_or(train.settings.log_every.max(1) as u64),
    }
}

/// The parameters and layers' states of `FILE` or `FILE,GLOB`: each that matches must be there, must be the run's, and must
/// have its shape.
///
/// # Errors
/// For a file that can't be read, and for missing, unknown or misshapen values.
pub fn initial(text: &str, train: &TrainProgram) -> Result<Tensors, Failure> {
    let (path, glob) = text.split_once(',').unwrap_or((text, "*"));
    let read = checkpoint::read(Path::new(path))
        .map_err(|error| crate::commands::call::read_failure(&error))?;
    let given: Tensors = read
        .into_iter()
        .filter(|(name, _)| matches_glob(glob, name))
        .collect();
    let known = |name: &str| {
        let parameter = train
            .parameters
            .iter()
            .find(|each| each.path == name)
            .map(|each| &each.ty);
        parameter.or_else(|| {
            train
                .states
                .iter()
                .find(|each| each.path == name)
                .map(|each| &each.ty)
        })
    };
    for (name, tensor) in &given {
        let Some(ty) = known(name) else {
            return Err(Failure::data(format!(
                "`{path}` has `{name}`, which the run has not"
            )));
        };
        let wanted: Vec<u64> = ty.shape.iter().map(|dim| dim.at(1) as u64).collect();
        if tensor.shape() != wanted {
            let found = tensor.shape();
            return Err(Failure::data(format!(
                "`{path}`: `{name}` has shape {found:?}, the run wants {wanted:?}"
            )));
        }
    }
    let parameters = train.parameters.iter().map(|each| &each.path);
    let states = train.states.iter();
    let layers = states.filter(|each| each.owner == StateOwner::Block);
    let own = parameters.chain(layers.map(|each| &each.path));
    let mut wanted = own.filter(|path| matches_glob(glob, path)).peekable();
    if wanted.peek().is_none() && given.is_empty() {
        return Err(Failure::command_line(format!(
            "--init: no path of the run matches `{glob}`"
        )));
    }
    match wanted.find(|path| !given.contains_key(*path)) {
        Some(missing) => Err(Failure::data(format!("`{path}` lacks `{missing}`"))),
        None => Ok(with_averages(given, train)),
    }
}

/// An average begins at its parameter's value, unless it is given too.
fn with_averages(mut given: Tensors, train: &TrainProgram) -> Tensors {
    let averages = train.states.iter();
    for state in averages.filter(|state| state.owner == StateOwner::Average) {
        let parameter = state.path.strip_prefix("ema.").unwrap_or(&state.path);
        if let (Some(value), false) = (given.get(parameter), given.contains_key(&state.path)) {
            given.insert(state.path.clone(), value.clone());
        }
    }
    given
}

/// `*` stands for any characters, dots too.
fn matches_glob(glob: &str, name: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else {
        return glob == name;
    };
    let Some(mut tail) = name.strip_prefix(head) else {
        return false;
    };
    loop {
        if matches_glob(rest, tail) {
            return true;
        }
        let mut characters = tail.chars();
        if characters.next().is_none() {
            return false;
        }
        tail = characters.as_str();
    }
}

/// The steps of the whole run.
pub fn total_steps(_train: &TrainProgram, session: &Session<'_>) -> u64 {
    session.clock().steps
}

#[cfg(test)]
mod tests {
    use super::matches_glob;

    #[test]
    fn stars_match_across_dots() {
        assert!(matches_glob("*", "net.conv.weight"));
        assert!(matches_glob("net.*.weight", "net.a.b.weight"));
        assert!(matches_glob("net.enc*", "net.encoder.bias"));
        assert!(!matches_glob("net.*.bias", "net.a.weight"));
        assert!(!matches_glob("", "net"));
    }
}
