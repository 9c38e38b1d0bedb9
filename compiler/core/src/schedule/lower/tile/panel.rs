//! Panels of a product over samples, which stay in the second cache while its other operand goes by.

use crate::graph::{NodeId, Op};
use crate::schedule::lower::Context;

/// For a product over samples: how many elements of its last axis stay in the second cache while the others go by.
pub fn panel(cx: &Context<'_>, anchor: NodeId, factor: usize) -> Option<usize> {
    let node = &cx.graph.nodes[anchor];
    let Op::Contract(contraction) = &node.op else {
        return None;
    };
    let last = contraction.shape.len().checked_sub(1)?;
    let extent = usize::try_from(contraction.shape[last].known()?).ok()?;
    let rounds: i64 = contraction
        .reduced
        .iter()
        .map(|dim| dim.known().unwrap_or(1))
        .product();
    let bytes = rounds as usize * cx.block * 4;
    if extent * bytes <= PANEL_BYTES || contraction.operands.len() != 2 || last == 0 {
        return None;
    }
    let fits = |size: &usize| {
        extent % size == 0 && size.is_multiple_of(factor) && size * bytes <= PANEL_BYTES
    };
    (factor..extent).rev().find(fits)
}

/// Of the second cache, what a panel may take.
const PANEL_BYTES: usize = 256 << 10;
