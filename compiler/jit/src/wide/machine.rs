//! Machine code before registers are assigned: instructions on virtual registers, in the order of execution.
//!
//! A virtual register is a variable: it may be written more than once. Loops are marked, so that liveness and costs
//! need no control-flow graph: a register that lives into a loop lives to its end.

use cranelift_entity::{PrimaryMap, entity_impl};
use iced_x86::Code;
use smallvec::SmallVec;

use super::ops::VectorOp;
use super::pool::{Pool, PoolEntry};

/// A virtual register.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Reg(u32);
entity_impl!(Reg, "r");

/// A place to jump to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Label(u32);
entity_impl!(Label, "l");

/// Which registers of the machine may hold a virtual one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    /// 64-bit integers.
    General,
    /// xmm, ymm, zmm.
    Vector,
    /// AVX-512's k registers.
    Mask,
}

/// The width of a vector: 128, 256 or 512 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Width {
    X,
    Y,
    Z,
}

impl Width {
    /// The narrowest that holds so many 32-bit lanes.
    pub(super) fn of_lanes(lanes: u8) -> Width {
        match lanes {
            0..=4 => Width::X,
            5..=8 => Width::Y,
            _ => Width::Z,
        }
    }

    pub(super) fn bytes(self) -> u32 {
        16 << self as u32
    }
}

/// How an instruction names a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum View {
    /// All 64 bits.
    Full,
    /// The low 32 bits.
    Word,
    /// The low byte.
    Byte,
    /// So much of a vector.
    Vector(Width),
    /// A k register.
    Mask,
}

/// Where an address begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Base {
    Register(Reg),
    /// A constant beside the code.
    Pool(PoolEntry),
    /// A slot of the frame, by its offset in bytes.
    Frame(u32),
}

/// A memory operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Memory {
    pub(super) base: Base,
    /// A register times 1, 2, 4 or 8.
    pub(super) index: Option<(Reg, u8)>,
    pub(super) displacement: i32,
    /// One element for every lane.
    pub(super) broadcast: bool,
}

impl Memory {
    pub(super) fn at(base: Base) -> Memory {
        Memory {
            base,
            index: None,
            displacement: 0,
            broadcast: false,
        }
    }
}

/// An operand, in the order of Intel's manual.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operand {
    Register(Reg, View),
    Memory(Memory),
    Immediate(i64),
}

/// What an instruction does with its first operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum First {
    Writes,
    Modifies,
    Reads,
}

/// The operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Op {
    Vector(VectorOp, Width),
    /// An instruction on general registers.
    General(Code),
    /// All bits clear, of a vector or a mask.
    Zero,
    /// All bits set, of a mask.
    Ones,
    /// Floor division of the second operand by a constant, through rax and rdx: see `lower::integer`.
    Divide {
        multiplier: PoolEntry,
        shift: u8,
    },
}

/// An instruction.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Inst {
    pub(super) op: Op,
    pub(super) first: First,
    pub(super) operands: SmallVec<[Operand; 4]>,
    /// The lanes to write, and whether the others become 0.
    pub(super) mask: Option<(Reg, bool)>,
}

impl Inst {
    pub(super) fn new(op: Op, first: First, operands: &[Operand]) -> Inst {
        Inst {
            op,
            first,
            operands: SmallVec::from_slice(operands),
            mask: None,
        }
    }

    /// The operand that may be memory instead of a register.
    pub(super) fn memory_slot(&self) -> Option<usize> {
        match self.op {
            Op::Vector(op, _) => op.shape().memory_slot,
            Op::General(code) => general_memory_slot(code),
            Op::Zero | Op::Ones | Op::Divide { .. } => None,
        }
    }

    /// The register that it writes.
    pub(super) fn written(&self) -> Option<Reg> {
        match (self.first, self.operands.first()) {
            (First::Writes | First::Modifies, Some(Operand::Register(reg, _))) => Some(*reg),
            _ => None,
        }
    }

    /// Whether it only copies a register.
    pub(super) fn copies(&self) -> Option<(Reg, Reg)> {
        let plain = matches!(
            self.op,
            Op::General(Code::Mov_r64_rm64) | Op::Vector(VectorOp::Move | VectorOp::MaskMove, _)
        );
        match self.operands[..] {
            [Operand::Register(to, _), Operand::Register(from, _)] if plain => Some((to, from)),
            _ => None,
        }
    }
}

fn general_memory_slot(code: Code) -> Option<usize> {
    match code {
        Code::Mov_r64_rm64
        | Code::Add_r64_rm64
        | Code::Sub_r64_rm64
        | Code::And_r64_rm64
        | Code::Cmp_r64_rm64
        | Code::Imul_r64_rm64
        | Code::Imul_r64_rm64_imm32 => Some(1),
        Code::Cmp_rm64_imm32 => Some(0),
        _ => None,
    }
}

/// A step of the code.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Item {
    Inst(Inst),
    Label(Label),
    /// A jump: `Jmp_rel32_64` or a conditional one.
    Jump(Code, Label),
    /// What follows runs many times; the label comes next.
    LoopBegin,
    LoopEnd,
}

/// What is known of a virtual register.
#[derive(Clone, Copy, Debug)]
pub(super) struct RegInfo {
    pub(super) class: Class,
    pub(super) width: Width,
    /// Where its only value can be loaded from at any time.
    pub(super) constant: Option<Memory>,
}

/// A kernel's machine code before registers are assigned.
#[derive(Default)]
pub(super) struct Program {
    pub(super) regs: PrimaryMap<Reg, RegInfo>,
    pub(super) items: Vec<Item>,
    pub(super) labels: u32,
    /// Where the address of the argument block is on entry.
    pub(super) argument: Option<Reg>,
    pub(super) pool: Pool,
}

impl Program {
    pub(super) fn general(&mut self) -> Reg {
        self.fresh(Class::General, Width::X)
    }

    pub(super) fn vector(&mut self, width: Width) -> Reg {
        self.fresh(Class::Vector, width)
    }

    pub(super) fn mask(&mut self) -> Reg {
        self.fresh(Class::Mask, Width::X)
    }

    pub(super) fn fresh(&mut self, class: Class, width: Width) -> Reg {
        self.regs.push(RegInfo {
            class,
            width,
            constant: None,
        })
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels += 1;
        Label(self.labels - 1)
    }

    /// The register as the whole of it is named.
    pub(super) fn whole(&self, reg: Reg) -> Operand {
        let info = self.regs[reg];
        let view = match info.class {
            Class::General => View::Full,
            Class::Vector => View::Vector(info.width),
            Class::Mask => View::Mask,
        };
        Operand::Register(reg, view)
    }
}
