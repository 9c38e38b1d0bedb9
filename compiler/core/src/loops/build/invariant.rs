//! Values that do not change within the innermost loop.

use super::super::{Access, Instruction, Value};
use super::KernelBuilder;
use super::frames::FrameKind;

impl KernelBuilder {
    /// The same value computed outside of the innermost loop, where it does not change in it. Of loads, those of buffers
    /// that the kernel only reads, out of loops that run at least once.
    pub fn invariant(&mut self, value: Value) -> Option<Value> {
        let here = self.frames.len() - 1;
        let inner = self
            .frames
            .iter()
            .rposition(|frame| frame.kind == FrameKind::Loop)?;
        let value = self.moved_out(value, here);
        (self.facts[value].depth < inner).then_some(value)
    }

    fn moved_out(&mut self, value: Value, here: usize) -> Value {
        if self.facts[value].depth < here {
            return value;
        }
        let ty = self.type_of(value);
        let instruction = match self.facts[value].instruction.clone() {
            Some(Instruction::Join(lower, upper)) => {
                let lower = self.moved_out(lower, here);
                Instruction::Join(lower, self.moved_out(upper, here))
            }
            Some(Instruction::Splat(scalar)) => Instruction::Splat(self.moved_out(scalar, here)),
            Some(load @ Instruction::Load { .. }) => return self.load_outside(load, value),
            _ => return value,
        };
        self.define(instruction, ty.lanes().unwrap_or(1))
    }

    /// A load in the outermost frame where it is known to be reached and its address is known.
    fn load_outside(&mut self, load: Instruction, value: Value) -> Value {
        let Instruction::Load { address, .. } = &load else {
            return value;
        };
        if self.kernel.buffers[address.buffer].access != Access::Read {
            return value;
        }
        let mut known = 0;
        load.for_each_operand(|operand| known = known.max(self.facts[operand].depth));
        let here = self.frames.len() - 1;
        let reached = (known..here)
            .rev()
            .take_while(|&depth| self.frames[depth + 1].runs);
        match reached.last() {
            Some(depth) => self.number_in(load, self.type_of(value), depth),
            None => value,
        }
    }
}
