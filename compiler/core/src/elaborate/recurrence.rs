//! A `for` over time that makes no fresh block: its body is elaborated once, and becomes a scan.
//!
//! The body runs with a counter that has no value, and with an argument node in place of each tensor that it gives a
//! new value. What it computes from arguments is the round; all else stands outside of the loop by itself. Where that
//! fails for any reason (a fresh block, a carry whose type changes, a state's update), everything is put back, and the loop
//! is written out, which also reports what is really wrong. A counter that decides an `if` or a size is an error, unless the
//! body makes fresh blocks.

use super::context::{Elaborator, FrameKind};
use super::decision::Decision;
use super::diagnose::Poison;
use super::index::Place;
use super::scope::BindingKind;
use super::statement::Flow;
use super::value::Value;
use crate::graph::scan::round_type;
use crate::graph::{
    AxisIndex, BinaryOp, DType, Dim, Graph, NodeId, Op, OutputKind, Region, Scan, TensorType,
};
use cranelift_entity::EntitySet;
use dlm_grammar::Span;
use dlm_grammar::ast::{Body, Ident, Stmt, StmtKind};
use indexmap::{IndexMap, IndexSet};
use std::rc::Rc;

/// A loop of fewer rounds is written out: that is no larger than a loop with its ends.
const FEWEST_ROUNDS: i64 = 3;

/// The round that stands for all: no name can be made with it.
pub(super) const ANY_ROUND: i64 = i64::MIN;

/// A loop whose body is being elaborated once for all rounds.
#[derive(Debug)]
pub(super) struct Trace {
    /// The number of the graph under construction.
    unit: u32,
    rounds: i64,
    /// The counter's first value.
    first: i64,
    /// The round's number, an i32.
    round: NodeId,
    /// Every argument, with the stacked value that it is a row of.
    arguments: IndexMap<NodeId, Option<NodeId>>,
    /// The body does what a scan cannot.
    pub broken: bool,
    /// The first place that needs the counter's value.
    pub decided: Option<Decision>,
}

/// `scale * t + offset`, where `t` is the counter of a loop that is elaborated once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counter {
    /// The loop, by its depth among those under way.
    pub trace: usize,
    /// How far one round moves it.
    pub scale: i64,
    /// Its value where `t` is 0.
    pub offset: i64,
}

/// A list that each round of a loop appends to.
#[derive(Clone, Debug)]
pub(super) struct Growing {
    /// The list's name.
    name: Rc<str>,
    /// What this round has appended.
    pub added: Rc<Vec<Value>>,
}

impl Growing {
    /// The list with more at its end.
    pub fn with(&self, more: &[Value]) -> Growing {
        let all = self.added.iter().chain(more).cloned().collect();
        Growing {
            name: self.name.clone(),
            added: Rc::new(all),
        }
    }
}

/// What has become of a loop over a range.
pub(super) enum Recurrence {
    /// It is a scan.
    Scan,
    /// It has to be written out; something may have needed the counter's value.
    WrittenOut(Option<Decision>),
}

/// Why a body is no scan.
enum Refusal {
    /// For good.
    Never,
    /// For good, and something needed the counter's value.
    Decided(Decision),
    /// A name's first value should have this type, which it has after a round.
    Grows(String, TensorType),
}

/// The names that a loop gives new values, with the values before it.
type Carried = Vec<(String, Value)>;

