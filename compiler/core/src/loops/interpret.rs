//! The slow evaluator of loop IR: obvious, checked at each access, the oracle of the emitters.

use std::ops::Range;

use smallvec::SmallVec;

use super::text::statement_line;
use super::{
    Access, Address, Block, Buffer, Conditional, Element, Instruction, IntOp, Kernel, LoadKind,
    LoopStatement, Statement, Type, Value, expand_math, lanes,
};

/// The kernel did what machine code must not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("kernel `{kernel}`, `{statement}`: {message}")]
pub struct InterpretError {
    /// The kernel's name.
    pub kernel: String,
    /// The statement, as text.
    pub statement: String,
    /// What it did.
    pub message: String,
}

/// Runs `kernel` on `buffers` (bytes, in the order of the kernel's buffers; elements in the machine's byte order) and
/// `scalars`. Functions ([`Instruction::Math`]) are expanded first.
///
/// # Errors
/// An access outside its buffer, or of a kind that the buffer is not declared for; a load from a `write_read` buffer of what
/// the kernel has not stored; a byte of a `bool` buffer that is
/// neither 0 nor 1; too few arguments; a kernel that the verifier refuses may give any error.
pub fn interpret(
    kernel: &Kernel,
    buffers: &mut [Vec<u8>],
    scalars: &[i64],
) -> Result<(), InterpretError> {
    interpret_observed(kernel, buffers, scalars, &|_| ())
}

/// A stretch of a buffer that a kernel reads or writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// Which buffer.
    pub buffer: Buffer,
    /// Which bytes of it.
    pub bytes: Range<usize>,
    /// Whether they are written.
    pub writes: bool,
}

/// As [`interpret`]; tells each access to memory, before it happens.
///
/// # Errors
/// As [`interpret`].
pub fn interpret_observed(
    kernel: &Kernel,
    buffers: &mut [Vec<u8>],
    scalars: &[i64],
    observe: &dyn Fn(Touch),
) -> Result<(), InterpretError> {
    let kernel = &expand_math(kernel);
    let given = (buffers.len(), scalars.len());
    let stored = kernel.buffers.values().zip(buffers.iter());
    let stored = stored.map(|(decl, bytes)| match decl.access {
        Access::WriteRead => vec![false; bytes.len()],
        _ => Vec::new(),
    });
    let mut machine = Machine {
        kernel,
        stored: stored.collect(),
        buffers,
        observe,
        slots: vec![Slot::default(); kernel.values.len()],
    };
    if given != (kernel.buffers.len(), kernel.scalars.len()) {
        return Err(InterpretError {
            kernel: kernel.name.clone(),
            statement: "call".into(),
            message: format!("{} buffers and {} scalars are given", given.0, given.1),
        });
    }
    for ((value, _), &scalar) in kernel.scalars.iter().zip(scalars) {
        machine.slots[value.as_u32() as usize].index = scalar;
    }
    machine.block(&kernel.body)
}

/// A value's content: an index or lanes.
#[derive(Clone, Default)]
struct Slot {
    index: i64,
    lanes: SmallVec<[u32; 16]>,
}

struct Machine<'a> {
    kernel: &'a Kernel,
    buffers: &'a mut [Vec<u8>],
    observe: &'a dyn Fn(Touch),
    slots: Vec<Slot>,
    /// Of each buffer whose content is the kernel's own, the bytes that it has stored.
    stored: Vec<Vec<bool>>,
}

type Ran<T> = Result<T, InterpretError>;

