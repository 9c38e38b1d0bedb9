//! From a file to checked programs.

use std::path::Path;

use dlm_core::elaborate::program::{Feed, Precision, SizedGraph};
use dlm_core::elaborate::{
    self, CallRequest, Callable, Elaborated, FileReport, Settings, TrainProgram, World, codes,
};
use dlm_core::graph::Graph;
use dlm_core::passes::{OPTIONAL, run_passes};
use dlm_core::schedule::PersistentLayout;
use dlm_grammar::ast::{File, ItemKind};
use dlm_grammar::{Diagnostic, suggest};

use super::catalog::{Catalog, source_invocation};
use super::folder::Folder;
use super::machine::Machine;
use super::overrides::Overrides;
use super::saved::Saved;
use super::source::Source;
use super::threads;
use crate::arguments::Shared;
use crate::failure::Failure;
use crate::stages::Stages;

/// A program's file, to be elaborated.
pub struct Frontend {
    /// Its text.
    pub source: Source,
    /// The data that it can name.
    pub catalog: Catalog,
    /// What its code is made for.
    pub machine: Machine,
    folder: Folder,
    settings: Settings,
    workers: usize,
}

impl Frontend {
    /// Reads a program's file.
    ///
    /// # Errors
    /// Where it cannot be read, an override is malformed, or the processor lacks what the command line asks for.
    pub fn load(path: &Path, overrides: &Overrides, shared: &Shared) -> Result<Frontend, Failure> {
        let source = Source::read(path, shared.color.applies())?;
        threads::start();
        let folder = source.folder();
        Ok(Frontend {
            settings: overrides.settings()?,
            catalog: Catalog::new(&folder),
            machine: Machine::new(shared.target_features)?,
            workers: shared.workers(),
            folder: Folder::new(&folder),
            source,
        })
    }

    /// The program of a saved run, with more text after it.
    ///
    /// # Errors
    /// Where the processor lacks what the command line asks for.
    pub fn saved(
        saved: &Saved,
        more: &str,
        data: Vec<(String, String)>,
        shared: &Shared,
    ) -> Result<Frontend, Failure> {
        threads::start();
        let text = format!("{}{more}", saved.text);
        let mut settings = saved.settings();
        settings.data.extend(data);
        Ok(Frontend {
            settings,
            catalog: saved.catalog(),
            machine: Machine::new(shared.target_features)?,
            workers: shared.workers(),
            folder: Folder::kept(&saved.folder, saved.imports.clone()),
            source: Source::of_text(saved.file.clone(), text, shared.color.applies()),
        })
    }

    /// Takes tiles from a plan's text.
    ///
    /// # Errors
    /// Where the file cannot be read, or is no plan.
    pub fn take_plan(&mut self, file: Option<&Path>) -> Result<(), Failure> {
        self.machine = self.machine.clone().with_plan(file)?;
        Ok(())
    }

    /// What a saved run needs to be compiled again.
    pub fn to_save(&self, train: &TrainProgram) -> Saved {
        let text = train
            .datasets
            .iter()
            .find(|data| data.source.name == "text");
        let characters = text.and_then(|data| {
            let base = self.catalog.base(&data.source);
            dlm_runtime::data::vocabulary(&source_invocation(&data.source), &base).ok()
        });
        Saved {
            characters: characters.unwrap_or_default().into_iter().collect(),
            train: train.name.clone(),
            file: self.source.path.clone(),
            text: self.source.text.clone(),
            imports: self.folder.texts(),
            folder: absolute(&self.source.folder()),
            working: absolute(Path::new(".")),
            values: self.settings.values.clone(),
            data: self.settings.data.clone(),
            known: self.catalog.known(),
        }
    }

    /// The syntax tree.
    ///
    /// # Errors
    /// Every error of the text's form.
    pub fn tree(&mut self) -> Result<File, Failure> {
        let file = self
            .source
            .map
            .add(self.source.name(), self.source.text.as_str());
        let parsed = dlm_grammar::parse(&self.source.text, file);
        parsed.map_err(|diagnostics| self.source.failure(&diagnostics))
    }

