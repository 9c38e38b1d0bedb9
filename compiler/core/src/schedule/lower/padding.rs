//! A copy with zeros around it: the zeros first, then the rows.

use super::{Context, LowerError, Lowered, Lowering, form, ranged_axis};
use crate::graph::{Dim, NodeId, Op};
use crate::loops::{Buffer, Element, IntOp, LoopKind, Value};
use crate::plan::ScalarArgument;
use crate::schedule::affine::Affine;
use crate::schedule::fuse::{Group, Strategy, root};
use crate::schedule::insets::before;

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
    let ranged = ranged_axis(cx, &cx.graph.nodes[group.outputs[0]].ty.shape);
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
    let counter = Affine::variable(counter);
    let (read, write) = lowering.begin_before(&padding, ranged);
    let size = stride(&padding.outer, ranged);
    let mut whole = write.clone();
    whole.add_scaled(&counter, size);
    let zeros = widest(cx, size);
    lowering.along(size, zeros, &whole, &whole, None, to);
    let own = counter.plus(-padding.before[ranged]);
    let low = (IntOp::LessEqual, 0.into(), form(&own));
    let high = (IntOp::Less, form(&own), padding.inner[ranged].into());
    let [low, high] = [low, high].map(|(op, a, b)| lowering.b.condition(op, &a, &b));
    let within = lowering.b.condition(IntOp::And, &low.into(), &high.into());
    lowering.b.begin_if(within);
    lowering.rows(&padding, (ranged, &own), (read, write), (from, to));
    lowering.b.end_if(&[]);
    (0..=ranged).for_each(|_| drop(lowering.b.end_loop(&[])));
    let range = Some((Dim::fixed(extent), 1));
    let lowered = lowering.finish(range, "a copy with zeros around it".into())?;
    Ok(Some(lowered))
}

impl Lowering<'_> {
    /// Begins loops over the axes before the ranged one. What they read and write begins at these places.
    fn begin_before(&mut self, padding: &Padding, ranged: usize) -> (Affine<Value>, Affine<Value>) {
        let (mut read, mut write) = (Affine::constant(0), Affine::constant(0));
        for axis in 0..ranged {
            let (first, end) = (self.b.index(0), self.b.index(padding.outer[axis]));
            let name = format!("i{axis}");
            let (counter, _) = self
                .b
                .begin_loop(LoopKind::Domain, name, first, end, 1, &[]);
            let counter = self.counter(counter);
            read.add_scaled(&counter, stride(&padding.inner, axis));
            write.add_scaled(&counter, stride(&padding.outer, axis));
        }
        (read, write)
    }

    /// Copies the rows that lie within an element of the ranged axis, whose place in what is copied is `own`.
    fn rows(
        &mut self,
        padding: &Padding,
        (ranged, own): (usize, &Affine<Value>),
        (mut read, mut write): (Affine<Value>, Affine<Value>),
        buffers: (Buffer, Buffer),
    ) {
        read.add_scaled(own, stride(&padding.inner, ranged));
        let at = own.clone().plus(padding.before[ranged]);
        write.add_scaled(&at, stride(&padding.outer, ranged));
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

/// Elements from one place of an axis to the next.
fn stride(extents: &[i64], axis: usize) -> i64 {
    extents[axis + 1..].iter().product()
}

/// The widest vector that fits into so many elements.
fn widest(cx: &Context<'_>, extent: i64) -> u8 {
    let register = cx.target.register_lanes;
    let widths = [cx.target.widest_lanes(), register, register / 2];
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
    let same = cx.graph.nodes[source].ty.shape == cx.graph.nodes[node.inputs[0]].ty.shape
        && !cx.insets.contains_key(&source);
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
    let ranged = ranged_axis(cx, &view.shape);
    let room = outer.iter().zip(inner.iter().zip(&before));
    let mut padded = room.map(|(outer, (inner, before))| (*before, outer - inner - before));
    let within = padded
        .clone()
        .all(|(before, after)| before >= 0 && after >= 0);
    let apart = padded.clone().take(ranged).all(|ends| ends == (0, 0));
    let any = padded.any(|ends| ends != (0, 0));
    (within && apart && any && ranged + 1 < outer.len()).then_some(Padding {
        source,
        outer,
        inner,
        before,
    })
}
