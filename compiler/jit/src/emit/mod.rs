//! One kernel to one function of the generator's IR.
//!
//! A vector is a list of parts: `f32x8` is two `f32x4`, a scalar or `f32x2` one or two scalars. What makes the inner
//! loops tight, since the generator does none of it:
//!
//! - *Addresses* (`address`): the part of an address that an outer loop fixes is computed there; in an innermost loop
//!   a pointer goes along, so that unrolled taps are one register and a constant displacement.
//! - *Loads* from buffers that are only read are emitted at their first use, so that they live shortly.
//! - *Unrolling* (`loops`): the machine's fused multiply-add overwrites a factor, not the sum, so sums wander from
//!   register to register and are put back once a round. Several rounds in one make that cheap.
//! - *Factors* (`arithmetic`): the factor that is overwritten is one that is not needed any more, where there is one.

mod address;
mod arithmetic;
mod facts;
mod loops;
mod memory;
mod vector;

use cranelift::prelude::{
    AbiParam, FunctionBuilder, FunctionBuilderContext, InstBuilder, MemFlagsData, Signature, isa,
    types,
};
use cranelift_codegen::ir;
use cranelift_entity::SecondaryMap;
use dlm_core::loops::{Access, Block, Instruction, Kernel, Statement, Type, Value};
use smallvec::{SmallVec, smallvec};

use self::address::Scope;
use self::facts::Facts;
use crate::error::JitError;
use crate::target::Effort;

/// The parts of a vector.
pub(super) type Parts = SmallVec<[ir::Value; 4]>;

/// `fn(*const u64)` as the host calls it.
pub(crate) fn signature(isa: &dyn isa::TargetIsa) -> Signature {
    let mut signature = Signature::new(isa.default_call_conv());
    signature.params.push(AbiParam::new(types::I64));
    signature
}

/// The effort that suits a kernel: sums of products stay in the order they are written in, for the generator's
/// rewriting moves them past their loads and runs out of registers.
pub(crate) fn effort(_kernel: &Kernel) -> Effort {
    Effort::Keep
}

/// Writes `kernel` into the empty function `function`.
pub(crate) fn emit(
    kernel: &Kernel,
    function: &mut ir::Function,
    scratch: &mut FunctionBuilderContext,
    isa: &dyn isa::TargetIsa,
) -> Result<(), JitError> {
    function.signature = signature(isa);
    let mut builder = FunctionBuilder::new(function, scratch);
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    let mut emitter = Emitter {
        kernel,
        facts: Facts::new(kernel),
        pointers: Vec::new(),
        slots: SecondaryMap::new(),
        shifts: SecondaryMap::new(),
        remaining: SecondaryMap::new(),
        scopes: vec![Scope::default()],
        level: 1,
        builder,
    };
    emitter.arguments(entry);
    emitter.block(&kernel.body)?;
    emitter.builder.ins().return_(&[]);
    emitter.builder.seal_all_blocks();
    emitter.builder.finalize(isa.frontend_config());
    Ok(())
}

/// What stands for a value.
#[derive(Clone, Default)]
enum Slot<'a> {
    /// Not defined yet.
    #[default]
    Empty,
    /// A constant: made where it is used. The bits are those of a lane, or the index.
    Constant(i64),
    /// A load not done yet.
    Pending(&'a Instruction),
    /// In registers.
    Ready(Parts),
}

struct Emitter<'a, 'b> {
    kernel: &'a Kernel,
    facts: Facts,
    builder: FunctionBuilder<'b>,
    /// The buffers' first bytes.
    pointers: Vec<ir::Value>,
    slots: SecondaryMap<Value, Slot<'a>>,
    /// For counters of unrolled loops: what the round being emitted adds.
    shifts: SecondaryMap<Value, i64>,
    /// How many uses of a value are still to be emitted.
    remaining: SecondaryMap<Value, u32>,
    /// From the kernel's body inwards.
    scopes: Vec<Scope>,
    /// The level (see [`Facts`]) of the statements being emitted.
    level: u32,
}

