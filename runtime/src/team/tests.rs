//! Programs of hand-written kernels, against what a loop would compute.

use std::sync::Arc;

use super::*;
use crate::memory::{Scratch, arena_of};
use crate::program::{
    Arg, Call, Dimension, Group, KernelIndex, Layout, Phase, Report, ReportKind, ScalarArg, Slot,
    Space, Tasks, Zero,
};
use crate::tensor::DataType;

/// `partial += sum of x[lane] * scale over the valid lanes`: (x block, partial, scale, scratch, lanes valid).
unsafe extern "C" fn sum_block(arguments: *const u64) {
    // SAFETY: called with five slots; pointers are to a block of 8, one, one and 8 floats.
    unsafe {
        let slots = std::slice::from_raw_parts(arguments, 5);
        let x = std::slice::from_raw_parts(slots[0] as *const f32, 8);
        let scratch = std::slice::from_raw_parts_mut(slots[3] as *mut f32, 8);
        for lane in 0..slots[4] as usize {
            scratch[lane] = x[lane] * *(slots[2] as *const f32);
            *(slots[1] as *mut f32) += scratch[lane];
        }
    }
}

/// `loss = sum of partials` and `w += loss`: (partials, loss, w, count).
unsafe extern "C" fn total(arguments: *const u64) {
    // SAFETY: called with four slots; partials are 64 bytes apart.
    unsafe {
        let slots = std::slice::from_raw_parts(arguments, 4);
        let partial = |task| *((slots[0] + task * 64) as *const f32);
        *(slots[1] as *mut f32) = (0..slots[3]).map(partial).sum();
        *(slots[2] as *mut f32) += *(slots[1] as *const f32);
    }
}

