//! Loops over rounds: how their bodies are scheduled, and what each round calls.
//!
//! A body is a graph, and goes the same way as the step: lanes, fusion, kernels. A loop runs within the tasks of its
//! phase, so that no round waits at a barrier: for each sample block on its own where all of the body is local to the
//! samples, or as one task where nothing in it has samples in lanes. Bodies that mix the two are written out.
//!
//! A round's row of a stacked value is a part of its buffer, and no copy. A carry has a buffer of its own, which each
//! round ends by writing: rounds read what the last one left.

use super::buffers::{Buffers, Sources, element};
use super::fuse::{Fusion, Group, Strategy, fuse, is_given, root};
use super::lanes::Lanes;
use super::lower::{Context, LowerError, Lowered, Share, lower_group};
use super::target::Target;
use super::triangles::Triangles;
use super::units::{Unit, Work, units};
use crate::graph::scan::{Role, arguments};
use crate::graph::{Graph, NodeId, Op, Scalar, Scan, TensorType, View};
use crate::passes::{PassError, run_named, unroll};
use crate::plan::{BufferId, Layout, PlanBuffer, Space};
use dlm_grammar::Span;
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The loops of a graph by the number of their group.
pub type Loops = BTreeMap<usize, LoopPlan>;

/// A loop whose body has a schedule.
pub struct LoopPlan {
    /// A result of the loop, which names it.
    pub node: NodeId,
    /// The loop.
    pub scan: Scan,
    /// Its rounds run for each sample block.
    pub in_blocks: bool,
    lanes: Arc<Lanes>,
    fusion: Fusion,
    /// The body's kernels in order.
    units: Vec<Unit>,
}

/// The schedules of all loops; or, where some have none, nothing.
pub fn loops(graph: &Graph, lanes: &Lanes, fusion: &Fusion, target: &Target) -> Loops {
    let plans = fusion
        .groups
        .iter()
        .enumerate()
        .filter_map(|(number, group)| {
            let plan = plan(graph, lanes, group.outputs[0], target)?;
            Some((number, plan))
        });
    plans.collect()
}

/// The graph with those loops written out that have no schedule, or with `all` of them.
///
/// # Errors
/// Where a pass goes wrong, which is a fault of the compiler.
pub fn written_out(graph: &Graph, target: &Target, all: bool) -> Result<Option<Graph>, PassError> {
    if graph.scans().is_empty() {
        return Ok(None);
    }
    let lanes = Lanes::analyse(graph);
    let live = graph.live_nodes();
    let mut odd: BTreeSet<NodeId> = BTreeSet::new();
    for (first, _) in graph.scans() {
        let mut results = graph.results_of(first).into_iter().map(|result| result.1);
        let used = results.find(|&id| live.contains(id));
        if used.is_some_and(|id| all || plan(graph, &lanes, id, target).is_none()) {
            odd.insert(first);
        }
    }
    if odd.is_empty() {
        return Ok(None);
    }
    let failed = |error| PassError::Failed {
        pass: "unroll",
        error,
    };
    let flat = unroll::run(graph, &|first, _| odd.contains(&first)).map_err(failed)?;
    run_named(
        &flat,
        &["primitives", "simplify-gradients", "cse", "dead-code"],
    )
    .map(Some)
}

fn plan(graph: &Graph, lanes: &Lanes, node: NodeId, target: &Target) -> Option<LoopPlan> {
    let Op::Scan(scan) = &graph.nodes[node].op else {
        return None;
    };
    let body = scan.body.graph();
    let body_lanes = lanes.body(node)?.clone();
    if body
        .nodes
        .values()
        .any(|node| matches!(node.op, Op::Scan(_)))
    {
        return None;
    }
    let fusion = fuse(body, &body_lanes, target, &BTreeSet::new());
    let mut order = units(
        body,
        &body_lanes,
        &fusion,
        &Loops::new(),
        (target, 0),
        usize::MAX,
    );
    order.sort_by_key(|unit| unit.phase);
    let simple = order.iter().all(|unit| matches!(unit.work, Work::Group(_)));
    let in_blocks = order.iter().all(|unit| unit.in_blocks && unit.phase == 0);
    let apart = order.iter().all(|unit| !unit.in_blocks);
    let plan = LoopPlan {
        node,
        scan: scan.clone(),
        in_blocks: in_blocks && (!order.is_empty() || plan_in_lanes(body, &body_lanes)),
        lanes: body_lanes,
        fusion,
        units: order,
    };
    let fits = simple && (in_blocks || apart) && plan.suits(graph, lanes);
    fits.then_some(plan)
}

