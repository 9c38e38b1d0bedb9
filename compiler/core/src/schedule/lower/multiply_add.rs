//! `a * b + c` and `c - a * b` with one rounding.
//!
//! Whether a sum takes a product in is decided by the graph and by what is stored, never by the kernel that computes it:
//! a value that two kernels compute has the same bits in both, on which comparisons with a stored maximum rely.

use super::{LowerError, Lowering, Place};
use crate::graph::{BinaryOp, DType, NodeId, Op};
use crate::loops::{Instruction, Value, VectorUnary};

/// Where the product stands in a sum or difference.
enum Form {
    /// `a * b + c`
    Plus,
    /// `a * b - c`
    Minus,
    /// `c - a * b`
    From,
}

impl Lowering<'_> {
    /// A sum or difference of which one operand is a product that nothing else reads.
    pub(super) fn multiply_add(
        &mut self,
        op: BinaryOp,
        inputs: &[NodeId],
        places: &[Place],
    ) -> Result<Option<Value>, LowerError> {
        let (form, product, other) = match op {
            BinaryOp::Add if self.is_lone_product(inputs[0]) => (Form::Plus, inputs[0], inputs[1]),
            BinaryOp::Add if self.is_lone_product(inputs[1]) => (Form::Plus, inputs[1], inputs[0]),
            BinaryOp::Sub if self.is_lone_product(inputs[1]) => (Form::From, inputs[1], inputs[0]),
            BinaryOp::Sub if self.is_lone_product(inputs[0]) => (Form::Minus, inputs[0], inputs[1]),
            _ => return Ok(None),
        };
        let factors = &self.cx.graph.nodes[product].inputs;
        let mut a = self.value(factors[0], places)?;
        let b = self.value(factors[1], places)?;
        let mut c = self.value(other, places)?;
        match form {
            Form::Plus => {}
            Form::Minus => c = self.b.unary(VectorUnary::Neg, c),
            Form::From => a = self.b.unary(VectorUnary::Neg, a),
        }
        Ok(Some(self.b.define(Instruction::Fma(a, b, c), self.width)))
    }

    fn is_lone_product(&self, node: NodeId) -> bool {
        let data = &self.cx.graph.nodes[node];
        data.op == Op::Binary(BinaryOp::Mul)
            // A product of bf16 is rounded by itself.
            && data.ty.dtype == DType::F32
            && self.cx.used_once.contains(node)
            && !self.cx.stored.contains(&node)
    }
}
