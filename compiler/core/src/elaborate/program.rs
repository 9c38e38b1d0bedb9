//! What elaboration makes of a checked program: graphs, and the plain data that a run needs beside them.
//!
//! Conventions that all readers of these types share:
//!
//! - Parameters and states are named by their dotted paths (`net.conv2d_1.weight`). An optimizer's states are
//!   `OPTIMIZER.PARAMETER.STATE` (`opt.net.conv2d_1.weight.m`), its count of updates is `OPTIMIZER.t` (f32), and
//!   averaged parameters are `ema.PARAMETER`.
//! - A graph has an input of kind `Parameter` or `State` for each path it reads, and an output of that kind for each
//!   path it changes; what has no output keeps its value.
//! - Scalar inputs, present where used: f32 `iter`, `epoch`, `steps`, `epochs`; i32 `seed` and `counter` (the count of
//!   the step, which random values depend on).
//! - Outputs of kind `Report` are named as their metric.

use crate::graph::{Dim, Graph, TensorType};
use dlm_grammar::Span;

/// One function or block, ready to be called alone.
#[derive(Clone, Debug)]
pub struct Callable {
    /// Its name in the file.
    pub name: String,
    /// Inputs: `Data` by argument name, `Parameter` and `State` by path. Outputs: `Result` `out`, or `out.0`, `out.1` …
    /// where there are several; `State` by path. With gradients also the input `cotangent` (of the first result's type)
    /// and `Result` outputs `grad.NAME` and `grad.PATH`: of `sum(cotangent * first result)`, for each float argument
    /// and each parameter.
    pub graph: Graph,
    /// Initial values: outputs of kind `Parameter` and `State` by path, from the scalar `seed`.
    pub init: Graph,
    /// The tensor arguments that were given, in the order of the signature.
    pub arguments: Vec<ArgumentInfo>,
    /// Every parameter, in the order of first use.
    pub parameters: Vec<ParameterInfo>,
    /// Every state, in the order of first use.
    pub states: Vec<StateInfo>,
    /// The types of the results.
    pub results: Vec<TensorType>,
    /// What the graph's outputs of kind `Check` tell of.
    pub checks: Vec<IndexCheck>,
}

/// A tensor argument.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgumentInfo {
    /// Its name in the signature.
    pub name: String,
    /// Its type.
    pub ty: TensorType,
    /// Integer data that is used as an index: the values it may have, which do not depend on the batch.
    pub bound: Option<IndexBound>,
}

/// The values that an integer input may have, because it selects a class or a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexBound {
    /// Every value is at least 0 and less than this.
    pub below: Dim,
    /// A value that is allowed beside those (a loss's `ignore`).
    pub except: Option<i64>,
    /// Where the program sets the bound.
    pub span: Span,
}

/// Indices that a graph computes, which its output of that name tells of.
///
/// The output has kind `Check` and type `i32[2]`: the first sample of the batch with an index out of range, or
/// [`NO_SAMPLE`](super::guard::NO_SAMPLE), and that index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexCheck {
    /// The output's name.
    pub name: String,
    /// The values that the indices may have.
    pub bound: IndexBound,
}

/// A learned parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterInfo {
    /// Its dotted path.
    pub path: String,
    /// Its type; no dimension depends on the batch.
    pub ty: TensorType,
    /// The optimizer that owns it, by name; none where no optimizer does.
    pub optimizer: Option<String>,
    /// Where `param` stands.
    pub span: Span,
}

/// A state of a layer or an optimizer.
#[derive(Clone, Debug, PartialEq)]
pub struct StateInfo {
    /// Its dotted path.
    pub path: String,
    /// Its type; no dimension depends on the batch.
    pub ty: TensorType,
    /// Whose state it is.
    pub owner: StateOwner,
    /// Where `state` stands.
    pub span: Span,
}

/// Whose state a state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateOwner {
    /// A layer's: part of the model, and saved with it.
    Block,
    /// An optimizer's: needed to go on with the run, not to use the model.
    Optimizer,
    /// An average of a parameter over the run, which `eval` reads in its place and which is saved with the model.
    Average,
}

