//! Operators on values of which at least one is computed by the run.

use super::codes;
use super::context::Elaborator;
use super::diagnose::{Checked, Poison, error};
use super::numbers;
use super::recurrence::Counter;
use super::value::Value;
use crate::graph::{self, AxisIndex, BinaryOp, Contraction, DType, Dim, NodeId, UnaryOp};
use dlm_grammar::Span;
use dlm_grammar::ast;

impl Elaborator<'_> {
    /// `left op right`; `spans` are the operands', `span` the whole's.
    pub fn operate(
        &mut self,
        op: ast::BinaryOp,
        left: &Value,
        right: &Value,
        spans: [Span; 2],
        span: Span,
    ) -> Checked<Value> {
        self.at(span);
        if let Some(counted) = counted(op, left, right) {
            return Ok(counted);
        }
        if let (ast::BinaryOp::Add, Value::Growing(list), Value::List(more)) = (op, left, right) {
            return Ok(Value::Growing(list.with(more)));
        }
        if let Some(folded) = numbers::binary(op, left, right) {
            return self.folded(folded, span);
        }
        if let (ast::BinaryOp::Add, Value::List(_), Value::List(_)) = (op, left, right) {
            return Err(self.does_not_apply(op, left, right, span));
        }
        match op {
            ast::BinaryOp::MatMul => self.matrix_product(left, right, spans, span),
            ast::BinaryOp::Power => self.power(left, right, spans, span),
            _ => self.elementwise(op, left, right, spans, span),
        }
    }

    fn does_not_apply(&mut self, op: ast::BinaryOp, a: &Value, b: &Value, span: Span) -> Poison {
        let message = format!(
            "`{}` does not apply to {} and {}",
            op.symbol(),
            self.kind(a),
            self.kind(b)
        );
        self.report(error(codes::OPERAND, span, message))
    }

    fn elementwise(
        &mut self,
        op: ast::BinaryOp,
        left: &Value,
        right: &Value,
        spans: [Span; 2],
        span: Span,
    ) -> Checked<Value> {
        let numeric = |value: &Value| {
            matches!(
                value,
                Value::Tensor(_)
                    | Value::Int(_)
                    | Value::Ratio(..)
                    | Value::Float(_)
                    | Value::Bool(_)
                    | Value::Extent(_)
                    | Value::List(_)
                    | Value::Counter(_)
            )
        };
        if !numeric(left) || !numeric(right) {
            return Err(self.does_not_apply(op, left, right, span));
        }
        let (a, b) = self.aligned(left, right, spans)?;
        let dtype = self.emit().dtype(a);
        let logical = matches!(op, ast::BinaryOp::And | ast::BinaryOp::Or);
        let equality = matches!(op, ast::BinaryOp::Equal | ast::BinaryOp::NotEqual);
        if logical != (dtype == DType::Bool) && !equality {
            let message = match logical {
                true => format!("`{}` takes truth values, these are {dtype}", op.symbol()),
                false => format!("`{}` takes numbers, these are truth values", op.symbol()),
            };
            return Err(self.report(error(codes::OPERAND, span, message)));
        }
        if op == ast::BinaryOp::Divide && !dtype.is_float() {
            let message = format!("`/` of {dtype} tensors");
            return Err(self.report(
                error(codes::OPERAND, span, message)
                    .help("`f32(…)` converts; `%` is there for whole numbers"),
            ));
        }
        let Some(operation) = graph_operator(op) else {
            return Err(self.does_not_apply(op, left, right, span));
        };
        if operation == BinaryOp::Rem && !dtype.is_float() && right.as_int() == Some(0) {
            let message = "nothing is left of whole numbers divided by 0";
            return Err(self.report(error(codes::ARITHMETIC, spans[1], message)));
        }
        let node = self.emit().binary(operation, a, b);
        Ok(self.tensor(node))
    }

    /// Powers with small whole exponents are products, which negative bases have too.
    fn power(
        &mut self,
        left: &Value,
        right: &Value,
        spans: [Span; 2],
        span: Span,
    ) -> Checked<Value> {
        if let (Value::Tensor(_), Some(exponent)) = (left, right.as_float()) {
            let base = self.tensor_of(left, spans[0])?;
            let dtype = self.emit().dtype(base);
            if exponent == 1.0 {
                return Ok(left.clone());
            }
            if exponent == 0.5 && dtype.is_float() {
                let node = self.emit().unary(UnaryOp::Sqrt, base);
                return Ok(self.tensor(node));
            }
            if exponent.fract() == 0.0 && (2.0..=8.0).contains(&exponent) && dtype != DType::Bool {
                let node = self.whole_power(base, exponent as u32);
                return Ok(self.tensor(node));
            }
        }
        let (a, b) = self.aligned(left, right, spans)?;
        let dtype = self.emit().dtype(a);
        if !dtype.is_float() {
            let message = format!("a power of {dtype} elements");
            return Err(self.report(error(codes::OPERAND, span, message).help("`f32(…)` converts")));
        }
        let node = self.emit().binary(BinaryOp::Pow, a, b);
        Ok(self.tensor(node))
    }

    fn whole_power(&mut self, base: NodeId, exponent: u32) -> NodeId {
        match exponent {
            1 => base,
            even if even % 2 == 0 => {
                let half = self.whole_power(base, even / 2);
                self.emit().binary(BinaryOp::Mul, half, half)
            }
            odd => {
                let rest = self.whole_power(base, odd - 1);
                self.emit().binary(BinaryOp::Mul, rest, base)
            }
        }
    }

    /// `-value`
    pub fn negate(&mut self, value: Value, at: Span, span: Span) -> Checked<Value> {
        self.at(span);
        let node = self.tensor_of(&value, at)?;
        if self.emit().dtype(node) == DType::Bool {
            let message = "`-` of truth values";
            return Err(
                self.report(error(codes::OPERAND, span, message).help("`not` negates them"))
            );
        }
        let node = self.emit().unary(UnaryOp::Neg, node);
        Ok(self.tensor(node))
    }

    /// `not value`
    pub fn logical_not(&mut self, value: Value, at: Span, span: Span) -> Checked<Value> {
        self.at(span);
        let node = self.tensor_of(&value, at)?;
        if self.emit().dtype(node) != DType::Bool {
            let message = format!("`not` takes truth values, this is {}", self.type_of(node));
            return Err(self.report(error(codes::OPERAND, span, message)));
        }
        let node = self.emit().unary(UnaryOp::Not, node);
        Ok(self.tensor(node))
    }

    /// `a` where the scalar condition holds, else `b`.
    pub fn select(&mut self, condition: NodeId, a: &Value, b: &Value, at: Span) -> Checked<Value> {
        let (a, b) = self.aligned(a, b, [at, at])?;
        let shape = self.emit().shape(a);
        let condition = self.emit().broadcast(condition, &shape);
        let node = self.emit().select(condition, a, b);
        Ok(self.tensor(node))
    }

    /// `a @ b`, NumPy's `matmul`: the last two axes are matrices, the others broadcast.
    fn matrix_product(
        &mut self,
        left: &Value,
        right: &Value,
        spans: [Span; 2],
        span: Span,
    ) -> Checked<Value> {
        let (a, b) = self.common(left, right, spans)?;
        let (left, right) = (self.type_of(a).clone(), self.type_of(b).clone());
        let inner = match (left.shape.as_slice(), right.shape.as_slice()) {
            ([], _) | (_, []) => None,
            ([.., k], [n]) => Some((*k, *n)),
            ([.., k], [.., n, _]) => Some((*k, *n)),
        };
        let problem = match inner {
            None => "`@` takes no scalars".to_owned(),
            Some((k, n)) if k != n => format!("inner sizes differ: {k} and {n}"),
            Some(_) if !left.dtype.is_float() => format!("a product of {}", left.dtype),
            Some((k, _)) => return self.product_of(a, b, k, span),
        };
        Err(self.report(
            error(codes::SHAPE, span, problem)
                .label(spans[0], left.to_string())
                .label(spans[1], right.to_string()),
        ))
    }

    fn product_of(&mut self, a: NodeId, b: NodeId, inner: Dim, span: Span) -> Checked<Value> {
        let (left, right) = (self.emit().shape(a), self.emit().shape(b));
        let outer_left = &left[..left.len().saturating_sub(2)];
        let outer_right = &right[..right.len().saturating_sub(2)];
        let Ok(outer) = graph::Graph::broadcast_shape(outer_left, outer_right) else {
            let message = format!(
                "{} and {} do not broadcast",
                self.type_of(a),
                self.type_of(b)
            );
            return Err(self.report(error(codes::BROADCAST, span, message)));
        };
        let mut shape = outer.clone();
        let row = (left.len() > 1).then(|| {
            shape.push(left[left.len() - 2]);
            shape.len() - 1
        });
        let column = (right.len() > 1).then(|| {
            shape.push(right[right.len() - 1]);
            shape.len() - 1
        });
        let reduced = AxisIndex::variable(shape.len());
        let mut left_index = outer_index(outer_left, &outer);
        left_index.extend(row.map(AxisIndex::variable));
        left_index.push(reduced.clone());
        let mut right_index = outer_index(outer_right, &outer);
        right_index.push(reduced);
        right_index.extend(column.map(AxisIndex::variable));
        let contraction = Contraction {
            shape,
            reduced: vec![inner],
            operands: vec![left_index, right_index],
        };
        let node = self.emit().contract(contraction, &[a, b]);
        Ok(self.tensor(node))
    }
}

