//! Affine forms over variables of any kind, with exact division where the variables' ranges allow it.

use smallvec::SmallVec;

/// `sum of variable * coefficient + offset`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Affine<V: Copy + Ord> {
    /// Sorted by variable, no coefficient zero.
    pub terms: SmallVec<[(V, i64); 4]>,
    /// The constant part.
    pub offset: i64,
}

impl<V: Copy + Ord> Affine<V> {
    /// A constant.
    pub fn constant(offset: i64) -> Affine<V> {
        Affine {
            terms: SmallVec::new(),
            offset,
        }
    }

    /// One variable.
    pub fn variable(variable: V) -> Affine<V> {
        Affine {
            terms: SmallVec::from_iter([(variable, 1)]),
            offset: 0,
        }
    }

    /// The value, if no variable occurs.
    pub fn as_constant(&self) -> Option<i64> {
        self.terms.is_empty().then_some(self.offset)
    }

    /// The coefficient of a variable, zero where it does not occur.
    pub fn coefficient(&self, variable: V) -> i64 {
        self.terms
            .iter()
            .find(|term| term.0 == variable)
            .map_or(0, |term| term.1)
    }

    /// Adds `factor * other`.
    pub fn add_scaled(&mut self, other: &Affine<V>, factor: i64) {
        if factor == 0 {
            return;
        }
        self.offset += factor * other.offset;
        for &(variable, coefficient) in &other.terms {
            match self.terms.binary_search_by_key(&variable, |term| term.0) {
                Ok(place) => {
                    self.terms[place].1 += factor * coefficient;
                    if self.terms[place].1 == 0 {
                        self.terms.remove(place);
                    }
                }
                Err(place) => self.terms.insert(place, (variable, factor * coefficient)),
            }
        }
    }

    /// This plus a constant.
    pub fn plus(mut self, offset: i64) -> Affine<V> {
        self.offset += offset;
        self
    }

    /// The least and the greatest value, where every variable's range (inclusive) is known.
    pub fn bounds(&self, range: &dyn Fn(V) -> Option<(i64, i64)>) -> Option<(i64, i64)> {
        let mut bounds = (self.offset, self.offset);
        for &(variable, coefficient) in &self.terms {
            let (low, high) = range(variable)?;
            let ends = (coefficient * low, coefficient * high);
            bounds = (bounds.0 + ends.0.min(ends.1), bounds.1 + ends.0.max(ends.1));
        }
        Some(bounds)
    }

    /// Floor quotient and remainder by `divisor`, where both are again affine: the terms that `divisor` divides give
    /// the quotient if what remains is known to lie within `0..divisor`.
    pub fn split(
        &self,
        divisor: i64,
        range: &dyn Fn(V) -> Option<(i64, i64)>,
    ) -> Option<(Affine<V>, Affine<V>)> {
        if divisor == 1 {
            return Some((self.clone(), Affine::constant(0)));
        }
        let mut quotient = Affine::constant(self.offset.div_euclid(divisor));
        let mut remainder = Affine::constant(self.offset.rem_euclid(divisor));
        for &(variable, coefficient) in &self.terms {
            let whole = coefficient.div_euclid(divisor) * divisor;
            let target = Affine::variable(variable);
            if coefficient % divisor == 0 {
                quotient.add_scaled(&target, coefficient / divisor);
            } else {
                quotient.add_scaled(&target, whole / divisor);
                remainder.add_scaled(&target, coefficient - whole);
            }
        }
        let (low, high) = remainder.bounds(range)?;
        (low >= 0 && high < divisor).then_some((quotient, remainder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_a_row_major_position_into_its_axes() {
        // 16 * a + 4 * b + c with b, c in 0..4
        let mut position = Affine::variable(2u32);
        position.add_scaled(&Affine::variable(0), 16);
        position.add_scaled(&Affine::variable(1), 4);
        let range = |variable: u32| (variable > 0).then_some((0, 3));
        let (rest, last) = position.split(4, &range).unwrap();
        assert_eq!(last, Affine::variable(2));
        let (first, middle) = rest.split(4, &range).unwrap();
        assert_eq!((first, middle), (Affine::variable(0), Affine::variable(1)));
    }

    #[test]
    fn refuses_a_remainder_that_may_overflow() {
        let position = Affine::variable(0u32).plus(2);
        assert_eq!(position.split(4, &|_| Some((0, 3))), None);
        assert_eq!(
            position.split(8, &|_| Some((0, 3))).unwrap().0,
            Affine::constant(0)
        );
    }
}
