//! The plan: kernels lowered, calls put into phases and tasks.

mod tasks;

use super::asking::asking;
use super::attempt::Attempt;
use super::buffers::Buffers;
use super::by_rows::by_rows;
use super::fuse::{Fusion, Group, Strategy, fuse};
use super::lanes::Lanes;
use super::loops::{LoopBuffers, Loops, loops, lower_loop};
use super::lower::{Context, LowerError, Lowered, Share, lower_group, lower_relayout, lower_turn};
use super::orders::Orders;
use super::persistent::PersistentLayout;
use super::placing::Step;
use super::products::{Product, products};
use super::ready::{Ready, ready};
use super::target::Target;
use super::triangles::Triangles;
use super::turned_maps::without_turned_maps;
use super::units::{Unit, Work, units};
use crate::graph::{Dim, Graph, NodeId, Op, TypeError};
use crate::passes::of_batch;
use crate::plan::{BufferId, Call, KernelId, Phase, Plan, Repeat, TaskGroup, Tasks};
use dlm_grammar::Span;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tasks::Precedence;

/// Units of a plan from which on they are lowered side by side: threads that begin to make things cost a small program
/// more than they spare it.
const SIDE_BY_SIDE: usize = 64;

/// A graph that has no plan yet.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct ScheduleError {
    /// Why.
    pub error: LowerError,
    /// The place in the source.
    pub span: Span,
}

/// Plans a graph whose gradients are expanded, for batches of up to `batch` samples (the extent of the data's first
/// axis where the graph has no batch size of its own). Many kernels are made on the threads of the current rayon pool.
///
/// # Errors
/// Where an operation has no lowering yet.
pub fn schedule(
    graph: &Graph,
    target: &Target,
    batch: usize,
    persistent: &PersistentLayout,
) -> Result<Plan, ScheduleError> {
    let scheduled = scheduled(graph, target, batch, persistent)?;
    Ok(scheduled.plan)
}

/// Plans a graph with each product in a kernel of its own, and says which are the gradients of which: what products do by
/// themselves can be measured so. Steps are slower.
///
/// # Errors
/// As [`schedule`].
pub fn schedule_apart(
    graph: &Graph,
    target: &Target,
    batch: usize,
    persistent: &PersistentLayout,
) -> Result<(Plan, Vec<Product>), ScheduleError> {
    let target = Target {
        apart: true,
        ..target.clone()
    };
    let scheduled = scheduled(graph, &target, batch, persistent)?;
    Ok((scheduled.plan, products(&scheduled.graph)))
}

/// A plan, and the graph that its kernels are named after.
struct Scheduled {
    plan: Plan,
    graph: Graph,
}

fn scheduled(
    graph: &Graph,
    target: &Target,
    batch: usize,
    persistent: &PersistentLayout,
) -> Result<Scheduled, ScheduleError> {
    // One sample fills one lane; its images and features fill them all.
    let samples = Lanes::analyse(graph)
        .extent
        .map(|extent| extent.at(batch as i64));
    if samples == Some(1)
        && let Ok(scheduled) = exact(graph, target, batch, persistent)
    {
        return Ok(scheduled);
    }
    let planned = attempted(graph, target, batch, persistent, Attempt::default());
    match planned {
        Err(ScheduleError {
            error: LowerError::Unsupported { .. },
            ..
        }) if is_dynamic(graph) => exact(graph, target, batch, persistent),
        planned => planned,
    }
}

fn is_dynamic(graph: &Graph) -> bool {
    let mut shapes = graph.nodes.values().map(|node| &node.ty.shape);
    shapes.any(|shape| shape.iter().any(|dim| dim.is_dynamic()))
}

/// The plan for batches of one size, whose samples are an axis like any other: they may read one another.
fn exact(
    graph: &Graph,
    target: &Target,
    batch: usize,
    persistent: &PersistentLayout,
) -> Result<Scheduled, ScheduleError> {
    let fault = |error: TypeError| nowhere(LowerError::Type(error));
    let sized = of_batch(graph, batch as i64).map_err(fault)?;
    let mut scheduled = attempted(&sized, target, batch, persistent, Attempt::plain())?;
    if is_dynamic(graph) {
        let plan = &mut scheduled.plan;
        (plan.batch, plan.exact) = (batch, true);
        name_batch(plan, graph);
    }
    Ok(scheduled)
}

