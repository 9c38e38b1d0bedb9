//! How often an outer product goes through its operands: one of them once, the other for each tile of it.

use super::Context;
use crate::graph::{Contraction, NodeId, Op};
use crate::schedule::lanes::ContractionLanes;
use crate::schedule::outer::Outer;
use crate::schedule::target::FIRST_CACHE;

/// Bytes a cycle of what comes from behind the second cache.
const BEHIND: f64 = 8.0;
/// Multiply-adds of a part of a sum, at least: its end is stored and read again.
const ROUNDS: i64 = 384;

/// The operands of an outer product: vectors of one, turned, each with one element of the other.
#[derive(Clone, Debug)]
pub(super) struct Passes {
    /// The output's axis that vectors run along, and how many vectors it is.
    axis: usize,
    vectors: i64,
    /// Registers of a vector, and bytes that one register's channels have for a block's rounds.
    registers: i64,
    column: i64,
    /// Samples of a block, and rows and columns of an image that is summed over.
    samples: i64,
    image: Option<(i64, i64)>,
    /// Whether both operands have one variable in each axis: a window's taps share vectors.
    plain: bool,
    /// Bytes of a block of the turned operand, of the other, of what is read of that, and of one of its elements.
    turned: i64,
    other: i64,
    read: i64,
    element: i64,
    /// Bytes of a core's second cache.
    second_cache: i64,
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
            vectors: contraction.shape[outer.axis].at(block) / outer.width as i64,
            registers: (outer.width / cx.target.register_lanes) as i64,
            column: rounds * cx.target.register_lanes as i64 * 4,
            samples: block,
            image: image(cx, anchor, contraction),
            plain: is_plain(contraction),
            turned: elements(turned) * bytes(turned),
            other: elements(other) * bytes(other),
            read: elements(other).min(rounds * outputs) * bytes(other),
            element: bytes(other),
            second_cache: cx.target.second_cache,
            uses: (rounds * outputs) as f64 / elements(other).max(1) as f64,
        })
    }

    /// Whether the turned operand is gone through for each tile of the other, and not the other for each tile of vectors: a
    /// tile's vectors, of each one register counted, would not stay in the first cache anyway, and the other is larger; or
    /// they are gone through in parts.
    pub(super) fn by_other(&self, factors: &[usize]) -> bool {
        let stays = self.column * factors[self.axis] as i64 <= FIRST_CACHE as i64;
        let passes = !stays && self.other > self.turned;
        self.plain && (passes || self.pixels_together().is_some())
    }

    /// Pixels of whole rows that are summed together where neither operand stays in the second cache while the other passes
    /// it: all vectors of so many do. None where these would be too few to be worth the end of a part, or all.
    pub(super) fn pixels_together(&self) -> Option<i64> {
        let (rows, columns) = self.image.filter(|_| self.plain)?;
        if self.is_near(self.turned) || self.is_near(self.read) {
            return None;
        }
        // Of an image that is gone through in steps, the pixels between count too.
        let stays = |count: i64| self.turned / rows * count <= self.second_cache / 2;
        let worth = |count: i64| count * columns * self.samples >= ROUNDS;
        let mut counts = (1..rows).rev().filter(|count| rows % count == 0);
        let count = counts.find(|&count| stays(count))?;
        worth(count).then_some(count * columns)
    }

    /// Cycles that each vector multiply-add waits for the other operand where each tile of vectors has it come again from
    /// behind the second cache. What the turned operand waits for, where that is gone through for each tile, is not counted.
    pub(super) fn cycles(&self, factors: &[usize]) -> f64 {
        let once = self.by_other(factors) || factors[self.axis] as i64 >= self.vectors;
        if once || self.is_near(self.other) {
            return 0.0;
        }
        let serves = self.uses * (factors[self.axis] as i64 * self.registers) as f64;
        self.element as f64 / BEHIND / serves.max(1.0)
    }

    /// Whether an operand of so many bytes stays in the second cache beside the other's share.
    fn is_near(&self, bytes: i64) -> bool {
        bytes < self.second_cache / 4 * 3
    }
}

