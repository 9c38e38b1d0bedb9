//! Plans to executable programs: kernels are compiled, buffers become pointers, ports become slots.

mod commit;
mod slots;

use std::any::Any;
use std::sync::Arc;

use dlm_core::loops::{Kernel, VerifyError, expand_math, verify_emittable};
use dlm_core::plan::{self, BufferId, Call, Layout, Plan, ScalarArgument, Space, TaskGroup, Tasks};
use dlm_runtime::program::{self, Executable, KernelIndex, Program};
use rayon::prelude::*;

use crate::distinct::distinct;
use crate::{Code, JitError, Options, compile};

/// A plan that cannot be made a program.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LinkError {
    /// Its kernels cannot be compiled.
    #[error(transparent)]
    Jit(#[from] JitError),
    /// A kernel breaks a rule of loop IR.
    #[error(transparent)]
    Kernel(VerifyError),
    /// The plan breaks a rule of plans.
    #[error("plan `{plan}`: {faults}")]
    Plan {
        /// The plan's name.
        plan: String,
        /// The faults, one a line.
        faults: String,
    },
    /// A named value has a shape that the runtime does not know, such as `2*B`.
    #[error("`{name}` has the shape {shape}, which cannot be fed or read")]
    Shape {
        /// The value's name.
        name: String,
        /// Its shape.
        shape: String,
    },
    /// The program is not one that the runtime accepts.
    #[error("plan `{plan}`: {error}")]
    Program {
        /// The plan's name.
        plan: String,
        /// The runtime's words.
        error: program::ProgramError,
    },
}

/// Compiles the kernels of all `plans` together, so that equal ones share code, and gives a program for each plan.
///
/// # Errors
/// For plans that their verifier refuses, kernels that do not compile, and ports that the runtime cannot serve.
pub fn link(plans: &[&Plan], options: &Options) -> Result<Vec<Executable>, LinkError> {
    for plan in plans {
        verify(plan)?;
    }
    let copies = commit::kernels();
    let mut kernels: Vec<&Kernel> = copies.iter().collect();
    let mut starts = Vec::with_capacity(plans.len());
    for plan in plans {
        starts.push(kernels.len());
        kernels.extend(plan.kernels.values());
    }
    let (distinct, places) = distinct(&kernels);
    let expanded = distinct.into_par_iter().map(|kernel| {
        let kernel = expand_math(kernel);
        verify_emittable(&kernel).map_err(LinkError::Kernel)?;
        Ok(kernel)
    });
    let expanded = expanded.collect::<Result<Vec<Kernel>, LinkError>>()?;
    let code = compile(&expanded, options)?;
    let link = |(plan, start): (&&Plan, usize)| {
        let linker = Linker {
            plan,
            code: &code,
            places: &places,
            start,
        };
        linker.executable()
    };
    plans.iter().zip(starts).map(link).collect()
}

fn verify(plan: &Plan) -> Result<(), LinkError> {
    plan::verify(plan).map_err(|faults| LinkError::Plan {
        plan: plan.name.clone(),
        faults: faults
            .iter()
            .map(|fault| fault.to_string())
            .collect::<Vec<_>>()
            .join("\n"),
    })
}

struct Linker<'a> {
    plan: &'a Plan,
    code: &'a Arc<Code>,
    /// For each kernel of all plans the number of its equal in the code.
    places: &'a [usize],
    /// The place of the plan's first kernel.
    start: usize,
}

