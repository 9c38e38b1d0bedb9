//! `dlmc call`: one function or block on given tensors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use dlm_core::elaborate::program::{ArgumentInfo, IndexCheck};
use dlm_core::elaborate::{CallRequest, Callable};
use dlm_core::graph::{Dim, Graph, TensorType};
use dlm_core::schedule::PersistentLayout;
use dlm_runtime::call::{CallError, load, store};
use dlm_runtime::checkpoint::{self, CheckpointError, Tensors};
use dlm_runtime::indices;
use dlm_runtime::memory::{Buffer, Memory, Scratch, arena_of};
use dlm_runtime::program::{Dimension, Executable, Layout, Slot, Space};
use dlm_runtime::team::Team;
use dlm_runtime::tensor::Tensor;

use crate::arguments::Shared;
use crate::failure::Failure;
use crate::pipeline::catalog::{data_type, element_type};
use crate::pipeline::frontend::Frontend;
use crate::pipeline::lower::{link, optimise, plan};
use crate::pipeline::machine::Machine;
use crate::pipeline::overrides::Overrides;
use crate::pipeline::source::Source;
use crate::stages::Stages;

const EXAMPLES: &str = "\
Examples:
  dlmc call net.dlm LeNet --in given.safetensors --out results.safetensors
  dlmc call loss.dlm focal --in given.safetensors --out results.safetensors --grad

Keys of the input: in.NAME for each argument, param.PATH and state.PATH for parameters and states,
cotangent for --grad. Keys of the output: out (out.0, out.1 … where there are several results),
state_out.PATH for states that changed, and with --grad grad.NAME and grad.PATH: the gradients of
sum(cotangent * out). Other keys of the input are ignored.";

/// Run one function or block on given tensors.
///
/// It is compiled for the types of the tensors. Random values are those of seed 0, step 0; so are the initial values
/// that parameters and states have where none is given.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CallArguments {
    /// The program
    file: PathBuf,
    /// The function or block
    name: String,
    /// The tensors that go in
    #[arg(long = "in", value_name = "T.safetensors")]
    input: PathBuf,
    /// Where the results go
    #[arg(long = "out", value_name = "R.safetensors")]
    output: PathBuf,
    /// Also give the gradients of each float argument and each parameter
    #[arg(long)]
    grad: bool,
    /// As in `eval`: `training` is false, and no state changes
    #[arg(long)]
    eval: bool,
    #[command(flatten)]
    overrides: Overrides,
}

/// Compiles the entry for the given types, runs it once, and writes the results.
pub fn run(arguments: &CallArguments, shared: &Shared) -> Result<(), Failure> {
    let mut stages = Stages::new(shared.verbose);
    let mut given = checkpoint::read(&arguments.input).map_err(|error| read_failure(&error))?;
    let mut frontend = Frontend::load(&arguments.file, &arguments.overrides, shared)?;
    let request = CallRequest {
        arguments: argument_types(&given),
        training: !arguments.eval,
        gradients: arguments.grad,
    };
    let callable = frontend.callable(&arguments.name, &request, &mut stages)?;
    check_indices(&callable.arguments, &given)?;
    let layout = layout(&callable);
    let graph = optimise(&callable.graph, &mut stages, |_, _| {})?;
    let plan = plan(
        &graph,
        1,
        &layout,
        (&frontend.machine, &frontend.source),
        &mut stages,
    )?;
    let executable = link(&[&plan], &frontend.machine, &mut stages)?
        .pop()
        .ok_or_else(|| Failure::internal("one plan gave no program"))?;
    let team = shared.team().map_err(Failure::run)?;
    if !given.keys().any(|key| is_stored(key)) {
        let place = (&frontend.machine, &frontend.source);
        given.extend(initial(&callable, &layout, &team, place, &mut stages)?);
    }
    let results = stages.time("run", || {
        let call = Call {
            executable: &executable,
            layout: &layout,
            checks: &callable.checks,
            source: &frontend.source,
        };
        call.run(&team, &given)
    })?;
    stages.show();
    let results = in_shape(results, &graph)?;
    let kept = results
        .iter()
        .filter(|(key, _)| !key.starts_with("state_out.") || !arguments.eval);
    let written = checkpoint::write(
        &arguments.output,
        kept.map(|(key, tensor)| (key.as_str(), tensor)),
    );
    written.map_err(Failure::run)
}