/// Gives what enters and leaves a plan for one size the shapes that it has for any.
fn name_batch(plan: &mut Plan, graph: &Graph) {
    for port in &plan.inputs {
        let own = graph.nodes.values().find_map(|node| match &node.op {
            Op::Input { kind, name, ty } if (*kind, name) == (port.kind, &port.name) => Some(ty),
            _ => None,
        });
        if let Some(ty) = own {
            plan.buffers[port.buffer].shape.clone_from(&ty.shape);
        }
    }
    for port in &plan.outputs {
        let mut outputs = graph.outputs.iter();
        let own = outputs.find(|output| (output.kind, &output.name) == (port.kind, &port.name));
        if let Some(output) = own {
            let shape = &graph.nodes[output.node].ty.shape;
            plan.buffers[port.buffer].shape.clone_from(shape);
        }
    }
}

/// The plan of the first attempt that is not refused.
fn attempted(
    graph: &Graph,
    target: &Target,
    batch: usize,
    persistent: &PersistentLayout,
    first: Attempt,
) -> Result<Scheduled, ScheduleError> {
    let mut attempt = first;
    loop {
        let ready = ready(graph, (target, batch), &attempt)?;
        let lanes = attempt.lanes(&ready.graph);
        let planned = plan(&ready, &lanes, target, batch, persistent);
        match planned
            .as_ref()
            .map_err(|refused| attempt.next(&ready.graph, &refused.error))
        {
            Err(Some(next)) => attempt = next,
            _ => {
                return planned.map(|plan| Scheduled {
                    plan,
                    graph: ready.graph,
                });
            }
        }
    }
}

/// The plan for lanes as given.
fn plan(
    ready: &Ready,
    lanes: &Lanes,
    target: &Target,
    batch: usize,
    persistent: &PersistentLayout,
) -> Result<Plan, ScheduleError> {
    let Ready {
        graph,
        kept,
        insets,
    } = ready;
    let (batch, block) = batch_and_block(lanes, target, batch);
    let fusion = fuse(graph, lanes, target, kept);
    let fusion = without_turned_maps(graph, lanes, (target, block), fusion);
    let loops = loops(graph, lanes, &fusion, target);
    let units = units(graph, lanes, &fusion, &loops, (target, block), batch);
    let step = Step {
        graph,
        lanes,
        fusion: &fusion,
        loops: &loops,
        insets,
        target,
        batch,
        block,
        persistent,
    };
    let placed = step.least(&units);
    let (units, buffers, layouts) = (&placed.units, placed.buffers, placed.layouts);
    let mut assembler = Assembler {
        graph,
        fusion: &fusion,
        loops: &loops,
        target,
        block,
        buffers: &buffers,
        calls: BTreeMap::new(),
        series: None,
        before_small_products: BTreeSet::new(),
        plan: Plan::default(),
    };
    assembler.plan.name = graph.name.clone();
    assembler.plan.batch = batch;
    assembler.before_small_products = assembler.before_small_products(units);
    assembler.plan.decisions.extend(placed.decision);
    let orders = Orders::of(&buffers, &layouts);
    let images = Orders::images(&buffers, &layouts);
    assembler.plan.decisions.extend(orders.decisions(&buffers));
    let context = Context {
        graph,
        lanes,
        stored: &fusion.stored,
        used_once: &graph.used_once(),
        strategies: &fusion.strategies,
        buffer_of: &buffers.of,
        partial_of: &buffers.partials,
        relayout_of: &buffers.relayouts,
        turned_of: &buffers.turned,
        buffers: &buffers.all,
        orders: &orders,
        images: &images,
        insets,
        triangles: &Triangles::of(graph),
        plan: &graph.name,
        target,
        block,
        batch,
        rounds: 1,
        whole: false,
    };
    let last = units.iter().map(|unit| unit.phase).max();
    let mut phases: Vec<Vec<_>> = Vec::new();
    phases.resize_with(last.map_or(0, |last| last + 1), Vec::new);
    for own in assembler.lowered(&context, units) {
        phases[own.0.phase].push(own);
    }
    for own in phases {
        assembler.phase(&context, own)?;
    }
    let mut plan = assembler.plan;
    plan.buffers = buffers.all;
    (plan.inputs, plan.outputs, plan.commits) = (buffers.inputs, buffers.outputs, buffers.commits);
    (plan.arena_bytes, plan.scratch_bytes) = (placed.arena_bytes, placed.scratch_bytes);
    plan.persistent_bytes = persistent.bytes();
    if !target.apart {
        by_rows(&mut plan);
    }
    as_chosen(plan, target)
}

