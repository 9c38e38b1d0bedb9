//! Rewrites functions ([`Instruction::Math`]) into basic instructions, with the project's own polynomials, so that
//! their bits are the same on every machine that has a fused multiply-add.
//!
//! Accuracy against the true value, checked by the tests over dense ranges: `exp`, `log`, `tanh` and `erf` within
//! 2 ulp; `sin` and `cos` within 1e-6 for |x| up to 1e5, of any value in -1..=1 above 6e6; `pow` within 16 ulp;
//! remainders, integer division and random words exact. `exp`, `pow` and what is built on them flush results below
//! 2^-126 to zero; subnormal arguments are handled. Infinities and NaN give what IEEE 754 recommends.

mod exponential;
mod integer;
mod lane_math;
mod pairs;
mod quotient;
mod remainder;
mod threefry;
mod trigonometric;

use cranelift_entity::SecondaryMap;

use self::lane_math::LaneMath;
use super::{
    Address, Affine, Block, BuildError, Conditional, Instruction, Kernel, KernelBuilder,
    LoopStatement, MathOp, Statement, Value, VectorBinary,
};

/// The same kernel without [`Instruction::Math`], nor divisions by what is the same in all rounds of a loop. A kernel that
/// the verifier refuses comes back as it is.
pub fn expand_math(kernel: &Kernel) -> Kernel {
    if !has_math(kernel) && !has_division(kernel) {
        return kernel.clone();
    }
    rebuild(kernel, false).unwrap_or_else(|_| kernel.clone())
}

/// The same kernel without [`Instruction::Math`] and [`Instruction::DotPairs`], for machines that have no instruction
/// for the latter. A kernel that the verifier refuses comes back as it is.
pub fn expand_pairs(kernel: &Kernel) -> Kernel {
    if !has_pairs(kernel) {
        return expand_math(kernel);
    }
    rebuild(kernel, true).unwrap_or_else(|_| kernel.clone())
}

fn has_pairs(kernel: &Kernel) -> bool {
    let mut found = false;
    kernel.body.for_each_statement(&mut |statement| {
        found |= matches!(statement, Statement::Define(_, Instruction::DotPairs(..)));
    });
    found
}

/// Whether a function is left to expand.
pub(super) fn has_math(kernel: &Kernel) -> bool {
    let mut found = false;
    kernel.body.for_each_statement(&mut |statement| {
        found |= matches!(statement, Statement::Define(_, Instruction::Math(..)));
    });
    found
}

fn has_division(kernel: &Kernel) -> bool {
    let mut found = false;
    kernel.body.for_each_statement(&mut |statement| {
        let divides = |instruction: &Instruction| {
            matches!(instruction, Instruction::Binary(VectorBinary::Div, ..))
        };
        found |= matches!(statement, Statement::Define(_, instruction) if divides(instruction));
    });
    found
}

fn rebuild(kernel: &Kernel, pairs: bool) -> Result<Kernel, BuildError> {
    let mut rebuild = Rebuild {
        old: kernel,
        pairs,
        builder: KernelBuilder::new(kernel.name.clone()),
        map: SecondaryMap::new(),
        lost: false,
    };
    for decl in kernel.buffers.values() {
        let (element, access) = (decl.element, decl.access);
        rebuild.builder.buffer(decl.name.clone(), element, access);
    }
    for (value, name) in &kernel.scalars {
        let new = rebuild.builder.scalar(name.clone());
        rebuild.map[*value] = Some(new);
    }
    kernel
        .notes
        .iter()
        .for_each(|note| rebuild.builder.note(note.clone()));
    kernel
        .spans
        .iter()
        .for_each(|span| rebuild.builder.span(*span));
    rebuild.block(&kernel.body);
    if rebuild.lost {
        return Err(BuildError {
            kernel: kernel.name.clone(),
            message: "a value is used that nothing defines".into(),
        });
    }
    rebuild.builder.finish()
}

/// Builds the kernel anew, statement by statement.
struct Rebuild<'a> {
    old: &'a Kernel,
    /// Whether products of pairs are written out too.
    pairs: bool,
    builder: KernelBuilder,
    map: SecondaryMap<Value, Option<Value>>,
    lost: bool,
}

