//! Goes through a kernel's loops with the values of its counters where they matter, and counts.

use super::ports::{LOOP_END, Operations, Ports};
use crate::loops::{
    Block, Instruction, IntOp, Kernel, LoopStatement, Statement, Value, VectorBinary,
};

/// What a stretch of a kernel costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Floating-point operations: two for a multiply-add, one for other arithmetic, for each lane.
    pub flops: f64,
    /// Cycles, if all data are in the first cache.
    pub cycles: f64,
}

impl Cost {
    pub(super) fn times(self, times: f64) -> Cost {
        Cost {
            flops: self.flops * times,
            cycles: self.cycles * times,
        }
    }

    pub(super) fn and(self, other: Cost) -> Cost {
        Cost {
            flops: self.flops + other.flops,
            cycles: self.cycles + other.cycles,
        }
    }
}

/// The cost of one call with these scalar arguments; none where a loop's bounds are not known before the run.
pub(super) fn of_call(kernel: &Kernel, arguments: &[i64], ports: &Ports) -> Option<Cost> {
    let mut counter = Counter {
        kernel,
        ports,
        known: vec![None; kernel.values.len()],
        ready: vec![None; kernel.values.len()],
    };
    for ((value, _), argument) in kernel.scalars.iter().zip(arguments) {
        counter.known[at(*value)] = Some(*argument);
    }
    let (cost, straight) = counter.block(&kernel.body)?;
    Some(Cost {
        cycles: cost.cycles + straight.cycles(),
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
}

impl Counter<'_> {
    /// What the loops within cost, with the operations of all, and what stands outside of them.
    fn block(&mut self, block: &Block) -> Option<(Cost, Operations)> {
        let (mut cost, mut straight) = (Cost::default(), Operations::default());
        for statement in &block.statements {
            match statement {
                Statement::Define(value, instruction) => {
                    self.define(*value, instruction);
                    let ty = self.kernel.values[*value];
                    cost.flops += f64::from(ty.lanes().unwrap_or(1)) * flops(instruction);
                    straight += self.ports.operations(instruction, ty);
                }
                Statement::Store { value, stride, .. } => {
                    straight += self.ports.store(self.kernel.values[*value], *stride);
                }
                Statement::Loop(statement) => cost = cost.and(self.rounds(statement)?),
                Statement::If(conditional) => {
                    if self.known[at(conditional.condition)]? != 0 {
                        let (inner, own) = self.block(&conditional.body)?;
                        (cost, straight) = (cost.and(inner), straight + own);
                    }
                }
            }
        }
        Some((cost, straight))
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
        straight.scalars += 2.0;
        cost.cycles += straight.cycles().max(chain);
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