/// The largest batch, and the samples of a block.
pub(super) fn batch_and_block(lanes: &Lanes, target: &Target, batch: usize) -> (usize, usize) {
    let known = |extent: Dim| extent.known().map_or(batch, |known| known as usize);
    let batch = lanes.extent.map_or(1, known).max(1);
    (batch, target.block_lanes(batch))
}

pub(super) fn nowhere(error: LowerError) -> ScheduleError {
    ScheduleError {
        error,
        span: Span::default(),
    }
}

/// The plan, if every tile that was chosen from outside is in it.
fn as_chosen(plan: Plan, target: &Target) -> Result<Plan, ScheduleError> {
    match target.choices.refused(&plan.name, &plan.decisions) {
        None => Ok(plan),
        Some((wanted, made)) => Err(ScheduleError {
            error: LowerError::Choice {
                wanted,
                made: made.map(str::to_owned),
            },
            span: Span::default(),
        }),
    }
}

/// A unit's kernel, or why there is none.
type LoweredUnit = Result<Lowered, ScheduleError>;

struct Assembler<'a> {
    graph: &'a Graph,
    fusion: &'a Fusion,
    loops: &'a Loops,
    target: &'a Target,
    block: usize,
    buffers: &'a Buffers,
    /// The first call of each group, along an axis or whole.
    calls: BTreeMap<(usize, Option<usize>), Call>,
    /// The series of slices that the last call of blocks belongs to.
    series: Option<usize>,
    /// The phases that others with small products follow.
    before_small_products: BTreeSet<usize>,
    plan: Plan,
}

impl<'a> Assembler<'a> {
    fn phase(
        &mut self,
        context: &Context<'_>,
        units: Vec<(&Unit, Option<LoweredUnit>)>,
    ) -> Result<(), ScheduleError> {
        let mut phase = Phase::default();
        let mut in_blocks = TaskGroup {
            name: "blocks".into(),
            tasks: Tasks::Blocks {
                lanes: self.block,
                most: self.target.block_tasks,
            },
            zeroed: Vec::new(),
            calls: Vec::new(),
            repeats: Vec::new(),
        };
        let mut groups: Vec<(Precedence, TaskGroup)> = Vec::new();
        for (unit, lowered) in units {
            if let Work::Loop(number) = unit.work {
                let own = self.whole_loop(context, number, &mut in_blocks)?;
                groups.extend(own.map(|own| (Precedence::Others, own)));
                continue;
            }
            if let (1.., &Work::Group(number)) = (unit.again, &unit.work) {
                let call = self.again(context, unit, number)?;
                self.add(&mut in_blocks, unit, call);
                continue;
            }
            let lowered = lowered.unwrap_or_else(|| self.lower(context, unit))?;
            let tasks = self.tasks(unit, &lowered);
            let name = lowered.kernel.name.clone();
            let mut call = self.first_call(unit, lowered);
            self.read_from(unit, &mut call);
            let zeroed = self.zeroed(unit);
            if unit.has_block_tasks() {
                in_blocks.zeroed.extend(zeroed);
                self.add(&mut in_blocks, unit, call);
                continue;
            }
            phase.serial |= unit.serial;
            let group = TaskGroup {
                name,
                tasks,
                zeroed: zeroed.into_iter().collect(),
                calls: vec![call],
                repeats: Vec::new(),
            };
            groups.push((self.precedence(unit, tasks), group));
        }
        if !in_blocks.calls.is_empty() {
            groups.push((Precedence::Blocks, in_blocks));
            groups.sort_by_key(|&(precedence, _)| precedence);
        }
        phase
            .groups
            .extend(groups.into_iter().map(|(_, group)| group));
        self.plan.phases.push(phase);
        Ok(())
    }

    /// Adds a call to those of each block, to the rounds of its series where it has one.
    fn add(&mut self, blocks: &mut TaskGroup, unit: &Unit, call: Call) {
        let before = std::mem::replace(&mut self.series, unit.slice.map(|slice| slice.series));
        if let Some(slice) = unit.slice {
            match blocks.repeats.last_mut().filter(|_| before == self.series) {
                Some(repeat) => repeat.count += 1,
                None => blocks.repeats.push(Repeat {
                    first: blocks.calls.len(),
                    count: 1,
                    rounds: slice.rounds as usize,
                    reverse: false,
                }),
            }
        }
        blocks.calls.push(call);
    }

