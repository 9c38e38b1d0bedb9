//! Vectors made of two, and the halves of one.

use dlm_core::loops::Value;

use super::super::machine::{Operand, Width};
use super::super::ops::VectorOp;
use super::operands::vector;
use super::reduce::narrowed;
use super::{Lower, Place};

impl Lower<'_> {
    /// The lanes of `a`, then those of `b`.
    pub(super) fn join(&mut self, value: Value, a: Value, b: Value) {
        let count = self.part_count(value);
        if count > 1 {
            for (part, half) in [a, b].into_iter().enumerate() {
                let source = self.source(half, 0);
                let to = self.storage_registers(value)[part];
                self.copy(to, source);
            }
            self.target(value);
            return;
        }
        let width = self.width(value);
        if let (true, Some(memory)) = (a == b, self.waiting(a)) {
            let op = match width {
                Width::Z => VectorOp::RepeatHalf,
                _ => VectorOp::RepeatQuarter,
            };
            let to = self.target(value)[0];
            return self.vector(op, width, vector(to, width), &[memory]);
        }
        let op = match width {
            Width::Z => VectorOp::InsertHalf,
            _ => VectorOp::InsertQuarter,
        };
        let lower = narrowed(self.source(a, 0), width);
        let upper = self.last_source(op, b, 0);
        let to = self.target(value)[0];
        let sources = [lower, upper, Operand::Immediate(1)];
        self.vector(op, width, vector(to, width), &sources);
    }

    /// Where a load in a row that has not been done reads.
    fn waiting(&self, value: Value) -> Option<Operand> {
        match &self.places[value] {
            Place::Pending(pending) if !pending.splat => {
                let memory = pending.operand(0, self.width(value), false);
                memory.map(Operand::Memory)
            }
            _ => None,
        }
    }

    /// The lower or the upper lanes of `a`.
    pub(super) fn half(&mut self, value: Value, a: Value, half: u8) {
        let (count, from) = (self.part_count(a), self.width(a));
        let width = self.width(value);
        if count > 1 {
            let source = self.source(a, usize::from(half));
            let to = self.target(value)[0];
            return self.copy(to, source);
        }
        let source = self.source(a, 0);
        let to = self.target(value)[0];
        if half == 0 {
            return self.copy(to, narrowed(source, width));
        }
        let op = match width {
            Width::Y => VectorOp::ExtractHalf,
            _ => VectorOp::ExtractQuarter,
        };
        let sources = [source, Operand::Immediate(1)];
        self.vector(op, from, vector(to, width), &sources);
    }
}
