//! How much arithmetic a kernel's call does, counted in its loop IR.

use dlm_core::loops::{
    Block, Instruction, IntOp, Kernel, LoopStatement, Statement, Value, VectorBinary,
};
use dlm_core::plan::{Call, Plan, ScalarArgument, TaskGroup, Tasks};

/// Floating-point operations of one call site in one step: two for a multiply-add, one for other arithmetic, for each
/// lane. None where the loops' bounds are not known before the run.
pub fn flops_of_site(plan: &Plan, group: &TaskGroup, number: usize, batch: usize) -> Option<f64> {
    let call: &Call = &group.calls[number];
    let mut repeats = group.repeats.iter();
    let repeat = repeats.find(|repeat| (repeat.first..repeat.end()).contains(&number));
    let rounds = repeat.map_or(1, |repeat| repeat.rounds);
    let kernel = &plan.kernels[call.kernel];
    let tasks: Vec<TaskScalars> = task_scalars(group.tasks, batch);
    let mut sum = 0.0;
    for task in tasks {
        let arguments: Vec<i64> = call
            .scalars
            .iter()
            .map(|&argument| task.value(argument, batch))
            .collect();
        sum += flops(kernel, &arguments)? * task.times as f64;
    }
    Some(sum * rounds as f64)
}

/// The scalars that differ between tasks or blocks, and how many calls have these.
struct TaskScalars {
    begin: i64,
    end: i64,
    valid: i64,
    times: usize,
}

impl TaskScalars {
    fn value(&self, argument: ScalarArgument, batch: usize) -> i64 {
        match argument {
            ScalarArgument::Batch => batch as i64,
            ScalarArgument::BlockTasks { lanes, most } => {
                batch.div_ceil(lanes.max(1)).min(most) as i64
            }
            // No loop is as long as its block's number.
            ScalarArgument::Block | ScalarArgument::Round => 0,
            ScalarArgument::ValidLanes => self.valid,
            ScalarArgument::RangeBegin => self.begin,
            ScalarArgument::RangeEnd => self.end,
        }
    }
}

fn task_scalars(tasks: Tasks, batch: usize) -> Vec<TaskScalars> {
    let once = |valid: usize, times: usize| TaskScalars {
        begin: 0,
        end: 0,
        valid: valid as i64,
        times,
    };
    match tasks {
        Tasks::Once => vec![once(0, 1)],
        Tasks::Blocks { lanes, .. } => {
            let (full, rest) = (batch / lanes.max(1), batch % lanes.max(1));
            let last = (rest > 0).then(|| once(rest, 1));
            std::iter::once(once(lanes, full)).chain(last).collect()
        }
        Tasks::Ranges { extent, chunk } => ranges(extent, chunk),
        Tasks::BatchRanges { chunk } => ranges(batch, chunk),
    }
}

fn ranges(extent: usize, chunk: usize) -> Vec<TaskScalars> {
    let starts = (0..extent).step_by(chunk.max(1));
    let range = |begin: usize| TaskScalars {
        begin: begin as i64,
        end: extent.min(begin + chunk) as i64,
        valid: 0,
        times: 1,
    };
    starts.map(range).collect()
}

/// The operations of one call with these scalar arguments.
fn flops(kernel: &Kernel, arguments: &[i64]) -> Option<f64> {
    let mut counter = Counter {
        kernel,
        known: vec![None; kernel.values.len()],
    };
    for ((value, _), argument) in kernel.scalars.iter().zip(arguments) {
        counter.set(*value, Some(*argument));
    }
    counter.block(&kernel.body)
}

/// Goes through a kernel with the values of its counters where they matter.
struct Counter<'k> {
    kernel: &'k Kernel,
    known: Vec<Option<i64>>,
}

impl Counter<'_> {
    fn set(&mut self, value: Value, number: Option<i64>) {
        self.known[value.as_u32() as usize] = number;
    }

    fn get(&self, value: Value) -> Option<i64> {
        self.known[value.as_u32() as usize]
    }

    fn block(&mut self, block: &Block) -> Option<f64> {
        let mut sum = 0.0;
        for statement in &block.statements {
            sum += match statement {
                Statement::Define(value, instruction) => self.define(*value, instruction),
                Statement::Store { .. } => 0.0,
                Statement::Loop(statement) => self.rounds(statement)?,
                Statement::If(conditional) => match self.get(conditional.condition)? {
                    0 => 0.0,
                    _ => self.block(&conditional.body)?,
                },
            };
        }
        Some(sum)
    }

    /// All rounds are alike unless a bound or a condition within depends on the counter.
    fn rounds(&mut self, statement: &LoopStatement) -> Option<f64> {
        let (begin, end) = (self.get(statement.begin)?, self.get(statement.end)?);
        let step = statement.step.max(1);
        let rounds = (end - begin).max(0).div_euclid(step)
            + i64::from((end - begin).max(0).rem_euclid(step) > 0);
        if rounds == 0 {
            return Some(0.0);
        }
        self.set(statement.variable, None);
        if let Some(alike) = self.block(&statement.body) {
            return Some(alike * rounds as f64);
        }
        let mut sum = 0.0;
        for round in 0..rounds {
            self.set(statement.variable, Some(begin + round * step));
            sum += self.block(&statement.body)?;
        }
        Some(sum)
    }

    fn define(&mut self, value: Value, instruction: &Instruction) -> f64 {
        let number = match instruction {
            Instruction::IndexConst(number) => Some(*number),
            Instruction::Int(op, a, b) => self.integer(*op, *a, *b),
            _ => None,
        };
        self.set(value, number);
        let lanes = f64::from(self.kernel.values[value].lanes().unwrap_or(1));
        lanes * operations(instruction)
    }

    fn integer(&self, op: IntOp, a: Value, b: Value) -> Option<i64> {
        let (a, b) = (self.get(a)?, self.get(b)?);
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

fn operations(instruction: &Instruction) -> f64 {
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
    use dlm_core::loops::text::parse_kernels;

    fn check(text: &str, arguments: &[i64], want: Option<f64>) {
        let kernels = parse_kernels(text).expect("a kernel");
        assert_eq!(flops(&kernels[0], arguments), want);
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
}
