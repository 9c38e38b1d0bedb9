//! Fitting `y = w x` by hand-written kernels.

use std::sync::Arc;

use crate::data::{Field, Split, Values};
use crate::program::{
    Arg, Call, Dimension, Executable, Group, KernelIndex, Layout, Phase, Program, Report,
    ReportKind, ScalarArg, Slot, Space, Tasks, Zero,
};
use crate::session::{EvaluationPlan, Feed, FeedInput, JoinedMetric, Plan, Settings};
use crate::tensor::{DataType, Tensor};

const LANES: u32 = 4;
const MAX_BATCH: u64 = 16;
/// Where things are in the arena.
const X: u64 = 0;
const Y: u64 = 64;
const PARTIALS: u64 = 128;
const LOSS: u64 = 384;
const RATE: u64 = 448;
const COUNT: u64 = 512;
const ERRORS: u64 = 576;
const ARENA: u64 = 640;

/// The slots of a call as floats: `slot(n)` points to the n-th argument.
unsafe fn slots<'a, const N: usize>(arguments: *const u64) -> &'a [u64; N] {
    // SAFETY: kernels here are called with as many slots as they ask for.
    unsafe { &*arguments.cast::<[u64; N]>() }
}

/// Of a block: `partial += (sum of e^2, sum of 2 e x)` where `e = w x - y`; also writes e: (x, y, w, partial, errors, valid).
unsafe extern "C" fn block(arguments: *const u64) {
    // SAFETY: x, y and errors have four floats, w one, partial two.
    unsafe {
        let slots = slots::<6>(arguments);
        let (w, partial) = (*(slots[2] as *const f32), slots[3] as *mut f32);
        for lane in 0..slots[5] as usize {
            let (x, y) = (
                *(slots[0] as *const f32).add(lane),
                *(slots[1] as *const f32).add(lane),
            );
            let error = w * x - y;
            *(slots[4] as *mut f32).add(lane) = error;
            *partial += error * error;
            *partial.add(1) += 2.0 * error * x;
        }
    }
}

/// `loss = mean`, `w -= rate * gradient` (no update if the rate's address is 0): (partials, count, batch, w, loss, epoch).
unsafe extern "C" fn update(arguments: *const u64) {
    // SAFETY: partials are 64 bytes apart, two floats each; the others are single.
    unsafe {
        let slots = slots::<6>(arguments);
        let sum = |index: usize| -> f32 {
            (0..slots[1])
                .map(|task| *((slots[0] + task * 64) as *const f32).add(index))
                .sum::<f32>()
                / slots[2] as f32
        };
        *(slots[4] as *mut f32) = sum(0);
        let epoch = *(slots[5] as *const f32);
        if epoch >= 0.0 {
            *(slots[3] as *mut f32) -= 0.01 * 0.5f32.powf(epoch) * sum(1);
        }
    }
}

/// `count = batch`, as an integer: (count, batch).
unsafe extern "C" fn count(arguments: *const u64) {
    // SAFETY: count is one integer.
    unsafe {
        let slots = slots::<2>(arguments);
        *(slots[0] as *mut i32) = slots[1] as i32;
    }
}

/// Like `update`, with the update left out: (partials, count, batch, loss).
unsafe extern "C" fn loss_only(arguments: *const u64) {
    // SAFETY: as in `update`.
    unsafe {
        let slots = slots::<4>(arguments);
        let sum: f32 = (0..slots[1])
            .map(|task| *((slots[0] + task * 64) as *const f32))
            .sum();
        *(slots[3] as *mut f32) = sum / slots[2] as f32;
    }
}

/// The largest of n numbers: (values, n, result).
unsafe extern "C" fn largest(arguments: *const u64) {
    // SAFETY: there are n values and one result.
    unsafe {
        let slots = slots::<3>(arguments);
        let values = std::slice::from_raw_parts(slots[0] as *const f32, slots[1] as usize);
        *(slots[2] as *mut f32) = values
            .iter()
            .fold(f32::MIN, |largest, value| largest.max(value.abs()));
    }
}

fn at(space: Space, offset_bytes: u64, task_stride_bytes: u64, block_stride_bytes: u64) -> Arg {
    Arg::Pointer {
        space,
        offset_bytes,
        task_stride_bytes,
        block_stride_bytes,
    }
}

