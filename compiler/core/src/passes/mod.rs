//! Graph to graph: one ordered table.
//!
//! A pass rebuilds the graph node by node into a new one, so nodes stay in order, equal nodes become one, and each keeps
//! the place in the source that it came from.

mod autodiff;
mod bodies;
mod cse;
mod dead_code;
mod decompose;
mod deviation;
mod half_precision;
mod hoist;
mod merge_scans;
mod of_batch;
mod primitives;
mod rewrite;
mod simplify;
mod trained;
pub(crate) mod unroll;
mod unused_results;

pub use deviation::Deviation;
pub use of_batch::of_batch;
pub(crate) use rewrite::Rewrite;
pub use trained::trained;

use crate::graph::verify::{VerifyError, verify};
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
        name: "hoist",
        summary: "takes products that no carry reaches out of loops: one for all rounds",
        run: hoist::run,
    },
    Pass {
        name: "autodiff",
        summary: "expands gradients by reverse mode, one sweep for each loss",
        run: autodiff::run,
    },
    Pass {
        name: "merge-scans",
        summary: "loops that carry the same become one with the results of both",
        run: merge_scans::run,
    },
    Pass {
        name: "primitives",
        summary: "says joins, prefix sums and scatters by operations that kernels are made for",
        run: primitives::run,
    },
    Pass {
        name: "decompose",
        summary: "contractions two operands at a time; cuts of gradients that are taken",
        run: decompose::run,
    },
    Pass {
        name: "simplify-gradients",
        summary: "the same algebra on what autodiff made",
        run: simplify::run,
    },
    Pass {
        name: "cse",
        summary: "equal operations on equal inputs become one node",
        run: cse::run,
    },
    Pass {
        name: "dead-code",
        summary: "drops what no output needs",
        run: dead_code::run,
    },
];

/// Passes that a program asks for; they stand before the others.
pub const OPTIONAL: &[Pass] = &[Pass {
    name: "half-precision",
    summary: "products of bf16 operands with sums of f32: `precision=\"bf16\"`",
    run: half_precision::run,
}];

/// Every pass.
pub fn all() -> impl Iterator<Item = &'static Pass> {
    OPTIONAL.iter().chain(PASSES)
}

/// A pass that does not exist, or went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassError {
    /// No pass has that name.
    #[error("there is no pass `{name}`{}", hint(.name))]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// A pass made a node that does not type: a fault of the compiler.
    #[error("pass `{pass}`: {error}")]
    Failed {
        /// The pass.
        pass: &'static str,
        /// What it met.
        error: TypeError,
    },
    /// A pass made a graph that breaks a rule: a fault of the compiler.
    #[error("pass `{pass}` made a graph that is not valid: {error}")]
    Invalid {
        /// The pass.
        pass: &'static str,
        /// The rule.
        error: VerifyError,
    },
}

/// The nearest name, or all of them.
fn hint(name: &str) -> String {
    let names = || all().map(|pass| pass.name);
    match dlm_grammar::suggest(name, names()) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => format!("; there are {}", names().collect::<Vec<_>>().join(", ")),
    }
}

/// The pass of that name.
///
/// # Errors
/// Where there is none; the error suggests a near one.
pub fn find(name: &str) -> Result<&'static Pass, PassError> {
    let found = all().find(|pass| pass.name == name);
    found.ok_or_else(|| PassError::Unknown { name: name.into() })
}

/// Runs passes in order; `observe` sees the graph after each. Debug builds verify each graph.
///
/// # Errors
/// Where a pass fails or its graph breaks a rule, which is a fault of the compiler.
pub fn run_passes<'p>(
    graph: &Graph,
    passes: impl IntoIterator<Item = &'p Pass>,
    mut observe: impl FnMut(&'static str, &Graph),
) -> Result<Graph, PassError> {
    let mut graph = graph.clone();
    for pass in passes {
        let name = pass.name;
        graph = bodies::within(&graph, pass.run)
            .map_err(|error| PassError::Failed { pass: name, error })?;
        if cfg!(debug_assertions) {
            verify(&graph).map_err(|error| PassError::Invalid { pass: name, error })?;
        }
        observe(name, &graph);
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

#[cfg(test)]
mod tests {
    #[test]
    fn an_unknown_pass_is_answered_with_a_near_one() {
        let check =
            |name: &str, text: &str| assert_eq!(super::find(name).err().unwrap().to_string(), text);
        check(
            "simplfy",
            "there is no pass `simplfy`; did you mean `simplify`?",
        );
        check(
            "quantize",
            "there is no pass `quantize`; there are half-precision, simplify, hoist, autodiff, merge-scans, primitives, decompose, simplify-gradients, cse, dead-code",
        );
    }
}
