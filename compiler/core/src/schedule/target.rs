//! What the schedule needs to know of a machine: fixed constants per instruction set, never measurements.

/// The constants of an instruction set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// f32 lanes of one register.
    pub register_lanes: usize,
    /// Accumulators that a contraction may hold beside its operands.
    pub accumulators: usize,
    /// The most tasks that a batch is cut into, which is the number of partials.
    pub block_tasks: usize,
    /// Vector multiply-adds that one accumulator needs before summing its lanes at the end is cheap.
    pub lane_sum_work: i64,
    /// Multiply-adds that a body of unrolled reduction rounds holds at most.
    pub unrolled_body: usize,
}

impl Target {
    /// 128-bit vectors, 16 registers, fused multiply-add: what Cranelift emits everywhere.
    pub fn vector128() -> Target {
        Target {
            register_lanes: 4,
            accumulators: 12,
            block_tasks: 16,
            lane_sum_work: 32,
            unrolled_body: 96,
        }
    }

    /// Samples in a block for the largest batch of a program.
    pub fn block_lanes(&self, batch: usize) -> usize {
        match batch {
            0 | 1 => 1,
            2..=4 => self.register_lanes,
            _ => 2 * self.register_lanes,
        }
    }
}
