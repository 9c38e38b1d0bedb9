//! Reductions and prefix sums. `axis` is an int, a tuple or list of them, or `none` for all; `keep` leaves 1s.

use super::super::codes;
use super::super::context::Elaborator;
use super::super::diagnose::{Checked, error};
use super::super::numbers;
use super::super::value::Value;
use super::{Arguments, Intrinsic, wrong_static};
use crate::graph::{BinaryOp, DType, Dim, NodeId, ReduceOp};
use dlm_grammar::ast;

const STATICS: &[&str] = &["axis", "keep"];

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic::new("sum", STATICS, &["x"], |e, a| reduce(e, a, ReduceOp::Sum)),
    Intrinsic::new("prod", STATICS, &["x"], |e, a| reduce(e, a, ReduceOp::Prod)),
    Intrinsic::new("max", STATICS, &["x"], |e, a| reduce(e, a, ReduceOp::Max)),
    Intrinsic::new("min", STATICS, &["x"], |e, a| reduce(e, a, ReduceOp::Min)),
    Intrinsic::new("argmax", STATICS, &["x"], |e, a| {
        reduce(e, a, ReduceOp::ArgMax)
    }),
    Intrinsic::new("argmin", STATICS, &["x"], |e, a| {
        reduce(e, a, ReduceOp::ArgMin)
    }),
    Intrinsic::new("mean", STATICS, &["x"], mean),
    Intrinsic::new("cumsum", &["axis", "keep"], &["x"], cumulative_sum),
    Intrinsic::new("_count", STATICS, &["x"], |e, a| {
        let x = a.tensor(e, 0)?;
        let axes = axes(e, a, x)?;
        count(e, x, &axes)
    }),
];

/// Sums up to each place of an axis. All axes are there afterwards: with `keep` it is the same.
fn cumulative_sum(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = number_tensor(e, a)?;
    let rank = e.type_of(x).rank();
    let axis = one_axis(e, a, "axis", -1, rank)?;
    a.flag(e, "keep", true)?;
    let node = e.emit().cumulative_sum(x, axis);
    Ok(e.tensor(node))
}

fn reduce(e: &mut Elaborator<'_>, a: &Arguments, op: ReduceOp) -> Checked<Value> {
    if let Some(known) = folded(a, op) {
        return e.folded(known, a.span);
    }
    let x = number_tensor(e, a)?;
    let axes = axes(e, a, x)?;
    let keep = a.flag(e, "keep", false)?;
    let node = e.emit().reduce(op, x, &axes);
    let node = if keep { restored(e, node, &axes) } else { node };
    Ok(e.tensor(node))
}

fn mean(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    if let Some(sum) = folded(a, ReduceOp::Sum) {
        let sum = e.folded(sum, a.span)?;
        let count = a.value(0).as_elements().map_or(1, <[Value]>::len);
        let mean = numbers::binary(ast::BinaryOp::Divide, &sum, &Value::Int(count as i64));
        return e.folded(mean.unwrap_or(Ok(sum)), a.span);
    }
    let x = number_tensor(e, a)?;
    if !e.emit().dtype(x).is_float() {
        let message = format!("a mean of {} elements", e.type_of(x).dtype);
        return Err(
            e.report(error(codes::ELEMENT_TYPE, a.place(0), message).help("`f32(…)` converts"))
        );
    }
    let axes = axes(e, a, x)?;
    let keep = a.flag(e, "keep", false)?;
    // Neither the sum nor the count are rounded before they are divided.
    let own = e.emit().dtype(x);
    let x = e.emit().cast(x, DType::F32);
    let sum = e.emit().reduce(ReduceOp::Sum, x, &axes);
    let count = count(e, x, &axes)?;
    let count = e.tensor_of(&count, a.span)?;
    let shape = e.emit().shape(sum);
    let count = e.emit().broadcast(count, &shape);
    let node = e.emit().binary(BinaryOp::Div, sum, count);
    let node = e.emit().cast(node, own);
    let node = if keep { restored(e, node, &axes) } else { node };
    Ok(e.tensor(node))
}

