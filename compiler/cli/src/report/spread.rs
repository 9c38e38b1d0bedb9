//! What several measurements of the same say together.

/// The least, the middle and the greatest of some numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The least.
    pub min: f64,
    /// The one in the middle; of an even number, the greater of the two.
    pub median: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of these; not numbers where there is none.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Spread {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
        Spread {
            min: at(0),
            median: at(sorted.len() / 2),
            max: at(sorted.len().saturating_sub(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn the_middle_is_that_of_the_sorted_numbers() {
        let check = |numbers: &[f64], [min, median, max]: [f64; 3]| {
            let expected = Spread { min, median, max };
            assert_eq!(Spread::of(numbers.iter().copied()), expected, "{numbers:?}");
        };
        check(&[3.0, 1.0, 2.0], [1.0, 2.0, 3.0]);
        check(&[4.0, 1.0, 3.0, 2.0], [1.0, 3.0, 4.0]);
        check(&[5.0], [5.0, 5.0, 5.0]);
        assert!(Spread::of([]).median.is_nan());
    }
}
