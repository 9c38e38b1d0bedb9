//! Where an epilogue reads its anchor: its own element, a window of them, or one of each part.

use super::affine::Affine;
use super::borders::has_borders;
use super::fuse::{Fuser, WINDOW};
use super::position::Position;
use super::symbols::{Symbol, Symbols};
use crate::graph::{Dim, NodeId};
use std::collections::BTreeSet;

/// Where an epilogue reads its anchor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnchorPlace {
    /// Over one symbol for each axis of the output (the lane axis left out), then one for each window axis.
    pub positions: Vec<Position<Symbol>>,
    /// The extents of the window symbols.
    pub windows: Vec<usize>,
    /// Where several equal parts of the anchor are read at once, such as the gates of a cell.
    pub parts: Option<Parts>,
}

/// Equal parts of an axis, which an epilogue reads side by side: at `position + part * unit` for each part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The anchor's axis.
    pub axis: usize,
    /// Elements of a part.
    pub unit: i64,
    /// How many parts.
    pub count: i64,
}

impl AnchorPlace {
    /// The domain axes that the positions depend on.
    pub fn axes(&self) -> BTreeSet<usize> {
        let forms = self.positions.iter().filter_map(|position| match position {
            Position::At(form) => Some(form.terms.iter().map(|term| term.0 as usize)),
            Position::Lane => None,
        });
        forms.flatten().collect()
    }
}

impl Fuser<'_> {
    /// The positions, with symbols renumbered, at which an epilogue reads its anchor, if each of the anchor's elements
    /// is read for one place of the epilogue's domain only.
    pub(super) fn shared_place(
        &self,
        id: NodeId,
        home: NodeId,
        places: &BTreeSet<Option<Vec<Position<Symbol>>>>,
        symbols: &Symbols,
    ) -> Option<AnchorPlace> {
        let shape = &self.graph.nodes[home].ty.shape;
        let domain = self.domain_rank(id);
        let mut shared: Option<AnchorPlace> = None;
        let mut offsets: Vec<Vec<i64>> = Vec::new();
        for place in places {
            let (place, offset) = without_offsets(place.as_ref()?);
            if !one_to_one(&place, shape, symbols) || self.guarded_window(home, &place, domain) {
                return None;
            }
            let renamed = rename_windows(&place, domain, symbols);
            if shared.get_or_insert_with(|| renamed.clone()) != &renamed {
                return None;
            }
            offsets.push(offset);
        }
        let mut shared = shared.filter(|place| few_repeats(place, domain, symbols))?;
        if offsets.len() > 1 {
            shared.parts = Some(equal_parts(&shared, &offsets, shape, symbols)?);
        } else if offsets.iter().flatten().any(|&offset| offset != 0) {
            return None;
        }
        Some(shared)
    }

    /// A contraction with borders has its own bounds for each position, so a window of them is not one tile.
    fn guarded_window(&self, home: NodeId, place: &[Position<Symbol>], domain: u32) -> bool {
        let windows = place.iter().any(|position| match position {
            Position::At(form) => form.terms.iter().any(|term| term.0 >= domain),
            Position::Lane => false,
        });
        windows && has_borders(self.graph, home)
    }
}

/// Positions that begin at 0, and by how much each was further on.
fn without_offsets(place: &[Position<Symbol>]) -> (Vec<Position<Symbol>>, Vec<i64>) {
    let split = place.iter().map(|position| match position {
        Position::Lane => (Position::Lane, 0),
        Position::At(form) => {
            let begin = form.clone().plus(-form.offset);
            (Position::At(begin), form.offset)
        }
    });
    split.unzip()
}