/// Results in their logical shapes: what is stored may be a reshape of them.
fn in_shape(results: Tensors, graph: &Graph) -> Result<Tensors, Failure> {
    let shaped = |(name, tensor): (String, Tensor)| {
        let output = graph.outputs.iter().find(|output| output.name == name);
        let Some(output) = output else {
            return Ok((name, tensor));
        };
        let shape = graph.shape(output.node).iter();
        let Some(shape) = shape
            .map(|dim| dim.known().map(|n| n as u64))
            .collect::<Option<Vec<u64>>>()
        else {
            return Ok((name, tensor));
        };
        let bytes = tensor.bytes().to_vec();
        let shaped = Tensor::new(tensor.dtype(), shape, bytes).map_err(Failure::internal)?;
        Ok((name, shaped))
    };
    results.into_iter().map(shaped).collect()
}

/// Whether a key is a parameter's or a state's.
fn is_stored(key: &str) -> bool {
    key.starts_with("param.") || key.starts_with("state.")
}

/// The initial values of parameters and states, by the keys that they could have been given under.
fn initial(
    callable: &Callable,
    layout: &PersistentLayout,
    team: &Team,
    place: (&Machine, &Source),
    stages: &mut Stages,
) -> Result<Tensors, Failure> {
    if callable.init.outputs.is_empty() {
        return Ok(Tensors::new());
    }
    let graph = optimise(&callable.init, stages, |_, _| {})?;
    let plan = plan(&graph, 1, layout, place, stages)?;
    let executable = link(&[&plan], place.0, stages)?
        .pop()
        .ok_or_else(|| Failure::internal("one plan gave no program"))?;
    let mut persistent = Buffer::zeroed(executable.persistent_bytes).map_err(Failure::run)?;
    let mut arena = arena_of(&executable).map_err(Failure::run)?;
    let memory = Memory {
        persistent: &mut persistent,
        arena: &mut arena,
        scratch: &mut Scratch::default(),
    };
    team.execute(&executable, memory, 1, |_| ())
        .map_err(Failure::run)?;
    let is_state = |path: &str| callable.states.iter().any(|state| state.path == path);
    let keyed = |(path, offset, ty): (&str, usize, &TensorType)| {
        let kind = if is_state(path) { "state" } else { "param" };
        let slot = persistent_slot(path, offset, ty);
        (format!("{kind}.{path}"), load(&slot, 1, &persistent))
    };
    Ok(layout.iter().map(keyed).collect())
}

/// The types of the tensors under `in.NAME`, and of the cotangent.
fn argument_types(given: &Tensors) -> BTreeMap<String, TensorType> {
    let ty = |tensor: &Tensor| {
        let shape: Vec<Dim> = tensor
            .shape()
            .iter()
            .map(|&size| Dim::fixed(size as i64))
            .collect();
        // Indices in files are often 64-bit; the language's integers are 32-bit.
        let dtype = match element_type(tensor.dtype()) {
            dlm_core::graph::DType::I64 => dlm_core::graph::DType::I32,
            other => other,
        };
        TensorType::new(dtype, shape)
    };
    let argument = |(key, tensor): (&String, &Tensor)| {
        Some((key.strip_prefix("in.")?.to_string(), ty(tensor)))
    };
    given.iter().filter_map(argument).collect()
}

/// Integers that select a class or a row must be in range: no kernel checks them.
fn check_indices(arguments: &[ArgumentInfo], given: &Tensors) -> Result<(), Failure> {
    for argument in arguments {
        let (Some(bound), Some(tensor)) =
            (argument.bound, given.get(&format!("in.{}", argument.name)))
        else {
            continue;
        };
        let values = tensor.to_i32().unwrap_or_default();
        let is_good =
            |value: i64| (0..bound.below.fixed).contains(&value) || bound.except == Some(value);
        if let Some(bad) = values.iter().position(|&value| !is_good(i64::from(value))) {
            return Err(Failure::data(format!(
                "`in.{}` has {} at {bad}, which is not in 0..{}",
                argument.name, values[bad], bound.below.fixed
            )));
        }
    }
    Ok(())
}