impl Elaborator<'_> {
    /// Elaborates a loop over a range as a scan, if it can be one.
    pub(super) fn recurrence(
        &mut self,
        names: &[Ident],
        (first, last): (i64, i64),
        body: &Body,
        span: Span,
    ) -> Recurrence {
        let mut decided = None;
        match self.as_recurrence(names, (first, last), body, span, &mut decided) {
            Some(()) => Recurrence::Scan,
            None => Recurrence::WrittenOut(decided),
        }
    }

    fn as_recurrence(
        &mut self,
        names: &[Ident],
        (first, last): (i64, i64),
        body: &Body,
        span: Span,
        decided: &mut Option<Decision>,
    ) -> Option<()> {
        let kind = self.frame().kind;
        let pure = matches!(
            kind,
            FrameKind::Function | FrameKind::Block | FrameKind::Step | FrameKind::Eval
        );
        let [name] = names else { return None };
        let rounds = last.checked_sub(first)?;
        if !pure || rounds < 1 || i32::try_from(rounds).is_err() {
            return None;
        }
        let mut rebound = IndexSet::new();
        if !rebinds(body, &mut rebound) {
            return None;
        }
        let carried = rebound.into_iter().filter_map(|name| {
            let binding = self.frame().scopes.find(&name)?;
            let carried = matches!(binding.kind, BindingKind::Let);
            Some((name, binding.value.clone().ok()?)).filter(|_| carried)
        });
        let carried: Carried = carried.collect();
        let mut grown: IndexMap<String, TensorType> = IndexMap::new();
        // Each time, a name more may have found its type.
        for _ in 0..=carried.len() {
            let before = self.saved();
            let attempt = self.attempt(name, (first, rounds), body, &carried, &grown, span);
            match attempt {
                Ok(()) if rounds >= FEWEST_ROUNDS => return Some(()),
                // Written out; what a counter may not do holds for any number of rounds.
                Ok(()) => {
                    self.put_back(before);
                    return None;
                }
                Err(refusal) => {
                    self.put_back(before);
                    match refusal {
                        Refusal::Grows(name, ty) if !grown.contains_key(&name) => {
                            grown.insert(name, ty);
                        }
                        Refusal::Decided(decision) => {
                            *decided = Some(decision);
                            return None;
                        }
                        _ => return None,
                    }
                }
            }
        }
        None
    }

    fn attempt(
        &mut self,
        name: &Ident,
        (first, rounds): (i64, i64),
        body: &Body,
        carried: &Carried,
        grown: &IndexMap<String, TensorType>,
        span: Span,
    ) -> Result<(), Refusal> {
        let round = self.argument(round_type());
        self.traces.push(Trace {
            unit: self.unit.number,
            rounds,
            first,
            round,
            arguments: IndexMap::from([(round, None)]),
            broken: false,
            decided: None,
        });
        let result = self.traced(name, body, carried, grown, span);
        let trace = self.traces.pop();
        let decided = trace.as_ref().and_then(|trace| trace.decided);
        if let Some(decision) = decided {
            return Err(Refusal::Decided(decision));
        }
        let (Ok(carries), Some(trace)) = (result, trace) else {
            return Err(Refusal::Never);
        };
        if trace.broken {
            return Err(Refusal::Never);
        }
        self.as_scan(trace, carried, carries, span)
    }

    /// Runs the body; gives the argument and the first value of each carried tensor.
    fn traced(
        &mut self,
        name: &Ident,
        body: &Body,
        carried: &Carried,
        grown: &IndexMap<String, TensorType>,
        span: Span,
    ) -> Result<IndexMap<String, (NodeId, NodeId)>, Poison> {
        let mut carries = IndexMap::new();
        for (name, value) in carried {
            let stand_in = match (value, grown.get(name)) {
                (Value::List(_), _) => Value::Growing(Growing {
                    name: Rc::from(name.as_str()),
                    added: Rc::new(Vec::new()),
                }),
                (value, Some(ty)) => {
                    let node = self.tensor_like(value, ty.dtype, span)?;
                    let initial = self.emit().broadcast(node, &ty.shape);
                    self.stand_in(name, initial, &mut carries)
                }
                (Value::Tensor(_), None) => {
                    let initial = self.tensor_of(value, span)?;
                    self.stand_in(name, initial, &mut carries)
                }
                (other, None) => other.clone(),
            };
            if let Some(binding) = self.frame_mut().scopes.find_mut(name) {
                binding.value = Ok(stand_in);
            }
        }
        let trace = self.traces.len() - 1;
        let counter = Value::Counter(Counter {
            trace,
            scale: 1,
            offset: 0,
        });
        let mark = self.frame().scopes.mark();
        self.frame_mut()
            .scopes
            .bind(&name.name, Ok(counter), BindingKind::Counter, name.span);
        self.frame_mut().rounds.push(ANY_ROUND);
        let marks = self.marks();
        let flow = self.run_body(body);
        self.frame_mut().rounds.pop();
        self.frame_mut().scopes.release(mark);
        if matches!(flow, Flow::Next) && marks == self.marks() {
            Ok(carries)
        } else {
            Err(Poison)
        }
    }

    fn stand_in(
        &mut self,
        name: &str,
        initial: NodeId,
        carries: &mut IndexMap<String, (NodeId, NodeId)>,
    ) -> Value {
        let ty = self.type_of(initial).clone();
        let argument = self.argument(ty);
        if let Some(trace) = self.traces.last_mut() {
            trace.arguments.insert(argument, None);
        }
        carries.insert(name.to_owned(), (argument, initial));
        self.tensor(argument)
    }

    /// The innermost loop under way does what a scan cannot.
    pub(super) fn not_a_scan(&mut self) {
        if let Some(trace) = self.traces.last_mut() {
            trace.broken = true;
        }
    }

    /// Whether a loop is elaborated once for all its rounds.
    pub(super) fn is_tracing(&self) -> bool {
        !self.traces.is_empty()
    }

    /// The stacked value, where a node is a loop's row of one; else the node.
    pub(super) fn all_rounds(&self, node: NodeId) -> NodeId {
        let mut traces = self.traces.iter();
        let stacked = traces.find_map(|trace| *trace.arguments.get(&node)?);
        stacked.map_or(node, |stacked| self.all_rounds(stacked))
    }

    /// A new argument node.
    fn argument(&mut self, ty: TensorType) -> NodeId {
        self.next_argument += 1;
        let number = self.next_argument;
        self.emit().argument(number, ty)
    }

    /// The row of the round, of a tensor that is indexed by counters on some axes: for each axis of the tensor its
    /// index over the row's axes, or the counter.
    pub(super) fn row_of(
        &mut self,
        node: NodeId,
        shape: Vec<Dim>,
        index: Vec<Place>,
    ) -> Option<NodeId> {
        let trace = |place: &Place| match place {
            Place::Fixed(_) => None,
            Place::Counted(counter, _) => Some(counter.trace),
        };
        let counters: IndexSet<usize> = index.iter().filter_map(trace).collect();
        let number = *counters.first().filter(|_| counters.len() == 1)?;
        if self.depends_on(node, number) {
            return None;
        }
        let trace = &self.traces[number];
        let (rounds, first) = (trace.rounds, trace.first);
        let own = self.emit().shape(node);
        let mut positions = Vec::with_capacity(index.len());
        for (axis, dim) in index.into_iter().zip(own) {
            positions.push(match axis {
                Place::Fixed(axis) => axis.substitute(|variable| AxisIndex::variable(variable + 1)),
                Place::Counted(counter, along) => {
                    let begin = counter
                        .scale
                        .checked_mul(first)?
                        .checked_add(counter.offset)?;
                    let end = counter.scale.checked_mul(rounds - 1)?.checked_add(begin)?;
                    let extent = dim.known()?;
                    let ahead = along.map_or(0, |axis| shape[axis].fixed - 1);
                    let reached = [begin, end, begin + ahead, end + ahead];
                    if !reached.iter().all(|at| (0..extent).contains(at)) {
                        return None;
                    }
                    let mut terms = vec![(0, counter.scale)];
                    terms.extend(along.map(|axis| (axis + 1, 1)));
                    AxisIndex::affine(&terms, begin, 1)
                }
            });
        }
        let mut stacked = vec![Dim::fixed(rounds)];
        stacked.extend(&shape);
        let stacked = self.emit().view(node, stacked, positions);
        let ty = TensorType::new(self.emit().dtype(node), shape);
        let known = self.traces[number].arguments.iter();
        let known = known
            .filter(|own| *own.1 == Some(stacked))
            .map(|own| *own.0)
            .next();
        if let Some(known) = known {
            return Some(known);
        }
        let argument = self.argument(ty);
        self.traces[number]
            .arguments
            .insert(argument, Some(stacked));
        Some(argument)
    }

    /// Whether a node is computed from an argument of the loop of that depth or of one within it.
    fn depends_on(&mut self, node: NodeId, trace: usize) -> bool {
        let mut set = EntitySet::new();
        for trace in &self.traces[trace..] {
            trace.arguments.keys().for_each(|&argument| {
                set.insert(argument);
            });
        }
        spread(&self.emit().graph, &mut set);
        set.contains(node)
    }

    /// A counter as a scalar.
    pub(super) fn counter_value(&mut self, counter: Counter, dtype: DType) -> Option<NodeId> {
        let trace = self.traces.get(counter.trace)?;
        if trace.unit != self.unit.number {
            return None;
        }
        let (round, first) = (trace.round, trace.first);
        let begin = counter
            .scale
            .checked_mul(first)?
            .checked_add(counter.offset)?;
        let (scale, begin) = (i32::try_from(counter.scale), i32::try_from(begin));
        let (scale, begin) = (scale.ok()?, begin.ok()?);
        let emit = self.emit();
        let factor = emit.constant(crate::graph::Scalar::I32(scale));
        let offset = emit.constant(crate::graph::Scalar::I32(begin));
        let scaled = emit.binary(BinaryOp::Mul, round, factor);
        let value = emit.binary(BinaryOp::Add, scaled, offset);
        Some(emit.cast(value, dtype))
    }

    /// Makes a scan of what the body has left, and binds the names to its results.
    fn as_scan(
        &mut self,
        trace: Trace,
        carried: &Carried,
        carries: IndexMap<String, (NodeId, NodeId)>,
        span: Span,
    ) -> Result<(), Refusal> {
        let mut varies = EntitySet::new();
        trace.arguments.keys().for_each(|&argument| {
            varies.insert(argument);
        });
        spread(&self.emit().graph, &mut varies);
        // What indices may be is checked outside of loops.
        if self
            .unit
            .bounds
            .iter()
            .any(|bound| varies.contains(bound.0))
        {
            return Err(Refusal::Never);
        }
        let mut left = self.left(carried, &carries, span)?;
        left.carries.retain(|(name, next)| carries[name].0 != *next);
        let moved = |name: &String| left.carries.iter().any(|carry| carry.0 == *name);
        let inputs = Inputs {
            carries: left.carries.iter().map(|(name, _)| carries[name]).collect(),
            // A carry that no round changes is the same in each.
            same: carries
                .iter()
                .filter(|own| !moved(own.0))
                .map(|own| *own.1)
                .collect(),
        };
        let next = left.carries.iter().map(|carry| carry.1);
        let outputs: Vec<NodeId> = next.chain(left.lists.iter().map(|list| list.1)).collect();
        let (scan, inputs) = inputs
            .scan(&self.emit().graph, &trace, &varies, &outputs)
            .ok_or(Refusal::Never)?;
        self.at(span);
        let results = self.emit().scan(&scan, &inputs).ok_or(Refusal::Never)?;
        let mut values: Vec<(String, Value)> = Vec::new();
        for (name, _) in carried {
            if let Some((_, initial)) = carries.get(name) {
                values.push((name.clone(), self.tensor(*initial)));
            }
        }
        for ((name, _), &result) in left.carries.iter().zip(&results) {
            values.push((name.clone(), self.tensor(result)));
        }
        for ((name, _), &stack) in left.lists.iter().zip(&results[left.carries.len()..]) {
            let before = carried.iter().find(|own| own.0 == *name);
            let before = before
                .and_then(|own| own.1.as_elements())
                .unwrap_or_default();
            let mut all = before.to_vec();
            all.extend((0..trace.rounds).map(|round| self.row(stack, round)));
            values.push((name.clone(), Value::list(all)));
        }
        for (name, value) in values {
            if let Some(binding) = self.frame_mut().scopes.find_mut(&name) {
                binding.value = Ok(value);
            }
        }
        Ok(())
    }

    /// What the names are bound to after a round.
    fn left(
        &mut self,
        carried: &Carried,
        carries: &IndexMap<String, (NodeId, NodeId)>,
        span: Span,
    ) -> Result<Left, Refusal> {
        let mut left = Left {
            carries: Vec::new(),
            lists: Vec::new(),
        };
        for (name, before) in carried {
            let after = self.frame().scopes.find(name).map(|own| own.value.clone());
            let Some(Ok(after)) = after else {
                return Err(Refusal::Never);
            };
            match (&after, carries.get(name)) {
                (Value::Growing(list), None) if *list.name == **name => {
                    match list.added.as_slice() {
                        [] => {
                            if let Some(binding) = self.frame_mut().scopes.find_mut(name) {
                                binding.value = Ok(before.clone());
                            }
                        }
                        [one] => {
                            let node = self.tensor_of(one, span).map_err(|_| Refusal::Never)?;
                            left.lists.push((name.clone(), node));
                        }
                        _ => return Err(Refusal::Never),
                    }
                }
                (Value::Tensor(tensor), Some(&(argument, initial))) => {
                    if tensor.graph != self.unit.number {
                        return Err(Refusal::Never);
                    }
                    let (ty, own) = (self.type_of(tensor.node), self.type_of(argument));
                    if ty != own {
                        return Err(self.grows(name, initial, tensor.node));
                    }
                    left.carries.push((name.clone(), tensor.node));
                }
                (Value::Tensor(tensor), None)
                    if before.is_number() && tensor.graph == self.unit.number =>
                {
                    return Err(Refusal::Grows(
                        name.clone(),
                        self.type_of(tensor.node).clone(),
                    ));
                }
                (after, None) if same(before, after) => {}
                _ => return Err(Refusal::Never),
            }
        }
        Ok(left)
    }

    /// A carry whose first value is broadcast by the first round.
    fn grows(&mut self, name: &str, initial: NodeId, next: NodeId) -> Refusal {
        let (before, after) = (self.type_of(initial), self.type_of(next));
        let wide = Graph::broadcast_shape(&before.shape, &after.shape);
        if before.dtype == after.dtype && wide.as_ref() == Ok(&after.shape) {
            return Refusal::Grows(name.to_owned(), after.clone());
        }
        Refusal::Never
    }

    /// What a body that is a scan leaves alone.
    fn marks(&self) -> [usize; 4] {
        [
            self.unit.changed.len(),
            self.unit.history.values().map(Vec::len).sum(),
            self.unit.draws.values().map(|&count| count as usize).sum(),
            self.reported.len(),
        ]
    }

    fn saved(&self) -> Saved {
        Saved {
            scopes: self.frame().scopes.clone(),
            versions: self.unit.versions.clone(),
            history: self.unit.history.clone(),
            changed: self.unit.changed.clone(),
            draws: self.unit.draws.clone(),
            bounds: self.unit.bounds.len(),
            reported: self.reported.len(),
            diagnostics: self.reporter.count(),
        }
    }

    fn put_back(&mut self, saved: Saved) {
        self.frame_mut().scopes = saved.scopes;
        self.unit.versions = saved.versions;
        self.unit.history = saved.history;
        self.unit.changed = saved.changed;
        self.unit.draws = saved.draws;
        self.unit.bounds.truncate(saved.bounds);
        self.reported.truncate(saved.reported);
        self.reporter.forget(saved.diagnostics);
        self.emit().refusals.clear();
    }
}

