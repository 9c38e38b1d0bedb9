//! The loops of a contraction: in which order they stand, and how the rounds of each are gone through.

use crate::graph::{Contraction, Dim, NodeId};
use crate::plan::Layout;
use crate::schedule::fuse::root;
use crate::schedule::lanes::ContractionLanes;
use crate::schedule::lower::classes::stride;
use crate::schedule::lower::{Lowering, Place};
use crate::schedule::sliding;

/// One level of the reduction.
#[derive(Clone, Debug)]
pub struct Level {
    /// The variable among the reduced ones.
    pub variable: usize,
    pub extent: Dim,
    /// Rounds written out in one body.
    pub unroll: i64,
    /// Its rounds written out are within the loop over the samples of the block, which is the next level.
    pub slides: bool,
    pub how: How,
}

/// How the rounds of a level are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A vector at a time, up to there.
    Vectors(i64),
    /// One by one, from there to the extent.
    Rest(i64),
    /// From 0 to the extent.
    Whole,
    /// Only where the operands are within their borders.
    Bounded,
    /// The samples of the block: all in the lanes.
    InLanes,
    /// All samples of the batch, block by block.
    Samples,
    /// The samples of the block, one by one.
    OwnSamples,
    /// Every so many, from where the class of the elements begins.
    Class(i64),
}

impl Lowering<'_> {
    /// Bounded loops outermost, then the rest, the innermost unrolled.
    pub(super) fn levels(
        &self,
        node: NodeId,
        contraction: &Contraction,
        borders: &[Vec<bool>],
        instances: &[Vec<Place>],
    ) -> Vec<Level> {
        let tile = instances.len();
        let lane = self.reduced_lane(node, contraction);
        let pixels = self.sliding_pixels(contraction, instances);
        let mut levels: Vec<Level> = Vec::new();
        for (variable, &extent) in contraction.reduced.iter().enumerate() {
            let how = self.how(contraction, borders, lane, variable);
            levels.push(Level {
                variable,
                extent,
                unroll: 1,
                slides: pixels == Some(variable),
                how,
            });
        }
        levels.sort_by_key(place);
        if let Some(inner) = levels.last_mut() {
            inner.unroll = self.unroll(inner, tile);
        }
        if let Some(row) = levels.iter_mut().find(|level| level.slides) {
            row.unroll = sliding::pixels(self.cx.target, tile) as i64;
        }
        levels
    }

    /// How the rounds of a reduced variable are gone through.
    fn how(
        &self,
        contraction: &Contraction,
        borders: &[Vec<bool>],
        lane: Option<usize>,
        variable: usize,
    ) -> How {
        let rank = contraction.shape.len();
        if lane == Some(variable) {
            match (self.turned.is_some(), self.partial) {
                (true, _) => How::OwnSamples,
                (false, true) => How::InLanes,
                (false, false) => How::Samples,
            }
        } else if let Some(stride) = stride(contraction, variable, self.classes) {
            How::Class(stride)
        } else if bounded(contraction, borders, rank + variable) {
            How::Bounded
        } else {
            How::Whole
        }
    }

    /// How many rounds of the innermost level are written out, for a tile of so many accumulators.
    fn unroll(&self, inner: &Level, tile: usize) -> i64 {
        let body = self.cx.target.unrolled_body as i64;
        let parts = (usize::from(self.width) / self.cx.target.register_lanes).max(1) as i64;
        let room = (body / (tile as i64 * parts)).max(1);
        match (inner.how, inner.extent.known()) {
            (How::Whole, _) if self.partial => largest_power(room.min(4)),
            (How::Whole, Some(extent)) if extent <= room => extent,
            (How::Whole, _) => largest_power(room.min(8)),
            (How::Samples, _) => largest_power(room.min(self.cx.block as i64)),
            _ => 1,
        }
    }

    /// The reduced variable along which the elements of one operand go from tap to tap.
    fn sliding_pixels(&self, contraction: &Contraction, instances: &[Vec<Place>]) -> Option<usize> {
        let row = sliding::sliding(contraction, self.turned?.outer)?;
        let first = &instances[0][row.taps];
        let several = instances.iter().any(|own| own[row.taps] != *first);
        several.then_some(row.pixels)
    }

    fn reduced_lane(&self, node: NodeId, contraction: &Contraction) -> Option<usize> {
        let inputs = &self.cx.graph.nodes[node].inputs;
        match self.cx.lanes.contraction(contraction, inputs) {
            ContractionLanes::Across(variable) if self.partial || self.reads_lanes(inputs) => {
                Some(variable)
            }
            _ => None,
        }
    }

    fn reads_lanes(&self, inputs: &[NodeId]) -> bool {
        inputs.iter().any(|&input| {
            let source = root(self.cx.graph, input);
            let buffer = self.cx.buffer_of.get(&source);
            buffer.is_some_and(|&buffer| {
                matches!(self.cx.buffers[buffer].layout, Layout::Lanes { .. })
            })
        })
    }
}

/// Where a level stands, from the outermost.
fn place(level: &Level) -> (usize, usize) {
    match level.how {
        // Put in the place of another afterwards.
        How::Vectors(_) | How::Rest(_) => (4, 0),
        _ if level.slides => (3, 0),
        How::InLanes => (0, 0),
        How::Bounded | How::Class(_) => (1, level.variable),
        // Channels, then a window's axes with its rows innermost: the order of the sum, which rounding shows.
        How::Whole if level.variable == 0 => (2, 0),
        How::Whole => (2, usize::MAX - level.variable),
        How::Samples | How::OwnSamples => (3, 1),
    }
}

/// Whether a reduced variable bounds an axis that has a border, alone among the reduced ones.
fn bounded(contraction: &Contraction, borders: &[Vec<bool>], variable: usize) -> bool {
    let rank = contraction.shape.len();
    contraction
        .operands
        .iter()
        .zip(borders)
        .any(|(axes, borders)| {
            axes.iter().zip(borders).any(|(axis, &border)| {
                let alone = axis.terms.iter().filter(|term| term.0 >= rank).count() == 1;
                border && axis.divisor == 1 && alone && axis.coefficient(variable) != 0
            })
        })
}

fn largest_power(room: i64) -> i64 {
    [8, 4, 2]
        .into_iter()
        .find(|&power| power <= room)
        .unwrap_or(1)
}
