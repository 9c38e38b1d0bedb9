//! Open blocks, loops and conditions.

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::super::Range;
use super::super::{
    Block, Buffer, Carried, Conditional, Instruction, LoopKind, LoopStatement, Statement, Type,
    Value,
};
use super::KernelBuilder;

/// What a block belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameKind {
    Kernel,
    Loop,
    If,
}

type Numbering = IndexMap<(Instruction, Type), Value, FxBuildHasher>;

/// An open block.
pub(super) struct Frame {
    pub(super) kind: FrameKind,
    /// A loop that runs at least once.
    pub(super) runs: bool,
    pub(super) statements: Vec<Statement>,
    pure: Numbering,
    loads: Numbering,
}

impl Frame {
    pub(super) fn new(kind: FrameKind) -> Frame {
        Frame {
            kind,
            runs: false,
            statements: Vec::new(),
            pure: Numbering::default(),
            loads: Numbering::default(),
        }
    }

    pub(super) fn remember(&mut self, key: (Instruction, Type), value: Value) {
        match key.0 {
            Instruction::Load { .. } => self.loads.insert(key, value),
            _ => self.pure.insert(key, value),
        };
    }

    pub(super) fn recall(&self, key: &(Instruction, Type), load: bool) -> Option<Value> {
        let map = if load { &self.loads } else { &self.pure };
        map.get(key).copied()
    }

    pub(super) fn forget_loads(&mut self, buffer: Buffer) {
        self.loads.retain(|(instruction, _), _| {
            !matches!(instruction, Instruction::Load { address, .. } if address.buffer == buffer)
        });
    }
}

/// An open loop or condition.
pub(super) enum Open {
    Loop(LoopStatement),
    /// A loop of one round, written without a loop.
    Once,
    If(Value),
    /// A condition known to hold.
    Always,
    /// A condition known not to hold.
    Never,
}

impl KernelBuilder {
    /// Opens `for variable in begin..end step step`. Gives the counter and, for each value in `initials`, its name in
    /// the body. A loop known to run once is written without a loop: then the counter is `begin`.
    pub fn begin_loop(
        &mut self,
        kind: LoopKind,
        name: impl Into<String>,
        begin: Value,
        end: Value,
        step: i64,
        initials: &[Value],
    ) -> (Value, Vec<Value>) {
        if step < 1 {
            self.fail(format!("a loop's step is {step}"));
        }
        let step = step.max(1);
        let bounds = self.index_constant(begin).zip(self.index_constant(end));
        if bounds.is_some_and(|(begin, end)| begin < end && begin.saturating_add(step) >= end) {
            self.open.push(Open::Once);
            return (begin, initials.to_vec());
        }
        let depth = self.frames.len();
        let variable = self.fresh(Type::Index, depth);
        self.facts[variable].range = self.counter_range(begin, end, step);
        let arguments: Vec<Value> = initials
            .iter()
            .map(|&initial| self.fresh(self.kernel.values[initial], depth))
            .collect();
        let carried = initials.iter().zip(&arguments);
        let carried = carried
            .map(|(&initial, &argument)| Carried {
                initial,
                argument,
                next: argument,
                result: argument,
            })
            .collect();
        self.open.push(Open::Loop(LoopStatement {
            kind,
            name: name.into(),
            variable,
            begin,
            end,
            step,
            carried,
            body: Block::default(),
        }));
        let runs = bounds.is_some_and(|(begin, end)| begin < end);
        let frame = Frame::new(FrameKind::Loop);
        self.frames.push(Frame { runs, ..frame });
        (variable, arguments)
    }

