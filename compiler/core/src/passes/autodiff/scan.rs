//! The derivative of a loop: a loop the other way, over stacked residuals.
//!
//! ```text
//! forward:   h, hs = scan(w, h0, xs)                      h' = f(w, h, x)
//! backward:  dh0, dxs, gs = scan reverse (w, dh, xs, rs, dhs)
//!            dw = one contraction of gs and rs over (t, b)
//! ```
//!
//! The loop is asked once more for its *residuals*, stacked: what the derivative of a round reads and what costs more
//! than elementwise work to have again. The pass `merge-scans` makes one loop of both. Gradients of captures leave the
//! loop: where a round's part is a product, the sum of all rounds' parts is one product that also runs over the
//! rounds. The backward loop is a scan like any other, and can be differentiated itself.

use super::{Sweep, sweep_from};
use crate::graph::scan::{Role, arguments};
use crate::graph::{
    AxisIndex, BinaryOp, Contraction, Dim, Graph, NodeId, Op, OutputKind, ReduceOp, Region, Scan,
    TypeError, UnaryOp,
};
use dlm_grammar::Span;
use indexmap::{IndexMap, IndexSet};
use std::collections::{BTreeMap, BTreeSet};

/// For each input of the scan that `wanted` names, its part of the cotangent; `cotangents` are those of the scan's
/// results, by number.
pub(super) fn gradient(
    graph: &mut Graph,
    node: NodeId,
    cotangents: &[(usize, NodeId)],
    wanted: &dyn Fn(NodeId) -> bool,
) -> Result<Vec<(NodeId, NodeId)>, TypeError> {
    let own = graph.nodes[node].clone();
    let Op::Scan(scan) = own.op else {
        return Err(TypeError("a scan was expected".into()));
    };
    let round = Round::new(&scan, &own.inputs, cotangents, &|number| {
        wanted(own.inputs[number])
    })?;
    let needs = round.needs();
    let mut reversal = Reversal {
        graph,
        round: &round,
        inputs: &own.inputs,
        cotangents,
        span: own.span,
        stacks: BTreeMap::new(),
    };
    reversal.residuals(&needs)?;
    let results = reversal.backward(&needs)?;
    reversal.parts(&results, wanted)
}

/// One round with its derivative, in one graph.
struct Round<'s> {
    scan: &'s Scan,
    inputs: usize,
    /// The body, then the cotangents.
    all: Graph,
    /// How many nodes are the body's.
    forward: usize,
    /// The argument that stands for the cotangent of each result.
    seeds: BTreeMap<usize, NodeId>,
    /// The cotangent of each argument, by number.
    gradients: BTreeMap<usize, NodeId>,
    /// The sum over all rounds of each capture's cotangent.
    sums: BTreeMap<usize, Sum>,
    /// What is kept rather than computed again.
    kept: BTreeSet<NodeId>,
}

/// What the backward loop is made of.
struct Needs {
    /// The nodes of the round's derivative, in order.
    nodes: BTreeSet<NodeId>,
    /// Nodes of the forward round that are stacked by it.
    residuals: IndexSet<NodeId>,
    /// Nodes that the backward round leaves a stack of.
    leaves: IndexSet<NodeId>,
}

