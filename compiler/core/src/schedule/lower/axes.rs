//! Loops over the axes of a domain: whole tiles, tiles at borders, classes, parts, vectors and what they leave.

use super::tails::in_tails;
use super::{LowerError, Lowering, Vectors, form};
use crate::graph::Dim;
use crate::loops::{LoopKind, Value};
use crate::plan::ScalarArgument;
use crate::schedule::affine::Affine;

/// Lanes of the narrowest vectors that take what wider ones leave of an axis.
pub(super) const NARROWEST: i64 = 4;

/// One axis of the domain.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// Its number among the domain's axes, the lane axis left out.
    pub number: usize,
    pub extent: Dim,
    pub tile: usize,
    /// The tile in what whole vectors leave of another axis: `tile`, or a multiple of it.
    pub tail: usize,
    /// The vector runs along it.
    pub vector: bool,
    /// Its range is the task's.
    pub ranged: bool,
    /// So many equal parts of it go side by side.
    pub parts: i64,
    /// Its elements are gone through class by class, of so many.
    pub classes: i64,
    /// Its first and last tile, which are at borders, are by themselves.
    pub edged: bool,
    /// Of the whole axis, only so many elements from a loop's counter on.
    pub panel: Option<(Value, i64)>,
    /// Of the whole axis, only that place: of a loop's round, or the first of a row that vectors hold all of.
    pub at: Option<Value>,
}

impl Axis {
    /// Of what its ranges' begins are multiples, where a vector has so many elements.
    pub fn multiple(&self, elements: usize) -> usize {
        let vector = if self.vector { elements } else { 1 };
        vector * self.tile.max(self.tail).max(1)
    }

    /// Whether it is gone through from end to end, tile by tile.
    pub fn is_plain(&self) -> bool {
        let alike = self.parts == 1 && self.classes == 1 && !self.edged;
        alike && self.panel.is_none() && self.at.is_none()
    }

    /// Whether each task's range is so many whole tiles: the last one too.
    fn has_whole_ranges(&self) -> bool {
        let whole = |extent: i64| extent % self.tile.max(1) as i64 == 0;
        self.ranged && !self.vector && self.extent.known().is_some_and(whole)
    }
}

/// Makes the axis with the most tiles the one whose range tasks divide. Its extent, and of what ranges are multiples.
pub(super) fn divide(axes: &mut [Axis], elements: usize) -> Option<(Dim, usize)> {
    let tiles = |axis: &Axis| axis.extent.fixed / axis.multiple(elements) as i64;
    let free = |axis: &&mut Axis| axis.parts == 1 && axis.classes == 1;
    let axis = axes
        .iter_mut()
        .rev()
        .filter(free)
        .max_by_key(|axis| tiles(axis))?;
    axis.ranged = true;
    Some((axis.extent, axis.multiple(elements)))
}

/// The axes of a kernel over blocks, the lane axis left out.
pub(super) fn block_axes(shape: &[Dim], lane: Option<usize>, factors: &[usize]) -> Vec<Axis> {
    let extents = shape
        .iter()
        .enumerate()
        .filter(|&(axis, _)| Some(axis) != lane);
    let axes = extents.zip(factors).enumerate();
    let axis = |(number, ((_, &extent), &tile))| Axis {
        number,
        extent,
        tile,
        tail: tile,
        vector: false,
        ranged: false,
        parts: 1,
        classes: 1,
        edged: false,
        panel: None,
        at: None,
    };
    axes.map(axis).collect()
}

