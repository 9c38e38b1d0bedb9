//! When units run, so that a step needs little memory.
//!
//! ```text
//! earliest                                    in order
//! phase 0  transpose w; forward; turn h       phase 0  transpose w
//! phase 1  backward; sums of h                phase 1  forward; backward; turn h; sums of h
//! ```
//!
//! [`units`](super::units) finds the earliest phase of each unit. What is made long before it is read takes memory in
//! between, and memory that all blocks have where the barrier between two phases lies on the way. A unit can wait for
//! its first reader: a copy costs nothing until then. Within a phase, a unit that frees as much as it takes runs
//! as soon as it can. Neither changes any value.

use super::fuse::root;
use super::lanes::Lanes;
use super::serial::before;
use super::units::{Unit, Work};
use crate::graph::{Graph, InputKind, NodeId, Op, OutputKind};
use crate::schedule::fuse::Fusion;
use std::collections::{BTreeMap, BTreeSet};

/// Which units wait for their readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// None.
    Nothing,
    /// Those that then keep less memory for a shorter time.
    Savers,
    /// All that run for sample blocks, and what nothing in the step reads: all blocks then go through as few phases as
    /// can be, and each worker keeps the values of one block.
    Blocks,
}

impl Waiting {
    /// The ways to order units; the first of those that need least is taken.
    pub const ALL: [Waiting; 3] = [Waiting::Savers, Waiting::Blocks, Waiting::Nothing];
}

/// What the order is found from.
#[derive(Clone, Copy)]
pub struct Program<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Lane axes.
    pub lanes: &'a Lanes,
    /// Groups.
    pub fusion: &'a Fusion,
    /// The largest batch.
    pub batch: usize,
}

/// The units in the order in which they run, with their phases, which leave no gap.
pub fn in_order(program: Program<'_>, units: &[Unit], waiting: Waiting) -> Vec<Unit> {
    let edges = Edges::new(program, units);
    let mut units = units.to_vec();
    if waiting != Waiting::Nothing {
        delay(program, &edges, &mut units, waiting);
    }
    let phases: BTreeSet<usize> = units.iter().map(|unit| unit.phase).collect();
    let mut ordered = Vec::with_capacity(units.len());
    for (place, &phase) in phases.iter().enumerate() {
        for number in within(program, &edges, &units, phase) {
            ordered.push(Unit {
                phase: place,
                ..units[number].clone()
            });
        }
    }
    ordered
}

/// Who waits for whom. An edge says that the second of two units runs after the first, in a later phase where it is
/// `apart`.
struct Edges {
    before: Vec<Vec<usize>>,
    after: Vec<Vec<(usize, bool)>>,
    maker: BTreeMap<NodeId, usize>,
    readers: BTreeMap<NodeId, Vec<usize>>,
}

impl Edges {
    fn new(program: Program<'_>, units: &[Unit]) -> Edges {
        let mut edges = Edges {
            before: vec![Vec::new(); units.len()],
            after: vec![Vec::new(); units.len()],
            maker: BTreeMap::new(),
            readers: BTreeMap::new(),
        };
        for (number, unit) in units.iter().enumerate() {
            for &output in made_by(program.fusion, unit) {
                edges.maker.insert(output, number);
            }
            for &read in &unit.reads {
                edges.readers.entry(read).or_default().push(number);
            }
        }
        edges.of_values(program.lanes, units);
        edges.of_parts(program, units);
        edges.of_updates(program.graph, units);
        edges
    }

    fn add(&mut self, first: usize, second: usize, apart: bool) {
        self.after[first].push((second, apart));
        self.before[second].push(first);
    }

    fn of_values(&mut self, lanes: &Lanes, units: &[Unit]) {
        for (number, unit) in units.iter().enumerate() {
            for read in &unit.reads {
                let Some(&maker) = self.maker.get(read) else {
                    continue;
                };
                let same_task = unit.shares_task(&units[maker]) && lanes.axis(*read).is_some();
                self.add(maker, number, !same_task);
            }
        }
    }

    /// Of what units leave for another than values: partials, turned operands, plain copies.
    fn of_parts(&mut self, program: Program<'_>, units: &[Unit]) {
        let anchor = |number: usize| program.fusion.groups[number].anchor;
        let (mut ends, mut parts) = (BTreeMap::new(), BTreeMap::new());
        for (number, unit) in units.iter().enumerate() {
            match unit.work {
                Work::Group(group) => ends.insert(group, number),
                Work::Partial(group) => anchor(group).and_then(|own| parts.insert(own, number)),
                Work::Relayout(_) | Work::Turn(_) | Work::Loop(_) => None,
            };
        }
        for (number, unit) in units.iter().enumerate() {
            let (others, apart) = match &unit.work {
                Work::Partial(group) => (Vec::from_iter(ends.get(group).copied()), true),
                Work::Turn(turned) => (Vec::from_iter(parts.get(turned).copied()), false),
                Work::Relayout(copied) => {
                    let readers = units.iter().enumerate();
                    let readers = readers.filter(|(_, other)| other.copies.contains(copied));
                    (readers.map(|(number, _)| number).collect(), true)
                }
                Work::Group(_) | Work::Loop(_) => continue,
            };
            for other in others {
                self.add(number, other, apart);
            }
        }
    }

