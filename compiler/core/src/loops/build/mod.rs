//! Makes kernels: [`KernelBuilder`].
//!
//! The builder infers types, gives equal computations one value, moves what does not vary out of loops, folds
//! constants and index arithmetic, and writes loops that run once without a loop. [`KernelBuilder::finish`] drops
//! what is not used and numbers values in the order of their definition.
//!
//! A misuse (an operand of a wrong type, an unbalanced loop) is kept and comes out of `finish`, so that code which
//! builds need not handle an error at each instruction.

mod frames;
mod index;
mod invariant;
mod shorthand;
mod simplify;

use cranelift_entity::SecondaryMap;
use dlm_grammar::Span;
use std::collections::BTreeMap;

use self::frames::{Frame, FrameKind, Open};
use self::simplify::Simplified;
use super::tidy::tidy;
use super::types::infer;
use super::{
    Access, Address, Affine, Buffer, BufferDecl, Element, Instruction, IntOp, Kernel, Range,
    Statement, Type, Value,
};

/// The builder was misused; a fault of the code that calls it, never of a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("kernel `{kernel}`: {message}")]
pub struct BuildError {
    /// The kernel's name.
    pub kernel: String,
    /// The first misuse.
    pub message: String,
}

/// Builds one kernel; see the module's comment.
pub struct KernelBuilder {
    kernel: Kernel,
    frames: Vec<Frame>,
    open: Vec<Open>,
    facts: SecondaryMap<Value, Fact>,
    /// Ranges of sums that are narrower than their terms allow.
    known_forms: BTreeMap<Vec<(Value, i64)>, Range>,
    error: Option<String>,
}

/// What is known of a value.
#[derive(Clone, Default)]
struct Fact {
    /// Its definition, for all but parameters of loops and conditions.
    instruction: Option<Instruction>,
    /// The frame it is defined in.
    depth: usize,
    /// For `Index` values.
    range: Range,
    /// For sums of others: the form they are computed from.
    form: Option<Affine>,
}

impl KernelBuilder {
    /// A kernel without arguments whose body is open.
    pub fn new(name: impl Into<String>) -> KernelBuilder {
        let kernel = Kernel {
            name: name.into(),
            ..Kernel::default()
        };
        KernelBuilder {
            kernel,
            frames: vec![Frame::new(FrameKind::Kernel)],
            open: Vec::new(),
            facts: SecondaryMap::new(),
            known_forms: BTreeMap::new(),
            error: None,
        }
    }

    /// Declares the next pointer argument.
    pub fn buffer(&mut self, name: impl Into<String>, element: Element, access: Access) -> Buffer {
        self.kernel.buffers.push(BufferDecl {
            name: name.into(),
            element,
            access,
        })
    }

    /// Declares the next scalar argument, an `Index` of any value.
    pub fn scalar(&mut self, name: impl Into<String>) -> Value {
        self.scalar_in(name, Range::default())
    }

    /// Declares the next scalar argument with the values that callers pass, which index arithmetic may rely on.
    pub fn scalar_in(&mut self, name: impl Into<String>, range: Range) -> Value {
        let value = self.fresh(Type::Index, 0);
        self.facts[value].range = range;
        self.kernel.scalars.push((value, name.into()));
        value
    }

    /// Adds a line for readers of dumps.
    pub fn note(&mut self, line: impl Into<String>) {
        self.kernel.notes.push(line.into());
    }

    /// Adds a place in the source that the kernel computes.
    pub fn span(&mut self, span: Span) {
        if !self.kernel.spans.contains(&span) {
            self.kernel.spans.push(span);
        }
    }

    /// The type of a value.
    pub fn type_of(&self, value: Value) -> Type {
        self.kernel.values[value]
    }

    /// The lanes of a vector; 1 for an `Index`.
    pub fn lanes_of(&self, value: Value) -> u8 {
        self.type_of(value).lanes().unwrap_or(1)
    }

    /// The declaration of a buffer.
    pub fn buffer_decl(&self, buffer: Buffer) -> &BufferDecl {
        &self.kernel.buffers[buffer]
    }

    /// Names a computation, or finds the value that is equal to it. `lanes` counts only where operands do not
    /// determine it: constants, loads, `Splat`, `IndexToInt` and `LaneIota`.
    pub fn define(&mut self, instruction: Instruction, lanes: u8) -> Value {
        if let Instruction::Int(op, a, b) = instruction {
            return self.define_int(op, a, b);
        }
        let ty = match infer(&self.kernel, &instruction, lanes) {
            Ok(ty) => ty,
            Err(error) => {
                self.fail(error.to_string());
                return self.fresh(Type::F32(lanes), self.frames.len() - 1);
            }
        };
        match self.simplify(instruction, ty) {
            Simplified::Value(value) => value,
            Simplified::Instruction(instruction) => self.number(instruction, ty),
        }
    }

