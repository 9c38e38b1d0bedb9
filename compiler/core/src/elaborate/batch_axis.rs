//! Slices, flips and rolls of an axis whose size depends on the batch. No affine index says where they begin, so rows are
//! gathered; the smallest batch that they allow is held against the data where the program is compiled.

use super::codes;
use super::context::Elaborator;
use super::data::DataValue;
use super::diagnose::{Checked, error};
use crate::graph::{BinaryOp, Dim, NodeId, Scalar};
use dlm_grammar::Span;
use dlm_grammar::ast::Expr;

/// Positions along an axis: `start`, `start + step` … , `extent` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Positions {
    /// The first.
    pub start: Dim,
    /// 1 or -1.
    pub step: i64,
    /// How many there are.
    pub extent: Dim,
}

/// The smallest batch that a program's indices allow.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeastBatch {
    /// Its samples.
    pub samples: i64,
    /// The index.
    pub span: Span,
}

impl Elaborator<'_> {
    /// The positions of a slice of an axis. Unlike those of a known size, bounds beyond the axis are not clipped: how many
    /// positions there are must not depend on which of both is less.
    pub(super) fn batch_slice(
        &mut self,
        [start, stop, step]: [&Option<Expr>; 3],
        axis: Dim,
        span: Span,
    ) -> Checked<Positions> {
        let step = step.as_ref().map(|expr| self.known_int(expr));
        let start = start.as_ref().map(|expr| self.known_extent(expr));
        let stop = stop.as_ref().map(|expr| self.known_extent(expr));
        let (start, stop) = (start.transpose()?, stop.transpose()?);
        let step = step.transpose()?.unwrap_or(1);
        if step.abs() != 1 {
            let message = "a slice with a step, of an axis whose size depends on the batch";
            let help = "its steps are 1 and -1; other positions are rows: `gather(x, ids)`";
            return Err(self.report(error(codes::BATCH_DEPENDENT, span, message).help(help)));
        }
        let from_start = |bound: Dim| match bound.at(1) < 0 {
            true => axis.add(bound),
            false => bound,
        };
        let (first, last) = if step > 0 {
            (Dim::fixed(0), axis)
        } else {
            (axis.plus(-1), Dim::fixed(-1))
        };
        let start = start.map_or(first, from_start);
        let stop = stop.map_or(last, from_start);
        let extent = stop.add(start.times(-1)).times(step);
        if !extent.never_negative() {
            let message = format!(
                "of a batch of one, this would take {} positions",
                extent.at(1)
            );
            let help = "how many positions a slice takes must be at least 0 for every batch";
            return Err(self.report(error(codes::BATCH_DEPENDENT, span, message).help(help)));
        }
        Ok(Positions {
            start,
            step,
            extent,
        })
    }

    /// The one position at an index of such an axis.
    pub(super) fn batch_position(&mut self, index: i64, axis: Dim) -> Positions {
        let fixed = Dim::fixed(index);
        let start = if index < 0 { axis.add(fixed) } else { fixed };
        Positions {
            start,
            step: 1,
            extent: Dim::fixed(1),
        }
    }

    /// The rows at those positions of an axis.
    pub(super) fn batch_rows(
        &mut self,
        node: NodeId,
        axis: usize,
        positions: Positions,
        span: Span,
    ) -> Checked<NodeId> {
        self.require_batch(positions, self.type_of(node).shape[axis], span)?;
        let start = self.emit().integer_extent(positions.start);
        let ids = self.counted_from(start, positions);
        Ok(self.rows_of(node, axis, ids))
    }

    /// All positions of an axis, moved on by `shift`; what leaves at one end enters at the other.
    pub(super) fn batch_roll(&mut self, node: NodeId, axis: usize, shift: i32) -> NodeId {
        let extent = self.emit().shape(node)[axis];
        let start = self.emit().constant(Scalar::I32(shift.saturating_neg()));
        let positions = Positions {
            start: Dim::fixed(0),
            step: 1,
            extent,
        };
        let ids = self.counted_from(start, positions);
        let size = self.emit().integer_extent(extent);
        let size = self.emit().broadcast(size, &[extent]);
        let ids = self.emit().binary(BinaryOp::Rem, ids, size);
        self.rows_of(node, axis, ids)
    }

    fn counted_from(&mut self, start: NodeId, positions: Positions) -> NodeId {
        let shape = [positions.extent];
        let start = self.emit().broadcast(start, &shape);
        let count = self.emit().iota(shape.to_vec(), 0);
        let op = match positions.step {
            1 => BinaryOp::Add,
            _ => BinaryOp::Sub,
        };
        self.emit().binary(op, start, count)
    }

    fn rows_of(&mut self, node: NodeId, axis: usize, ids: NodeId) -> NodeId {
        let mut order: Vec<usize> = (0..self.type_of(node).rank()).collect();
        order.swap(0, axis);
        let moved = self.emit().permute(node, &order);
        let rows = self.emit().gather(moved, ids);
        self.emit().permute(rows, &order)
    }

    /// Notes the smallest batch for which all positions are on the axis.
    fn require_batch(&mut self, positions: Positions, axis: Dim, span: Span) -> Checked<()> {
        let last = positions
            .start
            .add(positions.extent.plus(-1).times(positions.step));
        let ends = [positions.start, last];
        let margins = ends
            .into_iter()
            .flat_map(|end| [end, axis.plus(-1).add(end.times(-1))]);
        let mut samples = 1;
        for margin in margins {
            match least_batch(margin) {
                Some(least) => samples = samples.max(least),
                None => {
                    let message = "these positions are beyond the axis in any larger batch";
                    return Err(self.report(error(codes::BATCH_DEPENDENT, span, message)));
                }
            }
        }
        let known = self.unit.least_batch.map_or(1, |least| least.samples);
        if samples > known {
            self.unit.least_batch = Some(LeastBatch { samples, span });
        }
        Ok(())
    }

    /// Reports where the smallest batch of the data is smaller than an index allows.
    pub(super) fn hold_batches(&mut self, data: &DataValue) {
        let (Some(least), Some((smallest, is_rest))) =
            (self.unit.least_batch, data.smallest_batch())
        else {
            return;
        };
        if smallest >= least.samples {
            return;
        }
        let whose = if is_rest {
            "the last batch has"
        } else {
            "a batch has"
        };
        let message = format!(
            "this needs {} samples, and {whose} {smallest}",
            least.samples
        );
        let mut diagnostic = error(codes::BATCH_DEPENDENT, least.span, message);
        if is_rest {
            diagnostic = diagnostic.help("`batch[n, drop=true]` leaves a smaller last batch out");
        }
        self.report(diagnostic);
    }
}

/// The smallest batch size from which on an extent is not negative; `None` where there is none.
fn least_batch(extent: Dim) -> Option<i64> {
    if extent.never_negative() {
        return Some(1);
    }
    (extent.batch > 0).then(|| (-extent.fixed + extent.batch - 1) / extent.batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_batch_is_the_first_that_is_enough() {
        let dim = |batch, fixed| Dim { batch, fixed };
        assert_eq!(least_batch(dim(1, -4)), Some(4));
        assert_eq!(least_batch(dim(2, -5)), Some(3));
        assert_eq!(least_batch(dim(0, -1)), None);
        assert_eq!(least_batch(dim(-1, 4)), None);
        assert_eq!(least_batch(dim(1, -1)), Some(1));
    }
}
