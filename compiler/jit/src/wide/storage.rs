//! Which values of a kernel share one register, so that what goes round a loop never moves.
//!
//! A value needs its storage from where it is defined to where it is last used, to the end of a loop where it is
//! defined outside and used inside. Values whose needs do not overlap may share. Tried are, in this order: what a
//! carried value is before a loop, in its rounds and in a loop that goes on with it, the three of a condition's result, and a multiply-add with its addend or a factor.

use cranelift_entity::{EntityRef, EntitySet, SecondaryMap};
use dlm_core::loops::{Block, Conditional, Instruction, Kernel, LoopStatement, Statement, Value};

/// From after a position to a position, included.
type Need = (i64, i64);

/// Positions between statements leave room for writes before and after.
const STRIDE: i64 = 4;

/// The shared storage of a kernel's values.
pub(super) struct Storage {
    parent: Vec<u32>,
    shared: EntitySet<Value>,
    uses: SecondaryMap<Value, u32>,
}

impl Storage {
    pub(super) fn new(kernel: &Kernel) -> Storage {
        let mut walk = Walk::new(kernel.values.len());
        for (value, _) in &kernel.scalars {
            walk.define(*value, 0);
        }
        walk.block(&kernel.body);
        let needs = walk.needs();
        let mut merge = Merge {
            storage: Storage {
                parent: (0..kernel.values.len() as u32).collect(),
                shared: EntitySet::new(),
                uses: walk.counts(),
            },
            needs,
            constant: walk.constant,
            kernel,
        };
        for give in &walk.gives {
            merge.need(give.result, (give.start, give.start + 1));
        }
        // Inner loops first: a carried value's storage is written at its loop's end, which must be noted before
        // outer loops let others share it.
        for carry in &walk.carries {
            merge.carry(carry);
            // A sum that goes on in the next loop, and never waits, stays where it is. With registers of its own there, the
            // old ones would be kept for the enclosing loop's next round.
            let uses = merge.storage.uses(carry.result);
            if uses > 0 && walk.passed[carry.result] == uses {
                merge.join(carry.argument, carry.result);
            }
        }
        for give in &walk.gives {
            merge.give(give);
        }
        for (value, [a, b, addend]) in &walk.fmas {
            let _ = merge.join(*value, *addend) || merge.join(*value, *a) || merge.join(*value, *b);
        }
        merge.storage
    }

    /// The value that stands for all that share its storage.
    pub(super) fn leader(&self, value: Value) -> Value {
        let mut at = value.index();
        while self.parent[at] as usize != at {
            at = self.parent[at] as usize;
        }
        Value::new(at)
    }

    /// How often a value is used.
    pub(super) fn uses(&self, value: Value) -> u32 {
        self.uses[value]
    }

    /// Whether another value may overwrite it after its last use.
    pub(super) fn is_shared(&self, value: Value) -> bool {
        self.shared.contains(self.leader(value))
    }
}

struct CarryAt {
    initial: Value,
    argument: Value,
    next: Value,
    result: Value,
    end: i64,
}

struct GiveAt {
    result: Value,
    then: Value,
    otherwise: Value,
    start: i64,
}

struct Walk {
    position: i64,
    /// The loop each value is defined in.
    home: SecondaryMap<Value, usize>,
    defined: SecondaryMap<Value, Option<i64>>,
    uses: Vec<(Value, i64, usize)>,
    /// How many of a value's uses are as what a loop begins or goes on with.
    passed: SecondaryMap<Value, u32>,
    /// Parent and end of each loop; 0 is none.
    loops: Vec<(usize, i64)>,
    current: usize,
    constant: SecondaryMap<Value, bool>,
    carries: Vec<CarryAt>,
    gives: Vec<GiveAt>,
    fmas: Vec<(Value, [Value; 3])>,
}

impl Walk {
    fn new(values: usize) -> Walk {
        Walk {
            position: 0,
            home: SecondaryMap::with_capacity(values),
            defined: SecondaryMap::with_capacity(values),
            uses: Vec::with_capacity(values * 2),
            passed: SecondaryMap::with_capacity(values),
            loops: vec![(0, i64::MAX)],
            current: 0,
            constant: SecondaryMap::with_capacity(values),
            carries: Vec::new(),
            gives: Vec::new(),
            fmas: Vec::new(),
        }
    }

    fn define(&mut self, value: Value, position: i64) {
        self.defined[value] = Some(position);
        self.home[value] = self.current;
    }

    fn uses(&mut self, value: Value) {
        self.uses.push((value, self.position, self.current));
    }

    fn passes(&mut self, value: Value) {
        self.uses(value);
        self.passed[value] += 1;
    }

    fn step(&mut self) {
        self.position += STRIDE;
    }

    fn block(&mut self, block: &Block) {
        for statement in &block.statements {
            self.step();
            match statement {
                Statement::Define(value, instruction) => self.instruction(*value, instruction),
                Statement::Store { address, value, .. } => {
                    address.terms.iter().for_each(|term| self.uses(term.0));
                    self.uses(*value);
                }
                Statement::Prefetch(address) => {
                    address.terms.iter().for_each(|term| self.uses(term.0));
                }
                Statement::Loop(statement) => self.loop_statement(statement),
                Statement::If(conditional) => self.conditional(conditional),
            }
        }
    }