impl Lowering<'_> {
    /// Loops over the remaining axes; `places` holds the tile's positions along those already open.
    pub(super) fn nest(
        &mut self,
        axes: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
    ) -> Result<(), LowerError> {
        let Some((axis, rest)) = axes.split_first() else {
            return self.tile(lane, places);
        };
        if let Some(only) = axis.at {
            return self.at_places(vec![Affine::variable(only)], rest, lane, places);
        }
        let (begin, end) = self.axis_range(axis);
        if axis.vector {
            return self.vector_axis(axis, rest, lane, places, (begin, end));
        }
        if axis.parts > 1 {
            return self.parts_loop(axis, rest, lane, places);
        }
        if axis.classes > 1 && places.is_empty() && axis.extent.fixed % axis.classes == 0 {
            return self.classes_loop(axis, rest, lane, places);
        }
        if axis.classes > 1 {
            return (0..axis.classes)
                .try_for_each(|class| self.class_loop(axis, class, rest, lane, places));
        }
        let tile = axis.tile as i64;
        if let Some(extent) = axis
            .extent
            .known()
            .filter(|&extent| axis.edged && extent > tile)
        {
            let ends = [0, tile, extent - tile, extent].map(Affine::constant);
            return ends.windows(2).try_for_each(|pair| {
                self.axis_loop(axis, rest, lane, places, (&pair[0], &pair[1]), tile)
            });
        }
        if axis.has_whole_ranges() {
            return self.axis_loop(axis, rest, lane, places, (&begin, &end), tile);
        }
        let whole = self.whole_tiles(&begin, &end, tile);
        self.axis_loop(axis, rest, lane, places, (&begin, &whole), tile)?;
        if tile > 1 && axis.ranged {
            self.axis_loop(axis, rest, lane, places, (&whole, &end), 1)?;
        } else if let (Some(whole), Some(end)) = (whole.as_constant(), end.as_constant())
            && whole < end
        {
            let tile = (whole..end).map(Affine::constant).collect();
            self.at_places(tile, rest, lane, places)?;
        }
        Ok(())
    }

    /// The other axes, with a tile of these places of one.
    fn at_places(
        &mut self,
        tile: Vec<Affine<Value>>,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
    ) -> Result<(), LowerError> {
        places.push(tile);
        let result = self.nest(rest, lane, places);
        places.pop();
        result
    }

    /// A loop over outputs whose counter stays within a range, with what `body` makes for a counter.
    fn for_outputs(
        &mut self,
        number: usize,
        (begin, end, step): (Value, Value, i64),
        range: Option<crate::loops::Range>,
        body: impl FnOnce(&mut Self, Affine<Value>) -> Result<(), LowerError>,
    ) -> Result<(), LowerError> {
        let name = format!("i{number}");
        let (counter, _) = self
            .b
            .begin_loop(LoopKind::Domain, name, begin, end, step, &[]);
        if let Some(range) = range
            && self.b.index_constant(counter).is_none()
        {
            self.b.assume(counter, range);
        }
        self.push_scope();
        let counter = self.counter(counter);
        let result = body(self, counter);
        self.pop_scope();
        self.b.end_loop(&[]);
        result
    }

    /// One loop over all parts of an axis side by side.
    fn parts_loop(
        &mut self,
        axis: &Axis,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
    ) -> Result<(), LowerError> {
        let part = axis.extent.fixed / axis.parts;
        let bounds = (self.b.index(0), self.b.index(part), 1);
        let range = crate::loops::Range::new(0, part - 1);
        self.for_outputs(places.len(), bounds, Some(range), |own, base| {
            let tile = (0..axis.parts).map(|number| base.clone().plus(number * part));
            own.at_places(tile.collect(), rest, lane, places)
        })
    }

    /// One loop over an axis, a round of which does an element of each class: their taps read the same rows.
    fn classes_loop(
        &mut self,
        axis: &Axis,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
    ) -> Result<(), LowerError> {
        let count = axis.extent.fixed / axis.classes;
        let bounds = (self.b.index(0), self.b.index(count), 1);
        let range = crate::loops::Range::new(0, count - 1);
        self.for_outputs(axis.number, bounds, Some(range), |own, counter| {
            (0..axis.classes).try_for_each(|class| {
                own.push_scope();
                let mut at = Affine::constant(class);
                at.add_scaled(&counter, axis.classes);
                let result = own.at_places(vec![at], rest, lane, places);
                own.pop_scope();
                result
            })
        })
    }

    /// Loops over every so many elements of an axis, tile by tile where all taps of the class are inside.
    fn class_loop(
        &mut self,
        axis: &Axis,
        class: i64,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
    ) -> Result<(), LowerError> {
        let count = (axis.extent.fixed - class + axis.classes - 1).div_euclid(axis.classes);
        let tile = axis.tile as i64;
        let inside = match tile {
            1 => 0..count,
            _ => self.class_inside(axis.number, (class, axis.classes), count),
        };
        let tiled = inside.start + (inside.end - inside.start) / tile * tile;
        let loops = [
            (0, inside.start, 1),
            (inside.start, tiled, tile),
            (tiled, count, 1),
        ];
        let mut loops = loops.into_iter().filter(|(begin, end, _)| begin < end);
        loops.try_for_each(|bounds| self.class_tiles(axis, class, rest, lane, places, bounds))
    }

    /// A loop over tiles of elements of one class, from the first element of the class that is meant to the last.
    fn class_tiles(
        &mut self,
        axis: &Axis,
        class: i64,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
        (begin, end, step): (i64, i64, i64),
    ) -> Result<(), LowerError> {
        let bounds = (self.b.index(begin), self.b.index(end), step);
        let range = crate::loops::Range::new(begin, end - step);
        self.for_outputs(axis.number, bounds, Some(range), |own, counter| {
            let mut at = Affine::constant(class);
            at.add_scaled(&counter, axis.classes);
            let tile = (0..step).map(|element| at.clone().plus(element * axis.classes));
            own.at_places(tile.collect(), rest, lane, places)
        })
    }

    fn axis_range(&mut self, axis: &Axis) -> (Affine<Value>, Affine<Value>) {
        if let Some((counter, size)) = axis.panel {
            let begin = self.counter(counter);
            return (begin.clone(), begin.plus(size));
        }
        if axis.ranged {
            let begin = self.scalar(ScalarArgument::RangeBegin);
            let end = self.scalar(ScalarArgument::RangeEnd);
            if let Some(extent) = axis.extent.known() {
                self.b
                    .assume(begin, crate::loops::Range::new(0, extent.max(1) - 1));
                self.b.assume(end, crate::loops::Range::new(0, extent));
            }
            return (Affine::variable(begin), Affine::variable(end));
        }
        (Affine::constant(0), self.extent(axis.extent))
    }

    /// The end of the last whole tile.
    fn whole_tiles(
        &mut self,
        begin: &Affine<Value>,
        end: &Affine<Value>,
        tile: i64,
    ) -> Affine<Value> {
        if tile == 1 {
            return end.clone();
        }
        let length = form(end).sub(&form(begin));
        let left = self.b.mod_floor(&length, tile);
        super::affine(&form(end).sub(&left))
    }

    fn axis_loop(
        &mut self,
        axis: &Axis,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
        (begin, end): (&Affine<Value>, &Affine<Value>),
        step: i64,
    ) -> Result<(), LowerError> {
        if begin == end {
            return Ok(());
        }
        let first = self.b.materialise(&form(begin));
        let last = self.b.materialise(&form(end));
        let range = axis.extent.known().map(|extent| {
            let least = begin.as_constant().unwrap_or(0);
            let most = end.as_constant().unwrap_or(extent) - step;
            crate::loops::Range::new(least, most.max(least))
        });
        self.for_outputs(axis.number, (first, last, step), range, |own, base| {
            let tile = (0..step).map(|offset| base.clone().plus(offset));
            own.at_places(tile.collect(), rest, lane, places)
        })
    }

    /// Tiles of whole vectors, then single ones, then narrower ones, then the rest element by element.
    fn vector_axis(
        &mut self,
        axis: &Axis,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
        (begin, end): (Affine<Value>, Affine<Value>),
    ) -> Result<(), LowerError> {
        let width = self.elements_of_vector();
        let step = width * axis.tile.max(1) as i64;
        let extent = axis.extent.known().unwrap_or(0);
        let tiled = self.whole_tiles(&begin, &end, step);
        if extent >= step {
            self.vector_loop(axis, rest, lane, places, (&begin, &tiled), step)?;
        }
        let whole = self.whole_tiles(&begin, &end, width);
        let ranged = step > width && (axis.ranged && extent >= width);
        if ranged || (extent % step >= width) {
            self.vector_loop(axis, rest, lane, places, (&tiled, &whole), width)?;
        }
        let rest = &in_tails(rest);
        let mut from = whole;
        for narrower in self.narrower_widths(extent) {
            let until = self.whole_tiles(&from, &end, narrower);
            self.with_width(narrower as u8, |own| {
                own.vector_loop(axis, rest, lane, places, (&from, &until), narrower)
            })?;
            from = until;
        }
        let narrowest = match self.joined {
            true => width,
            false => width.min(NARROWEST),
        };
        if extent % narrowest == 0 {
            return Ok(());
        }
        self.scalar_rest(axis, rest, lane, places, (&from, &end))
    }

    /// The widths of vectors for what those of the kernel's width leave of an axis.
    fn narrower_widths(&self, extent: i64) -> Vec<i64> {
        let width = self.elements_of_vector();
        let halves = std::iter::successors(Some(width / 2), |width| Some(width / 2));
        let narrower = halves.take_while(|&width| width >= NARROWEST && !self.joined);
        narrower
            .filter(|&narrower| extent % (2 * narrower) >= narrower)
            .collect()
    }

    /// A loop over an axis whose vectors lie along it, so many of its elements at a time.
    fn vector_loop(
        &mut self,
        axis: &Axis,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
        (begin, end): (&Affine<Value>, &Affine<Value>),
        step: i64,
    ) -> Result<(), LowerError> {
        let first = self.b.materialise(&form(begin));
        let last = self.b.materialise(&form(end));
        let (counter, _) = self
            .b
            .begin_loop(LoopKind::Domain, "vector", first, last, step, &[]);
        let counter = match self.b.index_constant(counter) {
            // The lanes count on from this value, and from no other constant that is equal to it.
            Some(only) => self.b.symbol(only),
            None => {
                let extent = axis.extent.known().unwrap_or(0);
                let range = crate::loops::Range::new(0, extent - step);
                self.b.assume(counter, range);
                counter
            }
        };
        let along = match self.joined {
            true => Vectors::Joined(counter),
            false => Vectors::Feature(counter),
        };
        let before = std::mem::replace(&mut self.vectors, along);
        self.push_scope();
        let vectors = (0..step).step_by(self.elements_of_vector() as usize);
        places.push(
            vectors
                .map(|offset| Affine::variable(counter).plus(offset))
                .collect(),
        );
        let result = self.nest(rest, lane, places);
        places.pop();
        self.pop_scope();
        self.vectors = before;
        self.b.end_loop(&[]);
        result
    }

    fn scalar_rest(
        &mut self,
        axis: &Axis,
        rest: &[Axis],
        lane: Option<usize>,
        places: &mut Vec<Vec<Affine<Value>>>,
        bounds: (&Affine<Value>, &Affine<Value>),
    ) -> Result<(), LowerError> {
        let one = if self.joined { self.inner as u8 } else { 1 };
        let axis = Axis {
            vector: false,
            ranged: false,
            tile: 1,
            ..axis.clone()
        };
        self.with_width(one, |own| {
            own.axis_loop(&axis, rest, lane, places, bounds, 1)
        })
    }

    /// Does something in vectors of another width than the kernel's.
    fn with_width(
        &mut self,
        width: u8,
        then: impl FnOnce(&mut Self) -> Result<(), LowerError>,
    ) -> Result<(), LowerError> {
        let width = std::mem::replace(&mut self.width, width);
        let memo = std::mem::replace(&mut self.memo, vec![super::Memo::default()]);
        let result = self.preload().and_then(|()| then(self));
        self.width = width;
        self.memo = memo;
        result
    }
}
