//! Between plain tensors and the layouts of slots.

use crate::program::{Layout, Slot};

/// The axes around the one that a layout cuts.
struct Cut {
    outer: usize,
    size: usize,
    inner: usize,
    lanes: usize,
}

impl Cut {
    fn of(slot: &Slot, batch: u64) -> Option<Cut> {
        let Layout::Lanes { lanes, axis } = slot.layout else {
            return None;
        };
        let sizes = slot.sizes(batch);
        let (axis, product) = (axis as usize, |sizes: &[u64]| {
            sizes.iter().product::<u64>() as usize
        });
        let (outer, inner) = (product(&sizes[..axis]), product(&sizes[axis + 1..]));
        Some(Cut {
            outer,
            size: sizes[axis] as usize,
            inner,
            lanes: lanes as usize,
        })
    }

    /// Calls with (plain index, stored index) of every element.
    fn each(&self, mut visit: impl FnMut(usize, usize)) {
        for outer in 0..self.outer {
            for at in 0..self.size {
                let (block, lane) = (at / self.lanes, at % self.lanes);
                for inner in 0..self.inner {
                    let plain = (outer * self.size + at) * self.inner + inner;
                    let stored =
                        ((block * self.outer + outer) * self.inner + inner) * self.lanes + lane;
                    visit(plain, stored);
                }
            }
        }
    }
}

/// Puts a plain row-major value into a slot's layout; padding becomes zero.
///
/// # Panics
/// When `plain` does not have the slot's elements, or `stored` its stored bytes, for this batch.
pub fn pack(slot: &Slot, batch: u64, plain: &[u8], stored: &mut [u8]) {
    let size = slot.dtype.bytes() as usize;
    let Some(cut) = Cut::of(slot, batch) else {
        return stored.copy_from_slice(plain);
    };
    assert_eq!(
        plain.len(),
        cut.outer * cut.size * cut.inner * size,
        "the value of `{}`",
        slot.name
    );
    stored.fill(0);
    cut.each(|from, to| stored[to * size..][..size].copy_from_slice(&plain[from * size..][..size]));
}

/// Reads a slot's value as plain row-major bytes.
///
/// # Panics
/// When `stored` does not have the slot's stored bytes for this batch.
pub fn unpack(slot: &Slot, batch: u64, stored: &[u8]) -> Vec<u8> {
    let size = slot.dtype.bytes() as usize;
    let Some(cut) = Cut::of(slot, batch) else {
        return stored.to_vec();
    };
    let mut plain = vec![0; cut.outer * cut.size * cut.inner * size];
    cut.each(|to, from| plain[to * size..][..size].copy_from_slice(&stored[from * size..][..size]));
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Dimension, Space};
    use crate::tensor::DataType;
    use proptest::prelude::*;

    fn slot(shape: &[u64], layout: Layout) -> Slot {
        let shape = shape.iter().map(|size| Dimension::Fixed(*size)).collect();
        Slot {
            name: "x".to_string(),
            dtype: DataType::U8,
            shape,
            layout,
            space: Space::Arena,
            offset_bytes: 0,
        }
    }

    #[test]
    fn lanes_hold_samples() {
        let slot = slot(&[3, 2], Layout::Lanes { lanes: 2, axis: 0 });
        let mut stored = vec![9; 8];
        pack(&slot, 3, &[1, 2, 3, 4, 5, 6], &mut stored);
        assert_eq!(stored, [1, 3, 2, 4, 5, 0, 6, 0]);
    }

    proptest! {
        #[test]
        fn unpacking_undoes_packing(shape in prop::collection::vec(1u64..6, 1..4), lanes in 1u32..9, axis in 0usize..3) {
            let axis = (axis % shape.len()) as u32;
            let slot = slot(&shape, Layout::Lanes { lanes, axis });
            let plain: Vec<u8> = (1..=shape.iter().product::<u64>() as u8).collect();
            let mut stored = vec![0; slot.stored_bytes(1) as usize];
            pack(&slot, 1, &plain, &mut stored);
            prop_assert_eq!(unpack(&slot, 1, &stored), plain);
        }
    }
}