impl<'s> Round<'s> {
    fn new(
        scan: &'s Scan,
        inputs: &[NodeId],
        cotangents: &[(usize, NodeId)],
        wanted: &dyn Fn(usize) -> bool,
    ) -> Result<Round<'s>, TypeError> {
        let body = scan.body.graph();
        let mut all = body.clone();
        all.outputs.clear();
        let forward = all.nodes.len();
        let mut seeds = BTreeMap::new();
        let mut starts: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        let asked: BTreeSet<usize> = cotangents.iter().map(|own| own.0).collect();
        for (number, output) in body.outputs.iter().enumerate() {
            let ty = body.ty(output.node).clone();
            if !ty.dtype.is_float() || number >= scan.carries && !asked.contains(&number) {
                continue;
            }
            let span = body.nodes[output.node].span;
            let seed = all.argument(inputs.len() + 1 + number, ty, span)?;
            seeds.insert(number, seed);
            let sum = match starts.get(&output.node) {
                Some(&other) => all.binary(BinaryOp::Add, other, seed, span)?,
                None => seed,
            };
            starts.insert(output.node, sum);
        }
        let differentiated: Vec<(usize, NodeId)> = arguments(body)
            .filter(|&(number, id)| {
                let carried = matches!(scan.role(number, inputs.len()), Role::Carry(_));
                let varies = number < inputs.len() && (carried || wanted(number));
                varies && body.ty(id).dtype.is_float()
            })
            .collect();
        let nodes: Vec<NodeId> = differentiated.iter().map(|argument| argument.1).collect();
        let sweep: Sweep = sweep_from(&mut all, starts, &nodes)?;
        let found = differentiated.into_iter();
        let gradients: BTreeMap<usize, NodeId> = found
            .filter_map(|(number, id)| Some((number, *sweep.get(&id)?)))
            .collect();
        let mut round = Round {
            scan,
            inputs: inputs.len(),
            all,
            forward,
            seeds,
            gradients,
            sums: BTreeMap::new(),
            kept: BTreeSet::new(),
        };
        round.sums = round.sums();
        round.kept = round.kept();
        Ok(round)
    }

    fn role(&self, number: usize) -> Role {
        self.scan.role(number, self.inputs)
    }

    fn is_forward(&self, id: NodeId) -> bool {
        (id.as_u32() as usize) < self.forward
    }

    fn sums(&self) -> BTreeMap<usize, Sum> {
        let captures = self
            .gradients
            .iter()
            .filter(|own| self.role(*own.0) == Role::Capture);
        captures
            .map(|(&number, &id)| (number, self.sum(id)))
            .collect()
    }

    /// The sum of a node's values in all rounds.
    fn sum(&self, id: NodeId) -> Sum {
        let node = &self.all.nodes[id];
        match &node.op {
            Op::Binary(BinaryOp::Add) => Sum::Added(
                Box::new(self.sum(node.inputs[0])),
                Box::new(self.sum(node.inputs[1])),
            ),
            Op::Unary(UnaryOp::Neg) => Sum::Negated(Box::new(self.sum(node.inputs[0]))),
            Op::Contract(contraction) if node.inputs.iter().any(|&input| self.moves(input)) => {
                Sum::Product(contraction.clone(), node.inputs.to_vec())
            }
            Op::Reshape { shape } => {
                Sum::Reshaped(shape.clone(), Box::new(self.sum(node.inputs[0])))
            }
            Op::Reduce {
                op: ReduceOp::Sum,
                axes,
            } => Sum::Rows(
                node.inputs[0],
                std::iter::once(0)
                    .chain(axes.iter().map(|axis| axis + 1))
                    .collect(),
            ),
            _ => Sum::Rows(id, vec![0]),
        }
    }

    /// Whether a node's value may differ from round to round.
    fn moves(&self, id: NodeId) -> bool {
        match self.all.nodes[id].op {
            Op::Argument { number, .. } => {
                number >= self.inputs || self.role(number) != Role::Capture
            }
            _ => self.all.nodes[id]
                .inputs
                .iter()
                .any(|&input| self.moves(input)),
        }
    }

    /// What costs more than elementwise work, or the elementwise value of the same type that it is made for.
    fn kept(&self) -> BTreeSet<NodeId> {
        let body = self.scan.body.graph();
        let mut users: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        for (id, node) in body.nodes.iter() {
            node.inputs
                .iter()
                .for_each(|&input| users.entry(input).or_default().push(id));
        }
        let outputs: BTreeSet<NodeId> = body.outputs.iter().map(|output| output.node).collect();
        let mut kept = BTreeSet::new();
        for (id, node) in body.nodes.iter().filter(|(_, node)| !is_cheap(&node.op)) {
            let mut last = id;
            while let Some([user]) = users.get(&last).map(Vec::as_slice)
                && !outputs.contains(&last)
                && matches!(
                    body.nodes[*user].op,
                    Op::Unary(_) | Op::Binary(_) | Op::Cast(_)
                )
                && body.ty(*user) == &node.ty
            {
                last = *user;
            }
            kept.extend([id, last]);
        }
        kept
    }

    fn needs(&self) -> Needs {
        let mut needs = Needs {
            nodes: BTreeSet::new(),
            residuals: IndexSet::new(),
            leaves: IndexSet::new(),
        };
        for (&number, &gradient) in &self.gradients {
            match self.role(number) {
                Role::Carry(_) => {}
                Role::Row => {
                    needs.leaves.insert(gradient);
                }
                _ => self.sums[&number].leaves(&mut |id| {
                    if self.moves(id) {
                        needs.leaves.insert(id);
                    }
                }),
            }
        }
        let carried = self
            .gradients
            .iter()
            .filter(|own| matches!(self.role(*own.0), Role::Carry(_)));
        let mut pending: Vec<NodeId> = carried.map(|own| *own.1).collect();
        // A leaf that is stacked already needs no round of its own.
        let leaves = std::mem::take(&mut needs.leaves);
        for leaf in leaves {
            match self.place(leaf) {
                // The cotangent of a carry is an argument, but nothing has a stack of it.
                Place::Argument if self.is_carry_seed(leaf) => {
                    needs.leaves.insert(leaf);
                    pending.push(leaf);
                }
                Place::Residual => {
                    needs.residuals.insert(leaf);
                }
                Place::Argument => {}
                Place::Computed => {
                    needs.leaves.insert(leaf);
                    pending.push(leaf);
                }
            }
        }
        while let Some(id) = pending.pop() {
            if !needs.nodes.insert(id) {
                continue;
            }
            match self.place(id) {
                Place::Residual => {
                    needs.residuals.insert(id);
                }
                Place::Argument => {}
                Place::Computed => pending.extend(self.all.nodes[id].inputs.iter().copied()),
            }
        }
        needs
    }

    fn is_carry_seed(&self, id: NodeId) -> bool {
        let mut carries = self.seeds.iter().filter(|seed| *seed.0 < self.scan.carries);
        carries.any(|seed| *seed.1 == id)
    }

    /// How a round of the backward loop comes by a value.
    fn place(&self, id: NodeId) -> Place {
        let node = &self.all.nodes[id];
        match node.op {
            Op::Argument { number, .. } if number >= self.inputs => Place::Argument,
            Op::Argument { number, .. } => match self.role(number) {
                Role::Carry(_) => Place::Residual,
                _ => Place::Argument,
            },
            _ if self.is_forward(id) && self.kept.contains(&id) && self.moves(id) => {
                Place::Residual
            }
            _ => Place::Computed,
        }
    }
}

