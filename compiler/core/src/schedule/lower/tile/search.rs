//! All tiles that the registers can hold.

use super::cost::{Cost, cost};
use super::shape::Shape;
use crate::schedule::lower::Context;
use crate::schedule::lower::axes::NARROWEST;
use crate::schedule::lower::candidate::Candidate;
use std::collections::BTreeSet;

/// The longest axis along a border that a tile holds whole: the rounds at the border are written out.
const LONGEST_EDGE: usize = 5;

/// Of a tile of a product over samples, elements of the axes before the last: so many that their rounds stay in the
/// first cache.
const RESIDENT: usize = 4;

/// All tiles that the registers can hold, the cheapest first, those that are found earlier before others as cheap.
pub(super) fn candidates(
    cx: &Context<'_>,
    shapes: &[(Shape, Vec<usize>)],
    in_blocks: bool,
) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let shapes = shapes.iter();
    let widths = shapes.flat_map(|(shape, widths)| widths.iter().map(move |&width| (shape, width)));
    for (shape, width) in widths {
        let parts = (width / cx.target.register_lanes).max(1);
        let mut factors: Vec<usize> = vec![1; shape.extents.len()];
        let used = lanes_used(cx, shape, width);
        let mut found = |cost: Cost, factors: &[usize], (sums, loads): (usize, usize)| {
            let mut factors = factors.to_vec();
            if let Some(axis) = shape.joined {
                factors[axis] *= shape.elements;
            }
            candidates.push(Candidate {
                cost: cost.cycles / used,
                unmissed: cost.unmissed / used,
                width,
                factors,
                joined: shape.joined,
                sums,
                loads,
            });
        };
        search(cx, shape, parts, in_blocks, 0, &mut factors, &mut found);
    }
    candidates.sort_by(Candidate::order);
    // Of tiles with one name, which differ in the axis whose elements are joined, the cheapest is the one that is meant.
    let mut names = BTreeSet::new();
    candidates.retain(|own| names.insert((own.width, own.factors.clone())));
    candidates
}

/// The share of the registers' lanes that vectors of samples fill, or those along the last axis, what is done one by
/// one included.
fn lanes_used(cx: &Context<'_>, shape: &Shape, width: usize) -> f64 {
    if shape.samples {
        return width.min(cx.target.register_lanes) as f64 / cx.target.register_lanes as f64;
    }
    let Some(&extent) = shape.extents.last().filter(|_| shape.along_last) else {
        return 1.0;
    };
    let (extent, register) = (extent.max(1) as usize, cx.target.register_lanes);
    let rest = extent % width;
    let narrower = (rest / NARROWEST as usize).count_ones() as usize;
    let left = narrower + rest % NARROWEST as usize;
    let registers = extent / width * (width / register).max(1) + left;
    extent as f64 / (registers * register) as f64
}

/// Elements side by side along an axis along a border: all, or so many that only its first and last tile are at the
/// border, with tiles between them.
fn edge_tiles(shape: &Shape, axis: usize, ranged: bool) -> Vec<usize> {
    let extent = shape.extents[axis].max(1) as usize;
    if shape.instances > 1 || ranged {
        return vec![1];
    }
    if extent <= LONGEST_EDGE {
        return vec![1, extent];
    }
    let last = shape.whole.iter().rposition(|&whole| !whole) == Some(axis);
    let peeled = |&tile: &usize| {
        shape.peels
            && last
            && extent.is_multiple_of(tile)
            && extent >= 3 * tile
            && shape.reach[axis] <= tile
    };
    [1].into_iter()
        .chain([2, 4].into_iter().filter(peeled))
        .collect()
}

/// Elements of one class side by side: those at borders are by themselves.
fn class_tiles(shape: &Shape, axis: usize) -> Vec<usize> {
    let last = shape.whole.iter().rposition(|&whole| !whole) == Some(axis);
    let fits = |&tile: &usize| last && shape.extents[axis] / shape.classes[axis] > tile as i64;
    [1].into_iter()
        .chain([2, 4].into_iter().filter(fits))
        .collect()
}

type Found<'f> = &'f mut dyn FnMut(Cost, &[usize], (usize, usize));

fn search(
    cx: &Context<'_>,
    shape: &Shape,
    parts: usize,
    in_blocks: bool,
    axis: usize,
    factors: &mut Vec<usize>,
    found: Found<'_>,
) {
    if axis == factors.len() {
        if let Some((cost, counts)) = cost(cx, shape, parts, factors) {
            found(cost, factors, counts);
        }
        return;
    }
    let extent = shape.extents[axis].max(1) as usize;
    let vector_axis = !in_blocks && !shape.across && axis + 1 == factors.len();
    // A task's range may begin and end anywhere along the first axis, and the borders with it.
    let ranged = !in_blocks && axis == shape.ranged;
    let edge = edge_tiles(shape, axis, ranged);
    let class = class_tiles(shape, axis);
    let options: &[usize] = match () {
        () if shape.whole[axis] => &[0],
        () if shape.classes[axis] > 1 => &class,
        () if shape.single[axis] => &[1],
        () if vector_axis => &[1, 2],
        () if shape.edged[axis] => &edge,
        // Where borders stay outside of tiles one axis may be all that there is.
        () if shape.along_channels => &[1, 2, 3, 4, 5, 6, 8, 10, 12, 16],
        () => &[1, 2, 3, 4, 5, 6, 8, 10, 12],
    };
    for &option in options {
        let factor = if option == 0 { extent } else { option };
        // What only repeats the anchor has no sums of its own.
        let sums_of = |factors: &[usize]| -> usize {
            let moving = factors.iter().zip(&shape.whole).filter(|pair| !*pair.1);
            moving.map(|pair| *pair.0).product()
        };
        let own = if shape.whole[axis] { 1 } else { factor };
        let sums = sums_of(&factors[..axis]) * own * shape.instances * parts;
        let crowded = shape.streamed.is_some()
            && axis + 1 < shape.extents.len()
            && factors[..axis].iter().product::<usize>() * factor > RESIDENT;
        let wide = if vector_axis {
            parts * cx.target.register_lanes
        } else {
            1
        };
        if (option > 1 && option * wide > extent)
            || crowded
            || (sums > cx.target.accumulators && factor > 1 && option != 0)
        {
            continue;
        }
        factors[axis] = factor;
        search(cx, shape, parts, in_blocks, axis + 1, factors, found);
    }
    factors[axis] = 1;
}