/// `y[begin..end] = begin`: (y, begin, end).
unsafe extern "C" fn mark(arguments: *const u64) {
    // SAFETY: called with three slots; y has at least `end` elements.
    unsafe {
        let slots = std::slice::from_raw_parts(arguments, 3);
        for index in slots[1]..slots[2] {
            *((slots[0] + index * 4) as *mut i32) = slots[1] as i32;
        }
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

fn slot(name: &str, offset_bytes: u64, shape: Vec<Dimension>, layout: Layout) -> Slot {
    Slot {
        name: name.to_string(),
        dtype: DataType::F32,
        shape,
        layout,
        space: Space::Arena,
        offset_bytes,
    }
}

const LANES: u32 = 8;
const MAX_TASKS: u32 = 4;
const MAX_BATCH: u64 = 100;

/// loss = sum(scale * x), w += loss, and y marked in ranges of 16: beside the blocks' sums, or behind the total.
fn program(serial: bool) -> Executable {
    let (x, y, partials, scale, loss) = (0u64, 448u64, 896u64, 1152u64, 1216u64);
    let blocks = Tasks::Blocks {
        lanes: LANES,
        max_tasks: MAX_TASKS,
    };
    let sums = Group {
        loops: Vec::new(),
        name: "sums".to_string(),
        tasks: blocks,
        prologue: vec![Zero {
            space: Space::Arena,
            offset_bytes: partials,
            task_stride_bytes: 64,
            bytes: 4,
        }],
        calls: vec![Call {
            kernel: KernelIndex(0),
            args: vec![
                pointer(Space::Arena, x, 0, 32),
                pointer(Space::Arena, partials, 64, 0),
                pointer(Space::Arena, scale, 0, 0),
                pointer(Space::Scratch, 0, 0, 0),
                Arg::Scalar(ScalarArg::LanesValid),
            ],
        }],
    };
    let marks = Group {
        loops: Vec::new(),
        name: "marks".to_string(),
        tasks: Tasks::BatchRanges { chunk: 16 },
        prologue: vec![],
        calls: vec![Call {
            kernel: KernelIndex(2),
            args: vec![
                pointer(Space::Arena, y, 0, 0),
                Arg::Scalar(ScalarArg::RangeBegin),
                Arg::Scalar(ScalarArg::RangeEnd),
            ],
        }],
    };
    let total_group = Group {
        loops: Vec::new(),
        name: "total".to_string(),
        tasks: Tasks::Once,
        prologue: vec![],
        calls: vec![Call {
            kernel: KernelIndex(1),
            args: vec![
                pointer(Space::Arena, partials, 0, 0),
                pointer(Space::Arena, loss, 0, 0),
                pointer(Space::Persistent, 0, 0, 0),
                Arg::Scalar(ScalarArg::BlockTasks {
                    lanes: LANES,
                    max_tasks: MAX_TASKS,
                }),
            ],
        }],
    };
    let lanes = Layout::Lanes {
        lanes: LANES,
        axis: 0,
    };
    let program = Program {
        kernels: vec![
            ("sum_block".to_string(), sum_block),
            ("total".to_string(), total),
            ("mark".to_string(), mark),
        ],
        keep_alive: Arc::new(()),
        phases: match serial {
            false => vec![shared(vec![sums, marks]), shared(vec![total_group])],
            true => vec![
                shared(vec![sums]),
                Phase {
                    serial,
                    groups: vec![total_group],
                },
                shared(vec![marks]),
            ],
        },
        persistent_bytes: 4,
        arena_bytes: 1280,
        scratch_bytes: 64,
        min_batch: 1,
        max_batch: MAX_BATCH,
        persistent: vec![],
        inputs: vec![slot("x", x, vec![Dimension::Batch], lanes)],
        outputs: vec![slot("y", y, vec![Dimension::Batch], Layout::Plain)],
        scalars: vec![slot("scale", scale, vec![], Layout::Plain)],
        reports: vec![Report {
            slot: slot("loss", loss, vec![], Layout::Plain),
            kind: ReportKind::Mean,
        }],
        constants: vec![],
    };
    // SAFETY: the kernels above touch what their comments say, which lies in the buffers for every batch up to 100;
    // tasks write their own partial and their own range.
    unsafe { Executable::new(program) }.expect("a good program")
}

fn shared(groups: Vec<Group>) -> Phase {
    Phase {
        serial: false,
        groups,
    }
}

/// Batches of changing size; sample i of step s is (i + s) % 13.
struct Counting {
    batch: u64,
    step: u64,
    losses: Vec<f32>,
    panic_in_fill: bool,
    panic_after: Option<u64>,
}

impl Counting {
    fn new() -> Counting {
        Counting {
            batch: 0,
            step: 0,
            losses: Vec::new(),
            panic_in_fill: false,
            panic_after: None,
        }
    }

    fn batch_of(step: u64) -> u64 {
        1 + step * 37 % MAX_BATCH
    }

    fn expected_loss(step: u64) -> f32 {
        (0..Counting::batch_of(step))
            .map(|sample| 2.0 * ((sample + step) % 13) as f32)
            .sum()
    }
}

impl Driver for Counting {
    fn before(&mut self, step: u64, memory: &mut StepMemory<'_>) -> ControlFlow<(), u64> {
        let offset = memory.program().scalars[0].offset_bytes;
        memory.view_mut::<f32>(Space::Arena, offset, 1)[0] = 2.0;
        (self.batch, self.step) = (Counting::batch_of(step), step);
        ControlFlow::Continue(self.batch)
    }

    fn fills(&self) -> bool {
        true
    }

    fn fill(&self, part: &Part, destination: &mut [u8]) {
        assert!(!self.panic_in_fill || part.begin != 8, "filling failed");
        assert_eq!((part.lanes, destination.len()), (LANES, 32));
        for (lane, bytes) in destination.chunks_exact_mut(4).enumerate() {
            let value = ((part.begin + lane as u64 + self.step) % 13) as f32;
            bytes.copy_from_slice(&value.to_ne_bytes());
        }
    }

    fn after(&mut self, step: u64, memory: &mut StepMemory<'_>) -> ControlFlow<()> {
        assert_ne!(Some(step), self.panic_after, "reading failed");
        let loss = memory.view::<f32>(
            Space::Arena,
            memory.program().reports[0].slot.offset_bytes,
            1,
        )[0];
        self.losses.push(loss);
        ControlFlow::Continue(())
    }
}

/// Runs steps of the test program on a fresh memory; the final parameter and the last y.
fn run(workers: usize, count: u64, driver: &mut dyn Driver) -> Result<(f32, Vec<i32>), RunError> {
    run_program(&program(false), workers, count, driver)
}

fn run_program(
    program: &Executable,
    workers: usize,
    count: u64,
    driver: &mut dyn Driver,
) -> Result<(f32, Vec<i32>), RunError> {
    run_with(&Team::new(workers)?, program, count, driver)
}

fn run_with(
    team: &Team,
    program: &Executable,
    count: u64,
    driver: &mut dyn Driver,
) -> Result<(f32, Vec<i32>), RunError> {
    let (mut persistent, mut arena, mut scratch) =
        (Buffer::zeroed(64)?, arena_of(program)?, Scratch::default());
    let memory = Memory {
        persistent: &mut persistent,
        arena: &mut arena,
        scratch: &mut scratch,
    };
    team.run_steps(program, memory, count, driver)?;
    Ok((
        persistent.view::<f32>(0, 1)[0],
        arena.view::<i32>(448, 100).to_vec(),
    ))
}

#[test]
fn all_team_sizes_compute_the_same() {
    const STEPS: u64 = 300;
    let expected: Vec<f32> = (0..STEPS).map(Counting::expected_loss).collect();
    let teams = [1, 2, 3, 7].into_iter();
    for (workers, serial) in teams.flat_map(|workers| [(workers, false), (workers, true)]) {
        let mut driver = Counting::new();
        let (parameter, marks) =
            run_program(&program(serial), workers, STEPS, &mut driver).expect("runs");
        assert_eq!(driver.losses, expected, "{workers} workers");
        assert_eq!(parameter, expected.iter().sum::<f32>());
        let last = Counting::batch_of(STEPS - 1) as usize;
        assert!(
            (0..last).all(|index| marks[index] == (index as i32) / 16 * 16),
            "{marks:?}"
        );
    }
}

/// By turns all workers and one of them do the steps of a trial; then those of the way that was found.
#[test]
fn a_team_that_adapts_computes_the_same() {
    const STEPS: u64 = 300;
    let expected: Vec<f32> = (0..STEPS).map(Counting::expected_loss).collect();
    for (workers, serial) in [(2, false), (3, true)] {
        let team = Team {
            adapts: true,
            ..Team::new(workers).expect("threads")
        };
        let program = program(serial);
        let mut driver = Counting::new();
        let (parameter, _) = run_with(&team, &program, STEPS, &mut driver).expect("runs");
        assert_eq!(driver.losses, expected, "{workers} workers");
        assert_eq!(parameter, expected.iter().sum::<f32>());
        assert!(!program.pace().is_open(), "the trial has ended");
    }
}

#[test]
fn a_panic_of_the_only_worker_at_work_ends_the_region() {
    let team = Team {
        adapts: true,
        ..Team::new(2).expect("threads")
    };
    let program = program(false);
    let mut driver = Counting::new();
    driver.panic_after = Some(13);
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        run_with(&team, &program, 100, &mut driver)
    }));
    assert!(attempt.is_err(), "in the second turn, of one worker");
    let mut driver = Counting::new();
    run_with(&team, &program, 5, &mut driver).expect("the team is as before");
}

