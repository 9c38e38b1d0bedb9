//! Counter-based random values: Threefry-2x32-20 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
//! 1, 2, 3", 2011).

use super::super::error::ensure;
use super::super::eval::{Evaluation, Tensor};
use super::super::{DType, Dim, RandomOp, TensorType, TypeError};

/// In the order of [`RandomOp`].
pub(super) const NAMES: [&str; 2] = ["random_uniform", "random_normal"];

impl RandomOp {
    /// Its name in text.
    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// The operation of that name.
    pub fn from_name(name: &str) -> Option<RandomOp> {
        [RandomOp::Uniform, RandomOp::Normal]
            .into_iter()
            .find(|op| op.name() == name)
    }
}

pub(super) fn infer(shape: &[Dim], inputs: &[&TensorType]) -> Result<TensorType, TypeError> {
    let integer = TensorType::scalar(DType::I32);
    ensure(inputs.iter().all(|input| **input == integer), || {
        format!(
            "random values take i32 scalars for seed and step, not {} and {}",
            inputs[0], inputs[1]
        )
    })?;
    Ok(TensorType::new(DType::F32, shape))
}

/// Threefry-2x32 with 20 rounds.
pub fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
    const PARITY: u32 = 0x1BD1_1BDA;
    let keys = [key[0], key[1], key[0] ^ key[1] ^ PARITY];
    let [mut a, mut b] = counter;
    a = a.wrapping_add(keys[0]);
    b = b.wrapping_add(keys[1]);
    for group in 0..5usize {
        for rotation in ROTATIONS[group % 2] {
            a = a.wrapping_add(b);
            b = b.rotate_left(rotation) ^ a;
        }
        a = a.wrapping_add(keys[(group + 1) % 3]);
        b = b
            .wrapping_add(keys[(group + 2) % 3])
            .wrapping_add(group as u32 + 1);
    }
    [a, b]
}

/// The upper 24 bits and an addend, as a fraction of 1.
fn fraction(word: u32, add: u32) -> f64 {
    f64::from((word >> 8) + add) / f64::from(1 << 24)
}

pub(super) fn evaluate(op: RandomOp, place: u32, at: &Evaluation<'_>) -> Tensor {
    let [seed, step] = [0, 1].map(|operand| at.operands[operand].data[0] as i64 as u32);
    let mut number = 0u32;
    Tensor::from_fn(at.shape, |_| {
        let words = threefry([seed, place], [number, step]);
        number = number.wrapping_add(1);
        match op {
            RandomOp::Uniform => fraction(words[0], 0),
            RandomOp::Normal => {
                let radius = (-2.0 * fraction(words[0], 1).ln()).sqrt();
                radius * (std::f64::consts::TAU * fraction(words[1], 0)).cos()
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::threefry;

    /// The known answers published with Random123 (`kat_vectors`, threefry2x32 20).
    #[test]
    fn published_vectors() {
        let ones = u32::MAX;
        assert_eq!(threefry([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(
            threefry([ones, ones], [ones, ones]),
            [0x1cb9_96fc, 0xbb00_2be7]
        );
        assert_eq!(
            threefry([0x1319_8a2e, 0x0370_7344], [0x243f_6a88, 0x85a3_08d3]),
            [0xc492_3a9c, 0x483d_f7a0]
        );
    }
}
