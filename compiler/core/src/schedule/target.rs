//! What the schedule needs to know of a machine: fixed constants per instruction set, never measurements.

use super::choices::Choices;
use crate::loops::Memory;

/// Bytes of a core's first cache.
pub const FIRST_CACHE: usize = 32 << 10;

/// The constants of an instruction set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// f32 lanes of one register.
    pub register_lanes: usize,
    /// Vector registers.
    pub registers: usize,
    /// Accumulators that a contraction may hold beside its operands.
    pub accumulators: usize,
    /// Registers that a multiply-add needs beside accumulators and the operand that stays: the streamed operand, and
    /// a copy where the result can't take the accumulator's place.
    pub spare: usize,
    /// Instructions of one multiply-add.
    pub fma_instructions: usize,
    /// Bytes of a core's second cache, of the machines that the constants were measured on.
    pub second_cache: i64,
    /// What asking for the next tile depends on.
    pub memory: Memory,
    /// Whether one instruction adds the products of two pairs of bf16 numbers to a float.
    pub dot_pairs: bool,
    /// Samples in a block of a large batch.
    pub block: usize,
    /// The most tasks that a batch is cut into, which is the number of partials.
    pub block_tasks: usize,
    /// Vector multiply-adds that one accumulator needs before summing its lanes at the end is cheap.
    pub lane_sum_work: i64,
    /// Multiply-adds that each element of a product's operand must serve, so that turning the operand pays.
    pub turn_reuse: i64,
    /// Multiply-adds that a body of unrolled reduction rounds holds at most.
    pub unrolled_body: usize,
    /// Whether each product is stored as it is, and nothing joined to its kernel.
    pub apart: bool,
    /// Tiles that are not the cost model's choice.
    pub choices: Choices,
    /// What a step may take; none where it may take what it needs.
    pub budget: Option<Budget>,
}

/// The memory that a step may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Of parameters, states, arena and the workers' scratch.
    pub bytes: usize,
    /// How many workers there are.
    pub workers: usize,
}

impl Target {
    /// 128-bit vectors, 16 registers: what Cranelift emits everywhere.
    pub fn vector128() -> Target {
        Target {
            name: "vector128",
            register_lanes: 4,
            registers: 16,
            accumulators: 12,
            spare: 2,
            fma_instructions: 2,
            second_cache: 512 << 10,
            memory: Memory {
                far: 384 << 10,
                far_shared: 768 << 10,
                work_a_line: 8,
                far_of_one_loop: 1 << 20,
            },
            dot_pairs: false,
            block: 8,
            block_tasks: 16,
            lane_sum_work: 32,
            turn_reuse: 256,
            unrolled_body: 96,
            apart: false,
            choices: Choices::default(),
            budget: None,
        }
    }

    /// 256-bit vectors, 16 registers, three-operand multiply-add.
    pub fn avx2() -> Target {
        Target {
            name: "avx2",
            register_lanes: 8,
            spare: 1,
            fma_instructions: 1,
            block: 16,
            turn_reuse: 32,
            ..Target::vector128()
        }
    }

    /// 512-bit vectors, 32 registers.
    pub fn avx512() -> Target {
        Target {
            name: "avx512",
            register_lanes: 16,
            registers: 32,
            accumulators: 24,
            second_cache: 2 << 20,
            memory: Memory {
                far: 3 << 19,
                far_shared: 3 << 19,
                work_a_line: 24,
                // What follows a map that stores more than half a megabyte reads some of it from behind a second cache of
                // one: a Zen 4's.
                far_of_one_loop: 1 << 19,
            },
            ..Target::avx2()
        }
    }

    /// The same with products of pairs of bf16 numbers.
    pub fn avx512bf16() -> Target {
        Target {
            name: "avx512bf16",
            dot_pairs: true,
            ..Target::avx512()
        }
    }

    /// The target of that name.
    pub fn named(name: &str) -> Option<Target> {
        let all = [
            Target::vector128(),
            Target::avx2(),
            Target::avx512(),
            Target::avx512bf16(),
        ];
        all.into_iter().find(|target| target.name == name)
    }

    /// Lanes of the widest vectors that a kernel's values have: of two registers where these are narrow.
    pub fn widest_lanes(&self) -> usize {
        (2 * self.register_lanes).min(16)
    }

    /// Samples in a block for the largest batch of a program.
    pub fn block_lanes(&self, batch: usize) -> usize {
        match batch {
            0 | 1 => 1,
            2..=4 => 4,
            5..=8 => 8,
            // One whole block would leave all workers but one without work.
            _ if batch < 2 * self.block => self.block.min(8),
            _ => self.block,
        }
    }
}