/// Whether a body without kernels of its own passes on what lies in lanes.
fn plan_in_lanes(body: &Graph, lanes: &Lanes) -> bool {
    let mut outputs = body.outputs.iter();
    outputs.all(|output| lanes.axis(output.node).is_some())
}

impl LoopPlan {
    fn body(&self) -> &Graph {
        self.scan.body.graph()
    }

    /// Whether what enters and leaves lies as the rounds go through it.
    fn suits(&self, graph: &Graph, lanes: &Lanes) -> bool {
        let inputs = &graph.nodes[self.node].inputs;
        let fixed = |id: NodeId| graph.nodes[id].ty.shape.iter().all(|dim| !dim.is_dynamic());
        let rows = inputs[self.scan.captures + self.scan.carries..].iter();
        let mut rows = rows.map(|&row| (lanes.axis(row), fixed(row)));
        let rows = rows.all(|(axis, fixed)| match axis {
            Some(axis) => axis > 0 && self.in_blocks,
            None => fixed,
        });
        let carries = (0..self.scan.carries).all(|carry| {
            let first = inputs[self.scan.captures + carry];
            let own = self.carry_axis(carry);
            let first_axis = lanes.axis(first);
            own.is_some() == self.in_blocks && (first_axis.is_none() || first_axis == own)
        });
        let outputs = self.body().outputs.iter();
        let mut outputs = outputs.map(|output| self.lanes.axis(output.node));
        let fixed_outputs = graph.results_of(self.node).into_iter();
        let mut fixed_outputs = fixed_outputs.map(|result| fixed(result.1));
        let outputs = outputs.all(|axis| axis.is_some() == self.in_blocks);
        rows && carries && outputs && (self.in_blocks || fixed_outputs.all(|fixed| fixed))
    }

    /// The lane axis of a carry.
    fn carry_axis(&self, carry: usize) -> Option<usize> {
        let number = self.scan.captures + carry;
        let mut own = arguments(self.body()).filter(|argument| argument.0 == number);
        let read = own.next().map(|argument| argument.1);
        self.lanes
            .axis(read.unwrap_or(self.body().outputs[carry].node))
    }
}

/// The memory of a loop.
pub struct LoopBuffers {
    /// Of the body's arguments and stored values.
    of: IndexMap<NodeId, BufferId>,
    /// Of each carry.
    carries: Vec<BufferId>,
    /// For each carry, where its next value waits until all others are made, where it must.
    waiting: Vec<Option<BufferId>>,
    /// Of each result that is used, its buffer or (of a stack) the row of it.
    results: BTreeMap<usize, BufferId>,
}

impl LoopBuffers {
    /// All that has to exist while the loop runs, and nothing else has use for.
    pub fn own(&self) -> impl Iterator<Item = BufferId> {
        let waiting = self.waiting.iter().flatten();
        self.of
            .values()
            .chain(&self.carries)
            .chain(waiting)
            .copied()
    }
}

/// Makes the buffers of a loop; those of its inputs and results exist.
pub fn loop_buffers(sources: &Sources<'_>, buffers: &mut Buffers, plan: &LoopPlan) -> LoopBuffers {
    let maker = Maker {
        sources,
        plan,
        inputs: &sources.graph.nodes[plan.node].inputs,
    };
    maker.make(buffers)
}

struct Maker<'a> {
    sources: &'a Sources<'a>,
    plan: &'a LoopPlan,
    inputs: &'a [NodeId],
}

