//! Plain copies in panels: `[columns / W][samples][W]` instead of rows.
//!
//! A sum over the batch reads one vector of columns of every sample, then the next one. In rows these lie as far apart as a
//! sample is long: no prefetcher follows, and long rows begin in few sets of the caches. A panel is read from end to end.

use super::anchor_place::is_identity;
use super::buffers::Sources;
use super::fuse::{Group, root};
use super::outer::sources as operand_sources;
use super::reads::epilogue_reads;
use super::units::{Unit, Work};
use crate::graph::{NodeId, Op};

/// The panels of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panels {
    /// Columns of a panel: the lanes of the widest vector.
    pub width: usize,
    /// Columns: the elements of a sample.
    pub columns: usize,
}

impl Panels {
    /// How many there are.
    pub fn count(self) -> usize {
        self.columns.div_ceil(self.width)
    }
}

/// The panels of a value's plain copy, where all that read it are sums over the batch with vectors along its columns.
pub fn panels(sources: &Sources<'_>, id: NodeId) -> Option<Panels> {
    let dims = &sources.graph.nodes[id].ty.shape;
    let inner = dims.get(1..)?.iter().map(|dim| dim.known());
    let columns = inner.product::<Option<i64>>()?;
    let panels = Panels {
        width: sources.target.widest_lanes(),
        columns: usize::try_from(columns).ok()?,
    };
    let by_samples = sources.lanes.axis(id) == Some(0) && panels.columns >= panels.width;
    let mut readers = sources
        .units
        .iter()
        .filter(|unit| unit.copies.contains(&id));
    let all = by_samples && readers.all(|unit| reads_columns(sources, unit, (id, columns)));
    all.then_some(panels)
}

/// Whether a unit reads a value only as what its product sums over the batch, its columns along the output's last axis.
fn reads_columns(sources: &Sources<'_>, unit: &Unit, (id, columns): (NodeId, i64)) -> bool {
    let Work::Group(number) = unit.work else {
        return false;
    };
    let group = &sources.fusion.groups[number];
    let Some(anchor) = group.anchor else {
        return false;
    };
    let node = &sources.graph.nodes[anchor];
    let Op::Contract(contraction) = &node.op else {
        return false;
    };
    let rank = contraction.shape.len();
    let operands = contraction.operands.iter().zip(&node.inputs);
    let own: Vec<_> = operands
        .filter(|(_, input)| root(sources.graph, **input) == id)
        .collect();
    let &[(axes, &input)] = own.as_slice() else {
        return false;
    };
    let [sample, column] = axes.as_slice() else {
        return false;
    };
    let other = node.inputs.iter().filter(|&&other| other != input);
    let stored = &sources.fusion.stored;
    let mut others = other.flat_map(|&other| operand_sources(sources.graph, stored, other));
    if others.any(|other| other == id) || !is_own_domain(group) {
        return false;
    }
    let summed = sample.as_variable().is_some_and(|axis| axis >= rank);
    let along = column.as_variable() == rank.checked_sub(1);
    let flat = sources.graph.nodes[input].ty.shape[1].known() == Some(columns);
    summed && along && flat && !epilogue_reads(sources.graph, stored, group, anchor).contains(&id)
}

/// Whether a group's loops go over its product's own axes, one element after the other.
pub fn is_own_domain(group: &Group) -> bool {
    let own = group.place.positions.is_empty() || is_identity(&group.place);
    own && group.place.windows.is_empty() && group.place.parts.is_none()
}