/// What the names are bound to after a round.
struct Left {
    carries: Vec<(String, NodeId)>,
    lists: Vec<(String, NodeId)>,
}

/// What may have changed when an attempt fails.
struct Saved {
    scopes: super::scope::Scopes,
    versions: IndexMap<String, NodeId>,
    history: IndexMap<String, Vec<NodeId>>,
    changed: Vec<(String, crate::graph::InputKind)>,
    draws: IndexMap<String, u32>,
    bounds: usize,
    reported: usize,
    diagnostics: usize,
}

/// Adds to a set of nodes what is computed from them.
fn spread(graph: &Graph, set: &mut EntitySet<NodeId>) {
    for (id, node) in graph.nodes.iter() {
        if node.inputs.iter().any(|&input| set.contains(input)) {
            set.insert(id);
        }
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (a, b) if a.is_number() && b.is_number() => a.same_number(b),
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Instance(a), Value::Instance(b)) => a == b,
        (Value::None, Value::None) => true,
        _ => false,
    }
}

/// Collects the names that a body gives new values; whether a scan can do all that its statements do.
fn rebinds(body: &Body, names: &mut IndexSet<String>) -> bool {
    body.statements.iter().all(|stmt| rebound(stmt, names))
}

/// Adds the names that a statement gives a new value; whether it does nothing else, but for `let`s of its own.
pub(super) fn rebound(stmt: &Stmt, names: &mut IndexSet<String>) -> bool {
    match &stmt.kind {
        StmtKind::Let { .. } => true,
        StmtKind::Rebind { names: own, .. } => {
            names.extend(own.iter().map(|name| name.name.clone()));
            true
        }
        StmtKind::For { body, .. } => rebinds(body, names),
        StmtKind::If {
            branches,
            otherwise,
        } => {
            let bodies = branches.iter().map(|branch| &branch.body).chain(otherwise);
            bodies.into_iter().all(|body| rebinds(body, names))
        }
        _ => false,
    }
}

