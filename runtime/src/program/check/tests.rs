//! One failing program per rule, each a small change of a good one.

use std::sync::Arc;

use super::*;
use crate::program::{Constant, Dimension, KernelIndex, Phase, Report, ReportKind};

unsafe extern "C" fn nothing(_arguments: *const u64) {}

fn slot(name: &str, space: Space, offset_bytes: u64, shape: Vec<Dimension>) -> Slot {
    Slot {
        name: name.to_string(),
        dtype: DataType::F32,
        shape,
        layout: Layout::Plain,
        space,
        offset_bytes,
    }
}

fn pointer(
    space: Space,
    offset_bytes: u64,
    task_stride_bytes: u64,
    block_stride_bytes: u64,
) -> Arg {
    Arg::Pointer {
        space,
        offset_bytes,
        task_stride_bytes,
        block_stride_bytes,
    }
}

/// Two blocks of eight lanes in two tasks, each block 64 bytes.
fn good() -> Program {
    let mut input = slot("x", Space::Arena, 0, vec![Dimension::Batch]);
    input.layout = Layout::Lanes { lanes: 8, axis: 0 };
    let call = Call {
        kernel: KernelIndex(0),
        args: vec![
            pointer(Space::Arena, 0, 0, 32),
            Arg::Scalar(ScalarArg::Block),
            Arg::Scalar(ScalarArg::LanesValid),
        ],
    };
    let zero = Zero {
        space: Space::Persistent,
        offset_bytes: 0,
        task_stride_bytes: 64,
        bytes: 64,
    };
    let blocks = Tasks::Blocks {
        lanes: 8,
        max_tasks: 4,
    };
    let group = Group {
        loops: Vec::new(),
        name: "g".to_string(),
        tasks: blocks,
        prologue: vec![zero],
        calls: vec![call],
    };
    Program {
        kernels: vec![("nothing".to_string(), nothing)],
        keep_alive: Arc::new(()),
        phases: vec![Phase {
            serial: false,
            groups: vec![group],
        }],
        persistent_bytes: 128,
        arena_bytes: 256,
        scratch_bytes: 64,
        min_batch: 1,
        max_batch: 16,
        persistent: vec![slot("w", Space::Persistent, 0, vec![Dimension::Fixed(32)])],
        inputs: vec![input],
        outputs: vec![slot("y", Space::Arena, 64, vec![Dimension::Batch])],
        scalars: vec![slot("iter", Space::Arena, 128, vec![])],
        reports: vec![Report {
            slot: slot("loss", Space::Arena, 192, vec![]),
            kind: ReportKind::Mean,
        }],
        constants: vec![Constant {
            offset_bytes: 248,
            bytes: vec![0; 8],
        }],
    }
}

/// The error of a good program after one change.
fn check(change: impl FnOnce(&mut Program)) -> String {
    let mut program = good();
    change(&mut program);
    program
        .check()
        .expect_err("the changed program breaks a rule")
        .to_string()
}

fn group(program: &mut Program) -> &mut Group {
    &mut program.phases[0].groups[0]
}

fn row(round_stride_bytes: u64) -> Arg {
    Arg::Row {
        space: Space::Arena,
        offset_bytes: 0,
        block_stride_bytes: 0,
        round_stride_bytes,
    }
}

/// Makes a loop of the good program's call.
fn repeated(program: &mut Program, first: u32, rounds: u64) {
    group(program).loops.push(Loop {
        first,
        calls: 1,
        rounds,
        reverse: true,
    });
}

#[test]
fn a_good_program_passes() {
    assert_eq!(good().check(), Ok(()));
}

#[test]
fn every_rule_has_its_error() {
    let errors = [
        check(|program| program.max_batch = 0),
        check(|program| program.phases[0].serial = true),
        check(|program| group(program).calls[0].kernel = KernelIndex(1)),
        check(|program| {
            group(program).tasks = Tasks::Blocks {
                lanes: 0,
                max_tasks: 1,
            }
        }),
        check(|program| {
            group(program).tasks = Tasks::Blocks {
                lanes: 8,
                max_tasks: 0,
            }
        }),
        check(|program| group(program).tasks = Tasks::BatchRanges { chunk: 0 }),
        check(|program| group(program).tasks = Tasks::Once),
        check(|program| group(program).calls[0].args[1] = Arg::Scalar(ScalarArg::RangeBegin)),
        check(|program| {
            group(program).calls[0].args[1] = Arg::Scalar(ScalarArg::Blocks { lanes: 0 })
        }),
        check(|program| group(program).calls[0].args[0] = pointer(Space::Arena, 100, 100, 100)),
        check(|program| group(program).calls[0].args[0] = pointer(Space::Scratch, 0, u64::MAX, 2)),
        check(|program| group(program).prologue[0].offset_bytes = 64),
        check(|program| program.inputs[0].offset_bytes = 32),
        check(|program| program.inputs[0].offset_bytes = 256),
        check(|program| program.inputs[0].space = Space::Persistent),
        check(|program| program.inputs[0].layout = Layout::Lanes { lanes: 8, axis: 1 }),
        check(|program| program.inputs[0].layout = Layout::Lanes { lanes: 0, axis: 0 }),
        check(|program| program.outputs.push(program.outputs[0].clone())),
        check(|program| program.inputs.push(slot("z", Space::Arena, 0, vec![]))),
        check(|program| program.scalars[0].dtype = DataType::U8),
        check(|program| program.scalars[0].shape = vec![Dimension::Fixed(1)]),
        check(|program| program.constants[0].offset_bytes = 249),
        check(|program| group(program).calls[0].args[1] = Arg::Scalar(ScalarArg::Round)),
        check(|program| group(program).calls[0].args[0] = row(32)),
        check(|program| repeated(program, 0, 0)),
        check(|program| repeated(program, 1, 1)),
        check(|program| {
            repeated(program, 0, 8);
            group(program).calls[0].args[0] = row(64);
        }),
    ];
    insta::assert_snapshot!(errors.join("\n"));
}
