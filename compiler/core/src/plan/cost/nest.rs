//! A kernel as the loop nest of its accesses: how many rounds each loop has, and how each address moves with its counters.
//!
//! Loops are taken at the middle of those around them: bounds that depend on outer counters, as at borders, have the
//! value that they have there. What data decide has the value 0.

use crate::loops::{
    Address, Block, Instruction, IntOp, Kernel, LoadKind, LoopStatement, Statement, Value,
};

/// A part of the nest.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// Rounds of the same accesses.
    Loop(Rounds),
    /// One access.
    Access(Access),
}

/// A loop.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rounds {
    /// Its number in the kernel.
    pub number: usize,
    /// How often the body runs.
    pub rounds: i64,
    /// What it does.
    pub body: Vec<Node>,
}

/// What one load or store touches.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Access {
    /// The number of the buffer among the kernel's.
    pub buffer: usize,
    /// Bytes by which a round of each loop moves it.
    pub steps: Vec<(usize, i64)>,
    /// In bytes, from the buffer's begin, in the first round of all loops.
    pub offset: i64,
    /// Bytes of each piece.
    pub bytes: i64,
    /// Pieces, and the bytes from one to the next.
    pub pieces: (i64, i64),
    /// Whether it stores.
    pub stores: bool,
}

/// The kernel's nest, and the rounds of its loops by number.
pub(super) fn of_kernel(kernel: &Kernel, arguments: &[i64]) -> (Vec<Node>, Vec<i64>) {
    let mut reader = Reader {
        kernel,
        forms: vec![Form::default(); kernel.values.len()],
        rounds: Vec::new(),
    };
    for ((value, _), &argument) in kernel.scalars.iter().zip(arguments) {
        reader.forms[at(*value)] = Form::constant(argument as f64);
    }
    let nodes = reader.block(&kernel.body);
    (nodes, reader.rounds)
}

fn at(value: Value) -> usize {
    value.as_u32() as usize
}

/// An index by the numbers of the rounds of the loops around it: `sum of round * step + offset`. Quotients are fractions.
#[derive(Clone, Debug, Default)]
struct Form {
    terms: Vec<(usize, f64)>,
    offset: f64,
}

impl Form {
    fn constant(offset: f64) -> Form {
        Form {
            terms: Vec::new(),
            offset,
        }
    }

    fn scaled(&self, factor: f64) -> Form {
        let terms = self.terms.iter().map(|&(own, step)| (own, step * factor));
        Form {
            terms: terms.collect(),
            offset: self.offset * factor,
        }
    }

    fn plus(&self, other: &Form, sign: f64) -> Form {
        let mut sum = self.clone();
        sum.offset += sign * other.offset;
        for &(number, step) in &other.terms {
            match sum.terms.iter_mut().find(|term| term.0 == number) {
                Some(term) => term.1 += sign * step,
                None => sum.terms.push((number, sign * step)),
            }
        }
        sum
    }
}

struct Reader<'k> {
    kernel: &'k Kernel,
    forms: Vec<Form>,
    rounds: Vec<i64>,
}

