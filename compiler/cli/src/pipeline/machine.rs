//! The instruction set that code is made for: the machine's best, or the one that the command line asks for.

use clap::ValueEnum;
use std::path::Path;

use dlm_core::elaborate::TrainProgram;
use dlm_core::schedule::{Budget, Choices, Target};
use dlm_jit::{Backend, Options};

use crate::failure::Failure;

/// Instruction sets, by the vectors they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TargetFeatures {
    /// 128-bit vectors, by Cranelift: every machine
    Vector128,
    /// 256-bit vectors: x86-64 with AVX2 and FMA
    Avx2,
    /// 512-bit vectors: x86-64 with AVX-512 F, VL, DQ and BW
    Avx512,
    /// The same with products of pairs of bf16 numbers: x86-64 with AVX512-BF16 too
    #[value(name = "avx512bf16")]
    Avx512Bf16,
    /// The code of `avx2`, run by a processor in software: slow, to test the compiler
    Avx2Interpreted,
    /// The code of `avx512`, run by a processor in software: slow, to test the compiler; needs AVX2
    Avx512Interpreted,
    /// The code of `avx512bf16`, run by a processor in software: slow, to test the compiler; needs AVX2
    #[value(name = "avx512bf16-interpreted")]
    Avx512Bf16Interpreted,
}

/// What code is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    backend: Backend,
    choices: Choices,
    /// Whether the tiles were found by `tune`: where one is not possible any more, the schedule's own stands in.
    is_tuned: bool,
    budget: Option<Budget>,
}

impl Machine {
    /// The instruction set that was asked for, or the best one.
    ///
    /// # Errors
    /// Where this processor lacks it.
    pub fn new(asked: Option<TargetFeatures>) -> Result<Machine, Failure> {
        let backend = match asked {
            None => Backend::host(),
            Some(TargetFeatures::Vector128) => Backend::Cranelift,
            Some(TargetFeatures::Avx2) => Backend::Avx2,
            Some(TargetFeatures::Avx512) => Backend::Avx512,
            Some(TargetFeatures::Avx512Bf16) => Backend::Avx512Bf16,
            Some(TargetFeatures::Avx2Interpreted) => Backend::Avx2Interpreted,
            Some(TargetFeatures::Avx512Interpreted) => Backend::Avx512Interpreted,
            Some(TargetFeatures::Avx512Bf16Interpreted) => Backend::Avx512Bf16Interpreted,
        };
        if backend.is_available() {
            return Ok(Machine {
                backend,
                choices: Choices::default(),
                is_tuned: false,
                budget: None,
            });
        }
        let available = Backend::available().into_iter();
        let own = available.filter(|backend| !backend.is_interpreted());
        let own: Vec<&str> = own.map(name).collect();
        Err(Failure::command_line(format!(
            "this processor lacks {}; it has {}",
            name(backend),
            own.join(", ")
        )))
    }

    /// The schedule's constants for it.
    pub fn target(&self) -> Target {
        let target = match self.backend {
            Backend::Cranelift => Target::vector128(),
            Backend::Avx2 | Backend::Avx2Interpreted => Target::avx2(),
            Backend::Avx512 | Backend::Avx512Interpreted => Target::avx512(),
            Backend::Avx512Bf16 | Backend::Avx512Bf16Interpreted => Target::avx512bf16(),
        };
        Target {
            choices: self.choices.clone(),
            budget: self.budget,
            ..target
        }
    }

    /// The same with the tiles of a plan's text.
    ///
    /// # Errors
    /// Where the file cannot be read, or is no plan.
    pub fn with_plan(self, file: Option<&Path>) -> Result<Machine, Failure> {
        let Some(file) = file else {
            return Ok(self);
        };
        let text =
            std::fs::read_to_string(file).map_err(|error| Failure::unreadable(file, &error))?;
        let choices = Choices::parse(&text);
        let choices = choices
            .map_err(|error| Failure::command_line(format!("`{}`, {error}", file.display())))?;
        Ok(self.with(choices))
    }

    /// The same, whose steps keep to the memory that a run may take with so many threads.
    pub fn with_memory_of(self, train: &TrainProgram, workers: usize) -> Machine {
        let bytes = train
            .settings
            .memory
            .and_then(|bytes| usize::try_from(bytes).ok());
        let budget = bytes.map(|bytes| Budget { bytes, workers });
        Machine { budget, ..self }
    }

    /// The same with these tiles.
    pub fn with(self, choices: Choices) -> Machine {
        Machine { choices, ..self }
    }

    /// The same with tiles that `tune` has found.
    pub fn with_tuned(self, choices: Choices) -> Machine {
        Machine {
            choices,
            is_tuned: true,
            ..self
        }
    }

    /// The tiles that are not the schedule's own choice.
    pub fn choices(&self) -> &Choices {
        &self.choices
    }

    /// Whether `tune` has found them.
    pub fn is_tuned(&self) -> bool {
        self.is_tuned
    }

    /// The instruction set's name.
    pub fn name(&self) -> &'static str {
        name(self.backend)
    }

    /// The code generator's options for it.
    pub fn options(&self) -> Options {
        Options {
            backend: Some(self.backend),
            ..Options::default()
        }
    }
}

fn name(backend: Backend) -> &'static str {
    let named = Backend::NAMED.iter().find(|named| named.1 == backend);
    named.map_or("this", |named| named.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_schedule_are_for_one_instruction_set() {
        for (asked, name) in [
            (TargetFeatures::Vector128, "vector128"),
            (TargetFeatures::Avx2, "avx2"),
            (TargetFeatures::Avx512, "avx512"),
            (TargetFeatures::Avx2Interpreted, "avx2"),
            (TargetFeatures::Avx512Interpreted, "avx512"),
            (TargetFeatures::Avx512Bf16, "avx512bf16"),
            (TargetFeatures::Avx512Bf16Interpreted, "avx512bf16"),
        ] {
            if let Ok(machine) = Machine::new(Some(asked)) {
                assert_eq!(machine.target().name, name);
            }
        }
    }
}