    /// Who reads a parameter's old value before its update keeps doing so.
    fn of_updates(&mut self, graph: &Graph, units: &[Unit]) {
        let mut updates = BTreeMap::new();
        for output in &graph.outputs {
            if matches!(output.kind, OutputKind::Parameter | OutputKind::State)
                && let Some(&maker) = self.maker.get(&root(graph, output.node))
            {
                updates.insert(output.name.clone(), maker);
            }
        }
        for (number, unit) in units.iter().enumerate() {
            for &read in &unit.reads {
                let Op::Input {
                    kind: InputKind::Parameter | InputKind::State,
                    name,
                    ..
                } = &graph.nodes[read].op
                else {
                    continue;
                };
                let update = updates.get(name).copied();
                if let Some(update) = update.filter(|&update| unit.phase < units[update].phase) {
                    self.add(number, update, true);
                }
            }
        }
    }
}

/// The values that a unit stores.
pub fn made_by<'a>(fusion: &'a Fusion, unit: &Unit) -> &'a [NodeId] {
    match unit.work {
        Work::Group(number) | Work::Loop(number) => &fusion.groups[number].outputs,
        Work::Partial(_) | Work::Relayout(_) | Work::Turn(_) => &[],
    }
}

impl Program<'_> {
    /// Bytes of a value.
    pub fn bytes(&self, value: NodeId) -> i64 {
        let ty = &self.graph.nodes[value].ty;
        ty.elements(self.batch as i64) * ty.dtype.bytes() as i64
    }

    /// What a unit leaves in memory.
    fn left_by(&self, unit: &Unit) -> i64 {
        let values = |values: &[NodeId]| values.iter().map(|&value| self.bytes(value)).sum();
        match unit.work {
            Work::Partial(number) => values(self.fusion.groups[number].anchor.as_slice()),
            Work::Relayout(value) => self.bytes(value),
            Work::Turn(_) => 0,
            Work::Group(_) | Work::Loop(_) => values(made_by(self.fusion, unit)),
        }
    }
}

/// Moves units to later phases, the last unit first.
fn delay(program: Program<'_>, edges: &Edges, units: &mut [Unit], waiting: Waiting) {
    let last = units.iter().map(|unit| unit.phase).max().unwrap_or(0);
    let all = waiting == Waiting::Blocks;
    for number in (0..units.len()).rev() {
        let (now, serial) = (units[number].phase, units[number].serial);
        let readers = edges.after[number].iter();
        let allowed = readers.map(|&(other, apart)| before(units[other].phase, apart, serial));
        let unread = if all { last - last % 2 } else { now };
        let latest = allowed.min().unwrap_or(unread);
        // What is turned is read by the next kernel of the same task.
        let bound = matches!(units[number].work, Work::Turn(_));
        let moved = all && (units[number].in_blocks || edges.after[number].is_empty());
        if latest > now && (bound || moved || saves(program, edges, units, number, latest)) {
            units[number].phase = latest;
        }
    }
}

/// Whether what a unit leaves takes more, over the phases that it waits, than what it reads and nobody reads later.
fn saves(
    program: Program<'_>,
    edges: &Edges,
    units: &[Unit],
    number: usize,
    latest: usize,
) -> bool {
    let now = units[number].phase;
    let gained = program.left_by(&units[number]) * (latest - now) as i64;
    let longer = |value: &NodeId| {
        let others = edges.readers[value]
            .iter()
            .filter(|&&other| other != number);
        let last = others.map(|&other| units[other].phase).max().unwrap_or(0);
        program.bytes(*value) * latest.saturating_sub(last.max(now)) as i64
    };
    let turned = edges.before[number]
        .iter()
        .filter(|&&other| matches!(units[other].work, Work::Turn(_)));
    let reads = turned.flat_map(|&other| &units[other].reads);
    let made = reads
        .chain(&units[number].reads)
        .filter(|value| edges.maker.contains_key(*value));
    gained >= made.map(longer).sum()
}

/// The units of a phase in the order in which a task runs them.
fn within(program: Program<'_>, edges: &Edges, units: &[Unit], phase: usize) -> Vec<usize> {
    let own: Vec<usize> = (0..units.len())
        .filter(|&number| units[number].phase == phase)
        .collect();
    let mut tasks = Tasks::new(program, edges, units, &own);
    let mut order = Vec::with_capacity(own.len());
    while let Some(next) = tasks.next() {
        tasks.run(next);
        order.extend(tasks.items[next].clone());
    }
    debug_assert_eq!(order.len(), own.len(), "units wait for one another");
    order
}