impl Linker<'_> {
    fn executable(&self) -> Result<Executable, LinkError> {
        let program = self.program()?;
        // SAFETY: the code was made from the plan's kernels and lives as long as `keep_alive`; the emitter makes
        // functions that return and touch memory only through their arguments. That they stay within the windows the
        // plan gives them, and that tasks of a phase write apart, is the contract of plans: the verifier has checked
        // this plan, and no kernel holds an address.
        let executable = unsafe { Executable::new(program) };
        executable.map_err(|error| LinkError::Program {
            plan: self.plan.name.clone(),
            error,
        })
    }

    fn program(&self) -> Result<Program, LinkError> {
        let plan = self.plan;
        let ports = slots::ports(plan)?;
        let mut phases: Vec<program::Phase> = plan.phases.iter().map(|p| self.phase(p)).collect();
        phases.extend(commit::phase(plan));
        Ok(Program {
            kernels: self.kernels()?,
            keep_alive: Arc::clone(self.code) as Arc<dyn Any + Send + Sync>,
            phases,
            persistent_bytes: plan.persistent_bytes as u64,
            arena_bytes: plan.arena_bytes as u64,
            scratch_bytes: plan.scratch_bytes as u64,
            min_batch: if plan.exact { plan.batch as u64 } else { 1 },
            max_batch: plan.batch as u64,
            persistent: ports.persistent,
            inputs: ports.inputs,
            outputs: ports.outputs,
            scalars: ports.scalars,
            reports: ports.reports,
            constants: Vec::new(),
        })
    }

    /// The copies of commits first, then the plan's own kernels.
    fn kernels(&self) -> Result<Vec<(String, program::Entry)>, LinkError> {
        let copies = (0..commit::COUNT).map(|number| (number, "commit".to_owned()));
        let own = self.plan.kernels.values().enumerate();
        let own = own.map(|(number, kernel)| (self.start + number, kernel.name.clone()));
        copies
            .chain(own)
            .map(
                |(number, name)| match self.code.entry(self.places[number]) {
                    Some(entry) => Ok((name, entry)),
                    None => Err(LinkError::Jit(JitError::Kernel {
                        kernel: name,
                        message: "it was not compiled".into(),
                    })),
                },
            )
            .collect()
    }

    fn phase(&self, phase: &plan::Phase) -> program::Phase {
        program::Phase {
            serial: phase.serial,
            groups: phase.groups.iter().map(|group| self.group(group)).collect(),
        }
    }

    fn group(&self, group: &TaskGroup) -> program::Group {
        program::Group {
            name: group.name.clone(),
            tasks: tasks(group.tasks),
            prologue: group
                .zeroed
                .iter()
                .map(|&buffer| self.zero(buffer))
                .collect(),
            calls: group
                .calls
                .iter()
                .map(|call| self.call(group.tasks, call))
                .collect(),
            loops: group.repeats.iter().map(repeat).collect(),
        }
    }

    fn zero(&self, buffer: BufferId) -> program::Zero {
        let buffer = &self.plan.buffers[buffer];
        program::Zero {
            space: space(buffer.space),
            offset_bytes: buffer.offset as u64,
            task_stride_bytes: buffer.task_stride as u64,
            bytes: buffer.task_stride as u64,
        }
    }

    fn call(&self, tasks: Tasks, call: &Call) -> program::Call {
        let pointers = call
            .buffers
            .iter()
            .map(|&buffer| self.pointer(tasks, buffer));
        let scalars = call.scalars.iter().map(|&argument| scalar(argument));
        program::Call {
            kernel: KernelIndex(commit::COUNT as u32 + call.kernel.as_u32()),
            args: pointers.chain(scalars).collect(),
        }
    }

    fn pointer(&self, tasks: Tasks, buffer: BufferId) -> program::Arg {
        let buffer = &self.plan.buffers[buffer];
        let own = matches!(tasks, Tasks::Blocks { .. }) && buffer.space != Space::Scratch;
        if buffer.row_of.is_some() {
            return program::Arg::Row {
                space: space(buffer.space),
                offset_bytes: buffer.offset as u64,
                block_stride_bytes: if own { buffer.block_stride as u64 } else { 0 },
                round_stride_bytes: buffer.bytes as u64,
            };
        }
        let (task, block) = match buffer.layout {
            Layout::Partials if own => (buffer.task_stride, 0),
            _ if own => (0, buffer.block_stride),
            _ => (0, 0),
        };
        program::Arg::Pointer {
            space: space(buffer.space),
            offset_bytes: buffer.offset as u64,
            task_stride_bytes: task as u64,
            block_stride_bytes: block as u64,
        }
    }
}

fn tasks(tasks: Tasks) -> program::Tasks {
    match tasks {
        Tasks::Blocks { lanes, most } => program::Tasks::Blocks {
            lanes: lanes as u32,
            max_tasks: most as u32,
        },
        Tasks::Ranges { extent, chunk } => program::Tasks::Ranges {
            extent: extent as u64,
            chunk: chunk as u64,
        },
        Tasks::BatchRanges { chunk } => program::Tasks::BatchRanges {
            chunk: chunk as u64,
        },
        Tasks::Once => program::Tasks::Once,
    }
}

fn repeat(repeat: &plan::Repeat) -> program::Loop {
    program::Loop {
        first: repeat.first as u32,
        calls: repeat.count as u32,
        rounds: repeat.rounds as u64,
        reverse: repeat.reverse,
    }
}

fn scalar(argument: ScalarArgument) -> program::Arg {
    program::Arg::Scalar(match argument {
        ScalarArgument::Batch => program::ScalarArg::Batch,
        ScalarArgument::BlockTasks { lanes, most } => program::ScalarArg::BlockTasks {
            lanes: lanes as u32,
            max_tasks: most as u32,
        },
        ScalarArgument::Block => program::ScalarArg::Block,
        ScalarArgument::Follows => program::ScalarArg::Follows,
        ScalarArgument::ValidLanes => program::ScalarArg::LanesValid,
        ScalarArgument::RangeBegin => program::ScalarArg::RangeBegin,
        ScalarArgument::RangeEnd => program::ScalarArg::RangeEnd,
        ScalarArgument::Round => program::ScalarArg::Round,
    })
}

fn space(space: Space) -> program::Space {
    match space {
        Space::Persistent => program::Space::Persistent,
        Space::Arena => program::Space::Arena,
        Space::Scratch => program::Space::Scratch,
    }
}
