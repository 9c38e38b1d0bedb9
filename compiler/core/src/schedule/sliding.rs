//! Weight gradients of windows: an element of the image serves tap after tap as the sum goes along its row.
//!
//! The samples of a block are summed one by one. With several taps of a window's row in a tile, a few pixels of the row
//! are written out within the loop over samples: what a pixel reads for one tap, the next reads for the tap before, and
//! it stays in its register.

use super::outer::Outer;
use super::target::Target;
use crate::graph::{AxisIndex, Contraction};

/// How an operand's elements go from tap to tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sliding {
    /// The operand.
    pub operand: usize,
    /// The output's axis of the taps.
    pub taps: usize,
    /// The variable of the pixels, among the reduced ones.
    pub pixels: usize,
    /// Elements from one pixel to the next.
    pub stride: usize,
}

impl Sliding {
    /// Elements that a body of so many pixels reads for so many taps.
    pub fn elements(&self, taps: usize, pixels: usize) -> usize {
        taps + (pixels - 1) * self.stride.min(taps)
    }
}

/// The row along which the operand that is not turned slides: one of its axes is read at `tap + stride * pixel`, its
/// taps further apart than its pixels.
pub fn sliding(contraction: &Contraction, outer: Outer) -> Option<Sliding> {
    let operand = 1 - outer.operand;
    let mut rows = contraction.operands[operand].iter().filter_map(|axis| {
        let (taps, pixels, stride) = tap_and_pixel(contraction, axis)?;
        contraction.reduced[pixels].known()?;
        let several = contraction.shape[taps].known()? > stride;
        several.then_some(Sliding {
            operand,
            taps,
            pixels,
            stride: stride as usize,
        })
    });
    rows.next_back()
}

/// Pixels that one body sums with so many accumulators. Three divide what 3 x 3 windows leave between the ends of rows of
/// 8 and 32 pixels.
pub fn pixels(target: &Target, accumulators: usize) -> usize {
    (target.unrolled_body / accumulators.max(1)).clamp(1, 3)
}

fn tap_and_pixel(contraction: &Contraction, axis: &AxisIndex) -> Option<(usize, usize, i64)> {
    let rank = contraction.shape.len();
    match *axis.terms.as_slice() {
        [(tap, 1), (pixel, stride)] if axis.divisor == 1 && tap < rank && pixel >= rank => {
            (stride > 0).then_some((tap, pixel - rank, stride))
        }
        _ => None,
    }
}
