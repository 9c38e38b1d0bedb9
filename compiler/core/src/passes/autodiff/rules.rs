//! The derivative of each operation: from the cotangent of its result to those of its inputs.

use super::contract;
use crate::graph::{
    BinaryOp, DType, Dim, Graph, NodeId, Op, ReduceOp, Scalar, TypeError, UnaryOp, View,
};
use cranelift_entity::SecondaryMap;
use dlm_grammar::Span;

type Parts = Vec<(NodeId, NodeId)>;

/// For each input of `id` on the path, its part of the cotangent.
///
/// # Errors
/// Where a rule does not type, or there is none.
pub fn cotangents(
    graph: &mut Graph,
    id: NodeId,
    c: NodeId,
    path: &SecondaryMap<NodeId, bool>,
) -> Result<Parts, TypeError> {
    let node = graph.nodes[id].clone();
    let mut rule = Rule {
        graph,
        span: node.span,
        id,
        c,
    };
    let mut parts = Parts::new();
    for (number, &input) in node.inputs.iter().enumerate() {
        if path[input] {
            parts.push((input, rule.part(&node.op, &node.inputs, number)?));
        }
    }
    Ok(parts)
}

struct Rule<'g> {
    graph: &'g mut Graph,
    span: Span,
    /// The node that is differentiated: its result.
    id: NodeId,
    /// The cotangent of the result.
    c: NodeId,
}

type Made = Result<NodeId, TypeError>;