/// The driver is called by whichever worker does the steps, and may end them in both ways.
#[test]
fn a_driver_ends_a_run_by_one_worker() {
    let team = Team {
        adapts: true,
        ..Team::new(2).expect("threads")
    };
    let mut ended = 0;
    let mut driver = |step: u64, _: &mut StepMemory<'_>| {
        ended = step;
        match step {
            12 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(3),
        }
    };
    run_with(&team, &program(false), 100, &mut driver).expect("runs");
    assert_eq!(ended, 12, "in the second turn, of one worker");
}

#[test]
fn a_driver_ends_the_run() {
    let mut steps = 0;
    let mut driver = |step: u64, _: &mut StepMemory<'_>| {
        steps = step;
        if step == 5 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(3)
        }
    };
    run(2, 100, &mut driver).expect("runs");
    assert_eq!(steps, 5);
}

#[test]
fn impossible_batches_and_small_buffers_are_errors() {
    for batch in [0, 101] {
        let mut driver = |_: u64, _: &mut StepMemory<'_>| ControlFlow::Continue(batch);
        assert_eq!(
            run(2, 1, &mut driver).unwrap_err(),
            RunError::Batch {
                batch,
                min_batch: 1,
                max_batch: 100
            }
        );
    }
    let (team, program) = (Team::new(1).expect("one"), program(false));
    let (mut persistent, mut arena) = (
        Buffer::zeroed(4).expect("small"),
        Buffer::zeroed(64).expect("small"),
    );
    let memory = Memory {
        persistent: &mut persistent,
        arena: &mut arena,
        scratch: &mut Scratch::default(),
    };
    let error = team.execute(&program, memory, 1, |_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the arena has 64 bytes, the program needs 1280"
    );
}

