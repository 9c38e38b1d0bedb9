//! Affine forms over index values: the arithmetic of addresses.

use super::{Address, Buffer, Value};

/// `sum of value * coefficient + offset`. Terms are sorted by value and have nonzero coefficients, so equal forms
/// compare equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Affine {
    terms: Vec<(Value, i64)>,
    offset: i64,
}

impl Affine {
    /// A constant.
    pub fn constant(offset: i64) -> Affine {
        Affine {
            terms: Vec::new(),
            offset,
        }
    }

    /// One value, which must be of type `Index`.
    pub fn value(value: Value) -> Affine {
        Affine::term(value, 1)
    }

    /// `value * coefficient`.
    pub fn term(value: Value, coefficient: i64) -> Affine {
        let terms = match coefficient {
            0 => Vec::new(),
            _ => vec![(value, coefficient)],
        };
        Affine { terms, offset: 0 }
    }

    /// From terms in any order, with repetitions.
    pub fn from_terms(terms: impl IntoIterator<Item = (Value, i64)>, offset: i64) -> Affine {
        let mut sorted: Vec<(Value, i64)> = terms.into_iter().collect();
        sorted.sort_by_key(|term| term.0);
        let mut merged: Vec<(Value, i64)> = Vec::with_capacity(sorted.len());
        for (value, coefficient) in sorted {
            match merged.last_mut() {
                Some(last) if last.0 == value => last.1 = last.1.wrapping_add(coefficient),
                _ => merged.push((value, coefficient)),
            }
        }
        merged.retain(|term| term.1 != 0);
        Affine {
            terms: merged,
            offset,
        }
    }

    /// The terms, sorted by value.
    pub fn terms(&self) -> &[(Value, i64)] {
        &self.terms
    }

    /// The constant part.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// The whole form, if it is constant.
    pub fn as_constant(&self) -> Option<i64> {
        self.terms.is_empty().then_some(self.offset)
    }

    /// The value, if the form is one value and nothing else.
    pub fn as_value(&self) -> Option<Value> {
        match (self.terms.as_slice(), self.offset) {
            ([(value, 1)], 0) => Some(*value),
            _ => None,
        }
    }

    /// The sum.
    pub fn add(&self, other: &Affine) -> Affine {
        let terms = self.terms.iter().chain(&other.terms).copied();
        Affine::from_terms(terms, self.offset.wrapping_add(other.offset))
    }

    /// The difference.
    pub fn sub(&self, other: &Affine) -> Affine {
        self.add(&other.scale(-1))
    }

    /// With a constant added.
    pub fn add_constant(&self, constant: i64) -> Affine {
        Affine {
            terms: self.terms.clone(),
            offset: self.offset.wrapping_add(constant),
        }
    }

    /// With `value * coefficient` added.
    pub fn add_term(&self, value: Value, coefficient: i64) -> Affine {
        self.add(&Affine::term(value, coefficient))
    }

    /// Multiplied by a constant.
    pub fn scale(&self, factor: i64) -> Affine {
        let terms = self
            .terms
            .iter()
            .map(|&(value, coefficient)| (value, coefficient.wrapping_mul(factor)))
            .filter(|term| term.1 != 0)
            .collect();
        Affine {
            terms,
            offset: self.offset.wrapping_mul(factor),
        }
    }

    /// As quotient and rest by a positive divisor: `self = quotient * divisor + rest`, where the rest has the terms
    /// and the part of the offset that the divisor does not divide.
    pub fn split(&self, divisor: i64) -> (Affine, Affine) {
        let mut quotient = Affine::constant(self.offset.div_euclid(divisor));
        let mut rest = Affine::constant(self.offset.rem_euclid(divisor));
        for &(value, coefficient) in &self.terms {
            match coefficient % divisor {
                0 => quotient.terms.push((value, coefficient / divisor)),
                _ => rest.terms.push((value, coefficient)),
            }
        }
        (quotient, rest)
    }

    /// As a place in a buffer.
    pub fn address(self, buffer: Buffer) -> Address {
        Address {
            buffer,
            terms: self.terms,
            offset: self.offset,
        }
    }
}

impl From<i64> for Affine {
    fn from(offset: i64) -> Affine {
        Affine::constant(offset)
    }
}

impl From<Value> for Affine {
    fn from(value: Value) -> Affine {
        Affine::value(value)
    }
}

impl From<&Affine> for Affine {
    fn from(form: &Affine) -> Affine {
        form.clone()
    }
}