fn slot(name: &str, space: Space, offset_bytes: u64, shape: &[Dimension], layout: Layout) -> Slot {
    Slot {
        name: name.to_string(),
        dtype: DataType::F32,
        shape: shape.to_vec(),
        layout,
        space,
        offset_bytes,
    }
}

fn group(name: &str, tasks: Tasks, kernel: u32, args: Vec<Arg>) -> Group {
    Group {
        loops: Vec::new(),
        name: name.to_string(),
        tasks,
        prologue: vec![],
        calls: vec![Call {
            kernel: KernelIndex(kernel),
            args,
        }],
    }
}

fn blocks() -> Group {
    let args = vec![
        at(Space::Arena, X, 0, 16),
        at(Space::Arena, Y, 0, 16),
        at(Space::Persistent, 0, 0, 0),
        at(Space::Arena, PARTIALS, 64, 0),
        at(Space::Arena, ERRORS, 0, 16),
        Arg::Scalar(ScalarArg::LanesValid),
    ];
    let zero = Zero {
        space: Space::Arena,
        offset_bytes: PARTIALS,
        task_stride_bytes: 64,
        bytes: 8,
    };
    Group {
        loops: Vec::new(),
        prologue: vec![zero],
        ..group(
            "block",
            Tasks::Blocks {
                lanes: LANES,
                max_tasks: 3,
            },
            0,
            args,
        )
    }
}

fn executable(last: Group, scalars: Vec<Slot>, extra: Vec<Report>) -> Executable {
    let lanes = Layout::Lanes {
        lanes: LANES,
        axis: 0,
    };
    let (batch, arena) = ([Dimension::Batch], Space::Arena);
    let counting = vec![at(arena, COUNT, 0, 0), Arg::Scalar(ScalarArg::Batch)];
    let loss = Report {
        slot: slot("loss", arena, LOSS, &[], Layout::Plain),
        kind: ReportKind::Mean,
    };
    let program = Program {
        kernels: vec![
            ("block".to_string(), block),
            ("update".to_string(), update),
            ("count".to_string(), count),
            ("loss_only".to_string(), loss_only),
        ],
        keep_alive: Arc::new(()),
        phases: vec![
            Phase {
                serial: false,
                groups: vec![blocks()],
            },
            Phase {
                serial: false,
                groups: vec![last, group("count", Tasks::Once, 2, counting)],
            },
        ],
        persistent_bytes: 64,
        arena_bytes: ARENA,
        scratch_bytes: 0,
        min_batch: 1,
        max_batch: MAX_BATCH,
        persistent: vec![slot("net.w", Space::Persistent, 0, &[], Layout::Plain)],
        inputs: vec![
            slot("x", arena, X, &batch, lanes),
            slot("y", arena, Y, &batch, lanes),
        ],
        outputs: vec![],
        scalars,
        reports: [vec![loss], extra].concat(),
        constants: vec![],
    };
    // SAFETY: the kernels keep to their comments; each block writes its own errors, each task its own partial, and the second
    // phase's two tasks different slots.
    unsafe { Executable::new(program) }.expect("a good program")
}

fn block_tasks() -> Arg {
    Arg::Scalar(ScalarArg::BlockTasks {
        lanes: LANES,
        max_tasks: 3,
    })
}

pub fn step() -> Executable {
    let args = vec![
        at(Space::Arena, PARTIALS, 0, 0),
        block_tasks(),
        Arg::Scalar(ScalarArg::Batch),
        at(Space::Persistent, 0, 0, 0),
        at(Space::Arena, LOSS, 0, 0),
        at(Space::Arena, RATE, 0, 0),
    ];
    let epoch = slot("epoch", Space::Arena, RATE, &[], Layout::Plain);
    executable(group("update", Tasks::Once, 1, args), vec![epoch], vec![])
}

pub fn evaluation() -> Executable {
    let args = vec![
        at(Space::Arena, PARTIALS, 0, 0),
        block_tasks(),
        Arg::Scalar(ScalarArg::Batch),
        at(Space::Arena, LOSS, 0, 0),
    ];
    let mut counted = slot("count", Space::Arena, COUNT, &[], Layout::Plain);
    counted.dtype = DataType::I32;
    let lanes = Layout::Lanes {
        lanes: LANES,
        axis: 0,
    };
    let errors = slot("errors", Space::Arena, ERRORS, &[Dimension::Batch], lanes);
    let extra = vec![
        Report {
            slot: counted,
            kind: ReportKind::Sum,
        },
        Report {
            slot: errors,
            kind: ReportKind::Join,
        },
    ];
    executable(group("loss", Tasks::Once, 3, args), vec![], extra)
}

