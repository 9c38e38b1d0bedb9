//! Goes through a kernel's loops with the values of its counters where they matter, and counts.

use super::ports::{LOOP_END, Operations, Ports};
use super::transfer::Transfer;
use super::window::{self, Step};
use crate::loops::{
    Block, Columns, Instruction, IntOp, Kernel, LoopStatement, Statement, Value, VectorBinary,
    columns,
};
use std::collections::BTreeMap;

/// Of the shorter of arithmetic and transfer, what the other does not hide.
const ALONE: f64 = 0.2;

/// What a stretch of a kernel costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Floating-point operations: two for a multiply-add, one for other arithmetic, for each lane.
    pub flops: f64,
    /// Cycles, if all data are in the first cache.
    pub cycles: f64,
    /// Cycles with what data take that are not.
    pub total: f64,
    /// What the caches miss.
    pub transfer: Transfer,
}

impl Cost {
    pub(super) fn times(self, times: f64) -> Cost {
        Cost {
            flops: self.flops * times,
            cycles: self.cycles * times,
            total: self.total * times,
            transfer: self.transfer.times(times),
        }
    }

    pub(super) fn and(self, other: Cost) -> Cost {
        let mut transfer = self.transfer;
        transfer += other.transfer;
        Cost {
            flops: self.flops + other.flops,
            cycles: self.cycles + other.cycles,
            total: self.total + other.total,
            transfer,
        }
    }

    /// Cycles with what its data take, most of which come while others are computed with.
    pub(super) fn overlapped(&self, memory: f64) -> f64 {
        let transfer = self.transfer.cycles(memory);
        self.cycles.max(transfer) + ALONE * self.cycles.min(transfer)
    }
}

/// The cost of one call with these scalar arguments; none where a loop's bounds are not known before the run.
pub(super) fn of_call(kernel: &Kernel, arguments: &[i64], ports: &Ports) -> Option<Cost> {
    let mut counter = Counter {
        kernel,
        ports,
        known: vec![None; kernel.values.len()],
        ready: vec![None; kernel.values.len()],
        steps: vec![(0, 0); kernel.values.len()],
        stretches: 0,
        waits: BTreeMap::new(),
    };
    for ((value, _), argument) in kernel.scalars.iter().zip(arguments) {
        counter.known[at(*value)] = Some(*argument);
    }
    let (cost, straight) = counter.block(&kernel.body)?;
    Some(Cost {
        cycles: cost.cycles + counter.straight_cycles(&kernel.body, &straight),
        ..cost
    })
}

fn at(value: Value) -> usize {
    value.as_u32() as usize
}

struct Counter<'k> {
    kernel: &'k Kernel,
    ports: &'k Ports,
    /// The values of counters.
    known: Vec<Option<i64>>,
    /// For what follows from a value that goes round the innermost loop: cycles after the round's begin.
    ready: Vec<Option<f64>>,
    /// The step of the stretch that gives a value, by stretch and number in it.
    steps: Vec<(usize, usize)>,
    /// How many stretches have begun.
    stretches: usize,
    /// What a stretch waits for, by the place of its block; a block is gone through once for each round of some loops.
    waits: BTreeMap<usize, f64>,
}

/// What a block does outside of the loops within.
#[derive(Default)]
struct Straight {
    operations: Operations,
    /// Its number among all stretches.
    number: usize,
    steps: Vec<Step>,
}

impl Straight {
    fn push(&mut self, operations: Operations, latency: f64, operands: Vec<usize>) {
        self.operations += operations;
        self.steps.push(Step {
            operations: operations.count(),
            latency,
            operands,
        });
    }
}

