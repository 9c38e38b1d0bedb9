//! Rows of a table by ids: the only place where data decide an address. Ids are clamped to the table.

use super::{LowerError, Lowering, Place, Vectors, form};
use crate::graph::NodeId;
use crate::loops::{Comparison, IntOp, Range, Value};
use crate::schedule::affine::Affine;
use crate::schedule::position::Position;

impl Lowering<'_> {
    pub(super) fn gather(
        &mut self,
        table: NodeId,
        ids: NodeId,
        places: &[Place],
    ) -> Result<Value, LowerError> {
        if self.cx.lanes.axis(table).is_some() && self.in_blocks() {
            return self.unsupported(table, "rows of a table that lies along the batch");
        }
        let (own, rest) = places.split_at(self.cx.graph.nodes[ids].ty.rank());
        let id = self.value(ids, own)?;
        if self.width == 1 || !self.differs(own) {
            let row = self.row(table, id, 0);
            return self.table_element(table, row, rest);
        }
        self.each_lane(table, id, rest)
    }

    /// Whether the ids of the lanes differ.
    fn differs(&self, places: &[Place]) -> bool {
        places.iter().any(|place| match place {
            Position::Lane => true,
            Position::At(form) => self.step_along(form) != 0,
        })
    }

    fn row(&mut self, table: NodeId, id: Value, lane: u8) -> Affine<Value> {
        let rows = self.cx.graph.nodes[table].ty.shape[0];
        let last = form(&self.extent(rows)).add_constant(-1);
        let id = self.b.extract(id, lane);
        let row = self.b.int_to_index(id);
        let row = self.b.int(IntOp::Max, &row.into(), &0.into());
        let row = self.b.int(IntOp::Min, &row, &last);
        let row = self.b.materialise(&row);
        if let Some(rows) = rows.known() {
            self.b.assume(row, Range::new(0, rows - 1));
        }
        Affine::variable(row)
    }

    fn table_element(
        &mut self,
        table: NodeId,
        row: Affine<Value>,
        rest: &[Place],
    ) -> Result<Value, LowerError> {
        let mut places = vec![Position::At(row)];
        places.extend_from_slice(rest);
        self.value(table, &places)
    }

    /// Lane by lane, each put in its place.
    fn each_lane(&mut self, table: NodeId, id: Value, rest: &[Place]) -> Result<Value, LowerError> {
        let width = self.width;
        let varies = rest.iter().any(|place| matches!(place, Position::Lane));
        if matches!(self.vectors, Vectors::Joined(_)) {
            return Err(LowerError::NotVector);
        }
        if varies || self.differs(rest) {
            return self.unsupported(table, "rows whose elements lie along the batch");
        }
        let lanes = self.b.iota(width);
        let mut result: Option<Value> = None;
        for lane in 0..width {
            let row = self.row(table, id, lane);
            let element = self.table_element(table, row, rest)?;
            result = Some(match result {
                None => element,
                Some(before) => {
                    let number = self.b.integer(i32::from(lane), width);
                    let here = self.b.compare(Comparison::Eq, lanes, number);
                    self.b.select(here, element, before)
                }
            });
        }
        result.map_or_else(|| self.unsupported(table, "no lanes"), Ok)
    }
}
