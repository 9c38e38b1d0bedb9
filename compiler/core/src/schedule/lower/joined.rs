//! Vectors of several elements of an axis, each with the samples of the block, where a block has fewer samples than a register
//! lanes; or each a row of an image without samples in lanes.
//!
//! Lane `l` holds sample (or pixel) `l % inner` of element `counter + l / inner` of the axis.

use super::{LowerError, Lowering, Vectors, form};
use crate::loops::{Element, Instruction, LoadKind, Value, VectorBinary};
use crate::plan::BufferId;
use crate::schedule::affine::Affine;

impl Lowering<'_> {
    /// The loop counter of the axis that vectors run along, and how many of its elements a vector holds.
    pub(super) fn counter_along(&self) -> Option<(Value, i64)> {
        match self.vectors {
            Vectors::Feature(counter) | Vectors::Joined(counter) => {
                Some((counter, self.elements_of_vector()))
            }
            Vectors::Samples | Vectors::Scalar => None,
        }
    }

    /// How many elements of the axis that vectors run along one of them holds.
    pub(super) fn elements_of_vector(&self) -> i64 {
        match self.joined {
            true => (i64::from(self.width) / self.inner as i64).max(1),
            false => i64::from(self.width),
        }
    }

    /// How far a place moves with each element of the axis that vectors run along.
    pub(super) fn step_along(&self, place: &Affine<Value>) -> i64 {
        let along = self.counter_along();
        along.map_or(0, |(counter, _)| place.coefficient(counter))
    }

    /// How far a place moves with each pixel of the row that every element of a vector holds.
    pub(super) fn step_in_row(&self, place: &Affine<Value>) -> i64 {
        self.row.map_or(0, |pixel| place.coefficient(pixel))
    }

    /// Loads a vector whose samples are `stride` apart: at once where it lies in a row, else element by element.
    ///
    /// # Errors
    /// For a mask, which cannot be joined.
    pub(super) fn load_joined(
        &mut self,
        buffer: BufferId,
        at: &Affine<Value>,
        (stride, apart): (i64, i64),
    ) -> Result<Value, LowerError> {
        let (handle, inner) = (self.handle(buffer), self.inner as i64);
        if let Some(kind) = whole(inner, stride, apart) {
            return Ok(self.b.load_as(handle, form(at), kind, self.width));
        }
        if self.element(buffer) == Element::Bool {
            return Err(LowerError::NotVector);
        }
        let kind = load_kind(stride);
        let count = self.elements_of_vector();
        let mut pieces: Vec<Value> = Vec::new();
        for element in 0..count {
            let piece = match pieces.first() {
                Some(&first) if apart == 0 => first,
                _ => {
                    let at = at.clone().plus(element * apart);
                    self.b.load_as(handle, form(&at), kind, inner as u8)
                }
            };
            pieces.push(piece);
        }
        while pieces.len() > 1 {
            let pairs = pieces.chunks_exact(2);
            pieces = pairs.map(|pair| self.b.join(pair[0], pair[1])).collect();
        }
        Ok(pieces[0])
    }

    /// Stores such a vector.
    ///
    /// # Errors
    /// For a mask, and where the elements do not differ in their place.
    pub(super) fn store_joined(
        &mut self,
        buffer: BufferId,
        at: &Affine<Value>,
        (stride, apart): (i64, i64),
        value: Value,
    ) -> Result<(), LowerError> {
        let (handle, inner) = (self.handle(buffer), self.inner as i64);
        if whole(inner, stride, apart) == Some(LoadKind::Contiguous) {
            self.b.store_strided(form(at).address(handle), value, 1);
            return Ok(());
        }
        if stride == 0 || apart == 0 || self.element(buffer) == Element::Bool {
            return Err(LowerError::NotVector);
        }
        let mut pieces = vec![value];
        while (pieces.len() as i64) < self.elements_of_vector() {
            let halves = pieces
                .iter()
                .flat_map(|&piece| [0, 1].map(|half| self.b.half(piece, half)));
            pieces = halves.collect();
        }
        for (element, piece) in pieces.into_iter().enumerate() {
            let at = at.clone().plus(element as i64 * apart);
            let address = form(&at).address(handle);
            self.b.store_strided(address, piece, stride);
        }
        Ok(())
    }

    /// The lanes of real samples, of vectors that may hold several elements for each.
    pub(super) fn valid_samples(&mut self, lanes: u8) -> Value {
        if lanes <= self.width {
            return self.valid_mask();
        }
        let outer = (self.width, self.vectors);
        let any = self.b.index(0);
        (self.width, self.vectors) = (lanes, Vectors::Joined(any));
        let mask = self.valid_mask();
        (self.width, self.vectors) = outer;
        mask
    }

    /// Of a vector of several elements, their sum for each sample.
    pub(super) fn samples_of(&mut self, mut vector: Value) -> Value {
        let mut lanes = self.b.type_of(vector).lanes().unwrap_or(1);
        while usize::from(lanes) > self.cx.block {
            let halves = [0, 1].map(|half| self.b.half(vector, half));
            vector = self.b.binary(VectorBinary::Add, halves[0], halves[1]);
            lanes /= 2;
        }
        vector
    }

    /// `at + sample * samples + element * elements` as i32, with each lane's sample and element.
    pub(super) fn counted(&mut self, at: &Affine<Value>, (samples, elements): (i64, i64)) -> Value {
        let first = self.b.materialise(&form(at));
        let mut value = self.b.index_to_int(first, self.width);
        if self.width == 1 {
            return value;
        }
        let lane = self.b.iota(self.width);
        let steps = match self.vectors {
            Vectors::Joined(_) => {
                let inner = self.inner as i32;
                let last = self.b.integer(inner - 1, self.width);
                let sample = self.b.binary(VectorBinary::IntAnd, lane, last);
                let log = inner.trailing_zeros() as u8;
                let element = self
                    .b
                    .define(Instruction::ShiftRight(lane, log), self.width);
                [(sample, samples), (element, elements)]
            }
            _ => [(lane, samples), (lane, elements)],
        };
        for (number, step) in steps.into_iter().filter(|step| step.1 != 0) {
            let step = self.b.integer(step as i32, self.width);
            let ahead = self.b.binary(VectorBinary::IntMul, number, step);
            value = self.b.binary(VectorBinary::IntAdd, value, ahead);
        }
        value
    }
}

/// How a joined vector is loaded at once, where it can be.
fn whole(inner: i64, stride: i64, apart: i64) -> Option<LoadKind> {
    match (stride, apart) {
        (0, 0) => Some(LoadKind::Splat),
        (1, apart) if apart == inner => Some(LoadKind::Contiguous),
        _ => None,
    }
}

/// The load of lanes that are so many elements apart.
pub(super) fn load_kind(stride: i64) -> LoadKind {
    match stride {
        0 => LoadKind::Splat,
        1 => LoadKind::Contiguous,
        stride => LoadKind::Strided(stride),
    }
}
