//! Graph to graph: one ordered table.

mod autodiff;
mod dead_code;
mod decompose;
mod rewrite;
mod simplify;

use crate::graph::{Graph, TypeError};

/// A pass over graph IR.
pub struct Pass {
    /// Its name on the command line and in dumps.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The rewriting: a new graph with the same outputs.
    pub run: fn(&Graph) -> Result<Graph, TypeError>,
}

/// All passes in the order in which a program takes them.
pub const PASSES: &[Pass] = &[
    Pass {
        name: "simplify",
        summary: "algebra: neutral operations, constants, views of views, maxima of monotone functions",
        run: simplify::run,
    },
    Pass {
        name: "autodiff",
        summary: "expands gradients by reverse mode, one sweep for each loss",
        run: autodiff::run,
    },
    Pass {
        name: "simplify-gradients",
        summary: "the same algebra on what autodiff made",
        run: simplify::run,
    },
    Pass {
        name: "decompose",
        summary: "says joins, prefix sums and scatters by operations that kernels are made for",
        run: decompose::run,
    },
    Pass {
        name: "dead-code",
        summary: "drops what no output needs",
        run: dead_code::run,
    },
];

/// A pass that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassError {
    /// No pass has that name.
    #[error("there is no pass `{0}`")]
    Unknown(String),
    /// A pass made a graph that does not type: a fault of the compiler.
    #[error("pass `{pass}`: {error}")]
    Failed {
        /// The pass.
        pass: &'static str,
        /// What it met.
        error: TypeError,
    },
}

/// The pass of that name.
///
/// # Errors
/// Where there is none.
pub fn find(name: &str) -> Result<&'static Pass, PassError> {
    PASSES
        .iter()
        .find(|pass| pass.name == name)
        .ok_or_else(|| PassError::Unknown(name.into()))
}

/// Runs passes in order; `observe` sees the graph after each.
///
/// # Errors
/// Where a pass fails, which is a fault of the compiler.
pub fn run_passes<'p>(
    graph: &Graph,
    passes: impl IntoIterator<Item = &'p Pass>,
    mut observe: impl FnMut(&'static str, &Graph),
) -> Result<Graph, PassError> {
    let mut graph = graph.clone();
    for pass in passes {
        graph = (pass.run)(&graph).map_err(|error| PassError::Failed {
            pass: pass.name,
            error,
        })?;
        observe(pass.name, &graph);
    }
    Ok(graph)
}

/// [`run_passes`] by name, with nobody watching.
///
/// # Errors
/// Where a pass is unknown or fails.
pub fn run_named(graph: &Graph, names: &[&str]) -> Result<Graph, PassError> {
    let passes = names
        .iter()
        .map(|name| find(name))
        .collect::<Result<Vec<_>, _>>()?;
    run_passes(graph, passes, |_, _| {})
}
