//! A step allocates nothing: a counting allocator, over a thousand steps on two workers.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dlm_runtime::memory::{Buffer, Memory, Scratch, arena_of};
use dlm_runtime::program::{
    Arg, Call, Executable, Group, KernelIndex, Phase, Program, ScalarArg, Space, Tasks,
};
use dlm_runtime::team::{Driver, StepMemory, Team};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread has run a kernel: the test harness's own threads allocate when they like.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if IS_WORKER.get() {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// `counts[begin..end] += 1`: (counts, begin, end).
unsafe extern "C" fn increment(arguments: *const u64) {
    IS_WORKER.set(true);
    // SAFETY: called with three slots; there are at least `end` counts.
    unsafe {
        let slots = std::slice::from_raw_parts(arguments, 3);
        for index in slots[1]..slots[2] {
            *((slots[0] + index * 4) as *mut i32) += 1;
        }
    }
}

fn program() -> Executable {
    let counts = Arg::Pointer {
        space: Space::Arena,
        offset_bytes: 0,
        task_stride_bytes: 0,
        block_stride_bytes: 0,
    };
    let args = vec![
        counts,
        Arg::Scalar(ScalarArg::RangeBegin),
        Arg::Scalar(ScalarArg::RangeEnd),
    ];
    let group = Group {
        loops: Vec::new(),
        name: "increment".to_string(),
        tasks: Tasks::BatchRanges { chunk: 4 },
        prologue: vec![],
        calls: vec![Call {
            kernel: KernelIndex(0),
            args,
        }],
    };
    let phase = Phase {
        serial: false,
        groups: vec![group],
    };
    let program = Program {
        kernels: vec![("increment".to_string(), increment)],
        keep_alive: Arc::new(()),
        phases: vec![phase.clone(), phase.clone(), phase],
        persistent_bytes: 0,
        arena_bytes: 256,
        scratch_bytes: 0,
        min_batch: 1,
        max_batch: 64,
        persistent: vec![],
        inputs: vec![],
        outputs: vec![],
        scalars: vec![],
        reports: vec![],
        constants: vec![],
    };
    // SAFETY: each task increments counts of its own range.
    unsafe { Executable::new(program) }.expect("a good program")
}

#[derive(Default)]
struct Watch {
    at_step: Vec<u64>,
}

impl Driver for Watch {
    fn before(&mut self, step: u64, _: &mut StepMemory<'_>) -> ControlFlow<(), u64> {
        if step == 10 || step == 1_010 {
            self.at_step.push(ALLOCATIONS.load(Ordering::Relaxed));
        }
        // Batches of changing size are the harder case.
        ControlFlow::Continue(if step.is_multiple_of(2) { 64 } else { 33 })
    }
}

#[test]
fn a_step_allocates_nothing() {
    let (team, program) = (Team::new(2).expect("two threads"), program());
    let (mut persistent, mut arena) = (
        Buffer::zeroed(0).expect("small"),
        arena_of(&program).expect("small"),
    );
    let memory = Memory {
        persistent: &mut persistent,
        arena: &mut arena,
        scratch: &mut Scratch::default(),
    };
    let mut watch = Watch {
        at_step: Vec::with_capacity(2),
    };
    assert_eq!(
        team.run_steps(&program, memory, 1_020, &mut watch),
        Ok(1_020)
    );
    assert_eq!(watch.at_step.len(), 2);
    assert_eq!(
        watch.at_step[1] - watch.at_step[0],
        0,
        "allocations in 1,000 steps"
    );
    assert_eq!(
        (arena.view::<i32>(0, 64)[0], arena.view::<i32>(0, 64)[63]),
        (3 * 1_020, 3 * 510)
    );
}