    /// The partials that a unit adds to. A turned operand's are stored by the first block.
    fn zeroed(&self, unit: &Unit) -> Option<BufferId> {
        let Work::Partial(number) = unit.work else {
            return None;
        };
        let anchor = self.fusion.groups[number]
            .anchor
            .filter(|_| unit.in_blocks)?;
        let stored = self.buffers.turned.contains_key(&anchor);
        (!stored).then(|| self.buffers.partials[&anchor])
    }

    /// Adds a loop to the calls of each block, or gives it as a task of its own.
    fn whole_loop(
        &mut self,
        context: &Context<'_>,
        number: usize,
        in_blocks: &mut TaskGroup,
    ) -> Result<Option<TaskGroup>, ScheduleError> {
        let (plan, made): (_, &LoopBuffers) = (&self.loops[&number], &self.buffers.loops[&number]);
        let lowered = lower_loop(context, plan, made)
            .map_err(|(error, span)| ScheduleError { error, span })?;
        let mut own = TaskGroup {
            name: format!("scan{}", plan.node.as_u32()),
            tasks: Tasks::Once,
            zeroed: Vec::new(),
            calls: Vec::new(),
            repeats: Vec::new(),
        };
        let group = if plan.in_blocks { in_blocks } else { &mut own };
        for kernel in lowered.before {
            let call = self.noted(kernel);
            group.calls.push(call);
        }
        let first = group.calls.len();
        for kernel in lowered.round {
            let call = self.noted(kernel);
            group.calls.push(call);
        }
        if group.calls.len() > first {
            group.repeats.push(Repeat {
                first,
                count: group.calls.len() - first,
                rounds: plan.scan.rounds.max(1) as usize,
                reverse: plan.scan.reverse,
            });
        }
        for kernel in lowered.after {
            let call = self.noted(kernel);
            group.calls.push(call);
        }
        Ok((!plan.in_blocks).then_some(own))
    }

    /// The call of a kernel that is new, with the decision that led to it.
    fn first_call(&mut self, unit: &Unit, lowered: Lowered) -> Call {
        let call = self.noted(lowered);
        if let Work::Group(number) = unit.work {
            let axis = unit.slice.map(|slice| slice.axis);
            self.calls.insert((number, axis), call.clone());
        }
        call
    }

    /// The call of a unit that has run before: the same kernel, or one that differs in the order of elements only, so that
    /// the bits are the same.
    fn again(
        &mut self,
        context: &Context<'_>,
        unit: &Unit,
        number: usize,
    ) -> Result<Call, ScheduleError> {
        let axis = unit.slice.map(|slice| slice.axis);
        let mut call = match self.calls.get(&(number, axis)) {
            Some(call) => call.clone(),
            None => {
                let lowered = self.lower(context, unit)?;
                self.first_call(unit, lowered)
            }
        };
        let name = self.plan.kernels[call.kernel].name.clone();
        let phase = self.plan.phases.len();
        let decision = format!("{name}: computed again in phase {phase}, not kept until then");
        self.plan.decisions.push(decision);
        let outputs = self.fusion.groups[number].outputs.iter();
        let made = outputs.map(|&output| (output, unit.again)).collect();
        self.rebind(&mut call, made);
        self.read_from(unit, &mut call);
        Ok(call)
    }

    /// Binds what a unit reads to the runs that it reads it from.
    fn read_from(&self, unit: &Unit, call: &mut Call) {
        let from = unit.from.iter().map(|(&value, &run)| (value, run));
        self.rebind(call, from.collect());
    }

    fn rebind(&self, call: &mut Call, values: Vec<(NodeId, usize)>) {
        for value in values {
            let (own, other) = (self.buffers.of[&value.0], self.buffers.again[&value]);
            for buffer in call.buffers.iter_mut().filter(|buffer| **buffer == own) {
                *buffer = other;
            }
        }
    }

    /// A call, with the decision that led to its kernel.
    fn noted(&mut self, lowered: Lowered) -> Call {
        let decision = format!("{}: {}", lowered.kernel.name, lowered.decision);
        self.plan.decisions.push(decision);
        self.call(lowered)
    }

