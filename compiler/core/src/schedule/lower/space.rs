//! Index arithmetic of a kernel under construction.

use super::{Lowering, affine, form};
use crate::loops::Value;
use crate::schedule::affine::Affine;
use crate::schedule::position::IndexSpace;

impl IndexSpace<Value> for Lowering<'_> {
    fn range(&self, variable: Value) -> Option<(i64, i64)> {
        let range = self.b.range(&variable.into());
        range.min.zip(range.max)
    }

    fn divide(
        &mut self,
        numerator: &Affine<Value>,
        divisor: i64,
    ) -> Option<(Affine<Value>, Affine<Value>)> {
        // A vector's lanes are at its counter and after it: none of them may be in another row.
        let along = self.counter_along();
        let ahead = |variable| match along {
            Some((counter, elements)) if counter == variable => elements - 1,
            _ => 0,
        };
        let range = |variable| {
            let (low, high) = self.range(variable)?;
            Some((low, high + ahead(variable)))
        };
        if let Some(parts) = numerator.split(divisor, &range) {
            return Some(parts);
        }
        if let Some((counter, _)) = along
            && numerator.coefficient(counter) != 0
        {
            return None;
        }
        let numerator = form(numerator);
        let quotient = self.b.div_floor(&numerator, divisor);
        let remainder = self.b.mod_floor(&numerator, divisor);
        Some((affine(&quotient), affine(&remainder)))
    }
}
