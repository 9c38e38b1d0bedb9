//! Drops what is computed and not used, and numbers values in the order of their definition.

use cranelift_entity::{EntitySet, PrimaryMap, SecondaryMap};

use super::{Address, Block, Carried, Conditional, Kernel, LoopStatement, Statement, Type, Value};

/// The same kernel without dead code. Scalars come first, then every value where the text names it first.
pub fn tidy(kernel: &Kernel) -> Kernel {
    let mut live = Live::default();
    loop {
        let before = live.count;
        live.block(&kernel.body);
        if live.count == before {
            break;
        }
    }
    let mut renumber = Renumber {
        live,
        old: &kernel.values,
        values: PrimaryMap::with_capacity(kernel.values.len()),
        map: SecondaryMap::new(),
    };
    let scalars = kernel.scalars.iter();
    let scalars = scalars
        .map(|(value, name)| (renumber.name(*value), name.clone()))
        .collect();
    let body = renumber.block(&kernel.body);
    Kernel {
        name: kernel.name.clone(),
        buffers: kernel.buffers.clone(),
        scalars,
        values: renumber.values,
        body,
        notes: kernel.notes.clone(),
        spans: kernel.spans.clone(),
    }
}

#[derive(Default)]
struct Live {
    values: EntitySet<Value>,
    count: usize,
}

impl Live {
    fn mark(&mut self, value: Value) {
        if self.values.insert(value) {
            self.count += 1;
        }
    }

    fn is(&self, value: Value) -> bool {
        self.values.contains(value)
    }

    fn block(&mut self, block: &Block) {
        for statement in block.statements.iter().rev() {
            match statement {
                Statement::Define(value, instruction) if self.is(*value) => {
                    instruction.for_each_operand(|operand| self.mark(operand));
                }
                Statement::Define(..) => {}
                Statement::Store { address, value, .. } => {
                    self.mark(*value);
                    address.terms.iter().for_each(|term| self.mark(term.0));
                }
                Statement::Prefetch(address) => {
                    address.terms.iter().for_each(|term| self.mark(term.0));
                }
                Statement::Loop(statement) => self.loop_statement(statement),
                Statement::If(conditional) => self.conditional(conditional),
            }
        }
    }

    fn loop_statement(&mut self, statement: &LoopStatement) {
        for carried in &statement.carried {
            if self.carries(carried) {
                self.mark(carried.initial);
                self.mark(carried.next);
            }
        }
        self.block(&statement.body);
        if self.keeps_loop(statement) {
            self.mark(statement.begin);
            self.mark(statement.end);
        }
    }

    fn conditional(&mut self, conditional: &Conditional) {
        for &(result, then, otherwise) in &conditional.results {
            if self.is(result) {
                self.mark(then);
                self.mark(otherwise);
            }
        }
        self.block(&conditional.body);
        if self.keeps_if(conditional) {
            self.mark(conditional.condition);
        }
    }

    fn carries(&self, carried: &Carried) -> bool {
        self.is(carried.result) || self.is(carried.argument)
    }

    fn keeps_loop(&self, statement: &LoopStatement) -> bool {
        let carries = statement.carried.iter().any(|c| self.carries(c));
        carries || self.has_effect(&statement.body)
    }

    fn keeps_if(&self, conditional: &Conditional) -> bool {
        let gives = conditional.results.iter().any(|result| self.is(result.0));
        gives || self.has_effect(&conditional.body)
    }

    fn has_effect(&self, block: &Block) -> bool {
        block.statements.iter().any(|statement| match statement {
            Statement::Define(..) | Statement::Prefetch(_) => false,
            Statement::Store { .. } => true,
            Statement::Loop(statement) => self.keeps_loop(statement),
            Statement::If(conditional) => self.keeps_if(conditional),
        })
    }
}

struct Renumber<'a> {
    live: Live,
    old: &'a PrimaryMap<Value, Type>,
    values: PrimaryMap<Value, Type>,
    map: SecondaryMap<Value, Option<Value>>,
}

impl Renumber<'_> {
    /// The new number of a value, which is given where it is met first.
    fn name(&mut self, value: Value) -> Value {
        if let Some(new) = self.map[value] {
            return new;
        }
        let new = self.values.push(self.old[value]);
        self.map[value] = Some(new);
        new
    }

    fn block(&mut self, block: &Block) -> Block {
        let mut statements = Vec::with_capacity(block.statements.len());
        for statement in &block.statements {
            match statement {
                Statement::Define(value, _) if !self.live.is(*value) => {}
                Statement::Define(value, instruction) => {
                    let instruction = instruction.map_operands(|operand| self.name(operand));
                    statements.push(Statement::Define(self.name(*value), instruction));
                }
                Statement::Store {
                    address,
                    value,
                    stride,
                } => statements.push(Statement::Store {
                    address: self.address(address),
                    value: self.name(*value),
                    stride: *stride,
                }),
                Statement::Prefetch(address) => {
                    statements.push(Statement::Prefetch(self.address(address)));
                }
                Statement::Loop(statement) if self.live.keeps_loop(statement) => {
                    statements.push(Statement::Loop(self.loop_statement(statement)));
                }
                Statement::If(conditional) if self.live.keeps_if(conditional) => {
                    statements.push(Statement::If(self.conditional(conditional)));
                }
                Statement::Loop(_) | Statement::If(_) => {}
            }
        }
        Block { statements }
    }

    fn address(&mut self, address: &Address) -> Address {
        let mut terms: Vec<(Value, i64)> = Vec::with_capacity(address.terms.len());
        for &(value, factor) in &address.terms {
            terms.push((self.name(value), factor));
        }
        terms.sort_by_key(|term| term.0);
        Address {
            buffer: address.buffer,
            terms,
            offset: address.offset,
        }
    }

    fn loop_statement(&mut self, statement: &LoopStatement) -> LoopStatement {
        let (begin, end) = (self.name(statement.begin), self.name(statement.end));
        let variable = self.name(statement.variable);
        let kept = statement.carried.iter().filter(|c| self.live.carries(c));
        let kept: Vec<Carried> = kept.cloned().collect();
        let starts: Vec<(Value, Value)> = kept
            .iter()
            .map(|c| (self.name(c.initial), self.name(c.argument)))
            .collect();
        let body = self.block(&statement.body);
        let nexts: Vec<Value> = kept.iter().map(|c| self.name(c.next)).collect();
        let results: Vec<Value> = kept.iter().map(|c| self.name(c.result)).collect();
        let ends = nexts.into_iter().zip(results);
        let carried = starts
            .into_iter()
            .zip(ends)
            .map(|((initial, argument), (next, result))| Carried {
                initial,
                argument,
                next,
                result,
            })
            .collect();
        LoopStatement {
            kind: statement.kind,
            name: statement.name.clone(),
            variable,
            begin,
            end,
            step: statement.step,
            carried,
            body,
        }
    }

    fn conditional(&mut self, conditional: &Conditional) -> Conditional {
        let condition = self.name(conditional.condition);
        let body = self.block(&conditional.body);
        let kept: Vec<_> = conditional
            .results
            .iter()
            .filter(|result| self.live.is(result.0))
            .copied()
            .collect();
        let results = kept
            .into_iter()
            .map(|(result, then, otherwise)| {
                let (then, otherwise) = (self.name(then), self.name(otherwise));
                (self.name(result), then, otherwise)
            })
            .collect();
        Conditional {
            condition,
            body,
            results,
        }
    }
}
