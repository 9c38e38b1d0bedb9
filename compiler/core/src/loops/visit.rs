//! The values an instruction or block uses, in one place.

use super::{Block, Instruction, Kernel, LoopKind, LoopStatement, Statement, Value};

impl Instruction {
    /// Calls `visit` with every value the instruction uses, those of addresses included.
    pub fn for_each_operand(&self, mut visit: impl FnMut(Value)) {
        match self {
            Instruction::IndexConst(_)
            | Instruction::FloatConst(_)
            | Instruction::IntConst(_)
            | Instruction::MaskConst(_)
            | Instruction::LaneIota => {}
            Instruction::Load { address, .. } => address.terms.iter().for_each(|t| visit(t.0)),
            Instruction::Unary(_, a)
            | Instruction::ShiftLeft(a, _)
            | Instruction::ShiftRight(a, _)
            | Instruction::Splat(a)
            | Instruction::IndexToInt(a)
            | Instruction::ReduceAdd(a)
            | Instruction::Extract(a, _)
            | Instruction::Half(a, _)
            | Instruction::IntToIndex(a) => visit(*a),
            Instruction::Int(_, a, b)
            | Instruction::Binary(_, a, b)
            | Instruction::Join(a, b)
            | Instruction::Compare(_, a, b) => [*a, *b].into_iter().for_each(visit),
            Instruction::Fma(a, b, c)
            | Instruction::DotPairs(a, b, c)
            | Instruction::Select(a, b, c) => {
                [*a, *b, *c].into_iter().for_each(visit);
            }
            Instruction::Math(_, operands) => operands.iter().copied().for_each(visit),
        }
    }

    /// The same instruction on other values.
    pub fn map_operands(&self, mut map: impl FnMut(Value) -> Value) -> Instruction {
        let mut instruction = self.clone();
        match &mut instruction {
            Instruction::IndexConst(_)
            | Instruction::FloatConst(_)
            | Instruction::IntConst(_)
            | Instruction::MaskConst(_)
            | Instruction::LaneIota => {}
            Instruction::Load { address, .. } => {
                for term in &mut address.terms {
                    term.0 = map(term.0);
                }
                address.terms.sort_by_key(|term| term.0);
            }
            Instruction::Unary(_, a)
            | Instruction::ShiftLeft(a, _)
            | Instruction::ShiftRight(a, _)
            | Instruction::Splat(a)
            | Instruction::IndexToInt(a)
            | Instruction::ReduceAdd(a)
            | Instruction::Extract(a, _)
            | Instruction::Half(a, _)
            | Instruction::IntToIndex(a) => *a = map(*a),
            Instruction::Int(_, a, b)
            | Instruction::Binary(_, a, b)
            | Instruction::Join(a, b)
            | Instruction::Compare(_, a, b) => {
                *a = map(*a);
                *b = map(*b);
            }
            Instruction::Fma(a, b, c)
            | Instruction::DotPairs(a, b, c)
            | Instruction::Select(a, b, c) => {
                for operand in [a, b, c] {
                    *operand = map(*operand);
                }
            }
            Instruction::Math(_, operands) => {
                for operand in operands {
                    *operand = map(*operand);
                }
            }
        }
        instruction
    }

    /// Whether it is one of the constants.
    pub fn is_constant(&self) -> bool {
        matches!(
            self,
            Instruction::IndexConst(_)
                | Instruction::FloatConst(_)
                | Instruction::IntConst(_)
                | Instruction::MaskConst(_)
        )
    }
}

impl Kernel {
    /// Whether it has a loop that sums.
    pub fn has_sums(&self) -> bool {
        let mut found = false;
        self.body.for_each_statement(&mut |statement| {
            found |= matches!(statement, Statement::Loop(own) if own.kind == LoopKind::Reduction);
        });
        found
    }

    /// Whether it sums, or stores neighbouring elements only.
    pub fn is_in_order(&self) -> bool {
        let mut apart = false;
        self.body.for_each_statement(&mut |statement| {
            apart |= matches!(statement, Statement::Store { stride, .. } if *stride != 1);
        });
        !apart || self.has_sums()
    }
}

impl Block {
    /// Calls `visit` with every statement, outer ones before those in their bodies.
    pub fn for_each_statement<'a>(&'a self, visit: &mut dyn FnMut(&'a Statement)) {
        for statement in &self.statements {
            visit(statement);
            match statement {
                Statement::Loop(statement) => statement.body.for_each_statement(visit),
                Statement::If(conditional) => conditional.body.for_each_statement(visit),
                Statement::Define(..) | Statement::Store { .. } | Statement::Prefetch(_) => {}
            }
        }
    }

    /// The number of statements, nested ones included.
    pub fn size(&self) -> usize {
        let mut count = 0;
        self.for_each_statement(&mut |_| count += 1);
        count
    }
}

impl LoopStatement {
    /// Whether the body has a loop.
    pub fn has_inner_loop(&self) -> bool {
        let mut found = false;
        let visit: &mut dyn FnMut(&Statement) = &mut |statement| {
            found |= matches!(statement, Statement::Loop(_));
        };
        self.body.for_each_statement(visit);
        found
    }
}
