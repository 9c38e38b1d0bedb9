//! Plain tensors to the bytes of a buffer, and back.

use crate::graph::eval::{Tensor, round_bf16};
use crate::loops::Element;
use crate::plan::{Layout, PlanBuffer};

/// Writes a value, zeros around it. `memory` is the buffer's whole stretch.
pub(super) fn pack(buffer: &PlanBuffer, value: &Tensor, memory: &mut [u8]) {
    memory.fill(0);
    for (number, &element) in value.data.iter().enumerate() {
        let at = place(buffer, &value.shape, number) * buffer.element.bytes();
        match buffer.element {
            Element::F32 => memory[at..at + 4].copy_from_slice(&(element as f32).to_ne_bytes()),
            Element::I32 => memory[at..at + 4].copy_from_slice(&(element as i32).to_ne_bytes()),
            Element::U8 => memory[at] = element as u8,
            Element::Bf16 => {
                let upper = (round_bf16(element as f32).to_bits() >> 16) as u16;
                memory[at..at + 2].copy_from_slice(&upper.to_ne_bytes());
            }
            Element::Bool => memory[at] = u8::from(element != 0.0),
        }
    }
}

/// Reads the value of that shape.
pub(super) fn unpack(buffer: &PlanBuffer, shape: &[i64], memory: &[u8]) -> Tensor {
    let word = |at: usize| {
        let mut word = [0; 4];
        word.copy_from_slice(&memory[at..at + 4]);
        word
    };
    let element = |number: usize| {
        let at = place(buffer, shape, number) * buffer.element.bytes();
        match buffer.element {
            Element::F32 => f64::from(f32::from_ne_bytes(word(at))),
            Element::I32 => f64::from(i32::from_ne_bytes(word(at))),
            Element::Bf16 => {
                let upper = u16::from_ne_bytes([memory[at], memory[at + 1]]);
                f64::from(f32::from_bits(u32::from(upper) << 16))
            }
            Element::U8 | Element::Bool => f64::from(memory[at]),
        }
    };
    let count: i64 = shape.iter().product();
    Tensor::new(shape, (0..count as usize).map(element).collect())
}

/// Where, in elements, the value's element of that row-major number lies.
fn place(buffer: &PlanBuffer, shape: &[i64], number: usize) -> usize {
    let Layout::Lanes { axis, lanes } = buffer.layout else {
        return number;
    };
    let cut = shape[axis] as usize;
    let after: usize = shape[axis + 1..]
        .iter()
        .map(|&extent| extent as usize)
        .product();
    let inner: usize = shape
        .iter()
        .map(|&extent| extent as usize)
        .product::<usize>()
        / cut;
    let (before, position, behind) = (number / after / cut, number / after % cut, number % after);
    let rest = before * after + behind;
    (position / lanes * inner + rest) * lanes + position % lanes
}