impl Rule<'_> {
    fn part(&mut self, op: &Op, inputs: &[NodeId], number: usize) -> Made {
        match op {
            Op::Unary(op) => self.unary(*op, inputs[0]),
            Op::Binary(op) => self.binary(*op, inputs[0], inputs[1], number),
            Op::Select => self.select(inputs[0], number),
            Op::Cast(_) => {
                let to = self.graph.ty(inputs[0]).dtype;
                self.graph.cast(self.c, to, self.span)
            }
            Op::Reduce { op, axes } => self.reduce(*op, axes, inputs[0]),
            Op::Contract(contraction) => contract::operand_gradient(
                self.graph,
                contraction,
                inputs,
                number,
                self.c,
                self.span,
            ),
            Op::View(view) => self.view(view, inputs[0]),
            Op::Reshape { .. } => {
                let shape = self.graph.shape(inputs[0]).to_vec();
                self.graph.reshape(self.c, &shape, self.span)
            }
            Op::Concat { axis } => self.concat(*axis, inputs, number),
            Op::Gather => {
                let rows = self.graph.shape(inputs[0])[0];
                self.graph
                    .add(Op::ScatterAdd { rows }, &[inputs[1], self.c], self.span)
            }
            Op::ScatterAdd { .. } => self.graph.gather(self.c, inputs[0], self.span),
            Op::CumulativeSum { axis, reverse } => {
                let op = Op::CumulativeSum {
                    axis: *axis,
                    reverse: !reverse,
                };
                self.graph.add(op, &[self.c], self.span)
            }
            Op::StopGradient
            | Op::Gradient
            | Op::Input { .. }
            | Op::Constant(_)
            | Op::Iota { .. }
            | Op::BatchSize
            | Op::Random { .. } => Err(TypeError("this operation has no gradient".into())),
        }
    }

    fn number(&mut self, value: f64) -> Made {
        self.graph.number(value, DType::F32, self.span)
    }

    fn apply(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> Made {
        self.graph.binary(op, a, b, self.span)
    }

    fn times(&mut self, a: NodeId, b: NodeId) -> Made {
        self.apply(BinaryOp::Mul, a, b)
    }

    fn function(&mut self, op: UnaryOp, a: NodeId) -> Made {
        self.graph.unary(op, a, self.span)
    }

    /// `c` where the condition holds, else zero.
    fn only_where(&mut self, condition: NodeId) -> Made {
        let zero = self.number(0.0)?;
        self.graph.select(condition, self.c, zero, self.span)
    }

    fn unary(&mut self, op: UnaryOp, x: NodeId) -> Made {
        let (c, y) = (self.c, self.id);
        match op {
            UnaryOp::Neg => self.function(UnaryOp::Neg, c),
            UnaryOp::Abs => {
                let sign = self.function(UnaryOp::Sign, x)?;
                self.times(c, sign)
            }
            UnaryOp::Exp => self.times(c, y),
            UnaryOp::Log => self.apply(BinaryOp::Div, c, x),
            UnaryOp::Sqrt => {
                let two = self.number(2.0)?;
                let double = self.times(two, y)?;
                self.apply(BinaryOp::Div, c, double)
            }
            UnaryOp::Rsqrt => {
                // d x^(-1/2) = -1/2 y / x
                let half = self.number(-0.5)?;
                let scaled = self.times(y, half)?;
                let slope = self.apply(BinaryOp::Div, scaled, x)?;
                self.times(c, slope)
            }
            UnaryOp::Sin => {
                let cos = self.function(UnaryOp::Cos, x)?;
                self.times(c, cos)
            }
            UnaryOp::Cos => {
                let sin = self.function(UnaryOp::Sin, x)?;
                let minus = self.function(UnaryOp::Neg, sin)?;
                self.times(c, minus)
            }
            UnaryOp::Tanh => {
                let one = self.number(1.0)?;
                let square = self.times(y, y)?;
                let slope = self.apply(BinaryOp::Sub, one, square)?;
                self.times(c, slope)
            }
            UnaryOp::Erf => {
                // 2 / sqrt(pi) * exp(-x^2)
                let square = self.times(x, x)?;
                let minus = self.function(UnaryOp::Neg, square)?;
                let bell = self.function(UnaryOp::Exp, minus)?;
                let factor = self.number(std::f64::consts::FRAC_2_SQRT_PI)?;
                let slope = self.times(bell, factor)?;
                self.times(c, slope)
            }
            UnaryOp::Sign | UnaryOp::Floor | UnaryOp::Ceil | UnaryOp::Round | UnaryOp::Not => {
                let zero = self.number(0.0)?;
                let shape = self.graph.shape(x).to_vec();
                self.graph.broadcast_to(zero, &shape, self.span)
            }
        }
    }

    fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId, number: usize) -> Made {
        let c = self.c;
        match (op, number) {
            (BinaryOp::Add, _) | (BinaryOp::Sub, 0) | (BinaryOp::Rem, 0) => Ok(c),
            (BinaryOp::Sub, _) => self.function(UnaryOp::Neg, c),
            (BinaryOp::Mul, 0) => self.times(c, b),
            (BinaryOp::Mul, _) => self.times(c, a),
            (BinaryOp::Div, 0) => self.apply(BinaryOp::Div, c, b),
            (BinaryOp::Div, _) => {
                // -c * y / b
                let slope = self.apply(BinaryOp::Div, self.id, b)?;
                let product = self.times(c, slope)?;
                self.function(UnaryOp::Neg, product)
            }
            (BinaryOp::Rem, _) => {
                let quotient = self.apply(BinaryOp::Div, a, b)?;
                let floor = self.function(UnaryOp::Floor, quotient)?;
                let product = self.times(c, floor)?;
                self.function(UnaryOp::Neg, product)
            }
            (BinaryOp::Pow, 0) => self.power_base(a, b),
            (BinaryOp::Pow, _) => self.power_exponent(a, b),
            (BinaryOp::Max, _) => self.extremum(BinaryOp::Gt, a, b, number),
            (BinaryOp::Min, _) => self.extremum(BinaryOp::Lt, a, b, number),
            _ => Err(TypeError("comparisons have no gradient".into())),
        }
    }

    /// c * b * a^(b-1), zero where b is zero.
    fn power_base(&mut self, a: NodeId, b: NodeId) -> Made {
        let [zero, one] = [0.0, 1.0].map(|value| self.number(value));
        let less = self.apply(BinaryOp::Sub, b, one?)?;
        let power = self.apply(BinaryOp::Pow, a, less)?;
        let slope = self.times(b, power)?;
        let product = self.times(self.c, slope)?;
        let zero = zero?;
        let constant = self.apply(BinaryOp::Eq, b, zero)?;
        self.graph.select(constant, zero, product, self.span)
    }

    /// c * y * log(a), zero where a is zero and b is not negative.
    fn power_exponent(&mut self, a: NodeId, b: NodeId) -> Made {
        let zero = self.number(0.0)?;
        let log = self.function(UnaryOp::Log, a)?;
        let slope = self.times(self.id, log)?;
        let product = self.times(self.c, slope)?;
        let at_zero = self.apply(BinaryOp::Eq, a, zero)?;
        let upward = self.apply(BinaryOp::Ge, b, zero)?;
        let flat = self.apply(BinaryOp::And, at_zero, upward)?;
        self.graph.select(flat, zero, product, self.span)
    }

    /// The cotangent goes to the operand that was chosen, half of it to each where they are equal. Against a constant
    /// (relu) the result tells, so that the operand need not be kept, and a tie gives nothing.
    fn extremum(&mut self, better: BinaryOp, a: NodeId, b: NodeId, number: usize) -> Made {
        let (own, other) = if number == 0 { (a, b) } else { (b, a) };
        if self.is_constant(other) {
            let chosen = self.apply(better, self.id, other)?;
            return self.only_where(chosen);
        }
        let wins = self.apply(better, own, other)?;
        let ties = self.apply(BinaryOp::Eq, own, other)?;
        let half = self.number(0.5)?;
        let shared = self.times(self.c, half)?;
        let zero = self.number(0.0)?;
        let rest = self.graph.select(ties, shared, zero, self.span)?;
        self.graph.select(wins, self.c, rest, self.span)
    }

    fn is_constant(&self, mut node: NodeId) -> bool {
        loop {
            match self.graph.nodes[node].op {
                Op::Constant(_) => return true,
                Op::View(_) | Op::Reshape { .. } | Op::StopGradient => {
                    node = self.graph.nodes[node].inputs[0]
                }
                _ => return false,
            }
        }
    }

    fn select(&mut self, condition: NodeId, number: usize) -> Made {
        if number == 1 {
            return self.only_where(condition);
        }
        let zero = self.number(0.0)?;
        self.graph.select(condition, zero, self.c, self.span)
    }

    fn reduce(&mut self, op: ReduceOp, axes: &[usize], x: NodeId) -> Made {
        let shape = self.graph.shape(x).to_vec();
        let wide = self.graph.restore_axes(self.c, &shape, axes, self.span)?;
        match op {
            ReduceOp::Sum => Ok(wide),
            ReduceOp::Max | ReduceOp::Min => self.first_best(op, axes, x, &shape, wide),
            ReduceOp::Prod => self.product(axes, x, &shape, wide),
            ReduceOp::ArgMax | ReduceOp::ArgMin => {
                Err(TypeError("positions have no gradient".into()))
            }
        }
    }

    /// All of it goes to the first maximum.
    fn first_best(
        &mut self,
        op: ReduceOp,
        axes: &[usize],
        x: NodeId,
        shape: &[Dim],
        wide: NodeId,
    ) -> Made {
        let find = if op == ReduceOp::Max {
            ReduceOp::ArgMax
        } else {
            ReduceOp::ArgMin
        };
        let best = self.graph.reduce(find, x, axes, self.span)?;
        let best = self.graph.restore_axes(best, shape, axes, self.span)?;
        let place = self.place_among(axes, shape)?;
        let here = self.apply(BinaryOp::Eq, place, best)?;
        let zero = self.number(0.0)?;
        self.graph.select(here, wide, zero, self.span)
    }

    /// The row-major position among `axes`.
    fn place_among(&mut self, axes: &[usize], shape: &[Dim]) -> Made {
        let mut place: Option<NodeId> = None;
        for &axis in axes {
            let own = self.graph.iota(shape, axis, self.span)?;
            place = Some(match place {
                None => own,
                Some(outer) => {
                    let extent = shape[axis]
                        .known()
                        .ok_or_else(|| TypeError("a maximum over the batch and more".into()))?;
                    let extent = self.graph.constant(Scalar::I32(extent as i32), self.span)?;
                    let scaled = self.apply(BinaryOp::Mul, outer, extent)?;
                    self.apply(BinaryOp::Add, scaled, own)?
                }
            });
        }
        place.ok_or_else(|| TypeError("a maximum over no axis".into()))
    }

    /// The product of the others: that of the non-zero elements, and only where no other is zero.
    fn product(&mut self, axes: &[usize], x: NodeId, shape: &[Dim], wide: NodeId) -> Made {
        let [zero, one] = [0.0, 1.0].map(|value| self.number(value));
        let (zero, one) = (zero?, one?);
        let is_zero = self.apply(BinaryOp::Eq, x, zero)?;
        let safe = self.graph.select(is_zero, one, x, self.span)?;
        let product = self.graph.reduce(ReduceOp::Prod, safe, axes, self.span)?;
        let product = self.graph.restore_axes(product, shape, axes, self.span)?;
        let others = self.apply(BinaryOp::Div, product, safe)?;
        let count = self.graph.cast(is_zero, DType::F32, self.span)?;
        let zeros = self.graph.reduce(ReduceOp::Sum, count, axes, self.span)?;
        let zeros = self.graph.restore_axes(zeros, shape, axes, self.span)?;
        let other_zeros = self.apply(BinaryOp::Sub, zeros, count)?;
        let free = self.apply(BinaryOp::Eq, other_zeros, zero)?;
        let slope = self.graph.select(free, others, zero, self.span)?;
        self.times(wide, slope)
    }

    fn view(&mut self, view: &View, x: NodeId) -> Made {
        contract::view_gradient(self.graph, view, x, self.c, self.span)
    }

    fn concat(&mut self, axis: usize, inputs: &[NodeId], number: usize) -> Made {
        let mut begin = 0;
        for &input in &inputs[..number] {
            let dim = self.graph.shape(input)[axis];
            begin += dim
                .known()
                .ok_or_else(|| TypeError("a gradient through a join along the batch".into()))?;
        }
        let shape = self.graph.shape(inputs[number]).to_vec();
        let axes: Vec<(i64, Dim, i64)> = shape
            .iter()
            .enumerate()
            .map(|(own, &dim)| (if own == axis { begin } else { 0 }, dim, 1))
            .collect();
        self.graph.slice(self.c, &axes, self.span)
    }
}
