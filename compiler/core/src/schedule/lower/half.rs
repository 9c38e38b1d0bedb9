//! bf16: half the bytes in memory, f32 in registers, where each value is one that bf16 has.

use super::Lowering;
use crate::graph::{DType, NodeId};
use crate::loops::{Comparison, Element, Instruction, Value, VectorBinary, VectorUnary};

/// The bits of a quiet NaN.
const NAN: i32 = 0x7fc0_0000;

impl Lowering<'_> {
    /// The value, rounded where the node is bf16.
    pub(super) fn settled(&mut self, node: NodeId, value: Value) -> Value {
        match self.cx.graph.nodes[node].ty.dtype {
            DType::Bf16 => self.rounded(value),
            _ => value,
        }
    }

    /// To the nearest value that bf16 has, ties to even.
    fn rounded(&mut self, value: Value) -> Value {
        let lanes = self.lanes_of(value);
        let bits = self.b.unary(VectorUnary::FloatToBits, value);
        let odd = self.b.define(Instruction::ShiftRight(bits, 16), lanes);
        let one = self.b.integer(1, lanes);
        let odd = self.b.binary(VectorBinary::IntAnd, odd, one);
        let half = self.b.integer(0x7fff, lanes);
        let half = self.b.binary(VectorBinary::IntAdd, half, odd);
        let sum = self.b.binary(VectorBinary::IntAdd, bits, half);
        let kept = self.b.integer(!0xffff, lanes);
        let near = self.b.binary(VectorBinary::IntAnd, sum, kept);
        let is_number = self.b.compare(Comparison::Eq, value, value);
        let nan = self.b.integer(NAN, lanes);
        let bits = self.b.select(is_number, near, nan);
        self.b.unary(VectorUnary::BitsToFloat, bits)
    }

    /// What was loaded as a value: of bf16 that is the upper half of a float's bits.
    pub(super) fn unpacked(&mut self, element: Element, loaded: Value) -> Value {
        if element != Element::Bf16 {
            return loaded;
        }
        let lanes = self.lanes_of(loaded);
        let bits = self.b.define(Instruction::ShiftLeft(loaded, 16), lanes);
        self.b.unary(VectorUnary::BitsToFloat, bits)
    }

    /// What is stored of a value that bf16 has.
    pub(super) fn packed(&mut self, element: Element, value: Value) -> Value {
        if element != Element::Bf16 {
            return value;
        }
        let lanes = self.lanes_of(value);
        let bits = self.b.unary(VectorUnary::FloatToBits, value);
        self.b.define(Instruction::ShiftRight(bits, 16), lanes)
    }

    fn lanes_of(&self, value: Value) -> u8 {
        self.b.type_of(value).lanes().unwrap_or(1)
    }
}
