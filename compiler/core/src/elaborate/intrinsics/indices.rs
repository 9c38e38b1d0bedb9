//! Integers as indices: rows of tables and classes. What they may be is noted, so that data is checked.

use super::super::codes;
use super::super::context::Elaborator;
use super::super::diagnose::{Checked, error};
use super::super::program::IndexBound;
use super::super::value::Value;
use super::reductions::one_axis;
use super::{Arguments, Intrinsic};
use crate::graph::{BinaryOp, DType, Dim, NodeId};

pub(super) const TABLE: &[Intrinsic] = &[
    Intrinsic::new("gather", &[], &["x", "ids"], gather),
    Intrinsic::new(
        "_is_class",
        &["classes", "axis", "except"],
        &["ids"],
        is_class,
    ),
    Intrinsic::new("_check_index", &["below", "except"], &["ids"], |e, a| {
        let ids = integers(e, a, 0)?;
        let below = a.extent(e, "below")?;
        let except = a
            .given_static("except")
            .and_then(|given| given.value.as_int());
        note_bound(e, ids, below, except, a.span);
        Ok(e.tensor(ids))
    }),
];

/// The argument as a tensor of i32.
fn integers(e: &mut Elaborator<'_>, a: &Arguments, position: usize) -> Checked<NodeId> {
    let node = a.tensor(e, position)?;
    if e.emit().dtype(node) == DType::I32 {
        return Ok(node);
    }
    let message = format!("indices must be i32, these are {}", e.type_of(node));
    Err(e.report(error(codes::ELEMENT_TYPE, a.place(position), message).help("`i32(…)` converts")))
}

fn note_bound(
    e: &mut Elaborator<'_>,
    ids: NodeId,
    below: Dim,
    except: Option<i64>,
    span: dlm_grammar::Span,
) {
    let place = e.unit.emitter.span;
    let span = if e.reporter.is_library(span.file) {
        place
    } else {
        span
    };
    let ids = e.all_rounds(ids);
    e.unit.bounds.push((
        ids,
        IndexBound {
            below,
            except,
            span,
        },
    ));
}

/// `gather(x, ids)`: rows of axis 0.
fn gather(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let x = a.tensor(e, 0);
    let ids = integers(e, a, 1);
    let (x, ids) = (x?, ids?);
    let Some(rows) = e.emit().shape(x).first().copied() else {
        let message = "a scalar has no rows";
        return Err(e.report(error(codes::RANK, a.place(0), message)));
    };
    note_bound(e, ids, rows, None, a.span);
    let node = e.emit().gather(x, ids);
    Ok(e.tensor(node))
}

/// `_is_class[classes, axis, except](ids)`: bool with a new axis, true where the position along it is the id.
fn is_class(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let ids = integers(e, a, 0)?;
    let classes = a.extent(e, "classes")?;
    let except = a
        .given_static("except")
        .and_then(|given| given.value.as_int());
    if !classes.never_negative() || classes.fixed > 1 << 31 {
        let message = format!("{classes} classes");
        return Err(e.report(error(codes::SHAPE, a.span, message)));
    }
    note_bound(e, ids, classes, except, a.span);
    let rank = e.type_of(ids).rank();
    let axis = one_axis(e, a, "axis", -1, rank + 1)?;
    let wide = e.emit().insert_axis(ids, axis);
    let mut shape = e.emit().shape(wide);
    shape[axis] = classes;
    let wide = e.emit().broadcast(wide, &shape);
    let positions = e.emit().iota(shape, axis);
    let node = e.emit().binary(BinaryOp::Eq, wide, positions);
    Ok(e.tensor(node))
}
