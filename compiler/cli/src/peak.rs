//! The machine's arithmetic peak, measured with the same vectors, code generator and team as programs: loops of
//! independent fused multiply-adds in registers.

use std::fmt::Write;

use dlm_core::plan::Plan;
use dlm_core::plan::parse_plan;

/// Sums that wait for none of the others: twice what two units with a latency of four or five cycles need.
const ACCUMULATORS: usize = 10;
/// Rounds of the inner loop of one task.
const ROUNDS: usize = 20_000;
/// Tasks of a step.
const TASKS: usize = 16;
/// Steps of one measurement, which then lasts some milliseconds.
pub const STEPS: u64 = 4;

/// Floating-point operations of one step of [`plan`], two for each multiply-add.
pub fn flops(lanes: usize) -> f64 {
    (2 * lanes * ACCUMULATORS * ROUNDS * TASKS) as f64
}

/// A program whose step does nothing but multiply-adds of vectors of so many lanes.
pub fn plan(lanes: usize) -> Result<Plan, dlm_core::plan::ParseError> {
    parse_plan(&text(lanes))
}

fn text(lanes: usize) -> String {
    let bytes = TASKS * lanes * 4;
    format!(
        "plan \"peak\" {{
  batch 1
  space persistent 0 bytes
  space arena {bytes} bytes
  space scratch 0 bytes

  buffer m0 \"sums\": f32[{elements}] plain in arena at 0, {bytes} bytes

  output result \"sums\" m0

  kernel k0 \"peak\"(b0 \"sums\": f32 write; \"begin\", \"end\")

  phase 0 {{
    ranges of {TASKS} by 1 \"peak\" {{
      call k0(m0; begin, end)
    }}
  }}
}}

{kernel}",
        elements = TASKS * lanes,
        kernel = kernel(lanes)
    )
}

/// Each sum goes round as `sum * 0.5 + 1`, which stays finite and normal.
fn kernel(lanes: usize) -> String {
    let first = 7;
    let argument = |n: usize| first + n;
    let next = |n: usize| first + ACCUMULATORS + n;
    let result = |n: usize| first + 2 * ACCUMULATORS + n;
    let list = |value: &dyn Fn(usize) -> usize| {
        let names: Vec<String> = (0..ACCUMULATORS)
            .map(|n| format!("v{}", value(n)))
            .collect();
        names.join(", ")
    };
    let carried: Vec<String> = (0..ACCUMULATORS)
        .map(|n| format!("v{}: f32x{lanes} = v5", argument(n)))
        .collect();
    let mut text = format!(
        "kernel \"peak\" {{
  buffer b0 \"sums\": f32 write
  scalar v0 \"begin\"
  scalar v1 \"end\"
  v2: index = const 0
  v3: index = const {ROUNDS}
  v4: f32x{lanes} = const 0.5
  v5: f32x{lanes} = const 1.0
  for v6 \"task\" in v0..v1 step 1 domain {{
    for v{counter} \"round\" in v2..v3 step 1 reduction carry {carried} {{
",
        counter = first + 3 * ACCUMULATORS,
        carried = carried.join(", "),
    );
    for n in 0..ACCUMULATORS {
        let (from, to) = (argument(n), next(n));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "      v{to}: f32x{lanes} = fma v{from}, v4, v5");
    }
    let _ = writeln!(
        text,
        "      next {}\n    }} give {}",
        list(&next),
        list(&result)
    );
    let mut sum = result(0);
    for n in 1..ACCUMULATORS {
        let total = first + 3 * ACCUMULATORS + n;
        let _ = writeln!(
            text,
            "    v{total}: f32x{lanes} = add v{sum}, v{}",
            result(n)
        );
        sum = total;
    }
    let _ = writeln!(text, "    store b0[v6 * {lanes}], v{sum}\n  }}\n}}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_a_plan_with_one_kernel() {
        let plan = plan(8).expect("parses");
        assert_eq!(plan.kernels.len(), 1);
        assert!(
            plan.kernels
                .values()
                .all(|kernel| kernel.body.size() > ACCUMULATORS)
        );
    }
}
