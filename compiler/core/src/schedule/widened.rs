//! Values of bf16 that lie in memory as f32.
//!
//! A product reads vectors of one operand, and of the other one number for all lanes. As bf16, that number takes a
//! shuffle and a shift, on the ports that multiply: as much as the multiply-adds that it serves, where those are few. So
//! what a step makes and a product reads number by number, as copies of weights and the gradients that weight gradients are
//! made of, lies in memory as f32, rounded to what bf16 has; no bit of a result depends on it.
//!
//! What enters or leaves a plan keeps its type, and so does what a loop over time reads or makes. Where memory is to be
//! saved, or where one instruction multiplies pairs of bf16, all lies as bf16.

use super::buffers::Sources;
use super::fuse::{Group, Strategy, root};
use super::lower::vector_operands_of;
use super::units::{Unit, Work};
use crate::graph::{DType, Graph, NodeId, Op, TensorType};

/// The type of a stored value in memory.
pub fn memory_type(sources: &Sources<'_>, value: NodeId) -> TensorType {
    let ty = &sources.graph.nodes[value].ty;
    match ty.dtype == DType::Bf16 && is_widened(sources, value) {
        true => TensorType::new(DType::F32, ty.shape.clone()),
        false => ty.clone(),
    }
}

fn is_widened(sources: &Sources<'_>, value: NodeId) -> bool {
    let target = sources.target;
    if target.dot_pairs || target.budget.is_some() || sources.index.leaving.contains(value) {
        return false;
    }
    let Some(maker) = sources.maker(value) else {
        return false;
    };
    let in_loop = |unit: &Unit| matches!(unit.work, Work::Loop(_));
    let mut users = sources.readers(value).chain([maker]);
    if users.any(|(_, unit)| in_loop(unit)) {
        return false;
    }
    sources.readers(value).any(|(_, unit)| match unit.work {
        Work::Group(number) => {
            let group = &sources.fusion.groups[number];
            reads_one_by_one(sources, group, value)
        }
        _ => false,
    })
}

/// Whether a group's product reads one number of the value for all lanes.
fn reads_one_by_one(sources: &Sources<'_>, group: &Group, value: NodeId) -> bool {
    let Some(anchor) = group.anchor else {
        return false;
    };
    let inputs = operands(sources.graph, anchor);
    let mut own = inputs
        .iter()
        .filter(|&&input| root(sources.graph, input) == value);
    own.any(|&input| match group.strategy {
        Strategy::Lanes => sources.lanes.axis(input).is_none(),
        Strategy::Partial => false,
        Strategy::Plain => !vector_operands_of(sources.graph, anchor).contains(&value),
    })
}

/// What a product of two multiplies.
fn operands(graph: &Graph, anchor: NodeId) -> &[NodeId] {
    let node = &graph.nodes[anchor];
    match &node.op {
        Op::Contract(contraction) if contraction.operands.len() == 2 => &node.inputs,
        _ => &[],
    }
}