/// Rows and columns of the image that a contraction sums over beside the samples, where it does.
fn image(cx: &Context<'_>, anchor: NodeId, contraction: &Contraction) -> Option<(i64, i64)> {
    let inputs = &cx.graph.nodes[anchor].inputs;
    let ContractionLanes::Across(lane) = cx.lanes.contraction(contraction, inputs) else {
        return None;
    };
    let others = contraction.reduced.iter().enumerate();
    let others = others.filter(|&(variable, _)| variable != lane);
    let others: Option<Vec<i64>> = others.map(|(_, dim)| dim.known()).collect();
    match others?[..] {
        [rows, columns] => Some((rows, columns)),
        _ => None,
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
            registers: 1,
            column: 64 * 16 * 64,
            samples: 16,
            image: Some((8, 8)),
            plain: false,
            turned: 256 * 64 * 16 * 4,
            other: 128 * 256 * 16 * 4,
            read: 128 * 256 * 16 * 4,
            element: 4,
            second_cache: 2 << 20,
            uses: 2.25,
        }
    }

    /// 1 x 1 of stride 2, 64 channels to 128 on 16 x 16 pixels, which reads a quarter of the image, with vectors of two
    /// registers.
    fn skip() -> Passes {
        Passes {
            vectors: 8,
            registers: 2,
            column: 256 * 16 * 32,
            image: Some((16, 16)),
            plain: true,
            turned: 128 * 256 * 16 * 4,
            other: 64 * 1024 * 16 * 4,
            read: 64 * 256 * 16 * 4,
            second_cache: 512 << 10,
            uses: 0.25,
            ..strided()
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

    #[test]
    fn registers_of_a_vector_share_what_comes_again() {
        let pairs = Passes {
            registers: 2,
            ..strided()
        };
        let (one, two) = (strided().cycles(&[2, 3, 1, 3]), pairs.cycles(&[2, 3, 1, 3]));
        assert!((two - one / 2.0).abs() < 1e-9, "{one} {two}");
    }

    #[test]
    fn what_is_far_on_both_sides_is_summed_in_parts_whose_vectors_stay_near() {
        let passes = skip();
        assert!(passes.by_other(&[1, 5]));
        assert_eq!(passes.cycles(&[1, 5]), 0.0);
        // Of 2 MB an eighth: two rows.
        assert_eq!(passes.pixels_together(), Some(32));
        // Of half as many channels twice the rows.
        let narrow = Passes {
            turned: passes.turned / 2,
            ..skip()
        };
        assert_eq!(narrow.pixels_together(), Some(64));
        // Rows that two do not divide are summed one by one.
        let odd = Passes {
            image: Some((15, 32)),
            ..skip()
        };
        assert_eq!(odd.pixels_together(), Some(32));
    }

    #[test]
    fn what_stays_near_or_has_no_such_rows_is_summed_together() {
        let large_cache = Passes {
            second_cache: 4 << 20,
            ..skip()
        };
        let read_is_near = Passes {
            read: 16 * 256 * 16 * 4,
            ..skip()
        };
        let window = Passes {
            plain: false,
            ..skip()
        };
        let sequence = Passes {
            image: None,
            ..skip()
        };
        let one_row = Passes {
            image: Some((1, 256)),
            ..skip()
        };
        // The vectors of a row do not stay, and of what does, a part's end is not worth it.
        let wide = Passes {
            turned: 4 * skip().turned,
            ..skip()
        };
        let few_rounds = Passes {
            image: Some((8, 8)),
            turned: skip().turned / 2,
            ..skip()
        };
        for passes in [
            large_cache,
            read_is_near,
            window,
            sequence,
            one_row,
            wide,
            few_rounds,
        ] {
            assert_eq!(passes.pixels_together(), None, "{passes:?}");
        }
    }
}