impl Machine<'_> {
    fn block(&mut self, block: &Block) -> Ran<()> {
        for statement in &block.statements {
            let result = match statement {
                Statement::Define(value, instruction) => self.define(*value, instruction),
                Statement::Store {
                    address,
                    value,
                    stride,
                } => self.store(address, *value, *stride),
                Statement::Prefetch(_) => Ok(()),
                Statement::Loop(statement) => {
                    self.loop_statement(statement)?;
                    Ok(())
                }
                Statement::If(conditional) => {
                    self.conditional(conditional)?;
                    Ok(())
                }
            };
            result.map_err(|message| InterpretError {
                kernel: self.kernel.name.clone(),
                statement: statement_line(self.kernel, statement),
                message,
            })?;
        }
        Ok(())
    }

    fn loop_statement(&mut self, statement: &LoopStatement) -> Ran<()> {
        let end = self.index(statement.end);
        let mut counter = self.index(statement.begin);
        let initials = statement.carried.iter().map(|c| (c.argument, c.initial));
        self.move_all(initials.collect());
        while counter < end {
            self.slot(statement.variable).index = counter;
            self.block(&statement.body)?;
            let nexts = statement.carried.iter().map(|c| (c.argument, c.next));
            self.move_all(nexts.collect());
            counter = counter.wrapping_add(statement.step);
        }
        let results = statement.carried.iter().map(|c| (c.result, c.argument));
        self.move_all(results.collect());
        Ok(())
    }

    fn conditional(&mut self, conditional: &Conditional) -> Ran<()> {
        let taken = self.index(conditional.condition) != 0;
        if taken {
            self.block(&conditional.body)?;
        }
        let results = conditional.results.iter();
        let choose = |then, otherwise| if taken { then } else { otherwise };
        self.move_all(results.map(|r| (r.0, choose(r.1, r.2))).collect());
        Ok(())
    }

    /// Assigns all at once, as block arguments do.
    fn move_all(&mut self, moves: Vec<(Value, Value)>) {
        let sources: Vec<Slot> = moves.iter().map(|m| self.slot(m.1).clone()).collect();
        for ((target, _), source) in moves.into_iter().zip(sources) {
            *self.slot(target) = source;
        }
    }

    fn slot(&mut self, value: Value) -> &mut Slot {
        &mut self.slots[value.as_u32() as usize]
    }

    fn index(&self, value: Value) -> i64 {
        self.slots[value.as_u32() as usize].index
    }

    fn lanes(&self, value: Value) -> &[u32] {
        &self.slots[value.as_u32() as usize].lanes
    }

    fn define(&mut self, value: Value, instruction: &Instruction) -> Result<(), String> {
        let slot = match instruction {
            Instruction::IndexConst(constant) => index(*constant),
            Instruction::Int(op, a, b) => index(int(*op, self.index(*a), self.index(*b))?),
            Instruction::IntToIndex(a) => index(i64::from(self.lanes(*a)[0] as i32)),
            _ => {
                let count = self.kernel.values[value].lanes().unwrap_or(1);
                Slot {
                    index: 0,
                    lanes: self.vector(instruction, usize::from(count))?,
                }
            }
        };
        *self.slot(value) = slot;
        Ok(())
    }

    fn vector(
        &self,
        instruction: &Instruction,
        count: usize,
    ) -> Result<SmallVec<[u32; 16]>, String> {
        let all = |bits: u32| SmallVec::from_elem(bits, count);
        Ok(match instruction {
            Instruction::FloatConst(value) => all(value.0.to_bits()),
            Instruction::IntConst(value) => all(*value as u32),
            Instruction::MaskConst(set) => all(lanes::mask(*set)),
            Instruction::Load { address, kind } => return self.load(address, *kind, count),
            Instruction::Unary(op, a) => self.each([*a], |[a]| lanes::unary(*op, a)),
            Instruction::Binary(op, a, b) => self.each([*a, *b], |[a, b]| lanes::binary(*op, a, b)),
            Instruction::Fma(a, b, c) => self.each([*a, *b, *c], |[a, b, c]| lanes::fma(a, b, c)),
            Instruction::DotPairs(a, b, c) => {
                self.each([*a, *b, *c], |[a, b, c]| lanes::dot_pairs(a, b, c))
            }
            Instruction::Compare(comparison, a, b) => {
                let compare = match self.kernel.values[*a] {
                    Type::F32(_) => lanes::compare_floats,
                    _ => lanes::compare_ints,
                };
                self.each([*a, *b], |[a, b]| compare(*comparison, a, b))
            }
            Instruction::Select(mask, a, b) => {
                self.each(
                    [*mask, *a, *b],
                    |[mask, a, b]| {
                        if mask != 0 { a } else { b }
                    },
                )
            }
            Instruction::ShiftLeft(a, by) => self.each([*a], |[a]| a << by),
            Instruction::ShiftRight(a, by) => self.each([*a], |[a]| a >> by),
            Instruction::Splat(a) => all(self.lanes(*a)[0]),
            Instruction::IndexToInt(a) => all(self.index(*a) as u32),
            Instruction::LaneIota => (0..count as u32).collect(),
            Instruction::ReduceAdd(a) => all(self.sum(*a)),
            Instruction::Extract(a, lane) => all(self.lanes(*a)[usize::from(*lane)]),
            Instruction::Join(a, b) => [self.lanes(*a), self.lanes(*b)].concat().into(),
            Instruction::Half(a, half) => {
                self.lanes(*a)[count * usize::from(*half)..][..count].into()
            }
            Instruction::Math(op, _) => return Err(format!("`{}` is not expanded", op.name())),
            Instruction::IndexConst(_) | Instruction::Int(..) | Instruction::IntToIndex(_) => {
                return Err("an index is no vector".into());
            }
        })
    }

    fn each<const N: usize>(
        &self,
        operands: [Value; N],
        function: impl Fn([u32; N]) -> u32,
    ) -> SmallVec<[u32; 16]> {
        let operands = operands.map(|operand| self.lanes(operand));
        (0..operands[0].len())
            .map(|lane| function(operands.map(|operand| operand[lane])))
            .collect()
    }

    /// Adds the upper half to the lower until one lane is left.
    fn sum(&self, vector: Value) -> u32 {
        let mut sums: SmallVec<[u32; 16]> = self.lanes(vector).into();
        let float = matches!(self.kernel.values[vector], Type::F32(_));
        while sums.len() > 1 {
            let half = sums.len() / 2;
            for lane in 0..half {
                let (a, b) = (sums[lane], sums[lane + half]);
                sums[lane] = match float {
                    true => (f32::from_bits(a) + f32::from_bits(b)).to_bits(),
                    false => a.wrapping_add(b),
                };
            }
            sums.truncate(half);
        }
        sums[0]
    }

    fn load(
        &self,
        address: &Address,
        kind: LoadKind,
        count: usize,
    ) -> Result<SmallVec<[u32; 16]>, String> {
        let stride = match kind {
            LoadKind::Contiguous => 1,
            LoadKind::Splat => 0,
            LoadKind::Strided(stride) => stride,
            LoadKind::SplatPair => 0,
        };
        if self.kernel.buffers[address.buffer].access == Access::Write {
            return Err(format!("{} is only written", address.buffer));
        }
        if kind == LoadKind::SplatPair {
            let (low, high) = (self.load_lane(address, 0)?, self.load_lane(address, 1)?);
            return Ok(SmallVec::from_elem(high << 16 | low, count));
        }
        (0..count as i64)
            .map(|lane| self.load_lane(address, lane.wrapping_mul(stride)))
            .collect()
    }

    fn load_lane(&self, address: &Address, beyond: i64) -> Result<u32, String> {
        let (element, at) = self.place(address, beyond)?;
        self.touch(address, at, element, false);
        let stored = self.stored[address.buffer.as_u32() as usize].get(at);
        if stored == Some(&false) {
            return Err(format!(
                "{} is loaded where nothing is stored yet",
                address.buffer
            ));
        }
        let bytes = &self.buffers[address.buffer.as_u32() as usize];
        match element {
            Element::F32 | Element::I32 => {
                let mut word = [0; 4];
                word.copy_from_slice(&bytes[at..at + 4]);
                Ok(u32::from_ne_bytes(word))
            }
            Element::U8 => Ok(u32::from(bytes[at])),
            Element::Bf16 => Ok(u32::from(u16::from_ne_bytes([bytes[at], bytes[at + 1]]))),
            Element::Bool if bytes[at] < 2 => Ok(lanes::mask(bytes[at] == 1)),
            Element::Bool => Err(format!("the byte {} is no bool", bytes[at])),
        }
    }

    fn store(&mut self, address: &Address, value: Value, stride: i64) -> Result<(), String> {
        if self.kernel.buffers[address.buffer].access == Access::Read {
            return Err(format!("{} is only read", address.buffer));
        }
        for lane in 0..self.lanes(value).len() {
            let bits = self.lanes(value)[lane];
            let (element, at) = self.place(address, (lane as i64).wrapping_mul(stride))?;
            self.touch(address, at, element, true);
            if let Some(stored) = self.stored[address.buffer.as_u32() as usize].get_mut(at) {
                *stored = true;
            }
            let bytes = &mut self.buffers[address.buffer.as_u32() as usize];
            match element {
                Element::F32 | Element::I32 => {
                    bytes[at..at + 4].copy_from_slice(&bits.to_ne_bytes());
                }
                Element::U8 => bytes[at] = bits as u8,
                Element::Bf16 => bytes[at..at + 2].copy_from_slice(&(bits as u16).to_ne_bytes()),
                Element::Bool => bytes[at] = u8::from(bits != 0),
            }
        }
        Ok(())
    }

    fn touch(&self, address: &Address, at: usize, element: Element, writes: bool) {
        (self.observe)(Touch {
            buffer: address.buffer,
            bytes: at..at + element.bytes(),
            writes,
        });
    }

    /// The element type and first byte of the element `beyond` the address.
    fn place(&self, address: &Address, beyond: i64) -> Result<(Element, usize), String> {
        let element = self.kernel.buffers[address.buffer].element;
        let mut at = address.offset.wrapping_add(beyond);
        for &(value, factor) in &address.terms {
            at = at.wrapping_add(self.index(value).wrapping_mul(factor));
        }
        let count = self.buffers[address.buffer.as_u32() as usize].len() / element.bytes();
        match usize::try_from(at) {
            Ok(place) if place < count => Ok((element, place * element.bytes())),
            _ => Err(format!(
                "element {at} of {} is outside 0..{count}",
                address.buffer
            )),
        }
    }
}

fn index(index: i64) -> Slot {
    Slot {
        index,
        lanes: SmallVec::new(),
    }
}

fn int(op: IntOp, a: i64, b: i64) -> Result<i64, String> {
    if matches!(op, IntOp::DivFloor | IntOp::ModFloor) && b < 1 {
        return Err(format!("divides by {b}"));
    }
    Ok(match op {
        IntOp::Add => a.wrapping_add(b),
        IntOp::Sub => a.wrapping_sub(b),
        IntOp::Mul => a.wrapping_mul(b),
        IntOp::Min => a.min(b),
        IntOp::Max => a.max(b),
        IntOp::DivFloor => a.div_euclid(b),
        IntOp::ModFloor => a.rem_euclid(b),
        IntOp::Less => i64::from(a < b),
        IntOp::LessEqual => i64::from(a <= b),
        IntOp::Equal => i64::from(a == b),
        IntOp::And => i64::from(a != 0 && b != 0),
    })
}
