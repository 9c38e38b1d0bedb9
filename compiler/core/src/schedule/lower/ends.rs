//! What it takes to end sums of channels: the lanes of their vectors lie in rows of the task's partial, each by itself, but for
//! neighbours that emitters turn in registers.

use super::Context;
use super::outer::pixels_together;
use crate::graph::{Contraction, NodeId};
use crate::loops::{TILE, turned_from};
use crate::schedule::outer::Outer;
use crate::schedule::target::Target;

/// What it takes to end the sums of a tile.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    /// Multiply-adds of a sum before it is stored.
    rounds: f64,
    /// The output's axis that vectors run along, and elements of a vector.
    axis: usize,
    width: usize,
    /// The axes whose elements lie beside one another in a row, the innermost first, with their extents.
    beside: Vec<(usize, usize)>,
}

impl Ends {
    /// Those of a product whose output has these extents and vectors along one of its axes.
    pub(super) fn of(
        cx: &Context<'_>,
        (anchor, contraction): (NodeId, &Contraction),
        outer: Outer,
        extents: &[i64],
    ) -> Ends {
        let reduced = contraction.reduced.iter().filter_map(|dim| dim.known());
        let pixels: Vec<i64> = reduced.collect();
        let most = pixels_together(cx, anchor, outer);
        let together = match pixels.len() {
            2 => pixels.iter().product::<i64>().min(most),
            _ => pixels.iter().product(),
        };
        let inner = (outer.axis + 1..extents.len()).rev();
        Ends {
            rounds: (together.max(1) * cx.block as i64) as f64,
            axis: outer.axis,
            width: outer.width,
            beside: inner.map(|axis| (axis, extents[axis] as usize)).collect(),
        }
    }

    /// Cycles for each register's multiply-add.
    pub(super) fn cycles(&self, target: &Target, factors: &[usize]) -> f64 {
        /// Cycles for each lane that is stored and read again by itself.
        const EACH: f64 = 2.5;
        /// Rows, each in a page of its own, that the processor finds at once. More take twice as long.
        const PAGES: usize = 48;
        if self.beside.is_empty() {
            return 0.0;
        }
        let mut run = 1;
        for &(axis, extent) in &self.beside {
            run *= factors[axis];
            if factors[axis] < extent {
                break;
            }
        }
        let turned = match turned_from(target.register_lanes) {
            Some(least) if run >= least => run.min(TILE),
            _ => 1,
        };
        let far = factors[self.axis] * self.width > PAGES;
        let each = if far { 2.0 * EACH } else { EACH };
        target.register_lanes as f64 * each / turned as f64 / self.rounds
    }
}
