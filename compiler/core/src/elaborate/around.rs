//! What every optimizer takes beside the statics that it declares, and what it does to gradients.

use super::codes;
use super::context::Elaborator;
use super::diagnose::{Checked, error};
use super::glob::matches_any;
use super::ranges::range_of;
use super::value::{Applied, GivenStatic, Value};
use crate::graph::{BinaryOp, NodeId, ReduceOp, UnaryOp};

/// The statics that every optimizer takes beside those it declares.
const UNIVERSAL: &[&str] = &[
    "no_decay",
    "clip_value",
    "clip_norm",
    "freeze",
    "accumulate",
    "ema",
];

/// What is done to gradients and parameters around an optimizer's body.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// Each element of a gradient is kept between minus this and this.
    pub clip_value: Option<f64>,
    /// The largest norm of all gradients together.
    pub clip_norm: Option<f64>,
    /// How many steps' gradients make one update, where more than one.
    pub accumulate: Option<i64>,
    /// How much of the average stays at each update.
    pub ema: Option<f64>,
    /// Patterns of parameters that are not updated.
    pub freeze: Vec<String>,
    /// Patterns of parameters whose `decay` is 0.
    pub no_decay: Vec<String>,
}

impl Around {
    /// The statics that the optimizer itself declares; `decay` is 0 for a parameter that `no_decay` names.
    pub fn own_statics(&self, rule: &Applied, path: &str) -> Vec<GivenStatic> {
        let universal = |given: &&GivenStatic| {
            given
                .name
                .as_deref()
                .is_some_and(|name| is_universal(rule, name))
        };
        let mut statics: Vec<GivenStatic> = rule
            .statics
            .iter()
            .filter(|given| !universal(given))
            .cloned()
            .collect();
        let declared = &rule.definition.get().statics;
        let decay = declared.iter().position(|own| own.name.name == "decay");
        if let Some(decay) = decay.filter(|_| matches_any(&self.no_decay, path)) {
            statics.retain(|given| given.name.as_deref() != Some("decay"));
            // Given by position, it keeps its place, for what follows it.
            let mut unnamed = statics.iter_mut().filter(|given| given.name.is_none());
            if let Some(given) = unnamed.nth(decay) {
                given.value = Value::Float(0.0);
                return statics;
            }
            statics.push(GivenStatic {
                name: Some("decay".to_owned()),
                value: Value::Float(0.0),
                span: rule.definition.get().name.span,
            });
        }
        statics
    }
}

impl Elaborator<'_> {
    /// The universal statics of an optimizer; every mistake in them is reported.
    pub fn around(&mut self, rule: &Applied) -> Checked<Around> {
        let mut around = Around::default();
        let mut failed = Ok(());
        for given in &rule.statics {
            let name = given.name.as_deref().unwrap_or("");
            if !is_universal(rule, name) || given.value.is_none() {
                continue;
            }
            let set = self.set_around(&mut around, name, given);
            failed = failed.and(set);
        }
        failed.map(|()| around)
    }

    fn set_around(&mut self, around: &mut Around, name: &str, given: &GivenStatic) -> Checked<()> {
        match name {
            "freeze" => around.freeze = self.patterns(given)?,
            "no_decay" => around.no_decay = self.patterns(given)?,
            "clip_value" => around.clip_value = Some(self.in_range(name, given)?),
            "clip_norm" => around.clip_norm = Some(self.in_range(name, given)?),
            "ema" => around.ema = Some(self.in_range(name, given)?),
            _ => {
                let count = self.in_range(name, given)?;
                around.accumulate = (count > 1.0).then_some(count as i64);
            }
        }
        Ok(())
    }

    /// A number that every optimizer takes, which must be one of those that it may be.
    fn in_range(&mut self, name: &str, given: &GivenStatic) -> Checked<f64> {
        let range = range_of(name);
        match given.value.as_float() {
            Some(number) if (range.holds)(number) => Ok(number),
            found => {
                let code = match found {
                    Some(_) => codes::STATIC_RANGE,
                    None => codes::STATIC_TYPE,
                };
                let shown = given.value.described();
                let message = format!("`{name}` {}, and this is {shown}", range.wanted);
                Err(self.report(error(code, given.span, message)))
            }
        }
    }

    /// The patterns that a static gives.
    pub fn patterns(&mut self, given: &GivenStatic) -> Checked<Vec<String>> {
        let texts: Option<Vec<String>> = match given.value.as_elements() {
            Some(items) => items
                .iter()
                .map(|item| item.as_text().map(str::to_owned))
                .collect(),
            None => given.value.as_text().map(|text| vec![text.to_owned()]),
        };
        texts.ok_or_else(|| {
            let message = format!(
                "a list of patterns is needed, this is {}",
                given.value.kind()
            );
            self.report(error(codes::STATIC_TYPE, given.span, message).help("`[\"*.bias\"]`"))
        })
    }

    /// Each element between minus the limit and the limit.
    pub fn clamped(&mut self, gradient: NodeId, limit: f64) -> NodeId {
        let shape = self.emit().shape(gradient);
        let scalars = [(BinaryOp::Min, limit), (BinaryOp::Max, -limit)];
        scalars.into_iter().fold(gradient, |node, (op, limit)| {
            let limit = self.emit().float(limit);
            let limit = self.emit().broadcast(limit, &shape);
            self.emit().binary(op, node, limit)
        })
    }

    /// Scales all gradients by one factor, so that their norm together is at most `limit` (PyTorch's
    /// `clip_grad_norm_`).
    pub fn clip_by_norm(&mut self, updates: &mut [(String, NodeId)], limit: f64) {
        let mut total: Option<NodeId> = None;
        for (_, gradient) in updates.iter() {
            let rank = self.emit().ty(*gradient).rank();
            let axes: Vec<usize> = (0..rank).collect();
            let square = self.emit().binary(BinaryOp::Mul, *gradient, *gradient);
            let sum = self.emit().reduce(ReduceOp::Sum, square, &axes);
            total = Some(match total {
                Some(total) => self.emit().binary(BinaryOp::Add, total, sum),
                None => sum,
            });
        }
        let Some(total) = total else { return };
        let norm = self.emit().unary(UnaryOp::Sqrt, total);
        let small = self.emit().float(1e-6);
        let norm = self.emit().binary(BinaryOp::Add, norm, small);
        let limit = self.emit().float(limit);
        let factor = self.emit().binary(BinaryOp::Div, limit, norm);
        let one = self.emit().float(1.0);
        let factor = self.emit().binary(BinaryOp::Min, factor, one);
        for (_, gradient) in updates {
            let shape = self.emit().shape(*gradient);
            let factor = self.emit().broadcast(factor, &shape);
            *gradient = self.emit().binary(BinaryOp::Mul, *gradient, factor);
        }
    }
}

fn is_universal(rule: &Applied, name: &str) -> bool {
    let declared = rule
        .definition
        .get()
        .statics
        .iter()
        .any(|own| own.name.name == name);
    UNIVERSAL.contains(&name) && !declared
}