/// How an operand's leading axes follow the result's, which they broadcast to.
fn outer_index(own: &[Dim], outer: &[Dim]) -> Vec<AxisIndex> {
    let skipped = outer.len() - own.len();
    own.iter()
        .enumerate()
        .map(|(axis, dim)| match *dim == outer[axis + skipped] {
            true => AxisIndex::variable(axis + skipped),
            false => AxisIndex::constant(0),
        })
        .collect()
}

/// Sums, differences and products of a recurrence's counter with numbers, which can be indices.
fn counted(op: ast::BinaryOp, left: &Value, right: &Value) -> Option<Value> {
    let affine = |trace, scale: Option<i64>, offset: Option<i64>| {
        Some(Value::Counter(Counter {
            trace,
            scale: scale?,
            offset: offset?,
        }))
    };
    match (op, left, right) {
        (ast::BinaryOp::Add, Value::Counter(counter), other)
        | (ast::BinaryOp::Add, other, Value::Counter(counter)) => affine(
            counter.trace,
            Some(counter.scale),
            counter.offset.checked_add(other.as_int()?),
        ),
        (ast::BinaryOp::Subtract, Value::Counter(counter), other) => affine(
            counter.trace,
            Some(counter.scale),
            counter.offset.checked_sub(other.as_int()?),
        ),
        (ast::BinaryOp::Subtract, other, Value::Counter(counter)) => affine(
            counter.trace,
            counter.scale.checked_neg(),
            other.as_int()?.checked_sub(counter.offset),
        ),
        (ast::BinaryOp::Multiply, Value::Counter(counter), other)
        | (ast::BinaryOp::Multiply, other, Value::Counter(counter)) => affine(
            counter.trace,
            counter.scale.checked_mul(other.as_int()?),
            counter.offset.checked_mul(other.as_int()?),
        ),
        _ => None,
    }
}

/// The graph's operation for an operator; `@` and `^` have rules of their own.
fn graph_operator(op: ast::BinaryOp) -> Option<BinaryOp> {
    Some(match op {
        ast::BinaryOp::Or => BinaryOp::Or,
        ast::BinaryOp::And => BinaryOp::And,
        ast::BinaryOp::Equal => BinaryOp::Eq,
        ast::BinaryOp::NotEqual => BinaryOp::Ne,
        ast::BinaryOp::Less => BinaryOp::Lt,
        ast::BinaryOp::LessEqual => BinaryOp::Le,
        ast::BinaryOp::Greater => BinaryOp::Gt,
        ast::BinaryOp::GreaterEqual => BinaryOp::Ge,
        ast::BinaryOp::Add => BinaryOp::Add,
        ast::BinaryOp::Subtract => BinaryOp::Sub,
        ast::BinaryOp::Multiply => BinaryOp::Mul,
        ast::BinaryOp::Divide => BinaryOp::Div,
        ast::BinaryOp::Remainder => BinaryOp::Rem,
        ast::BinaryOp::MatMul | ast::BinaryOp::Power => return None,
    })
}