impl Rebuild<'_> {
    fn block(&mut self, block: &Block) {
        for statement in &block.statements {
            match statement {
                Statement::Define(value, instruction) => {
                    let new = self.define(*value, instruction);
                    self.map[*value] = Some(new);
                }
                Statement::Store {
                    address,
                    value,
                    stride,
                } => {
                    let (address, value) = (self.address(address), self.value(*value));
                    self.builder.store_strided(address, value, *stride);
                }
                Statement::Prefetch(address) => {
                    let address = self.address(address);
                    self.builder.prefetch(address);
                }
                Statement::Loop(statement) => self.loop_statement(statement),
                Statement::If(conditional) => self.conditional(conditional),
            }
        }
    }

    fn define(&mut self, value: Value, instruction: &Instruction) -> Value {
        let lanes = self.old.values[value].lanes().unwrap_or(1);
        if let Instruction::Math(op, operands) = instruction {
            let operands: Vec<Value> = operands.iter().map(|&v| self.value(v)).collect();
            return expand(&mut self.builder, *op, &operands);
        }
        if let Instruction::Binary(VectorBinary::Div, a, b) = instruction {
            let [a, b] = [a, b].map(|&operand| self.value(operand));
            let m = &mut LaneMath {
                builder: &mut self.builder,
                lanes,
            };
            return quotient::by_invariant(m, a, b).unwrap_or_else(|| m.div(a, b));
        }
        if let Instruction::DotPairs(a, b, c) = instruction
            && self.pairs
        {
            let [a, b, c] = [a, b, c].map(|&operand| self.value(operand));
            let m = &mut LaneMath {
                builder: &mut self.builder,
                lanes,
            };
            return pairs::dot_pairs(m, a, b, c);
        }
        let instruction = instruction.map_operands(|operand| self.value(operand));
        self.builder.define(instruction, lanes)
    }

    fn loop_statement(&mut self, statement: &LoopStatement) {
        let (begin, end) = (self.value(statement.begin), self.value(statement.end));
        let initials = self.values(statement.carried.iter().map(|c| c.initial));
        let (kind, name) = (statement.kind, statement.name.clone());
        let (variable, arguments) =
            self.builder
                .begin_loop(kind, name, begin, end, statement.step, &initials);
        self.map[statement.variable] = Some(variable);
        for (carried, argument) in statement.carried.iter().zip(arguments) {
            self.map[carried.argument] = Some(argument);
        }
        self.block(&statement.body);
        let nexts = self.values(statement.carried.iter().map(|c| c.next));
        let results = self.builder.end_loop(&nexts);
        for (carried, result) in statement.carried.iter().zip(results) {
            self.map[carried.result] = Some(result);
        }
    }

    fn conditional(&mut self, conditional: &Conditional) {
        let condition = self.value(conditional.condition);
        self.builder.begin_if(condition);
        self.block(&conditional.body);
        let pairs: Vec<(Value, Value)> = conditional
            .results
            .iter()
            .map(|&(_, then, otherwise)| (self.value(then), self.value(otherwise)))
            .collect();
        let results = self.builder.end_if(&pairs);
        for (&(old, ..), new) in conditional.results.iter().zip(results) {
            self.map[old] = Some(new);
        }
    }

    fn address(&mut self, address: &Address) -> Address {
        let terms: Vec<(Value, i64)> = address
            .terms
            .iter()
            .map(|&(value, factor)| (self.value(value), factor))
            .collect();
        Affine::from_terms(terms, address.offset).address(address.buffer)
    }

    fn values(&mut self, old: impl Iterator<Item = Value>) -> Vec<Value> {
        old.map(|value| self.value(value)).collect()
    }

    fn value(&mut self, old: Value) -> Value {
        self.map[old].unwrap_or_else(|| {
            self.lost = true;
            self.builder.index(0)
        })
    }
}

/// Writes one function out.
fn expand(builder: &mut KernelBuilder, op: MathOp, operands: &[Value]) -> Value {
    let lanes = operands.first().map_or(1, |&value| builder.lanes_of(value));
    let m = &mut LaneMath { builder, lanes };
    match (op, operands) {
        (MathOp::Exp, &[x]) => exponential::exp(m, x),
        (MathOp::Log, &[x]) => exponential::log(m, x),
        (MathOp::Tanh, &[x]) => exponential::tanh(m, x),
        (MathOp::Erf, &[x]) => exponential::erf(m, x),
        (MathOp::Pow, &[x, y]) => exponential::pow(m, x, y),
        (MathOp::Sin, &[x]) => trigonometric::sin(m, x),
        (MathOp::Cos, &[x]) => trigonometric::cos(m, x),
        (MathOp::Rem, &[x, y]) => remainder::rem(m, x, y),
        (MathOp::IntRem, &[a, b]) => integer::rem(m, a, b),
        (MathOp::IntDiv, &[a, b]) => integer::div(m, a, b),
        (MathOp::Threefry0, &[index, step, seed, place]) => {
            threefry::threefry(m, [seed, place], [index, step])[0]
        }
        (MathOp::Threefry1, &[index, step, seed, place]) => {
            threefry::threefry(m, [seed, place], [index, step])[1]
        }
        // A wrong number of operands: kept, so that `finish` reports it.
        _ => m.builder.math(op, operands),
    }
}

#[cfg(test)]
mod tests;
