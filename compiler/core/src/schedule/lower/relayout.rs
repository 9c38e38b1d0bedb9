//! A plain copy of a value that lies in lanes, for products over the batch: in rows, or in panels of columns.

use super::{Context, LowerError, Lowered, Lowering, form};
use crate::graph::NodeId;
use crate::loops::{Access, Buffer, TILE, Value};
use crate::plan::{BufferId, Layout};
use crate::schedule::affine::Affine;
use crate::schedule::fuse::{Group, Strategy};

/// The kernel that copies one block of `node` from lanes to rows, or to panels.
///
/// # Errors
/// Only for a fault of the lowering.
pub fn lower_relayout(
    cx: &Context<'_>,
    node: NodeId,
    from: BufferId,
    to: BufferId,
) -> Result<Lowered, LowerError> {
    let group = Group::single(node, Strategy::Lanes);
    let width = cx.block.min(cx.target.register_lanes);
    let name = format!("relayout_{}", cx.buffers[from].name);
    let mut lowering = Lowering::new(cx, &group, name, false, width as u8);
    let bind = |lowering: &mut Lowering<'_>, buffer: BufferId, access| {
        let name = cx.buffers[buffer].name.clone();
        let handle = lowering.b.buffer(name, lowering.element(buffer), access);
        lowering.bound.insert(buffer, handle);
        handle
    };
    let source = bind(&mut lowering, from, Access::Read);
    let target = bind(&mut lowering, to, Access::Write);
    let apart = cx.orders.rows_apart.contains_key(&to);
    let order = match cx.buffers[to].layout {
        Layout::Panels { width } => {
            lowering.copy_panels(node, width as i64, (source, target));
            format!("panels of {width} columns")
        }
        _ => {
            lowering.copy_rows(node, to, (source, target));
            format!("plain rows{}", if apart { ", apart" } else { "" })
        }
    };
    lowering.finish(None, format!("{order}, for a product over the batch"))
}

impl Lowering<'_> {
    fn copy_rows(&mut self, node: NodeId, to: BufferId, (source, target): (Buffer, Buffer)) {
        let cx = self.cx;
        let lane = cx.lanes.axis(node);
        let shape = &cx.graph.nodes[node].ty.shape;
        let size = |first: usize| -> i64 {
            let inner = shape.iter().enumerate().skip(first);
            let inner = inner.filter(|&(axis, _)| Some(axis) != lane);
            inner.map(|(_, dim)| dim.fixed).product()
        };
        let (row, apart) = match cx.orders.rows_apart.get(&to) {
            Some(apart) => (size(apart.axis + 1), apart.elements as i64),
            None => (size(0), 0),
        };
        let rows = size(0) / row.max(1);
        let (block, sample) = (cx.block as i64, rows * (row + apart));
        let first = self.begin("lane", block, i64::from(self.width));
        let outer = self.begin("row", rows, 1);
        let counter = self.begin("i0", row, 1);
        let (mut read, mut write) = (first.clone(), counter.clone());
        read.add_scaled(&counter, block);
        read.add_scaled(&outer, row * block);
        let value = self.b.load(source, form(&read), self.width);
        write.add_scaled(&outer, row + apart);
        write.add_scaled(&first, sample);
        let write = form(&write).address(target);
        self.b.store_strided(write, value, sample);
        (0..3).for_each(|_| self.end());
    }

    fn copy_panels(&mut self, node: NodeId, width: i64, buffers: (Buffer, Buffer)) {
        let inner = self.cx.graph.nodes[node].ty.shape.iter().skip(1);
        let columns: i64 = inner.map(|dim| dim.fixed).product();
        let whole = columns / width * width;
        let panel = self.begin("panel", whole, width);
        self.copy_panel((&panel, width), width, buffers);
        self.end();
        if whole < columns {
            let rest = Affine::constant(whole);
            self.copy_panel((&rest, width), columns - whole, buffers);
        }
    }

    /// So many columns of all samples of the block, from a panel's first on.
    fn copy_panel(
        &mut self,
        (panel, width): (&Affine<Value>, i64),
        columns: i64,
        buffers: (Buffer, Buffer),
    ) {
        let samples = self.begin("lane", self.cx.block as i64, i64::from(self.width));
        let mut write = Affine::constant(0);
        write.add_scaled(panel, self.cx.samples_of_blocks());
        write.add_scaled(&samples, width);
        let mut read = samples;
        read.add_scaled(panel, self.cx.block as i64);
        // An emitter turns a tile of neighbours in registers.
        let tile = TILE as i64;
        let tiled = columns / tile * tile;
        if tiled > 0 {
            let column = self.begin("column", tiled, tile);
            self.copy_columns((&read, &write, &column), (tile, width), buffers);
            self.end();
        }
        if tiled < columns {
            let column = Affine::constant(tiled);
            self.copy_columns((&read, &write, &column), (columns - tiled, width), buffers);
        }
        self.end();
    }

    /// So many columns of a vector of samples, from one on.
    fn copy_columns(
        &mut self,
        (read, write, column): (&Affine<Value>, &Affine<Value>, &Affine<Value>),
        (count, width): (i64, i64),
        (source, target): (Buffer, Buffer),
    ) {
        let block = self.cx.block as i64;
        let (mut read, mut write) = (read.clone(), write.clone());
        read.add_scaled(column, block);
        write.add_scaled(column, 1);
        let load = |beside: i64| {
            let at = read.clone().plus(beside * block);
            self.b.load(source, form(&at), self.width)
        };
        let values: Vec<Value> = (0..count).map(load).collect();
        for value in values {
            let address = form(&write).address(target);
            self.b.store_strided(address, value, width);
            write.offset += 1;
        }
    }
}