enum Place {
    /// From the forward loop's stack.
    Residual,
    /// An argument of the backward round.
    Argument,
    /// From its inputs.
    Computed,
}

fn is_cheap(op: &Op) -> bool {
    matches!(
        op,
        Op::Unary(_)
            | Op::Binary(_)
            | Op::Select
            | Op::Cast(_)
            | Op::View(_)
            | Op::Reshape { .. }
            | Op::StopGradient
            | Op::Argument { .. }
            | Op::Constant(_)
            | Op::Iota { .. }
            | Op::BatchSize
    )
}

/// The sum over all rounds of a value of the body.
#[derive(Clone, Debug)]
enum Sum {
    Added(Box<Sum>, Box<Sum>),
    Negated(Box<Sum>),
    Reshaped(Vec<Dim>, Box<Sum>),
    /// One contraction over the rounds too.
    Product(Contraction, Vec<NodeId>),
    /// The stack of a value, summed over axes of which the first counts the rounds.
    Rows(NodeId, Vec<usize>),
}

impl Sum {
    fn leaves(&self, found: &mut dyn FnMut(NodeId)) {
        match self {
            Sum::Added(a, b) => {
                a.leaves(found);
                b.leaves(found);
            }
            Sum::Negated(sum) | Sum::Reshaped(_, sum) => sum.leaves(found),
            Sum::Product(_, operands) => operands.iter().for_each(|&id| found(id)),
            Sum::Rows(id, _) => found(*id),
        }
    }
}

