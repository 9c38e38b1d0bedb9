//! The type of an instruction's result, and the rules its operands obey.

use super::{
    Element, Instruction, Kernel, LoadKind, MathOp, Type, Value, VectorBinary as B,
    VectorUnary as U,
};

/// The lane counts a vector may have.
pub const LANES: [u8; 5] = [1, 2, 4, 8, 16];

/// An operand does not fit its instruction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TypeError(pub String);

impl Type {
    /// The number of lanes; `Index` has none.
    pub fn lanes(self) -> Option<u8> {
        match self {
            Type::Index => None,
            Type::F32(lanes) | Type::I32(lanes) | Type::Mask(lanes) => Some(lanes),
        }
    }

    /// The same kind with another number of lanes; `Index` stays.
    pub fn with_lanes(self, lanes: u8) -> Type {
        match self {
            Type::Index => Type::Index,
            Type::F32(_) => Type::F32(lanes),
            Type::I32(_) => Type::I32(lanes),
            Type::Mask(_) => Type::Mask(lanes),
        }
    }
}

impl Element {
    /// The type of a value of that many lanes loaded from such elements.
    pub fn loaded(self, lanes: u8) -> Type {
        match self {
            Element::F32 => Type::F32(lanes),
            Element::I32 | Element::U8 | Element::Bf16 => Type::I32(lanes),
            Element::Bool => Type::Mask(lanes),
        }
    }

    /// Bytes in memory.
    pub fn bytes(self) -> usize {
        match self {
            Element::F32 | Element::I32 => 4,
            Element::Bf16 => 2,
            Element::U8 | Element::Bool => 1,
        }
    }
}

/// Infers the type of `instruction`. `lanes` counts only where the operands do not determine it: constants, loads,
/// `Splat`, `IndexToInt` and `LaneIota`.
///
/// # Errors
/// Where an operand or an address' value has the wrong type, or a lane number is out of range.
pub fn infer(kernel: &Kernel, instruction: &Instruction, lanes: u8) -> Result<Type, TypeError> {
    let rules = Rules { kernel };
    match instruction {
        Instruction::IndexConst(_) => Ok(Type::Index),
        Instruction::FloatConst(_) => Ok(Type::F32(lanes)),
        Instruction::IntConst(_) | Instruction::LaneIota => Ok(Type::I32(lanes)),
        Instruction::MaskConst(_) => Ok(Type::Mask(lanes)),
        Instruction::Int(_, a, b) => rules.all_index(&[*a, *b]),
        Instruction::Load { address, kind } => {
            let terms: Vec<Value> = address.terms.iter().map(|term| term.0).collect();
            rules.all_index(&terms)?;
            let buffer = rules.kernel.buffers.get(address.buffer);
            let buffer = buffer.ok_or_else(|| TypeError("no such buffer".into()))?;
            let element = buffer.element;
            if *kind == LoadKind::SplatPair && element.bytes() != 2 {
                return Err(TypeError(format!(
                    "pairs are of elements of two bytes, found {}",
                    element.name()
                )));
            }
            Ok(element.loaded(lanes))
        }
        Instruction::Unary(op, a) => rules.unary(*op, *a),
        Instruction::Binary(op, a, b) => rules.binary(*op, *a, *b),
        Instruction::Fma(a, b, c) => rules.floats(&[*a, *b, *c]),
        Instruction::DotPairs(a, b, c) => rules.dot_pairs(*a, *b, *c),
        Instruction::Compare(_, a, b) => rules.compare(*a, *b),
        Instruction::Select(mask, a, b) => rules.select(*mask, *a, *b),
        Instruction::ShiftLeft(a, count) | Instruction::ShiftRight(a, count) => {
            rules.shift(*a, *count)
        }
        Instruction::Splat(a) => match rules.vector(*a)? {
            scalar if scalar.lanes() == Some(1) => Ok(scalar.with_lanes(lanes)),
            other => Err(TypeError(format!("splat takes one lane, found {other}"))),
        },
        Instruction::IndexToInt(a) => rules.all_index(&[*a]).map(|_| Type::I32(lanes)),
        Instruction::ReduceAdd(a) => rules.reduce_add(*a),
        Instruction::Extract(a, lane) => rules.extract(*a, *lane),
        Instruction::Join(a, b) => rules.join(*a, *b),
        Instruction::Half(a, half) => rules.half(*a, *half),
        Instruction::IntToIndex(a) => match rules.value(*a)? {
            Type::I32(1) => Ok(Type::Index),
            other => Err(TypeError(format!("expects i32x1, found {other}"))),
        },
        Instruction::Math(op, operands) => rules.math(*op, operands),
    }
}

struct Rules<'a> {
    kernel: &'a Kernel,
}