/// The units of a phase while they are put in order. A turned operand and the sum that reads it are one item.
struct Tasks<'a> {
    program: Program<'a>,
    edges: &'a Edges,
    units: &'a [Unit],
    items: Vec<Vec<usize>>,
    item: BTreeMap<usize, usize>,
    /// Units of the phase that an item waits for.
    waits: Vec<usize>,
    ready: BTreeSet<usize>,
    /// The units that still read a value which is kept within the phase.
    unread: BTreeMap<NodeId, usize>,
    /// The unit that was put in order last.
    last: Option<usize>,
}

impl<'a> Tasks<'a> {
    fn new(program: Program<'a>, edges: &'a Edges, units: &'a [Unit], own: &[usize]) -> Tasks<'a> {
        let mut tasks = Tasks {
            program,
            edges,
            units,
            items: Vec::new(),
            item: BTreeMap::new(),
            waits: Vec::new(),
            ready: BTreeSet::new(),
            unread: BTreeMap::new(),
            last: None,
        };
        let mut turning = Vec::new();
        for &number in own {
            tasks.item.insert(number, tasks.items.len());
            turning.push(number);
            if !matches!(units[number].work, Work::Turn(_)) {
                tasks.items.push(std::mem::take(&mut turning));
            }
            tasks.keep(number);
        }
        for place in 0..tasks.items.len() {
            let waits = tasks.outside(place).count();
            tasks.waits.push(waits);
            if waits == 0 {
                tasks.ready.insert(place);
            }
        }
        tasks
    }

    /// Notes the values that a unit makes for this phase alone.
    fn keep(&mut self, number: usize) {
        let unit = &self.units[number];
        for value in made_by(self.program.fusion, unit) {
            let readers = self.edges.readers.get(value).map_or(&[][..], Vec::as_slice);
            let local = |&other: &usize| {
                self.units[other].phase == unit.phase && self.units[other].in_blocks
            };
            if unit.in_blocks && !readers.is_empty() && readers.iter().all(local) {
                self.unread.insert(*value, readers.len());
            }
        }
    }

    /// The units of the same phase, but of other items, that an item waits for.
    fn outside(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        let before = self.items[place]
            .iter()
            .flat_map(|&number| &self.edges.before[number]);
        before
            .copied()
            .filter(move |other| self.item.get(other).is_some_and(|&item| item != place))
    }

    /// The first that takes no more than it frees, or else the first that is ready.
    fn next(&self) -> Option<usize> {
        let mut ready = self.ready.iter().copied();
        if let Some(behind) = ready.clone().find(|&place| self.is_behind_map(place)) {
            return Some(behind);
        }
        let free = ready.clone().find(|&place| self.growth(place) <= 0);
        free.or_else(|| ready.next())
    }

    /// Whether an item is a product that reads what a kernel without sums has just made: that kernel becomes part of it
    /// ([`by_rows`](super::by_rows)).
    fn is_behind_map(&self, place: usize) -> bool {
        let anchor = |number: usize| match self.units[number].work {
            Work::Group(group) => self.program.fusion.groups[group].anchor,
            _ => None,
        };
        let Some(last) = self
            .last
            .filter(|&last| anchor(last).is_none() && self.units[last].in_blocks)
        else {
            return false;
        };
        let made = made_by(self.program.fusion, &self.units[last]);
        self.items[place].iter().any(|&number| {
            let product = anchor(number).is_some_and(|anchor| {
                matches!(self.program.graph.nodes[anchor].op, Op::Contract(_))
            });
            product
                && made
                    .iter()
                    .any(|value| self.units[number].reads.contains(value))
        })
    }

    /// Bytes that are kept more when an item has run.
    fn growth(&self, place: usize) -> i64 {
        let mut growth = 0;
        let mut reads: BTreeMap<NodeId, usize> = BTreeMap::new();
        for &number in &self.items[place] {
            for value in made_by(self.program.fusion, &self.units[number]) {
                if self.unread.contains_key(value) {
                    growth += self.program.bytes(*value);
                }
            }
            for &value in &self.units[number].reads {
                *reads.entry(value).or_default() += 1;
            }
        }
        for (value, count) in reads {
            if self.unread.get(&value) == Some(&count) {
                growth -= self.program.bytes(value);
            }
        }
        growth
    }

    fn run(&mut self, place: usize) {
        self.ready.remove(&place);
        self.last = self.items[place].last().copied();
        for number in self.items[place].clone() {
            for value in &self.units[number].reads {
                if let Some(count) = self.unread.get_mut(value) {
                    *count -= 1;
                }
            }
            for &(other, _) in &self.edges.after[number] {
                let Some(&item) = self.item.get(&other).filter(|&&item| item != place) else {
                    continue;
                };
                self.waits[item] -= 1;
                if self.waits[item] == 0 {
                    self.ready.insert(item);
                }
            }
        }
    }
}
