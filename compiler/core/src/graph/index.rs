//! Affine index maps: how an operand's axis is addressed by the variables of an operation.

use smallvec::SmallVec;

/// The position along one axis of an operand: `(sum of coefficient * variable + offset) / divisor`.
///
/// A position is valid when the division leaves no remainder and the result lies within the axis; an invalid
/// position reads the operation's fill value (zero in a contraction).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AxisIndex {
    /// `(variable, coefficient)`, sorted by variable, no coefficient zero.
    pub terms: SmallVec<[(usize, i64); 2]>,
    /// The constant part.
    pub offset: i64,
    /// At least 1.
    pub divisor: i64,
}

impl AxisIndex {
    /// The variable itself.
    pub fn variable(variable: usize) -> AxisIndex {
        AxisIndex {
            terms: SmallVec::from_slice(&[(variable, 1)]),
            offset: 0,
            divisor: 1,
        }
    }

    /// A fixed position.
    pub fn constant(offset: i64) -> AxisIndex {
        AxisIndex {
            terms: SmallVec::new(),
            offset,
            divisor: 1,
        }
    }

    /// An affine form; terms are sorted and merged, zero coefficients dropped.
    pub fn affine(terms: &[(usize, i64)], offset: i64, divisor: i64) -> AxisIndex {
        let mut merged: SmallVec<[(usize, i64); 2]> = SmallVec::new();
        let mut sorted: SmallVec<[(usize, i64); 4]> = SmallVec::from_slice(terms);
        sorted.sort_unstable_by_key(|term| term.0);
        for (variable, coefficient) in sorted {
            match merged.last_mut() {
                Some(last) if last.0 == variable => last.1 += coefficient,
                _ => merged.push((variable, coefficient)),
            }
        }
        merged.retain(|term| term.1 != 0);
        AxisIndex {
            terms: merged,
            offset,
            divisor,
        }
    }

    /// The variable, if this is exactly one variable.
    pub fn as_variable(&self) -> Option<usize> {
        match (self.terms.as_slice(), self.offset, self.divisor) {
            ([(variable, 1)], 0, 1) => Some(*variable),
            _ => None,
        }
    }

    /// The coefficient of a variable, zero where it does not occur.
    pub fn coefficient(&self, variable: usize) -> i64 {
        self.terms
            .iter()
            .find(|term| term.0 == variable)
            .map_or(0, |term| term.1)
    }

    /// The position for given variables, or `None` where the division leaves a remainder.
    pub fn at(&self, variables: &[i64]) -> Option<i64> {
        let sum = self
            .terms
            .iter()
            .map(|&(v, c)| c * variables[v])
            .sum::<i64>()
            + self.offset;
        (sum.rem_euclid(self.divisor) == 0).then(|| sum.div_euclid(self.divisor))
    }
}
