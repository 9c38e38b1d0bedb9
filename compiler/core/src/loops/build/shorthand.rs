//! One method for each instruction, so that code which builds reads like the computation.

use super::super::{
    Affine, Buffer, Comparison, Float, Instruction, LoadKind, MathOp, Value, VectorBinary,
    VectorUnary,
};
use super::KernelBuilder;

impl KernelBuilder {
    /// A float in every lane.
    pub fn float(&mut self, constant: f32, lanes: u8) -> Value {
        self.define(Instruction::FloatConst(Float(constant)), lanes)
    }

    /// An i32 in every lane.
    pub fn integer(&mut self, constant: i32, lanes: u8) -> Value {
        self.define(Instruction::IntConst(constant), lanes)
    }

    /// A mask, all set or all clear.
    pub fn mask(&mut self, set: bool, lanes: u8) -> Value {
        self.define(Instruction::MaskConst(set), lanes)
    }

    /// Lane l from element `at + l`.
    pub fn load(&mut self, buffer: Buffer, at: impl Into<Affine>, lanes: u8) -> Value {
        self.load_as(buffer, at, LoadKind::Contiguous, lanes)
    }

    /// Every lane from the element at `at`.
    pub fn load_splat(&mut self, buffer: Buffer, at: impl Into<Affine>, lanes: u8) -> Value {
        self.load_as(buffer, at, LoadKind::Splat, lanes)
    }

    /// A load of any kind.
    pub fn load_as(
        &mut self,
        buffer: Buffer,
        at: impl Into<Affine>,
        kind: LoadKind,
        lanes: u8,
    ) -> Value {
        let address = at.into().address(buffer);
        self.define(Instruction::Load { address, kind }, lanes)
    }

    /// Writes lanes to consecutive elements from `at` on.
    pub fn store_at(&mut self, buffer: Buffer, at: impl Into<Affine>, value: Value) {
        self.store(at.into().address(buffer), value);
    }

    /// Lane-wise, one operand.
    pub fn unary(&mut self, op: VectorUnary, a: Value) -> Value {
        self.define(Instruction::Unary(op, a), 1)
    }

    /// Lane-wise, two operands of one type.
    pub fn binary(&mut self, op: VectorBinary, a: Value, b: Value) -> Value {
        self.define(Instruction::Binary(op, a, b), 1)
    }

    /// `a * b + c`, rounded once.
    pub fn fma(&mut self, a: Value, b: Value, c: Value) -> Value {
        self.define(Instruction::Fma(a, b, c), 1)
    }

    /// The products of pairs of bf16 numbers added to `c`.
    pub fn dot_pairs(&mut self, a: Value, b: Value, c: Value) -> Value {
        self.define(Instruction::DotPairs(a, b, c), 1)
    }

    /// A mask.
    pub fn compare(&mut self, comparison: Comparison, a: Value, b: Value) -> Value {
        self.define(Instruction::Compare(comparison, a, b), 1)
    }

    /// a where the mask is set, else b.
    pub fn select(&mut self, mask: Value, a: Value, b: Value) -> Value {
        self.define(Instruction::Select(mask, a, b), 1)
    }

    /// A scalar in every lane.
    pub fn splat(&mut self, scalar: Value, lanes: u8) -> Value {
        self.define(Instruction::Splat(scalar), lanes)
    }

    /// An index as i32 in every lane.
    pub fn index_to_int(&mut self, index: Value, lanes: u8) -> Value {
        self.define(Instruction::IndexToInt(index), lanes)
    }

    /// The numbers of the lanes, from 0.
    pub fn iota(&mut self, lanes: u8) -> Value {
        self.define(Instruction::LaneIota, lanes)
    }

    /// An i32 scalar as an index.
    pub fn int_to_index(&mut self, scalar: Value) -> Value {
        self.define(Instruction::IntToIndex(scalar), 1)
    }

    /// The sum of all lanes.
    pub fn reduce_add(&mut self, vector: Value) -> Value {
        self.define(Instruction::ReduceAdd(vector), 1)
    }

    /// One lane.
    pub fn extract(&mut self, vector: Value, lane: u8) -> Value {
        self.define(Instruction::Extract(vector, lane), 1)
    }

    /// The lanes of one vector, then those of another.
    pub fn join(&mut self, lower: Value, upper: Value) -> Value {
        self.define(Instruction::Join(lower, upper), 1)
    }

    /// The lower half of a vector (0) or the upper (1).
    pub fn half(&mut self, vector: Value, half: u8) -> Value {
        self.define(Instruction::Half(vector, half), 1)
    }

    /// A function that is later expanded into the others.
    pub fn math(&mut self, op: MathOp, operands: &[Value]) -> Value {
        self.define(Instruction::Math(op, operands.to_vec()), 1)
    }
}