/// A training run.
#[derive(Clone, Debug)]
pub struct TrainProgram {
    /// Its name in the file.
    pub name: String,
    /// One training step: a pure function. Without outputs where the run only evaluates.
    pub step: Graph,
    /// Where the step differs by the size of a batch: itself for each size that its batches have, for that size alone.
    /// `step` is then that of full batches.
    pub sized: Vec<SizedGraph>,
    /// What feeds the step's `Data` inputs; the first sets the epoch, others cycle.
    pub feeds: Vec<Feed>,
    /// What the step reports, in order.
    pub metrics: Vec<MetricSpec>,
    /// The evaluations, in the order of the program.
    pub evals: Vec<EvalProgram>,
    /// Initial values: outputs of kind `Parameter` and `State` by path, from the scalar `seed` and paths alone.
    pub init: Graph,
    /// Every parameter, in the order of first use.
    pub parameters: Vec<ParameterInfo>,
    /// Every state, in the order of first use.
    pub states: Vec<StateInfo>,
    /// The data sets that the feeds refer to.
    pub datasets: Vec<DataSpec>,
    /// The run's settings.
    pub settings: RunSettings,
    /// The optimizers, in the order of the program.
    pub optimizers: Vec<OptimizerInfo>,
    /// The functions of samples that stages `map` name by number: from `in.0`, `in.1` … to as many `out.0` …
    pub maps: Vec<Graph>,
    /// The scalars of the step that follow an evaluation's metric.
    pub plateaus: Vec<PlateauSpec>,
    /// What outputs of kind `Check` tell of, in the step, the evaluations and their metrics.
    pub checks: Vec<IndexCheck>,
}

impl TrainProgram {
    /// Whether the run has a `step`, and does not only evaluate.
    pub fn trains(&self) -> bool {
        !self.step.outputs.is_empty()
    }
}

/// A graph that is right for batches of one size alone.
#[derive(Clone, Debug)]
pub struct SizedGraph {
    /// The size.
    pub batch: i64,
    /// The graph.
    pub graph: Graph,
}

/// One `eval`.
#[derive(Clone, Debug)]
pub struct EvalProgram {
    /// The `split` column of its reports: `eval` unless named.
    pub split: String,
    /// The values of one batch. Changes nothing.
    pub graph: Graph,
    /// As the step's: the graph for each size of a batch, where it differs by size.
    pub sized: Vec<SizedGraph>,
    /// What feeds the graph's `Data` inputs.
    pub feeds: Vec<Feed>,
    /// What is reported, in order.
    pub metrics: Vec<MetricSpec>,
}

/// One reported value.
#[derive(Clone, Debug)]
pub struct MetricSpec {
    /// Its name; the elements of a tensor are reported as `name[0,1]`.
    pub name: String,
    /// The value's type.
    pub ty: TensorType,
    /// How the values of batches become one.
    pub kind: MetricKind,
}

/// How the values of an evaluation's batches become one. (In a step each is that step's.)
#[derive(Clone, Debug)]
pub enum MetricKind {
    /// The mean, weighted by samples: the rule for floats.
    Mean,
    /// The sum: the rule for integers, which are counts.
    Sum,
    /// Of the whole set: the `Report` outputs of these names are joined along axis 0 over all batches, and are the
    /// `Data` inputs of the same names of a graph whose single `Report` output is the value. `B` is the number of
    /// samples of the whole set.
    Joined {
        /// The outputs of the evaluation's graph that are joined.
        arguments: Vec<String>,
        /// What is computed of them.
        graph: Box<Graph>,
    },
    /// No number but a picture: images `f32[N, C, H, W]` with one channel or three, values 0 to 1, of the evaluation's
    /// first batch.
    Picture,
}

/// An optimizer and what it updates.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerInfo {
    /// Its `let` name.
    pub name: String,
    /// The rule's name (`adam`).
    pub rule: String,
    /// The paths of its parameters.
    pub parameters: Vec<String>,
}

/// Where the batches of a `step` or `eval` come from.
#[derive(Clone, Debug)]
pub struct Feed {
    /// An index into [`TrainProgram::datasets`].
    pub dataset: usize,
    /// The data set's split: `train`, `test` or what the source names.
    pub split: String,
    /// The stages after the split, in order, without `batch`.
    pub stages: Vec<StageSpec>,
    /// Samples in a batch.
    pub batch: i64,
    /// Whether a smaller last batch is left out.
    pub drop_last: bool,
    /// The graph's inputs that it fills; parts of a sample that the program ignores are absent.
    pub inputs: Vec<FeedInput>,
    /// Where the program names it.
    pub span: Span,
}

/// One input of a graph, filled from one part of each sample.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedInput {
    /// Which part of a sample: 0 is the value, 1 the label, as the source orders them.
    pub part: usize,
    /// The name of the graph's `Data` input.
    pub name: String,
    /// Its type; axis 0 is the batch.
    pub ty: TensorType,
    /// Integer data that is used as an index: the values it may have, which do not depend on the batch. The loader checks them and names the bad one.
    pub bound: Option<IndexBound>,
}

