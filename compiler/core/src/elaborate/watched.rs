//! The losses that a step minimizes, which a run looks at also where no report shows them.
//!
//! Each that is not reported is an output of kind `Report` whose name ends with `!`: it must be finite, and is no metric.

use super::context::Elaborator;
use crate::graph::{NodeId, OutputKind, Scalar};

/// The end of the name of an output that a run only looks at.
const WATCHED: &str = "!";

/// A minimized loss.
#[derive(Clone, Debug)]
pub(super) struct Loss {
    /// What the message calls it.
    pub name: String,
    /// Its value.
    pub node: NodeId,
}

impl Elaborator<'_> {
    /// Keeps the losses of a branch since there were `mark` of them: 0 in the steps that do not take it, whose value
    /// there decides nothing.
    pub(super) fn watch_where(&mut self, condition: NodeId, is_taken: bool, losses: Vec<Loss>) {
        for Loss { name, node } in losses {
            let zero = self.emit().constant(Scalar::F32(0.0));
            let (taken, other) = if is_taken { (node, zero) } else { (zero, node) };
            let node = self.choose_node(condition, taken, other);
            self.unit.losses.push(Loss { name, node });
        }
    }

    /// Makes an output of each loss that no report shows.
    pub(super) fn watch_losses(&mut self) {
        let losses = std::mem::take(&mut self.unit.losses);
        let graph = &mut self.unit.emitter.graph;
        for Loss { name, node } in losses {
            let is_shown = |output: &crate::graph::Output| {
                output.kind == OutputKind::Report && output.node == node
            };
            if graph.outputs.iter().any(is_shown) {
                continue;
            }
            let mut own = format!("{name}{WATCHED}");
            let mut count = 1;
            while graph.outputs.iter().any(|output| output.name == own) {
                count += 1;
                own = format!("{name} ({count}){WATCHED}");
            }
            graph.output(OutputKind::Report, own, node);
        }
    }
}
