//! A buffer for every input and stored value: layout, space, and what is updated in place.

use super::fuse::{Fusion, root};
use super::in_place::overwrites;
use super::insets::Inset;
use super::lanes::Lanes;
use super::layout::Layouts;
use super::loops::{LoopBuffers, Loops, loop_buffers};
use super::memory::{Lifetime, aligned, place};
use super::outer::{outer, rows_of_partial};
use super::persistent::PersistentLayout;
use super::shared_places::shared_places;
use super::target::Target;
use super::unit_index::UnitIndex;
use super::units::{Unit, Work};
use super::widened::memory_type;
use crate::graph::{DType, Dim, Graph, InputKind, NodeId, Op, OutputKind, TensorType};
use crate::loops::Element;
use crate::plan::{BufferId, Commit, Layout, PlanBuffer, Port, Space};
use cranelift_entity::PrimaryMap;
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};

/// The buffers of a plan under construction.
#[derive(Default)]
pub struct Buffers {
    /// All of them.
    pub all: PrimaryMap<BufferId, PlanBuffer>,
    /// Of each input and stored value.
    pub of: IndexMap<NodeId, BufferId>,
    /// Of each value that is computed again, by run.
    pub again: BTreeMap<(NodeId, usize), BufferId>,
    /// Of each anchor that is summed over tasks.
    pub partials: IndexMap<NodeId, BufferId>,
    /// Of each plain copy.
    pub relayouts: IndexMap<NodeId, BufferId>,
    /// Of each turned operand, by anchor.
    pub turned: IndexMap<NodeId, BufferId>,
    /// What enters.
    pub inputs: Vec<Port<InputKind>>,
    /// What leaves.
    pub outputs: Vec<Port<OutputKind>>,
    /// New states that could not be written in place.
    pub commits: Vec<Commit>,
    /// The memory of each loop, by its group's number.
    pub loops: BTreeMap<usize, LoopBuffers>,
    /// Those that lie where another lies, which is written after they have ended.
    places: BTreeMap<BufferId, BufferId>,
}

/// What buffers are made from.
pub struct Sources<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Lane axes.
    pub lanes: &'a Lanes,
    /// Stored values.
    pub fusion: &'a Fusion,
    /// Kernels in order, with phases.
    pub units: &'a [Unit],
    /// Loops by the number of their group.
    pub loops: &'a Loops,
    /// Images that are stored with their border.
    pub insets: &'a BTreeMap<NodeId, Inset>,
    /// Constants.
    pub target: &'a Target,
    /// The largest batch.
    pub batch: usize,
    /// Samples a block.
    pub block: usize,
    /// Where parameters and states lie.
    pub persistent: &'a PersistentLayout,
    /// Who makes and reads what.
    pub index: &'a UnitIndex,
}

impl Sources<'_> {
    fn blocks(&self) -> usize {
        self.batch.div_ceil(self.block)
    }

    /// The elements that a plain buffer has room for. What kernels over blocks read and write by samples has room for
    /// whole blocks: any axis of the arena's that may be the batch, as far as extents tell.
    fn plain_elements(&self, shape: &[Dim], space: Space) -> usize {
        let rows = (self.blocks() * self.block) as i64;
        let extent = |dim: &Dim| match space {
            Space::Persistent => dim.at(self.batch as i64),
            _ if Some(*dim) == self.lanes.extent => rows,
            _ => dim.at(rows),
        };
        shape.iter().map(extent).product::<i64>().max(0) as usize
    }

    fn in_lanes(&self, node: NodeId) -> Option<usize> {
        self.lanes.axis(node)
    }

    /// The units that read a value.
    pub fn readers(&self, node: NodeId) -> impl Iterator<Item = (usize, &Unit)> {
        let readers = self.index.readers[node].iter();
        readers.map(|&number| (number, &self.units[number]))
    }

    /// The unit that stores a value.
    pub fn maker(&self, node: NodeId) -> Option<(usize, &Unit)> {
        self.index.makers[node].map(|number| (number, &self.units[number]))
    }
}

