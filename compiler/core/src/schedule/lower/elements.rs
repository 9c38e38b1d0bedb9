//! The elements of one tile: the anchor's accumulators, what follows them, and where it is stored.

use super::{LowerError, Lowering, Place, Vectors, form};
use crate::graph::{NodeId, Op};
use crate::loops::{Value, VectorBinary};
use crate::plan::BufferId;
use crate::schedule::affine::Affine;
use crate::schedule::fuse::Strategy;
use crate::schedule::position::Position;
use indexmap::IndexSet;

/// Sums of lanes side by side.
const TOGETHER: usize = 4;

impl Lowering<'_> {
    /// The tile's positions by domain axis.
    fn by_axis(&self, places: &[Vec<Affine<Value>>]) -> Vec<Vec<Affine<Value>>> {
        let before = places.len() - self.order.len();
        let mut sorted = places.to_vec();
        for (place, &number) in places[before..].iter().zip(&self.order) {
            sorted[number] = place.clone();
        }
        sorted
    }

    /// One tile: the anchor's accumulators, then the epilogue and the stores of each element.
    pub(super) fn tile(
        &mut self,
        lane: Option<usize>,
        places: &[Vec<Affine<Value>>],
    ) -> Result<(), LowerError> {
        let elements = product(&self.by_axis(places), lane);
        self.push_scope();
        let result = self.tile_elements(&elements);
        self.pop_scope();
        result
    }

    fn tile_elements(&mut self, elements: &[Vec<Place>]) -> Result<(), LowerError> {
        let outputs = self.group.outputs.clone();
        if let Some(anchor) = self.group.anchor {
            let mut instances: IndexSet<Vec<Place>> = IndexSet::new();
            for element in elements {
                if self.partial {
                    instances.insert(element.clone());
                    continue;
                }
                for &output in &outputs {
                    for place in self.places_of(output, element)? {
                        self.demand(output, &place, anchor, &mut instances)?;
                    }
                }
            }
            let instances: Vec<Vec<Place>> = instances.into_iter().collect();
            let values = self.anchor_values(anchor, &instances)?;
            if self.partial {
                return self.flush(anchor, &instances, &values);
            }
            for (instance, value) in instances.into_iter().zip(values) {
                let value = self.settled(anchor, value);
                self.remember((anchor, instance), value);
            }
        }
        for element in elements {
            for &output in &outputs {
                for place in self.places_of(output, element)? {
                    self.store_output(output, place)?;
                }
            }
        }
        Ok(())
    }

    fn store_output(&mut self, output: NodeId, place: Vec<Place>) -> Result<(), LowerError> {
        let value = match self.recall(&(output, place.clone())) {
            Some(value) => value,
            None => self.computed(output, &place)?,
        };
        self.remember((output, place.clone()), value);
        let shape = self.cx.graph.nodes[output].ty.shape.clone();
        self.store(output, self.cx.buffer_of[&output], &shape, &place, value)
    }

    /// The elements of an output that belong to an element of the domain: itself, where the output has the domain's axes.
    fn places_of(&self, output: NodeId, element: &[Place]) -> Result<Vec<Vec<Place>>, LowerError> {
        if let Some(axes) = self.group.coarse.get(&output) {
            let place = self.coarse_place(output, axes, element)?;
            return Ok(place.into_iter().collect());
        }
        if self.group.anchor.is_none() && output != self.group.outputs[0] {
            return Ok(self.place_beside(output, element).into_iter().collect());
        }
        Ok(self.part_places(output, element))
    }

    /// The element of an output as large as the first, or as one part of it: it is made with the first part.
    fn place_beside(&self, output: NodeId, element: &[Place]) -> Option<Vec<Place>> {
        let shape = |id: NodeId| &self.cx.graph.nodes[id].ty.shape;
        if shape(output) == shape(self.group.outputs[0]) {
            return Some(element.to_vec());
        }
        let part = self.cx.graph.nodes[output].ty.shape.last()?.known()?;
        match element.last()? {
            Position::At(form) if form.offset < part => Some(element.to_vec()),
            _ => None,
        }
    }

    /// The element of an output with fewer axes: it is made where the others are at 0 only.
    fn coarse_place(
        &self,
        output: NodeId,
        axes: &[usize],
        element: &[Place],
    ) -> Result<Option<Vec<Place>>, LowerError> {
        let mut first = true;
        for (_, at) in element
            .iter()
            .enumerate()
            .filter(|at| !axes.contains(&at.0))
        {
            match at {
                Position::At(form) if form.as_constant().is_some() => {
                    first &= form.as_constant() == Some(0);
                }
                _ => return self.unsupported(output, "a repeat that no tile holds"),
            }
        }
        Ok(first.then(|| axes.iter().map(|&axis| element[axis].clone()).collect()))
    }

    /// That of each part where the output has all parts of the anchor, and the domain is one of them.
    fn part_places(&self, output: NodeId, element: &[Place]) -> Vec<Vec<Place>> {
        let shape = |id: NodeId| &self.cx.graph.nodes[id].ty.shape;
        let parts = self.group.place.parts.filter(|_| !self.partial);
        let Some(parts) = parts.filter(|_| shape(output) != shape(self.group.outputs[0])) else {
            return vec![element.to_vec()];
        };
        let place = |part: i64| {
            let mut place = element.to_vec();
            if let Position::At(position) = &mut place[parts.axis] {
                *position = position.clone().plus(part * parts.unit);
            }
            place
        };
        (0..parts.count).map(place).collect()
    }

    fn anchor_values(
        &mut self,
        anchor: NodeId,
        instances: &[Vec<Place>],
    ) -> Result<Vec<Value>, LowerError> {
        let graph = self.cx.graph;
        if self.group.strategy == Strategy::Partial && !self.partial {
            return self.sum_partials(anchor, instances);
        }
        match &graph.nodes[anchor].op {
            Op::Contract(contraction) => self.contract(anchor, contraction, instances),
            Op::Reduce { op, axes } => self.reduce(anchor, *op, axes, instances),
            other => {
                let what = format!("{other:?}");
                self.unsupported(
                    anchor,
                    what.split([' ', '{', '(']).next().unwrap_or("an operation"),
                )
            }
        }
    }

    /// Sums each accumulator's lanes, those of real samples only, into the task's partial.
    fn flush(
        &mut self,
        anchor: NodeId,
        instances: &[Vec<Place>],
        values: &[Value],
    ) -> Result<(), LowerError> {
        let buffer = self.cx.partial_of[&anchor];
        if self.turned.is_some() {
            let places = instances
                .iter()
                .map(|instance| self.place_in_partial(anchor, instance));
            let sums: Vec<_> = places.zip(values.iter().copied()).collect();
            self.add_channels(buffer, &sums);
            return Ok(());
        }
        let Some(lanes) = values
            .first()
            .and_then(|&value| self.b.type_of(value).lanes())
        else {
            return Ok(());
        };
        let mask = self.valid_samples(lanes);
        let zero = self.b.float(0.0, lanes);
        // Sums that follow one another: emitters add the lanes of several at once.
        for (instances, values) in instances.chunks(TOGETHER).zip(values.chunks(TOGETHER)) {
            let real: Vec<Value> = values
                .iter()
                .map(|&value| self.b.select(mask, value, zero))
                .collect();
            let sums: Vec<Value> = real.iter().map(|&real| self.b.reduce_add(real)).collect();
            for (instance, sum) in instances.iter().zip(sums) {
                let at = self.place_in_partial(anchor, instance);
                self.add_sum(buffer, &at, sum);
            }
        }
        Ok(())
    }

    /// Adds one element to the task's partial, or stores it where there is nothing to add it to.
    fn add_sum(&mut self, buffer: BufferId, at: &Affine<Value>, sum: Value) {
        let handle = self.handle(buffer);
        let after = match self.divided {
            true => sum,
            false => {
                let before = self.b.load(handle, form(at), 1);
                self.b.binary(VectorBinary::Add, before, sum)
            }
        };
        self.b.store_at(handle, form(at), after);
    }

    /// Loads a vector (or splat) of a plain buffer at a linear place.
    ///
    /// # Errors
    /// For a mask that would have to be joined.
    pub(super) fn load_at(
        &mut self,
        buffer: BufferId,
        at: &Affine<Value>,
    ) -> Result<Value, LowerError> {
        let stride = match self.vectors {
            Vectors::Feature(counter) if self.width > 1 => at.coefficient(counter),
            _ => 0,
        };
        let loaded = self.load_lanes(buffer, at, stride)?;
        Ok(self.unpacked(self.element(buffer), loaded))
    }
}

/// Every combination of positions, with the lane axis put in its place.
fn product(places: &[Vec<Affine<Value>>], lane: Option<usize>) -> Vec<Vec<Place>> {
    let mut elements: Vec<Vec<Place>> = vec![Vec::new()];
    for positions in places {
        elements = elements
            .into_iter()
            .flat_map(|element| {
                positions.iter().map(move |position| {
                    let mut longer = element.clone();
                    longer.push(Position::At(position.clone()));
                    longer
                })
            })
            .collect();
    }
    if let Some(lane) = lane {
        elements
            .iter_mut()
            .for_each(|element| element.insert(lane, Position::Lane));
    }
    elements
}