impl Maker<'_> {
    fn make(&self, buffers: &mut Buffers) -> LoopBuffers {
        let (plan, body) = (self.plan, self.plan.body());
        let scan = &plan.scan;
        let mut made = LoopBuffers {
            of: IndexMap::new(),
            carries: Vec::new(),
            waiting: Vec::new(),
            results: BTreeMap::new(),
        };
        for carry in 0..scan.carries {
            let output = body.outputs[carry].node;
            let ty = &body.nodes[output].ty;
            let axis = plan.carry_axis(carry);
            let name = format!("carry{}_{carry}", plan.node.as_u32());
            made.carries
                .push(self.fresh(buffers, name.clone(), ty, axis));
            let waits = is_given(&body.nodes[root(body, output)].op);
            let waiting = waits.then(|| self.fresh(buffers, format!("{name}_next"), ty, axis));
            made.waiting.push(waiting);
        }
        for (number, id) in arguments(body) {
            let buffer = match scan.role(number, self.inputs.len()) {
                Role::Capture => buffers
                    .of
                    .get(&root(self.sources.graph, self.inputs[number])),
                Role::Carry(carry) => made.carries.get(carry),
                Role::Row => {
                    let stack = root(self.sources.graph, self.inputs[number]);
                    let stack = buffers.of.get(&stack).copied();
                    let row = stack.map(|stack| self.row(buffers, stack, id));
                    made.of.extend(row.map(|row| (id, row)));
                    continue;
                }
                Role::Round => None,
            };
            made.of.extend(buffer.map(|&buffer| (id, buffer)));
        }
        for (result, node) in self.sources.graph.results_of(plan.node) {
            let Some(&buffer) = buffers.of.get(&node) else {
                continue;
            };
            if result < scan.carries {
                made.results.insert(result, buffer);
                continue;
            }
            let output = body.outputs[result].node;
            let row = self.row(buffers, buffer, output);
            made.results.insert(result, row);
            let stored = root(body, output);
            if plan.fusion.stored.contains(&stored) && !made.of.contains_key(&stored) {
                made.of.insert(stored, row);
            }
        }
        for &id in &plan.fusion.stored {
            if !made.of.contains_key(&id) {
                let name = format!("round{}_{}", plan.node.as_u32(), id.as_u32());
                let axis = plan.lanes.axis(id);
                let buffer = self.fresh(buffers, name, &body.nodes[id].ty, axis);
                made.of.insert(id, buffer);
            }
        }
        made
    }

    fn fresh(
        &self,
        buffers: &mut Buffers,
        name: String,
        ty: &TensorType,
        lane: Option<usize>,
    ) -> BufferId {
        let space = match self.plan.in_blocks {
            true => Space::Scratch,
            false => Space::Arena,
        };
        buffers.add_typed(self.sources, ty, name, space, lane)
    }

    /// The row of a stack as the body knows it.
    fn row(&self, buffers: &mut Buffers, stack: BufferId, value: NodeId) -> BufferId {
        let ty = &self.plan.body().nodes[value].ty;
        let lane = self.plan.lanes.axis(value);
        let others = ty
            .shape
            .iter()
            .enumerate()
            .filter(|&(axis, _)| Some(axis) != lane);
        let batch = self.sources.batch as i64;
        let elements: i64 = others.map(|(_, dim)| dim.at(batch)).product();
        let lanes = if lane.is_some() {
            self.sources.block
        } else {
            1
        };
        let own = &buffers.all[stack];
        let row = PlanBuffer {
            name: format!("{}[t]", own.name),
            element: element(ty.dtype),
            shape: ty.shape.clone(),
            layout: match lane {
                Some(axis) => Layout::Lanes { axis, lanes },
                None => Layout::Plain,
            },
            bytes: elements.max(0) as usize * lanes * element(ty.dtype).bytes(),
            row_of: Some(stack),
            ..own.clone()
        };
        buffers.all.push(row)
    }
}

/// What a loop calls.
pub struct LoweredLoop {
    /// Before the rounds: the first values of carries.
    pub before: Vec<Lowered>,
    /// In each round.
    pub round: Vec<Lowered>,
    /// After the rounds: the last values of carries.
    pub after: Vec<Lowered>,
}

