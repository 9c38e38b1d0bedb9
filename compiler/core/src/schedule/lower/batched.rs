//! Axes that all operands of a product have, as the heads of attention.
//!
//! Elements along such an axis share no operand. With its loop outside of the others, what the others read again and again
//! is of one head, and stays in the second cache; within them, each round would bring the next head's.

use super::tile::variable_axes;
use super::{Context, Group};
use crate::graph::{AxisIndex, Op};

/// The domain's axes along which a block's product is batched, but for the last, along which tiles lie.
pub fn batched_axes(cx: &Context<'_>, group: &Group) -> Vec<usize> {
    let Some(anchor) = group.anchor else {
        return Vec::new();
    };
    let Op::Contract(contraction) = &cx.graph.nodes[anchor].op else {
        return Vec::new();
    };
    let forms = variable_axes(cx, group, false, anchor);
    let last = forms.iter().flatten().max().copied();
    let is_batched = |variable: &usize| {
        let has = |axes: &Vec<AxisIndex>| {
            axes.iter()
                .any(|axis| axis.as_variable() == Some(*variable))
        };
        contraction.operands.len() > 1 && contraction.operands.iter().all(has)
    };
    let variables = (0..forms.len()).filter(is_batched);
    let axes = variables.flat_map(|variable| forms[variable].clone());
    axes.filter(|&axis| Some(axis) != last).collect()
}
