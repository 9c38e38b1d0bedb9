//! What a processor does in a cycle: how many operations of each kind at once, and how long a result takes. The numbers
//! are a model of today's wide x86 cores, not of one of them: constants for each instruction set, never measurements.

use crate::loops::{Instruction, LoadKind, TILE, Type, VectorBinary, VectorUnary, turned_from};
use std::ops::{Add, AddAssign, Mul};

/// Multiplications, and multiply-adds, in a cycle.
const MULTIPLIES: f64 = 2.0;
/// Other vector operations in a cycle.
const OTHERS: f64 = 2.0;
/// Loads in a cycle.
const LOADS: f64 = 2.0;
/// Stores in a cycle.
const STORES: f64 = 1.0;
/// Operations of any kind in a cycle.
pub(super) const ANY: f64 = 5.0;
/// Multiplications that take as long as a division or a root.
const DIVISION: f64 = 10.0;
/// Multiplications that take as long as the products of a register's pairs: both ports that multiply, for two cycles.
const PAIRS: f64 = 4.0;
/// Operations that add up the lanes of a register: a shuffle and an addition for each half.
const LANE_SUM: f64 = 6.0;
/// Operations of a maximum or minimum that passes NaN on.
const EXTREMUM: f64 = 3.0;
/// Cycles that a loop's end costs: the branch that was not foreseen.
pub(super) const LOOP_END: f64 = 8.0;
/// Cycles of a call: arguments, saved registers.
pub(super) const CALL: f64 = 40.0;

/// An instruction set's widths.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// f32 lanes of a register.
    pub register_lanes: usize,
    /// Instructions of one multiply-add.
    pub fma_instructions: usize,
}

/// Operations of a stretch of code without branches, by what they wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Operations {
    /// Multiplications and multiply-adds, of one register each.
    pub multiplies: f64,
    /// Other vector operations.
    pub others: f64,
    /// Loads.
    pub loads: f64,
    /// Stores.
    pub stores: f64,
    /// Arithmetic of counters and addresses.
    pub scalars: f64,
}

impl Operations {
    /// How many, of all kinds.
    pub fn count(&self) -> f64 {
        self.multiplies + self.others + self.loads / 2.0 + self.stores + self.scalars
    }

    /// Cycles until all are done, if none waits for another's result.
    pub fn cycles(&self) -> f64 {
        [
            self.multiplies / MULTIPLIES,
            self.others / OTHERS,
            self.loads / LOADS,
            self.stores / STORES,
            self.count() / ANY,
        ]
        .into_iter()
        .fold(0.0, f64::max)
    }
}

impl Add for Operations {
    type Output = Operations;

    fn add(self, other: Operations) -> Operations {
        Operations {
            multiplies: self.multiplies + other.multiplies,
            others: self.others + other.others,
            loads: self.loads + other.loads,
            stores: self.stores + other.stores,
            scalars: self.scalars + other.scalars,
        }
    }
}

impl AddAssign for Operations {
    fn add_assign(&mut self, other: Operations) {
        *self = *self + other;
    }
}

impl Mul<f64> for Operations {
    type Output = Operations;

    fn mul(self, times: f64) -> Operations {
        Operations {
            multiplies: self.multiplies * times,
            others: self.others * times,
            loads: self.loads * times,
            stores: self.stores * times,
            scalars: self.scalars * times,
        }
    }
}

impl Ports {
    /// Registers that a value fills.
    fn registers(&self, ty: Type) -> f64 {
        ty.lanes()
            .map_or(1.0, |lanes| f64::from(lanes) / self.register_lanes as f64)
            .ceil()
    }

    /// What a store of a value does.
    pub(super) fn store(&self, ty: Type, stride: i64) -> Operations {
        let lanes = f64::from(ty.lanes().unwrap_or(1));
        match stride {
            1 => Operations {
                stores: self.registers(ty),
                ..Operations::default()
            },
            _ => Operations {
                stores: lanes,
                others: lanes,
                ..Operations::default()
            },
        }
    }

    /// Whether so many neighbours whose lanes lie apart are turned in registers.
    pub(super) fn turns(&self, columns: usize) -> bool {
        turned_from(self.register_lanes).is_some_and(|least| columns >= least)
    }

