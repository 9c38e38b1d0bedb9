//! Tensors of the slow evaluator.

use crate::graph::AxisIndex;

/// A tensor in row-major order. Integers and truth values are whole numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The extents.
    pub shape: Vec<i64>,
    /// The elements.
    pub data: Vec<f64>,
}

impl Tensor {
    /// A tensor of given elements.
    pub fn new(shape: &[i64], data: Vec<f64>) -> Tensor {
        Tensor {
            shape: shape.to_vec(),
            data,
        }
    }

    /// A scalar.
    pub fn scalar(value: f64) -> Tensor {
        Tensor {
            shape: Vec::new(),
            data: vec![value],
        }
    }

    /// Each element from its index.
    pub fn from_fn(shape: &[i64], mut element: impl FnMut(&[i64]) -> f64) -> Tensor {
        let mut data = Vec::with_capacity(shape.iter().product::<i64>().max(0) as usize);
        each_index(shape, |index| data.push(element(index)));
        Tensor {
            shape: shape.to_vec(),
            data,
        }
    }

    /// The element at an index.
    pub fn at(&self, index: &[i64]) -> f64 {
        self.data[self.place(index)]
    }

    /// The element at an index, to be changed.
    pub fn at_mut(&mut self, index: &[i64]) -> &mut f64 {
        let place = self.place(index);
        &mut self.data[place]
    }

    /// The element that an affine index names, or `None` where a position is invalid.
    pub fn indexed(&self, axes: &[AxisIndex], variables: &[i64]) -> Option<f64> {
        let mut place = 0;
        for (axis, &extent) in axes.iter().zip(&self.shape) {
            let position = axis
                .at(variables)
                .filter(|position| (0..extent).contains(position))?;
            place = place * extent + position;
        }
        Some(self.data[place as usize])
    }

    fn place(&self, index: &[i64]) -> usize {
        index
            .iter()
            .zip(&self.shape)
            .fold(0, |place, (&position, &extent)| place * extent + position) as usize
    }
}

/// Visits every index of a shape in row-major order; a scalar has one, the empty index.
pub fn each_index(shape: &[i64], mut visit: impl FnMut(&[i64])) {
    if shape.iter().any(|&extent| extent <= 0) {
        return;
    }
    let mut index = vec![0; shape.len()];
    loop {
        visit(&index);
        let Some(axis) = (0..shape.len())
            .rev()
            .find(|&axis| index[axis] + 1 < shape[axis])
        else {
            return;
        };
        index[axis] += 1;
        index[axis + 1..].fill(0);
    }
}
