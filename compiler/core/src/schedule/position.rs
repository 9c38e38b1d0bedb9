//! Positions in tensors, and how views move them.

use super::affine::Affine;
use crate::graph::{AxisIndex, Dim};

/// The position along one axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Position<V: Copy + Ord> {
    /// An affine form.
    At(Affine<V>),
    /// Along the lane axis: each lane its own sample of the current block.
    Lane,
}

impl<V: Copy + Ord> Position<V> {
    /// A fixed position.
    pub fn constant(offset: i64) -> Position<V> {
        Position::At(Affine::constant(offset))
    }
}

/// What the variables of positions are known to be.
pub trait IndexSpace<V: Copy + Ord> {
    /// The inclusive range of a variable.
    fn range(&self, variable: V) -> Option<(i64, i64)>;

    /// Floor quotient and remainder; `None` where this space can't express them.
    fn divide(&mut self, numerator: &Affine<V>, divisor: i64) -> Option<(Affine<V>, Affine<V>)>;
}

/// An axis of a view's input or a contraction's operand, before bounds are looked at.
#[derive(Clone, Debug)]
pub enum Indexed<V: Copy + Ord> {
    /// The lane axis itself.
    Lane,
    /// `numerator / divisor`, valid where that is whole and within the axis.
    At {
        /// The affine part.
        numerator: Affine<V>,
        /// At least 1.
        divisor: i64,
    },
    /// Lanes and other positions are mixed: not expressible.
    Mixed,
}

/// Applies an index to the positions of its variables.
pub fn index<V: Copy + Ord>(index: &AxisIndex, positions: &[Position<V>]) -> Indexed<V> {
    if let Some(variable) = index.as_variable() {
        return match &positions[variable] {
            Position::Lane => Indexed::Lane,
            Position::At(position) => Indexed::At {
                numerator: position.clone(),
                divisor: 1,
            },
        };
    }
    let mut numerator = Affine::constant(index.offset);
    for &(variable, coefficient) in &index.terms {
        match &positions[variable] {
            Position::Lane => return Indexed::Mixed,
            Position::At(position) => numerator.add_scaled(position, coefficient),
        }
    }
    Indexed::At {
        numerator,
        divisor: index.divisor,
    }
}

/// The positions in `from` of the element at `positions` of `to`, where both hold the same elements in row-major
/// order. `None` where the space can't express them.
pub fn reshape<V: Copy + Ord>(
    space: &mut dyn IndexSpace<V>,
    to: &[Dim],
    from: &[Dim],
    positions: &[Position<V>],
) -> Option<Vec<Position<V>>> {
    let mut result = Vec::with_capacity(from.len());
    let (mut to_end, mut from_end) = (to.len(), from.len());
    while to_end > 0 || from_end > 0 {
        let (to_begin, from_begin) = last_segment(to, from, to_end, from_end)?;
        let mut part = move_segment(
            space,
            &to[to_begin..to_end],
            &from[from_begin..from_end],
            &positions[to_begin..to_end],
        )?;
        part.reverse();
        result.append(&mut part);
        (to_end, from_end) = (to_begin, from_begin);
    }
    result.reverse();
    Some(result)
}

/// The shortest nonempty suffixes of `to[..to_end]` and `from[..from_end]` that hold equally many elements.
fn last_segment(
    to: &[Dim],
    from: &[Dim],
    to_end: usize,
    from_end: usize,
) -> Option<(usize, usize)> {
    // An axis of extent 1 that the other side has not belongs to no other: beside the batch it must not be taken with it,
    // nor for it, where that is 1 too and comes first.
    let is_unit = |dims: &[Dim], end: usize| end > 0 && dims[end - 1] == Dim::fixed(1);
    let units = (is_unit(to, to_end), is_unit(from, from_end));
    if units.1 && (!units.0 || from_end > to_end) {
        return Some((to_end, from_end - 1));
    }
    if units.0 && (!units.1 || to_end > from_end) {
        return Some((to_end - 1, from_end));
    }
    if to_end > 0 && from_end > 0 && to[to_end - 1] == from[from_end - 1] {
        return Some((to_end - 1, from_end - 1));
    }
    let (mut to_begin, mut from_begin) = (to_end, from_end);
    let (mut to_size, mut from_size) = (1, 1);
    loop {
        let grow_to =
            to_size < from_size || (to_size == from_size && to_begin == to_end && to_begin > 0);
        if grow_to && to_begin > 0 {
            to_begin -= 1;
            to_size *= to[to_begin].known()?;
        } else if from_begin > 0 {
            from_begin -= 1;
            from_size *= from[from_begin].known()?;
        } else if to_begin > 0 {
            to_begin -= 1;
            to_size *= to[to_begin].known()?;
        } else {
            return None;
        }
        if to_size == from_size {
            return Some((to_begin, from_begin));
        }
    }
}

fn move_segment<V: Copy + Ord>(
    space: &mut dyn IndexSpace<V>,
    to: &[Dim],
    from: &[Dim],
    positions: &[Position<V>],
) -> Option<Vec<Position<V>>> {
    if to.len() == 1 && from.len() == 1 {
        return Some(positions.to_vec());
    }
    let mut linear = Affine::constant(0);
    let mut stride = 1;
    for (dim, position) in to.iter().zip(positions).rev() {
        let Position::At(position) = position else {
            return None;
        };
        linear.add_scaled(position, stride);
        stride *= dim.known()?;
    }
    let mut result = Vec::with_capacity(from.len());
    for (axis, dim) in from.iter().enumerate().rev() {
        let position = if axis == 0 {
            linear.clone()
        } else if dim.known()? == 1 {
            Affine::constant(0)
        } else {
            let (quotient, remainder) = space.divide(&linear, dim.known()?)?;
            linear = quotient;
            remainder
        };
        result.push(Position::At(position));
    }
    result.reverse();
    Some(result)
}