    /// What storing a tile of such values does: two shuffles of each with another, and a store for each row.
    pub(super) fn turned(&self, ty: Type) -> Operations {
        Operations {
            stores: f64::from(ty.lanes().unwrap_or(1)),
            others: 2.0 * TILE as f64 * self.registers(ty),
            ..Operations::default()
        }
    }

    /// What an instruction that gives a value of that type does.
    pub(super) fn operations(&self, instruction: &Instruction, ty: Type) -> Operations {
        let registers = self.registers(ty);
        let lanes = f64::from(ty.lanes().unwrap_or(1));
        let multiplies = |count: f64| Operations {
            multiplies: count * registers,
            ..Operations::default()
        };
        let others = |count: f64| Operations {
            others: count * registers,
            ..Operations::default()
        };
        match instruction {
            Instruction::IndexConst(_)
            | Instruction::FloatConst(_)
            | Instruction::IntConst(_)
            | Instruction::MaskConst(_)
            | Instruction::LaneIota => Operations::default(),
            Instruction::Int(..) | Instruction::IntToIndex(_) => Operations {
                scalars: 1.0,
                ..Operations::default()
            },
            Instruction::Load { kind, .. } => match kind {
                LoadKind::Contiguous => Operations {
                    loads: registers,
                    ..Operations::default()
                },
                LoadKind::Splat | LoadKind::SplatPair => Operations {
                    loads: 1.0,
                    ..Operations::default()
                },
                LoadKind::Strided(_) => Operations {
                    loads: lanes,
                    others: lanes,
                    ..Operations::default()
                },
            },
            Instruction::DotPairs(..) => multiplies(PAIRS),
            Instruction::Fma(..) => multiplies(self.fma_instructions as f64),
            Instruction::Binary(VectorBinary::Mul | VectorBinary::IntMul, ..) => multiplies(1.0),
            Instruction::Binary(VectorBinary::Div, ..)
            | Instruction::Unary(VectorUnary::Sqrt, _) => multiplies(DIVISION),
            Instruction::Binary(VectorBinary::MaxNan | VectorBinary::MinNan, ..) => {
                others(EXTREMUM)
            }
            Instruction::ReduceAdd(_) => others(LANE_SUM),
            Instruction::Unary(..)
            | Instruction::Binary(..)
            | Instruction::Compare(..)
            | Instruction::Select(..)
            | Instruction::ShiftLeft(..)
            | Instruction::ShiftRight(..)
            | Instruction::Splat(_)
            | Instruction::IndexToInt(_)
            | Instruction::Extract(..)
            | Instruction::Join(..)
            | Instruction::Half(..) => others(1.0),
            // Functions are expanded before they are counted.
            Instruction::Math(..) => Operations::default(),
        }
    }

    /// Cycles from an instruction's operands to its result.
    pub(super) fn latency(&self, instruction: &Instruction) -> f64 {
        match instruction {
            Instruction::IndexConst(_)
            | Instruction::FloatConst(_)
            | Instruction::IntConst(_)
            | Instruction::MaskConst(_)
            | Instruction::LaneIota
            | Instruction::Int(..) => 0.0,
            Instruction::Load { .. } => 5.0,
            Instruction::DotPairs(..) => 8.0,
            Instruction::Fma(..) => 4.0 * self.fma_instructions as f64,
            Instruction::Binary(VectorBinary::Add | VectorBinary::Sub | VectorBinary::Mul, ..) => {
                3.0
            }
            Instruction::Unary(
                VectorUnary::Floor
                | VectorUnary::Ceil
                | VectorUnary::Round
                | VectorUnary::ToInt
                | VectorUnary::ToFloat,
                _,
            ) => 3.0,
            Instruction::Binary(VectorBinary::IntMul, ..) => 4.0,
            Instruction::Binary(VectorBinary::MaxNan | VectorBinary::MinNan, ..) => EXTREMUM,
            Instruction::Binary(VectorBinary::Div, ..)
            | Instruction::Unary(VectorUnary::Sqrt, _) => 12.0,
            Instruction::ReduceAdd(_) => 12.0,
            _ => 1.0,
        }
    }
}