/// The backward loop under construction.
struct Reversal<'a, 's> {
    graph: &'a mut Graph,
    round: &'a Round<'s>,
    inputs: &'a [NodeId],
    cotangents: &'a [(usize, NodeId)],
    span: Span,
    /// The stack of each of the round's values that has one.
    stacks: BTreeMap<NodeId, NodeId>,
}

impl Reversal<'_, '_> {
    /// Stacks of what the forward loop keeps, from the loop asked once more.
    fn residuals(&mut self, needs: &Needs) -> Result<(), TypeError> {
        let scan = self.round.scan;
        let mut body = scan.body.graph().clone();
        let mut results = Vec::new();
        for &residual in &needs.residuals {
            let stacks = body.outputs.iter().skip(scan.carries);
            let known = stacks
                .map(|output| output.node)
                .position(|node| node == residual);
            if known.is_none() {
                let name = body.outputs.len().to_string();
                body.output(OutputKind::Result, name, residual);
            }
            let last = body.outputs.len() - 1;
            results.push((residual, known.map_or(last, |known| scan.carries + known)));
        }
        let longer = Scan {
            body: Region::new(body),
            ..scan.clone()
        };
        for (residual, result) in results {
            let op = Op::Scan(longer.with_result(result));
            let stack = self.graph.add(op, self.inputs, self.span)?;
            self.stacks.insert(residual, stack);
        }
        Ok(())
    }

    /// The outer value of an argument of the round's derivative.
    fn outer(&mut self, number: usize, ty: &crate::graph::TensorType) -> Result<NodeId, TypeError> {
        if number < self.inputs.len() {
            return Ok(self.inputs[number]);
        }
        let result = number - self.inputs.len() - 1;
        let known = self.cotangents.iter().find(|own| own.0 == result);
        match known {
            Some(&(_, cotangent)) => Ok(cotangent),
            None => self.graph.full(0.0, ty.dtype, &ty.shape, self.span),
        }
    }

    /// Builds the backward loop; the last values of its carries, by the arguments that carry them.
    fn backward(&mut self, needs: &Needs) -> Result<BTreeMap<NodeId, NodeId>, TypeError> {
        let round = self.round;
        let order = Arguments::of(round, needs);
        let mut inputs = Vec::new();
        for &id in order
            .captures
            .iter()
            .chain(&order.carries)
            .chain(&order.rows)
        {
            inputs.push(match (&round.all.nodes[id].op, self.stacks.get(&id)) {
                (_, Some(&stack)) => stack,
                (Op::Argument { number, ty }, None) => self.outer(*number, ty)?,
                _ => return Err(TypeError("a residual that is not kept".into())),
            });
        }
        let body = order.body(round, needs)?;
        let scan = Scan {
            body: Region::new(body),
            rounds: round.scan.rounds,
            reverse: !round.scan.reverse,
            captures: order.captures.len(),
            carries: order.carries.len(),
            result: 0,
        };
        if scan.results() == 0 {
            return Ok(BTreeMap::new());
        }
        let results = self.graph.scan(&scan, &inputs, self.span)?;
        let (last, stacks) = results.split_at(order.carries.len());
        self.stacks
            .extend(needs.leaves.iter().copied().zip(stacks.iter().copied()));
        Ok(order
            .carries
            .into_iter()
            .zip(last.iter().copied())
            .collect())
    }