    /// Writes the lanes of `value` to consecutive elements.
    pub fn store(&mut self, address: Address, value: Value) {
        self.store_strided(address, value, 1);
    }

    /// Writes the lanes of `value` to every `stride`-th element.
    pub fn store_strided(&mut self, address: Address, value: Value, stride: i64) {
        let address = self.canonical(address);
        for frame in &mut self.frames {
            frame.forget_loads(address.buffer);
        }
        self.push(Statement::Store {
            address,
            value,
            stride,
        });
    }

    /// Asks for the cache line of an element.
    pub fn prefetch(&mut self, address: Address) {
        let address = self.canonical(address);
        self.push(Statement::Prefetch(address));
    }

    /// Ends the kernel.
    ///
    /// # Errors
    /// The first misuse since [`KernelBuilder::new`].
    pub fn finish(mut self) -> Result<Kernel, BuildError> {
        if !self.open.is_empty() {
            self.fail("a loop or condition is still open");
        }
        let name = self.kernel.name.clone();
        if let Some(message) = self.error {
            return Err(BuildError {
                kernel: name,
                message,
            });
        }
        self.kernel.body.statements = self
            .frames
            .pop()
            .map(|frame| frame.statements)
            .unwrap_or_default();
        Ok(tidy(&self.kernel))
    }

    /// Gives `instruction` a value: an existing one, or a new one in the outermost block where it can stand.
    fn number(&mut self, instruction: Instruction, ty: Type) -> Value {
        let instruction = match instruction {
            Instruction::Load { address, kind } => Instruction::Load {
                address: self.canonical(address),
                kind,
            },
            other => other,
        };
        let key = (instruction, ty);
        if let Some(value) = self.numbered(&key) {
            return value;
        }
        let depth = self.placement(&key.0);
        self.number_in(key.0, ty, depth)
    }

    /// A new value in that frame, or the one that is equal to it there.
    fn number_in(&mut self, instruction: Instruction, ty: Type, depth: usize) -> Value {
        let key = (instruction, ty);
        let is_load = matches!(key.0, Instruction::Load { .. });
        if let Some(value) = self.frames[depth].recall(&key, is_load) {
            return value;
        }
        let value = self.fresh(ty, depth);
        if let Instruction::IndexConst(constant) = key.0 {
            self.facts[value].range = Range::new(constant, constant);
        }
        self.facts[value].instruction = Some(key.0.clone());
        let frame = &mut self.frames[depth];
        frame
            .statements
            .push(Statement::Define(value, key.0.clone()));
        frame.remember(key, value);
        value
    }

    fn numbered(&self, key: &(Instruction, Type)) -> Option<Value> {
        let load = match &key.0 {
            Instruction::Load { address, .. } => Some(address.buffer),
            _ => None,
        };
        let constant = load.is_none_or(|b| self.kernel.buffers[b].access == Access::Read);
        for frame in self.frames.iter().rev() {
            if let Some(value) = frame.recall(key, load.is_some()) {
                return Some(value);
            }
            if !constant && frame.kind == FrameKind::Loop {
                return None;
            }
        }
        None
    }

    /// The frame in which to compute: loads where they are written, vectors no further out than the innermost
    /// condition, the rest wherever its operands are known.
    fn placement(&self, instruction: &Instruction) -> usize {
        let here = self.frames.len() - 1;
        let mut depth = match instruction {
            Instruction::Load { .. } => here,
            Instruction::Int(..)
            | Instruction::IndexConst(_)
            | Instruction::FloatConst(_)
            | Instruction::IntConst(_)
            | Instruction::MaskConst(_)
            | Instruction::LaneIota => 0,
            _ => self.innermost_condition(),
        };
        instruction.for_each_operand(|value| depth = depth.max(self.facts[value].depth));
        depth.min(here)
    }

    fn innermost_condition(&self) -> usize {
        let found = self.frames.iter().rposition(|f| f.kind == FrameKind::If);
        found.unwrap_or(0)
    }

    fn fresh(&mut self, ty: Type, depth: usize) -> Value {
        let value = self.kernel.values.push(ty);
        self.facts[value].depth = depth;
        value
    }

    fn push(&mut self, statement: Statement) {
        let here = self.frames.len() - 1;
        self.frames[here].statements.push(statement);
    }

    fn fail(&mut self, message: impl Into<String>) {
        self.error.get_or_insert(message.into());
    }

    fn define_int(&mut self, op: IntOp, a: Value, b: Value) -> Value {
        let instruction = Instruction::Int(op, a, b);
        if let Err(error) = infer(&self.kernel, &instruction, 1) {
            self.fail(error.to_string());
            return self.fresh(Type::Index, self.frames.len() - 1);
        }
        let form = self.int(op, &Affine::value(a), &Affine::value(b));
        self.materialise(&form)
    }
}

#[cfg(test)]
mod tests;