/// The parts of one axis, all equal, some of which places are that differ by `offsets`.
fn equal_parts(
    place: &AnchorPlace,
    offsets: &[Vec<i64>],
    shape: &[Dim],
    symbols: &Symbols,
) -> Option<Parts> {
    let moved = |axis: &usize| offsets.iter().any(|offset| offset[*axis] != 0);
    let mut axes = (0..shape.len()).filter(moved);
    let axis = axes.next().filter(|_| axes.next().is_none())?;
    let Position::At(form) = &place.positions[axis] else {
        return None;
    };
    let extents = form.terms.iter().map(|term| symbols.extent(term.0));
    let unit: i64 = extents.product::<Option<i64>>()?;
    let begins = offsets.iter().map(|offset| offset[axis]);
    let count = shape[axis].known()? / unit.max(1);
    let inside = |begin: i64| begin % unit.max(1) == 0 && (0..count * unit).contains(&begin);
    let whole = shape[axis].known() == Some(count * unit) && begins.clone().all(inside);
    (whole && place.windows.is_empty()).then_some(Parts { axis, unit, count })
}

/// Whether an epilogue reads its anchor at its own element (of each part).
pub fn is_identity(place: &AnchorPlace) -> bool {
    let mut next = 0;
    place.windows.is_empty()
        && place.positions.iter().all(|position| match position {
            Position::Lane => true,
            Position::At(form) => {
                next += 1;
                *form == Affine::variable(next - 1)
            }
        })
}

/// Whether different symbols give different elements: on each axis the terms are digits of a mixed radix number that
/// starts at 0, all of the anchor's, and no symbol serves two axes.
fn one_to_one(place: &[Position<Symbol>], shape: &[Dim], symbols: &Symbols) -> bool {
    let mut used = BTreeSet::new();
    for (position, dim) in place.iter().zip(shape) {
        let Position::At(form) = position else {
            continue;
        };
        if form.offset != 0 || (form.terms.is_empty() && dim.known() != Some(1)) {
            return false;
        }
        let mut digits: Vec<(i64, Symbol)> =
            form.terms.iter().map(|term| (term.1, term.0)).collect();
        digits.sort_unstable();
        let mut unit = 1;
        for (place, (coefficient, symbol)) in digits.iter().enumerate() {
            if *coefficient != unit || !used.insert(*symbol) {
                return false;
            }
            match symbols.extent(*symbol) {
                Some(extent) => unit *= extent,
                None if place + 1 == digits.len() => {}
                None => return false,
            }
        }
        // A padding's elements beyond the anchor's own are nowhere to be computed from.
        if dim.known().is_some_and(|extent| unit > extent) {
            return false;
        }
    }
    true
}

/// The same positions with window symbols named by their first use, so that two passes over equal windows are one.
fn rename_windows(place: &[Position<Symbol>], domain: Symbol, symbols: &Symbols) -> AnchorPlace {
    let mut names: Vec<Symbol> = Vec::new();
    let mut rename = |symbol: Symbol| {
        if symbol < domain {
            return symbol;
        }
        let known = names.iter().position(|&name| name == symbol);
        let number = known.unwrap_or_else(|| {
            names.push(symbol);
            names.len() - 1
        });
        domain + number as Symbol
    };
    let mut positions = Vec::with_capacity(place.len());
    for position in place {
        let Position::At(form) = position else {
            positions.push(Position::Lane);
            continue;
        };
        let mut renamed = Affine::constant(form.offset);
        let mut digits: Vec<(i64, Symbol)> =
            form.terms.iter().map(|term| (term.1, term.0)).collect();
        digits.sort_unstable();
        for (coefficient, symbol) in digits {
            renamed.add_scaled(&Affine::variable(rename(symbol)), coefficient);
        }
        positions.push(Position::At(renamed));
    }
    let extent = |&symbol: &Symbol| symbols.extent(symbol).unwrap_or(1) as usize;
    AnchorPlace {
        positions,
        windows: names.iter().map(extent).collect(),
        parts: None,
    }
}

/// Whether the domain axes along which an epilogue repeats the anchor's element are few enough to unroll.
fn few_repeats(place: &AnchorPlace, domain: Symbol, symbols: &Symbols) -> bool {
    let used = place.axes();
    let unused = (0..domain).filter(|&symbol| !used.contains(&(symbol as usize)));
    let repeats: Option<i64> = unused.map(|symbol| symbols.extent(symbol)).product();
    repeats.is_some_and(|repeats| repeats <= WINDOW)
}
