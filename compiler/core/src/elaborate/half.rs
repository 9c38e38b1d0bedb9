//! The library on bf16: operands are widened, what it computes and keeps is f32, and its results are rounded once.
//!
//! The library's signatures say `f32`. A call of it from outside that is given bf16 is that of f32 between two casts; what
//! the library itself calls is inside them. Losses and metrics stay f32, which `minimize` and reports want.

use super::codes;
use super::context::Elaborator;
use super::diagnose::{Checked, error};
use super::expr::Given;
use super::value::{Applied, Tensor, Value};
use crate::graph::DType;
use dlm_grammar::Span;
use std::rc::Rc;

/// Files of the library whose results are not rounded.
const PRECISE: &[&str] = &["losses.dlm", "metrics.dlm"];

/// What a call of the library does about bf16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    /// Nothing was bf16, or the caller is the library.
    None,
    /// Results are rounded to bf16.
    Results,
}

impl Elaborator<'_> {
    /// Widens the bf16 tensors that a call from outside gives to the library.
    pub fn widened(&mut self, callee: &Applied, given: &mut [Given]) -> Checked<Rounding> {
        let inside = self.files[self.frame().file].library;
        if inside || !self.files[callee.definition.file].library {
            return Ok(Rounding::None);
        }
        let Some(half) = self.place_of(given, DType::Bf16) else {
            return Ok(Rounding::None);
        };
        if let Some(single) = self.place_of(given, DType::F32) {
            return Err(self.mixed_floats(half, single));
        }
        for argument in given {
            argument.value = self.floats_as(&argument.value, DType::F32);
        }
        let file = self.library.file_of(callee.definition.name());
        let precise = file.is_some_and(|file| PRECISE.contains(&file));
        Ok(if precise {
            Rounding::None
        } else {
            Rounding::Results
        })
    }

    /// The results of such a call.
    pub fn rounded(&mut self, rounding: Rounding, value: Value) -> Value {
        match rounding {
            Rounding::None => value,
            Rounding::Results => self.floats_as(&value, DType::Bf16),
        }
    }

    /// The first argument that holds a tensor of that element type.
    fn place_of(&mut self, given: &[Given], dtype: DType) -> Option<Span> {
        let found = given.iter().find(|each| self.holds(&each.value, dtype));
        found.map(|each| each.span)
    }

    fn holds(&self, value: &Value, dtype: DType) -> bool {
        match value {
            Value::Tensor(tensor) => self.is_of(*tensor, dtype),
            Value::List(items) | Value::Tuple(items) => {
                items.iter().any(|item| self.holds(item, dtype))
            }
            _ => false,
        }
    }

    fn is_of(&self, tensor: Tensor, dtype: DType) -> bool {
        tensor.graph == self.unit.number && self.type_of(tensor.node).dtype == dtype
    }

    /// The value with its float tensors converted.
    fn floats_as(&mut self, value: &Value, dtype: DType) -> Value {
        let mut all = |items: &Rc<Vec<Value>>| {
            let converted = items.iter().map(|item| self.floats_as(item, dtype));
            Rc::new(converted.collect::<Vec<Value>>())
        };
        match value {
            Value::List(items) => Value::List(all(items)),
            Value::Tuple(items) => Value::Tuple(all(items)),
            Value::Results(items) => Value::Results(all(items)),
            Value::Tensor(tensor)
                if self.is_of(*tensor, DType::F32) || self.is_of(*tensor, DType::Bf16) =>
            {
                let node = self.emit().cast(tensor.node, dtype);
                self.tensor(node)
            }
            other => other.clone(),
        }
    }

    fn mixed_floats(&mut self, half: Span, single: Span) -> super::diagnose::Poison {
        let message = "bf16 and f32 do not mix";
        self.report(
            error(codes::MIXED_TYPES, half, message)
                .label(single, "this is f32")
                .here("this is bf16")
                .help("`f32(…)` and `bf16(…)` convert"),
        )
    }
}
