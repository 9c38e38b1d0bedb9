//! How often an outer product goes through its operands: one of them once, the other for each tile of it.

use super::Context;
use crate::graph::{Contraction, NodeId, Op};
use crate::schedule::outer::Outer;

/// Bytes of the first cache.
const FIRST_CACHE: i64 = 32 << 10;
/// Bytes a cycle of what comes from behind the second cache.
const BEHIND: f64 = 8.0;

/// The operands of an outer product: vectors of one, turned, each with one element of the other.
#[derive(Clone, Debug)]
pub(super) struct Passes {
    /// The output's axis that vectors run along, and how many vectors it is.
    axis: usize,
    vectors: i64,
    /// Bytes that one vector's channels have for a block's rounds.
    column: i64,
    /// Whether both operands have one variable in each axis: a window's taps share vectors.
    plain: bool,
    /// Bytes of a block of the turned operand, of the other, and of one of its elements.
    turned: i64,
    other: i64,
    element: i64,
    /// Bytes of an operand that stays in the second cache beside the other's share.
    near: i64,
    /// Multiply-adds of an element of the other with one vector's channels.
    uses: f64,
}

impl Passes {
    /// Those of a product's node; none where it is no contraction.
    pub(super) fn of(cx: &Context<'_>, anchor: NodeId, outer: Outer) -> Option<Passes> {
        let node = &cx.graph.nodes[anchor];
        let Op::Contract(contraction) = &node.op else {
            return None;
        };
        let block = cx.block as i64;
        let of = |operand: usize| &cx.graph.nodes[node.inputs[operand]].ty;
        let elements = |operand: usize| of(operand).elements(block);
        let bytes = |operand: usize| of(operand).dtype.bytes() as i64;
        let (turned, other) = (outer.operand, 1 - outer.operand);
        let rounds: i64 = contraction
            .reduced
            .iter()
            .map(|dim| dim.at(block))
            .product();
        let own = contraction.shape.iter().enumerate();
        let own = own.filter(|&(axis, _)| axis != outer.axis);
        let outputs: i64 = own.map(|(_, dim)| dim.at(block)).product();
        Some(Passes {
            axis: outer.axis,
            vectors: contraction.shape[outer.axis].at(block) / cx.target.register_lanes as i64,
            column: rounds * cx.target.register_lanes as i64 * 4,
            plain: is_plain(contraction),
            turned: elements(turned) * bytes(turned),
            other: elements(other) * bytes(other),
            element: bytes(other),
            near: cx.target.second_cache / 4 * 3,
            uses: (rounds * outputs) as f64 / elements(other).max(1) as f64,
        })
    }

    /// Whether the turned operand is gone through for each tile of the other, and not the other for each tile of vectors: a
    /// tile's vectors would not stay in the first cache anyway, and the other is larger.
    pub(super) fn by_other(&self, factors: &[usize]) -> bool {
        let bytes = self.column * factors[self.axis] as i64;
        self.plain && bytes > FIRST_CACHE && self.other > self.turned
    }

    /// Cycles that each vector multiply-add waits for the other operand where each tile of vectors has it come again from
    /// behind the second cache. What the turned operand waits for, where that is gone through for each tile, is not counted.
    pub(super) fn cycles(&self, factors: &[usize]) -> f64 {
        let once = self.by_other(factors) || factors[self.axis] as i64 >= self.vectors;
        if once || self.other < self.near {
            return 0.0;
        }
        self.element as f64 / BEHIND / (self.uses * factors[self.axis] as f64).max(1.0)
    }
}

fn is_plain(contraction: &Contraction) -> bool {
    let mut axes = contraction.operands.iter().flatten();
    axes.all(|axis| axis.terms.len() <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3 x 3 of stride 2, 128 channels to 256 on 8 x 8 pixels: each element serves 2.25 taps of a vector.
    fn strided() -> Passes {
        Passes {
            axis: 0,
            vectors: 16,
            column: 64 * 16 * 64,
            plain: false,
            turned: 256 * 64 * 16 * 4,
            other: 128 * 256 * 16 * 4,
            element: 4,
            near: 3 << 19,
            uses: 2.25,
        }
    }

    #[test]
    fn more_vectors_in_a_tile_are_fewer_passes_over_what_is_far() {
        let passes = strided();
        let two = passes.cycles(&[2, 3, 1, 3]);
        assert!((two - 4.0 / 8.0 / 4.5).abs() < 1e-9, "{two}");
        assert!((passes.cycles(&[4, 2, 1, 3]) - two / 2.0).abs() < 1e-9);
    }

    #[test]
    fn what_stays_near_or_is_gone_through_once_costs_nothing() {
        let near = Passes {
            other: 128 * 64 * 16 * 4,
            ..strided()
        };
        assert_eq!(near.cycles(&[2, 3, 1, 3]), 0.0);
        assert_eq!(strided().cycles(&[16, 1, 1, 1]), 0.0);
        let once = Passes {
            plain: true,
            ..strided()
        };
        assert!(once.by_other(&[3, 8]));
        assert_eq!(once.cycles(&[3, 8]), 0.0);
        // A window's taps share vectors, which stay where they are.
        assert!(!strided().by_other(&[3, 8, 1, 1]));
    }
}
