//! The factor that a run itself keeps: it falls when a metric no longer gets better.

use super::super::codes;
use super::super::context::Elaborator;
use super::super::diagnose::{Checked, error};
use super::super::program::PlateauSpec;
use super::super::value::Value;
use super::{Arguments, Intrinsic, wrong_static};
use crate::graph::DType;

pub(super) const TABLE: &[Intrinsic] = &[Intrinsic::new(
    "_plateau",
    &["metric", "factor", "patience", "threshold", "mode"],
    &[],
    plateau,
)
.making()];

/// `_plateau[metric, factor, patience, threshold, mode]`: an f32 scalar that the run sets before each step.
fn plateau(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Value> {
    let spec = PlateauSpec {
        name: String::new(),
        metric: text(e, a, "metric")?.unwrap_or_default(),
        factor: number(e, a, "factor")?,
        patience: a.int(e, "patience", None)?.max(0),
        threshold: number(e, a, "threshold")?,
        larger: larger(e, a)?,
        span: e.unit.emitter.span,
    };
    let known = e.plateaus.iter().position(|own| own.same_as(&spec));
    let index = known.unwrap_or(e.plateaus.len());
    let name = format!("plateau.{index}");
    let node = e.run_scalar(&name, DType::F32);
    if known.is_none() {
        e.plateaus.push(PlateauSpec { name, ..spec });
    }
    Ok(e.tensor(node))
}

fn text(e: &mut Elaborator<'_>, a: &Arguments, name: &str) -> Checked<Option<String>> {
    let Some(given) = a.given_static(name) else {
        return Ok(None);
    };
    match given.value.as_text() {
        Some(text) => Ok(Some(text.to_owned())),
        None => Err(wrong_static(e, given, name, "text")),
    }
}

fn number(e: &mut Elaborator<'_>, a: &Arguments, name: &str) -> Checked<f64> {
    let given = a.given_static(name);
    let Some(given) = given else { return Ok(0.0) };
    let value = given.value.as_float();
    value.ok_or_else(|| wrong_static(e, given, name, "a float"))
}

/// Whether the larger is better; none where the metric's name is to tell.
fn larger(e: &mut Elaborator<'_>, a: &Arguments) -> Checked<Option<bool>> {
    match text(e, a, "mode")?.as_deref() {
        None => Ok(None),
        Some("min") => Ok(Some(false)),
        Some("max") => Ok(Some(true)),
        Some(other) => {
            let message = format!("`mode` is \"min\" or \"max\", not \"{other}\"");
            let span = e.unit.emitter.span;
            Err(e.report(error(codes::STATIC_TYPE, span, message)))
        }
    }
}