/// The largest error of the whole set.
fn largest_error() -> JoinedMetric {
    let args = vec![
        at(Space::Arena, 0, 0, 0),
        Arg::Scalar(ScalarArg::Batch),
        at(Space::Arena, 192, 0, 0),
    ];
    let program = Program {
        kernels: vec![("largest".to_string(), largest)],
        keep_alive: Arc::new(()),
        phases: vec![Phase {
            serial: false,
            groups: vec![group("largest", Tasks::Once, 0, args)],
        }],
        persistent_bytes: 0,
        arena_bytes: 256,
        scratch_bytes: 0,
        min_batch: 1,
        max_batch: 48,
        persistent: vec![],
        inputs: vec![slot(
            "errors",
            Space::Arena,
            0,
            &[Dimension::Batch],
            Layout::Plain,
        )],
        outputs: vec![slot("value", Space::Arena, 192, &[], Layout::Plain)],
        scalars: vec![],
        reports: vec![],
        constants: vec![],
    };
    // SAFETY: one call, which reads its input and writes its output.
    let program = unsafe { Executable::new(program) }.expect("a good program");
    JoinedMetric {
        name: "largest".to_string(),
        program,
    }
}

/// `y = 3 x` for 22 values of x.
pub fn split(shuffled: bool) -> Split {
    let x: Vec<f32> = (0..22).map(|index| index as f32 / 11.0 - 1.0).collect();
    let y = x.iter().map(|x| 3.0 * x).collect::<Vec<_>>();
    let field = |values: Vec<f32>| Field {
        shape: vec![],
        values: Values::Floats(values.into()),
        classes: None,
        origin: "line".to_string(),
    };
    Split {
        shuffled,
        ..Split::new(vec![field(x), field(y)])
    }
}

pub fn feed(shuffled: bool, batch: u64) -> Feed {
    let input = |part, name: &str| FeedInput {
        part,
        name: name.to_string(),
        bound: None,
    };
    Feed {
        split: split(shuffled),
        batch,
        drop_last: false,
        inputs: vec![input(0, "x"), input(1, "y")],
    }
}

pub fn plan(epochs: u64) -> Plan {
    let evaluation = EvaluationPlan {
        split: "eval".to_string(),
        programs: vec![evaluation()],
        feeds: vec![feed(false, 16)],
        pictures: Vec::new(),
        joined: vec![largest_error()],
    };
    let start = Tensor::from_f32(vec![], &[0.0]).expect("one");
    Plan {
        steps: vec![step()],
        choice: None,
        feeds: vec![feed(true, 8)],
        evaluations: vec![evaluation],
        init: None,
        persistent: vec![],
        initial: [("net.w".to_string(), start)].into_iter().collect(),
        model: vec!["net.w".to_string()],
        settings: Settings {
            epochs: Some(epochs),
            steps: None,
            seed: 5,
            log_every: 1,
        },
        directory: None,
        resume: false,
        save_every: None,
        keep: 0,
        patience: None,
        plateaus: Vec::new(),
    }
}

/// Sets w to the seed.
unsafe extern "C" fn start(arguments: *const u64) {
    // SAFETY: the seed is one integer, w one float.
    unsafe {
        let slots = slots::<2>(arguments);
        *(slots[1] as *mut f32) = *(slots[0] as *const i32) as f32;
    }
}

/// A program that sets w to the seed.
pub fn init() -> Executable {
    let args = vec![at(Space::Arena, 0, 0, 0), at(Space::Persistent, 0, 0, 0)];
    let mut seed = slot("seed", Space::Arena, 0, &[], Layout::Plain);
    seed.dtype = DataType::I32;
    let program = Program {
        kernels: vec![("start".to_string(), start)],
        keep_alive: Arc::new(()),
        phases: vec![Phase {
            serial: false,
            groups: vec![group("start", Tasks::Once, 0, args)],
        }],
        persistent_bytes: 64,
        arena_bytes: 64,
        scratch_bytes: 0,
        min_batch: 1,
        max_batch: 1,
        persistent: vec![],
        inputs: vec![],
        outputs: vec![],
        scalars: vec![seed],
        reports: vec![],
        constants: vec![],
    };
    // SAFETY: one call, which reads its scalar and writes w.
    unsafe { Executable::new(program) }.expect("a good program")
}
