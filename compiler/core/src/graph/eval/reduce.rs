//! Reductions by definition.

use super::Tensor;
use super::tensor::each_index;
use crate::graph::ReduceOp;

pub(super) fn reduce(op: ReduceOp, axes: &[usize], a: &Tensor, shape: &[i64]) -> Tensor {
    let extents: Vec<i64> = axes.iter().map(|&axis| a.shape[axis]).collect();
    Tensor::from_fn(shape, |outer| {
        let mut elements = Vec::new();
        each_index(&extents, |inner| {
            let mut rest = outer.iter();
            let index =
                (0..a.shape.len()).map(|axis| match axes.iter().position(|&own| own == axis) {
                    Some(number) => inner[number],
                    None => rest.next().copied().unwrap_or(0),
                });
            elements.push(a.at(&index.collect::<Vec<i64>>()));
        });
        combine(op, &elements)
    })
}

fn combine(op: ReduceOp, elements: &[f64]) -> f64 {
    let greatest = |elements: &mut dyn Iterator<Item = f64>| {
        let mut best = (f64::NEG_INFINITY, 0);
        for (place, element) in elements.enumerate() {
            if element > best.0 {
                best = (element, place);
            }
        }
        best
    };
    let nan = elements.iter().any(|element| element.is_nan());
    match op {
        ReduceOp::Sum => elements.iter().sum(),
        ReduceOp::Prod => elements.iter().product(),
        ReduceOp::Max | ReduceOp::Min if nan => f64::NAN,
        ReduceOp::Max => greatest(&mut elements.iter().copied()).0,
        ReduceOp::Min => -greatest(&mut elements.iter().map(|element| -element)).0,
        ReduceOp::ArgMax => greatest(&mut elements.iter().copied()).1 as f64,
        ReduceOp::ArgMin => greatest(&mut elements.iter().map(|element| -element)).1 as f64,
    }
}

pub(super) fn cumulative_sum(axis: usize, reverse: bool, a: &Tensor) -> Tensor {
    Tensor::from_fn(&a.shape, |index| {
        let mut place = index.to_vec();
        let range = if reverse {
            index[axis]..a.shape[axis]
        } else {
            0..index[axis] + 1
        };
        range
            .map(|position| {
                place[axis] = position;
                a.at(&place)
            })
            .sum()
    })
}