    /// Closes the innermost loop: `nexts` are the carried values at the end of a round. Gives their names after the
    /// loop.
    pub fn end_loop(&mut self, nexts: &[Value]) -> Vec<Value> {
        let mut statement = match self.open.pop() {
            Some(Open::Once) => return nexts.to_vec(),
            Some(Open::Loop(statement)) => statement,
            _ => {
                self.fail("a loop ends that did not begin");
                return nexts.to_vec();
            }
        };
        if statement.carried.len() != nexts.len() {
            self.fail("a loop carries another number of values than it began with");
        }
        let body = self.frames.pop();
        statement.body.statements = body.map(|frame| frame.statements).unwrap_or_default();
        let depth = self.frames.len() - 1;
        for (carried, &next) in statement.carried.iter_mut().zip(nexts) {
            let ty = self.kernel.values[carried.initial];
            if self.kernel.values[next] != ty {
                self.error.get_or_insert_with(|| {
                    format!("a loop carries {ty}, its next is of another type")
                });
            }
            carried.next = next;
            carried.result = self.kernel.values.push(ty);
            self.facts[carried.result].depth = depth;
        }
        let results = statement.carried.iter().map(|c| c.result).collect();
        self.push(Statement::Loop(statement));
        results
    }

    /// A loop as a closure from counter and carried values to their next values; gives the results.
    pub fn for_loop(
        &mut self,
        kind: LoopKind,
        name: impl Into<String>,
        bounds: (Value, Value, i64),
        initials: &[Value],
        body: impl FnOnce(&mut KernelBuilder, Value, &[Value]) -> Vec<Value>,
    ) -> Vec<Value> {
        let (begin, end, step) = bounds;
        let (variable, arguments) = self.begin_loop(kind, name, begin, end, step, initials);
        let nexts = body(self, variable, &arguments);
        self.end_loop(&nexts)
    }

    /// Opens `if condition`.
    pub fn begin_if(&mut self, condition: Value) {
        let known = self.index_constant(condition);
        self.open.push(match known {
            Some(0) => Open::Never,
            Some(_) => Open::Always,
            None => Open::If(condition),
        });
        if known.is_none_or(|value| value == 0) {
            self.frames.push(Frame::new(FrameKind::If));
        }
    }

    /// Closes the innermost condition with pairs of the value if taken and the value otherwise.
    pub fn end_if(&mut self, pairs: &[(Value, Value)]) -> Vec<Value> {
        match self.open.pop() {
            Some(Open::Always) => pairs.iter().map(|pair| pair.0).collect(),
            Some(Open::Never) => {
                self.frames.pop();
                pairs.iter().map(|pair| pair.1).collect()
            }
            Some(Open::If(condition)) => self.close_if(condition, pairs),
            _ => {
                self.fail("a condition ends that did not begin");
                pairs.iter().map(|pair| pair.1).collect()
            }
        }
    }

    fn close_if(&mut self, condition: Value, pairs: &[(Value, Value)]) -> Vec<Value> {
        let statements = self.frames.pop().map(|frame| frame.statements);
        let depth = self.frames.len() - 1;
        let mut results = Vec::with_capacity(pairs.len());
        for &(then, otherwise) in pairs {
            let ty = self.kernel.values[otherwise];
            if self.kernel.values[then] != ty {
                self.fail(format!("a condition gives {ty} or another type"));
            }
            results.push((self.fresh(ty, depth), then, otherwise));
        }
        let values = results.iter().map(|result| result.0).collect();
        self.push(Statement::If(Conditional {
            condition,
            body: Block {
                statements: statements.unwrap_or_default(),
            },
            results,
        }));
        values
    }

    /// A condition as a closure that gives the values if taken; `otherwise` are the values if not.
    pub fn if_then(
        &mut self,
        condition: Value,
        otherwise: &[Value],
        body: impl FnOnce(&mut KernelBuilder) -> Vec<Value>,
    ) -> Vec<Value> {
        self.begin_if(condition);
        let then = body(self);
        let pairs: Vec<_> = then.into_iter().zip(otherwise.iter().copied()).collect();
        self.end_if(&pairs)
    }

    fn counter_range(&self, begin: Value, end: Value, step: i64) -> Range {
        let (begin, end) = (self.facts[begin].range, self.facts[end].range);
        let last = match (begin.exact(), end.exact()) {
            (Some(first), Some(bound)) if first < bound => {
                Some(first + (bound - 1 - first) / step * step)
            }
            _ => end.max.and_then(|bound| bound.checked_sub(1)),
        };
        Range {
            min: begin.min,
            max: last,
        }
    }
}
