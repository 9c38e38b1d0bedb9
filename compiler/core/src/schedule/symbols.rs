//! The variables of the fusion analysis: axes of a domain and of inlined windows, with known extents.

use super::affine::Affine;
use super::position::IndexSpace;

/// A variable; an index into [`Symbols`].
pub type Symbol = u32;

/// The extents of the variables of one analysis; `None` where the extent depends on the batch size.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    extents: Vec<Option<i64>>,
}

impl Symbols {
    /// A new variable that runs over `0..extent`.
    pub fn add(&mut self, extent: Option<i64>) -> Symbol {
        self.extents.push(extent);
        (self.extents.len() - 1) as Symbol
    }

    /// The extent of a variable.
    pub fn extent(&self, symbol: Symbol) -> Option<i64> {
        self.extents[symbol as usize]
    }
}

impl IndexSpace<Symbol> for Symbols {
    fn range(&self, variable: Symbol) -> Option<(i64, i64)> {
        self.extent(variable).map(|extent| (0, extent - 1))
    }

    fn divide(
        &mut self,
        numerator: &Affine<Symbol>,
        divisor: i64,
    ) -> Option<(Affine<Symbol>, Affine<Symbol>)> {
        numerator.split(divisor, &|variable| self.range(variable))
    }
}