    fn instruction(&mut self, value: Value, instruction: &Instruction) {
        instruction.for_each_operand(|operand| self.uses(operand));
        self.define(value, self.position);
        match instruction {
            Instruction::IndexConst(_)
            | Instruction::FloatConst(_)
            | Instruction::IntConst(_)
            | Instruction::MaskConst(_) => self.constant[value] = true,
            // What has another type than the result is not joined with it.
            Instruction::Fma(a, b, c) | Instruction::DotPairs(a, b, c) => {
                self.fmas.push((value, [*a, *b, *c]))
            }
            _ => {}
        }
    }

    fn loop_statement(&mut self, statement: &LoopStatement) {
        self.uses(statement.begin);
        statement
            .carried
            .iter()
            .for_each(|c| self.passes(c.initial));
        let outer = self.current;
        let start = self.position;
        self.current = self.loops.len();
        self.loops.push((outer, 0));
        self.define(statement.variable, start);
        statement
            .carried
            .iter()
            .for_each(|c| self.define(c.argument, start));
        self.block(&statement.body);
        self.step();
        let end = self.position;
        self.uses(statement.end);
        self.uses(statement.variable);
        statement.carried.iter().for_each(|c| self.passes(c.next));
        self.loops[self.current].1 = end;
        self.current = outer;
        for carried in &statement.carried {
            self.define(carried.result, end);
            self.carries.push(CarryAt {
                initial: carried.initial,
                argument: carried.argument,
                next: carried.next,
                result: carried.result,
                end,
            });
        }
    }

    fn conditional(&mut self, conditional: &Conditional) {
        self.uses(conditional.condition);
        let start = self.position;
        conditional.results.iter().for_each(|r| self.uses(r.2));
        self.block(&conditional.body);
        self.step();
        conditional.results.iter().for_each(|r| self.uses(r.1));
        let end = self.position;
        for &(result, then, otherwise) in &conditional.results {
            self.define(result, end);
            self.gives.push(GiveAt {
                result,
                then,
                otherwise,
                start,
            });
        }
    }

    fn counts(&self) -> SecondaryMap<Value, u32> {
        let mut counts = SecondaryMap::with_capacity(self.defined.capacity());
        self.uses.iter().for_each(|used| counts[used.0] += 1);
        counts
    }

    /// Where each value needs its storage. A write alone needs it for a moment.
    fn needs(&self) -> Vec<Vec<Need>> {
        let mut last: SecondaryMap<Value, i64> =
            SecondaryMap::with_capacity(self.defined.capacity());
        for &(value, position, at) in &self.uses {
            let (mut at, mut until) = (at, position);
            while at > self.home[value] {
                until = until.max(self.loops[at].1);
                at = self.loops[at].0;
            }
            last[value] = last[value].max(until);
        }
        let values = self.defined.iter();
        values
            .map(|(value, defined)| match defined {
                Some(start) => vec![(*start, last[value].max(start + 1))],
                None => Vec::new(),
            })
            .collect()
    }
}

struct Merge<'a> {
    storage: Storage,
    /// By leader; sorted, apart.
    needs: Vec<Vec<Need>>,
    constant: SecondaryMap<Value, bool>,
    kernel: &'a Kernel,
}

impl Merge<'_> {
    fn carry(&mut self, carry: &CarryAt) {
        if !self.join(carry.argument, carry.next) {
            self.need(carry.argument, (carry.end - 1, carry.end));
        }
        self.join(carry.argument, carry.initial);
    }

    fn give(&mut self, give: &GiveAt) {
        self.join(give.result, give.then);
        self.join(give.result, give.otherwise);
    }

    /// Shares storage if the types are equal and the needs do not overlap.
    fn join(&mut self, a: Value, b: Value) -> bool {
        if self.constant[a] || self.constant[b] || self.kernel.values[a] != self.kernel.values[b] {
            return false;
        }
        let (a, b) = (self.storage.leader(a), self.storage.leader(b));
        if a == b {
            return true;
        }
        if overlap(&self.needs[a.index()], &self.needs[b.index()]) {
            return false;
        }
        self.force(a, b);
        true
    }

    fn force(&mut self, a: Value, b: Value) {
        let (a, b) = (self.storage.leader(a), self.storage.leader(b));
        if a == b {
            return;
        }
        let taken = std::mem::take(&mut self.needs[b.index()]);
        let needs = &mut self.needs[a.index()];
        needs.extend(taken);
        normalise(needs);
        self.storage.parent[b.index()] = a.as_u32();
        self.storage.shared.insert(a);
    }

    fn need(&mut self, value: Value, need: Need) {
        let leader = self.storage.leader(value);
        let needs = &mut self.needs[leader.index()];
        needs.push(need);
        normalise(needs);
    }
}

fn normalise(needs: &mut Vec<Need>) {
    needs.sort_unstable();
    needs.dedup_by(|later, earlier| {
        let touches = later.0 <= earlier.1;
        if touches {
            earlier.1 = earlier.1.max(later.1);
        }
        touches
    });
}

fn overlap(a: &[Need], b: &[Need]) -> bool {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i].0.max(b[j].0) < a[i].1.min(b[j].1) {
            return true;
        }
        match a[i].1 <= b[j].1 {
            true => i += 1,
            false => j += 1,
        }
    }
    false
}