impl Reader<'_> {
    fn block(&mut self, block: &Block) -> Vec<Node> {
        let mut nodes = Vec::new();
        for statement in &block.statements {
            match statement {
                Statement::Define(value, instruction) => {
                    self.forms[at(*value)] = self.form(instruction);
                    if let Instruction::Load { address, kind } = instruction {
                        nodes.push(Node::Access(self.load(address, *kind, *value)));
                    }
                }
                Statement::Store {
                    address,
                    value,
                    stride,
                } => nodes.push(Node::Access(self.store(address, *value, *stride))),
                Statement::Prefetch(_) => {}
                Statement::Loop(statement) => nodes.extend(self.rounds(statement)),
                Statement::If(conditional) => nodes.extend(self.block(&conditional.body)),
            }
        }
        nodes
    }

    fn rounds(&mut self, statement: &LoopStatement) -> Option<Node> {
        let begin = self.forms[at(statement.begin)].clone();
        let step = statement.step.max(1);
        let extent = self.middle(&self.forms[at(statement.end)]) - self.middle(&begin);
        let rounds = (extent / step as f64).ceil().max(0.0) as i64;
        let number = self.rounds.len();
        self.rounds.push(rounds);
        let own = Form {
            terms: vec![(number, step as f64)],
            offset: 0.0,
        };
        self.forms[at(statement.variable)] = begin.plus(&own, 1.0);
        let body = self.block(&statement.body);
        (rounds > 0).then_some(Node::Loop(Rounds {
            number,
            rounds,
            body,
        }))
    }

    /// Its value in the middle of all loops.
    fn middle(&self, form: &Form) -> f64 {
        let terms = form.terms.iter();
        let moved = terms.map(|&(number, step)| step * (self.rounds[number] / 2) as f64);
        form.offset + moved.sum::<f64>()
    }

    fn form(&self, instruction: &Instruction) -> Form {
        match instruction {
            Instruction::IndexConst(number) => Form::constant(*number as f64),
            Instruction::Int(op, a, b) => {
                self.integer(*op, &self.forms[at(*a)], &self.forms[at(*b)])
            }
            _ => Form::default(),
        }
    }

    fn integer(&self, op: IntOp, a: &Form, b: &Form) -> Form {
        let (left, right) = (self.middle(a), self.middle(b));
        let a_is_less = left < right;
        match op {
            IntOp::Add => a.plus(b, 1.0),
            IntOp::Sub => a.plus(b, -1.0),
            IntOp::Mul if b.terms.is_empty() => a.scaled(b.offset),
            IntOp::Mul => b.scaled(left),
            IntOp::Min if a_is_less => a.clone(),
            IntOp::Max if !a_is_less => a.clone(),
            IntOp::Min | IntOp::Max => b.clone(),
            IntOp::DivFloor if a.terms.is_empty() => Form::constant((left / right).floor()),
            IntOp::DivFloor => a.scaled(1.0 / right),
            IntOp::ModFloor => Form::constant(left - (left / right).floor() * right),
            IntOp::Less => Form::constant(f64::from(a_is_less)),
            IntOp::LessEqual => Form::constant(f64::from(left <= right)),
            IntOp::Equal => Form::constant(f64::from((left - right).abs() < 0.5)),
            IntOp::And => Form::constant(f64::from(left != 0.0 && right != 0.0)),
        }
    }

    fn load(&self, address: &Address, kind: LoadKind, value: Value) -> Access {
        let lanes = self.lanes(value);
        match kind {
            LoadKind::Splat => self.access(address, 1, (1, 0), false),
            LoadKind::SplatPair => self.access(address, 2, (1, 0), false),
            LoadKind::Contiguous => self.access(address, lanes, (1, 0), false),
            LoadKind::Strided(stride) => self.access(address, 1, (lanes, stride), false),
        }
    }

    fn store(&self, address: &Address, value: Value, stride: i64) -> Access {
        match (self.lanes(value), stride) {
            (lanes, 1) => self.access(address, lanes, (1, 0), true),
            (lanes, stride) => self.access(address, 1, (lanes, stride), true),
        }
    }

    fn lanes(&self, value: Value) -> i64 {
        i64::from(self.kernel.values[value].lanes().unwrap_or(1))
    }

    /// Pieces of so many elements, and elements from one piece to the next.
    fn access(&self, address: &Address, elements: i64, pieces: (i64, i64), stores: bool) -> Access {
        let bytes = self.kernel.buffers[address.buffer].element.bytes() as i64;
        let mut form = Form::constant(address.offset as f64);
        for &(value, factor) in &address.terms {
            form = form.plus(&self.forms[at(value)].scaled(factor as f64), 1.0);
        }
        let form = form.scaled(bytes as f64);
        let steps = form.terms.iter();
        let steps = steps.map(|&(number, step)| (number, step.round() as i64));
        let mut steps: Vec<(usize, i64)> = steps.filter(|step| step.1 != 0).collect();
        steps.sort_unstable();
        Access {
            buffer: address.buffer.as_u32() as usize,
            steps,
            offset: form.offset.floor() as i64,
            bytes: elements * bytes,
            pieces: (pieces.0, pieces.1 * bytes),
            stores,
        }
    }
}