    /// The run of that name, or the file's first; warnings are printed.
    ///
    /// # Errors
    /// Every error of the program.
    pub fn train(
        &mut self,
        name: Option<&str>,
        stages: &mut Stages,
    ) -> Result<TrainProgram, Failure> {
        if let Some(name) = name {
            self.known_train(name)?;
        }
        let elaborated = stages.time("elaborate", || self.elaborate_train(name));
        let mut train = self.accept(elaborated)?;
        if train.settings.precision == Precision::Bf16 {
            let evals = train.evals.iter_mut();
            let evals = evals.flat_map(|eval| sized_graphs(&mut eval.graph, &mut eval.sized));
            for graph in sized_graphs(&mut train.step, &mut train.sized).chain(evals) {
                *graph = run_passes(graph, OPTIONAL, |_, _| {}).map_err(Failure::internal)?;
            }
        }
        self.machine = self.machine.clone().with_memory_of(&train, self.workers);
        Ok(train)
    }

    /// The run of that name with everything that is said about it.
    pub fn elaborate_train(&mut self, name: Option<&str>) -> Elaborated<TrainProgram> {
        let (file, text) = (self.source.name(), self.source.text.clone());
        let main = elaborate::Source {
            name: &file,
            text: &text,
        };
        let world = World {
            loader: &self.folder,
            catalog: &self.catalog,
            settings: &self.settings,
        };
        elaborate::train(&mut self.source.map, main, world, name)
    }

    /// Everything in the file that can be elaborated; warnings are printed.
    ///
    /// # Errors
    /// Every error of the program.
    pub fn check(&mut self, stages: &mut Stages) -> Result<FileReport, Failure> {
        let (file, text) = (self.source.name(), self.source.text.clone());
        let main = elaborate::Source {
            name: &file,
            text: &text,
        };
        let world = World {
            loader: &self.folder,
            catalog: &self.catalog,
            settings: &self.settings,
        };
        let map = &mut self.source.map;
        let elaborated = stages.time("elaborate", || elaborate::check(map, main, world));
        self.accept(elaborated)
    }

    /// A function or block, to be called alone.
    ///
    /// # Errors
    /// Every error of the program.
    pub fn callable(
        &mut self,
        name: &str,
        request: &CallRequest,
        stages: &mut Stages,
    ) -> Result<Callable, Failure> {
        let elaborated = stages.time("elaborate", || self.elaborate_callable(name, request));
        self.accept(elaborated)
    }

    /// A function or block with everything that is said about it.
    pub fn elaborate_callable(
        &mut self,
        name: &str,
        request: &CallRequest,
    ) -> Elaborated<Callable> {
        let (file, text) = (self.source.name(), self.source.text.clone());
        let main = elaborate::Source {
            name: &file,
            text: &text,
        };
        let world = World {
            loader: &self.folder,
            catalog: &self.catalog,
            settings: &self.settings,
        };
        elaborate::callable(&mut self.source.map, main, world, name, request)
    }

    fn accept<T>(&self, elaborated: Elaborated<T>) -> Result<T, Failure> {
        let diagnostics = elaborated.diagnostics;
        let Some(value) = elaborated.value else {
            return Err(
                match diagnostics
                    .iter()
                    .all(|each| !each.is_error() || is_of_command_line(each))
                {
                    true => Failure::CommandLine(self.source.render(&diagnostics)),
                    false => self.source.failure(&diagnostics),
                },
            );
        };
        crate::terminal::complain(&self.source.render(&diagnostics));
        Ok(value)
    }

    /// A name on the command line that no `train` has is the command line's error.
    fn known_train(&mut self, name: &str) -> Result<(), Failure> {
        let tree = self.tree()?;
        let names = train_names(&tree);
        if names.is_empty() || names.iter().any(|known| known == name) {
            return Ok(());
        }
        let hint = match suggest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has: {}", names.join(", ")),
        };
        let file = self.source.name();
        Err(Failure::command_line(format!(
            "{file} has no `train {name}`; {hint}"
        )))
    }
}

/// The names of a file's runs, in order.
pub fn train_names(tree: &File) -> Vec<String> {
    let name = |kind: &ItemKind| match kind {
        ItemKind::Train(train) => Some(train.name.name.clone()),
        _ => None,
    };
    tree.items
        .iter()
        .filter_map(|item| name(&item.kind))
        .collect()
}

