//! A `train`: its settings, its step, its evaluations.

use super::codes;
use super::context::{Elaborator, Frame, FrameKind, Unit};
use super::data::DataValue;
use super::diagnose::{Checked, error};
use super::feeds::Bound;
use super::files::train_at;
use super::instance::StateRecord;
use super::program::{
    EvalProgram, OptimizerInfo, ParameterInfo, RunSettings, SizedGraph, StateInfo, TrainProgram,
};
use super::statement::Flow;
use super::value::Value;
use crate::graph::{Graph, InputKind, OutputKind};
use dlm_grammar::ast::{Body, Expr, File, Ident, Pattern, Stmt, StmtKind, Train};
use dlm_grammar::{Diagnostic, Span, suggest};
use indexmap::IndexMap;
use std::rc::Rc;

/// Which part of a `train` a graph is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Step,
    Eval(usize),
}

/// A part of a run with the units of each size of its batches, where it differs by size; the full size comes first.
#[derive(Default)]
struct SizedPhase {
    result: PhaseResult,
    sizes: Vec<(i64, Unit)>,
}

/// What a phase leaves behind.
#[derive(Default)]
struct PhaseResult {
    unit: Unit,
    feeds: Vec<super::program::Feed>,
    metrics: Vec<super::program::MetricSpec>,
}