impl<'a> Emitter<'a, '_> {
    fn arguments(&mut self, entry: ir::Block) {
        let block = self.builder.block_params(entry)[0];
        let flags = readable();
        let mut offset = 0;
        for _ in 0..self.kernel.buffers.len() {
            let pointer = self.builder.ins().load(types::I64, flags, block, offset);
            self.pointers.push(pointer);
            offset += 8;
        }
        for (value, _) in &self.kernel.scalars {
            let scalar = self.builder.ins().load(types::I64, flags, block, offset);
            self.slots[*value] = Slot::Ready(smallvec![scalar]);
            offset += 8;
        }
    }

    fn block(&mut self, block: &'a Block) -> Result<(), JitError> {
        for statement in &block.statements {
            match statement {
                Statement::Define(value, instruction) => self.define(*value, instruction)?,
                Statement::Store {
                    address,
                    value,
                    stride,
                } => self.store(address, *value, *stride)?,
                // Cranelift has no instruction for it.
                Statement::Prefetch(_) => {}
                Statement::Loop(statement) => self.loop_statement(statement)?,
                Statement::If(conditional) => self.conditional(conditional)?,
            }
        }
        Ok(())
    }

    fn define(&mut self, value: Value, instruction: &'a Instruction) -> Result<(), JitError> {
        self.remaining[value] = self.facts.uses[value];
        self.slots[value] = match instruction {
            Instruction::IndexConst(constant) => Slot::Constant(*constant),
            Instruction::FloatConst(constant) => Slot::Constant(i64::from(constant.0.to_bits())),
            Instruction::IntConst(constant) => Slot::Constant(i64::from(*constant as u32)),
            Instruction::MaskConst(set) => Slot::Constant(i64::from(*set)),
            Instruction::Load { address, .. } if self.is_only_read(address.buffer) => {
                Slot::Pending(instruction)
            }
            _ => Slot::Ready(self.instruction(value, instruction)?),
        };
        Ok(())
    }

    fn is_only_read(&self, buffer: dlm_core::loops::Buffer) -> bool {
        let decl = self.kernel.buffers.get(buffer);
        decl.is_some_and(|decl| decl.access == Access::Read)
    }

    /// The parts of a value, made now if they were put off.
    fn parts(&mut self, value: Value) -> Result<Parts, JitError> {
        match self.slots[value].clone() {
            Slot::Ready(parts) => {
                let shift = self.shifts[value];
                if shift != 0 {
                    return Ok(smallvec![self.builder.ins().iadd_imm_s(parts[0], shift)]);
                }
                Ok(parts)
            }
            Slot::Constant(bits) => Ok(self.constant(self.type_of(value), bits)),
            Slot::Pending(instruction) => {
                let parts = self.instruction(value, instruction)?;
                self.slots[value] = Slot::Ready(parts.clone());
                Ok(parts)
            }
            Slot::Empty => Err(self.refuse(format!("{value} is used before it is defined"))),
        }
    }

    /// The only part of an index or a scalar.
    fn single(&mut self, value: Value) -> Result<ir::Value, JitError> {
        Ok(self.parts(value)?[0])
    }

    /// Does loads that nested blocks use, so that they are done in a block that dominates all uses.
    fn settle(&mut self, nested: &Block) -> Result<(), JitError> {
        let mut used = Vec::new();
        facts::used_in(nested, &mut used);
        // Where a body is written twice, its own loads may be left from the first time: they stay within it, as what is
        // behind a condition may be loaded behind it only.
        let own = facts::defined_in(nested);
        for value in used.into_iter().filter(|&value| !own.contains(value)) {
            if let Slot::Pending(_) = self.slots[value] {
                self.parts(value)?;
            }
        }
        Ok(())
    }

    fn type_of(&self, value: Value) -> Type {
        self.kernel.values[value]
    }

    fn refuse(&self, message: impl Into<String>) -> JitError {
        JitError::Kernel {
            kernel: self.kernel.name.clone(),
            message: message.into(),
        }
    }
}

/// Memory that may be read without a trap.
fn readable() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}