/// A data set: a source and what is done to each of its samples, before splits are taken.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSpec {
    /// Its name in the file.
    pub name: String,
    /// Where samples come from.
    pub source: SourceSpec,
    /// What is done to them, in order.
    pub stages: Vec<StageSpec>,
    /// Where the program defines it.
    pub span: Span,
}

/// A data source with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceSpec {
    /// `digits`, `mnist`, `csv` …
    pub name: String,
    /// What stands in the brackets.
    pub arguments: Vec<StaticArgument>,
    /// Where the program names it.
    pub span: Span,
    /// What its paths are relative to.
    pub base: PathBase,
}

/// What the paths of a source are relative to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathBase {
    /// The folder of the file that names it: this one, seen from the main file's, with `/` at its end unless empty.
    Folder(String),
    /// The working directory, because the command line names it.
    CommandLine,
    /// What was the working directory of the run that is used again, whose command line named it.
    EarlierCommandLine,
}

/// A stage of a data pipeline with its arguments. Missing optional arguments are absent.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSpec {
    /// `normalize`, `shuffle`, `take` …
    pub name: String,
    /// What stands in the brackets.
    pub arguments: Vec<StaticArgument>,
    /// Where the program names it.
    pub span: Span,
}

/// One value in square brackets, by position or by name.
#[derive(Clone, Debug, PartialEq)]
pub struct StaticArgument {
    /// The name, where it is given by name.
    pub name: Option<String>,
    /// The value.
    pub value: StaticValue,
}

/// A compile-time value as plain data.
#[derive(Clone, Debug, PartialEq)]
pub enum StaticValue {
    /// `none`
    None,
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Text.
    Text(String),
    /// A list or a tuple.
    List(Vec<StaticValue>),
}

/// A factor that a run multiplies by another when a metric no longer gets better.
#[derive(Clone, Debug, PartialEq)]
pub struct PlateauSpec {
    /// The step's scalar input, f32.
    pub name: String,
    /// The metric of an evaluation: its name, or its split's and its own (`valid.loss`).
    pub metric: String,
    /// What the factor is multiplied by.
    pub factor: f64,
    /// After more evaluations than these without a better one.
    pub patience: i64,
    /// By which part of the best value a better one must differ from it.
    pub threshold: f64,
    /// Whether the larger is better; where absent, the metric's name tells.
    pub larger: Option<bool>,
    /// Where the program asks for it.
    pub span: Span,
}

impl PlateauSpec {
    /// Whether two follow the same metric by the same rule.
    pub fn same_as(&self, other: &PlateauSpec) -> bool {
        let rule = |own: &PlateauSpec| (own.factor, own.patience, own.threshold, own.larger);
        self.metric == other.metric && rule(self) == rule(other)
    }
}

/// What the products of a run are computed in; all else is f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// `precision="f32"`
    #[default]
    F32,
    /// `precision="bf16"`: operands and results rounded to bf16, sums in f32.
    Bf16,
}

/// A run's settings: the statics of a `train`.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSettings {
    /// How often the data is gone through; where absent it follows from `steps`. One of the two is always given.
    pub epochs: Option<i64>,
    /// How many times the step is executed; where both are given, this ends the run.
    pub steps: Option<i64>,
    /// The seed of everything random; default 0.
    pub seed: i64,
    /// How many of the best checkpoints are kept.
    pub keep: Option<i64>,
    /// After how many evaluations without improvement the run ends.
    pub patience: Option<i64>,
    /// What products are computed in.
    pub precision: Precision,
    /// The memory that a run's step may take, in bytes.
    pub memory: Option<i64>,
    /// Report every so many steps; from `log_every` in the statics, default 1.
    pub log_every: i64,
}

impl StaticArgument {
    /// The argument of that name, or else at that position among those without a name.
    pub fn find<'a>(
        arguments: &'a [StaticArgument],
        position: usize,
        name: &str,
    ) -> Option<&'a StaticValue> {
        arguments
            .iter()
            .find(|argument| argument.name.as_deref() == Some(name))
            .or_else(|| {
                arguments
                    .iter()
                    .filter(|argument| argument.name.is_none())
                    .nth(position)
            })
            .map(|argument| &argument.value)
    }
}

impl StaticValue {
    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            StaticValue::Int(value) => Some(*value as f64),
            StaticValue::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            StaticValue::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            StaticValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            StaticValue::Bool(value) => Some(*value),
            _ => None,
        }
    }
}
