//! Slices, flips and rolls of an axis whose size depends on the batch. No affine index says where they begin, so rows are
//! gathered; the smallest batch that they allow is held against the data where the program is compiled.

use super::codes;
use super::context::Elaborator;
use super::data::DataValue;
use super::diagnose::{Checked, Poison, error};
use crate::graph::{BinaryOp, Dim, NodeId, Scalar};
use dlm_grammar::Span;
use dlm_grammar::ast::Expr;

/// Positions along an axis: `start`, `start + step` … , `extent` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Positions {
    /// The first.
    pub start: Dim,
    /// How far apart, backwards where negative.
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
    /// The positions of a slice of an axis, Python's for every size that the data's batches have. Where no one rule gives
    /// them for all sizes, the body is elaborated for each by itself.
    pub(super) fn batch_slice(
        &mut self,
        [start, stop, step]: [&Option<Expr>; 3],
        axis: Dim,
        span: Span,
    ) -> Checked<Positions> {
        let step = step.as_ref().map(|expr| self.known_int(expr));
        let start = start.as_ref().map(|expr| self.known_extent(expr));
        let stop = stop.as_ref().map(|expr| self.known_extent(expr));
        let slice = BatchSlice {
            start: start.transpose()?,
            stop: stop.transpose()?,
            step: step.transpose()?.unwrap_or(1),
        };
        if slice.step == 0 {
            let message = "a slice with step 0";
            return Err(self.report(error(codes::INDEX, span, message)));
        }
        if let Some(size) = self.unit.batch {
            return Ok(slice.of_size(axis, size));
        }
        if self.unit.batches.is_empty() {
            return self.open_slice(slice, axis, span);
        }
        slice.of_sizes(axis, &self.unit.batches).ok_or_else(|| {
            self.unit.differs = true;
            Poison
        })
    }

    /// The positions of a slice for any batch, whose size nothing tells: bounds are not clipped.
    fn open_slice(&mut self, slice: BatchSlice, axis: Dim, span: Span) -> Checked<Positions> {
        let positions = slice.unclipped(axis);
        let message = match positions {
            Some(positions) if positions.extent.never_negative() => {
                self.require_batch(positions, axis, span)?;
                return Ok(positions);
            }
            Some(positions) => format!(
                "of a batch of one, this would take {} positions",
                positions.extent.at(1)
            ),
            None => format!(
                "how many are every {}th of {axis} depends on the batch",
                slice.step.abs()
            ),
        };
        let help = "in a `step` or `eval` the sizes of batches are known, and slices are Python's; here it must hold for any batch";
        Err(self.report(error(codes::BATCH_DEPENDENT, span, message).help(help)))
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

    /// The rows at those positions of an axis, which they must be on.
    pub(super) fn batch_rows(
        &mut self,
        node: NodeId,
        axis: usize,
        positions: Positions,
        span: Span,
    ) -> Checked<NodeId> {
        self.require_batch(positions, self.type_of(node).shape[axis], span)?;
        Ok(self.rows_at(node, axis, positions))
    }

    /// The rows at positions of an axis that are known to be on it.
    pub(super) fn rows_at(&mut self, node: NodeId, axis: usize, positions: Positions) -> NodeId {
        let start = self.emit().integer_extent(positions.start);
        let ids = self.counted_from(start, positions);
        self.rows_of(node, axis, ids)
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
        let mut count = self.emit().iota(shape.to_vec(), 0);
        let op = match positions.step {
            1.. => BinaryOp::Add,
            _ => BinaryOp::Sub,
        };
        let step = positions.step.unsigned_abs();
        if step != 1 {
            // A step beyond the axis takes one position, whatever its size.
            let step = i32::try_from(step).unwrap_or(i32::MAX);
            let step = self.emit().constant(Scalar::I32(step));
            let step = self.emit().broadcast(step, &shape);
            count = self.emit().binary(BinaryOp::Mul, count, step);
        }
        self.emit().binary(op, start, count)
    }

    fn rows_of(&mut self, node: NodeId, axis: usize, ids: NodeId) -> NodeId {
        let mut order: Vec<usize> = (0..self.type_of(node).rank()).collect();
        order.swap(0, axis);
        let moved = self.emit().permute(node, &order);
        let rows = self.emit().gather(moved, ids);
        if self.type_of(rows).rank() != order.len() {
            // What the graph refuses is reported at the end of the statement.
            return rows;
        }
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
        let full = data.full_batch().filter(|full| *full < least.samples);
        let (whose, smallest, is_rest) = match full {
            Some(full) => ("a batch has", full, false),
            None if is_rest => ("the last batch has", smallest, true),
            None => ("a batch has", smallest, false),
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

/// A slice as it is written.
#[derive(Clone, Copy, Debug)]
struct BatchSlice {
    start: Option<Dim>,
    stop: Option<Dim>,
    step: i64,
}

impl BatchSlice {
    /// The positions where no bound lies beyond the axis; `None` where their number is not linear in the batch size.
    fn unclipped(self, axis: Dim) -> Option<Positions> {
        let from_start = |bound: Dim| match bound.at(1) < 0 {
            true => axis.add(bound),
            false => bound,
        };
        let (first, last) = self.ends(axis);
        let start = self.start.map_or(first, from_start);
        let stop = self.stop.map_or(last, from_start);
        self.between(start, stop)
    }

    /// Where a slice without bounds begins and ends.
    fn ends(self, axis: Dim) -> (Dim, Dim) {
        match self.step > 0 {
            true => (Dim::fixed(0), axis),
            false => (axis.plus(-1), Dim::fixed(-1)),
        }
    }

    fn between(self, start: Dim, stop: Dim) -> Option<Positions> {
        let distance = stop.add(start.times(-1)).times(self.step.signum());
        let step = i64::try_from(self.step.unsigned_abs()).ok()?;
        let extent = (distance.batch % step == 0).then(|| Dim {
            batch: distance.batch / step,
            fixed: distance.fixed.div_euclid(step) + i64::from(distance.fixed.rem_euclid(step) > 0),
        });
        Some(Positions {
            start,
            step: self.step,
            extent: extent?,
        })
    }

    /// Positions that are Python's for batches of that size: linear in it where that can be, so that they fit what is.
    fn of_size(self, axis: Dim, size: i64) -> Positions {
        self.of_sizes(axis, &[size]).unwrap_or_else(|| {
            let (start, count) = self.python(axis.at(size), size);
            Positions {
                start: Dim::fixed(start),
                step: self.step,
                extent: Dim::fixed(count),
            }
        })
    }

    /// Positions, linear in the size, that are Python's for batches of each of these sizes.
    fn of_sizes(self, axis: Dim, sizes: &[i64]) -> Option<Positions> {
        let (first, last) = self.ends(axis);
        let bounds = |bound: Option<Dim>, end: Dim| match bound {
            None => vec![end],
            Some(bound) => vec![bound, axis.add(bound), first, last],
        };
        for start in bounds(self.start, first) {
            for stop in bounds(self.stop, last) {
                let found = self.between(start, stop);
                if let Some(found) = found.filter(|found| self.agrees(*found, axis, sizes)) {
                    return Some(found);
                }
            }
        }
        None
    }

    fn agrees(self, found: Positions, axis: Dim, sizes: &[i64]) -> bool {
        // The graph's extents are extents for any size.
        found.extent.never_negative()
            && sizes.iter().all(|&size| {
                let (start, count) = self.python(axis.at(size), size);
                found.extent.at(size) == count && (count == 0 || found.start.at(size) == start)
            })
    }

    /// The first position and how many there are, of an axis of that length in a batch of that size.
    fn python(self, length: i64, size: i64) -> (i64, i64) {
        let (low, high) = match self.step > 0 {
            true => (0, length),
            false => (-1, length - 1),
        };
        let clip = |bound: Dim| {
            let bound = bound.at(size);
            let bound = if bound < 0 {
                bound.saturating_add(length)
            } else {
                bound
            };
            bound.clamp(low, high.max(low))
        };
        let (first, last) = self.ends(Dim::fixed(length));
        let start = self.start.map_or(first.fixed, clip);
        let stop = self.stop.map_or(last.fixed, clip);
        let distance = (stop - start) * self.step.signum();
        let step = self.step.saturating_abs();
        (start, distance.max(0).saturating_add(step - 1) / step)
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
    fn slices_are_pythons_for_every_size() {
        let slice = |start: Option<i64>, stop: Option<i64>, step| BatchSlice {
            start: start.map(Dim::fixed),
            stop: stop.map(Dim::fixed),
            step,
        };
        let shown = |found: Positions| (found.start.to_string(), found.extent.to_string());
        let of = |slice: BatchSlice, sizes: &[i64]| slice.of_sizes(Dim::BATCH, sizes).map(shown);
        let alone = |slice: BatchSlice, size| shown(slice.of_size(Dim::BATCH, size));
        let is = |start: &str, extent: &str| (start.to_owned(), extent.to_owned());
        let own = slice(None, Some(40), 1);
        assert_eq!(of(own, &[64, 40]), Some(is("0", "40")));
        assert_eq!(of(own, &[64, 29]), None);
        assert_eq!(alone(own, 29), is("0", "B"));
        let (own, from) = (slice(None, Some(100), 1), slice(Some(-3), None, 1));
        assert_eq!(of(own, &[64, 29]), Some(is("0", "B")));
        assert_eq!(of(from, &[64, 29]), Some(is("B-3", "3")));
        assert_eq!(of(slice(Some(1), None, 1), &[64, 29]), Some(is("1", "B-1")));
        assert_eq!(of(slice(Some(2), None, 1), &[64, 29]), None);
        assert_eq!(of(slice(None, None, 2), &[64]), None);
        assert_eq!(alone(slice(Some(2), None, 1), 64), is("2", "62"));
        assert_eq!(alone(slice(None, None, 2), 64), is("0", "32"));
        assert_eq!(alone(slice(None, None, -2), 29), is("28", "15"));
        assert_eq!(alone(slice(Some(70), None, 1), 64), is("B", "0"));
    }

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