/// Makes all buffers and places them; gives the bytes of arena and scratch.
pub fn buffers(sources: &Sources<'_>, layouts: &Layouts) -> (Buffers, usize, usize) {
    let mut buffers = Buffers::default();
    let mut uses = Uses::new();
    for id in sources.graph.nodes.keys() {
        if let Op::Input { kind, name, .. } = &sources.graph.nodes[id].op {
            let buffer = buffers.input(sources, id, *kind, name);
            uses.insert(buffer, Use::Always);
            buffers.inputs.push(Port {
                kind: *kind,
                name: name.clone(),
                buffer,
            });
        }
    }
    buffers.updates(sources);
    for &id in &sources.fusion.stored {
        if !buffers.of.contains_key(&id)
            && let Some((made, maker)) = sources.maker(id)
        {
            let readers = &sources.index.readers[id];
            let buffer = buffers.stored(sources, layouts, id, (maker, readers), 0);
            buffers.of.insert(id, buffer);
            let readers = [&[made], &readers[..]].concat();
            uses.insert(
                buffer,
                match buffers.all[buffer].cleared {
                    true => Use::Always,
                    false => Use::By(readers),
                },
            );
        }
    }
    for (made, unit) in sources.units.iter().enumerate() {
        match unit.again {
            0 => buffers.extra(sources, layouts, (made, unit), &mut uses),
            _ => buffers.again(sources, layouts, (made, unit), &mut uses),
        }
    }
    buffers.ports(sources, &mut uses);
    buffers.share_places(sources);
    let arena = buffers.place(sources, &uses, Space::Arena);
    let scratch = buffers.place(sources, &uses, Space::Scratch);
    (buffers, arena, scratch)
}

impl Buffers {
    fn input(
        &mut self,
        sources: &Sources<'_>,
        id: NodeId,
        kind: InputKind,
        name: &str,
    ) -> BufferId {
        let (space, offset) = match kind {
            InputKind::Parameter | InputKind::State => {
                (Space::Persistent, sources.persistent.offset(name))
            }
            InputKind::Data | InputKind::Scalar => (Space::Arena, 0),
        };
        let buffer = self.add(sources, id, name.into(), space, sources.in_lanes(id));
        self.all[buffer].offset = offset;
        self.of.insert(id, buffer);
        buffer
    }

    fn add(
        &mut self,
        sources: &Sources<'_>,
        id: NodeId,
        name: String,
        space: Space,
        lane: Option<usize>,
    ) -> BufferId {
        self.add_typed(sources, &sources.graph.nodes[id].ty, name, space, lane)
    }

    /// Makes the blocks of a buffer so many elements longer.
    fn lengthen(&mut self, buffer: BufferId, elements: usize, blocks: usize) {
        let buffer = &mut self.all[buffer];
        let bytes = elements * buffer.element.bytes();
        match buffer.space {
            Space::Scratch => buffer.bytes += bytes,
            Space::Arena | Space::Persistent => {
                buffer.block_stride += bytes;
                buffer.bytes += bytes * blocks;
            }
        }
    }

    /// A buffer for a value of that type.
    pub fn add_typed(
        &mut self,
        sources: &Sources<'_>,
        ty: &TensorType,
        name: String,
        space: Space,
        lane: Option<usize>,
    ) -> BufferId {
        let bytes = ty.dtype.bytes();
        let (layout, size, block_stride) = match lane {
            Some(axis) => {
                let inner = ty
                    .shape
                    .iter()
                    .enumerate()
                    .filter(|&(other, _)| other != axis);
                let inner: i64 = inner.map(|(_, dim)| dim.at(sources.batch as i64)).product();
                let block = inner as usize * sources.block * bytes;
                (
                    Layout::Lanes {
                        axis,
                        lanes: sources.block,
                    },
                    block * sources.blocks(),
                    block,
                )
            }
            None => (
                Layout::Plain,
                sources.plain_elements(&ty.shape, space) * bytes,
                0,
            ),
        };
        let block_stride = if space == Space::Scratch {
            0
        } else {
            block_stride
        };
        let size = if space == Space::Scratch {
            size / sources.blocks().max(1)
        } else {
            size
        };
        self.all.push(PlanBuffer {
            name,
            element: element(ty.dtype),
            shape: ty.shape.clone(),
            layout,
            space,
            offset: 0,
            bytes: size,
            block_stride,
            task_stride: 0,
            row_of: None,
            cleared: false,
        })
    }