/// The reduction of a list of numbers, all of which are known when the program is compiled.
fn folded(a: &Arguments, op: ReduceOp) -> Option<numbers::Folded> {
    let items = a.value(0).as_elements()?;
    let whole = !items.is_empty() && items.iter().all(Value::is_number);
    if !whole || a.given_static("axis").is_some() || a.given_static("keep").is_some() {
        return None;
    }
    let numbers: Vec<f64> = items.iter().filter_map(Value::as_float).collect();
    let place = |better: fn(&f64, &f64) -> bool| {
        let first =
            (0..numbers.len()).reduce(|best, at| match better(&numbers[at], &numbers[best]) {
                true => at,
                false => best,
            });
        first.unwrap_or(0)
    };
    let combined = |op: ast::BinaryOp| {
        let (first, rest) = items.split_first()?;
        rest.iter()
            .try_fold(Ok(first.clone()), |so_far, item| match so_far {
                Ok(so_far) => numbers::binary(op, &so_far, item),
                failed => Some(failed),
            })
    };
    match op {
        ReduceOp::Sum => combined(ast::BinaryOp::Add),
        ReduceOp::Prod => combined(ast::BinaryOp::Multiply),
        ReduceOp::Max => Some(Ok(items[place(|a, b| a > b)].clone())),
        ReduceOp::Min => Some(Ok(items[place(|a, b| a < b)].clone())),
        ReduceOp::ArgMax => Some(Ok(Value::Int(place(|a, b| a > b) as i64))),
        ReduceOp::ArgMin => Some(Ok(Value::Int(place(|a, b| a < b) as i64))),
    }
}

/// The operand, which must hold numbers.
fn number_tensor(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<NodeId> {
    let x = a.tensor(e, 0)?;
    if e.emit().dtype(x) == DType::Bool && !matches!(a.intrinsic.name, "max" | "min") {
        let message = format!("`{}` of truth values", a.intrinsic.name);
        return Err(e.report(
            error(codes::ELEMENT_TYPE, a.place(0), message).help("`f32(…)` makes 0 and 1 of them"),
        ));
    }
    Ok(x)
}

/// How many elements the axes have together: a whole number, or one that only the run knows.
fn count(e: &mut Elaborator<'_>, x: NodeId, axes: &[usize]) -> Checked<Value> {
    let shape = e.emit().shape(x);
    let mut known: i64 = 1;
    let mut open: Option<Dim> = None;
    for &axis in axes {
        match (shape[axis].known(), open) {
            (Some(extent), _) => known *= extent,
            (None, None) => open = Some(shape[axis]),
            // A second batch-dependent axis cannot be written as a multiple of the batch size.
            (None, Some(_)) => {
                let span = e.unit.emitter.span;
                let count = e.emit().graph.count(x, axes, span);
                let node = e.built(count, codes::SHAPE, span)?;
                return Ok(e.tensor(node));
            }
        }
    }
    Ok(match open {
        None => Value::Int(known),
        Some(dim) => Value::Extent(Dim {
            batch: dim.batch * known,
            fixed: dim.fixed * known,
        }),
    })
}

/// The axes of the call, ascending.
fn axes(e: &mut Elaborator<'_>, a: &Arguments, x: NodeId) -> Checked<Vec<usize>> {
    let rank = e.type_of(x).rank();
    let Some(given) = a.given_static("axis") else {
        return Ok((0..rank).collect());
    };
    let given = given.clone();
    let numbers: Option<Vec<i64>> = match given.value.as_elements() {
        Some(items) => items.iter().map(Value::as_int).collect(),
        None => given.value.as_int().map(|axis| vec![axis]),
    };
    let Some(numbers) = numbers else {
        return Err(wrong_static(
            e,
            &given,
            "axis",
            "an int, a tuple or a list of them",
        ));
    };
    let mut axes = Vec::new();
    for number in numbers {
        axes.push(e.axis(number, rank, given.span)?);
    }
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// A single axis among the statics.
pub(super) fn one_axis(
    e: &mut Elaborator<'_>,
    a: &Arguments,
    name: &str,
    default: i64,
    rank: usize,
) -> Checked<usize> {
    let number = a.int(e, name, Some(default))?;
    let span = a.given_static(name).map_or(a.span, |given| given.span);
    e.axis(number, rank, span)
}

/// 1s where axes were reduced.
fn restored(e: &mut Elaborator<'_>, mut node: NodeId, axes: &[usize]) -> NodeId {
    for &axis in axes {
        node = e.emit().insert_axis(node, axis);
    }
    node
}

impl Elaborator<'_> {
    /// An axis, which may count from the end.
    pub fn axis(&mut self, number: i64, rank: usize, span: dlm_grammar::Span) -> Checked<usize> {
        let rank = rank as i64;
        let axis = if number < 0 {
            number.saturating_add(rank)
        } else {
            number
        };
        if (0..rank).contains(&axis) {
            return Ok(axis as usize);
        }
        let message = format!("axis {number} of a tensor with {rank} dimensions");
        Err(self.report(error(codes::AXIS, span, message)))
    }

    /// What the graph's builder made, or a report of its refusal.
    pub fn built(
        &mut self,
        built: Result<NodeId, crate::graph::TypeError>,
        code: dlm_grammar::Code,
        span: dlm_grammar::Span,
    ) -> Checked<NodeId> {
        built.map_err(|refusal| self.report(error(code, span, refusal.0)))
    }
}