impl Counter<'_> {
    /// What the loops within cost, and what stands outside of them.
    fn block(&mut self, block: &Block) -> Option<(Cost, Straight)> {
        self.stretches += 1;
        let mut straight = Straight {
            number: self.stretches,
            ..Straight::default()
        };
        let cost = self.statements(block, &mut straight)?;
        Some((cost, straight))
    }

    fn statements(&mut self, block: &Block, straight: &mut Straight) -> Option<Cost> {
        let mut cost = Cost::default();
        let mut rest = block.statements.as_slice();
        while let Some((statement, behind)) = rest.split_first() {
            let tile = columns(self.kernel, rest);
            let turned = tile.filter(|tile| tile.stores && self.ports.turns(tile.values.len()));
            if let Some(tile) = turned {
                self.store_tile(&tile, straight);
                rest = &rest[tile.values.len()..];
                continue;
            }
            rest = behind;
            match statement {
                Statement::Define(value, instruction) => {
                    self.define(*value, instruction);
                    let ty = self.kernel.values[*value];
                    cost.flops += f64::from(ty.lanes().unwrap_or(1)) * flops(instruction);
                    self.step(*value, instruction, straight);
                }
                Statement::Store { value, stride, .. } => {
                    let operations = self.ports.store(self.kernel.values[*value], *stride);
                    let operands = self.operand(*value, straight.number);
                    straight.push(operations, 0.0, operands.into_iter().collect());
                }
                Statement::Prefetch(_) => {}
                Statement::Loop(statement) => cost = cost.and(self.rounds(statement)?),
                Statement::If(conditional) => {
                    if self.known[at(conditional.condition)]? != 0 {
                        cost = cost.and(self.statements(&conditional.body, straight)?);
                    }
                }
            }
        }
        Some(cost)
    }

    /// Adds the stores of a tile that is turned in registers.
    fn store_tile(&mut self, tile: &Columns<'_>, straight: &mut Straight) {
        let operations = self.ports.turned(self.kernel.values[tile.values[0]]);
        let values = tile.values.iter();
        let operands = values.filter_map(|&value| self.operand(value, straight.number));
        let operands = operands.collect();
        straight.push(operations, 0.0, operands);
    }

    /// Adds a value to the stretch.
    fn step(&mut self, value: Value, instruction: &Instruction, straight: &mut Straight) {
        let mut operands = Vec::new();
        instruction.for_each_operand(|operand| {
            operands.extend(self.operand(operand, straight.number));
        });
        self.steps[at(value)] = (straight.number, straight.steps.len());
        let operations = self
            .ports
            .operations(instruction, self.kernel.values[value]);
        let latency = self.ports.latency(instruction);
        straight.push(operations, latency, operands);
    }

    /// The step of this stretch that gives the value.
    fn operand(&self, value: Value, stretch: usize) -> Option<usize> {
        let (number, step) = self.steps[at(value)];
        (number == stretch).then_some(step)
    }

    /// Cycles of a block's stretch: of its operations, or of its wait for results.
    fn straight_cycles(&mut self, block: &Block, straight: &Straight) -> f64 {
        let place = std::ptr::from_ref(block).addr();
        let wait = self.waits.entry(place);
        let wait = *wait.or_insert_with(|| window::cycles(&straight.steps));
        straight.operations.cycles().max(wait)
    }

    /// All rounds are alike unless a bound or a condition within depends on the counter.
    fn rounds(&mut self, statement: &LoopStatement) -> Option<Cost> {
        let (begin, end) = (
            self.known[at(statement.begin)]?,
            self.known[at(statement.end)]?,
        );
        let step = statement.step.max(1);
        let rounds = (end - begin)
            .max(0)
            .unsigned_abs()
            .div_ceil(step.unsigned_abs()) as i64;
        if rounds == 0 {
            return Some(Cost::default());
        }
        self.known[at(statement.variable)] = None;
        let ended = Cost {
            cycles: LOOP_END,
            ..Cost::default()
        };
        if let Some(alike) = self.round(statement) {
            return Some(alike.times(rounds as f64).and(ended));
        }
        let mut sum = ended;
        for round in 0..rounds {
            self.known[at(statement.variable)] = Some(begin + round * step);
            sum = sum.and(self.round(statement)?);
        }
        Some(sum)
    }

    /// A round waits for its operations, or for the chain from what the last round has left to what it leaves itself.
    fn round(&mut self, statement: &LoopStatement) -> Option<Cost> {
        let outer = std::mem::replace(&mut self.ready, vec![None; self.kernel.values.len()]);
        for carried in &statement.carried {
            self.ready[at(carried.argument)] = Some(0.0);
        }
        let body = self.block(&statement.body);
        let chain = statement
            .carried
            .iter()
            .filter_map(|carried| self.ready[at(carried.next)]);
        let chain = chain.fold(0.0, f64::max);
        self.ready = outer;
        let (mut cost, mut straight) = body?;
        // The counter's step and the branch.
        straight.operations.scalars += 2.0;
        cost.cycles += self.straight_cycles(&statement.body, &straight).max(chain);
        Some(cost)
    }

    fn define(&mut self, value: Value, instruction: &Instruction) {
        self.known[at(value)] = match instruction {
            Instruction::IndexConst(number) => Some(*number),
            Instruction::Int(op, a, b) => self.integer(*op, *a, *b),
            _ => None,
        };
        let mut last: Option<f64> = None;
        instruction.for_each_operand(|operand| {
            if let Some(ready) = self.ready[at(operand)] {
                last = Some(last.map_or(ready, |last| last.max(ready)));
            }
        });
        self.ready[at(value)] = last.map(|last| last + self.ports.latency(instruction));
    }

    fn integer(&self, op: IntOp, a: Value, b: Value) -> Option<i64> {
        let (a, b) = (self.known[at(a)]?, self.known[at(b)]?);
        Some(match op {
            IntOp::Add => a + b,
            IntOp::Sub => a - b,
            IntOp::Mul => a * b,
            IntOp::Min => a.min(b),
            IntOp::Max => a.max(b),
            IntOp::DivFloor => a.checked_div_euclid(b)?,
            IntOp::ModFloor => a.checked_rem_euclid(b)?,
            IntOp::Less => i64::from(a < b),
            IntOp::LessEqual => i64::from(a <= b),
            IntOp::Equal => i64::from(a == b),
            IntOp::And => i64::from(a != 0 && b != 0),
        })
    }
}