    /// New values of parameters and states: in place where nothing reads the old value any more.
    fn updates(&mut self, sources: &Sources<'_>) {
        let mut written: BTreeSet<String> = BTreeSet::new();
        for output in &sources.graph.outputs {
            if !matches!(output.kind, OutputKind::Parameter | OutputKind::State) {
                continue;
            }
            let id = root(sources.graph, output.node);
            let free = !self.of.contains_key(&id) && sources.in_lanes(id).is_none();
            if free && written.insert(output.name.clone()) && overwrites(sources, id, &output.name)
            {
                let buffer = match self.persistent(sources, &output.name) {
                    Some(buffer) => buffer,
                    None => {
                        let buffer =
                            self.add(sources, id, output.name.clone(), Space::Persistent, None);
                        self.all[buffer].offset = sources.persistent.offset(&output.name);
                        buffer
                    }
                };
                self.of.insert(id, buffer);
            }
        }
    }

    fn persistent(&self, sources: &Sources<'_>, name: &str) -> Option<BufferId> {
        let input = sources.index.persistent.get(name)?;
        self.of.get(input).copied()
    }

    /// The memory of a value as one run of its maker leaves it for its readers.
    fn stored(
        &mut self,
        sources: &Sources<'_>,
        layouts: &Layouts,
        id: NodeId,
        (maker, readers): (&Unit, &[usize]),
        run: usize,
    ) -> BufferId {
        let lane = sources.in_lanes(id);
        let readers = readers.iter().map(|&reader| &sources.units[reader]);
        let local = readers
            .clone()
            .all(|unit| unit.in_blocks && unit.phase == maker.phase);
        let leaves = sources.index.leaving.contains(id);
        let space = if lane.is_some() && local && !leaves {
            Space::Scratch
        } else {
            Space::Arena
        };
        let name = format!("{}{}", kind_of(sources.graph, id), id.as_u32());
        let name = match run {
            0 => name,
            run => format!("{name}_again{run}"),
        };
        let mut ty = memory_type(sources, id);
        let slice = maker.slice.filter(|_| layouts.of_round.contains(&id));
        let rounds = slice.map_or(1, |slice| slice.rounds as usize);
        if let Some(slice) = slice {
            ty.shape[slice.axis] = Dim::fixed(1);
        }
        let inset = sources.insets.get(&id);
        if let Some(inset) = inset {
            ty.shape.clone_from(&inset.outer);
        }
        let buffer = self.add_typed(sources, &ty, name, space, lane);
        if let Some(apart) = layouts.rows_apart.get(&id) {
            let elements = apart.rows / rounds * apart.elements * sources.block;
            self.lengthen(buffer, elements, sources.blocks());
        }
        self.all[buffer].cleared = inset.is_some();
        buffer
    }

    /// What a unit makes that has run before.
    fn again(
        &mut self,
        sources: &Sources<'_>,
        layouts: &Layouts,
        (made, unit): (usize, &Unit),
        uses: &mut Uses,
    ) {
        let Work::Group(group) = unit.work else {
            return;
        };
        for &id in &sources.fusion.groups[group].outputs {
            let key = (id, unit.again);
            let readers = sources.index.again.get(&key).map_or(&[][..], Vec::as_slice);
            let buffer = self.stored(sources, layouts, id, (unit, readers), unit.again);
            self.again.insert(key, buffer);
            uses.insert(buffer, Use::By([&[made], readers].concat()));
        }
    }

