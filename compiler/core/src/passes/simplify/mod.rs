//! Algebra. Each rule looks at one operation on rebuilt inputs and gives something cheaper that is the same.

mod complements;
mod contractions;
mod elementwise;
mod linear_sums;
mod maxima;
mod quotients;
mod scalars;
mod spread;
mod sums;
#[cfg(test)]
mod tests;
mod views;

use super::rewrite::Rewrite;
use crate::graph::{Graph, NodeId, Op, Scalar, TypeError};
use cranelift_entity::{EntitySet, SecondaryMap};
use dlm_grammar::Span;

/// What a rule gives: a replacement, or nothing where it does not apply.
type Replacement = Result<Option<NodeId>, TypeError>;

/// A rule: the operation, its rebuilt inputs, the graph to build in.
type Rule = fn(&mut Simplifier<'_>, &Op, &[NodeId], Span) -> Replacement;

/// All rules, in the order in which they are tried.
const RULES: &[Rule] = &[
    scalars::fold,
    scalars::lift,
    elementwise::neutral,
    elementwise::powers,
    complements::of_power,
    elementwise::doubled,
    elementwise::choices,
    elementwise::logic,
    views::constant,
    views::compose,
    views::reshaped,
    views::unit_axes,
    maxima::monotone,
    sums::repeated,
    sums::nested,
    linear_sums::over_batch,
    contractions::single,
    contractions::repeated,
    contractions::constant,
    contractions::unary,
    contractions::absorb,
    quotients::of_exponentials,
    spread::spread,
];

/// The pass.
///
/// # Errors
/// Where a rule does not type, which is a fault of the rule.
pub fn run(graph: &Graph) -> Result<Graph, TypeError> {
    let live = graph.live_nodes();
    let mut uses: SecondaryMap<NodeId, u32> = SecondaryMap::new();
    for (id, node) in graph.nodes.iter().filter(|(id, _)| live.contains(*id)) {
        let _ = id;
        node.inputs.iter().for_each(|&input| uses[input] += 1);
    }
    graph
        .outputs
        .iter()
        .for_each(|output| uses[output.node] += 1);
    let pinned = differentiated(graph);
    let mut rewrite = Rewrite::new(graph);
    let mut used_once: SecondaryMap<NodeId, bool> = SecondaryMap::new();
    for (id, node) in graph.nodes.iter() {
        if !live.contains(id) && !matches!(node.op, Op::Input { .. }) {
            continue;
        }
        if pinned.contains(id) {
            let new = rewrite.copy(id)?;
            used_once[new] = false;
            continue;
        }
        let inputs = rewrite.inputs(id)?;
        let mut simplifier = Simplifier {
            graph: &mut rewrite.new,
            used_once: &mut used_once,
        };
        let new = simplifier.simplify(&node.op, &inputs, node.span)?;
        used_once[new] = uses[id] == 1;
        rewrite.set(id, new);
    }
    rewrite.finish()
}

/// What gradients are taken with respect to: a value of its own, even where it equals another that the loss also reads.
fn differentiated(graph: &Graph) -> EntitySet<NodeId> {
    let gradients = graph.nodes.values().filter(|node| node.op == Op::Gradient);
    let mut pinned = EntitySet::new();
    gradients.for_each(|node| {
        pinned.insert(node.inputs[1]);
    });
    pinned
}

/// The graph under construction.
struct Simplifier<'a> {
    graph: &'a mut Graph,
    used_once: &'a mut SecondaryMap<NodeId, bool>,
}

impl Simplifier<'_> {
    fn simplify(&mut self, op: &Op, inputs: &[NodeId], span: Span) -> Result<NodeId, TypeError> {
        for rule in RULES {
            if let Some(node) = rule(self, op, inputs, span)? {
                return Ok(node);
            }
        }
        self.graph.add(op.clone(), inputs, span)
    }

    /// Builds an operation, simplified.
    fn add(&mut self, op: Op, inputs: &[NodeId], span: Span) -> Result<NodeId, TypeError> {
        self.simplify(&op, inputs, span)
    }

    /// The scalar that a node repeats everywhere: the node itself of rank 0, or what a view repeats.
    fn scalar_of(&self, node: NodeId) -> Option<NodeId> {
        let data = &self.graph.nodes[node];
        match data.op {
            _ if data.ty.rank() == 0 => Some(node),
            Op::View(_) if self.graph.nodes[data.inputs[0]].ty.rank() == 0 => Some(data.inputs[0]),
            _ => None,
        }
    }

    /// Whether a node is a view that may repeat what it reads.
    fn is_repeated(&self, node: NodeId) -> bool {
        matches!(self.graph.nodes[node].op, Op::View(_))
    }

    /// The constant that a node holds everywhere.
    fn constant_of(&self, node: NodeId) -> Option<Scalar> {
        match self.graph.nodes[self.scalar_of(node)?].op {
            Op::Constant(scalar) => Some(scalar),
            _ => None,
        }
    }

    fn float_of(&self, node: NodeId) -> Option<f32> {
        match self.constant_of(node)? {
            Scalar::F32(value) => Some(value),
            _ => None,
        }
    }
}
