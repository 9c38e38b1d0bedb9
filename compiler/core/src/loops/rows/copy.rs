//! Statements of one kernel within another.

use cranelift_entity::{EntityRef, SecondaryMap};

use super::{Side, Values};
use crate::loops::{
    Address, Block, Buffer, Carried, Conditional, Instruction, Kernel, LoopStatement, Statement,
    Type, Value,
};

/// Gives values and buffers of a kernel their names in another.
pub(super) struct Copier<'a> {
    side: Side<'a>,
    values: SecondaryMap<Value, Option<Value>>,
}

impl<'a> Copier<'a> {
    pub(super) fn new(side: Side<'a>, joint: &Kernel) -> Copier<'a> {
        let mut values = SecondaryMap::new();
        for ((own, _), &number) in side.kernel.scalars.iter().zip(side.scalars) {
            values[*own] = Some(joint.scalars[number].0);
        }
        Copier { side, values }
    }

    /// Adds statements that stand outside of the loop over rows. Constants that are there already are not repeated.
    pub(super) fn outside(
        &mut self,
        values: &mut Values,
        own: &[Statement],
        to: &mut Vec<Statement>,
    ) {
        for statement in own {
            if let Statement::Define(value, instruction) = statement
                && let Some(known) = known(values, to, instruction, self.side.kernel.values[*value])
            {
                self.values[*value] = Some(known);
                continue;
            }
            let copied = self.statement(values, statement);
            to.push(copied);
        }
    }

    /// A loop with a counter of its own.
    pub(super) fn loop_of(&mut self, values: &mut Values, own: &LoopStatement) -> LoopStatement {
        let variable = self.define(values, own.variable);
        self.loop_in(values, own, variable)
    }

    /// A loop with another's counter.
    pub(super) fn loop_in(
        &mut self,
        values: &mut Values,
        own: &LoopStatement,
        variable: Value,
    ) -> LoopStatement {
        self.values[own.variable] = Some(variable);
        let (begin, end) = (self.name(own.begin), self.name(own.end));
        let starts: Vec<(Value, Value)> = (own.carried.iter())
            .map(|carried| {
                (
                    self.name(carried.initial),
                    self.define(values, carried.argument),
                )
            })
            .collect();
        let body = self.block(values, &own.body);
        let carried = own.carried.iter().zip(starts);
        let carried = carried.map(|(carried, (initial, argument))| Carried {
            initial,
            argument,
            next: self.name(carried.next),
            result: self.define(values, carried.result),
        });
        LoopStatement {
            kind: own.kind,
            name: own.name.clone(),
            variable,
            begin,
            end,
            step: own.step,
            carried: carried.collect(),
            body,
        }
    }

    fn block(&mut self, values: &mut Values, own: &Block) -> Block {
        let statements = own.statements.iter();
        let statements = statements.map(|statement| self.statement(values, statement));
        Block {
            statements: statements.collect(),
        }
    }

    fn statement(&mut self, values: &mut Values, own: &Statement) -> Statement {
        match own {
            Statement::Define(value, instruction) => {
                let mut instruction = instruction.map_operands(|operand| self.name(operand));
                if let Instruction::Load { address, .. } = &mut instruction {
                    address.buffer = self.buffer(address.buffer);
                }
                Statement::Define(self.define(values, *value), instruction)
            }
            Statement::Store {
                address,
                value,
                stride,
            } => Statement::Store {
                address: self.address(address),
                value: self.name(*value),
                stride: *stride,
            },
            Statement::Prefetch(address) => Statement::Prefetch(self.address(address)),
            Statement::Loop(inner) => Statement::Loop(self.loop_of(values, inner)),
            Statement::If(inner) => Statement::If(self.conditional(values, inner)),
        }
    }

    fn conditional(&mut self, values: &mut Values, own: &Conditional) -> Conditional {
        let condition = self.name(own.condition);
        let body = self.block(values, &own.body);
        let results = own.results.iter().map(|&(result, then, otherwise)| {
            let (then, otherwise) = (self.name(then), self.name(otherwise));
            (self.define(values, result), then, otherwise)
        });
        Conditional {
            condition,
            body,
            results: results.collect(),
        }
    }

    fn address(&self, own: &Address) -> Address {
        let terms = own.terms.iter();
        let mut terms: Vec<(Value, i64)> = terms
            .map(|&(value, factor)| (self.name(value), factor))
            .collect();
        terms.sort_by_key(|term| term.0);
        Address {
            buffer: self.buffer(own.buffer),
            terms,
            offset: own.offset,
        }
    }

    fn buffer(&self, own: Buffer) -> Buffer {
        Buffer::new(self.side.buffers[own.index()])
    }

    fn define(&mut self, values: &mut Values, own: Value) -> Value {
        let value = values.push(self.side.kernel.values[own]);
        self.values[own] = Some(value);
        value
    }

    /// The name of a value that is defined before; in a kernel that verifies all are.
    fn name(&self, own: Value) -> Value {
        self.values[own].unwrap_or(own)
    }
}

/// The value of an equal constant among these statements.
pub(super) fn known(
    values: &Values,
    among: &[Statement],
    instruction: &Instruction,
    ty: Type,
) -> Option<Value> {
    if !instruction.is_constant() {
        return None;
    }
    among.iter().find_map(|statement| match statement {
        Statement::Define(value, other) if other == instruction && values[*value] == ty => {
            Some(*value)
        }
        _ => None,
    })
}