    /// Partials and plain copies.
    fn extra(
        &mut self,
        sources: &Sources<'_>,
        layouts: &Layouts,
        (made, unit): (usize, &Unit),
        uses: &mut Uses,
    ) {
        let by = |wanted: &dyn Fn(&Unit) -> bool| {
            let found = sources
                .units
                .iter()
                .enumerate()
                .filter(|(_, unit)| wanted(unit));
            Use::By(found.map(|(number, _)| number).chain([made]).collect())
        };
        match unit.work {
            Work::Partial(number) => {
                let Some(anchor) = sources.fusion.groups[number].anchor else {
                    return;
                };
                // Sums are not rounded before their end.
                let shape = sources.graph.nodes[anchor].ty.shape.clone();
                let id = self.add_typed(
                    sources,
                    &TensorType::new(DType::F32, shape),
                    format!("partial{}", anchor.as_u32()),
                    Space::Arena,
                    None,
                );
                let gaps = self.gaps_of_partial(sources, anchor);
                let stride = aligned(self.all[id].bytes + gaps);
                let tasks = sources.blocks().min(sources.target.block_tasks);
                let buffer = &mut self.all[id];
                buffer.layout = Layout::Partials;
                (buffer.task_stride, buffer.bytes) = (stride, stride * tasks);
                self.partials.insert(anchor, id);
                uses.insert(
                    id,
                    by(&|unit| matches!(unit.work, Work::Group(n) if n == number)),
                );
            }
            Work::Relayout(node) => {
                let ty = memory_type(sources, node);
                let name = format!("rows{}", node.as_u32());
                let id = self.add_typed(sources, &ty, name, Space::Arena, None);
                self.copy(sources, layouts, node, id);
                self.relayouts.insert(node, id);
                uses.insert(id, by(&|unit| unit.copies.contains(&node)));
            }
            Work::Turn(anchor) => {
                let id = self.turned(sources, anchor);
                let reads = |unit: &Unit| match unit.work {
                    Work::Partial(number) => sources.fusion.groups[number].anchor == Some(anchor),
                    _ => false,
                };
                uses.insert(id, by(&reads));
            }
            Work::Loop(number) => {
                let own = loop_buffers(sources, self, &sources.loops[&number]);
                for id in own.own() {
                    uses.entry(id).or_insert(Use::By(vec![made]));
                }
                self.loops.insert(number, own);
            }
            Work::Group(_) => {}
        }
    }

    /// The memory of a plain copy. Kernels write whole blocks, so the last one has room for all its samples.
    fn copy(&mut self, sources: &Sources<'_>, layouts: &Layouts, node: NodeId, id: BufferId) {
        let buffer = &mut self.all[id];
        let (blocks, sample) = (sources.blocks(), buffer.element.bytes() * sources.block);
        if let Some(panels) = layouts.panels.get(&node) {
            buffer.layout = Layout::Panels {
                width: panels.width,
            };
            buffer.block_stride = panels.width * sample;
            buffer.bytes = panels.count() * buffer.block_stride * blocks;
            return;
        }
        let elements = buffer.elements(sources.batch).unwrap_or(0);
        buffer.block_stride = elements / sources.batch.max(1) * sample;
        buffer.bytes = buffer.block_stride * blocks;
        if let Some(apart) = layouts.copies_apart.get(&node) {
            self.lengthen(id, apart.rows * apart.elements, blocks);
        }
    }

    /// Bytes between the rows of a partial.
    fn gaps_of_partial(&self, sources: &Sources<'_>, anchor: NodeId) -> usize {
        let shape = &sources.graph.nodes[anchor].ty.shape;
        let own = self.turned.contains_key(&anchor).then(|| {
            outer(
                sources.graph,
                sources.lanes,
                sources.target,
                sources.block,
                anchor,
            )
            .and_then(|outer| rows_of_partial(shape, outer))
        });
        let rows = shape.first().and_then(|dim| dim.known()).unwrap_or(0);
        own.flatten().map_or(0, |own| (own.gap * rows * 4) as usize)
    }

    /// The memory of an anchor's turned operand: that of a block, which only the next kernel reads.
    fn turned(&mut self, sources: &Sources<'_>, anchor: NodeId) -> BufferId {
        let node = &sources.graph.nodes[anchor];
        let (lanes, target) = (sources.lanes, sources.target);
        let outer = outer(sources.graph, lanes, target, sources.block, anchor);
        let input = node.inputs[outer.map_or(0, |outer| outer.operand)];
        let name = format!("turned{}", anchor.as_u32());
        let lane = sources.in_lanes(input);
        let id = self.add(sources, input, name, Space::Scratch, lane);
        self.turned.insert(anchor, id);
        id
    }

