//! A copy with zeros around it: the zeros first, then the rows.

use super::{Context, LowerError, Lowered, Lowering, form, ranged_axis};
use crate::graph::{AxisIndex, Dim, NodeId, Op, View};
use crate::loops::{Buffer, Element, LoopKind, Value};
use crate::plan::ScalarArgument;
use crate::schedule::affine::Affine;
use crate::schedule::fuse::{Group, Strategy, root};

/// A padding of a value in memory.
struct Padding {
    source: NodeId,
    /// Extents with and without the padding.
    outer: Vec<i64>,
    inner: Vec<i64>,
    /// Elements before, of each axis.
    before: Vec<i64>,
}

/// The kernel of a group that is such a copy and nothing else; `None` where it is not.
///
/// # Errors
/// Only for a fault of the lowering.
pub fn lower_padding(
    cx: &Context<'_>,
    group: &Group,
    name: &str,
) -> Result<Option<Lowered>, LowerError> {
    let Some(padding) = padding(cx, group) else {
        return Ok(None);
    };
    let width = widest(cx, *padding.inner.last().unwrap_or(&1));
    let mut lowering = Lowering::new(cx, group, name.into(), false, width);
    lowering.bind();
    let from = lowering.handle(cx.buffer_of[&padding.source]);
    let to = lowering.handle(cx.buffer_of[&group.outputs[0]]);
    let ranged = ranged_axis(&cx.graph.nodes[group.outputs[0]].ty.shape);
    let begin = lowering.scalar(ScalarArgument::RangeBegin);
    let end = lowering.scalar(ScalarArgument::RangeEnd);
    let extent = padding.outer[ranged];
    let last = crate::loops::Range::new(0, extent);
    lowering
        .b
        .assume(begin, crate::loops::Range::new(0, extent - 1));
    lowering.b.assume(end, last);
    let (counter, _) = lowering
        .b
        .begin_loop(LoopKind::Domain, "i0", begin, end, 1, &[]);
    lowering
        .b
        .assume(counter, crate::loops::Range::new(0, extent - 1));
    let size: i64 = padding.outer[ranged + 1..].iter().product();
    let mut whole = Affine::constant(0);
    whole.add_scaled(&Affine::variable(counter), size);
    let zeros = widest(cx, size);
    lowering.along(size, zeros, &whole, &whole, None, to);
    lowering.rows(&padding, ranged, &Affine::variable(counter), (from, to));
    lowering.b.end_loop(&[]);
    let range = Some((Dim::fixed(extent), 1));
    let lowered = lowering.finish(range, "a copy with zeros around it".into())?;
    Ok(Some(lowered))
}

impl Lowering<'_> {
    /// Copies the rows that lie within an element of the ranged axis.
    fn rows(
        &mut self,
        padding: &Padding,
        ranged: usize,
        counter: &Affine<Value>,
        buffers: (Buffer, Buffer),
    ) {
        let stride = |extents: &[i64], axis: usize| extents[axis + 1..].iter().product::<i64>();
        let mut read = Affine::constant(0);
        let mut write = Affine::constant(0);
        read.add_scaled(counter, stride(&padding.inner, ranged));
        write.add_scaled(counter, stride(&padding.outer, ranged));
        let last = padding.inner.len() - 1;
        for axis in ranged + 1..last {
            let (first, end) = (self.b.index(0), self.b.index(padding.inner[axis]));
            let name = format!("i{axis}");
            let (row, _) = self
                .b
                .begin_loop(LoopKind::Domain, name, first, end, 1, &[]);
            let row = self.counter(row);
            read.add_scaled(&row, stride(&padding.inner, axis));
            let row = row.plus(padding.before[axis]);
            write.add_scaled(&row, stride(&padding.outer, axis));
        }
        let write = write.plus(padding.before[last]);
        let (from, to) = buffers;
        let extent = padding.inner[last];
        self.along(extent, self.width, &read, &write, Some(from), to);
        for _ in ranged + 1..last {
            self.b.end_loop(&[]);
        }
    }

    /// Writes `extent` neighbouring elements: of another buffer, or zeros. Vectors, then the rest one by one.
    fn along(
        &mut self,
        extent: i64,
        width: u8,
        read: &Affine<Value>,
        write: &Affine<Value>,
        from: Option<Buffer>,
        to: Buffer,
    ) {
        let whole = extent - extent % i64::from(width);
        for (first, end, width) in [(0, whole, width), (whole, extent, 1)] {
            if first == end {
                continue;
            }
            let (first, end) = (self.b.index(first), self.b.index(end));
            let step = i64::from(width);
            let (at, _) = self
                .b
                .begin_loop(LoopKind::Domain, "vector", first, end, step, &[]);
            let at = self.counter(at);
            let place = |base: &Affine<Value>| {
                let mut place = base.clone();
                place.add_scaled(&at, 1);
                form(&place)
            };
            let value = match from {
                Some(from) => self.b.load(from, place(read), width),
                None => self.b.float(0.0, width),
            };
            self.b.store_at(to, place(write), value);
            self.b.end_loop(&[]);
        }
    }
}

/// The widest vector that fits into so many elements.
fn widest(cx: &Context<'_>, extent: i64) -> u8 {
    let register = cx.target.register_lanes;
    let widths = [(2 * register).min(16), register, register / 2];
    let fits = widths.into_iter().find(|&width| width as i64 <= extent);
    fits.unwrap_or(1) as u8
}

fn padding(cx: &Context<'_>, group: &Group) -> Option<Padding> {
    let &[output] = group.outputs.as_slice() else {
        return None;
    };
    let node = &cx.graph.nodes[output];
    let Op::View(view) = &node.op else {
        return None;
    };
    let source = root(cx.graph, node.inputs[0]);
    let plain = group.strategy == Strategy::Plain && group.anchor.is_none() && !cx.whole;
    let stored = |id| cx.buffer_of.get(&id).copied();
    let element = |id| stored(id).map(|buffer| cx.buffers[buffer].element);
    let floats = [output, source].map(element) == [Some(Element::F32); 2];
    let same = cx.graph.nodes[source].ty.shape == cx.graph.nodes[node.inputs[0]].ty.shape;
    if !plain || !floats || !same || view.fill.as_f64() != 0.0 {
        return None;
    }
    let known = |shape: &[Dim]| {
        shape
            .iter()
            .map(|dim| dim.known())
            .collect::<Option<Vec<_>>>()
    };
    let (outer, inner) = (
        known(&view.shape)?,
        known(&cx.graph.nodes[source].ty.shape)?,
    );
    let before = before(view)?;
    let ranged = ranged_axis(&view.shape);
    let room = outer.iter().zip(inner.iter().zip(&before));
    let mut padded = room.map(|(outer, (inner, before))| (*before, outer - inner - before));
    let within = padded
        .clone()
        .all(|(before, after)| before >= 0 && after >= 0);
    let apart = padded.clone().take(ranged + 1).all(|ends| ends == (0, 0));
    let any = padded.any(|ends| ends != (0, 0));
    (within && apart && any && ranged + 1 < outer.len()).then_some(Padding {
        source,
        outer,
        inner,
        before,
    })
}

/// How far each axis is moved, where each is its own variable and nothing else.
fn before(view: &View) -> Option<Vec<i64>> {
    let axes = view.index.iter().enumerate();
    let moved = axes.map(|(number, axis)| {
        let own = AxisIndex::affine(&[(number, 1)], axis.offset, 1);
        (*axis == own).then_some(-axis.offset)
    });
    moved.collect()
}