/// Lowers a loop.
///
/// # Errors
/// Where an operation of the body has no lowering yet.
pub fn lower_loop(
    outer: &Context<'_>,
    plan: &LoopPlan,
    made: &LoopBuffers,
) -> Result<LoweredLoop, (LowerError, Span)> {
    let lowerer = Lowerer { outer, plan, made };
    let span = |error| (error, outer.graph.nodes[plan.node].span);
    Ok(LoweredLoop {
        before: lowerer.before().map_err(span)?,
        round: lowerer.round()?,
        after: lowerer.after().map_err(span)?,
    })
}

struct Lowerer<'a> {
    outer: &'a Context<'a>,
    plan: &'a LoopPlan,
    made: &'a LoopBuffers,
}

/// What a copy reads.
enum From {
    Buffer(BufferId, Option<usize>),
    Constant(Scalar),
}

impl Lowerer<'_> {
    fn name(&self, what: &str) -> String {
        format!("scan{}_{what}", self.plan.node.as_u32())
    }

    fn before(&self) -> Result<Vec<Lowered>, LowerError> {
        let (graph, scan) = (self.outer.graph, &self.plan.scan);
        let inputs = &graph.nodes[self.plan.node].inputs;
        let carries = self.made.carries.iter().enumerate();
        let copies = carries.map(|(carry, &to)| {
            let first = inputs[scan.captures + carry];
            let from = match graph.constant_value(first) {
                Some(constant) => From::Constant(constant),
                None => From::Buffer(
                    self.outer.buffer_of[&root(graph, first)],
                    self.outer.lanes.axis(first),
                ),
            };
            let axis = self.plan.carry_axis(carry);
            let name = self.name(&format!("first{carry}"));
            self.copy(from, (to, axis), graph.ty(first), name)
        });
        copies.collect()
    }

    fn after(&self) -> Result<Vec<Lowered>, LowerError> {
        let used = self.made.results.range(..self.plan.scan.carries);
        let copies = used.map(|(&carry, &to)| {
            let axis = self.plan.carry_axis(carry);
            let ty = self.carry_type(carry);
            let from = From::Buffer(self.made.carries[carry], axis);
            self.copy(from, (to, axis), ty, self.name(&format!("last{carry}")))
        });
        copies.collect()
    }

    fn carry_type(&self, carry: usize) -> &TensorType {
        let body = self.plan.body();
        body.ty(body.outputs[carry].node)
    }

    fn round(&self) -> Result<Vec<Lowered>, (LowerError, Span)> {
        let (plan, body, outer) = (self.plan, self.plan.body(), self.outer);
        let (nothing, triangles) = (IndexMap::new(), Triangles::of(body));
        let (no_images, no_insets) = (BTreeMap::new(), BTreeMap::new());
        let context = Context {
            graph: body,
            lanes: &plan.lanes,
            stored: &plan.fusion.stored,
            strategies: &plan.fusion.strategies,
            buffer_of: &self.made.of,
            partial_of: &nothing,
            relayout_of: &nothing,
            turned_of: &nothing,
            triangles: &triangles,
            images: &no_images,
            insets: &no_insets,
            whole: true,
            rounds: usize::try_from(plan.scan.rounds).unwrap_or(1),
            ..*outer
        };
        let mut calls = Vec::new();
        for unit in &plan.units {
            let Work::Group(number) = unit.work else {
                continue;
            };
            let group = &plan.fusion.groups[number];
            let name = self.name(&super::assemble::group_name(body, group));
            let lowered =
                lower_group(&context, group, Share::default(), &name).map_err(|error| {
                    let node = match error {
                        LowerError::Unsupported { node, .. } => node,
                        _ => group.outputs[0],
                    };
                    (error, body.nodes[node].span)
                })?;
            calls.push(lowered);
        }
        let span = |error| (error, outer.graph.nodes[plan.node].span);
        calls.extend(self.stacks().map_err(span)?);
        calls.extend(self.carries().map_err(span)?);
        Ok(calls)
    }

    /// Copies into stacks of what is not made there.
    fn stacks(&self) -> Result<Vec<Lowered>, LowerError> {
        let (body, scan) = (self.plan.body(), &self.plan.scan);
        let mut copies = Vec::new();
        for (&result, &to) in self.made.results.range(scan.carries..) {
            let output = body.outputs[result].node;
            if self.made.of.get(&root(body, output)) == Some(&to) {
                continue;
            }
            let axis = self.plan.lanes.axis(output);
            let name = self.name(&format!("stack{result}"));
            copies.push(self.copy(self.value(output), (to, axis), body.ty(output), name)?);
        }
        Ok(copies)
    }

    /// The next values of carries; one that is another carry's present value waits until all are read.
    fn carries(&self) -> Result<Vec<Lowered>, LowerError> {
        let body = self.plan.body();
        let mut copies = Vec::new();
        for (carry, &own) in self.made.carries.iter().enumerate() {
            let output = body.outputs[carry].node;
            let to = self.made.waiting[carry].unwrap_or(own);
            let axis = self.plan.carry_axis(carry);
            let name = self.name(&format!("next{carry}"));
            let ty = self.carry_type(carry);
            if self.made.of.get(&root(body, output)) != Some(&own) {
                copies.push(self.copy(self.value(output), (to, axis), ty, name)?);
            }
        }
        for (carry, &own) in self.made.carries.iter().enumerate() {
            let Some(waiting) = self.made.waiting[carry] else {
                continue;
            };
            let axis = self.plan.carry_axis(carry);
            let output = root(body, body.outputs[carry].node);
            if self.made.of.get(&output) != Some(&own) {
                let name = self.name(&format!("now{carry}"));
                let from = From::Buffer(waiting, axis);
                copies.push(self.copy(from, (own, axis), self.carry_type(carry), name)?);
            }
        }
        Ok(copies)
    }

    fn value(&self, node: NodeId) -> From {
        let body = self.plan.body();
        match (
            body.constant_value(node),
            self.made.of.get(&root(body, node)),
        ) {
            (Some(constant), None) => From::Constant(constant),
            (_, Some(&buffer)) => From::Buffer(buffer, self.plan.lanes.axis(node)),
            // Every output of a body is stored, given, or constant.
            (None, None) => From::Constant(Scalar::F32(f32::NAN)),
        }
    }

    /// A kernel that copies a value, or writes a constant everywhere.
    fn copy(
        &self,
        from: From,
        (to, axis): (BufferId, Option<usize>),
        ty: &TensorType,
        name: String,
    ) -> Result<Lowered, LowerError> {
        let span = self.outer.graph.nodes[self.plan.node].span;
        let mut graph = Graph::new("copy");
        let fault = |_| LowerError::NotVector;
        let (source, buffer, source_axis) = match from {
            From::Constant(scalar) => (graph.constant(scalar, span).map_err(fault)?, None, None),
            From::Buffer(buffer, axis) => {
                let source = graph.argument(0, ty.clone(), span).map_err(fault)?;
                (source, Some(buffer), axis)
            }
        };
        let view = View {
            shape: ty.shape.clone(),
            index: (0..graph.ty(source).rank())
                .map(crate::graph::AxisIndex::variable)
                .collect(),
            fill: Scalar::zero(ty.dtype),
        };
        let copied = graph.add(Op::View(view), &[source], span).map_err(fault)?;
        let extent = self.outer.lanes.extent;
        let lanes = Lanes::given(extent, &[(source, source_axis), (copied, axis)]);
        let stored = BTreeSet::from([copied]);
        let mut buffer_of = IndexMap::from([(copied, to)]);
        buffer_of.extend(buffer.map(|buffer| (source, buffer)));
        let (no_strategies, nothing) = (BTreeMap::new(), IndexMap::new());
        let triangles = Triangles::default();
        let (no_images, no_insets) = (BTreeMap::new(), BTreeMap::new());
        let context = Context {
            graph: &graph,
            lanes: &lanes,
            stored: &stored,
            strategies: &no_strategies,
            buffer_of: &buffer_of,
            partial_of: &nothing,
            relayout_of: &nothing,
            turned_of: &nothing,
            triangles: &triangles,
            images: &no_images,
            insets: &no_insets,
            whole: true,
            ..*self.outer
        };
        let strategy = match self.plan.in_blocks {
            true => Strategy::Lanes,
            false => Strategy::Plain,
        };
        lower_group(
            &context,
            &Group::single(copied, strategy),
            Share::default(),
            &name,
        )
    }
}
