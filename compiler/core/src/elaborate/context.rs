//! The state of an elaboration: files, bodies under way, graphs under construction, and what was found so far.

use super::batch_axis::LeastBatch;
use super::codes;
use super::data::DataValue;
use super::diagnose::{Checked, Poison, Reporter};
use super::emit::Emitter;
use super::files::{DefinitionHandle, SourceFile};
use super::instance::{Instance, ParameterRecord, StateRecord};
use super::library::Library;
use super::optimizer::OptimizerRecord;
use super::program::{DataSpec, IndexBound, IndexCheck, MetricSpec, PlateauSpec};
use super::recurrence::Trace;
use super::scope::{BindingKind, Scopes};
use super::value::{Tensor, Value};
use super::watched::Loss;
use super::world::{DataCatalog, SourceLoader};
use crate::graph::{DType, Dim, Graph, InputKind, NodeId, TensorType};
use dlm_grammar::ast::{Expr, File};
use dlm_grammar::{Diagnostic, SourceMap, Span};
use indexmap::IndexMap;
use std::rc::Rc;

/// How deep calls may nest. Deeper ones are recursions.
const DEEPEST_CALL: usize = 100;

/// The most dimension variables that a message says the sizes of.
const MOST_SIZES: usize = 4;

/// What the command line changes of a program.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `--set NAME=VALUE`, each as a name (`width`, `lenet.epochs`) and an expression of the language.
    pub values: Vec<(String, String)>,
    /// `--data NAME=SOURCE`, each as a name and an expression of the language.
    pub data: Vec<(String, String)>,
    /// How many of the first `data` an earlier run was given, whose program this is.
    pub earlier: usize,
}

/// One elaboration.
pub(super) struct Elaborator<'w> {
    pub sources: &'w mut SourceMap,
    pub loader: &'w dyn SourceLoader,
    pub catalog: &'w dyn DataCatalog,
    pub settings: &'w Settings,
    pub reporter: Reporter,
    pub files: Vec<SourceFile>,
    /// The expressions of the command line, by what names them.
    pub outside: IndexMap<String, Checked<Rc<Expr>>>,
    /// Files by path, so that each is read once.
    pub imported: IndexMap<String, usize>,
    /// The folder of the main file as its name has it, with `/` at its end unless empty; what imported files are named after.
    pub shown_folder: String,
    /// The imported files whose own imports are being read, outermost first.
    pub loading: Vec<String>,
    pub library: Library,
    /// The bodies under way, outermost first.
    pub frames: Vec<Frame>,
    /// The graph under construction.
    pub unit: Unit,
    /// The graph of initial values.
    pub init: Unit,
    /// The number of the graph of initial values.
    pub init_number: u32,
    /// How often naming a block has made an instance, or led to the one that was made there before.
    pub mentioned_blocks: u64,
    /// How many statements have been run.
    pub statements: u64,
    /// The number of the next graph.
    pub next_graph: u32,
    pub instances: Vec<Instance>,
    pub parameters: IndexMap<String, ParameterRecord>,
    pub states: IndexMap<String, StateRecord>,
    pub optimizers: Vec<OptimizerRecord>,
    /// The first call of each of the main file's definitions, by the name's place.
    pub calls: IndexMap<Span, super::sizing::KnownCall>,
    /// The names' places of the definitions whose bodies have run.
    pub reached: std::collections::BTreeSet<Span>,
    /// The values reported in the body under way.
    pub reported: Vec<MetricSpec>,
    /// How many mistakes of the texts' form were found, which leave other items to be read.
    pub unreadable: usize,
    /// The sizes of batches that the body under way is to be elaborated for one by one.
    pub differing: Vec<i64>,
    /// The data sets that were described, by file and name.
    pub described: IndexMap<(usize, String), Checked<Rc<DataValue>>>,
    pub datasets: Vec<DataSpec>,
    /// The constants (file, name) being computed, to find those that are made of themselves.
    pub computing: Vec<(usize, String)>,
    /// Random places by their number, so that no two share one.
    pub places: IndexMap<u32, String>,
    /// The run under way, for the count of its blocks.
    pub train_under_way: Option<(Rc<File>, usize)>,
    /// Whether parameters have averages that evaluations read.
    pub reads_averages: bool,
    /// The loops whose bodies are being elaborated once for all rounds, outermost first.
    pub traces: Vec<Trace>,
    /// How many arguments of loops there have been.
    pub next_argument: usize,
    /// The functions of samples that stages `map` run.
    pub maps: Vec<Graph>,
    /// The factors that the run keeps.
    pub plateaus: Vec<PlateauSpec>,
    /// What the outputs of kind `Check` tell of.
    pub checks: Vec<IndexCheck>,
}

