//! Affine index maps: how an operand's axis is addressed by the variables of an operation.

use super::Dim;
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

    /// The position with every variable replaced by an index over other variables.
    ///
    /// A remainder in a replacement is not remembered unless it shows in the result: sound where the replaced
    /// variable's own validity is checked elsewhere or `replacement` has divisors 1.
    pub fn substitute(&self, replacement: impl Fn(usize) -> AxisIndex) -> AxisIndex {
        let parts: SmallVec<[(i64, AxisIndex); 2]> = self
            .terms
            .iter()
            .map(|&(variable, coefficient)| (coefficient, replacement(variable)))
            .collect();
        let common = parts
            .iter()
            .fold(1, |common, (_, part)| lcm(common, part.divisor));
        let mut terms: SmallVec<[(usize, i64); 4]> = SmallVec::new();
        let mut offset = self.offset * common;
        for (coefficient, part) in &parts {
            let scale = coefficient * (common / part.divisor);
            offset += part.offset * scale;
            terms.extend(
                part.terms
                    .iter()
                    .map(|&(variable, inner)| (variable, inner * scale)),
            );
        }
        AxisIndex::affine(&terms, offset, self.divisor * common).reduced()
    }

    /// The same with a common factor of all coefficients, offset and divisor taken out.
    pub fn reduced(mut self) -> AxisIndex {
        let factor = self
            .terms
            .iter()
            .fold(gcd(self.offset, self.divisor), |factor, term| {
                gcd(factor, term.1)
            });
        if factor > 1 {
            self.terms.iter_mut().for_each(|term| term.1 /= factor);
            self.offset /= factor;
            self.divisor /= factor;
        }
        self
    }

    /// Whether every position is valid on an axis of that extent, for variables of the given extents and any batch
    /// size of at least 1.
    pub fn always_valid(&self, extents: &[Dim], axis: Dim) -> bool {
        if self.divisor != 1 {
            return false;
        }
        let (mut low, mut high) = (Dim::fixed(self.offset), Dim::fixed(self.offset));
        for &(variable, coefficient) in &self.terms {
            let last = extents[variable].plus(-1).times(coefficient);
            let bound = if coefficient > 0 { &mut high } else { &mut low };
            *bound = bound.add(last);
        }
        low.never_negative() && axis.plus(-1).add(high.times(-1)).never_negative()
    }
}

/// The greatest common divisor, not negative.
pub(crate) fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}

fn lcm(a: i64, b: i64) -> i64 {
    a / gcd(a, b) * b
}
