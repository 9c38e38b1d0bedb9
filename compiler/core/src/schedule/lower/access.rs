//! Loads and stores of values in memory, in any layout.

use super::joined::load_kind;
use super::{LowerError, Lowering, Place, Vectors, affine, form};
use crate::graph::{Dim, NodeId};
use crate::loops::{Buffer, Value};
use crate::plan::{BufferId, Layout, ScalarArgument};
use crate::schedule::affine::Affine;
use crate::schedule::fuse::root;
use crate::schedule::layout::{RowsApart, order_in_memory};
use crate::schedule::position::{IndexSpace, Position};

/// An address, and how far apart the lanes are.
pub(super) struct Located {
    pub(super) at: Affine<Value>,
    pub(super) stride: i64,
}

impl Lowering<'_> {
    /// The value of an element (of each lane's element) of what lies in `buffer` with the given logical shape.
    pub(super) fn load(
        &mut self,
        node: NodeId,
        buffer: BufferId,
        shape: &[Dim],
        places: &[Place],
    ) -> Result<Value, LowerError> {
        let located = self.locate(node, buffer, shape, places)?;
        let loaded = self.load_lanes(buffer, &located.at, located.stride)?;
        Ok(self.unpacked(self.element(buffer), loaded))
    }

    /// What lies at a place, the samples or elements of the lanes so far apart.
    pub(super) fn load_lanes(
        &mut self,
        buffer: BufferId,
        at: &Affine<Value>,
        stride: i64,
    ) -> Result<Value, LowerError> {
        if let Vectors::Joined(counter) = self.vectors {
            return self.load_joined(buffer, at, (stride, at.coefficient(counter)));
        }
        let handle = self.handle(buffer);
        let kind = load_kind(stride);
        Ok(self.b.load_as(handle, form(at), kind, self.width))
    }

    /// Writes an element, or each lane's element.
    pub(super) fn store(
        &mut self,
        node: NodeId,
        buffer: BufferId,
        shape: &[Dim],
        places: &[Place],
        value: Value,
    ) -> Result<(), LowerError> {
        let located = self.locate(node, buffer, shape, places)?;
        if let Vectors::Joined(counter) = self.vectors {
            let value = self.packed(self.element(buffer), value);
            let apart = located.at.coefficient(counter);
            return self.store_joined(buffer, &located.at, (located.stride, apart), value);
        }
        let handle = self.handle(buffer);
        let value = if located.stride == 0 && self.width > 1 {
            self.b.extract(value, 0)
        } else {
            value
        };
        let value = self.packed(self.element(buffer), value);
        let address = form(&located.at).address(handle);
        self.b.store_strided(address, value, located.stride.max(1));
        Ok(())
    }

    pub(super) fn handle(&self, buffer: BufferId) -> Buffer {
        self.bound[&buffer]
    }

    /// Where an element (each lane's element) lies.
    pub(super) fn locate(
        &mut self,
        node: NodeId,
        buffer: BufferId,
        shape: &[Dim],
        places: &[Place],
    ) -> Result<Located, LowerError> {
        match self.cx.buffers[buffer].layout {
            Layout::Lanes { lanes, .. } => {
                let order = self.order_in_block(node, buffer, shape)?;
                let apart = self.cx.orders.rows_apart.get(&buffer).copied();
                let mut located =
                    self.locate_in_lanes(node, (lanes as i64, apart), shape, &order, places)?;
                if self.cx.orders.of_round.contains(&buffer) {
                    let round = self.scalar(ScalarArgument::Round);
                    located.at.terms.retain(|term| term.0 != round);
                }
                Ok(located)
            }
            Layout::Panels { width } => self.locate_in_panels(node, width as i64, places),
            Layout::Plain | Layout::Partials => match self.cx.insets.get(&node) {
                Some(inset) => {
                    let places = places.iter().zip(&inset.before);
                    let places = places.map(|(place, before)| match place {
                        Position::At(position) => Position::At(position.clone().plus(*before)),
                        Position::Lane => Position::Lane,
                    });
                    let places: Vec<Place> = places.collect();
                    self.locate_plain(node, (&inset.outer, None), &places)
                }
                None => {
                    let apart = self.cx.orders.rows_apart.get(&buffer).copied();
                    self.locate_plain(node, (shape, apart), places)
                }
            },
        }
    }

    fn locate_plain(
        &mut self,
        node: NodeId,
        (shape, apart): (&[Dim], Option<RowsApart>),
        places: &[Place],
    ) -> Result<Located, LowerError> {
        let mut at = Affine::constant(0);
        let mut stride = 0;
        let mut room = (Affine::constant(0), 0);
        for (number, (dim, place)) in shape.iter().zip(places).enumerate() {
            at = self.times(&at, *dim);
            stride = match dim.known() {
                Some(extent) => stride * extent,
                None if stride == 0 => 0,
                None => return self.unsupported(node, "a lane axis before the batch axis"),
            };
            match place {
                Position::At(position) => at.add_scaled(position, 1),
                Position::Lane => {
                    let first = self.first_sample();
                    at.add_scaled(&first, 1);
                    stride += 1;
                }
            }
            if let Some(apart) = apart.filter(|apart| apart.axis == number) {
                room.0.add_scaled(&at, apart.elements as i64);
                room.1 = stride * apart.elements as i64;
            }
        }
        at.add_scaled(&room.0, 1);
        stride += room.1;
        match self.vectors {
            Vectors::Feature(counter) => stride = at.coefficient(counter),
            Vectors::Joined(_) if self.row.is_some() => stride = self.step_in_row(&at),
            _ => {}
        }
        Ok(Located {
            at,
            stride: if self.width == 1 { 0 } else { stride },
        })
    }

    /// A column of a sample, or a vector of columns that begins in a panel and ends there.
    fn locate_in_panels(
        &mut self,
        node: NodeId,
        width: i64,
        places: &[Place],
    ) -> Result<Located, LowerError> {
        let [Position::At(sample), Position::At(column)] = places else {
            return self.unsupported(node, "panels of columns in another shape");
        };
        let stride = match self.vectors {
            Vectors::Joined(_) => return Err(LowerError::NotVector),
            Vectors::Feature(counter) if self.width > 1 => column.coefficient(counter),
            _ => 0,
        };
        if stride != 0 && !self.stays_in_panel(column, stride) {
            return Err(LowerError::NotVector);
        }
        let samples = self.cx.samples_of_blocks();
        let mut at = Affine::constant(0);
        if stride != 0 && i64::from(self.width) == width {
            // Whole vectors begin where panels do, as tasks' ranges do.
            at.add_scaled(column, samples);
        } else {
            let panel = self.b.div_floor(&form(column), width);
            let within = self.b.mod_floor(&form(column), width);
            at.add_scaled(&affine(&panel), samples * width);
            at.add_scaled(&affine(&within), 1);
        }
        at.add_scaled(sample, width);
        Ok(Located { at, stride })
    }

    /// Whether a vector of neighbouring columns begins at a multiple of its width, as its counter does.
    fn stays_in_panel(&self, column: &Affine<Value>, stride: i64) -> bool {
        let width = i64::from(self.width);
        let counter = match self.vectors {
            Vectors::Feature(counter) => Some(counter),
            _ => None,
        };
        let mut others = column.terms.iter().filter(|term| Some(term.0) != counter);
        stride == 1 && others.all(|term| term.1 % width == 0) && column.offset % width == 0
    }

    /// The lane axis, then the other axes from the outermost in memory to the innermost.
    fn order_in_block(
        &self,
        node: NodeId,
        buffer: BufferId,
        shape: &[Dim],
    ) -> Result<(usize, Vec<usize>), LowerError> {
        let Some(lane) = self.lane_axis(node, shape) else {
            return self.unsupported(node, "this change of shape of a batch");
        };
        let own = self.cx.buffer_of.get(&root(self.cx.graph, node)) == Some(&buffer);
        if let Some(order) = self.cx.orders.ordered.get(&buffer).filter(|_| own) {
            return Ok((lane, order.clone()));
        }
        let axes = (0..shape.len()).filter(|&axis| axis != lane);
        let inside = self.cx.orders.channels_inside.contains(&buffer);
        Ok((lane, order_in_memory(axes, inside)))
    }

    fn locate_in_lanes(
        &mut self,
        node: NodeId,
        (lanes, apart): (i64, Option<RowsApart>),
        shape: &[Dim],
        (lane, axes): &(usize, Vec<usize>),
        places: &[Place],
    ) -> Result<Located, LowerError> {
        let (mut inner, mut size) = (Affine::constant(0), 1);
        let mut room = (Affine::constant(0), 0);
        for (number, &axis) in axes.iter().enumerate() {
            let Some(extent) = shape[axis].known() else {
                return self.unsupported(node, "two axes of run-time extent");
            };
            let Position::At(position) = &places[axis] else {
                return self.unsupported(node, "lanes along another axis");
            };
            let mut next = Affine::constant(0);
            next.add_scaled(&inner, extent);
            next.add_scaled(position, 1);
            (inner, size) = (next, size * extent);
            if let Some(apart) = apart.filter(|apart| apart.axis == number) {
                room.0.add_scaled(&inner, apart.elements as i64);
                room.1 = size * apart.elements as i64;
            }
        }
        inner.add_scaled(&room.0, 1);
        size += room.1;
        let mut at = Affine::constant(0);
        at.add_scaled(&inner, lanes);
        match &places[*lane] {
            Position::Lane => {
                let first = self.first_lane.clone();
                at.add_scaled(&first, 1);
                Ok(Located {
                    at,
                    stride: if self.width == 1 { 0 } else { 1 },
                })
            }
            Position::At(sample) if self.turned.is_some() => {
                at.add_scaled(sample, 1);
                Ok(Located { at, stride: 0 })
            }
            Position::At(_) if self.in_blocks() => {
                self.unsupported(node, "a sample that reads another sample")
            }
            Position::At(sample) => {
                let Some((block, within)) = self.divide(sample, lanes) else {
                    return Err(LowerError::NotVector);
                };
                at.add_scaled(&block, size * lanes);
                at.add_scaled(&within, 1);
                let stride = match self.vectors {
                    Vectors::Feature(counter) => at.coefficient(counter),
                    _ => 0,
                };
                Ok(Located {
                    at,
                    stride: if self.width == 1 { 0 } else { stride },
                })
            }
        }
    }

    /// Which axis of `shape`, a reshape of what is stored, is the lane axis.
    fn lane_axis(&self, node: NodeId, shape: &[Dim]) -> Option<usize> {
        let own = self.cx.lanes.axis(node);
        own.filter(|&axis| shape.get(axis).copied() == self.cx.lanes.extent)
    }

    /// The number of the vector's first sample in the batch.
    pub(super) fn first_sample(&mut self) -> Affine<Value> {
        let block = self.scalar(ScalarArgument::Block);
        let mut first = self.first_lane.clone();
        first.add_scaled(&Affine::variable(block), self.cx.block as i64);
        first
    }

    fn times(&mut self, value: &Affine<Value>, dim: Dim) -> Affine<Value> {
        let mut product = Affine::constant(0);
        match (dim.known(), value.as_constant()) {
            (Some(extent), _) => product.add_scaled(value, extent),
            (None, Some(0)) => {}
            (None, _) => {
                let extent = self.extent(dim);
                let extent = form(&extent);
                product = affine(&self.b.int(crate::loops::IntOp::Mul, &form(value), &extent));
            }
        }
        product
    }

    /// The extent of an axis.
    pub(super) fn extent(&mut self, dim: Dim) -> Affine<Value> {
        let mut extent = Affine::constant(dim.fixed);
        if dim.is_dynamic() {
            let batch = self.scalar(ScalarArgument::Batch);
            extent.add_scaled(&Affine::variable(batch), dim.batch);
        }
        extent
    }
}
