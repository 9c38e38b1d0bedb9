//! Outputs of a kernel that have fewer axes than its domain.
//!
//! The gradient of a maximum over windows spreads each element over its window: `[c, y, x]` becomes `[c, y, dy, x, dx]`.
//! Where the elements are stored too, one kernel makes both: its domain is that of the spread value, and along the axes
//! that only repeat an element, the element is stored once.

use super::anchor_place::AnchorPlace;
use super::position::Position;
use super::symbols::Symbol;

/// For each domain axis of a coarse output the axis of the fine domain that it is, where both read the anchor at the
/// same place; `None` where they do not, or where that leaves it open.
pub fn restriction(coarse: &AnchorPlace, rank: usize, fine: &AnchorPlace) -> Option<Vec<usize>> {
    let simple = |place: &AnchorPlace| place.windows.is_empty() && place.parts.is_none();
    // A scalar's repeats are whole axes of the domain, not the few that a tile unrolls.
    if !simple(coarse) || !simple(fine) || coarse.positions.is_empty() {
        return None;
    }
    let mut axes: Vec<Option<usize>> = vec![None; rank];
    for (coarse, fine) in coarse.positions.iter().zip(&fine.positions) {
        match (coarse, fine) {
            (Position::Lane, Position::Lane) => {}
            (Position::At(coarse), Position::At(fine)) if coarse.offset == fine.offset => {
                let (coarse, fine) = (digits(&coarse.terms)?, digits(&fine.terms)?);
                if coarse.len() != fine.len() {
                    return None;
                }
                for (coarse, fine) in coarse.into_iter().zip(fine) {
                    let axis = axes.get_mut(coarse.1)?;
                    if coarse.0 != fine.0 || axis.replace(fine.1).is_some() {
                        return None;
                    }
                }
            }
            _ => return None,
        }
    }
    axes.into_iter().collect()
}

/// Coefficients with their axes, in order; `None` where two are equal (axes of extent 1), which leaves open which is
/// which.
fn digits(terms: &[(Symbol, i64)]) -> Option<Vec<(i64, usize)>> {
    let mut digits: Vec<(i64, usize)> =
        terms.iter().map(|term| (term.1, term.0 as usize)).collect();
    digits.sort_unstable();
    let distinct = digits.windows(2).all(|pair| pair[0].0 != pair[1].0);
    distinct.then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::affine::Affine;

    fn place(forms: &[&[(Symbol, i64)]]) -> AnchorPlace {
        let position = |terms: &&[(Symbol, i64)]| {
            let mut form = Affine::constant(0);
            for &(symbol, coefficient) in *terms {
                form.add_scaled(&Affine::variable(symbol), coefficient);
            }
            Position::At(form)
        };
        AnchorPlace {
            positions: forms.iter().map(position).collect(),
            ..AnchorPlace::default()
        }
    }

    #[test]
    fn a_spread_domain_holds_the_axes_of_what_it_spreads() {
        let coarse = place(&[&[(0, 16), (1, 4), (2, 1)]]);
        let fine = place(&[&[(0, 16), (1, 4), (3, 1)]]);
        assert_eq!(restriction(&coarse, 3, &fine), Some(vec![0, 1, 3]));
    }

    #[test]
    fn a_scalar_is_no_restriction() {
        assert_eq!(restriction(&place(&[]), 0, &place(&[])), None);
    }

    #[test]
    fn what_is_read_elsewhere_or_leaves_it_open_is_no_restriction() {
        let coarse = place(&[&[(0, 16), (1, 1)]]);
        assert_eq!(restriction(&coarse, 2, &place(&[&[(0, 16), (1, 4)]])), None);
        assert_eq!(restriction(&coarse, 3, &place(&[&[(0, 16), (1, 1)]])), None);
        let equal = place(&[&[(0, 1), (1, 1)]]);
        assert_eq!(restriction(&equal, 2, &equal), None);
    }
}