/// The real path, or the path as it is where there is no such folder.
pub fn absolute(path: &Path) -> std::path::PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

fn is_of_command_line(diagnostic: &Diagnostic) -> bool {
    [codes::OVERRIDE, codes::NO_ENTRY].contains(&diagnostic.code)
}

/// Where a run's parameters and states lie: the same place in all of its programs.
pub fn persistent_layout(train: &TrainProgram) -> PersistentLayout {
    let parameters = train
        .parameters
        .iter()
        .map(|each| (each.path.as_str(), &each.ty));
    let states = train
        .states
        .iter()
        .map(|each| (each.path.as_str(), &each.ty));
    PersistentLayout::new(parameters.chain(states))
}

/// A part's graph, and those for each size of its batches.
fn sized_graphs<'a>(
    graph: &'a mut Graph,
    sized: &'a mut [SizedGraph],
) -> impl Iterator<Item = &'a mut Graph> {
    std::iter::once(graph).chain(sized.iter_mut().map(|sized| &mut sized.graph))
}

/// One of a run's programs.
pub struct Part<'a> {
    /// What it computes, before any pass.
    pub graph: &'a Graph,
    /// The same for each size of its batches, where it differs by size.
    pub sized: &'a [SizedGraph],
    /// The largest batch it is compiled for.
    pub batch: usize,
    /// Where its batches come from.
    pub feeds: &'a [Feed],
}

impl<'a> Part<'a> {
    /// What is compiled for batches of so many samples: the graph, the size, and whether it is for that size alone.
    ///
    /// # Errors
    /// Where the data has batches of a size that it did not have when the program was elaborated.
    pub fn for_size(&self, batch: usize) -> Result<(&'a Graph, usize, bool), Failure> {
        if self.sized.is_empty() {
            return Ok((self.graph, batch, false));
        }
        let own = self.sized.iter().find(|own| own.batch == batch as i64);
        let own = own.ok_or_else(|| {
            Failure::data(format!(
                "the data has a batch of {batch} samples, for which the program has not been elaborated"
            ))
        })?;
        Ok((&own.graph, batch, true))
    }

    /// The training step, or the first evaluation of a run that has none.
    pub fn step(train: &'a TrainProgram) -> Part<'a> {
        if let (false, Some(eval)) = (train.trains(), train.evals.first()) {
            return Part {
                graph: &eval.graph,
                sized: &eval.sized,
                batch: batch_size(&eval.feeds),
                feeds: &eval.feeds,
            };
        }
        Part {
            graph: &train.step,
            sized: &train.sized,
            batch: batch_size(&train.feeds),
            feeds: &train.feeds,
        }
    }

    /// The part of that name: `step`, `init` or an evaluation's split.
    ///
    /// # Errors
    /// Where there is none.
    pub fn find(train: &'a TrainProgram, name: &str) -> Result<Part<'a>, Failure> {
        let eval = train.evals.iter().find(|eval| eval.split == name);
        match (name, eval) {
            ("step", _) => Ok(Part::step(train)),
            ("init", _) => Ok(Part {
                graph: &train.init,
                sized: &[],
                batch: 1,
                feeds: &[],
            }),
            (_, Some(eval)) => Ok(Part {
                graph: &eval.graph,
                sized: &eval.sized,
                batch: batch_size(&eval.feeds),
                feeds: &eval.feeds,
            }),
            (_, None) => {
                let splits = train.evals.iter().map(|eval| eval.split.as_str());
                let known: Vec<&str> = ["step", "init"].into_iter().chain(splits).collect();
                let known = known.join(", ");
                let run = &train.name;
                Err(Failure::command_line(format!(
                    "`train {run}` has no part `{name}`; it has: {known}"
                )))
            }
        }
    }
}

/// The samples of a batch: those of the first feed.
pub fn batch_size(feeds: &[Feed]) -> usize {
    let size = feeds.first().map_or(1, |feed| feed.batch);
    usize::try_from(size).unwrap_or(1).max(1)
}