fn flops(instruction: &Instruction) -> f64 {
    match instruction {
        Instruction::Fma(..) => 2.0,
        Instruction::DotPairs(..) => 4.0,
        Instruction::Binary(
            VectorBinary::Add | VectorBinary::Sub | VectorBinary::Mul | VectorBinary::Div,
            ..,
        ) => 1.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loops::text::parse_kernels;

    const PORTS: Ports = Ports {
        register_lanes: 8,
        fma_instructions: 1,
    };

    fn check(text: &str, arguments: &[i64], want: Option<f64>) {
        let kernels = parse_kernels(text).expect("a kernel");
        let found = of_call(&kernels[0], arguments, &PORTS);
        assert_eq!(found.map(|cost| cost.flops), want);
    }

    #[test]
    fn rounds_that_are_alike_are_multiplied() {
        let text = "kernel \"scale\" {
  buffer b0 \"x\": f32 read
  buffer b1 \"y\": f32 write
  scalar v0 \"n\"
  v1: index = const 0
  v2: f32x8 = const 0.5
  for v3 \"i\" in v1..v0 step 8 domain {
    v4: f32x8 = load b0[v3]
    v5: f32x8 = mul v4, v2
    v6: f32x8 = fma v4, v2, v5
    store b1[v3], v6
  }
}
";
        check(text, &[64], Some(8.0 * 8.0 * 3.0));
        check(text, &[60], Some(8.0 * 8.0 * 3.0));
        check(text, &[0], Some(0.0));
    }

    #[test]
    fn rounds_of_a_triangle_are_added_up() {
        let text = "kernel \"triangle\" {
  buffer b0 \"y\": f32 write
  scalar v0 \"n\"
  v1: index = const 0
  v2: f32x1 = const 0.5
  for v3 \"i\" in v1..v0 step 1 domain {
    for v4 \"j\" in v1..v3 step 1 domain {
      v5: f32x1 = add v2, v2
      store b0[v4], v5
    }
  }
}
";
        check(text, &[5], Some(10.0));
    }

    /// Cycles of a loop of 100 rounds, each of which adds to so many sums.
    fn cycles_of_sums(sums: usize) -> f64 {
        let names = |first: usize| (0..sums).map(move |sum| format!("v{}", first + sum));
        let carried: Vec<String> = names(10)
            .map(|name| format!("{name}: f32x8 = v2"))
            .collect();
        let added = names(10)
            .zip(names(30))
            .map(|(old, new)| format!("    {new}: f32x8 = fma v2, v2, {old}\n"));
        let added: String = added.collect();
        let next: Vec<String> = names(30).collect();
        let results: Vec<String> = names(50).collect();
        let text = format!(
            "kernel \"sums\" {{\n  v0: index = const 0\n  v1: index = const 100\n  v2: f32x8 = const 0.5\n  \
             for v3 \"i\" in v0..v1 step 1 reduction carry {} {{\n{added}    next {}\n  }} give {}\n}}\n",
            carried.join(", "),
            next.join(", "),
            results.join(", ")
        );
        let kernels = parse_kernels(&text).expect("a kernel");
        of_call(&kernels[0], &[], &PORTS).expect("a cost").cycles - LOOP_END
    }

    /// A multiply-add waits four cycles for the last one of its sum; two start in each cycle.
    #[test]
    fn a_round_waits_for_its_sums_or_for_its_operations() {
        assert_eq!(cycles_of_sums(1), 400.0);
        assert_eq!(cycles_of_sums(8), 400.0);
        assert_eq!(cycles_of_sums(16), 800.0);
    }
}