impl Elaborator<'_> {
    /// The run of that name, or the file's only or first one.
    pub fn train_program(&mut self, name: Option<&str>) -> Checked<TrainProgram> {
        let (tree, item) = self.find_train(name)?;
        let Some(train) = train_at(&tree, item) else {
            return Err(super::diagnose::Poison);
        };
        self.train_under_way = Some((tree.clone(), item));
        let root = self.add_instance(None, String::new(), train.name.span);
        let settings = self.settings(train);
        let steps = train.body.statements.iter();
        let trains = steps
            .clone()
            .any(|stmt| matches!(stmt.kind, StmtKind::Step { .. }));
        let result = match trains {
            true => self.sized_phase(train, root, Phase::Step),
            false => Ok(SizedPhase::default()),
        };
        let mut evals = Vec::new();
        let count = train
            .body
            .statements
            .iter()
            .filter(|stmt| is_eval(stmt))
            .count();
        self.reads_averages = true;
        for index in 0..count {
            evals.push(self.eval_program(train, root, index));
        }
        self.reads_averages = false;
        let result = result?;
        let evals: Checked<Vec<EvalProgram>> = evals.into_iter().collect();
        let settings = settings?;
        if let Ok(evals) = &evals {
            self.check_plateaus(evals);
        }
        if count == 0 {
            self.check_unwatched(train);
        }
        let batches = result.result.unit.epoch_batches;
        self.warn_of_no_update(&settings, batches);
        if !self.reporter.has_errors() {
            self.check_optimizers();
        }
        if self.reporter.has_errors() {
            return Err(super::diagnose::Poison);
        }
        if trains {
            self.warn_untrained(train);
        }
        Ok(self.assemble(train, result, evals?, settings))
    }

    fn find_train(&mut self, name: Option<&str>) -> Checked<(Rc<File>, usize)> {
        let trains = self.trains();
        let named = |(tree, item): &(Rc<File>, usize)| {
            train_at(tree, *item)
                .map(|train| train.name.name.clone())
                .unwrap_or_default()
        };
        let found = match name {
            Some(name) => trains.iter().find(|train| named(train) == name),
            None => trains.first(),
        };
        if let Some(found) = found {
            return Ok(found.clone());
        }
        let broken = &self.files[0].broken.trains;
        if broken.iter().any(|own| name.is_none_or(|name| name == own)) {
            return Err(super::diagnose::Poison);
        }
        let names: Vec<String> = trains.iter().map(named).collect();
        let span = self.main_span();
        let diagnostic: Diagnostic = match name {
            Some(name) => {
                let near = suggest(name, names.iter().map(String::as_str)).map(str::to_owned);
                error(
                    codes::NO_TRAIN,
                    span,
                    format!("the file has no `train {name}`"),
                )
                .did_you_mean(near.as_deref())
            }
            None => error(codes::NO_TRAIN, span, "the file has no `train`")
                .help("`train NAME[epochs=5] { let net = … step (x, y) in … { … } }`"),
        };
        Err(self.reporter_only(diagnostic))
    }

    /// Records a diagnostic outside of any body.
    pub fn reporter_only(&mut self, diagnostic: Diagnostic) -> super::diagnose::Poison {
        self.reporter.report(diagnostic, &[])
    }

    /// Runs a part of a run, for each size of its batches by itself where it differs by size.
    fn sized_phase(&mut self, train: &Train, root: usize, phase: Phase) -> Checked<SizedPhase> {
        self.differing.clear();
        let result = self.phase(train, root, phase, None);
        let mut sizes = Vec::new();
        let mut first = None;
        for size in std::mem::take(&mut self.differing) {
            let mut result = self.phase(train, root, phase, Some(size))?;
            sizes.push((size, std::mem::take(&mut result.unit)));
            first.get_or_insert(result);
        }
        Ok(SizedPhase {
            result: first.map_or(result, Ok)?,
            sizes,
        })
    }

    /// Runs the `let`s of a run and one of its bodies, in a graph of its own; for batches of one size where that is given.
    fn phase(
        &mut self,
        train: &Train,
        root: usize,
        phase: Phase,
        batch: Option<i64>,
    ) -> Checked<PhaseResult> {
        let name = match phase {
            Phase::Step => "step".to_owned(),
            Phase::Eval(index) => format!("eval_{index}"),
        };
        self.unit = self.new_unit(&name);
        self.unit.batch = batch;
        self.reported.clear();
        let mut frame: Frame = self.frame_of(root, FrameKind::Train, 0, train.name.span);
        frame.random_owner = match phase {
            Phase::Step => String::new(),
            Phase::Eval(_) => name,
        };
        let (bound, _) = self.within(frame, |this| {
            this.bind_run_statics(train)?;
            this.run_train_body(&train.body, phase)
        });
        if self.unit.differs {
            self.differing = self.unit.batches.clone();
        }
        let bound = bound?;
        self.guard_indices();
        self.watch_losses();
        let unit = std::mem::take(&mut self.unit);
        let feeds = self.finish_feeds(bound, &unit);
        Ok(PhaseResult {
            unit,
            feeds,
            metrics: std::mem::take(&mut self.reported),
        })
    }

    fn run_train_body(&mut self, body: &Body, phase: Phase) -> Checked<Bound> {
        let mut bound = Ok(Bound::default());
        let mut evals = 0;
        let mut failed = Ok(());
        for stmt in &body.statements {
            match &stmt.kind {
                StmtKind::Step {
                    pattern,
                    source,
                    body,
                } => {
                    if phase == Phase::Step {
                        bound = self.batch_body(FrameKind::Step, pattern, source, body);
                    }
                }
                StmtKind::Eval {
                    pattern,
                    source,
                    body,
                    ..
                } => {
                    if phase == Phase::Eval(evals) {
                        bound = self.batch_body(FrameKind::Eval, pattern, source, body);
                    }
                    evals += 1;
                }
                _ => {
                    if let Flow::Failed(poison) = self.run_statement(stmt) {
                        failed = Err(poison);
                    }
                }
            }
        }
        failed?;
        bound
    }

    fn batch_body(
        &mut self,
        kind: FrameKind,
        pattern: &Pattern,
        source: &Expr,
        body: &Body,
    ) -> Checked<Bound> {
        let data = self.batches(source).map(|data| match kind {
            FrameKind::Eval => data.unaugmented(),
            _ => data,
        });
        let mark = self.frame().scopes.mark();
        let frame = self.frame_mut();
        let outer = (frame.kind, frame.instance);
        (frame.kind, frame.instance) = (kind, None);
        frame.training = kind == FrameKind::Step;
        self.unit.epoch_batches = data.as_ref().ok().and_then(|data| data.batches());
        self.unit.batches = data
            .as_ref()
            .map_or_else(|_| Vec::new(), |data| data.batch_sizes());
        let bound = match &data {
            Ok(data) => self.bind_batch(pattern, data, source.span),
            Err(poison) => Err(*poison),
        };
        if bound.is_err() {
            self.bind_poison(pattern);
        }
        data.iter()
            .for_each(|data| self.holds_a_batch(data, source.span));
        let flow = self.run_body(body);
        data.iter().for_each(|data| self.hold_batches(data));
        let frame = self.frame_mut();
        (frame.kind, frame.instance) = outer;
        frame.training = false;
        frame.scopes.release(mark);
        match flow {
            Flow::Failed(poison) => Err(poison),
            _ => bound,
        }
    }

    fn batches(&mut self, source: &Expr) -> Checked<Rc<DataValue>> {
        match self.value(source)? {
            Value::Data(data) => Ok(data),
            other => Err(self.not_data(&other, source.span)),
        }
    }

    fn eval_program(&mut self, train: &Train, root: usize, index: usize) -> Checked<EvalProgram> {
        let SizedPhase { result, sizes } = self.sized_phase(train, root, Phase::Eval(index))?;
        let stmt = train
            .body
            .statements
            .iter()
            .filter(|stmt| is_eval(stmt))
            .nth(index);
        let split: Option<&Ident> = match stmt.map(|stmt| &stmt.kind) {
            Some(StmtKind::Eval { split, .. }) => split.as_ref(),
            _ => None,
        };
        let sized: Vec<SizedGraph> = sizes.into_iter().map(sized_graph).collect();
        Ok(EvalProgram {
            split: split.map_or_else(|| "eval".to_owned(), |split| split.name.clone()),
            graph: full_graph(result.unit, &sized),
            sized,
            feeds: result.feeds,
            metrics: result.metrics,
        })
    }

    /// Every metric that a schedule follows must be a number that an evaluation reports.
    fn check_plateaus(&mut self, evals: &[EvalProgram]) {
        let mut known: Vec<String> = Vec::new();
        for eval in evals {
            let numbers = eval.metrics.iter().filter(|metric| metric.ty.rank() == 0);
            for metric in numbers {
                known.push(metric.name.clone());
                known.push(format!("{}.{}", eval.split, metric.name));
            }
        }
        for plateau in self.plateaus.clone() {
            if known.contains(&plateau.metric) {
                continue;
            }
            let near = suggest(&plateau.metric, known.iter().map(String::as_str));
            let message = format!("no `eval` reports `{}`", plateau.metric);
            let diagnostic = error(codes::REPORT, plateau.span, message).did_you_mean(near);
            self.reporter_only(diagnostic);
        }
    }

    fn warn_untrained(&mut self, train: &Train) {
        let mut statements = train.body.statements.iter();
        let step = statements.find(|stmt| matches!(stmt.kind, StmtKind::Step { .. }));
        let step = step.map_or(train.name.span, |stmt| stmt.span);
        let mut untrained: IndexMap<Span, Vec<String>> = IndexMap::new();
        for (path, record) in self.parameters.iter().filter(|(_, record)| !record.settled) {
            untrained
                .entry(record.made_by)
                .or_default()
                .push(path.clone());
        }
        for (made_by, paths) in untrained {
            let first = paths.first().map_or("", String::as_str);
            let message = match paths.len() {
                1 => format!("no loss reaches `{first}`: it keeps its initial value"),
                count => format!(
                    "no loss reaches `{first}` and {} more: they keep their initial values",
                    count - 1
                ),
            };
            let mut diagnostic =
                Diagnostic::warning(codes::UNTRAINED, made_by, message).label(step, "in this step");
            if let Some((name, made)) = self.made_in_train(first)
                && made != made_by
            {
                diagnostic = diagnostic.label(made, format!("`{name}` is made here"));
            }
            if self
                .parameters
                .get(first)
                .is_some_and(|record| record.optimizer.is_some())
            {
                diagnostic =
                    diagnostic.help("`freeze=[…]` in its optimizer says that this is meant");
            }
            self.reporter_only(diagnostic);
        }
    }

    /// The instance of the run that a path begins with, and where it is made.
    fn made_in_train(&self, path: &str) -> Option<(String, Span)> {
        let name = path.split('.').next()?;
        let found = self
            .instances
            .iter()
            .find(|instance| instance.path == name)?;
        Some((name.to_owned(), found.span))
    }

    fn assemble(
        &mut self,
        train: &Train,
        SizedPhase { result, mut sizes }: SizedPhase,
        evals: Vec<EvalProgram>,
        settings: RunSettings,
    ) -> TrainProgram {
        let mut unit = result.unit;
        output_versions(&mut unit);
        sizes.iter_mut().for_each(|(_, unit)| output_versions(unit));
        let sized: Vec<SizedGraph> = sizes.into_iter().map(sized_graph).collect();
        let optimizers = self
            .optimizers
            .iter()
            .enumerate()
            .map(|(index, record)| OptimizerInfo {
                name: record.name.clone(),
                rule: record.rule.definition.name().to_owned(),
                parameters: self
                    .parameters
                    .iter()
                    .filter(|(_, parameter)| parameter.optimizer == Some(index))
                    .map(|(path, _)| path.clone())
                    .collect(),
            });
        TrainProgram {
            name: train.name.name.clone(),
            step: full_graph(unit, &sized),
            sized,
            feeds: result.feeds,
            metrics: result.metrics,
            evals,
            optimizers: optimizers.collect(),
            maps: std::mem::take(&mut self.maps),
            plateaus: std::mem::take(&mut self.plateaus),
            checks: std::mem::take(&mut self.checks),
            parameters: self.parameter_infos(),
            states: self.state_infos(),
            init: std::mem::take(&mut self.init).emitter.graph,
            datasets: std::mem::take(&mut self.datasets),
            settings,
        }
    }

    /// Every parameter, in the order of first use.
    pub fn parameter_infos(&self) -> Vec<ParameterInfo> {
        let info = |(path, record): (&String, &super::instance::ParameterRecord)| ParameterInfo {
            path: path.clone(),
            ty: record.ty.clone(),
            optimizer: record
                .optimizer
                .map(|index| self.optimizers[index].name.clone()),
            span: record.span,
        };
        self.parameters.iter().map(info).collect()
    }

    /// Every state, in the order of first use.
    pub fn state_infos(&self) -> Vec<StateInfo> {
        let info = |(path, record): (&String, &StateRecord)| StateInfo {
            path: path.clone(),
            ty: record.ty.clone(),
            owner: record.owner,
            span: record.span,
        };
        self.states.iter().map(info).collect()
    }
}

/// Makes an output of each parameter and state that changed.
pub(super) fn output_versions(unit: &mut Unit) {
    for (path, kind) in &unit.changed {
        let kind = match kind {
            InputKind::Parameter => OutputKind::Parameter,
            _ => OutputKind::State,
        };
        if let Some(&node) = unit.versions.get(path) {
            unit.emitter.graph.output(kind, path.clone(), node);
        }
    }
}

fn sized_graph((batch, unit): (i64, Unit)) -> SizedGraph {
    SizedGraph {
        batch,
        graph: unit.emitter.graph,
    }
}

/// The graph for full batches.
fn full_graph(unit: Unit, sized: &[SizedGraph]) -> Graph {
    sized
        .first()
        .map_or(unit.emitter.graph, |full| full.graph.clone())
}

fn is_eval(stmt: &Stmt) -> bool {
    matches!(stmt.kind, StmtKind::Eval { .. })
}