impl Rules<'_> {
    fn value(&self, value: Value) -> Result<Type, TypeError> {
        let found = self.kernel.values.get(value).copied();
        found.ok_or_else(|| TypeError(format!("no value {value}")))
    }

    fn vector(&self, value: Value) -> Result<Type, TypeError> {
        match self.value(value)? {
            Type::Index => Err(TypeError(format!("expects lanes, found index {value}"))),
            ty => Ok(ty),
        }
    }

    fn all_index(&self, values: &[Value]) -> Result<Type, TypeError> {
        self.all(values, Type::Index)
    }

    fn all(&self, values: &[Value], expected: Type) -> Result<Type, TypeError> {
        for &value in values {
            let found = self.value(value)?;
            if found != expected {
                return Err(TypeError(format!(
                    "expects {expected}, found {value}: {found}"
                )));
            }
        }
        Ok(expected)
    }

    fn of_first(&self, values: &[Value], make: fn(u8) -> Type) -> Result<Type, TypeError> {
        let lanes = self.vector(values[0])?.lanes().unwrap_or(1);
        self.all(values, make(lanes))
    }

    fn floats(&self, values: &[Value]) -> Result<Type, TypeError> {
        self.of_first(values, Type::F32)
    }

    fn ints(&self, values: &[Value]) -> Result<Type, TypeError> {
        self.of_first(values, Type::I32)
    }

    fn masks(&self, values: &[Value]) -> Result<Type, TypeError> {
        self.of_first(values, Type::Mask)
    }

    fn unary(&self, op: U, a: Value) -> Result<Type, TypeError> {
        match op {
            U::Neg | U::Abs | U::Sqrt | U::Floor | U::Ceil | U::Round => self.floats(&[a]),
            U::Not => self.masks(&[a]),
            U::ToInt | U::FloatToBits => self.floats(&[a]).map(|ty| as_kind(ty, Type::I32)),
            U::ToFloat | U::BitsToFloat => self.ints(&[a]).map(|ty| as_kind(ty, Type::F32)),
            U::MaskToInt => self.masks(&[a]).map(|ty| as_kind(ty, Type::I32)),
            U::IntToMask => self.ints(&[a]).map(|ty| as_kind(ty, Type::Mask)),
        }
    }

    fn binary(&self, op: B, a: Value, b: Value) -> Result<Type, TypeError> {
        match op {
            B::Add
            | B::Sub
            | B::Mul
            | B::Div
            | B::MinSelect
            | B::MaxSelect
            | B::MinNan
            | B::MaxNan => self.floats(&[a, b]),
            B::IntAdd
            | B::IntSub
            | B::IntMul
            | B::IntAnd
            | B::IntOr
            | B::IntXor
            | B::IntMin
            | B::IntMax => self.ints(&[a, b]),
            B::MaskAnd | B::MaskOr | B::MaskXor => self.masks(&[a, b]),
        }
    }

    fn dot_pairs(&self, a: Value, b: Value, c: Value) -> Result<Type, TypeError> {
        let sum = self.floats(&[c])?;
        self.all(&[a, b], as_kind(sum, Type::I32))?;
        Ok(sum)
    }

    fn compare(&self, a: Value, b: Value) -> Result<Type, TypeError> {
        let ty = self.vector(a)?;
        if let Type::Mask(_) = ty {
            return Err(TypeError(format!("masks are not compared: {a}")));
        }
        self.all(&[b], ty)?;
        Ok(as_kind(ty, Type::Mask))
    }

    fn select(&self, mask: Value, a: Value, b: Value) -> Result<Type, TypeError> {
        let ty = self.vector(a)?;
        self.all(&[b], ty)?;
        self.all(&[mask], as_kind(ty, Type::Mask))?;
        Ok(ty)
    }

    fn shift(&self, a: Value, count: u8) -> Result<Type, TypeError> {
        match count {
            0..32 => self.ints(&[a]),
            _ => Err(TypeError(format!("shifts by {count}, at most 31"))),
        }
    }

    fn reduce_add(&self, a: Value) -> Result<Type, TypeError> {
        match self.vector(a)? {
            Type::Mask(_) => Err(TypeError(format!("masks have no sum: {a}"))),
            ty => Ok(ty.with_lanes(1)),
        }
    }

    fn extract(&self, a: Value, lane: u8) -> Result<Type, TypeError> {
        let ty = self.vector(a)?;
        match ty.lanes() {
            Some(lanes) if lane < lanes => Ok(ty.with_lanes(1)),
            _ => Err(TypeError(format!("{a}: {ty} has no lane {lane}"))),
        }
    }

    fn join(&self, a: Value, b: Value) -> Result<Type, TypeError> {
        let ty = self.vector(a)?;
        self.all(&[b], ty)?;
        match ty {
            Type::F32(lanes @ (4 | 8)) | Type::I32(lanes @ (4 | 8)) => Ok(ty.with_lanes(2 * lanes)),
            _ => Err(TypeError(format!(
                "join takes 4 or 8 lanes of f32 or i32, found {ty}"
            ))),
        }
    }

    fn half(&self, a: Value, half: u8) -> Result<Type, TypeError> {
        let ty = self.vector(a)?;
        match ty {
            Type::F32(lanes @ (8 | 16)) | Type::I32(lanes @ (8 | 16)) if half < 2 => {
                Ok(ty.with_lanes(lanes / 2))
            }
            _ => Err(TypeError(format!("{a}: {ty} has no half {half}"))),
        }
    }

    fn math(&self, op: MathOp, operands: &[Value]) -> Result<Type, TypeError> {
        let expected = op.operand_count();
        if operands.len() != expected {
            return Err(TypeError(format!(
                "takes {expected} operands, found {}",
                operands.len()
            )));
        }
        match op {
            MathOp::IntRem | MathOp::IntDiv | MathOp::Threefry0 | MathOp::Threefry1 => {
                self.ints(operands)
            }
            _ => self.floats(operands),
        }
    }
}

fn as_kind(ty: Type, make: fn(u8) -> Type) -> Type {
    ty.lanes().map_or(Type::Index, make)
}

impl MathOp {
    /// How many operands it takes.
    pub fn operand_count(self) -> usize {
        match self {
            MathOp::Exp | MathOp::Log | MathOp::Tanh | MathOp::Erf | MathOp::Sin | MathOp::Cos => 1,
            MathOp::Pow | MathOp::Rem | MathOp::IntRem | MathOp::IntDiv => 2,
            MathOp::Threefry0 | MathOp::Threefry1 => 4,
        }
    }
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Type::Index => f.write_str("index"),
            Type::F32(lanes) => write!(f, "f32x{lanes}"),
            Type::I32(lanes) => write!(f, "i32x{lanes}"),
            Type::Mask(lanes) => write!(f, "maskx{lanes}"),
        }
    }
}
