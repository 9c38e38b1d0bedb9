//! The plan: kernels lowered, calls put into phases and tasks.

use super::buffers::{Buffers, PersistentLayout, Sources, buffers};
use super::fuse::{Fusion, Group, fuse};
use super::lanes::Lanes;
use super::lower::{Context, LowerError, Lowered, lower_group, lower_relayout};
use super::target::Target;
use super::unit_index::UnitIndex;
use super::units::{Unit, Work, units};
use crate::graph::{Graph, NodeId, Op};
use crate::plan::{Call, KernelId, Phase, Plan, TaskGroup, Tasks};
use dlm_grammar::Span;

/// Multiply-adds that one task of a range should hold, so that handing it out costs little.
const TASK_WORK: i64 = 100_000;
/// The most tasks that a range is cut into.
const RANGE_TASKS: i64 = 16;

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
/// axis where the graph has no batch size of its own).
///
/// # Errors
/// Where an operation has no lowering yet.
pub fn schedule(
    graph: &Graph,
    target: &Target,
    batch: usize,
    persistent: &PersistentLayout,
) -> Result<Plan, ScheduleError> {
    let lanes = Lanes::analyse(graph);
    let fusion = fuse(graph, &lanes, target);
    let units = units(graph, &lanes, &fusion);
    let index = UnitIndex::new(graph, &fusion, &units);
    let batch = lanes
        .extent
        .map_or(1, |extent| extent.known().map_or(batch, |n| n as usize))
        .max(1);
    let block = target.block_lanes(batch);
    let sources = Sources {
        graph,
        lanes: &lanes,
        fusion: &fusion,
        units: &units,
        target,
        batch,
        block,
        persistent,
        index: &index,
    };
    let (buffers, arena_bytes, scratch_bytes) = buffers(&sources);
    let mut assembler = Assembler {
        graph,
        fusion: &fusion,
        target,
        block,
        buffers: &buffers,
        plan: Plan::default(),
    };
    assembler.plan.name = graph.name.clone();
    assembler.plan.batch = batch;
    let context = Context {
        graph,
        lanes: &lanes,
        stored: &fusion.stored,
        used_once: &graph.used_once(),
        strategies: &fusion.strategies,
        buffer_of: &buffers.of,
        partial_of: &buffers.partials,
        relayout_of: &buffers.relayouts,
        buffers: &buffers.all,
        target,
        block,
    };
    let last = units.iter().map(|unit| unit.phase).max();
    for phase in 0..last.map_or(0, |last| last + 1) {
        assembler.phase(&context, units.iter().filter(|unit| unit.phase == phase))?;
    }
    let mut plan = assembler.plan;
    plan.buffers = buffers.all;
    (plan.inputs, plan.outputs, plan.commits) = (buffers.inputs, buffers.outputs, buffers.commits);
    (plan.arena_bytes, plan.scratch_bytes) = (arena_bytes, scratch_bytes);
    plan.persistent_bytes = persistent.bytes();
    Ok(plan)
}

struct Assembler<'a> {
    graph: &'a Graph,
    fusion: &'a Fusion,
    target: &'a Target,
    block: usize,
    buffers: &'a Buffers,
    plan: Plan,
}

impl<'a> Assembler<'a> {
    fn phase<'u>(
        &mut self,
        context: &Context<'_>,
        units: impl Iterator<Item = &'u Unit>,
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
        };
        for unit in units {
            let lowered = self.lower(context, unit)?;
            let tasks = self.tasks(unit, &lowered);
            let name = lowered.kernel.name.clone();
            self.plan
                .decisions
                .push(format!("{name}: {}", lowered.decision));
            let call = self.call(lowered);
            if !unit.in_blocks {
                phase.groups.push(TaskGroup {
                    name,
                    tasks,
                    zeroed: Vec::new(),
                    calls: vec![call],
                });
                continue;
            }
            if let Work::Partial(number) = unit.work
                && let Some(anchor) = self.fusion.groups[number].anchor
            {
                in_blocks.zeroed.push(self.buffers.partials[&anchor]);
            }
            in_blocks.calls.push(call);
        }
        if !in_blocks.calls.is_empty() {
            phase.groups.insert(0, in_blocks);
        }
        self.plan.phases.push(phase);
        Ok(())
    }

    fn lower(&self, context: &Context<'_>, unit: &Unit) -> Result<Lowered, ScheduleError> {
        let result = match &unit.work {
            Work::Group(number) => {
                let group = &self.fusion.groups[*number];
                lower_group(context, group, false, &self.name(group, false))
            }
            Work::Partial(number) => {
                let group = &self.fusion.groups[*number];
                lower_group(context, group, true, &self.name(group, true))
            }
            Work::Relayout(node) => lower_relayout(
                context,
                *node,
                self.buffers.of[node],
                self.buffers.relayouts[node],
            ),
        };
        result.map_err(|error| ScheduleError {
            span: self.span(&error, unit),
            error,
        })
    }

    fn span(&self, error: &LowerError, unit: &Unit) -> Span {
        let node = match (error, &unit.work) {
            (LowerError::Unsupported { node, .. }, _) => *node,
            (_, Work::Group(number) | Work::Partial(number)) => {
                self.fusion.groups[*number].outputs[0]
            }
            (_, Work::Relayout(node)) => *node,
        };
        self.graph.nodes[node].span
    }

    /// What the kernel makes and how: `product12`, `product12_part`, `loss`.
    fn name(&self, group: &Group, partial: bool) -> String {
        let what = match group.anchor.map(|anchor| &self.graph.nodes[anchor].op) {
            Some(Op::Contract(_)) => "product",
            Some(_) => "reduce",
            None => "map",
        };
        let node: NodeId = group.anchor.unwrap_or(group.outputs[0]);
        let name = format!("{what}{}", node.as_u32());
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

    fn tasks(&self, unit: &Unit, lowered: &Lowered) -> Tasks {
        if unit.in_blocks {
            return Tasks::Blocks {
                lanes: self.block,
                most: self.target.block_tasks,
            };
        }
        let Some((extent, multiple)) = lowered.range else {
            return Tasks::Once;
        };
        let Some(extent) = extent.known() else {
            return Tasks::BatchRanges {
                chunk: multiple.max(self.block),
            };
        };
        let count = (self.work(unit) / TASK_WORK).clamp(1, RANGE_TASKS);
        let chunk = (extent.max(1) as u64)
            .div_ceil(count as u64)
            .next_multiple_of(multiple as u64);
        Tasks::Ranges {
            extent: extent as usize,
            chunk: chunk as usize,
        }
    }

    /// About how many multiply-adds a unit is.
    fn work(&self, unit: &Unit) -> i64 {
        let Work::Group(number) = unit.work else {
            return 0;
        };
        let group = &self.fusion.groups[number];
        let batch = self.plan.batch as i64;
        let outputs: i64 = group
            .outputs
            .iter()
            .map(|&id| self.graph.nodes[id].ty.elements(batch))
            .sum();
        let reduced = match group
            .anchor
            .map(|anchor| (anchor, &self.graph.nodes[anchor].op))
        {
            Some((_, Op::Contract(contraction))) => contraction
                .reduced
                .iter()
                .map(|dim| dim.at(batch))
                .product(),
            Some((anchor, Op::Reduce { .. })) => {
                let input = self.graph.nodes[anchor].inputs[0];
                let own = self.graph.nodes[anchor].ty.elements(batch).max(1);
                self.graph.nodes[input].ty.elements(batch) / own
            }
            _ => 1,
        };
        outputs * reduced.max(4)
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