    fn ports(&mut self, sources: &Sources<'_>, uses: &mut Uses) {
        for output in &sources.graph.outputs {
            let id = root(sources.graph, output.node);
            let Some(&from) = self.of.get(&id) else {
                continue;
            };
            let mut buffer = from;
            if matches!(output.kind, OutputKind::Parameter | OutputKind::State) {
                let to = self.persistent(sources, &output.name);
                let offset = sources.persistent.offset(&output.name);
                let there =
                    self.all[from].space == Space::Persistent && self.all[from].offset == offset;
                if !there {
                    let to = to.unwrap_or_else(|| {
                        let to =
                            self.add(sources, id, output.name.clone(), Space::Persistent, None);
                        self.all[to].offset = offset;
                        to
                    });
                    self.commits.push(Commit { from, to });
                    buffer = to;
                }
            }
            uses.insert(from, Use::Always);
            self.outputs.push(Port {
                kind: output.kind,
                name: output.name.clone(),
                buffer,
            });
        }
    }

    /// Moves values of blocks from scratch to the place of what is made when they have ended.
    fn share_places(&mut self, sources: &Sources<'_>) {
        self.places = shared_places(sources, self);
        for (&ended, &made) in &self.places {
            let (space, bytes) = (self.all[made].space, self.all[made].bytes);
            let block_stride = self.all[made].block_stride;
            let buffer = &mut self.all[ended];
            (buffer.space, buffer.bytes, buffer.block_stride) = (space, bytes, block_stride);
        }
    }

    /// Whose place a buffer has, where it has none of its own: the stack of a row, or what is made when it has ended.
    fn place_of(&self, id: BufferId) -> Option<BufferId> {
        let shared = self.places.get(&id).copied();
        self.all[id].row_of.or(shared)
    }

    /// Offsets within a space. Buffers of one phase live together, as its groups run at the same time; scratch is
    /// ordered within the block's calls.
    fn place(&mut self, sources: &Sources<'_>, uses: &Uses, space: Space) -> usize {
        let order = phase_order(sources.units);
        let ids: Vec<BufferId> = self
            .all
            .keys()
            .filter(|&id| self.all[id].space == space && self.place_of(id).is_none())
            .collect();
        let moments = |&unit: &usize| match space {
            Space::Scratch => order[unit],
            _ => (sources.units[unit].phase, sources.units[unit].phase),
        };
        let lifetime = |id: &BufferId| {
            let (from, to) = match uses.get(id) {
                Some(Use::By(units)) => (
                    units.iter().map(|unit| moments(unit).0).min().unwrap_or(0),
                    units.iter().map(|unit| moments(unit).1).max().unwrap_or(0),
                ),
                _ => (0, usize::MAX),
            };
            Lifetime {
                bytes: self.all[*id].bytes,
                from,
                to,
            }
        };
        let lifetimes: Vec<Lifetime> = ids.iter().map(lifetime).collect();
        let (offsets, total) = place(&lifetimes);
        for (id, offset) in ids.into_iter().zip(offsets) {
            self.all[id].offset = offset;
        }
        for id in self.all.keys().collect::<Vec<_>>() {
            if let Some(other) = self.place_of(id) {
                self.all[id].offset = self.all[other].offset;
            }
        }
        total
    }
}

/// When a buffer is needed.
enum Use {
    /// During the whole step, and between steps.
    Always,
    /// From the first to the last of these units.
    By(Vec<usize>),
}

type Uses = IndexMap<BufferId, Use>;

/// When each unit begins and ends, in the order in which units really run: by phase, then as listed. Those that run slice
/// by slice all begin with the first of them and end with the last.
fn phase_order(units: &[Unit]) -> Vec<(usize, usize)> {
    let mut order: Vec<usize> = (0..units.len()).collect();
    order.sort_by_key(|&number| units[number].phase);
    let mut moments = vec![(0, 0); units.len()];
    let mut place = 0;
    for together in order.chunk_by(|&one, &next| units[one].runs_with(&units[next])) {
        let last = place + together.len() - 1;
        together
            .iter()
            .for_each(|&unit| moments[unit] = (place, last));
        place = last + 1;
    }
    moments
}

fn kind_of(graph: &Graph, id: NodeId) -> &'static str {
    match graph.nodes[id].op {
        Op::Contract(_) => "product",
        Op::Reduce { .. } => "sum",
        Op::View(_) => "view",
        _ => "value",
    }
}

/// The memory element of a tensor's element type.
pub fn element(dtype: DType) -> Element {
    match dtype {
        DType::F32 => Element::F32,
        DType::Bf16 => Element::Bf16,
        DType::I32 | DType::I64 => Element::I32,
        DType::U8 => Element::U8,
        DType::Bool => Element::Bool,
    }
}