#[test]
fn a_panic_reaches_the_caller_and_holds_nobody() {
    for workers in [1, 2, 7] {
        let mut filling = Counting {
            panic_in_fill: true,
            ..Counting::new()
        };
        let mut reading = Counting {
            panic_after: Some(3),
            ..Counting::new()
        };
        for (driver, message) in [
            (&mut filling, "filling failed"),
            (&mut reading, "reading failed"),
        ] {
            let attempt = catch_unwind(AssertUnwindSafe(|| run(workers, 50, driver)));
            let payload = attempt.expect_err("the driver panics");
            let literal = payload.downcast_ref::<&str>().map(ToString::to_string);
            let text = literal
                .or_else(|| payload.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            assert!(text.contains(message), "{text}");
        }
    }
}

#[test]
fn a_program_runs_in_several_threads_at_once() {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut driver = Counting::new();
                    run(2, 100, &mut driver).expect("runs");
                    driver.losses
                })
            })
            .collect();
        let expected: Vec<f32> = (0..100).map(Counting::expected_loss).collect();
        for thread in threads {
            assert_eq!(thread.join().expect("no panic"), expected);
        }
    });
}

/// Ten steps with a hundred ones, each call repeated: their times, and what the parameter is then.
fn timed(workers: usize, repeats: u32) -> (Timing, f32) {
    let (team, program) = (Team::new(workers).expect("workers"), program(false));
    let (mut persistent, mut arena) = (
        Buffer::zeroed(4).expect("small"),
        arena_of(&program).expect("small"),
    );
    let memory = Memory {
        persistent: &mut persistent,
        arena: &mut arena,
        scratch: &mut Scratch::default(),
    };
    let mut timing = Timing::new(&program);
    timing.repeats = repeats;
    let mut driver = |_: u64, memory: &mut StepMemory<'_>| {
        memory.view_mut::<f32>(Space::Arena, 0, 100).fill(1.0);
        memory.view_mut::<f32>(Space::Arena, 1152, 1)[0] = 1.0;
        ControlFlow::Continue(100)
    };
    team.run_steps_timed(&program, memory, 10, &mut driver, &mut timing)
        .expect("runs");
    let parameter = persistent.view::<f32>(0, 1)[0];
    (timing, parameter)
}

#[test]
fn times_count_every_call_once() {
    for (workers, repeats, parameter) in [
        (2, 0, 1000.0),
        // The sums of a step and the parameter's update are added four times each.
        (2, 3, 16_000.0),
        (1, 1, 4000.0),
    ] {
        let (timing, found) = timed(workers, repeats);
        let calls = timing.calls.iter();
        let calls: Vec<_> = calls
            .clone()
            .map(|call| (call.phase, call.kernel.as_str(), call.calls))
            .collect();
        assert_eq!(
            calls,
            [(0, "sum_block", 130), (0, "mark", 70), (1, "total", 10)]
        );
        assert!(timing.calls.iter().all(|call| call.nanoseconds > 0));
        assert_eq!(found, parameter, "{repeats} repetitions");
    }
}
