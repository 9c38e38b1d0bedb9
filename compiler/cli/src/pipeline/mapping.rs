//! The functions that stages `map` run, as machine code.

use std::sync::Arc;

use dlm_core::elaborate::program::{StageSpec, StaticValue};
use dlm_core::graph::Graph;
use dlm_core::schedule::PersistentLayout;
use dlm_runtime::call::call;
use dlm_runtime::checkpoint::Tensors;
use dlm_runtime::data::{Invocation, SampleFunction};
use dlm_runtime::program::Executable;
use dlm_runtime::team::Team;
use dlm_runtime::tensor::Tensor;

use super::catalog::stage_invocation;
use super::frontend::Frontend;
use super::lower::{link, optimise, plan};
use crate::failure::Failure;
use crate::stages::Stages;

/// The functions of a program's stages, by number.
pub struct Mappings(Vec<SampleFunction>);

impl Mappings {
    /// Compiles each for one sample.
    ///
    /// # Errors
    /// Where one cannot be compiled.
    pub fn compile(
        maps: &[Graph],
        frontend: &Frontend,
        stages: &mut Stages,
    ) -> Result<Mappings, Failure> {
        let compile = |graph: &Graph| {
            let nothing = PersistentLayout::new(std::iter::empty());
            let graph = optimise(graph, stages, |_, _| {})?;
            let place = (&frontend.machine, &frontend.source);
            let plan = plan(&graph, 1, &nothing, place, stages)?;
            let program = link(&[&plan], &frontend.machine, stages)?.pop();
            function(program.ok_or_else(|| Failure::internal("one plan gave no program"))?)
        };
        Ok(Mappings(
            maps.iter().map(compile).collect::<Result<_, _>>()?,
        ))
    }

    /// Stages as the runtime takes them.
    pub fn invocations(&self, stages: &[StageSpec]) -> Vec<Invocation> {
        stages.iter().map(|stage| self.invocation(stage)).collect()
    }

    /// A stage as the runtime takes it.
    pub fn invocation(&self, stage: &StageSpec) -> Invocation {
        let number = stage.arguments.first().map(|argument| &argument.value);
        let number = match (stage.name.as_str(), number) {
            ("map", Some(StaticValue::Int(number))) => usize::try_from(*number).ok(),
            _ => None,
        };
        let function = number.and_then(|number| self.0.get(number).cloned());
        Invocation {
            function,
            ..stage_invocation(stage)
        }
    }
}

fn function(program: Executable) -> Result<SampleFunction, Failure> {
    // One sample is too small to share.
    let team = Team::new(1).map_err(Failure::run)?;
    let parts = program.outputs.len();
    let run = move |sample: &[Tensor]| {
        let named = |(index, part): (usize, &Tensor)| (format!("in.{index}"), part.clone());
        let given: Tensors = sample.iter().enumerate().map(named).collect();
        let mut results = call(&team, &program, &given).map_err(|error| error.to_string())?;
        let part = |index: usize| results.shift_remove(&format!("out.{index}"));
        let found: Option<Vec<Tensor>> = (0..parts).map(part).collect();
        found.ok_or_else(|| "a result is missing".to_string())
    };
    Ok(SampleFunction {
        parts,
        call: Arc::new(run),
    })
}