/// A graph under construction with what belongs to it.
#[derive(Debug, Default)]
pub(super) struct Unit {
    /// Its nodes.
    pub emitter: Emitter,
    /// Its number; tensors carry it.
    pub number: u32,
    /// The newest version of each parameter and state that was read or changed.
    pub versions: IndexMap<String, NodeId>,
    /// Earlier versions of parameters that were changed, oldest first.
    pub history: IndexMap<String, Vec<NodeId>>,
    /// The paths that were changed, in order.
    pub changed: Vec<(String, InputKind)>,
    /// How many random values each owner has drawn.
    pub draws: IndexMap<String, u32>,
    /// Integer nodes that are used as indices, with the values they may have.
    pub bounds: Vec<(NodeId, IndexBound)>,
    /// The smallest batch that its indices allow, where that is more than one sample.
    pub least_batch: Option<LeastBatch>,
    /// The sizes that its batches have, the full one first; none where nothing tells.
    pub batches: Vec<i64>,
    /// The one size that it is for, where it differs by size.
    pub batch: Option<i64>,
    /// Whether a slice of the batch is not the same for all sizes.
    pub differs: bool,
    /// How many batches an epoch has, where that is known before the data is read.
    pub epoch_batches: Option<i64>,
    /// The losses that it minimizes.
    pub losses: Vec<Loss>,
}

/// What a body is, which decides what may happen in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// A file's constants and data.
    File,
    /// A `fn`.
    Function,
    /// A `fn … -> schedule`, which sees `iter`, `epoch`, `steps`, `epochs`.
    Schedule,
    /// A `fn … -> init`, which sees `shape`, `fan_in`, `fan_out`.
    Init,
    /// A `block`.
    Block,
    /// An `optimizer`.
    Optimizer,
    /// A `train` outside of its `step` and `eval`s.
    Train,
    /// A `step`.
    Step,
    /// An `eval`.
    Eval,
}

/// One body under way.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// The file that its names are looked up in.
    pub file: usize,
    /// The definition whose body it is; a definition does not see itself.
    pub definition: Option<DefinitionHandle>,
    /// The name of the constant or data being computed, which does not see itself either.
    pub hidden: Option<String>,
    /// What it is.
    pub kind: FrameKind,
    /// Its names.
    pub scopes: Scopes,
    /// The instance whose blocks and parameters its own are parts of; none where no instances can be made.
    pub instance: Option<usize>,
    /// The path that random values are counted under.
    pub random_owner: String,
    /// The rounds of the `for`s under way, outermost first.
    pub rounds: Vec<i64>,
    /// Whether this is training.
    pub training: bool,
    /// The call that led here; the body's own place where there is none.
    pub call: Span,
    /// For an init: the shape to fill.
    pub shape: Option<Vec<i64>>,
    /// Where each static that the caller gives stands.
    pub given: Vec<(String, Span)>,
}

impl Frame {
    /// A body of that kind in a file.
    pub fn new(kind: FrameKind, file: usize, call: Span) -> Frame {
        Frame {
            file,
            definition: None,
            hidden: None,
            kind,
            scopes: Scopes::default(),
            instance: None,
            random_owner: String::new(),
            rounds: Vec::new(),
            training: false,
            call,
            shape: None,
            given: Vec::new(),
        }
    }

    /// What its dimension variables and whole statics are, for messages: "`h` is 28, `w` is 28 ".
    fn sizes(&self) -> Option<String> {
        let bindings = self.scopes.bindings().iter();
        let sizes = bindings.filter_map(|binding| match (&binding.kind, &binding.value) {
            (BindingKind::Dimension | BindingKind::Static, Ok(value)) => {
                let size = value.as_dim()?.to_string();
                (size != binding.name).then(|| format!("`{}` is {size}", binding.name))
            }
            _ => None,
        });
        let sizes: Vec<String> = sizes.take(MOST_SIZES).collect();
        (!sizes.is_empty()).then(|| sizes.join(", "))
    }
}

