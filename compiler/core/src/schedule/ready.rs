//! What is done to a graph before kernels are made for it: one rewriting after the other.

use super::anew::anew;
use super::apart::apart;
use super::assemble::{ScheduleError, batch_and_block, nowhere};
use super::attempt::Attempt;
use super::copies;
use super::insets::{self, Inset};
use super::long_maps::under_long_maps;
use super::long_sums::long_sums;
use super::loops::written_out;
use super::lower::LowerError;
use super::moments::moments;
use super::padded::{Around, padded};
use super::products::products_of;
use super::strided::strided;
use super::target::Target;
use super::under_pools::under_pools;
use crate::graph::{Graph, NodeId, TypeError};
use std::collections::{BTreeMap, BTreeSet};

/// A graph that kernels are made for.
pub struct Ready {
    /// With loops that there are no loops for written out, sums that wait for little, and copies where values must lie apart
    /// or in another order.
    pub graph: Graph,
    /// What is stored in any case.
    pub kept: BTreeSet<NodeId>,
    /// Images that are stored with their border.
    pub insets: BTreeMap<NodeId, Inset>,
}

/// The graph, and what is stored, of an attempt at a plan for so large a batch.
///
/// # Errors
/// Faults of the rewritings.
pub fn ready(
    graph: &Graph,
    (target, batch): (&Target, usize),
    attempt: &Attempt,
) -> Result<Ready, ScheduleError> {
    let flat = written_out(graph, target, attempt.written_out)
        .map_err(|error| nowhere(LowerError::Pass(error)))?;
    let graph = flat.as_ref().unwrap_or(graph);
    let fault = |error: TypeError| nowhere(LowerError::Type(error));
    let copied = apart(graph).map_err(fault)?;
    let graph = copied.as_ref().unwrap_or(graph);
    let early = moments(graph, &attempt.lanes(graph)).map_err(fault)?;
    let graph = early.as_ref().unwrap_or(graph);
    let short = long_sums(graph, &attempt.lanes(graph)).map_err(fault)?;
    let graph = short.as_ref().unwrap_or(graph);
    let twice = anew(graph, &attempt.lanes(graph), batch).map_err(fault)?;
    let graph = twice.as_ref().unwrap_or(graph);
    let spaced = strided(graph, &attempt.lanes(graph)).map_err(fault)?;
    let graph = spaced.as_ref().unwrap_or(graph);
    let lanes = attempt.lanes(graph);
    let (_, block) = batch_and_block(&lanes, target, batch);
    let (graph, kept) = copies::arranged(graph, &lanes, (target, block)).map_err(fault)?;
    let (graph, mut kept) = match attempt.plain {
        true => padded(&graph, &attempt.lanes(&graph), &kept, Around::Images).map_err(fault)?,
        // Vectors of several pixels.
        false if block < target.register_lanes => {
            padded(&graph, &attempt.lanes(&graph), &kept, Around::Rows).map_err(fault)?
        }
        false => (graph, kept),
    };
    kept.extend(&attempt.apart);
    if target.apart {
        kept.extend(products_of(&graph));
    }
    let mut insets = BTreeMap::new();
    if attempt.plain {
        kept.extend(under_pools(&graph, target));
        insets = insets::insets(&graph, &kept);
        for (image, inset) in &insets {
            kept.insert(*image);
            kept.remove(&inset.view);
        }
    }
    kept.extend(under_long_maps(&graph, &attempt.lanes(&graph)));
    Ok(Ready {
        graph,
        kept,
        insets,
    })
}