/// Where its parameters and states lie.
fn layout(callable: &Callable) -> PersistentLayout {
    let parameters = callable
        .parameters
        .iter()
        .map(|each| (each.path.as_str(), &each.ty));
    let states = callable
        .states
        .iter()
        .map(|each| (each.path.as_str(), &each.ty));
    PersistentLayout::new(parameters.chain(states))
}

/// A compiled entry and where its parameters lie.
struct Call<'a> {
    executable: &'a Executable,
    layout: &'a PersistentLayout,
    checks: &'a [IndexCheck],
    source: &'a Source,
}

impl Call<'_> {
    /// Runs it once; results by their keys.
    fn run(&self, team: &Team, given: &Tensors) -> Result<Tensors, Failure> {
        let program = self.executable;
        let batch = program.max_batch;
        let memory = |error| Failure::run(error);
        let mut persistent = Buffer::zeroed(program.persistent_bytes).map_err(memory)?;
        let mut arena = arena_of(program).map_err(memory)?;
        for slot in &program.persistent {
            let keys = [
                format!("param.{}", slot.name),
                format!("state.{}", slot.name),
            ];
            put(slot, batch, given, &keys, &mut persistent)?;
        }
        for slot in &program.inputs {
            let keys = match slot.name.as_str() {
                "cotangent" => ["cotangent".to_string(), "in.cotangent".to_string()],
                name => [format!("in.{name}"), name.to_string()],
            };
            put(slot, batch, given, &keys, &mut arena)?;
        }
        let memory = Memory {
            persistent: &mut persistent,
            arena: &mut arena,
            scratch: &mut Scratch::default(),
        };
        team.execute(program, memory, batch, |_| ())
            .map_err(Failure::run)?;
        indices::check(program, &arena)
            .map_err(|bad| self.source.bad_index(&bad, self.checks, ""))?;
        let mut results = Tensors::new();
        for slot in &program.outputs {
            let buffer = match slot.space {
                Space::Persistent => &persistent,
                _ => &arena,
            };
            results.insert(slot.name.clone(), load(slot, batch, buffer));
        }
        for slot in self.states(given) {
            results.insert(
                format!("state_out.{}", slot.name),
                load(&slot, batch, &persistent),
            );
        }
        Ok(results)
    }

    /// The states that were given, as they lie in memory.
    fn states(&self, given: &Tensors) -> Vec<Slot> {
        let states = self
            .layout
            .iter()
            .filter(|(path, ..)| given.contains_key(&format!("state.{path}")));
        states
            .map(|(path, offset, ty)| persistent_slot(path, offset, ty))
            .collect()
    }
}

/// The place of a parameter or state in persistent memory, as the runtime describes it.
pub fn persistent_slot(path: &str, offset: usize, ty: &TensorType) -> Slot {
    Slot {
        name: path.to_string(),
        dtype: data_type(ty.dtype),
        shape: ty
            .shape
            .iter()
            .map(|dim| Dimension::Fixed(dim.at(1) as u64))
            .collect(),
        layout: Layout::Plain,
        space: Space::Persistent,
        offset_bytes: offset as u64,
    }
}

/// Stores the tensor that stands under the first of these keys that there is.
fn put(
    slot: &Slot,
    batch: u64,
    given: &Tensors,
    keys: &[String; 2],
    buffer: &mut Buffer,
) -> Result<(), Failure> {
    let Some(tensor) = keys.iter().find_map(|key| given.get(key)) else {
        return Err(Failure::data(format!(
            "the input has no tensor `{}` and no `{}`",
            keys[0], keys[1]
        )));
    };
    store(slot, batch, tensor, buffer).map_err(|error| match error {
        CallError::Run(error) => Failure::run(error),
        error => Failure::data(error),
    })
}

/// A file on the command line that cannot be opened is the command line's error; a damaged one is wrong data.
pub fn read_failure(error: &CheckpointError) -> Failure {
    match error {
        CheckpointError::Read { path, reason } => Failure::unreadable(Path::new(path), reason),
        _ => Failure::data(error),
    }
}
