//! Loop IR to machine instructions on virtual registers.
//!
//! A value of up to 4 lanes is an xmm register (the lanes above are of no meaning), of 8 a ymm register, of 16 a zmm
//! register or, without AVX-512, two ymm registers: its *parts*. A mask is a k register with AVX-512, else a vector.
//! Constants are memory operands beside the code wherever an instruction takes one. A load that is used once becomes
//! the memory operand of its user.

mod address;
mod arithmetic;
mod compare;
mod control;
mod convert;
mod half;
mod integer;
mod join;
mod load;
mod moves;
mod operands;
mod prefetch;
mod reduce;
mod store;
mod turn;

use cranelift_entity::SecondaryMap;
use dlm_core::loops::{Instruction, Kernel, Statement, Type, Value};
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use smallvec::{SmallVec, smallvec};

use self::address::Addresses;
use self::load::Pending;
use self::reduce::SUMS;
use super::features::Features;
use super::machine::{Class, First, Inst, Item, Op, Operand, Program, Reg, Width};
use super::ops::VectorOp;
use super::storage::Storage;
use super::{Unsupported, WideError};

/// The registers of a value.
pub(super) type Parts = SmallVec<[Reg; 2]>;

type Lowered<T> = Result<T, Unsupported>;

/// A value known when code is made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Constant {
    Index(i64),
    /// The bits of every lane.
    Word(u32),
    Mask(bool),
}

/// Where a value is.
#[derive(Clone, Default)]
enum Place {
    #[default]
    Nowhere,
    /// In the registers of its storage.
    Registers,
    Constant(Constant),
    /// In memory, to be read by its only user.
    Pending(Pending),
}

/// Makes the code of `kernel`, registers not assigned.
///
/// # Errors
/// Where the kernel holds what has no machine code; see [`WideError`].
pub(super) fn lower(kernel: &Kernel, features: Features) -> Result<Program, WideError> {
    let mut lower = Lower::new(kernel, features);
    let done = lower.run();
    done.map_err(|unsupported| unsupported.of(kernel))?;
    let mut program = lower.program;
    lower.entry.append(&mut program.items);
    program.items = lower.entry;
    Ok(program)
}

struct Lower<'a> {
    kernel: &'a Kernel,
    features: Features,
    storage: Storage,
    places: SecondaryMap<Value, Place>,
    /// By the leader of the storage.
    registers: SecondaryMap<Value, Parts>,
    constants: IndexMap<(Constant, Width), Reg, FxBuildHasher>,
    addresses: Addresses,
    program: Program,
    /// What runs before all else.
    entry: Vec<Item>,
}

