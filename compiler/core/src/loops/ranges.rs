//! The values that indices may take.

use cranelift_entity::SecondaryMap;

use super::{Instruction, IntOp, Kernel, Statement, Value};

/// The values an `Index` may take, both ends included; `None` is unbounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub min: Option<i64>,
    /// The greatest.
    pub max: Option<i64>,
}

impl Range {
    /// From `min` to `max`, both included.
    pub fn new(min: i64, max: i64) -> Range {
        Range {
            min: Some(min),
            max: Some(max),
        }
    }

    /// From `min` on.
    pub fn at_least(min: i64) -> Range {
        Range {
            min: Some(min),
            max: None,
        }
    }

    /// The only value, if there is only one.
    pub fn exact(self) -> Option<i64> {
        if self.min == self.max { self.min } else { None }
    }

    pub(super) fn add(self, other: Range) -> Range {
        let sum = |a: Option<i64>, b: Option<i64>| a.zip(b).and_then(|(a, b)| a.checked_add(b));
        Range {
            min: sum(self.min, other.min),
            max: sum(self.max, other.max),
        }
    }

    /// What both ranges hold.
    pub(super) fn within(self, other: Range) -> Range {
        Range {
            min: least(self.min.map(|a| -a), other.min.map(|b| -b)).map(|end| -end),
            max: least(self.max, other.max),
        }
    }

    pub(super) fn scale(self, factor: i64) -> Range {
        let times = |end: Option<i64>| end.and_then(|end| end.checked_mul(factor));
        let (a, b) = (times(self.min), times(self.max));
        let (min, max) = if factor < 0 { (b, a) } else { (a, b) };
        Range { min, max }
    }

    pub(super) fn map(self, function: impl Fn(i64) -> i64) -> Range {
        Range {
            min: self.min.map(&function),
            max: self.max.map(&function),
        }
    }

    /// Of an operation whose operands are in these ranges.
    pub(super) fn of_int(op: IntOp, a: Range, b: Range) -> Range {
        let by_divisor =
            |of: fn(Range, i64) -> Range| b.exact().map_or(Range::default(), |by| of(a, by));
        match op {
            IntOp::Add => a.add(b),
            IntOp::Sub => a.add(b.scale(-1)),
            IntOp::Mul => match (a.exact(), b.exact()) {
                (_, Some(factor)) => a.scale(factor),
                (Some(factor), _) => b.scale(factor),
                _ => Range::default(),
            },
            IntOp::DivFloor => by_divisor(|a, by| a.map(|end| end.div_euclid(by))),
            IntOp::ModFloor => by_divisor(|_, by| Range::new(0, by - 1)),
            IntOp::Min => Range {
                min: a.min.zip(b.min).map(|(a, b)| a.min(b)),
                max: least(a.max, b.max),
            },
            IntOp::Max => Range {
                min: least(a.min.map(|a| -a), b.min.map(|b| -b)).map(|end| -end),
                max: a.max.zip(b.max).map(|(a, b)| a.max(b)),
            },
            IntOp::Less | IntOp::LessEqual | IntOp::Equal | IntOp::And => Range::new(0, 1),
        }
    }
}