    fn parts(
        &mut self,
        results: &BTreeMap<NodeId, NodeId>,
        wanted: &dyn Fn(NodeId) -> bool,
    ) -> Result<Vec<(NodeId, NodeId)>, TypeError> {
        let round = self.round;
        let mut parts = Vec::new();
        for number in 0..self.inputs.len() {
            let input = self.inputs[number];
            if !wanted(input) {
                continue;
            }
            let gradient = round.gradients.get(&number);
            let part = match (round.role(number), gradient) {
                (Role::Carry(carry), _) => {
                    let seed = round.seeds.get(&carry);
                    seed.and_then(|seed| results.get(seed)).copied()
                }
                (Role::Row, Some(&gradient)) => Some(self.stack(gradient)?),
                (_, Some(_)) => Some(self.summed(&round.sums[&number])?),
                _ => None,
            };
            parts.extend(part.map(|part| (input, part)));
        }
        Ok(parts)
    }

    /// The values that a node of the round has in all rounds.
    fn stack(&mut self, id: NodeId) -> Result<NodeId, TypeError> {
        if let Some(&stack) = self.stacks.get(&id) {
            return Ok(stack);
        }
        match &self.round.all.nodes[id].op {
            Op::Argument { number, .. } if *number == self.inputs.len() => {
                let shape = [Dim::fixed(self.round.scan.rounds)];
                self.graph.iota(&shape, 0, self.span)
            }
            Op::Argument { number, ty } => self.outer(*number, ty),
            _ => Err(TypeError("a value of the loop that is not stacked".into())),
        }
    }

    fn summed(&mut self, sum: &Sum) -> Result<NodeId, TypeError> {
        match sum {
            Sum::Added(a, b) => {
                let (a, b) = (self.summed(a)?, self.summed(b)?);
                self.graph.binary(BinaryOp::Add, a, b, self.span)
            }
            Sum::Negated(sum) => {
                let sum = self.summed(sum)?;
                self.graph.unary(UnaryOp::Neg, sum, self.span)
            }
            Sum::Reshaped(shape, sum) => {
                let sum = self.summed(sum)?;
                self.graph.reshape(sum, shape, self.span)
            }
            Sum::Product(contraction, operands) => self.product(contraction, operands),
            Sum::Rows(id, axes) if self.round.moves(*id) => {
                let stack = self.stack(*id)?;
                self.graph.reduce(ReduceOp::Sum, stack, axes, self.span)
            }
            Sum::Rows(id, axes) => {
                let same = self.same(*id)?;
                let axes: Vec<usize> = axes[1..].iter().map(|axis| axis - 1).collect();
                let sum = self.graph.reduce(ReduceOp::Sum, same, &axes, self.span)?;
                let ty = self.graph.ty(sum).clone();
                let rounds = self.round.scan.rounds as f64;
                let rounds = self.graph.full(rounds, ty.dtype, &ty.shape, self.span)?;
                self.graph.binary(BinaryOp::Mul, sum, rounds, self.span)
            }
        }
    }

    fn product(
        &mut self,
        contraction: &Contraction,
        operands: &[NodeId],
    ) -> Result<NodeId, TypeError> {
        let rounds = contraction.shape.len() + contraction.reduced.len();
        let mut summed = contraction.clone();
        summed.reduced.push(Dim::fixed(self.round.scan.rounds));
        let mut nodes = Vec::with_capacity(operands.len());
        for (axes, &operand) in summed.operands.iter_mut().zip(operands) {
            if self.round.moves(operand) {
                axes.insert(0, AxisIndex::variable(rounds));
                nodes.push(self.stack(operand)?);
            } else {
                nodes.push(self.same(operand)?);
            }
        }
        self.graph.add(Op::Contract(summed), &nodes, self.span)
    }

