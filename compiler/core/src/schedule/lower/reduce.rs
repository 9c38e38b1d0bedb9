//! Reductions: small windows in place, larger ones as loops.

use super::{LowerError, Lowering, Place, form};
use crate::graph::{DType, NodeId, ReduceOp};
use crate::loops::{Comparison, LoopKind, Value, VectorBinary, VectorUnary};
use crate::plan::ScalarArgument;
use crate::schedule::affine::Affine;
use crate::schedule::position::Position;

/// What a reduction carries: the value, and for positions the place of the best so far.
#[derive(Clone, Copy)]
struct Running {
    best: Value,
    place: Option<Value>,
}

impl Running {
    fn values(self) -> Vec<Value> {
        [Some(self.best), self.place]
            .into_iter()
            .flatten()
            .collect()
    }

    fn from_values(values: &[Value]) -> Running {
        Running {
            best: values[0],
            place: values.get(1).copied(),
        }
    }
}

impl Lowering<'_> {
    /// A reduction over few elements, in place.
    pub(super) fn window(
        &mut self,
        node: NodeId,
        op: ReduceOp,
        axes: &[usize],
        places: &[Place],
    ) -> Result<Value, LowerError> {
        let input = self.cx.graph.nodes[node].inputs[0];
        let shape = self.cx.graph.nodes[input].ty.shape.clone();
        let extents: Vec<i64> = axes.iter().map(|&axis| shape[axis].fixed).collect();
        let mut running: Option<Running> = None;
        for number in 0..extents.iter().product::<i64>() {
            let inner = unravel(number, &extents)
                .into_iter()
                .map(Position::constant)
                .collect::<Vec<_>>();
            let moved = interleave(shape.len(), axes, places, &inner);
            let element = self.value(input, &moved)?;
            let place = self.place_of(op, &Affine::constant(number));
            running = Some(match running {
                None => Running {
                    best: element,
                    place,
                },
                Some(running) => self.combine(op, self.dtype(input), running, element, place),
            });
        }
        Ok(match running {
            Some(running) => running.place.unwrap_or(running.best),
            None => self.start(op, self.dtype(input)).best,
        })
    }

    /// A reduction as nested loops, for each place that is asked for.
    pub(super) fn reduce(
        &mut self,
        node: NodeId,
        op: ReduceOp,
        axes: &[usize],
        instances: &[Vec<Place>],
    ) -> Result<Vec<Value>, LowerError> {
        let input = self.cx.graph.nodes[node].inputs[0];
        let dtype = self.dtype(input);
        let starts: Vec<Running> = instances.iter().map(|_| self.start(op, dtype)).collect();
        let axes: Vec<usize> = match self.partial {
            true => axes
                .iter()
                .copied()
                .filter(|&axis| Some(axis) != self.cx.lanes.axis(input))
                .collect(),
            false => axes.to_vec(),
        };
        let results = self.reduce_axis(input, op, &axes, &mut Vec::new(), instances, starts)?;
        Ok(results
            .into_iter()
            .map(|running| running.place.unwrap_or(running.best))
            .collect())
    }

    fn reduce_axis(
        &mut self,
        input: NodeId,
        op: ReduceOp,
        axes: &[usize],
        counters: &mut Vec<Place>,
        instances: &[Vec<Place>],
        running: Vec<Running>,
    ) -> Result<Vec<Running>, LowerError> {
        let shape = self.cx.graph.nodes[input].ty.shape.clone();
        let Some(&axis) = axes.get(counters.len()) else {
            return self.reduce_element(input, op, axes, counters, instances, running);
        };
        let extent = self.extent(shape[axis]);
        let (begin, end) = (self.b.index(0), self.b.materialise(&form(&extent)));
        let initials: Vec<Value> = running
            .iter()
            .flat_map(|running| running.values())
            .collect();
        let each = initials.len() / running.len().max(1);
        let name = format!("r{}", counters.len());
        let (counter, carried) =
            self.b
                .begin_loop(LoopKind::Reduction, name, begin, end, 1, &initials);
        self.push_scope();
        counters.push(Position::At(Affine::variable(counter)));
        let inner = carried.chunks(each).map(Running::from_values).collect();
        let next = self.reduce_axis(input, op, axes, counters, instances, inner);
        counters.pop();
        self.pop_scope();
        let next: Vec<Value> = next?.iter().flat_map(|running| running.values()).collect();
        let results = self.b.end_loop(&next);
        Ok(results.chunks(each).map(Running::from_values).collect())
    }

    fn reduce_element(
        &mut self,
        input: NodeId,
        op: ReduceOp,
        axes: &[usize],
        counters: &[Place],
        instances: &[Vec<Place>],
        running: Vec<Running>,
    ) -> Result<Vec<Running>, LowerError> {
        let rank = self.cx.graph.nodes[input].ty.rank();
        let lane = self.cx.lanes.axis(input).filter(|_| self.partial);
        let (axes, counters) = with_lane(axes, counters, lane);
        let place = self.linear_place(op, input, &axes, &counters);
        let mut next = Vec::with_capacity(running.len());
        for (instance, running) in instances.iter().zip(running) {
            let moved = interleave(rank, &axes, instance, &counters);
            let element = self.value(input, &moved)?;
            next.push(self.combine(op, self.dtype(input), running, element, place));
        }
        Ok(next)
    }

    /// The row-major position among the reduced axes, for those that ask for it.
    fn linear_place(
        &mut self,
        op: ReduceOp,
        input: NodeId,
        axes: &[usize],
        counters: &[Place],
    ) -> Option<Value> {
        let mut linear = Affine::constant(0);
        for (&axis, counter) in axes.iter().zip(counters) {
            let extent = self.cx.graph.nodes[input].ty.shape[axis]
                .known()
                .unwrap_or(1);
            let mut next = Affine::constant(0);
            next.add_scaled(&linear, extent);
            if let Position::At(counter) = counter {
                next.add_scaled(counter, 1);
            }
            linear = next;
        }
        self.place_of(op, &linear)
    }

    fn place_of(&mut self, op: ReduceOp, linear: &Affine<Value>) -> Option<Value> {
        matches!(op, ReduceOp::ArgMax | ReduceOp::ArgMin).then(|| self.counted(linear, (0, 0)))
    }

    fn dtype(&self, node: NodeId) -> DType {
        self.cx.graph.nodes[node].ty.dtype
    }

    fn start(&mut self, op: ReduceOp, dtype: DType) -> Running {
        let width = self.width;
        let best = match (op, dtype.is_float(), dtype) {
            (ReduceOp::Max, _, DType::Bool) => self.b.mask(false, width),
            (ReduceOp::Min, _, DType::Bool) => self.b.mask(true, width),
            (ReduceOp::Sum, true, _) => self.b.float(0.0, width),
            (ReduceOp::Prod, true, _) => self.b.float(1.0, width),
            (ReduceOp::Max | ReduceOp::ArgMax, true, _) => self.b.float(f32::NEG_INFINITY, width),
            (ReduceOp::Min | ReduceOp::ArgMin, true, _) => self.b.float(f32::INFINITY, width),
            (ReduceOp::Sum, false, _) => self.b.integer(0, width),
            (ReduceOp::Prod, false, _) => self.b.integer(1, width),
            (ReduceOp::Max | ReduceOp::ArgMax, false, _) => self.b.integer(i32::MIN, width),
            (ReduceOp::Min | ReduceOp::ArgMin, false, _) => self.b.integer(i32::MAX, width),
        };
        let zero = Affine::constant(0);
        Running {
            best,
            place: self.place_of(op, &zero),
        }
    }

    fn combine(
        &mut self,
        op: ReduceOp,
        dtype: DType,
        running: Running,
        element: Value,
        place: Option<Value>,
    ) -> Running {
        if let (Some(old), Some(new)) = (running.place, place) {
            let better = self.comes_before(op, dtype, element, running.best);
            let best = self.b.select(better, element, running.best);
            return Running {
                best,
                place: Some(self.b.select(better, new, old)),
            };
        }
        let op = match (op, dtype) {
            (ReduceOp::Max, DType::Bool) => VectorBinary::MaskOr,
            (ReduceOp::Min, DType::Bool) => VectorBinary::MaskAnd,
            (ReduceOp::Sum, _) if dtype.is_float() => VectorBinary::Add,
            (ReduceOp::Prod, _) if dtype.is_float() => VectorBinary::Mul,
            (ReduceOp::Max, _) if dtype.is_float() => VectorBinary::MaxNan,
            (ReduceOp::Min, _) if dtype.is_float() => VectorBinary::MinNan,
            (ReduceOp::Sum, _) => VectorBinary::IntAdd,
            (ReduceOp::Prod, _) => VectorBinary::IntMul,
            (ReduceOp::Max, _) => VectorBinary::IntMax,
            _ => VectorBinary::IntMin,
        };
        Running {
            best: self.b.binary(op, running.best, element),
            place: None,
        }
    }

    /// Whether a later element is the extremum rather than the best of those before it: where it is beyond it, and where
    /// it is the first NaN.
    fn comes_before(&mut self, op: ReduceOp, dtype: DType, element: Value, best: Value) -> Value {
        let (beyond, within) = match op {
            ReduceOp::ArgMax => (Comparison::Gt, Comparison::Le),
            _ => (Comparison::Lt, Comparison::Ge),
        };
        if !dtype.is_float() {
            return self.b.compare(beyond, element, best);
        }
        let within = self.b.compare(within, element, best);
        let other = self.b.unary(VectorUnary::Not, within);
        let number = self.b.compare(Comparison::Eq, best, best);
        self.b.binary(VectorBinary::MaskAnd, other, number)
    }

    /// The sum over tasks of an anchor's partials.
    pub(super) fn sum_partials(
        &mut self,
        node: NodeId,
        instances: &[Vec<Place>],
    ) -> Result<Vec<Value>, LowerError> {
        let buffer = self.cx.partial_of[&node];
        let stride = (self.cx.buffers[buffer].task_stride / 4) as i64;
        let tasks = self.scalar(ScalarArgument::BlockTasks {
            lanes: self.cx.block,
            most: self.cx.target.block_tasks,
        });
        let places = instances.iter();
        let places: Vec<_> = places.map(|own| self.place_in_partial(node, own)).collect();
        let begin = self.b.index(0);
        let initials = vec![self.b.float(0.0, self.width); instances.len()];
        let (task, carried) =
            self.b
                .begin_loop(LoopKind::Reduction, "task", begin, tasks, 1, &initials);
        self.push_scope();
        let next = places.into_iter().zip(carried).map(|(mut at, sum)| {
            at.add_scaled(&Affine::variable(task), stride);
            let part = self.load_at(buffer, &at)?;
            Ok(self.b.binary(VectorBinary::Add, sum, part))
        });
        let next: Result<Vec<Value>, LowerError> = next.collect();
        self.pop_scope();
        Ok(self.b.end_loop(&next?))
    }

    /// Where an element of an anchor lies in each task's partial.
    pub(super) fn place_in_partial(&mut self, node: NodeId, places: &[Place]) -> Affine<Value> {
        let shape = &self.cx.graph.nodes[node].ty.shape;
        let (mut at, mut elements) = (Affine::constant(0), 1);
        let rows = self.rows_of_partial(node);
        for (axis, (dim, place)) in shape.iter().zip(places).enumerate().rev() {
            if let (0, Some(rows)) = (axis, rows) {
                // Where all axes are one, that of the last, a vector is in one row.
                let row = self.b.div_floor(&form(&at), rows.length);
                at.add_scaled(&super::affine(&row), rows.gap);
                elements += rows.gap;
            }
            if let Position::At(position) = place {
                at.add_scaled(position, elements);
            }
            elements *= dim.fixed;
        }
        at
    }
}

/// Positions of a tensor of rank `rank`: `inner` on `axes`, `outer` on the others, in order.
pub(super) fn interleave(
    rank: usize,
    axes: &[usize],
    outer: &[Place],
    inner: &[Place],
) -> Vec<Place> {
    let mut rest = outer.iter();
    (0..rank)
        .map(
            |axis| match axes.iter().position(|&reduced| reduced == axis) {
                Some(number) => inner[number].clone(),
                None => rest.next().cloned().unwrap_or(Position::constant(0)),
            },
        )
        .collect()
}

fn with_lane(axes: &[usize], counters: &[Place], lane: Option<usize>) -> (Vec<usize>, Vec<Place>) {
    let (mut axes, mut counters) = (axes.to_vec(), counters.to_vec());
    if let Some(lane) = lane {
        axes.push(lane);
        counters.push(Position::Lane);
    }
    (axes, counters)
}

fn unravel(mut number: i64, extents: &[i64]) -> Vec<i64> {
    let mut places = vec![0; extents.len()];
    for (place, extent) in places.iter_mut().zip(extents).rev() {
        *place = number % extent;
        number /= extent;
    }
    places
}
