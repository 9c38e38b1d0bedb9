//! What is known of a kernel before emission.

use cranelift_entity::{EntitySet, SecondaryMap};
use dlm_core::loops::{Block, Kernel, LoopStatement, Statement, Value};

/// Uses and levels of values.
///
/// Levels say where a value becomes known: scalars at 0, statements of the kernel's body at 1, the counter of a loop
/// there at 2, statements of that loop at 3, and so on.
pub(super) struct Facts {
    pub(super) uses: SecondaryMap<Value, u32>,
    pub(super) levels: SecondaryMap<Value, u32>,
    /// The value of a constant index, if it is one.
    pub(super) constants: SecondaryMap<Value, Option<i64>>,
}

impl Facts {
    pub(super) fn new(kernel: &Kernel) -> Facts {
        let mut facts = Facts {
            uses: SecondaryMap::new(),
            levels: SecondaryMap::new(),
            constants: SecondaryMap::new(),
        };
        facts.block(&kernel.body, 1);
        facts
    }

    fn block(&mut self, block: &Block, level: u32) {
        for statement in &block.statements {
            for_each_use(statement, &mut |value| self.uses[value] += 1);
            match statement {
                Statement::Define(value, instruction) => {
                    self.levels[*value] = level;
                    if let dlm_core::loops::Instruction::IndexConst(constant) = instruction {
                        self.constants[*value] = Some(*constant);
                    }
                }
                Statement::Store { .. } | Statement::Prefetch(_) => {}
                Statement::Loop(statement) => self.loop_statement(statement, level),
                Statement::If(conditional) => {
                    self.block(&conditional.body, level + 2);
                    for result in &conditional.results {
                        self.levels[result.0] = level;
                    }
                }
            }
        }
    }

    fn loop_statement(&mut self, statement: &LoopStatement, level: u32) {
        self.levels[statement.variable] = level + 1;
        for carried in &statement.carried {
            self.levels[carried.argument] = level + 2;
            self.levels[carried.result] = level;
        }
        self.block(&statement.body, level + 2);
    }

    /// How often a loop goes round, if that is known.
    pub(super) fn rounds(&self, statement: &LoopStatement) -> Option<i64> {
        let (begin, end) = (
            self.constants[statement.begin]?,
            self.constants[statement.end]?,
        );
        let length = end.checked_sub(begin)?;
        let step = statement.step.max(1);
        Some(length.max(0).checked_add(step - 1)? / step)
    }
}

/// The values a statement uses itself; those of nested blocks only through `next` and `then`.
fn for_each_use(statement: &Statement, visit: &mut dyn FnMut(Value)) {
    match statement {
        Statement::Define(_, instruction) => instruction.for_each_operand(visit),
        Statement::Store { address, value, .. } => {
            address.terms.iter().for_each(|term| visit(term.0));
            visit(*value);
        }
        // There is no code for it.
        Statement::Prefetch(_) => {}
        Statement::Loop(statement) => {
            visit(statement.begin);
            visit(statement.end);
            for carried in &statement.carried {
                visit(carried.initial);
                visit(carried.next);
            }
        }
        Statement::If(conditional) => {
            visit(conditional.condition);
            for result in &conditional.results {
                visit(result.1);
                visit(result.2);
            }
        }
    }
}

/// The values that instructions of `block` or below define.
pub(super) fn defined_in(block: &Block) -> EntitySet<Value> {
    let mut defined = EntitySet::new();
    block.for_each_statement(&mut |statement| {
        if let Statement::Define(value, _) = statement {
            defined.insert(*value);
        }
    });
    defined
}

/// Appends every value used in `block` or below.
pub(super) fn used_in(block: &Block, used: &mut Vec<Value>) {
    block.for_each_statement(&mut |statement| {
        for_each_use(statement, &mut |value| used.push(value));
    });
}