    /// The value of a node that is the same in each round, outside of the loop.
    fn same(&mut self, id: NodeId) -> Result<NodeId, TypeError> {
        let node = self.round.all.nodes[id].clone();
        if let Op::Argument { number, .. } = node.op {
            return Ok(self.inputs[number]);
        }
        let inputs = node.inputs.iter().map(|&input| self.same(input));
        let inputs: Vec<NodeId> = inputs.collect::<Result<_, _>>()?;
        self.graph.add(node.op, &inputs, node.span)
    }
}

/// The arguments of the backward round, as nodes of the round's graph.
struct Arguments {
    captures: Vec<NodeId>,
    /// The cotangents of carries: for each, the seed that stands for it.
    carries: Vec<NodeId>,
    rows: Vec<NodeId>,
}

impl Arguments {
    fn of(round: &Round<'_>, needs: &Needs) -> Arguments {
        let mut captures = Vec::new();
        let mut rows: Vec<NodeId> = Vec::new();
        for &id in &needs.nodes {
            if let Op::Argument { number, .. } = round.all.nodes[id].op {
                match number {
                    _ if number < round.inputs => match round.role(number) {
                        Role::Capture => captures.push(id),
                        Role::Carry(_) => {}
                        _ => rows.push(id),
                    },
                    _ if number > round.inputs + round.scan.carries => rows.push(id),
                    _ => {}
                }
            }
        }
        let residuals = needs.residuals.iter().copied();
        rows.extend(residuals.filter(|id| needs.nodes.contains(id)));
        let seeds = round.seeds.iter();
        let carries = seeds.filter(|seed| *seed.0 < round.scan.carries);
        Arguments {
            captures,
            carries: carries.map(|seed| *seed.1).collect(),
            rows,
        }
    }

    /// The backward round: it leaves the next value of each carry, and each leaf.
    fn body(&self, round: &Round<'_>, needs: &Needs) -> Result<Graph, TypeError> {
        let mut body = Graph::new("body");
        let mut map: IndexMap<NodeId, NodeId> = IndexMap::new();
        let arguments = self.captures.iter().chain(&self.carries).chain(&self.rows);
        for (number, &id) in arguments.enumerate() {
            let node = &round.all.nodes[id];
            map.insert(id, body.argument(number, node.ty.clone(), node.span)?);
        }
        for &id in &needs.nodes {
            let node = &round.all.nodes[id];
            if map.contains_key(&id) {
                continue;
            }
            if matches!(node.op, Op::Argument { .. }) {
                // The round's own number: the last argument of every body.
                map.insert(id, body.argument(self.count(), node.ty.clone(), node.span)?);
                continue;
            }
            let inputs = node.inputs.iter().map(|input| map.get(input).copied());
            let inputs: Option<Vec<NodeId>> = inputs.collect();
            let inputs = inputs.ok_or_else(|| TypeError("an input after its user".into()))?;
            map.insert(id, body.add(node.op.clone(), &inputs, node.span)?);
        }
        for &seed in &self.carries {
            let carry = round
                .seeds
                .iter()
                .find(|own| *own.1 == seed)
                .map_or(0, |own| *own.0);
            let gradient = round.gradients.get(&(round.scan.captures + carry));
            let next = match gradient {
                Some(gradient) => map[gradient],
                None => {
                    let ty = round.all.ty(seed).clone();
                    body.full(0.0, ty.dtype, &ty.shape, round.all.nodes[seed].span)?
                }
            };
            let name = body.outputs.len().to_string();
            body.output(OutputKind::Result, name, next);
        }
        for &leaf in &needs.leaves {
            let name = body.outputs.len().to_string();
            body.output(OutputKind::Result, name, map[&leaf]);
        }
        Ok(body)
    }

    fn count(&self) -> usize {
        self.captures.len() + self.carries.len() + self.rows.len()
    }
}