impl<'w> Elaborator<'w> {
    /// Nothing elaborated yet.
    pub fn new(
        sources: &'w mut SourceMap,
        loader: &'w dyn SourceLoader,
        catalog: &'w dyn DataCatalog,
        settings: &'w Settings,
    ) -> Elaborator<'w> {
        let mut elaborator = Elaborator {
            sources,
            loader,
            catalog,
            settings,
            reporter: Reporter::default(),
            files: Vec::new(),
            imported: IndexMap::new(),
            shown_folder: String::new(),
            loading: Vec::new(),
            library: Library::new(),
            frames: Vec::new(),
            unit: Unit::default(),
            init: Unit::default(),
            init_number: 0,
            mentioned_blocks: 0,
            statements: 0,
            next_graph: 0,
            outside: IndexMap::new(),
            instances: Vec::new(),
            parameters: IndexMap::new(),
            states: IndexMap::new(),
            optimizers: Vec::new(),
            calls: IndexMap::new(),
            reached: std::collections::BTreeSet::new(),
            reported: Vec::new(),
            unreadable: 0,
            differing: Vec::new(),
            described: IndexMap::new(),
            datasets: Vec::new(),
            computing: Vec::new(),
            places: IndexMap::new(),
            train_under_way: None,
            reads_averages: false,
            traces: Vec::new(),
            next_argument: 0,
            maps: Vec::new(),
            plateaus: Vec::new(),
            checks: Vec::new(),
        };
        elaborator.init = elaborator.new_unit("init");
        elaborator.init_number = elaborator.init.number;
        elaborator
    }

    /// A new graph with a number of its own.
    pub fn new_unit(&mut self, name: &str) -> Unit {
        self.next_graph += 1;
        Unit {
            emitter: Emitter::new(name),
            number: self.next_graph,
            ..Unit::default()
        }
    }

    /// Records a diagnostic at the user's place.
    pub fn report(&mut self, diagnostic: Diagnostic) -> Poison {
        let diagnostic = self.with_callers(diagnostic);
        let calls: Vec<Span> = self.frames.iter().map(|frame| frame.call).collect();
        self.reporter.report(diagnostic, &calls)
    }

    /// A mistake of sizes with the calls that sizes came through, each with what its dimension variables are.
    fn with_callers(&self, mut diagnostic: Diagnostic) -> Diagnostic {
        if !codes::OF_SIZES.contains(&diagnostic.code) {
            return diagnostic;
        }
        if let Some(size) = self.unit.batch {
            diagnostic = diagnostic.note(format!("where a batch has {size} samples"));
        }
        for frame in self.frames.iter().rev() {
            let Some(definition) = &frame.definition else {
                continue;
            };
            let name = &definition.get().name;
            let inside = [name.span.file, frame.call.file];
            let shown = diagnostic.labels.iter().map(|label| label.span);
            let touches = |span: Span| {
                span.file == frame.call.file
                    && span.start < frame.call.end
                    && frame.call.start < span.end
            };
            if inside.iter().any(|&file| self.reporter.is_library(file))
                || frame.call == name.span
                || shown.into_iter().any(touches)
            {
                continue;
            }
            let Some(sizes) = frame.sizes() else {
                continue;
            };
            let message = format!("{sizes} in this call of `{}`", name.name);
            diagnostic = diagnostic.label(frame.call, message);
        }
        diagnostic
    }

    /// The innermost body.
    pub fn frame(&self) -> &Frame {
        // Every evaluation happens between `enter` and its end, which keep the stack nonempty.
        self.frames.last().expect("a body is under way")
    }

    /// The innermost body, to be changed.
    pub fn frame_mut(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("a body is under way")
    }

    /// Does something with a body under way; gives the body back with the result.
    pub fn within<T>(&mut self, frame: Frame, action: impl FnOnce(&mut Self) -> T) -> (T, Frame) {
        self.frames.push(frame);
        let result = action(self);
        // `action` pushes and pops in pairs.
        let frame = self.frames.pop().expect("the body that was pushed");
        (result, frame)
    }

    /// Whether another call would nest too deeply.
    pub fn too_deep(&self) -> bool {
        self.frames.len() >= DEEPEST_CALL
    }

    /// The nodes of the graph under construction.
    pub fn emit(&mut self) -> &mut Emitter {
        &mut self.unit.emitter
    }

    /// Sets the place that new nodes come from: that of the innermost call outside the library.
    pub fn at(&mut self, span: Span) {
        let calls = self.frames.iter().rev().map(|frame| frame.call);
        let place = std::iter::once(span)
            .chain(calls)
            .find(|place| !self.reporter.is_library(place.file))
            .unwrap_or(span);
        self.unit.emitter.span = place;
    }

    /// A node of the graph under construction as a value.
    pub fn tensor(&self, node: NodeId) -> Value {
        Value::Tensor(Tensor {
            node,
            graph: self.unit.number,
        })
    }

    /// A scalar that the run passes to each step.
    pub fn run_scalar(&mut self, name: &str, dtype: DType) -> NodeId {
        self.emit()
            .input(InputKind::Scalar, name, TensorType::scalar(dtype))
    }

    /// A node's type in the graph under construction.
    pub fn type_of(&self, node: NodeId) -> &TensorType {
        self.unit.emitter.ty(node)
    }

    /// A number for a random place, from its name alone (FNV-1a); the next free one if another name has it.
    pub fn place(&mut self, name: &str) -> u32 {
        let mut number = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        loop {
            match self.places.get(&number) {
                None => {
                    self.places.insert(number, name.to_owned());
                    return number;
                }
                Some(known) if known == name => return number,
                Some(_) => number = number.wrapping_add(1),
            }
        }
    }

    /// The number of the next random value of the body's owner, in this graph.
    pub fn next_place(&mut self) -> u32 {
        let owner = self.frame().random_owner.clone();
        let count = self.unit.draws.entry(owner.clone()).or_insert(0);
        *count += 1;
        let name = format!("{owner}#{count}");
        self.place(&name)
    }
}

/// A shape without batch-dependent dimensions.
pub(super) fn known_shape(shape: &[Dim]) -> Option<Vec<i64>> {
    shape.iter().map(|dim| dim.known()).collect()
}