/// The inputs of a scan under construction.
struct Inputs {
    /// Argument and first value of each carry.
    carries: Vec<(NodeId, NodeId)>,
    /// Arguments that are the same in each round, with their values.
    same: Vec<(NodeId, NodeId)>,
}

impl Inputs {
    /// Takes what the outputs are computed from into a body: nodes that vary, and views and constants, which cost
    /// nothing there. `None` where a gradient is taken within.
    fn scan(
        &self,
        graph: &Graph,
        trace: &Trace,
        varies: &EntitySet<NodeId>,
        outputs: &[NodeId],
    ) -> Option<(Scan, Vec<NodeId>)> {
        let mut inside: EntitySet<NodeId> = EntitySet::new();
        let mut captures: IndexSet<NodeId> = IndexSet::new();
        let mut rows: IndexMap<NodeId, NodeId> = IndexMap::new();
        let mut pending: Vec<NodeId> = outputs.to_vec();
        while let Some(id) = pending.pop() {
            if !inside.insert(id) {
                continue;
            }
            let node = &graph.nodes[id];
            let light = matches!(
                node.op,
                Op::View(_)
                    | Op::Reshape { .. }
                    | Op::Constant(_)
                    | Op::Iota { .. }
                    | Op::BatchSize
            );
            if let Some(stacked) = trace.arguments.get(&id) {
                rows.extend(stacked.map(|stacked| (id, stacked)));
            } else if matches!(node.op, Op::Gradient) && varies.contains(id) {
                return None;
            } else if varies.contains(id) || light {
                pending.extend(&node.inputs);
            } else {
                captures.insert(id);
            }
        }
        captures.sort_unstable();
        rows.sort_unstable_keys();
        let same = self.same.iter().filter(|own| inside.contains(own.0));
        let arguments: Vec<(NodeId, NodeId)> = captures
            .iter()
            .map(|&id| (id, id))
            .chain(same.copied())
            .chain(self.carries.iter().copied())
            .chain(rows.iter().map(|(&id, &stacked)| (id, stacked)))
            .collect();
        let body = body(graph, &inside, &arguments, trace.round, outputs)?;
        let scan = Scan {
            body: Region::new(body),
            rounds: trace.rounds,
            reverse: false,
            captures: arguments.len() - self.carries.len() - rows.len(),
            carries: self.carries.len(),
            result: 0,
        };
        Some((scan, arguments.into_iter().map(|own| own.1).collect()))
    }
}

fn body(
    graph: &Graph,
    inside: &EntitySet<NodeId>,
    arguments: &[(NodeId, NodeId)],
    round: NodeId,
    outputs: &[NodeId],
) -> Option<Graph> {
    let mut body = Graph::new("body");
    let mut map: IndexMap<NodeId, NodeId> = IndexMap::new();
    let numbered = arguments.iter().map(|own| own.0).chain([round]).enumerate();
    for (number, id) in numbered.filter(|own| inside.contains(own.1)) {
        let node = &graph.nodes[id];
        map.insert(id, body.argument(number, node.ty.clone(), node.span).ok()?);
    }
    for (id, node) in graph.nodes.iter().filter(|(id, _)| inside.contains(*id)) {
        if !map.contains_key(&id) {
            let inputs = node.inputs.iter().map(|input| map.get(input).copied());
            let inputs: Vec<NodeId> = inputs.collect::<Option<_>>()?;
            map.insert(id, body.add(node.op.clone(), &inputs, node.span).ok()?);
        }
    }
    for (number, id) in outputs.iter().enumerate() {
        body.output(OutputKind::Result, number.to_string(), *map.get(id)?);
    }
    Some(body)
}