impl<'a> Lower<'a> {
    fn new(kernel: &'a Kernel, features: Features) -> Lower<'a> {
        Lower {
            kernel,
            features,
            storage: Storage::new(kernel),
            places: SecondaryMap::with_capacity(kernel.values.len()),
            registers: SecondaryMap::with_capacity(kernel.values.len()),
            constants: IndexMap::default(),
            addresses: Addresses::new(),
            program: Program::default(),
            entry: Vec::new(),
        }
    }

    fn run(&mut self) -> Lowered<()> {
        self.arguments();
        self.entry = std::mem::take(&mut self.program.items);
        self.block(&self.kernel.body)
    }

    fn block(&mut self, block: &dlm_core::loops::Block) -> Lowered<()> {
        let mut at = 0;
        while let Some(statement) = block.statements.get(at) {
            if let Some(columns) = self.columns(&block.statements[at..]) {
                self.turn(&columns)?;
                at += columns.values.len();
                continue;
            }
            if let Some(sums) = self.sums(&block.statements[at..]) {
                self.reduce_add_four(&sums);
                at += sums.len();
                continue;
            }
            at += 1;
            match statement {
                Statement::Define(value, instruction) => {
                    let rest = &block.statements[at..];
                    self.define(*value, instruction, rest)?;
                }
                Statement::Store {
                    address,
                    value,
                    stride,
                } => self.store(address, *value, *stride)?,
                Statement::Prefetch(address) => self.ask_for(address)?,
                Statement::Loop(statement) => self.loop_statement(statement)?,
                Statement::If(conditional) => self.conditional(conditional)?,
            }
        }
        Ok(())
    }

    /// The sums of lanes that the next four statements are, each with what it is of, where they are alike and of whole
    /// registers.
    fn sums(&self, statements: &[Statement]) -> Option<Vec<(Value, Value)>> {
        let next: &[Statement; SUMS] = statements.first_chunk()?;
        let sum = |statement: &Statement| match statement {
            Statement::Define(value, Instruction::ReduceAdd(a)) => Some((*value, *a)),
            _ => None,
        };
        let sums: Vec<(Value, Value)> = next.iter().map(sum).collect::<Option<_>>()?;
        let ty = self.ty(sums[0].1);
        let alike = sums.iter().all(|sum| self.ty(sum.1) == ty);
        (alike && self.lanes(sums[0].1) >= 8).then_some(sums)
    }

    fn define(
        &mut self,
        value: Value,
        instruction: &Instruction,
        rest: &[Statement],
    ) -> Lowered<()> {
        match instruction {
            Instruction::IndexConst(constant) => self.constant(value, Constant::Index(*constant)),
            Instruction::FloatConst(float) => {
                self.constant(value, Constant::Word(float.0.to_bits()));
            }
            Instruction::IntConst(int) => self.constant(value, Constant::Word(*int as u32)),
            Instruction::MaskConst(set) => self.constant(value, Constant::Mask(*set)),
            Instruction::Int(op, a, b) => self.int(value, *op, *a, *b)?,
            Instruction::Load { address, kind } => self.load(value, address, *kind, rest)?,
            Instruction::Unary(op, a) => self.unary(value, *op, *a),
            Instruction::Binary(op, a, b) => self.binary(value, *op, *a, *b),
            Instruction::Fma(a, b, c) => self.fma(value, *a, *b, *c),
            Instruction::DotPairs(..) if !self.features.pairs => return Err(Unsupported::Pairs),
            Instruction::DotPairs(a, b, c) => self.dot_pairs(value, *a, *b, *c),
            Instruction::Compare(comparison, a, b) => self.compare(value, *comparison, *a, *b),
            Instruction::Select(mask, a, b) => self.select(value, *mask, *a, *b),
            Instruction::ShiftLeft(a, by) => self.shift(VectorOp::ShiftLeft, value, *a, *by),
            Instruction::ShiftRight(a, by) => self.shift(VectorOp::ShiftRight, value, *a, *by),
            Instruction::Splat(a) => self.splat(value, *a),
            Instruction::IndexToInt(a) => self.index_to_int(value, *a),
            Instruction::LaneIota => self.iota(value),
            Instruction::ReduceAdd(a) => self.reduce_add(value, *a),
            Instruction::Extract(a, lane) => self.extract(value, *a, *lane),
            Instruction::Join(a, b) => self.join(value, *a, *b),
            Instruction::Half(a, half) => self.half(value, *a, *half),
            Instruction::IntToIndex(a) => self.int_to_index(value, *a),
            Instruction::Math(op, _) => return Err(Unsupported::Math(*op)),
        }
        Ok(())
    }

    fn constant(&mut self, value: Value, constant: Constant) {
        self.places[value] = Place::Constant(constant);
    }

    fn ty(&self, value: Value) -> Type {
        self.kernel.values[value]
    }

    fn lanes(&self, value: Value) -> u8 {
        self.ty(value).lanes().unwrap_or(1)
    }

    /// How many registers so many lanes take, and their width.
    fn shape_of(&self, lanes: u8) -> (usize, Width) {
        match Width::of_lanes(lanes) {
            Width::Z if !self.features.avx512 => (2, Width::Y),
            width => (1, width),
        }
    }

    fn width(&self, value: Value) -> Width {
        self.shape_of(self.lanes(value)).1
    }

    fn part_count(&self, value: Value) -> usize {
        self.shape_of(self.lanes(value)).0
    }

    /// Whether masks are k registers.
    fn k_masks(&self) -> bool {
        self.features.avx512
    }

    /// The registers to write a value to; from here on it is there.
    fn target(&mut self, value: Value) -> Parts {
        self.places[value] = Place::Registers;
        self.addresses.defined(value);
        self.storage_registers(value)
    }

    /// The registers of a value's storage.
    fn storage_registers(&mut self, value: Value) -> Parts {
        let leader = self.storage.leader(value);
        if self.registers[leader].is_empty() {
            let (count, width) = self.shape_of(self.lanes(leader));
            let class = match self.ty(leader) {
                Type::Index => Class::General,
                Type::Mask(_) if self.k_masks() => Class::Mask,
                _ => Class::Vector,
            };
            // A k register holds all lanes.
            self.registers[leader] = (0..count)
                .map(|_| self.program.fresh(class, width))
                .collect();
        }
        self.registers[leader].clone()
    }

    /// The registers to write a value to whose lanes are equal: one for all parts, unless the storage is also that of
    /// values whose lanes differ.
    fn splat_target(&mut self, value: Value) -> Parts {
        let mut targets = self.target(value);
        if !self.storage.is_shared(value) && targets.len() > 1 {
            targets.truncate(1);
            self.registers[value] = smallvec![targets[0]; self.part_count(value)];
        }
        targets
    }

    fn push(&mut self, inst: Inst) {
        self.program.items.push(Item::Inst(inst));
    }

    /// A vector instruction that writes `to`.
    fn vector(&mut self, op: VectorOp, width: Width, to: Operand, sources: &[Operand]) {
        self.vector_as(op, width, First::Writes, to, sources);
    }

    fn vector_as(
        &mut self,
        op: VectorOp,
        width: Width,
        first: First,
        to: Operand,
        sources: &[Operand],
    ) {
        let mut inst = Inst::new(Op::Vector(op, width), first, &[to]);
        inst.operands.extend_from_slice(sources);
        self.push(inst);
    }
}