fn least(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// The ranges of a kernel's indices.
pub(super) struct Ranges {
    of: SecondaryMap<Value, Range>,
}

impl Ranges {
    /// What follows from constants, what is known of the scalars and the bounds of loops, for all rounds together.
    pub(super) fn of(kernel: &Kernel, scalars: &[Range]) -> Ranges {
        let mut ranges = Ranges {
            of: SecondaryMap::new(),
        };
        for ((value, _), &known) in kernel.scalars.iter().zip(scalars) {
            ranges.of[*value] = known;
        }
        kernel
            .body
            .for_each_statement(&mut |statement| match statement {
                Statement::Define(value, Instruction::IndexConst(constant)) => {
                    ranges.of[*value] = Range::new(*constant, *constant);
                }
                Statement::Define(value, Instruction::Int(op, a, b)) => {
                    ranges.of[*value] = Range::of_int(*op, ranges.of[*a], ranges.of[*b]);
                }
                Statement::Loop(own) => {
                    let last = ranges.of[own.end].max.and_then(|end| end.checked_sub(1));
                    ranges.of[own.variable] = Range {
                        min: ranges.of[own.begin].min,
                        max: last,
                    };
                }
                Statement::Define(..)
                | Statement::Store { .. }
                | Statement::Prefetch(_)
                | Statement::If(_) => {}
            });
        ranges
    }

    /// What an index is at most in a round of the loop with this counter, which counts from 0 on.
    pub(super) fn most(&self, kernel: &Kernel, row: Value) -> Most {
        let mut most = Most {
            of: SecondaryMap::new(),
        };
        for (value, _) in &kernel.values {
            let at_most = self.of[value].max;
            most.of[value] = at_most.map(|most| (0, most));
        }
        kernel
            .body
            .for_each_statement(&mut |statement| match statement {
                Statement::Define(value, Instruction::Int(op, a, b)) => {
                    let (of_a, b) = (most.of[*a], (*b, most.of[*b]));
                    most.of[*value] = Most::of_int(*op, of_a, b, self).or(most.of[*value]);
                }
                Statement::Loop(own) if own.variable == row => most.of[row] = Some((1, 0)),
                Statement::Loop(own) => {
                    most.of[own.variable] =
                        most.of[own.end].map(|(by_row, most)| (by_row, most - 1));
                }
                Statement::Define(..)
                | Statement::Store { .. }
                | Statement::Prefetch(_)
                | Statement::If(_) => {}
            });
        most
    }

    /// Of one index.
    pub(super) fn value(&self, value: Value) -> Range {
        self.of[value]
    }

    /// Of a sum.
    pub(super) fn sum(&self, terms: &[(Value, i64)], offset: i64) -> Range {
        let start = Range::new(offset, offset);
        let terms = terms.iter();
        terms.fold(start, |sum, &(value, factor)| {
            sum.add(self.of[value].scale(factor))
        })
    }
}

/// Upper bounds of indices in a row: `(by_row, most)` is at most `by_row * row + most`.
pub(super) struct Most {
    of: SecondaryMap<Value, Option<(i64, i64)>>,
}

impl Most {
    fn of_int(
        op: IntOp,
        of_a: Option<(i64, i64)>,
        (b, of_b): (Value, Option<(i64, i64)>),
        ranges: &Ranges,
    ) -> Option<(i64, i64)> {
        match (op, of_a, of_b) {
            (IntOp::Add, Some(a), Some(b)) => Some((a.0 + b.0, a.1.checked_add(b.1)?)),
            (IntOp::Mul, Some(of_a), _) => {
                let factor = ranges.of[b].exact().filter(|&factor| factor > 0)?;
                Some((of_a.0.checked_mul(factor)?, of_a.1.checked_mul(factor)?))
            }
            // Of two bounds, the one that follows the row.
            (IntOp::Min, Some(a), Some(b)) => Some(match (a.0, b.0) {
                (0, 0) => a.min(b),
                (0, _) => b,
                _ => a,
            }),
            (IntOp::Min, one, other) => one.or(other),
            (IntOp::Max, Some(a), Some(b)) => Some((a.0.max(b.0), a.1.max(b.1))),
            _ => None,
        }
    }

    /// Of a sum.
    pub(super) fn sum(
        &self,
        terms: &[(Value, i64)],
        offset: i64,
        ranges: &Ranges,
    ) -> Option<(i64, i64)> {
        terms
            .iter()
            .try_fold((0, offset), |sum: (i64, i64), &(value, factor)| {
                let (by_row, most) = match factor > 0 {
                    true => self.of[value]?,
                    false => (0, ranges.of[value].min?),
                };
                let by_row = sum.0.checked_add(by_row.checked_mul(factor)?)?;
                Some((by_row, sum.1.checked_add(most.checked_mul(factor)?)?))
            })
    }
}
