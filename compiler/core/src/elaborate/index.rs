//! Indices and slices, Python's.

use super::batch_axis::Positions;
use super::codes;
use super::context::Elaborator;
use super::diagnose::{Checked, error};
use super::recurrence::Counter;
use super::value::Value;
use crate::graph::{AxisIndex, Dim, NodeId};
use dlm_grammar::Span;
use dlm_grammar::ast::{BracketItem, BracketKind, Expr};

/// What one entry of the brackets does to an axis.
enum Step {
    /// Takes one position; the axis vanishes.
    At(i64),
    /// Takes the position of a recurrence's round; the axis vanishes.
    Counted(Counter),
    /// Takes so many positions from that of a recurrence's round on.
    Window { first: Counter, extent: i64 },
    /// Takes positions of an axis whose size depends on the batch; the axis vanishes where it is one.
    Rows { positions: Positions, is_one: bool },
    /// Takes `extent` positions from `start`, `step` apart.
    Range { start: i64, step: i64, extent: Dim },
}

/// Where one axis of a tensor is read.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The same in each round of a recurrence.
    Fixed(AxisIndex),
    /// At the counter, or from there on along an axis of the result.
    Counted(Counter, Option<usize>),
}

impl Elaborator<'_> {
    /// `base[items]` of a tensor, list, tuple or several results.
    pub fn index(
        &mut self,
        base: Value,
        base_span: Span,
        items: &[BracketItem],
        span: Span,
    ) -> Checked<Value> {
        self.at(span);
        match &base {
            Value::List(values) | Value::Tuple(values) | Value::Results(values) => {
                self.element(values, items, span)
            }
            _ => {
                let node = self.tensor_of(&base, base_span)?;
                self.slice(node, items, span)
            }
        }
    }

    fn element(&mut self, values: &[Value], items: &[BracketItem], span: Span) -> Checked<Value> {
        let [item] = items else {
            let message = "a list takes one index";
            return Err(self.report(error(codes::INDEX, span, message)));
        };
        let length = values.len() as i64;
        match &item.kind {
            BracketKind::Value(expr) => {
                let index = self.known_int(expr)?;
                let position = if index < 0 {
                    index.saturating_add(length)
                } else {
                    index
                };
                let found = usize::try_from(position)
                    .ok()
                    .and_then(|index| values.get(index));
                found.cloned().ok_or_else(|| {
                    let message = format!("index {index} of a list with {length} elements");
                    self.report(error(codes::INDEX, item.span, message))
                })
            }
            BracketKind::Slice { start, stop, step } => {
                let range = self.bounds(start, stop, step, length, item.span)?;
                let Step::Range {
                    start,
                    step,
                    extent,
                } = range
                else {
                    return Ok(Value::None);
                };
                let picked =
                    (0..extent.fixed).map(|index| values[(start + index * step) as usize].clone());
                Ok(Value::list(picked.collect()))
            }
            _ => {
                let message = "a list takes an index or a slice";
                Err(self.report(error(codes::INDEX, item.span, message)))
            }
        }
    }

    fn slice(&mut self, mut node: NodeId, items: &[BracketItem], span: Span) -> Checked<Value> {
        let own = self.emit().shape(node);
        let rest = items
            .iter()
            .position(|item| matches!(item.kind, BracketKind::Rest));
        let named = items.len() - usize::from(rest.is_some());
        if named > own.len() {
            let message = format!("{named} indices of {}", self.type_of(node));
            return Err(self.report(error(codes::INDEX, span, message)));
        }
        let skipped = own.len() - named;
        let mut shape = Vec::new();
        let mut index: Vec<Place> = Vec::new();
        for item in items {
            if matches!(item.kind, BracketKind::Rest) {
                for _ in 0..skipped {
                    index.push(Place::Fixed(AxisIndex::variable(shape.len())));
                    shape.push(own[index.len() - 1]);
                }
                continue;
            }
            let dim = own[index.len()];
            match self.step(item, dim)? {
                Step::At(position) => index.push(Place::Fixed(AxisIndex::constant(position))),
                Step::Counted(counter) => index.push(Place::Counted(counter, None)),
                Step::Window { first, extent } => {
                    index.push(Place::Counted(first, Some(shape.len())));
                    shape.push(Dim::fixed(extent));
                }
                Step::Rows { positions, is_one } => {
                    node = match is_one {
                        true => self.batch_rows(node, index.len(), positions, item.span)?,
                        false => self.rows_at(node, index.len(), positions),
                    };
                    index.push(Place::Fixed(match is_one {
                        true => AxisIndex::constant(0),
                        false => AxisIndex::variable(shape.len()),
                    }));
                    shape.extend((!is_one).then_some(positions.extent));
                }
                Step::Range {
                    start,
                    step,
                    extent,
                } => {
                    let axis = AxisIndex::affine(&[(shape.len(), step)], start, 1);
                    index.push(Place::Fixed(axis));
                    shape.push(extent);
                }
            }
        }
        for &dim in &own[index.len()..] {
            index.push(Place::Fixed(AxisIndex::variable(shape.len())));
            shape.push(dim);
        }
        let fixed = index.iter().map(|place| match place {
            Place::Fixed(axis) => Some(axis.clone()),
            Place::Counted(..) => None,
        });
        let view = match fixed.collect() {
            Some(index) => Some(self.emit().view(node, shape, index)),
            None => self.row_of(node, shape, index),
        };
        match view {
            Some(view) => Ok(self.tensor(view)),
            None => {
                let message = "an index that moves in a way that only a written out loop has";
                Err(self.report(error(codes::INDEX, span, message)))
            }
        }
    }

    fn step(&mut self, item: &BracketItem, dim: Dim) -> Checked<Step> {
        match &item.kind {
            BracketKind::Value(expr) => self.position(expr, dim),
            BracketKind::Slice { start, stop, step } => {
                if start.is_none() && stop.is_none() && step.is_none() {
                    return Ok(Step::Range {
                        start: 0,
                        step: 1,
                        extent: dim,
                    });
                }
                if let Some(window) = self.window([start, stop, step], item.span)? {
                    return Ok(window);
                }
                let Some(extent) = dim.known() else {
                    let positions = self.batch_slice([start, stop, step], dim, item.span)?;
                    return Ok(Step::Rows {
                        positions,
                        is_one: false,
                    });
                };
                self.bounds(start, stop, step, extent, item.span)
            }
            BracketKind::Named { name, .. } => {
                let message = format!("`{}=` in an index", name.name);
                Err(self.report(error(codes::INDEX, item.span, message)))
            }
            BracketKind::Rest => Ok(Step::Range {
                start: 0,
                step: 1,
                extent: dim,
            }),
        }
    }

    /// A slice between two positions that move with a recurrence's rounds. Its size may not.
    fn window(
        &mut self,
        [start, stop, step]: [&Option<Expr>; 3],
        span: Span,
    ) -> Checked<Option<Step>> {
        if !self.is_tracing() {
            return Ok(None);
        }
        let mut end = |expr: &Option<Expr>| {
            let value = expr.as_ref().map(|expr| self.value(expr)).transpose()?;
            Ok(match value {
                Some(Value::Counter(counter)) => Some(counter),
                _ => None,
            })
        };
        match (end(start)?, end(stop)?) {
            (None, None) => Ok(None),
            (Some(first), Some(last))
                if (first.trace, first.scale) == (last.trace, last.scale)
                    && last.offset >= first.offset
                    && step.is_none() =>
            {
                let extent = last.offset - first.offset;
                Ok(Some(Step::Window { first, extent }))
            }
            _ => {
                self.sized_by_counter(span);
                Ok(None)
            }
        }
    }

    fn position(&mut self, expr: &Expr, dim: Dim) -> Checked<Step> {
        let value = self.value(expr)?;
        if value.holds_tensor() {
            let message = "a tensor as an index";
            return Err(self.report(
                error(codes::INDEX, expr.span, message)
                    .help("`gather(x, ids)` takes rows of axis 0"),
            ));
        }
        if let Value::Counter(counter) = value {
            return Ok(Step::Counted(counter));
        }
        let Some(index) = value.as_int() else {
            let message = format!(
                "an index must be a whole number, this is {}",
                value.described()
            );
            return Err(self.report(error(codes::NOT_COMPILE_TIME, expr.span, message)));
        };
        let Some(extent) = dim.known() else {
            return Ok(Step::Rows {
                positions: self.batch_position(index, dim),
                is_one: true,
            });
        };
        let position = if index < 0 {
            index.saturating_add(extent)
        } else {
            index
        };
        if (0..extent).contains(&position) {
            return Ok(Step::At(position));
        }
        let message = format!("index {index} of an axis with {extent} elements");
        Err(self.report(error(codes::INDEX, expr.span, message)))
    }

    /// A slice's positions; bounds are clipped, as in Python.
    fn bounds(
        &mut self,
        start: &Option<Expr>,
        stop: &Option<Expr>,
        step: &Option<Expr>,
        extent: i64,
        span: Span,
    ) -> Checked<Step> {
        let mut bound =
            |expr: &Option<Expr>| expr.as_ref().map(|expr| self.known_int(expr)).transpose();
        let (start, stop, step) = (bound(start), bound(stop), bound(step));
        let (start, stop, step) = (start?, stop?, step?.unwrap_or(1));
        if step == 0 {
            let message = "a slice with step 0";
            return Err(self.report(error(codes::INDEX, span, message)));
        }
        let (low, high) = if step > 0 {
            (0, extent)
        } else {
            (-1, extent - 1)
        };
        let clip = |bound: i64| {
            (if bound < 0 {
                bound.saturating_add(extent)
            } else {
                bound
            })
            .clamp(low, high)
        };
        let first = start.map_or(if step > 0 { low } else { high }, clip);
        let last = stop.map_or(if step > 0 { high } else { low }, clip);
        let distance = if step > 0 { last - first } else { first - last };
        let count =
            distance.max(0).saturating_add(step.saturating_abs() - 1) / step.saturating_abs();
        Ok(Step::Range {
            start: first,
            step,
            extent: Dim::fixed(count),
        })
    }

    /// Row `index` of axis 0.
    pub fn row(&mut self, node: NodeId, index: i64) -> Value {
        let shape = self.emit().shape(node);
        let mut position = vec![AxisIndex::constant(index)];
        position.extend((0..shape.len() - 1).map(AxisIndex::variable));
        let view = self.emit().view(node, shape[1..].to_vec(), position);
        self.tensor(view)
    }
}