    /// Each unit with its kernel, where it has one of its own and there are many: each is made by itself on the threads of
    /// the current rayon pool. Of few units each is lowered in its turn.
    fn lowered<'u>(
        &self,
        context: &Context<'_>,
        units: &'u [Unit],
    ) -> Vec<(&'u Unit, Option<LoweredUnit>)> {
        let lower = |unit: &'u Unit| {
            let own = !matches!(unit.work, Work::Loop(_)) && unit.again == 0;
            (unit, own.then(|| self.lower(context, unit)))
        };
        match units.len() < SIDE_BY_SIDE {
            true => units.iter().map(|unit| (unit, None)).collect(),
            false => units.par_iter().map(lower).collect(),
        }
    }

    fn lower(&self, context: &Context<'_>, unit: &Unit) -> Result<Lowered, ScheduleError> {
        let result = match &unit.work {
            Work::Group(number) => {
                let group = &self.fusion.groups[*number];
                let share = Share {
                    partial: false,
                    divided: !unit.in_blocks && group.strategy == Strategy::Lanes,
                    slice: unit.slice.map(|slice| slice.axis),
                };
                lower_group(context, group, share, &self.name(group, false))
            }
            Work::Partial(number) => {
                let group = &self.fusion.groups[*number];
                let share = Share {
                    partial: true,
                    divided: !unit.in_blocks,
                    slice: None,
                };
                lower_group(context, group, share, &self.name(group, true))
            }
            // Loops are assembled whole.
            Work::Loop(number) => Err(LowerError::Unsupported {
                what: "a loop here".into(),
                node: self.fusion.groups[*number].outputs[0],
            }),
            Work::Turn(anchor) => match context.turned(*anchor) {
                Some((outer, to)) => lower_turn(context, *anchor, outer, to),
                None => Err(LowerError::Unsupported {
                    what: "a turned operand here".into(),
                    node: *anchor,
                }),
            },
            Work::Relayout(node) => lower_relayout(
                context,
                *node,
                self.buffers.of[node],
                self.buffers.relayouts[node],
            ),
        };
        let mut lowered = result.map_err(|error| ScheduleError {
            span: self.span(&error, unit),
            error,
        })?;
        if let Some(asking) = asking(&lowered, &self.buffers.all, context.target.memory) {
            lowered.kernel = asking;
        }
        Ok(lowered)
    }

    fn span(&self, error: &LowerError, unit: &Unit) -> Span {
        let node = match (error, &unit.work) {
            (LowerError::Unsupported { node, .. }, _) => *node,
            (_, Work::Group(number) | Work::Partial(number) | Work::Loop(number)) => {
                self.fusion.groups[*number].outputs[0]
            }
            (_, Work::Relayout(node) | Work::Turn(node)) => *node,
        };
        self.graph.nodes[node].span
    }

    /// What the kernel makes and how: `product12`, `product12_part`, `loss`.
    fn name(&self, group: &Group, partial: bool) -> String {
        let name = group_name(self.graph, group);
        match partial {
            true => format!("{name}_part"),
            false => self
                .named_output(group)
                .map_or(name.clone(), |output| format!("{name}_{output}")),
        }
    }

    /// The name under which a group's value leaves the step.
    fn named_output(&self, group: &Group) -> Option<&str> {
        let buffers = group.outputs.iter().map(|output| self.buffers.of[output]);
        let mut named = buffers.filter_map(|buffer| {
            let port = self
                .buffers
                .outputs
                .iter()
                .find(|port| port.buffer == buffer)?;
            Some(port.name.as_str())
        });
        named.next_back()
    }

    fn call(&mut self, lowered: Lowered) -> Call {
        let kernel: KernelId = self.plan.kernels.push(lowered.kernel);
        Call {
            kernel,
            buffers: lowered.buffers,
            scalars: lowered.scalars,
        }
    }
}

/// What a group makes: `product12`.
pub fn group_name(graph: &Graph, group: &Group) -> String {
    let what = match group.anchor.map(|anchor| &graph.nodes[anchor].op) {
        Some(Op::Contract(_)) => "product",
        Some(_) => "reduce",
        None => "map",
    };
    let node: NodeId = group.anchor.unwrap_or(group.outputs[0]);
    format!("{what}{}", node.as_u32())
}
