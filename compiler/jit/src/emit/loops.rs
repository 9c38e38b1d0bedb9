//! Loops and conditions as blocks of the generator.

use cranelift::prelude::{InstBuilder, IntCC, types};
use cranelift_codegen::ir::{self, BlockArg};
use dlm_core::loops::{Conditional, LoopStatement, Value};
use smallvec::smallvec;

use super::address::{Base, Scope};
use super::{Emitter, Parts, Slot};
use crate::error::JitError;

/// Statements that the rounds of an unrolled body may hold together.
const UNROLLED_SIZE: usize = 240;

/// The most rounds put in one.
const MOST_ROUNDS: i64 = 8;

/// The most pointers that go along with the counter of an innermost loop.
const MOST_POINTERS: usize = 6;

/// One machine loop (or, run once, none) over a part of a loop's range.
struct Stretch {
    /// Where the counter starts.
    begin: ir::Value,
    /// The carried values at the start, flat.
    initials: Vec<ir::Value>,
    /// Rounds of the source in one of the machine's.
    rounds: i64,
    /// The bound that the counter stays below.
    end: ir::Value,
}

impl<'a> Emitter<'a, '_> {
    pub(super) fn loop_statement(&mut self, statement: &'a LoopStatement) -> Result<(), JitError> {
        self.settle(&statement.body)?;
        self.hoist_bases(&statement.body, self.level)?;
        let initials = self.flat(statement.carried.iter().map(|c| c.initial))?;
        let begin = self.single(statement.begin)?;
        let rounds = self.facts.rounds(statement);
        let unroll = self.unroll(statement, rounds);
        let results = match rounds {
            Some(0) => initials,
            Some(rounds) if rounds == unroll => {
                self.straight(statement, begin, initials, unroll)?
            }
            _ => self.machine_loops(statement, begin, initials, rounds, unroll)?,
        };
        let mut rest = results.into_iter();
        for carried in &statement.carried {
            let count = self.part_count(carried.result);
            self.remaining[carried.result] = self.facts.uses[carried.result];
            self.slots[carried.result] = Slot::Ready(rest.by_ref().take(count).collect());
        }
        Ok(())
    }

    /// How many rounds to put in one: for innermost loops that carry values, what size and number of rounds allow.
    fn unroll(&self, statement: &LoopStatement, rounds: Option<i64>) -> i64 {
        if statement.carried.is_empty() || statement.has_inner_loop() {
            return 1;
        }
        let size = statement.body.size().max(1);
        let most = ((UNROLLED_SIZE / size) as i64).min(MOST_ROUNDS);
        let fits = |count: &i64| match rounds {
            Some(rounds) => rounds % count == 0,
            None => count.count_ones() == 1 && *count <= 4,
        };
        let dividing = (1..=most).rev().find(fits).unwrap_or(1);
        match rounds {
            Some(rounds) if dividing == 1 && rounds > 16 && most >= 4 => 4,
            _ => dividing,
        }
    }

    /// All rounds one after the other.
    fn straight(
        &mut self,
        statement: &'a LoopStatement,
        begin: ir::Value,
        initials: Vec<ir::Value>,
        rounds: i64,
    ) -> Result<Vec<ir::Value>, JitError> {
        self.enter(statement, begin, initials);
        let nexts = self.rounds(statement, rounds, self.facts.constants[statement.begin])?;
        self.leave();
        Ok(nexts)
    }

    fn machine_loops(
        &mut self,
        statement: &'a LoopStatement,
        begin: ir::Value,
        initials: Vec<ir::Value>,
        rounds: Option<i64>,
        unroll: i64,
    ) -> Result<Vec<ir::Value>, JitError> {
        let end = self.single(statement.end)?;
        let short = (unroll - 1).wrapping_mul(statement.step);
        let bound = match unroll {
            1 => end,
            _ => self.builder.ins().iadd_imm_s(end, short.wrapping_neg()),
        };
        let (counter, results) = self.stretch(
            statement,
            Stretch {
                begin,
                initials,
                rounds: unroll,
                end: bound,
            },
        )?;
        if unroll == 1 || rounds.is_some_and(|rounds| rounds % unroll == 0) {
            return Ok(results);
        }
        let rest = Stretch {
            begin: counter,
            initials: results,
            rounds: 1,
            end,
        };
        Ok(self.stretch(statement, rest)?.1)
    }

    /// Emits one machine loop; gives the counter and the carried values after it.
    ///
    /// The test stands in a block of its own before the body, so that what a round computes has one use, the next
    /// round: the generator merges loads only into what is used once, all the way to the end of the chain.
    fn stretch(
        &mut self,
        statement: &'a LoopStatement,
        stretch: Stretch,
    ) -> Result<(ir::Value, Vec<ir::Value>), JitError> {
        let test = self.builder.create_block();
        let (body, exit) = (self.builder.create_block(), self.builder.create_block());
        let pointers = self.travelling(statement)?;
        let mut starts = vec![stretch.begin];
        starts.extend(&stretch.initials);
        let carried = starts.len();
        for base in &pointers {
            starts.push(self.start_of(statement, base, stretch.begin)?);
        }
        let params = self.params(test, &starts);
        self.jump(test, &starts);
        self.builder.switch_to_block(test);
        let more = self
            .builder
            .ins()
            .icmp(IntCC::SignedLessThan, params[0], stretch.end);
        self.builder.ins().brif(more, body, &[], exit, &[]);
        self.builder.switch_to_block(body);
        self.enter(statement, params[0], params[1..carried].to_vec());
        for (base, &pointer) in pointers.iter().zip(&params[carried..]) {
            if let Some(scope) = self.scopes.last_mut() {
                scope.bases.insert(base.clone(), pointer);
            }
        }
        self.hoist_bases(&statement.body, self.level - 1)?;
        let sums = self.rounds(statement, stretch.rounds, None)?;
        let advance = statement.step.wrapping_mul(stretch.rounds);
        let mut nexts = vec![self.builder.ins().iadd_imm_s(params[0], advance)];
        nexts.extend(sums);
        for (base, &pointer) in pointers.iter().zip(&params[carried..]) {
            let bytes = self.bytes_a_step(statement, base).wrapping_mul(advance);
            nexts.push(self.builder.ins().iadd_imm_s(pointer, bytes));
        }
        self.jump(test, &nexts);
        self.leave();
        self.builder.switch_to_block(exit);
        Ok((params[0], params[1..carried].to_vec()))
    }

    fn jump(&mut self, block: ir::Block, arguments: &[ir::Value]) {
        let arguments: Vec<BlockArg> = arguments.iter().map(|&v| BlockArg::Value(v)).collect();
        self.builder.ins().jump(block, &arguments);
    }

    fn params(&mut self, block: ir::Block, like: &[ir::Value]) -> Vec<ir::Value> {
        let types = like.iter().map(|&v| self.builder.func.dfg.value_type(v));
        let types: Vec<ir::Type> = types.collect();
        types
            .into_iter()
            .map(|ty| self.builder.append_block_param(block, ty))
            .collect()
    }

    /// Opens the body's scope and names counter and carried values.
    fn enter(&mut self, statement: &LoopStatement, counter: ir::Value, arguments: Vec<ir::Value>) {
        self.scopes.push(Scope::default());
        self.level += 2;
        self.slots[statement.variable] = Slot::Ready(smallvec![counter]);
        self.shifts[statement.variable] = 0;
        let mut rest = arguments.into_iter();
        for carried in &statement.carried {
            let count = self.part_count(carried.argument);
            self.slots[carried.argument] = Slot::Ready(rest.by_ref().take(count).collect());
        }
    }

    fn leave(&mut self) {
        self.scopes.pop();
        self.level -= 2;
    }

    /// Emits the body `count` times and gives the carried values after the last. The counter is a constant from
    /// `begin` on where that is given.
    fn rounds(
        &mut self,
        statement: &'a LoopStatement,
        count: i64,
        begin: Option<i64>,
    ) -> Result<Vec<ir::Value>, JitError> {
        let mut nexts = Vec::new();
        for round in 0..count {
            let ahead = round.wrapping_mul(statement.step);
            match begin {
                Some(begin) => {
                    self.slots[statement.variable] = Slot::Constant(begin.wrapping_add(ahead));
                }
                None => self.shifts[statement.variable] = ahead,
            }
            self.scopes.push(Scope::default());
            for carried in &statement.carried {
                self.remaining[carried.argument] = self.facts.uses[carried.argument];
            }
            self.block(&statement.body)?;
            let values: Vec<Parts> = statement
                .carried
                .iter()
                .map(|carried| self.parts(carried.next))
                .collect::<Result<_, _>>()?;
            self.scopes.pop();
            nexts = values.iter().flatten().copied().collect();
            for (carried, parts) in statement.carried.iter().zip(values) {
                self.slots[carried.argument] = Slot::Ready(parts);
            }
        }
        self.shifts[statement.variable] = 0;
        Ok(nexts)
    }

    /// The bases of an innermost loop that move with its counter, if they are few.
    fn travelling(&self, statement: &LoopStatement) -> Result<Vec<Base>, JitError> {
        if statement.has_inner_loop() {
            return Ok(Vec::new());
        }
        let mut bases = self.bases_in(&statement.body, self.level + 1);
        bases.retain(|base| base.1.iter().any(|term| term.0 == statement.variable));
        bases.truncate(MOST_POINTERS);
        Ok(bases)
    }

    /// Where a travelling pointer starts.
    fn start_of(
        &mut self,
        statement: &LoopStatement,
        base: &Base,
        begin: ir::Value,
    ) -> Result<ir::Value, JitError> {
        let outer = base.1.iter().filter(|term| term.0 != statement.variable);
        let outer = self.base((base.0, outer.copied().collect()))?;
        let bytes = self.bytes_a_step(statement, base);
        let ahead = self.scaled(begin, bytes);
        Ok(self.builder.ins().iadd(outer, ahead))
    }

    /// How far a base moves when the counter grows by one.
    fn bytes_a_step(&self, statement: &LoopStatement, base: &Base) -> i64 {
        let size = self.kernel.buffers[base.0].element.bytes() as i64;
        let term = base.1.iter().find(|term| term.0 == statement.variable);
        term.map_or(0, |term| term.1.wrapping_mul(size))
    }

    pub(super) fn conditional(&mut self, conditional: &'a Conditional) -> Result<(), JitError> {
        self.settle(&conditional.body)?;
        let otherwise = self.flat(conditional.results.iter().map(|result| result.2))?;
        let condition = self.single(conditional.condition)?;
        let (body, join) = (self.builder.create_block(), self.builder.create_block());
        let results = self.params(join, &otherwise);
        let arguments: Vec<BlockArg> = otherwise.iter().map(|&v| BlockArg::Value(v)).collect();
        self.builder
            .ins()
            .brif(condition, body, &[], join, &arguments);
        self.builder.switch_to_block(body);
        self.scopes.push(Scope::default());
        self.level += 2;
        self.block(&conditional.body)?;
        let then = self.flat(conditional.results.iter().map(|result| result.1))?;
        self.scopes.pop();
        self.level -= 2;
        let arguments: Vec<BlockArg> = then.iter().map(|&v| BlockArg::Value(v)).collect();
        self.builder.ins().jump(join, &arguments);
        self.builder.switch_to_block(join);
        let mut rest = results.into_iter();
        for &(result, ..) in &conditional.results {
            let count = self.part_count(result);
            self.remaining[result] = self.facts.uses[result];
            self.slots[result] = Slot::Ready(rest.by_ref().take(count).collect());
        }
        Ok(())
    }

    /// The parts of several values, one after the other.
    fn flat(&mut self, values: impl Iterator<Item = Value>) -> Result<Vec<ir::Value>, JitError> {
        let mut flat = Vec::new();
        for value in values {
            flat.extend(self.parts(value)?);
        }
        Ok(flat)
    }

    fn part_count(&self, value: Value) -> usize {
        super::vector::part_count(self.type_of(value))
    }

    /// An integer constant of type `index`.
    pub(super) fn index_constant(&mut self, constant: i64) -> ir::Value {
        self.builder.ins().iconst(types::I64, constant)
    }
}
